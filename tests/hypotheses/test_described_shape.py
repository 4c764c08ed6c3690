"""What stands beside `regimes.flatness`: knots of the drawn curves, and distances from smooth laws."""

from __future__ import annotations

import pytest

from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted_measurements
from neuronull.hypotheses.figure_data import curves
from neuronull.hypotheses.nulls.influence_law import LAWS
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.suite import run_suite
from neuronull.reports.tables import also_measured


@pytest.fixture(scope="module")
def measurements():
    return planted_measurements(Settings(), seed=3)


def test_the_knots_drawn_are_those_of_the_lowest_bic_and_stand_beside_the_finding(measurements):
    result = run_suite(measurements, TestOptions(only=("regimes.flatness",), replicates=20))
    beside = result.finding("regimes.flatness").details
    assert set(beside.further["distance_of_the_rare_curve_from"]) == set(LAWS)
    told = dict(also_measured(result.finding("regimes.flatness")).rows)
    assert told["distance of the rare curve from: lognormal"].startswith(".")
    for curve in result.curves:
        fits = beside.broken_lines[curve.label]
        assert [len(f.knots) for f in fits] == [0, 1, 2]
        assert [len(f.slopes) for f in fits] == [1, 2, 3]
        lowest = min(fits, key=lambda f: f.bic)
        assert curve.knots == list(lowest.knots)
        assert (curve.knots_low, curve.knots_high) == (list(lowest.low), list(lowest.high))
        assert all(low <= high for low, high in zip(curve.knots_low, curve.knots_high, strict=True))


def test_knots_are_the_same_in_every_run(measurements):
    assert curves(PreparedData(measurements)) == curves(PreparedData(measurements))
