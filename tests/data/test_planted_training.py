"""Planted training runs: the same documents at every step, and what the settings say about growth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from neuronull.data.panel import within_caliper
from neuronull.data.planted import TrainingSettings, planted
from neuronull.data.validate import validate, validate_checkpoint

SMALL = TrainingSettings(documents=24, pairs=6, neurons=120, width=16)


def steps_of(made):
    m = made.measurements
    return dict(m.checkpoints) | {m.training_step: m}


def mean_log(m, rows):
    return m.delta_loss[rows].abs().double().log().mean(0).numpy()


def test_it_is_a_valid_measurement_with_checkpoints_of_the_same_documents():
    m = planted(SMALL, 0, ("influence",)).measurements
    validate(m)
    assert (m.training_step, list(m.checkpoints)) == (2560, [40, 160, 640])
    hashes = {m.manifest.model.hash}
    for step, checkpoint in m.checkpoints.items():
        validate(checkpoint)
        validate_checkpoint(checkpoint, m.manifest, m.documents, m.n_neurons)
        assert checkpoint.training_step == step
        np.testing.assert_array_equal(checkpoint.panel.label, m.panel.label)
        assert not np.array_equal(checkpoint.panel.match, m.panel.match)
        hashes.add(checkpoint.manifest.model.hash)
    assert len(hashes) == 4


def test_the_seed_decides_everything():
    first, again, other = (planted(SMALL, seed, ("influence",)).measurements for seed in (1, 1, 2))
    assert torch.equal(first.checkpoints[40].delta_loss, again.checkpoints[40].delta_loss)
    assert not torch.equal(first.checkpoints[40].delta_loss, other.checkpoints[40].delta_loss)


def test_pairs_are_of_like_loss_and_losses_fall():
    m = planted(dataclasses.replace(SMALL, documents=200), 0, ("influence",))
    losses = []
    for _, one in sorted(steps_of(m).items()):
        kept = within_caliper(one.panel, 0.1)
        assert len(kept.a_rows) == len(one.panel.a_rows)
        assert len(kept.a_rows) / (one.panel.label == 1).sum() == pytest.approx(0.9, abs=0.04)
        losses.append(one.panel.loss.mean())
    assert losses == sorted(losses, reverse=True)
    assert losses[0] - losses[-1] == pytest.approx(3, abs=0.1)


def test_the_plateau_gains_on_rare_by_the_dial_a_log_step():
    grown = dataclasses.replace(SMALL, emergence=0.2, memory=1.0, scatter=0.0)
    made = planted(grown, 3, ("influence",))
    plateau, others = made.truth.plateau, np.setdiff1d(np.arange(120), made.truth.plateau)
    leads = []
    for step in grown.steps:
        lean = made.truth.at_step[step][0] - made.truth.at_step[step][1]
        np.testing.assert_allclose(lean[others], grown.class_shift)
        leads.append((lean[plateau] - grown.class_shift).mean())
    np.testing.assert_allclose(leads, 0.2 * np.log(np.array(grown.steps) / 40), atol=1e-12)


def test_memory_is_the_correlation_between_one_checkpoint_and_the_next():
    wide = dataclasses.replace(SMALL, neurons=20_000, documents=2, pairs=2, memory=0.6, early=1.0)
    truth = planted(wide, 0, ("influence",)).truth.at_step
    following = [np.corrcoef(truth[a][1], truth[b][1])[0, 1] for a, b in ((40, 160), (160, 640))]
    assert following == pytest.approx([0.6, 0.6], abs=0.02)
    spread = planted(dataclasses.replace(wide, early=0.5), 0, ("influence",)).truth.at_step
    assert spread[40].std() / spread[2560].std() == pytest.approx(0.5, abs=0.02)


def test_measured_influence_scatters_around_the_truth():
    many = dataclasses.replace(SMALL, documents=600, loss_slope=0.0)
    made = planted(many, 0, ("influence",))
    for step, m in steps_of(made).items():
        for side, rows in enumerate((m.panel.a_rows, m.panel.b_rows)):
            off = mean_log(m, rows) - made.truth.at_step[step][side]
            assert np.std(off) < 0.05, "up to one constant a class"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"steps": (5,)}, "two or more"), ({"steps": (9, 4)}, "rising"), ({"steps": (0, 4)}, "from 1 on"),
     ({"law": "Pareto"}, "lognormal"), ({"memory": 1.2}, "memory is a share")],
)  # fmt: skip
def test_impossible_runs_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(SMALL, **wrong)
