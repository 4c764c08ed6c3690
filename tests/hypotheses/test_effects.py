"""Effect sizes and mixed models against formulae and other code paths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pingouin
import pytest
import scipy.integrate
import scipy.stats

from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted_measurements
from neuronull.hypotheses.inference.effects import document_effect, mixed_model, shared_variance
from neuronull.hypotheses.suite import run_suite


def bayes_factor_by_quadrature(t: float, n: int, scale: float = 0.707) -> float:
    """Rouder et al. (2009), equation 1, for one sample: integral over g of the Cauchy prior's mixing law."""
    df = n - 1

    def integrand(g: float) -> float:
        inflated = 1 + n * g * scale**2
        law = (2 * np.pi) ** -0.5 * g**-1.5 * np.exp(-1 / (2 * g))
        return inflated**-0.5 * (1 + t**2 / (inflated * df)) ** (-(df + 1) / 2) * law

    return scipy.integrate.quad(integrand, 0, np.inf)[0] / (1 + t**2 / df) ** (-(df + 1) / 2)


@pytest.mark.parametrize("shift", [0.0, 0.2, 0.6])
def test_document_effects_are_their_formulae(shift):
    x = np.random.default_rng(0).normal(shift, 1.0, 60)
    found = document_effect(x)
    t = scipy.stats.ttest_1samp(x, 0).statistic
    assert found.cohen_d == pytest.approx(x.mean() / x.std(ddof=1))
    assert found.bf10 == pytest.approx(bayes_factor_by_quadrature(t, 60), rel=1e-3)
    assert found.d_low < found.cohen_d < found.d_high


def test_the_interval_of_d_covers():
    rng = np.random.default_rng(1)
    found = [document_effect(rng.normal(0.4, 1.0, 80)) for _ in range(300)]
    covered = sum(f.d_low <= 0.4 <= f.d_high for f in found)
    assert scipy.stats.binom.ppf(1e-4, 300, 0.95) <= covered <= scipy.stats.binom.ppf(1 - 1e-4, 300, 0.95)


@pytest.mark.parametrize("x", [np.ones(30), np.array([1.0, 2.0]), np.array([1.0, np.nan, 2.0, 3.0])])
def test_no_effect_size_of_contrasts_that_do_not_vary_or_are_not_there(x):
    assert document_effect(x) is None


def test_balanced_mixed_models_are_the_analysis_of_variance():
    """With equal documents REML's intercept is the grand mean, its se that of the document means."""
    rng = np.random.default_rng(2)
    document = np.repeat(np.arange(40), 10)
    y = 0.3 + rng.normal(0, 1, 40)[document] + rng.normal(0, 0.5, 400)
    found = mixed_model(y, document)
    means = y.reshape(40, 10).mean(1)
    assert found.estimate == pytest.approx(y.mean(), abs=1e-6)
    assert found.se == pytest.approx(means.std(ddof=1) / np.sqrt(40), rel=1e-3)
    within = y.reshape(40, 10).var(1, ddof=1).mean()
    assert found.document_sd == pytest.approx(np.sqrt(means.var(ddof=1) - within / 10), rel=1e-2)


def test_a_variance_at_its_bound_is_said():
    rng = np.random.default_rng(3)
    found = mixed_model(rng.normal(size=200) - np.tile([1.0, -1.0], 100), np.repeat(np.arange(100), 2))
    assert "not positive definite" in found.doubt


@pytest.mark.parametrize("specialists", [0.0, 0.5])
def test_the_mixed_model_of_pairs_agrees_with_the_estimate_of_selectivity(specialists):
    measurements = planted_measurements(Settings(neurons=640, specialists=specialists), 1, ["influence"])
    rows = run_suite(measurements, TestOptions(replicates=199, only=("specialists.selectivity",))).findings
    mixed = rows[0].details.further["mixed_model"]
    assert abs(mixed["estimate"] - rows[0].estimate) < 2 * mixed["se"]
    assert rows[0].details.document_effect is None, "a Bayes factor over documents would take neurons as given"


def test_rows_that_only_documents_decide_tell_their_bayes_factor():
    measurements = planted_measurements(Settings(neurons=960, flat_rare=1.0, covariate_link=0.0), 0, ["influence"])
    nulls = {"regimes.contrast": "document_swaps"}
    row = run_suite(measurements, TestOptions(replicates=199, only=("regimes.contrast",), nulls=nulls)).findings[0]
    both = run_suite(measurements, TestOptions(replicates=199, only=("regimes.contrast",))).findings[0]
    assert both.details.document_effect is None, "neurons are a second source of chance"
    effect = row.details.document_effect
    assert effect.cohen_d == row.effect_size
    assert effect.bf10 > 1


def test_shared_variance_of_equal_clusters_is_that_of_pingouin():
    rng = np.random.default_rng(4)
    cluster = np.repeat(np.arange(12), 5)
    values = rng.normal(size=12)[cluster] + rng.normal(size=60)
    table = pd.DataFrame({"target": cluster, "rater": np.tile(np.arange(5), 12), "value": values})
    one = pingouin.intraclass_corr(table, "target", "rater", "value").iloc[0]
    found = shared_variance(values, cluster)
    low, high = one.filter(like="CI95").iloc[0]
    assert found.share == pytest.approx(one["ICC"], rel=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.0051)  # pingouin rounds to two places


def test_shared_variance_covers_in_unequal_clusters():
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(20), rng.integers(1, 12, 20))
    found = []
    for _ in range(400):
        values = np.sqrt(0.3) * rng.normal(size=20)[cluster] + np.sqrt(0.7) * rng.normal(size=len(cluster))
        found.append(shared_variance(values, cluster))
    assert np.mean([one.low <= 0.3 <= one.high for one in found]) == pytest.approx(0.95, abs=0.035)
    assert np.mean([one.share for one in found]) == pytest.approx(0.3, abs=0.03)


def test_shared_variance_needs_clusters_that_can_differ():
    values = np.arange(6.0)
    assert shared_variance(values, np.arange(6)) is None
    assert shared_variance(values, np.zeros(6, int)) is None
    assert shared_variance(np.array([1.0, 1.0, 2.0, 2.0]), np.array([0, 0, 1, 1])) is None
