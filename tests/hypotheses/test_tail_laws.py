"""Power laws through tails: a p-value that is one, comparisons that name the right law, and where they are told."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import powerlaw
import pytest
import scipy.stats
import torch

from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted_measurements
from neuronull.hypotheses.papers.liu2025.statistics.regimes import described_shape
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.suite import run_suite
from neuronull.hypotheses.tail_laws import FEWEST, OTHERS, tail_law, tail_laws
from neuronull.reports import tables


@pytest.mark.slow
def test_a_power_law_is_seldom_called_none():
    rng = np.random.default_rng(0)
    every = [tail_law(1 + rng.pareto(1.5, size=200), seed=s).p_of_fit for s in range(100)]
    p = [value for value in every if value is not None]  # in some samples a short tail fits best
    assert len(p) > 60
    # at .1 a valid p rejects a tenth; more than this has a chance of 1 in 10,000
    assert sum(value <= 0.1 for value in p) <= scipy.stats.binom.isf(1e-4, len(p), 0.1)
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


def test_a_fit_to_few_values_has_no_p_and_no_evidence():
    law = tail_law(np.random.default_rng(5).lognormal(size=30))
    assert law.p_of_fit is None


def test_other_warnings_of_the_library_are_no_errors(monkeypatch: pytest.MonkeyPatch):
    plain = powerlaw.Fit.distribution_compare

    def warns(*arguments, **keywords):
        warnings.warn("this will change", DeprecationWarning, stacklevel=1)
        return plain(*arguments, **keywords)

    monkeypatch.setattr(powerlaw.Fit, "distribution_compare", warns)
    with pytest.warns(DeprecationWarning, match="this will change"):
        assert tail_law(np.random.default_rng(6).lognormal(size=200)).against


def test_neurons_without_influence_are_no_part_of_the_law():
    made = planted_measurements(Settings(neurons=480), seed=3)
    silent = torch.zeros_like(made.delta_loss)
    silent[:, :80] = made.delta_loss[:, :80]
    prepared = PreparedData(replace(made, delta_loss=silent))
    found = described_shape(prepared).tail_laws["rare curve"]
    assert found.start > 1e-6
    assert found.size <= 80


def test_the_same_seed_gives_the_same_description():
    sample = np.random.default_rng(3).lognormal(size=200)
    assert tail_law(sample, seed=5) == tail_law(sample, seed=5)


@pytest.mark.parametrize("sample", [np.arange(1.0, FEWEST), np.ones(50), np.array([0.0] * 40 + [1.0, 2.0])])
def test_what_has_no_tail_is_not_described(sample: np.ndarray):
    assert tail_laws({"none": sample}) == {}


def test_it_stands_beside_the_findings():
    only = ("regimes.flatness", "tails.weights")
    result = run_suite(planted_measurements(Settings(neurons=800), seed=3), TestOptions(only=only, replicates=20))
    shape = tables.tail_laws(result.finding("regimes.flatness"))
    assert [row[0] for row in shape.rows] == ["rare curve", "common curve"]
    assert all(float(row[1]) > 1 for row in shape.rows)
    assert "decide nothing" in shape.note
    spectra = result.finding("tails.weights")
    assert [row[0] for row in tables.tail_laws(spectra).rows] == ["spectrum A", "spectrum B"]
    also = dict(tables.also_measured(spectra).rows)
    assert "eigenvalues beyond the edge" in also
    assert not any("tail" in name for name in also)
