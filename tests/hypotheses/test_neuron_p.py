"""A p-value for each neuron against scipy and full enumeration."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import permutation_test

from neuronull.estimators.class_means import ClassSums
from neuronull.hypotheses.inference.permutation import permutation_p, sign_flips
from neuronull.hypotheses.neuron_p import neuron_p_values
from neuronull.hypotheses.nulls.document_swaps import DocumentSwaps

SIDES = ("greater", "less", "two-sided")


def sums_of(x: np.ndarray) -> ClassSums:
    """Of one document a row, weights 1, two halves of the same size."""
    half = torch.arange(len(x)) % 2
    return ClassSums(torch.from_numpy(x)[..., None], torch.ones(len(x), dtype=torch.float64), half)


def values(documents: int, neurons: int, whole: bool = False) -> np.ndarray:
    rng = np.random.default_rng(4)
    x = rng.lognormal(size=(documents, 2, neurons))
    x[:, 0] *= np.linspace(0.8, 1.3, neurons)
    return np.round(2 * x) if whole else x


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("whole", [False, True])  # whole numbers tie
def test_p_is_scipys_on_the_same_draws(side, whole):
    x = values(40, 60, whole)

    def ask(rare, common):
        return permutation_test(
            (rare, common), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis), permutation_type="samples",
            n_resamples=499, vectorized=True, axis=1, alternative=side, rng=np.random.default_rng(2),
        )  # fmt: skip

    unit = np.eye(40)
    swaps = torch.from_numpy(ask(unit, np.zeros_like(unit)).null_distribution < 0)
    expected = ask(np.ascontiguousarray(x[:, 0].T), np.ascontiguousarray(x[:, 1].T)).pvalue
    np.testing.assert_allclose(neuron_p_values(sums_of(x), swaps, side), expected, rtol=1e-12)


@pytest.mark.parametrize("side", SIDES)
def test_p_is_that_of_one_neuron_at_a_time(side):
    x = values(30, 20)
    swaps = DocumentSwaps().draw(30, range(1, 400), 0)
    gap = (x[:, 0] - x[:, 1]) / 15
    null = (1 - 2 * swaps.double().numpy()) @ gap
    expected = [permutation_p(float(gap[:, i].sum()), null[:, i], side).value for i in range(20)]
    np.testing.assert_allclose(neuron_p_values(sums_of(x), swaps, side), expected, rtol=1e-12)


def test_p_over_every_swap_is_the_exact_one():
    x = values(10, 8)
    every = sign_flips(10)
    gap = x[:, 0] - x[:, 1]
    exact = [permutation_p(float(n[0]), n, exact=True).value for n in (np.where(every, -1.0, 1.0) @ gap).T]
    found = neuron_p_values(sums_of(x), torch.from_numpy(every[1:]))  # the observed labels are counted besides
    np.testing.assert_allclose(found, exact, rtol=1e-12)
