"""Strata of like neurons and their balance."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from neuronull.estimators import strata


@pytest.fixture
def table() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([np.exp(rng.normal(0, 2, 400)), rng.normal(size=400), rng.normal(size=400) * 0.1], axis=1)


@pytest.mark.parametrize(("smallest", "cells"), [(400, 1), (201, 1), (200, 2), (130, 3), (60, 6), (50, 8)])
def test_as_many_cells_as_hold_enough(table, smallest, cells):
    counts = np.bincount(strata.strata(table[:, 1], smallest))
    assert len(counts) == cells
    assert counts.min() >= smallest
    assert counts.max() - counts.min() <= 1


def test_odd_numbers_leave_every_cell_large_enough():
    assert np.bincount(strata.strata(np.random.default_rng(1).normal(size=101), 25)).tolist() == [26, 25, 25, 25]


def test_strata_are_runs_of_consecutive_scores(table):
    found = strata.strata(table[:, 1], 60)
    assert (np.diff(found[np.argsort(table[:, 1])]) >= 0).all()
    assert np.array_equal(found, strata.strata(np.exp(table[:, 1]), 60)), "units do not matter"
    order = np.random.default_rng(3).permutation(400)
    assert np.array_equal(strata.strata(table[order, 1], 60), found[order]), "nor does the neurons' order"


@pytest.mark.parametrize("neurons", [150, 400])
def test_predicted_influence_is_the_least_squares_fit_of_statsmodels(table, neurons):
    """Products of covariates enter where there are twenty neurons a column (ten columns here)."""
    rng = np.random.default_rng(4)
    table = table[:neurons]
    score = np.log(table[:, 0]) + rng.normal(size=(2, neurons))
    x = strata.standardised_covariates(table)
    products = [x[:, [0]] * x[:, [1]], x[:, [0]] * x[:, [2]], x[:, [1]] * x[:, [2]]]
    basis = [x, x**2, *(products if neurons >= 200 else [])]
    expected = np.stack([sm.OLS(s, sm.add_constant(np.column_stack(basis))).fit().fittedvalues for s in score])
    np.testing.assert_allclose(strata.predicted_influence(table, score), expected, atol=1e-9)


def test_the_spread_of_residuals_is_found_where_a_covariate_tells_it(table):
    rng = np.random.default_rng(6)
    residual = np.exp(0.5 * table[:, 1]) * rng.normal(size=(2, 400))
    spread = strata.residual_spread(table, residual)
    for one in spread:
        assert np.corrcoef(np.log(one), table[:, 1])[0, 1] > 0.9
    np.testing.assert_allclose(strata.residual_spread(table, 7 * residual), 7 * spread, rtol=1e-6)


def test_a_constant_covariate_predicts_nothing(table):
    score = np.random.default_rng(5).normal(size=400)
    with_constant = np.column_stack([table, np.full(400, 7.0)])
    np.testing.assert_allclose(
        strata.predicted_influence(with_constant, score), strata.predicted_influence(table, score), atol=1e-9
    )


def test_no_influence_counts_as_the_smallest():
    np.testing.assert_allclose(strata.log_influence(np.array([0.0, 0.5, 2.0])), np.log([0.5, 0.5, 2.0]))
    assert (strata.log_influence(np.zeros(3)) == 0).all()


def test_skewed_positive_covariates_are_logged_and_constant_ones_dropped(table):
    x = strata.standardised_covariates(np.column_stack([table, np.full(400, 7.0)]))
    logs = np.log(table[:, 0])
    np.testing.assert_allclose(x[:, 0], (logs - logs.mean()) / logs.std())
    np.testing.assert_allclose(x[:, 1], (table[:, 1] - table[:, 1].mean()) / table[:, 1].std())
    assert (x[:, 3] == 0).all()


def test_balance_is_the_naive_loop(table):
    cells = strata.strata(table[:, 1], 100)
    members = np.array([3, 50, 77, 200, 391])
    x = strata.standardised_covariates(table)
    expected = [
        np.mean([x[i, k] - np.mean([x[j, k] for j in range(400) if cells[j] == cells[i]]) for i in members])
        for k in range(3)
    ]
    np.testing.assert_allclose(strata.balance(table, members, cells), expected)


def test_a_whole_stratum_is_balanced(table):
    cells = strata.strata(table[:, 1], 100)
    assert np.abs(strata.balance(table, np.flatnonzero(cells == 2), cells)).max() < 1e-12


def test_an_empty_stratum_is_refused(table):
    with pytest.raises(ValueError, match="at least one"):
        strata.strata(table[:, 1], 0)
