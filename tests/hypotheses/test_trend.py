"""The trend over training: against loops over checkpoints, joint swaps, what is refused, planted null and effect."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch

from neuronull.data.errors import InputError, MissingInput
from neuronull.data.measurements import OnDemand
from neuronull.data.options import TestOptions
from neuronull.data.planted import TrainingSettings, planted
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.calibration import run
from neuronull.hypotheses.choice import choose
from neuronull.hypotheses.engine import sample
from neuronull.hypotheses.inference.intervals import jackknife_se
from neuronull.hypotheses.papers.liu2025.scenarios.worlds import TRAINING
from neuronull.hypotheses.papers.liu2025_emergence.statistics.trend import CALIPER
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.result import Verdict
from neuronull.hypotheses.suite import run_suite
from neuronull.hypotheses.truth import TrueWorld

SMALL = TrainingSettings(documents=40, pairs=3, neurons=96, steps=(1, 9, 40, 300), unmatched=0.45)
TREND = catalogue.hypothesis("emergence.trend")


@pytest.fixture(scope="module")
def prepared() -> PreparedData:
    return PreparedData(planted(SMALL, 5, ("influence",)).measurements, "8")


def by_step(prepared):
    return dict(prepared.measurements.checkpoints) | {prepared.measurements.training_step: prepared.measurements}


def close_pairs(m):
    """(document, rare row, common row) of pairs within the caliper, by loops."""
    scale = np.std([loss for loss, label in zip(m.panel.loss, m.panel.label, strict=True) if label >= 0])
    pairs = [(int(m.panel.document[r]), r, int(c)) for r, c in enumerate(m.panel.match) if c >= 0]
    return [(d, r, c) for d, r, c in pairs if abs(m.panel.loss[r] - m.panel.loss[c]) <= CALIPER * scale]


def common_documents(prepared):
    found = [{d for d, _, _ in close_pairs(m)} for m in by_step(prepared).values()]
    return sorted(set.intersection(*found))


def influences(prepared, m, documents, swapped=()):
    """[2 (half), 2 (class), N] by loops, classes exchanged in the documents of `swapped`."""
    out, count = np.zeros((2, 2, m.n_neurons)), np.zeros(2)
    half_of = dict(zip(prepared.documents.tolist(), prepared.half.tolist(), strict=True))
    change = m.delta_loss.double().abs().numpy()
    for d, r, c in close_pairs(m):
        if d in documents:
            rare, common = (c, r) if d in swapped else (r, c)
            out[half_of[d], 0] += change[rare]
            out[half_of[d], 1] += change[common]
            count[half_of[d]] += 1
    return out / count[:, None, None]


def chosen(influence, n):
    """Per scored half the plateaus of rare and of common, chosen on the other half."""
    return [[np.argsort(-influence[1 - h, c], kind="stable")[:n] for c in (0, 1)] for h in (0, 1)]


def relation(influence, sets):
    """Log influence less its mean over ordinary neurons, [2 (half), 2 (class), N], and the scale of each class."""
    every = set(np.concatenate([s for half in sets for s in half]).tolist())
    ordinary = [i for i in range(influence.shape[-1]) if i not in every]
    away = np.log(influence) - np.log(influence)[..., ordinary].mean(-1, keepdims=True)
    s_aa, s_bb = ((away[0, c] * away[1, c])[ordinary].mean() for c in (0, 1))
    s_ab = (away[:, 0].mean(0) * away[:, 1].mean(0))[ordinary].mean()
    beta = (s_aa - s_bb + np.sqrt((s_aa - s_bb) ** 2 + 4 * s_ab**2)) / (2 * s_ab)
    return away, np.sqrt([beta, 1 / beta])


def selectivity(influence, sets):
    away, scale = relation(influence, sets)
    total = 0.0
    for h in (0, 1):
        total += sum((away[h, 0] / scale[0] - away[h, 1] / scale[1])[s].mean() for s in sets[h]) / 2
    return total


def slope_of(prepared, influence_at):
    values = [selectivity(i, chosen(i, prepared.n_head)) for i in influence_at.values()]
    return np.polyfit(np.log(list(influence_at)), values, 1)[0]


def all_influences(prepared, **changed):
    documents = common_documents(prepared)
    return {s: influences(prepared, m, documents, **changed) for s, m in sorted(by_step(prepared).items())}


def test_the_estimate_is_the_slope_of_a_loop_over_checkpoints(prepared):
    assert 20 <= len(common_documents(prepared)) < len(prepared.documents)
    bound = TREND.statistic.bind(prepared)
    found = bound.evaluate("labels", bound.identity("labels"), range(1), 0).estimate
    assert found.item() == pytest.approx(slope_of(prepared, all_influences(prepared)), rel=1e-9)


def test_a_document_swap_is_the_same_at_every_checkpoint(prepared):
    bound = TREND.statistic.bind(prepared)
    draws = torch.from_numpy(np.random.default_rng(1).random((3, len(prepared.documents))) < 0.5)
    found = bound.evaluate("labels", draws, range(1, 4), 0)
    for row, draw in enumerate(draws.numpy()):
        swapped = set(prepared.documents[draw].tolist())
        expected = slope_of(prepared, all_influences(prepared, swapped=swapped))
        assert found.estimate[row].item() == pytest.approx(expected, rel=1e-9)


def test_a_neuron_swap_is_the_same_at_every_checkpoint_and_half(prepared):
    bound = TREND.statistic.bind(prepared)
    draws = np.random.default_rng(2).random((3, prepared.measurements.n_neurons)) < 0.5
    found = bound.evaluate("influence", torch.from_numpy(draws), range(1, 4), 0).estimate
    for row, draw in enumerate(draws):
        swapped = {}
        for step, influence in all_influences(prepared).items():
            scale = relation(influence, chosen(influence, prepared.n_head))[1][:, None]
            scaled = (np.log(influence) - np.log(influence).mean(-1, keepdims=True)) / scale
            swapped[step] = np.exp(np.where(draw, scaled[:, ::-1], scaled) * scale)
        assert found[row].item() == pytest.approx(slope_of(prepared, swapped), rel=1e-9)


def test_without_a_document_by_loops_with_the_sets_fixed(prepared):
    bound = TREND.statistic.bind(prepared)
    documents, steps = common_documents(prepared), sorted(by_step(prepared).items())
    sets = {s: chosen(i, prepared.n_head) for s, i in all_influences(prepared).items()}
    without = bound.leave_one_out()[:, 0].numpy()
    for place, d in enumerate(prepared.documents.tolist()):
        rest = [other for other in documents if other != d]
        values = [selectivity(influences(prepared, m, rest), sets[s]) for s, m in steps]
        assert without[place] == pytest.approx(np.polyfit(np.log([s for s, _ in steps]), values, 1)[0], rel=1e-8)


def test_the_statistic_is_the_estimate_over_the_scatter_of_its_influence_function(prepared):
    """t against delete-one values: with n documents both agree to first order."""
    bound = TREND.statistic.bind(prepared)
    found = bound.evaluate("labels", bound.identity("labels"), range(1), 0)
    value, t = found.estimate.item(), found.statistic.item()
    implied = abs(value) / np.sqrt((value / t) ** 2 - value**2 / len(prepared.documents)) if t else 0.0
    assert implied == pytest.approx(
        abs(value) / jackknife_se(bound.leave_one_out()[:, 0].numpy(), prepared.half), rel=0.2
    )


def test_the_report_is_told_every_step_and_step_0_beside_them(prepared):
    start = dataclasses.replace(prepared.measurements.checkpoints[9], panel=prepared.measurements.panel)
    steps = dict(prepared.measurements.checkpoints) | {0: start}
    measurements = dataclasses.replace(prepared.measurements, checkpoints=steps)
    result = run_suite(measurements, TestOptions(replicates=39, only=("emergence",), set_size="8"))
    row = result.finding("emergence.trend")
    told = row.details.further
    assert [key for key in told if key.startswith("step_")] == ["step_0", "step_1", "step_9", "step_40", "step_300"]
    assert told["steps"] == 4
    for step, influence in all_influences(prepared).items():
        expected = selectivity(influence, chosen(influence, prepared.n_head))
        assert told[f"step_{step}"]["selectivity"] == pytest.approx(expected, rel=1e-9)
        assert told[f"step_{step}"]["standard_error_over_documents"] > 0
    assert row.estimate == pytest.approx(slope_of(prepared, all_influences(prepared)), rel=1e-9), "step 0 is not in it"
    assert row.null_model == "document_swaps+neuron_swaps"
    assert len([f for f in result.findings if f.hypothesis == "emergence.trend"]) == 3


# --- what is refused -------------------------------------------------------------------------------------------------


def with_steps(prepared, change):
    return PreparedData(
        dataclasses.replace(prepared.measurements, checkpoints=change(dict(prepared.measurements.checkpoints))), "8"
    )


def refusal(prepared):
    with pytest.raises(MissingInput) as refused:
        TREND.statistic.bind(prepared)
    return str(refused.value)


def test_without_checkpoints_it_is_not_run_and_says_how_to_get_them(prepared):
    result = run_suite(
        dataclasses.replace(prepared.measurements, checkpoints={}), TestOptions(replicates=39, only=("emergence",))
    )
    row = result.finding("emergence.trend")
    assert row.verdict is Verdict.NOT_RUN
    assert "neuronull measure --revision STEP --out DIR/checkpoints/STEP" in row.notes
    assert "neuronull run --measurements DIR" in row.notes


def test_three_steps_are_needed_and_step_0_is_none_of_them(prepared):
    few = with_steps(prepared, lambda steps: {0: steps[1], 40: steps[40]})
    assert "2 checkpoints from step 1 on can be used, 3 are needed" in refusal(few)


def test_a_step_whose_pairs_differ_in_loss_is_left_out_and_named(prepared):
    def worse(steps):
        m = steps[1]
        of_class = np.where(m.panel.label == 1, 2.05, 2.0) + 0.01 * np.random.default_rng(0).normal(size=len(m.panel))
        matched = np.isin(np.arange(len(m.panel)), [*m.panel.a_rows, *m.panel.b_rows])
        losses = np.where(matched, of_class, np.linspace(0, 4, len(m.panel)))  # the rest gives the caliper its scale
        return steps | {1: dataclasses.replace(m, panel=dataclasses.replace(m.panel, loss=losses))}

    changed = with_steps(prepared, worse)
    details = TREND.statistic.bind(changed).describe().further
    assert details["steps"] == 3
    assert "pairs differ in loss by" in details["step_1_left_out"]
    fewer = with_steps(prepared, lambda steps: {1: worse(steps)[1], 40: steps[40]})
    assert "step 1: pairs differ in loss by" in refusal(fewer)


def test_two_steps_with_the_same_weights_are_refused(prepared):
    assert "steps 40 and 50 hold the same weights" in refusal(
        with_steps(prepared, lambda steps: steps | {50: steps[40]})
    )


def test_too_few_documents_at_all_steps_are_refused(prepared):
    """Enough at each step, but not the same ones."""

    def without(steps):
        found = {1: range(12), 9: range(26, 40)}
        for step, documents in found.items():
            panel = steps[step].panel
            match = np.where(np.isin(panel.document, list(documents)), -1, panel.match)
            steps[step] = dataclasses.replace(steps[step], panel=dataclasses.replace(panel, match=match))
        return steps

    assert "documents hold pairs of like loss, 20 are needed" in refusal(with_steps(prepared, without))


def test_nulls_of_one_model_alone_are_refused_in_one_line(prepared):
    for null in ("influence_law", "label_swaps"):
        with pytest.raises(InputError, match=r"choose (neuron|document)_swaps"):
            sample(TREND.statistic.bind(prepared), catalogue.nulls.get(null), prepared, 3, 0)


def test_checkpoints_are_asked_for_once_each_and_only_by_the_trend(prepared):
    asked = []
    kept = dict(prepared.measurements.checkpoints)
    lazy = OnDemand({step: lambda step=step: asked.append(step) or kept[step] for step in kept})
    measurements = dataclasses.replace(prepared.measurements, checkpoints=lazy)
    run_suite(measurements, TestOptions(replicates=59, only=("specialists.selectivity",)))
    assert asked == []
    run_suite(measurements, TestOptions(replicates=39, only=("emergence", "control.random_init")))
    assert sorted(asked) == sorted(kept)


def test_the_default_suite_leaves_it_out():
    assert "emergence.trend" not in [h.id for h in choose(TestOptions()).hypotheses]
    assert "emergence.trend" in [h.id for h in choose(TestOptions(suite="full")).hypotheses]


# --- planted ---------------------------------------------------------------------------------------------------------


def rows_of(name, datasets, monkeypatch):
    monkeypatch.setattr(run, "REPLICATES", 99)
    return run.run_chunk(run.Chunk(name, ("emergence.trend",), 0, datasets))["rows"]["emergence.trend"]


def test_planted_growth_is_found_and_its_size_recovered(monkeypatch):
    rows = rows_of("emergence.trend@emergence=0.08", 4, monkeypatch)
    assert all(row["verdict"] == "supported" for row in rows)
    estimates, truths = (np.mean([row["outputs"][0][k] for row in rows if row["outputs"][0][5]]) for k in (0, 5))
    assert estimates == pytest.approx(truths, rel=0.25)


def test_specialists_that_are_there_from_the_start_are_no_trend(monkeypatch):
    rows = rows_of("training.constant", 12, monkeypatch)
    rejected = sum(row["p"] < 0.05 for row in rows)
    assert rejected <= scipy.stats.binom.ppf(0.999, len(rows), 0.05)


def test_the_truth_of_a_world_without_noise_is_what_is_measured():
    quiet = dataclasses.replace(
        TRAINING, emergence=0.1, scatter=0.0, position_sd=0.0, document_neuron_sd=0.0, document_class_sd=0.0,
        loss_slope=0.0, memory=1.0, neurons=120, documents=24, early_gap=0.0, unmatched=0.0,
    )  # fmt: skip
    made = planted(quiet, 0, ("influence",))
    prepared = PreparedData(made.measurements, "8")
    bound = TREND.statistic.bind(prepared)
    null = catalogue.nulls.get("document_swaps")
    sampled = sample(bound, null, prepared, 19, 0)
    truth = bound.true_values(TrueWorld(TREND.statistic, bound, prepared, made.truth, None, null, sampled, 0))
    assert float(sampled.estimate[0, 0]) == pytest.approx(truth[0], rel=1e-5)
    assert truth[0] == pytest.approx(2 * 0.1, rel=1e-5), "both sets gain it, and the mean of the others is taken off"
