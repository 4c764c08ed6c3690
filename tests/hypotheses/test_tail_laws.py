"""Power laws through tails: a p-value that is one, comparisons that name the right law, and where they are told."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from neuronull.data.options import TestOptions
from neuronull.data.planted import Dials, planted_measurements
from neuronull.hypotheses.suite import run_suite
from neuronull.hypotheses.tail_laws import FEWEST, OTHERS, tail_law, told
from neuronull.reports.tables import also_measured


def test_a_power_law_is_seldom_called_none():
    rng = np.random.default_rng(0)
    p = [tail_law(1 + rng.pareto(1.5, size=80), seed=s).p_of_fit for s in range(100)]
    # at .1 a valid p rejects 10 of 100; more than 22 has a chance of 1 in 10,000
    assert sum(value <= 0.1 for value in p) <= scipy.stats.binom.isf(1e-4, 100, 0.1)
    assert min(p) > 0


def test_no_power_law_is_called_none():
    rng = np.random.default_rng(1)
    assert np.median([tail_law(rng.lognormal(size=4000)).p_of_fit for _ in range(5)]) <= 0.05


def test_the_likelier_law_is_named():
    rng = np.random.default_rng(2)
    heavy, light = tail_law(1 + rng.pareto(1.2, size=3000)), tail_law(1 + rng.exponential(1.0, size=3000))
    assert heavy.against["exponential"].z > 3
    assert heavy.against["exponential"].p < 0.01
    assert light.against["exponential"].z < 1.96
    assert set(light.against) == set(OTHERS)


def test_the_same_seed_gives_the_same_description():
    sample = np.random.default_rng(3).lognormal(size=200)
    assert tail_law(sample, seed=5) == tail_law(sample, seed=5)


@pytest.mark.parametrize("sample", [np.arange(1.0, FEWEST), np.ones(50), np.array([0.0] * 40 + [1.0, 2.0])])
def test_what_has_no_tail_is_not_described(sample: np.ndarray):
    assert tail_law(sample) is None
    assert told(None) == {}


def test_it_stands_beside_the_findings():
    only = ("regimes.shape", "tails.weights")
    result = run_suite(planted_measurements(Dials(neurons=800), seed=3), TestOptions(only=only, replicates=20))
    shape = dict(also_measured(result.finding("regimes.shape")).rows)
    for label in ("rare", "common"):
        assert float(shape[f"power law tail of the {label} curve: exponent"].replace(",", "")) > 1
    spectrum = dict(also_measured(result.finding("tails.weights")).rows)
    assert "eigenvalues beyond the edge" in spectrum
    assert "power law tail of the first half's spectrum: exponent" in spectrum
