"""Controls fail where the pipeline is broken, pass where it is sound, and say what they could not have seen."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from neuronull.data.options import TestOptions
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.planted.settings import Settings
from neuronull.hypotheses.controls import ControlRun, _random_weights, flags_an_effect
from neuronull.hypotheses.papers.liu2025 import controls as labels
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.result import Finding, Result, Role, Verdict
from neuronull.hypotheses.suite import run_suite

WORLD = Settings(documents=60, pairs=20, neurons=480)
ROUTING = dataclasses.replace(WORLD, routing=1.0)


@pytest.fixture(scope="module")
def routed() -> Any:
    return planted_measurements(ROUTING, 0)


@pytest.fixture(scope="module")
def found(routed: Any) -> Result:
    """A run that finds routing, with random weights that show none."""
    options = TestOptions(replicates=199, only=("routing.heads", "control.random_init"))
    return run_suite(routed, options, random_init=lambda: planted_measurements(WORLD, 5))


# random weights -------------------------------------------------------------------------------------------------------


def test_random_weights_pass_only_where_they_would_have_shown_what_is_reported(found: Result) -> None:
    (row,) = [f for f in found.findings if f.role is Role.PRIMARY]
    assert flags_an_effect(row)
    assert found.finding("control.random_init").notes.startswith("passed: none of 1 hypotheses")
    twin = row.model_copy(update={"verdict": Verdict.UNDETERMINED})
    assert row.estimate is not None
    for detectable, draws, state in (
        (row.estimate, 199, "passed"),
        (row.estimate * 1.01, 199, "could not see"),
        (row.estimate, 99, "could not see"),  # with 99 draws no p is below .01
    ):
        seen = twin.model_copy(update={"minimal_detectable_effect": detectable, "replicates": draws})
        outcome = _random_weights(control_run(row, [seen]))
        assert outcome.state == state, (detectable, draws)
        assert ("could_not_see" in outcome.details.further) == (state == "could not see")


def test_random_weights_that_show_an_effect_fail_whatever_else_they_could_not_see(found: Result) -> None:
    row = found.finding("routing.heads")
    other = row.model_copy(update={"hypothesis": "routing.other", "minimal_detectable_effect": 99.0})
    outcome = _random_weights(control_run(row, [other]))
    assert outcome.state == "failed"
    assert outcome.details.found_in_random_weights == ["routing.other"]
    assert outcome.details.further["could_not_see"] == {"routing.heads": None}


def control_run(row: Finding, twin: list[Finding]) -> ControlRun:
    data: Any = None
    return ControlRun(data, TestOptions(), (row,), lambda: twin)


def test_rows_on_random_weights_are_judged_together_and_with_draws_enough(routed: Any) -> None:
    """Four rows of two families at .01: 400 draws, and each p times the rows it is the smallest of."""
    only = ("routing.heads", "routing.concentration", "routing.profile", "regimes.contrast")
    options = TestOptions(replicates=99, only=(*only, "control.random_init"))
    result = run_suite(routed, options, random_init=lambda: routed)
    told = result.finding("control.random_init").notes
    assert told.startswith("failed: routing.heads found an effect, of 4 (Holm over all at .01)")
    row = result.finding("routing.heads")
    assert "found with random weights too" in row.notes
    (claim,) = [c for c in result.claims if c.number == 3]
    assert "routing.heads: found with random weights too" in claim.sentence
    assert "found with random weights too" in claim.headline
    assert not any("random weights" in c.sentence for c in result.claims if c.number != 3)


# shuffled labels ------------------------------------------------------------------------------------------------------


def run_labels(data: Any) -> Finding:
    return run_suite(data, TestOptions(replicates=99, only=("control.permuted_labels",))).finding(
        "control.permuted_labels"
    )


def test_shuffled_labels_pass_though_the_conditions_differ_and_fail_where_the_observed_is_favoured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = planted_measurements(dataclasses.replace(WORLD, specialists=3.0), 1, pieces=("influence",))
    monkeypatch.setattr(labels, "SHUFFLES", 30)
    row = run_labels(data)
    assert row.notes.startswith("passed: p is below .05 in ")
    assert row.replicates == 30
    honest = labels.sample

    def favoured(*given: Any) -> Any:
        drawn = honest(*given)
        for values in (drawn.estimate, drawn.statistic):
            values[0] += 20
        return drawn

    monkeypatch.setattr(labels, "sample", favoured)
    assert run_labels(data).notes.startswith("failed: p is below .05 in 30 of 30")


def test_the_rate_that_would_show_is_that_of_the_binomial() -> None:
    fewest = next(k for k in range(1, 101) if scipy.stats.beta.ppf(0.01, k, 101 - k) > 0.05)
    rate = labels._seen_rate(100, 0.05)
    assert scipy.stats.binom.sf(fewest - 1, 100, rate) >= 0.8 > scipy.stats.binom.sf(fewest - 1, 100, rate - 0.01)


# whole layers ---------------------------------------------------------------------------------------------------------


def run_layers(data: Any, effect: torch.Tensor) -> Result:
    changed = dataclasses.replace(data, heads=dataclasses.replace(data.heads, effect=effect))
    return run_suite(changed, TestOptions(replicates=99, only=("control.whole_layer", "routing.heads")))


def test_a_layer_that_matters_little_is_no_fault_and_one_that_does_less_than_its_heads_is(routed: Any) -> None:
    heads = routed.heads
    at = int(heads.layer[heads.reachable].min())
    layer, whole = torch.from_numpy(heads.layer == at), torch.from_numpy(heads.head < 0)
    weak = heads.effect.clone()
    weak[layer] *= 1e-3
    result = run_layers(routed, weak)
    assert result.finding("control.whole_layer").notes.startswith("passed")
    assert not any("control" in c.sentence for c in result.claims)
    for factor in (0.0, 0.3):
        broken = heads.effect.clone()
        broken[layer & whole] = factor * broken[layer & ~whole].mean(0)
        result = run_layers(routed, broken)
        assert f"in layer {at}" in result.finding("control.whole_layer").notes
        (claim,) = result.claims
        assert "routing.heads: control.whole_layer failed" in claim.sentence
        assert "control.whole_layer failed" in result.finding("routing.heads").notes


def test_dead_neurons_do_not_count(routed: Any) -> None:
    data = PreparedData(routed)
    before = run_layers(routed, routed.heads.effect).finding("control.whole_layer").estimate
    padded = dataclasses.replace(
        routed.heads,
        effect=torch.cat([routed.heads.effect, torch.zeros_like(routed.heads.effect)], -1),
        neuron=torch.arange(2 * data.measurements.n_neurons),
    )
    from neuronull.hypotheses.controls import _mean_effect

    rows = np.flatnonzero(padded.reachable & (padded.head < 0)).tolist()
    assert min(_mean_effect(padded, r) for r in rows) == pytest.approx(before)
