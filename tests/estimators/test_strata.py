"""Strata of like neurons and their balance."""

from __future__ import annotations

import numpy as np
import pytest

from neuronull.estimators import strata


@pytest.fixture
def table() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([np.exp(rng.normal(0, 2, 400)), rng.normal(size=400), rng.normal(size=400) * 0.1], axis=1)


@pytest.mark.parametrize(("smallest", "cells"), [(400, 1), (201, 1), (200, 2), (100, 4), (60, 4), (50, 8)])
def test_as_many_cells_as_hold_enough(table, smallest, cells):
    found = strata.strata(table, smallest)
    counts = np.bincount(found)
    assert len(counts) == cells
    assert counts.min() >= smallest
    assert counts.max() - counts.min() <= 1


def test_odd_numbers_leave_every_cell_large_enough():
    table = np.random.default_rng(1).normal(size=(101, 3))
    assert np.bincount(strata.strata(table, 25)).min() >= 25


def test_the_first_split_is_at_the_median_of_the_first_component():
    rng = np.random.default_rng(2)
    common = rng.normal(size=300)
    table = np.stack([common + 0.1 * rng.normal(size=300), common + 0.1 * rng.normal(size=300)], axis=1)
    found = strata.strata(table, 150)
    low, high = (common[found == s] for s in (0, 1))
    assert max(np.mean(low > np.median(common)), np.mean(low < np.median(common))) > 0.9
    assert len(low) == len(high) == 150


def test_strata_ignore_units_and_order(table):
    found = strata.strata(table, 50)
    rescaled = strata.strata(table * np.array([3.0, 10.0, 0.2]), 50)
    assert np.array_equal(found, rescaled)
    order = np.random.default_rng(3).permutation(400)
    assert len(set(zip(found[order].tolist(), strata.strata(table[order], 50).tolist(), strict=True))) == 8


def test_skewed_positive_covariates_are_logged_and_constant_ones_dropped(table):
    x = strata.standardised_covariates(np.column_stack([table, np.full(400, 7.0)]))
    logs = np.log(table[:, 0])
    np.testing.assert_allclose(x[:, 0], (logs - logs.mean()) / logs.std())
    np.testing.assert_allclose(x[:, 1], (table[:, 1] - table[:, 1].mean()) / table[:, 1].std())
    assert (x[:, 3] == 0).all()


def test_balance_is_the_naive_loop(table):
    cells = strata.strata(table, 100)
    members = np.array([3, 50, 77, 200, 391])
    x = strata.standardised_covariates(table)
    expected = [
        np.mean([x[i, k] - np.mean([x[j, k] for j in range(400) if cells[j] == cells[i]]) for i in members])
        for k in range(3)
    ]
    np.testing.assert_allclose(strata.balance(table, members, cells), expected)


def test_a_whole_stratum_is_balanced(table):
    cells = strata.strata(table, 100)
    assert np.abs(strata.balance(table, np.flatnonzero(cells == 2), cells)).max() < 1e-12


def test_an_empty_stratum_is_refused(table):
    with pytest.raises(ValueError, match="at least one"):
        strata.strata(table, 0)
