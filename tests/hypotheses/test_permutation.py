"""Permutation p-values against scipy, enumeration, closed forms and their own definition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronull.hypotheses.inference.permutation import (
    besag_clifford,
    clopper_pearson,
    enough_replicates,
    max_t,
    permutation_p,
    sign_flips,
)

SIDES = ("greater", "less", "two-sided")
numbers = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=25)


def paired_mean(x, y, axis):
    return np.mean(x - y, axis=axis)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("seed", range(4))
def test_exact_p_is_scipys_over_all_sign_flips(side, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0.4, 1, 9), rng.normal(0, 1, 9)
    signs = np.where(sign_flips(9), -1.0, 1.0)
    null = (signs * (x - y)).mean(1)
    expected = scipy.stats.permutation_test(
        (x, y), paired_mean, permutation_type="samples", vectorized=True, n_resamples=np.inf, alternative=side
    ).pvalue
    assert permutation_p(null[0], null, side, exact=True).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("side", SIDES)
def test_random_p_is_scipys_on_the_same_draws(side):
    rng = np.random.default_rng(5)
    x, y = rng.normal(0.5, 1, 30), rng.normal(0, 1, 25)
    there = scipy.stats.permutation_test(
        (x, y),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        vectorized=True,
        n_resamples=499,
        alternative=side,
        rng=np.random.default_rng(1),
    )
    here = permutation_p(float(there.statistic), there.null_distribution, side)
    assert here.value == pytest.approx(there.pvalue, abs=1e-12)
    assert here.replicates == 499


def test_random_p_agrees_with_full_enumeration():
    rng = np.random.default_rng(0)
    y = rng.normal(0.5, 1, 10)
    every = np.where(sign_flips(10), -1.0, 1.0) @ y
    exact = permutation_p(every[0], every, exact=True).value
    drawn = np.where(rng.random((20_000, 10)) < 0.5, -1.0, 1.0) @ y
    assert permutation_p(every[0], drawn).value == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))


def test_fishers_exact_test_by_enumeration():
    group = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    success = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0])
    tables = [success[list(chosen)].sum() for chosen in combinations(range(9), 4)]
    table = [[3, 1], [1, 4]]
    expected = scipy.stats.fisher_exact(table, alternative="greater").pvalue
    observed = float(success[group].sum())
    assert permutation_p(observed, np.array(tables, dtype=float), exact=True).value == pytest.approx(expected)


def test_sign_test_by_enumeration():
    signs = np.where(sign_flips(11), -1, 1)
    observed = np.array([1, 1, 1, 1, 1, 1, 1, 1, -1, -1, 1])
    expected = scipy.stats.binomtest(9, 11, 0.5, alternative="greater").pvalue
    assert permutation_p(float(observed.sum()), signs.sum(1).astype(float), exact=True).value == pytest.approx(expected)


def test_mann_whitney_by_enumeration():
    x, y = np.array([1.1, 2.5, 4.2, 5.0]), np.array([0.3, 0.9, 1.7, 2.2, 3.1])
    ranks = scipy.stats.rankdata(np.concatenate([x, y]))
    null = np.array([ranks[list(c)].sum() for c in combinations(range(9), 4)])
    expected = scipy.stats.mannwhitneyu(x, y, alternative="greater", method="exact").pvalue
    assert permutation_p(float(ranks[:4].sum()), null, exact=True).value == pytest.approx(expected)


@given(numbers)
@settings(deadline=None)
def test_p_is_super_uniform_over_exchangeable_values(values):
    """Each of 1 + B exchangeable values is the observed one equally often: P(p <= a) <= a for every a, exactly."""
    x = np.array(values)
    p = np.array([permutation_p(x[i], np.delete(x, i)).value for i in range(len(x))])
    for a in np.unique(p):
        assert (p <= a + 1e-12).mean() <= a + 1e-12


@given(numbers, st.sampled_from(SIDES))
@settings(deadline=None)
def test_p_is_never_0_and_never_above_1(values, side):
    p = permutation_p(values[0], np.array(values[1:]), side).value
    assert 1 / len(values) <= p <= 1


@given(numbers, st.randoms(use_true_random=False), st.sampled_from(SIDES))
@settings(deadline=None)
def test_p_ignores_the_order_of_draws(values, random, side):
    null = values[1:]
    shuffled = list(null)
    random.shuffle(shuffled)
    assert permutation_p(values[0], np.array(null), side) == permutation_p(values[0], np.array(shuffled), side)


@given(numbers, st.sampled_from([1e-12, 1e-6, 0.3, 1e6, 1e12]), st.sampled_from(SIDES))
@settings(deadline=None)
def test_p_ignores_the_unit(values, scale, side):
    x = np.array(values)
    assert permutation_p(x[0], x[1:], side) == permutation_p(scale * x[0], scale * x[1:], side)


def test_p_mirrors():
    x = np.random.default_rng(3).normal(size=50)
    assert permutation_p(x[0], x[1:], "less").value == permutation_p(-x[0], -x[1:], "greater").value


def test_rounding_does_not_hide_a_tie():
    assert permutation_p(0.3, np.array([0.1 + 0.2, 0.3 - 1e-16, 0.0])).value == pytest.approx(3 / 4)
    assert permutation_p(0.3, np.array([0.3 - 1e-6, 0.0, 0.0])).value == pytest.approx(1 / 4)


def test_interval_of_p_is_clopper_pearsons():
    p = permutation_p(1.0, np.r_[np.full(7, 2.0), np.zeros(93)])
    there = scipy.stats.binomtest(7, 100).proportion_ci(0.95, "exact")
    assert (p.low, p.high) == pytest.approx((there.low, there.high))
    assert clopper_pearson(0, 10)[0] == 0
    assert clopper_pearson(10, 10)[1] == 1


@pytest.mark.parametrize(
    ("observed", "null"), [(np.nan, [1.0]), (1.0, [np.nan]), (1.0, [np.inf]), (1.0, []), (1.0, [[1.0]])]
)
def test_values_that_make_no_p_are_refused(observed, null):
    with pytest.raises(ValueError, match=r"finite|non-empty"):
        permutation_p(observed, np.array(null, dtype=float))


# several statistics ---------------------------------------------------------------------------------------------


def naive_max_t(observed, null):
    """Westfall, Young 1993, algorithm 4.1, word by word."""
    order = sorted(range(len(observed)), key=lambda k: -observed[k])
    adjusted, before = [0.0] * len(observed), 0.0
    for place, k in enumerate(order):
        remaining = order[place:]
        count = sum(max(draw[j] for j in remaining) >= observed[k] for draw in null)
        before = max(before, (1 + count) / (1 + len(null)))
        adjusted[k] = before
    return adjusted


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 30))
@settings(deadline=None, max_examples=50)
def test_max_t_is_the_naive_loop(seed, statistics, draws):
    rng = np.random.default_rng(seed)
    observed, null = (
        rng.integers(-3, 4, statistics).astype(float),
        rng.integers(-3, 4, (draws, statistics)).astype(float),
    )
    assert max_t(observed, null).tolist() == pytest.approx(naive_max_t(observed, null))


def test_max_t_of_one_statistic_is_its_p_and_more_cost_more():
    rng = np.random.default_rng(1)
    null = rng.normal(size=(199, 8))
    observed = rng.normal(1, 1, 8)
    adjusted = max_t(observed, null)
    raw = np.array([permutation_p(o, null[:, k]).value for k, o in enumerate(observed)])
    assert max_t(observed[:1], null[:, :1])[0] == raw[0]
    assert (adjusted >= raw).all()
    assert (np.diff(adjusted[np.argsort(-observed)]) >= 0).all()


def test_max_t_holds_the_family_wise_rate_on_correlated_statistics():
    rng = np.random.default_rng(2)
    data = rng.normal(size=(2000, 40, 6)) + 1.5 * rng.normal(size=(2000, 40, 1))
    hits = [max_t(row[0], row[1:]).min() <= 0.1 for row in data]
    assert np.mean(hits) <= 0.1 + 3 * np.sqrt(0.09 / 2000)


def test_max_t_refuses_draws_of_another_width():
    with pytest.raises(ValueError, match=r"\[B, 3\]"):
        max_t(np.zeros(3), np.zeros((5, 2)))


# few draws, many draws ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicates", "alpha", "rows", "least"),
    [
        (2, 0.05, 1, 20),
        (19, 0.05, 1, 20),
        (20, 0.05, 1, None),
        (59, 0.05, 3, 60),
        (60, 0.05, 3, None),
        (99, 0.01, 1, 100),
    ],
)
def test_two_baselines_are_too_few(replicates, alpha, rows, least):
    assert enough_replicates(replicates, alpha, rows) == least
    if least is not None:
        assert rows / (1 + least) < alpha
        assert rows / least >= alpha - 1e-12


def test_sign_flips_are_all_different_and_begin_with_none():
    flips = sign_flips(6)
    assert len({tuple(row) for row in flips.tolist()}) == 64
    assert not flips[0].any()
    with pytest.raises(ValueError, match="too many"):
        sign_flips(17)


def test_besag_clifford_stops_at_the_last_hit():
    draws = np.array([0.0, 2.0, 0.0, 3.0, 5.0, 0.0])
    assert besag_clifford(draws, 1.0, hits=2) == (2 / 4, 4)
    assert besag_clifford(draws, 1.0, hits=3) == (3 / 5, 5)
    assert besag_clifford(draws, 1.0, hits=4) == (4 / 7, 6)
    with pytest.raises(ValueError, match="at least 1"):
        besag_clifford(draws, 1.0, hits=0)


def test_besag_clifford_is_valid():
    rng = np.random.default_rng(0)
    p = np.array([besag_clifford(x[1:], x[0], hits=5)[0] for x in rng.random((8000, 60))])
    for a in (0.05, 0.1, 0.2):
        assert (p <= a).mean() <= a + 3 * np.sqrt(a * (1 - a) / 8000)
