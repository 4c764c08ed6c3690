"""Weight-space statistics against loops and laws whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import slow_oracles as slow
import torch

from neuronull.estimators import weights


@pytest.fixture
def w() -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(0).normal(size=(80, 12)) * np.exp(np.random.default_rng(1).normal(size=(80, 1)))
    )


@pytest.fixture
def sets() -> torch.Tensor:
    rng = np.random.default_rng(2)
    return torch.from_numpy(np.stack([rng.permutation(80)[:9] for _ in range(5)]))


def test_rows_have_length_1_or_stay_0(w):
    w[4] = 0
    norm = weights.unit_rows(w).norm(dim=1)
    assert norm[4] == 0
    assert norm[torch.arange(80) != 4].tolist() == pytest.approx([1] * 79)


def test_mean_cosine_is_the_naive_loop(w, sets):
    found = weights.mean_cosine(weights.unit_rows(w), sets)
    assert found.tolist() == pytest.approx([slow.mean_cosine(w.numpy(), s) for s in sets.tolist()])


def test_hill_alpha_is_the_naive_loop(w, sets):
    found = weights.hill_alpha(weights.unit_rows(w), sets)
    assert found.tolist() == pytest.approx([slow.hill(w.numpy(), s) for s in sets.tolist()])


def test_hill_alpha_of_a_pareto_spectrum_is_its_exponent():
    n, alpha = 200, 1.5
    values = (np.arange(1, n + 1) / n) ** (-1 / alpha)
    q = np.linalg.qr(np.random.default_rng(3).normal(size=(n, n)))[0]
    gram = torch.from_numpy(q @ np.diag(values) @ q.T)
    rows = torch.linalg.cholesky(gram)
    assert weights.hill_alpha(rows, torch.arange(n)[None]).item() == pytest.approx(alpha, rel=0.1)


def test_heavier_tails_have_smaller_alphas(w):
    rng = np.random.default_rng(4)
    even = torch.from_numpy(rng.normal(size=(40, 64)))
    heavy = even * torch.arange(1, 65, dtype=torch.float64) ** -0.8
    every = torch.arange(40)[None]
    assert weights.hill_alpha(weights.unit_rows(heavy), every) < weights.hill_alpha(weights.unit_rows(even), every)


def test_nearest_gap_is_the_naive_loop(sets):
    found = weights.nearest_index_gap(sets, 80)
    assert found.tolist() == pytest.approx([slow.nearest_gap(s, 80) for s in sets.tolist()])


def test_neighbours_lie_closer_than_spread_neurons():
    together, spread = torch.arange(30, 40), torch.arange(0, 80, 8)
    near, far = weights.nearest_index_gap(torch.stack([together, spread]), 80)
    assert near > 0 > far
