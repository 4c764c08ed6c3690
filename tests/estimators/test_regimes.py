"""Statistics of the influence curve against loops and curves whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import slow_oracles as slow
import torch

from neuronull.estimators import regimes
from neuronull.estimators.strata import covariate_prediction

N_HEAD = 4


@pytest.fixture
def influence() -> torch.Tensor:
    """[3 (replicates), 2 (half), 2 (class), 60]."""
    return torch.from_numpy(np.exp(np.random.default_rng(0).normal(-3, 1, (3, 2, 2, 60))))


def test_selectivity_is_the_naive_loop(influence):
    means = influence[..., None]
    found = regimes.selectivity(means, regimes.choose_leaning_sets(N_HEAD)(means))
    expected = [slow.selectivity(i, N_HEAD) for i in influence.numpy()]
    assert found[:, 0].tolist() == pytest.approx(expected)


def test_swaps_leave_what_covariates_predict_in_place(influence):
    """Against lstsq and a loop: lean* = fitted + or - residual; no swap is the identity."""
    rng = np.random.default_rng(2)
    table, ordinary, swaps = rng.normal(size=(60, 3)), np.arange(60) >= 5, rng.random(60) < 0.5
    prediction = tuple(map(torch.from_numpy, covariate_prediction(table, ordinary)))
    x = np.column_stack([np.ones(60), table])
    for one in influence:
        drawn = torch.from_numpy(np.stack([np.zeros(60, dtype=bool), swaps]))
        same, swapped = regimes.swap_neurons(one[None, ..., None].expand(2, -1, -1, -1, -1), drawn, prediction)[..., 0]
        logs = one.log().numpy()
        logs = logs - logs.mean(-1, keepdims=True)
        lean, raw = logs[:, 0] - logs[:, 1], (one[:, 0] / one[:, 1]).log().numpy().mean(0)
        fitted = x @ np.linalg.lstsq(x[ordinary], raw[ordinary], rcond=None)[0]
        fitted = fitted - fitted.mean()
        wanted = fitted + np.where(swaps, -1, 1) * (lean - fitted)
        np.testing.assert_allclose(same.log().numpy(), logs, atol=1e-12)
        np.testing.assert_allclose((swapped[:, 0] / swapped[:, 1]).log().numpy(), wanted, atol=1e-12)
        np.testing.assert_allclose(swapped.log().numpy().sum(1), logs.sum(1), atol=1e-12)


def test_shape_is_the_naive_loop(influence):
    means = influence[..., None]
    order = regimes.choose_order(N_HEAD)(means)
    rare = [slow.deviation(i, N_HEAD, 0) for i in influence.numpy()]
    assert regimes.shape(N_HEAD)(means, order)[:, 0].tolist() == pytest.approx(rare)


def test_recruitment_is_the_naive_loop(influence):
    expected = [
        np.mean([math.log(slow.effective_number(h[0]) / slow.effective_number(h[1])) for h in i])
        for i in influence.numpy()
    ]
    assert regimes.recruitment(influence[..., None])[:, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["selectivity", "shape", "recruitment"])
def test_the_scale_of_a_class_does_not_matter(name, influence):
    chosen = {
        "selectivity": (regimes.choose_leaning_sets(N_HEAD), regimes.selectivity),
        "shape": (regimes.choose_order(N_HEAD), regimes.shape(N_HEAD)),
        "recruitment": (regimes.nothing_chosen, regimes.recruitment),
    }
    choose, score = chosen[name]
    means = influence[..., None]
    scaled = means * torch.tensor([7.0, 0.2], dtype=torch.float64)[:, None, None]
    torch.testing.assert_close(score(scaled, choose(scaled)), score(means, choose(means)))


def test_a_power_law_deviates_by_nothing_and_a_flat_head_by_its_gap():
    rank = torch.arange(1, 25, dtype=torch.float64)
    line = 2 - 1.3 * rank.log()
    assert regimes.head_deviation(line, N_HEAD).item() == pytest.approx(0, abs=1e-12)
    flat = torch.where(rank <= N_HEAD, line[N_HEAD], line)
    gap = np.mean([math.log((N_HEAD + 1) / r) for r in range(1, N_HEAD + 1)])
    assert regimes.head_deviation(flat, N_HEAD).item() == pytest.approx(gap)
    raised = torch.where(rank <= N_HEAD, line + 1.3 * 0.7, line)
    assert regimes.head_deviation(raised, N_HEAD).item() == pytest.approx(-0.7)


def test_specialists_that_are_planted_are_measured():
    rng = np.random.default_rng(1)
    base = np.exp(rng.normal(0, 1, 200))
    influence = np.broadcast_to(base, (2, 2, 200)).copy()
    best = slow.top(base, 8)
    influence[:, 0, best] *= 1.5
    means = torch.from_numpy(influence)[None, ..., None]
    found = regimes.selectivity(means, regimes.choose_leaning_sets(8)(means)).item()
    assert found == pytest.approx(2 * math.log(1.5) * (1 - 8 / 200))


def test_largest_come_first_and_ties_go_to_the_lower_index():
    assert regimes.top(torch.tensor([1.0, 3.0, 3.0, 2.0, 3.0]), 4).tolist() == [1, 2, 4, 3]


def test_a_set_is_scored_on_the_other_half():
    influence = torch.ones(1, 2, 2, 6, 1, dtype=torch.float64)
    influence[0, 0, 0, 1] = influence[0, 1, 0, 5] = 9.0
    weight = regimes.choose_leaning_sets(1)(influence)
    assert weight[0, 1].argmax().item() in (0, 1)
    assert weight[0, 1, 1] == 1
    assert weight[0, 0, 5] == 1


def test_swapping_a_neuron_exchanges_its_scale_free_influences(influence):
    means = influence[..., None]
    swaps = torch.zeros(3, 60, dtype=torch.bool)
    swaps[:, 7] = True
    moved = regimes.swap_neurons(means, swaps)[..., 0]
    centred = (influence.log() - influence.log().mean(-1, keepdim=True)).exp()
    torch.testing.assert_close(moved[..., 7], centred[..., 7].flip(2))
    others = [i for i in range(60) if i != 7]
    torch.testing.assert_close(moved[..., others], centred[..., others])


def test_swapping_all_neurons_turns_selectivity_round(influence):
    means = influence[..., None]
    every = regimes.swap_neurons(means, torch.ones(3, 60, dtype=torch.bool))
    choose = regimes.choose_leaning_sets(N_HEAD)
    torch.testing.assert_close(regimes.selectivity(every, choose(every)), -regimes.selectivity(means, choose(means)))


def test_dead_neurons_have_a_logarithm():
    means = torch.zeros(1, 2, 2, 30, 1, dtype=torch.float64)
    means[..., :20, :] = 1.0
    assert torch.isfinite(regimes.log_influence(means)).all()


@pytest.mark.parametrize("knot", [12, 30])
def test_a_planted_knot_is_found(knot):
    n = 2000
    rank = np.arange(1, n + 1)
    logs = np.where(rank <= knot, -0.05 * np.log(rank), -0.05 * np.log(knot) - 1.2 * (np.log(rank) - np.log(knot)))
    logs = np.where(rank > 1200, logs - 4 * (np.log(rank) - np.log(1200)), logs)
    order = np.random.default_rng(0).permutation(n)
    found = regimes.knot_head(torch.from_numpy(np.exp(logs))[order], 8, 100)
    assert found == pytest.approx(knot, rel=0.15)
