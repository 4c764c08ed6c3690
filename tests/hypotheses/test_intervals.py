"""Jackknife, intervals and equivalence against loops, closed forms, statsmodels and pingouin."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pingouin
import pytest
import scipy.stats
from statsmodels.stats.weightstats import ttost_paired

from neuronull.hypotheses.inference import intervals


@pytest.fixture
def documents():
    rng = np.random.default_rng(0)
    return rng.normal(0.3, 1, 31), np.arange(31) % 2


def two_half_mean(y, half):
    return (y[half == 0].mean() + y[half == 1].mean()) / 2


def without_each(y, half, statistic):
    return np.array([statistic(np.delete(y, d), np.delete(half, d)) for d in range(len(y))])


def test_jackknife_of_a_mean_is_its_standard_error(documents):
    y, half = documents
    se = intervals.jackknife_se(without_each(y, half, two_half_mean), half)
    a, b = y[half == 0], y[half == 1]
    assert se == pytest.approx(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)) / 2)


def test_jackknife_is_the_naive_loop(documents):
    y, half = documents
    theta = without_each(np.exp(y), half, lambda v, h: np.log(two_half_mean(v, h)))
    total = 0.0
    for side in (0, 1):
        rows = [t for t, h in zip(theta, half, strict=True) if h == side]
        mean = sum(rows) / len(rows)
        total += (len(rows) - 1) / len(rows) * sum((t - mean) ** 2 for t in rows)
    assert intervals.jackknife_se(theta, half) == pytest.approx(total**0.5)


def test_jackknife_needs_two_documents_a_half():
    with pytest.raises(ValueError, match="half 1 has 1"):
        intervals.jackknife_se(np.zeros(4), np.array([0, 0, 0, 1]))


def test_pseudo_values_of_a_mean_are_the_data():
    y = np.random.default_rng(1).normal(size=12)
    without = (y.sum() - y) / 11
    assert intervals.pseudo_values(y.mean(), without) == pytest.approx(y)


def test_interval_is_students():
    there = scipy.stats.t.interval(0.9, 14, loc=2.0, scale=0.5)
    here = intervals.t_interval(2.0, 0.5, 14, 0.9)
    assert (here.low, here.high) == pytest.approx(there)
    normal = intervals.t_interval(2.0, 0.5, np.inf, 0.9)
    assert (normal.low, normal.high) == pytest.approx(scipy.stats.norm.interval(0.9, 2.0, 0.5))
    with pytest.raises(ValueError, match="level"):
        intervals.t_interval(0, 1, 5, 95)


def quadratic_world(rng, true, documents=60, features=12):
    """Estimate of |delta|^2 = `true` by a product of two halves: estimate, jackknife SE, variance made in pairs."""
    noise = 0.3
    x = rng.normal(np.sqrt(true / features), noise, (2, documents // 2, features))
    mean, n = x.mean(1), documents // 2
    left = [(mean[h] * n - x[h]) / (n - 1) for h in (0, 1)]
    without = np.concatenate([left[0] @ mean[1], left[1] @ mean[0]])
    half = np.repeat([0, 1], n)
    second = (((left[0] - mean[0]) @ (left[1] - mean[1]).T) ** 2).sum() * ((n - 1) / n) ** 2
    return mean[0] @ mean[1], intervals.jackknife_se(without, half), second


@pytest.mark.parametrize("true", [0.0, 0.01, 0.03, 0.1, 1.0])
def test_an_interval_of_a_quadratic_estimate_covers_at_0_and_beyond(true):
    rng, worlds = np.random.default_rng(3), 2000
    made = [quadratic_world(rng, true) for _ in range(worlds)]
    found = [intervals.quadratic_interval(*one, 29, 0.95) for one in made]
    misses = np.array([[i.low > true, i.high < true] for i in found]).mean(0)
    assert 0.93 < 1 - misses.sum() < 0.97
    assert misses.max() < 0.04
    if true == 0:
        plain = [intervals.t_interval(estimate, se, 29, 0.95) for estimate, se, _ in made]
        assert np.mean([i.low <= 0 <= i.high for i in plain]) > 0.985, "the jackknife has the variance twice"


@pytest.mark.parametrize("estimate", [-0.5, 0.0, 0.2, 2.0, 50.0])
def test_bounds_of_a_quadratic_estimate_are_where_its_variance_says(estimate):
    se, in_pairs, df = 0.7, 0.1, 20
    found = intervals.quadratic_interval(estimate, se, in_pairs, df, 0.95)
    t, first = scipy.stats.t.ppf(0.975, df), se**2 - 2 * in_pairs
    assert found.low < estimate < found.high

    def variance(x):
        return in_pairs + first * max(x, 0) / max(estimate, t * in_pairs**0.5)

    for bound in (found.low, found.high):
        assert (estimate - bound) ** 2 == pytest.approx(t**2 * variance(bound))


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_bounds_of_a_quadratic_estimate_have_no_step_and_no_pole(level):
    """Growth read off at an estimate near 0, noise over noise, had given an upper end of 10 million."""
    estimates = np.sort(np.concatenate([np.linspace(-0.05, 0.3, 1401), [-1e-9, 1e-9, 1e-300]]))
    found = [intervals.quadratic_interval(e, 0.1, 0.001, 29, level) for e in estimates]
    assert all(i.low < e < i.high for i, e in zip(found, estimates, strict=True))
    for end in ([i.low for i in found], [i.high for i in found]):
        assert np.abs(np.diff(end)).max() < 0.004
    plain = intervals.t_interval(0.0, 0.1, 29, level)
    assert max(i.high - i.low for i in found) < 2 * (plain.high - plain.low)
    without = intervals.quadratic_interval(-0.1, 0.1, 0.0, 29, level)
    assert without == intervals.t_interval(-0.1, 0.1, 29, level)


def test_far_from_0_a_quadratic_estimate_has_the_plain_interval():
    found = intervals.quadratic_interval(100.0, 1.0, 1e-4, 20, 0.95)
    plain = intervals.t_interval(100.0, 1.0, 20, 0.95)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=0.03)


@pytest.mark.parametrize("margin", [0.2, 0.5, 1.0])
def test_two_one_sided_tests_are_statsmodels_and_pingouins(margin):
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.1, 1, 25), rng.normal(0, 1, 25)
    se = (x - y).std(ddof=1) / 5
    here = intervals.equivalence_p((x - y).mean(), se, 24, margin, two_sided=True)
    assert here == pytest.approx(ttost_paired(x, y, -margin, margin)[0])
    tost = pingouin.tost(x, y, bound=margin, paired=True)
    column = "p_val" if "p_val" in tost else "pval"
    assert here == pytest.approx(float(pd.DataFrame(tost)[column].iloc[0]))


def test_one_sided_equivalence_is_a_t_test_against_the_margin():
    y = np.random.default_rng(3).normal(0, 1, 20)
    here = intervals.equivalence_p(y.mean(), y.std(ddof=1) / 20**0.5, 19, 0.4, two_sided=False)
    assert here == pytest.approx(scipy.stats.ttest_1samp(y, 0.4, alternative="less").pvalue)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("estimate", [-0.7, -0.2, 0.0, 0.2, 0.6])
def test_equivalence_p_is_the_level_at_which_the_interval_fits(estimate, two_sided):
    p = intervals.equivalence_p(estimate, 0.2, 17, 0.5, two_sided)
    for alpha in (0.8 * p, min(1.2 * p, 0.499)):
        if not 0 < alpha < 0.5:
            continue
        i = intervals.t_interval(estimate, 0.2, 17, 1 - 2 * alpha)
        inside = i.high < 0.5 and (not two_sided or i.low > -0.5)
        assert inside == (p < alpha)


def test_equivalence_without_noise():
    assert intervals.equivalence_p(0.1, 0.0, 9, 0.5, two_sided=False) == 0
    assert intervals.equivalence_p(0.5, 0.0, 9, 0.5, two_sided=False) == 1
    assert intervals.equivalence_p(-0.6, 0.0, 9, 0.5, two_sided=False) == 0
    assert intervals.equivalence_p(-0.6, 0.0, 9, 0.5, two_sided=True) == 1


def test_detectable_effect_is_detected_four_times_in_five():
    se, alpha, rows = 0.3, 0.05, 3
    effect = intervals.minimal_detectable_effect(se, alpha, rows)
    power = scipy.stats.norm.sf(scipy.stats.norm.ppf(1 - alpha / rows) - effect / se)
    assert power == pytest.approx(0.8)
    assert intervals.effect_decided_on(se, alpha, rows, 0.1, absence=True) == pytest.approx(effect + 0.1)


@pytest.mark.parametrize("margin", [0.05, 2.0])
def test_a_presence_is_supported_four_times_in_five_at_the_effect_it_is_said_to_detect(margin):
    """Both an adjusted p and an estimate at the margin are needed, and the harder of the two sets the effect."""
    se, alpha, rows = 0.3, 0.05, 3
    effect = intervals.effect_decided_on(se, alpha, rows, margin, absence=False)
    needed = max(margin, scipy.stats.norm.ppf(1 - alpha / rows) * se)
    assert scipy.stats.norm.sf((needed - effect) / se) == pytest.approx(0.8)


def test_supportable_margin_is_supported_four_times_in_five():
    se, alpha = 0.3, 0.05
    margin = intervals.smallest_supportable_margin(se, alpha)
    upper_bound_below = scipy.stats.norm.cdf((margin - scipy.stats.norm.ppf(1 - alpha) * se) / se)
    assert upper_bound_below == pytest.approx(0.8)


def test_doubt_is_raised_for_few_documents_and_skew():
    symmetric = np.linspace(-1, 1, 60)
    assert intervals.coverage_warning(60, symmetric) == ""
    assert "49 documents" in intervals.coverage_warning(49, symmetric)
    assert "skew the estimate by +." in intervals.coverage_warning(60, np.exp(2 * symmetric))
    assert "skew the estimate by -." in intervals.coverage_warning(60, -np.exp(2 * symmetric))
    alone = np.append(np.linspace(-1, 1, 119), 9.0)
    assert "one document makes 6" in intervals.coverage_warning(120, alone)
    assert intervals.coverage_warning(120, alone, share=0.5) == ""
    skewed = np.repeat([0.0, 1.0], [48, 12])  # skewness 1.5
    assert "skewed" in intervals.coverage_warning(60, skewed)
    assert intervals.coverage_warning(60, skewed, share=0.5) == ""  # documents are a quarter of the error's variance
    assert intervals.coverage_warning(240, np.repeat(skewed, 4)) == ""  # the mean of many is not skewed
    assert intervals.coverage_warning(60, np.ones(60)) == ""
    assert intervals.coverage_warning(60, None) == ""


def test_skewness_of_an_estimate_is_that_of_a_sum_of_parts():
    """Against simulation: the mean of 40 exponential contrasts plus a normal error of the same variance."""
    rng = np.random.default_rng(3)
    documents, runs = 40, 200_000
    mean = rng.gamma(documents, size=runs) / documents
    seen = scipy.stats.skew(mean + rng.normal(scale=documents**-0.5, size=runs))
    contrasts = np.sort(scipy.stats.expon.ppf((np.arange(100_000) + 0.5) / 100_000))
    share = 0.5**0.5
    told = intervals.estimate_skewness(contrasts, share) * (len(contrasts) / documents) ** 0.5
    assert told == pytest.approx(2 / documents**0.5 * share**3, rel=0.02)
    assert told == pytest.approx(seen, abs=4 * (6 / runs) ** 0.5 + 0.003)
