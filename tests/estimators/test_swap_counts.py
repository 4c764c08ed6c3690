"""Counts of swaps against a loop and a matrix product in float64, ties included."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch

from neuronull.estimators.class_means import ClassSums, means_under
from neuronull.estimators.swap_counts import class_gaps, swap_counts


def counted(gaps: np.ndarray, swaps: np.ndarray) -> np.ndarray:
    """Swap by swap: the difference after turning signs, against the difference before."""
    observed, slack = gaps.sum(0), 1e-9 * np.abs(gaps).sum(0)
    out = np.zeros((2, gaps.shape[1]), dtype=np.int64)
    for swap in swaps:
        after = np.where(swap[:, None], -gaps, gaps).sum(0)
        out += np.stack([after >= observed - slack, after <= observed + slack])
    return out


def drawn(documents: int, neurons: int, swaps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gaps = rng.lognormal(size=(documents, neurons)) * rng.choice([-1.0, 1.0], (documents, neurons))
    return gaps + 0.05, rng.random((swaps, documents)) < 0.5


# 8 documents a group and 8 neurons a block: fewer, as many, more of both
@pytest.mark.parametrize("documents", [1, 7, 8, 9, 20, 64])
@pytest.mark.parametrize("neurons", [1, 7, 8, 9, 33])
def test_counts_are_the_loops(documents, neurons):
    gaps, swaps = drawn(documents, neurons, 200)
    found = swap_counts(torch.from_numpy(gaps), torch.from_numpy(swaps)).numpy()
    np.testing.assert_array_equal(found, counted(gaps, swaps))


def test_counts_are_those_of_a_float64_matrix_product():
    gaps, swaps = drawn(200, 150, 3000)
    signs = 1.0 - 2.0 * swaps
    product, observed, slack = signs @ gaps, gaps.sum(0), 1e-9 * np.abs(gaps).sum(0)
    found = swap_counts(torch.from_numpy(gaps), torch.from_numpy(swaps)).numpy()
    np.testing.assert_array_equal(found[0], (product >= observed - slack).sum(0))
    np.testing.assert_array_equal(found[1], (product <= observed + slack).sum(0))


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e-7, 3e9])
def test_ties_count_on_both_sides_whatever_their_rounding(scale):
    """Whole numbers times a scale tie in one order of adding and not in another; the whole numbers say how often."""
    rng = np.random.default_rng(1)
    whole, swaps = rng.integers(-3, 4, (40, 24)).astype(float), rng.random((2000, 40)) < 0.5
    found = swap_counts(torch.from_numpy(whole * scale), torch.from_numpy(swaps)).numpy()
    turned = swaps @ whole
    np.testing.assert_array_equal(found, np.stack([(turned <= 0).sum(0), (turned >= 0).sum(0)]))
    assert (found.sum(0) > 2000).all()  # there were ties


def test_nothing_is_left_where_the_classes_are_the_same():
    found = swap_counts(torch.zeros(30, 5), torch.from_numpy(drawn(30, 5, 99)[1]))
    assert (found == 99).all()


def test_threads_and_the_order_of_swaps_change_nothing():
    gaps, swaps = drawn(50, 100, 500)
    both = []
    for threads in (1, numba.config.NUMBA_NUM_THREADS):
        before = numba.get_num_threads()
        numba.set_num_threads(threads)
        try:
            both.append(swap_counts(torch.from_numpy(gaps), torch.from_numpy(swaps[::-1].copy())))
        finally:
            numba.set_num_threads(before)
    assert torch.equal(*both)
    assert torch.equal(both[0], swap_counts(torch.from_numpy(gaps), torch.from_numpy(swaps)))


def test_gaps_are_the_terms_of_the_class_means():
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.lognormal(size=(11, 2, 6, 2)))
    sums = ClassSums(x, torch.from_numpy(rng.integers(1, 6, 11).astype(float)), torch.arange(11) % 2)
    gaps, swaps = class_gaps(sums), torch.from_numpy(rng.random((40, 11)) < 0.5)
    means = means_under(sums, swaps)
    expected = (means[:, :, 0] - means[:, :, 1]).sum(1).flatten(1)
    np.testing.assert_allclose((1 - 2 * swaps.double()) @ gaps, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("gaps", "swaps"),
    [
        (torch.zeros(4, 3), torch.zeros(2, 5, dtype=torch.bool)),
        (torch.zeros(4, 3), torch.zeros(2, 4)),
        (torch.zeros(4), torch.zeros(2, 4, dtype=torch.bool)),
        (torch.full((4, 3), torch.nan), torch.zeros(2, 4, dtype=torch.bool)),
    ],
)
def test_what_does_not_belong_together_is_refused(gaps, swaps):
    with pytest.raises(ValueError, match=r"gap"):
        swap_counts(gaps, swaps)
