"""The lean beyond the power relation, against loops and relations whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import slow_oracles as slow
import torch

from neuronull.estimators import lean, regimes

N_HEAD = 8


def curves(rng: np.random.Generator, n: int = 400, exponent: float = 1.0, scatter: float = 0.1) -> np.ndarray:
    """Log influence [2 (half), 2 (class), n], the classes related by a power."""
    level = rng.normal(0, 1, n)
    logs = np.stack([exponent * level, level]) + scatter * rng.standard_normal((2, n))
    return logs + 0.05 * rng.standard_normal((2, 2, n))


def slow_selectivity(logs: np.ndarray, n_head: int) -> tuple[float, float]:
    """Exponent and lean, neuron by neuron."""
    chosen = [[set(slow.top(half[c], n_head)) for c in (0, 1)] for half in logs]
    every = chosen[0][0] | chosen[0][1] | chosen[1][0] | chosen[1][1]
    ordinary = [i for i in range(logs.shape[-1]) if i not in every]
    away = logs - logs[:, :, ordinary].mean(2, keepdims=True)
    s_aa, s_bb = (np.mean([away[0, c, i] * away[1, c, i] for i in ordinary]) for c in (0, 1))
    s_ab = np.mean([away[:, 0, i].mean() * away[:, 1, i].mean() for i in ordinary])
    beta = (s_aa - s_bb + np.sqrt((s_aa - s_bb) ** 2 + 4 * s_ab**2)) / (2 * s_ab)
    total = 0.0
    for h in (0, 1):
        for members in chosen[1 - h]:
            total += np.mean([away[h, 0, i] / beta**0.5 - away[h, 1, i] * beta**0.5 for i in members]) / 2
    return float(beta), float(total)


def found(logs: np.ndarray, score) -> float:
    means = torch.from_numpy(np.exp(logs))[None, ..., None]
    return score(means, lean.choose(N_HEAD)(means)).item()


@pytest.mark.parametrize("exponent", [0.8, 1.0, 1.2])
def test_it_is_the_naive_loop(exponent):
    logs = curves(np.random.default_rng(4), exponent=exponent)
    beta, value = slow_selectivity(logs, N_HEAD)
    assert found(logs, lean.selectivity) == pytest.approx(value, rel=1e-6)
    means = torch.from_numpy(np.exp(logs))[None, ..., None]
    relation = lean.relation(torch.from_numpy(logs)[None], lean.choose(N_HEAD)(means)[1])
    assert relation.exponent.item() == pytest.approx(beta)


@pytest.mark.parametrize("exponent", [0.9, 1.1])
def test_a_power_is_no_lean_and_specialists_are_one(exponent):
    rng = np.random.default_rng(7)
    plain, planted = [], []
    for _ in range(40):
        logs = curves(rng, exponent=exponent)
        plain.append(found(logs, lean.selectivity))
        logs[:, 0, slow.top(logs[0, 1], N_HEAD)] += 0.3
        planted.append(found(logs, lean.selectivity))
    assert abs(np.mean(plain)) < 0.03
    assert np.mean(planted) == pytest.approx(0.6, abs=0.15)  # sets are found in part


def test_the_exponent_has_no_bias_from_scatter():
    rng = np.random.default_rng(5)
    exponents = []
    for _ in range(20):
        logs = torch.from_numpy(curves(rng, n=2000, exponent=1.2, scatter=0.4))[None]
        exponents.append(lean.relation(logs, torch.full((1, 2000), 1 / 2000, dtype=torch.float64)).exponent.item())
    assert np.mean(exponents) == pytest.approx(1.2, abs=0.01)


def test_a_parabola_is_a_lean_and_is_none_beyond_a_parabola():
    rng = np.random.default_rng(6)
    straight, curved = [], []
    for _ in range(20):
        logs = curves(rng, n=800)
        logs[:, 0] += 0.04 * logs[:, 1] ** 2
        straight.append(found(logs, lean.selectivity))
        curved.append(found(logs, lean.bent))
    assert np.mean(straight) > 0.25
    assert abs(np.mean(curved)) < 0.3 * np.mean(straight)


def test_swapping_every_neuron_turns_the_lean_round_and_none_leaves_it():
    influence = torch.from_numpy(np.exp(curves(np.random.default_rng(8), exponent=1.3)))
    scale = lean.scale(influence, N_HEAD)
    assert (scale[0] / scale[1]).item() == pytest.approx(1.3, abs=0.05)
    swaps = torch.stack([torch.zeros(400, dtype=torch.bool), torch.ones(400, dtype=torch.bool)])
    means = regimes.swap_neurons(influence[None, ..., None], swaps, None, scale)
    value = lean.selectivity(means, lean.choose(N_HEAD)(means))[:, 0]
    assert value[0].item() == pytest.approx(found(influence.log().numpy(), lean.selectivity))
    assert value[1].item() == pytest.approx(-value[0].item(), abs=0.03)  # the relation is fitted anew
