"""The tightest module of a set, against enumeration and planted groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from neuronull.estimators import core_module


def correlations(rng: np.random.Generator, n: int, core: int, r: float) -> np.ndarray:
    """Sample correlations of 400 rows whose first `core` columns have r in common."""
    x = rng.standard_normal((400, n))
    x[:, :core] = np.sqrt(1 - r) * x[:, :core] + np.sqrt(r) * rng.standard_normal((400, 1))
    return np.corrcoef(x.T)


def slow_separation(r: np.ndarray, members: set[int]) -> float:
    rest = set(range(len(r))) - members
    within = np.mean([r[i, j] for i, j in itertools.combinations(members, 2)])
    return float(within - np.mean([r[i, j] for i in members for j in rest]))


def test_separation_is_the_naive_loop():
    r = correlations(np.random.default_rng(0), 12, 4, 0.3)
    module = torch.arange(12) < 5
    found = core_module.separation(torch.from_numpy(r), module)
    assert found.item() == pytest.approx(slow_separation(r, set(range(5))))


def test_of_few_neurons_the_best_of_all_modules_is_found():
    for seed in range(10):
        r = correlations(np.random.default_rng(seed), 12, 5, 0.4)
        module = core_module.best_module(torch.from_numpy(r)[None])[0]
        every = (set(m) for k in (5, 6) for m in itertools.combinations(range(12), k))
        best = max(every, key=lambda m: slow_separation(r, m))
        assert set(torch.nonzero(module)[:, 0].tolist()) == best


def test_a_small_tight_group_among_many_is_found():
    r = torch.from_numpy(np.stack([correlations(np.random.default_rng(s), 60, 9, 0.5) for s in range(5)]))
    module = core_module.best_module(r)
    assert (module[:, :9].double().mean() > 0.95).item()
    assert module.sum(1).tolist() == [9] * 5


def test_a_result_does_not_depend_on_its_batch():
    r = torch.from_numpy(np.stack([correlations(np.random.default_rng(s), 20, 0, 0.0) for s in range(4)]))
    alone = torch.cat([core_module.best_module(one[None]) for one in r])
    assert torch.equal(core_module.best_module(r), alone)


def test_copies_are_one_neuron_and_no_module():
    x = np.random.default_rng(3).standard_normal((300, 20))
    x[:, 1:5] = x[:, :1]
    r = torch.from_numpy(np.corrcoef(x.T))[None]
    assert core_module.separation(r, core_module.best_module(r)).item() < 0.2


def test_a_module_has_five_neurons_or_a_sixth_of_the_set():
    assert [core_module.smallest_module(n) for n in (4, 8, 26, 60, 100)] == [3, 5, 5, 9, 15]
