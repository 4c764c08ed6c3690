"""Planted effects: their expectation is the truth, a strength moves what it names, other worlds stay as they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from neuronull.data.measurements import EFFECTS
from neuronull.data.planted import PIECES, Settings, planted, planted_measurements

SMALL = Settings(documents=24, pairs=6, neurons=120, width=16)
STRENGTHS = {
    "entropy_scale": ("direct", "entropy", 0.4),
    "entropy_frequency": ("frequency", "entropy", 0.3),
    "token_effect": ("frequency", "token", 0.5),
}


def world(seed=3, **settings):
    return planted(dataclasses.replace(SMALL, **settings), seed, ["effects"])


def logit(share):
    return np.log(share) - np.log1p(-share)


def test_the_piece_changes_no_other_and_is_made_only_where_asked_for():
    bare, asked = planted_measurements(SMALL, 4), planted_measurements(SMALL, 4, [*PIECES, "effects"])
    for name in ("delta_loss", "activation", "w_out", "w_in"):
        assert torch.equal(getattr(bare, name), getattr(asked, name))
    pd.testing.assert_frame_equal(bare.neurons, asked.neurons)
    assert bare.effects is None
    alone = planted_measurements(SMALL, 4, ["effects"])
    assert torch.equal(alone.effects.absolute, asked.effects.absolute)
    assert alone.delta_loss is None


def test_the_seed_decides_everything():
    first, again, other = (world(seed).measurements.effects.signed for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_sums_scatter_around_the_truth():
    made = planted(Settings(documents=1500, pairs=6, neurons=20), 0, ["effects"])
    absolute, truth = made.measurements.effects.absolute.double(), made.truth.effects.absolute
    ratio = absolute.sum(1) / truth.sum(1)
    # log sd of a document is .42 in all: over 1,500 documents the standard error of a mean is .011
    assert (ratio - 1).abs().max() < 0.06
    assert ratio.mean() == pytest.approx(1, abs=0.03)


def test_truth_is_in_proportion_to_the_documents_pairs():
    made = world()
    panel, truth = made.measurements.panel, made.truth.effects.absolute
    pairs = np.bincount(panel.document[panel.a_rows], minlength=24)
    per_pair = truth / torch.from_numpy(pairs)[:, None, None].double()
    torch.testing.assert_close(per_pair, per_pair[:, :1].expand_as(per_pair))


def test_signed_effects_are_no_larger_than_absolute_ones():
    effects = world().measurements.effects
    assert effects.absolute.shape == (len(EFFECTS), 24, 2, 120)
    assert (effects.signed.abs() <= effects.absolute).all()
    assert (effects.absolute > 0).all()
    assert (effects.signed < 0).any()


@pytest.mark.parametrize("setting", STRENGTHS)
def test_a_strength_takes_its_share_of_one_effect_on_marked_neurons_alone(setting):
    effect, group, strength = STRENGTHS[setting]
    there, twin = world(**{setting: strength}), world()
    ratio = (there.truth.effects.absolute / twin.truth.effects.absolute).numpy()
    expected = np.ones_like(ratio)
    expected[EFFECTS.index(effect)][..., getattr(twin.truth.marked, group)] = 1 - strength
    np.testing.assert_allclose(ratio, expected, rtol=1e-12)


def test_token_neurons_gain_on_the_unigram_effect():
    there, twin = world(token_unigram=0.7), world()
    gain = (there.truth.effects.absolute / twin.truth.effects.absolute).log().numpy()
    expected = np.zeros_like(gain)
    expected[EFFECTS.index("unigram")][..., twin.truth.marked.token] = 0.7
    np.testing.assert_allclose(gain, expected, atol=1e-12)


def test_strengths_of_weights_move_their_columns_on_marked_neurons_alone():
    there, twin = world(entropy_norm=0.5, entropy_weak=1.5, token_direction=1.0), world()
    after, before, marked = there.measurements.neurons, twin.measurements.neurons, twin.truth.marked
    moved = {
        "w_out_norm": (np.log, marked.entropy, 0.5),
        "weak_direction_share": (logit, marked.entropy, 1.5),
        "token_frequency_share": (logit, marked.token, 1.0),
    }
    for name, (form, group, by) in moved.items():
        expected = np.zeros(120)
        expected[group] = by
        np.testing.assert_allclose(form(after[name].to_numpy()) - form(before[name].to_numpy()), expected, atol=1e-9)
    still = [name for name in before if name not in moved]
    pd.testing.assert_frame_equal(after[still], before[still])
    assert not set(marked.entropy) & set(marked.token)


def test_output_weights_have_the_norms_of_the_table():
    made = planted_measurements(dataclasses.replace(SMALL, entropy_norm=1.0), 5, ["weights", "effects"])
    np.testing.assert_allclose(made.w_out.norm(dim=1).numpy(), made.neurons.w_out_norm, rtol=1e-5)


def test_confounding_ties_weights_and_effects_to_activation_scale():
    settings = dataclasses.replace(SMALL, neurons=4000, documents=2, effect_confounding=1.0)
    made = planted(settings, 0, ["effects"])
    log_scale = np.log(made.measurements.neurons["sd"])
    loss, unigram, direct = (
        made.truth.effects.absolute[EFFECTS.index(name), 0, 0].log().numpy() for name in ("loss", "unigram", "direct")
    )
    norm = np.log(made.measurements.neurons["w_out_norm"])
    # one sd each of what follows and of what does not: r = 1 / sqrt(2), se .008
    assert np.corrcoef(norm, log_scale)[0, 1] == pytest.approx(0.71, abs=0.04)
    assert np.corrcoef(unigram - loss, log_scale)[0, 1] == pytest.approx(0.71, abs=0.05)
    assert np.corrcoef(direct - loss, log_scale)[0, 1] == pytest.approx(-0.71, abs=0.05)


@pytest.mark.parametrize("name", ["entropy_scale", "entropy_frequency", "token_effect"])
@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_reduction_is_a_share(name, value):
    with pytest.raises(ValueError, match=f"{name} is a share"):
        Settings(**{name: value})
