"""Planted measurements: what was planted is what is measured, nothing else is, and pieces do not disturb each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from neuronull.data.planted import LAWS, PIECES, Settings, planted, planted_measurements
from neuronull.data.planted.activations import true_correlation

SMALL = Settings(documents=24, pairs=6, neurons=120, width=16, heads=5)
MUCH = Settings(documents=900, pairs=12, neurons=100, heads=4, pairs_spread=0.0)


def class_means(m):
    """Mean abs loss change of rare and common, [2, N]."""
    return np.stack([m.delta_loss[rows].abs().double().mean(0).numpy() for rows in (m.panel.a_rows, m.panel.b_rows)])


def same(a, b):
    return all(
        torch.equal(getattr(a, name), getattr(b, name)) for name in ("delta_loss", "activation", "w_in", "w_out")
    )


def test_the_seed_decides_everything():
    first, again, other = (planted_measurements(SMALL, seed) for seed in (1, 1, 2))
    assert same(first, again)
    assert torch.equal(first.heads.effect, again.heads.effect)
    assert not torch.equal(first.delta_loss, other.delta_loss)


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_is_the_same_whatever_else_is_made(piece):
    field = {"influence": "delta_loss", "activations": "activation", "weights": "w_out", "heads": "heads"}[piece]
    alone, whole = (getattr(planted_measurements(SMALL, 4, pieces), field) for pieces in ([piece], PIECES))
    assert torch.equal(alone.effect, whole.effect) if piece == "heads" else torch.equal(alone, whole)
    for other in set(PIECES) - {piece}:
        left_out = {"influence": "delta_loss", "activations": "activation", "weights": "w_out", "heads": "heads"}[other]
        assert getattr(planted_measurements(SMALL, 4, [piece]), left_out) is None


def test_panel_keeps_its_promises():
    m = planted_measurements(SMALL, 0, [])
    p = m.panel
    assert len(p.a_rows) == len(set(p.b_rows.tolist()))
    assert (p.label[p.a_rows] == 1).all()
    assert (p.label[p.b_rows] == 0).all()
    assert (p.document[p.a_rows] == p.document[p.b_rows]).all()
    assert np.bincount(p.half[np.unique(p.document, return_index=True)[1]]).tolist() == [12, 12]
    for row in (0, 17, len(p) - 1):
        ids = m.documents.input_ids[p.document[row]]
        assert (ids[p.position[row]], ids[p.position[row] + 1]) == (p.input_id[row], p.target_id[row])
    assert ((p.target_rank >= 150) == (p.label == 1)).all()


def test_influence_is_the_truth_up_to_one_factor_a_class():
    made = planted(MUCH, 1, ["influence"])
    gap = np.log(class_means(made.measurements)) - made.truth.log_influence
    assert (gap - gap.mean(1, keepdims=True)).std() < 0.03


def test_correlations_are_the_truth():
    made = planted(dataclasses.replace(MUCH, cohesion=0.3), 1, ["activations"])
    measured = np.corrcoef(made.measurements.activation.double().numpy().T)
    true = true_correlation(made.truth.circuit)
    off = ~np.eye(100, dtype=bool)
    assert np.abs(measured - true)[off].mean() < 0.015
    assert np.polyfit(true[off], measured[off], 1)[0] == pytest.approx(1, abs=0.05)
    plateau = np.ix_(made.truth.plateau, made.truth.plateau)
    assert true[plateau].mean() > true.mean() + 0.1


def test_linear_neurons_have_the_correlations_of_their_factors():
    made = planted(dataclasses.replace(SMALL, sparsity=-np.inf), 0, ["activations"])
    c = made.truth.circuit
    expected = c.loadings @ c.loadings.T
    np.fill_diagonal(expected, 1)
    np.testing.assert_allclose(true_correlation(c), expected, atol=1e-4)


def test_head_effects_are_the_truth():
    made = planted(dataclasses.replace(MUCH, documents=400), 1, ["heads"])
    heads = made.measurements.heads
    gap = np.log(heads.effect[:4].mean(1).numpy() / made.truth.head_effect)
    assert np.abs(gap).mean() < 0.03
    assert (heads.effect[~heads.reachable] == 0).all()
    torch.testing.assert_close(heads.effect[-1], heads.effect[:4].sum(0))


@pytest.mark.parametrize("law", LAWS)
def test_laws_have_the_spread_that_was_asked_for(law):
    settings = Settings(documents=2, neurons=4000, law=law, covariate_link=0.0, scatter=0.0, influence_sd=0.8)
    truth = planted(settings, 0, []).truth.log_influence
    assert truth[0].std() == pytest.approx(0.8, rel=0.06)
    assert truth[1].mean() == pytest.approx(-5, abs=0.06)
    assert truth[0] - truth[1] == pytest.approx(np.full(4000, 0.3))


def truth_of(**settings):
    return planted(dataclasses.replace(Settings(documents=2, neurons=600, scatter=0.0), **settings), 3, []).truth


def test_specialists_are_stronger_for_rare_by_what_was_asked():
    plain, special = truth_of(), truth_of(specialists=0.5)
    gap = special.log_influence - plain.log_influence
    assert gap[0, plain.plateau] == pytest.approx(np.full(10, np.log(1.5)))
    assert np.abs(gap[1]).max() == 0
    assert np.abs(np.delete(gap[0], plain.plateau)).max() == 0


@pytest.mark.parametrize(("setting", "classes"), [("flat_rare", [0]), ("flat_both", [0, 1])])
def test_flat_heads_are_flat(setting, classes):
    bent = truth_of(**{setting: 1.0}).log_influence
    for c in (0, 1):
        head = np.sort(bent[c])[::-1][:10]
        assert (np.ptp(head) < 1e-9) == (c in classes)


def test_raised_heads_stand_above():
    gap = truth_of(raised_rare=1.0).log_influence - truth_of().log_influence
    assert (gap[0] > 0.1).sum() == 10
    assert np.abs(gap[1]).max() == 0


def test_recruited_neurons_narrow_the_spread():
    plain, wide = truth_of().log_influence, truth_of(recruited=0.2).log_influence
    assert wide[0].std() == pytest.approx(0.8 * plain[0].std())
    assert np.array_equal(wide[1], plain[1])


def test_neighbouring_indices_are_the_plateaus():
    plateau = truth_of(index_cluster=1.0).plateau
    assert np.diff(plateau).tolist() == [1] * 9
    assert np.diff(truth_of().plateau).max() > 1


def test_modules_are_two_blocks_and_mirrored_neurons_cancel():
    base = dataclasses.replace(SMALL, loading=0.0, background=0.0, block_share=0.0, sparsity=-np.inf)
    blocks = planted(dataclasses.replace(base, modules=0.4), 0, ["activations"]).truth
    inside = true_correlation(blocks.circuit)[np.ix_(blocks.plateau, blocks.plateau)]
    assert sorted(np.round(np.unique(np.round(inside, 6)), 3).tolist()) == [0, 0.4, 1]
    assert (np.isclose(inside, 0.4).sum(1) == 3).all()
    mirror = planted(dataclasses.replace(base, mirrored=0.4), 0, ["activations"]).truth
    signed = true_correlation(mirror.circuit)[np.ix_(mirror.plateau, mirror.plateau)]
    off = signed[~np.eye(8, dtype=bool)]
    assert np.abs(off) == pytest.approx(np.full(56, 0.4), abs=1e-4)
    assert (off > 0).sum() == 24


def test_a_routing_head_acts_more_on_the_plateau_for_rare():
    plain, routed = (planted(dataclasses.replace(SMALL, routing=s), 2, ["heads"]).truth for s in (0, 0.5))
    ratio = routed.head_effect / plain.head_effect
    assert ratio[2, 0, plain.plateau] == pytest.approx(np.full(8, 1.5))
    ratio[2, 0, plain.plateau] = 1
    assert np.abs(ratio - 1).max() < 1e-12


def test_weights_cluster_and_norms_are_the_covariate():
    m = planted(dataclasses.replace(SMALL, weight_cluster=0.6, width=64), 0, ["weights"])
    rows = m.measurements.w_out[m.truth.plateau].double()
    unit = rows / rows.norm(dim=1, keepdim=True)
    cosine = (unit @ unit.T)[~torch.eye(8, dtype=torch.bool)].mean().item()
    assert cosine == pytest.approx(0.6, abs=0.12)
    assert m.measurements.neurons.w_out_norm.to_numpy() == pytest.approx(
        m.measurements.w_out.norm(dim=1).numpy(), rel=1e-5
    )


def test_covariates_are_those_of_the_activations():
    m = planted_measurements(SMALL, 0)
    a = m.activation.numpy()
    assert m.neurons.sd.to_numpy() == pytest.approx(a.std(0), rel=1e-5)
    assert m.neurons.mean_abs.to_numpy() == pytest.approx(np.abs(a).mean(0), rel=1e-5)
    assert m.neurons.sparsity.between(0, 1).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"law": "uniform"}, "law"),
        ({"neurons": 1}, "neurons"),
        ({"recruited": 1.5}, "share"),
        ({"head_sd": -1.0}, "negative"),
        ({"rare_bursts": 1.0}, "share"),
        ({"modules": 0.9}, "add up"),
        ({"scatter": float("nan")}, "nan"),
    ],
)
def test_dials_out_of_range_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(SMALL, **change)


def test_unknown_pieces_are_refused():
    with pytest.raises(ValueError, match="unknown piece 'graphs'"):
        planted(SMALL, 0, ["graphs"])


@pytest.mark.parametrize("change", [{"rare_noise": 2.0}, {"rare_bursts": 0.5}])
def test_noise_on_rare_leaves_its_mean_influence_but_for_one_factor(change):
    """Neurons keep their places: the class as a whole may shift, as `influence_sums` are compared on a log scale."""
    settings = Settings(documents=60, pairs=200, neurons=60, position_sd=0.5, document_neuron_sd=0.0)
    plain, noisy = (planted(dataclasses.replace(settings, **c), 3, ("influence",)) for c in ({}, change))
    panel = plain.measurements.panel
    rare, common = panel.a_rows, panel.b_rows
    of = {name: made.measurements.delta_loss.abs().double() for name, made in (("plain", plain), ("noisy", noisy))}
    log = {name: (x[rare].mean(0).log(), x[common].mean(0).log(), x[rare].log().std()) for name, x in of.items()}
    assert torch.corrcoef(torch.stack([log["plain"][0], log["noisy"][0]]))[0, 1] > 0.99
    torch.testing.assert_close(log["plain"][1], log["noisy"][1], atol=0.1, rtol=0)
    assert log["noisy"][2] > 1.05 * log["plain"][2]
