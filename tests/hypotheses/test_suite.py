"""The suite as a whole: planted effects are found, null worlds are not flagged, and nothing depends on workers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from neuronull.data.errors import InputError
from neuronull.data.options import TestOptions
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.planted.settings import Settings
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.choice import choose
from neuronull.hypotheses.controls import flags_an_effect
from neuronull.hypotheses.result import COLUMNS, Kind, Result, Role, Verdict
from neuronull.hypotheses.suite import run_suite

WORLD = Settings(documents=60, pairs=20, neurons=480)
EVERYTHING = (
    "regimes", "clusters", "routing", "routing.closure", "specialists", "coordination", "tails", "emergence", "control",
)  # fmt: skip
CONTROLS = {control.id for control in catalogue.controls(catalogue.shipped())}


@pytest.fixture(scope="module")
def null_result() -> Result:
    return run_suite(planted_measurements(WORLD, 1), TestOptions(replicates=99, only=EVERYTHING))


@pytest.mark.parametrize(
    ("setting", "strength", "hypothesis"),
    [
        ("specialists", 1.5, "specialists.selectivity"),
        ("modules", 0.35, "clusters.within"),
        ("cohesion", 0.3, "clusters.cohesion"),
        ("routing", 1.0, "routing.heads"),
        ("cohesion", 0.35, "coordination.dimension"),
        ("weight_cluster", 0.3, "clusters.weights"),
    ],
)
def test_a_strong_planted_effect_is_found(setting: str, strength: float, hypothesis: str) -> None:
    world = dataclasses.replace(WORLD, documents=80, **{setting: strength})
    result = run_suite(planted_measurements(world, 0), TestOptions(replicates=199, only=(hypothesis,)))
    assert flags_an_effect(result.finding(hypothesis)), str(result.finding(hypothesis))


@pytest.mark.slow
def test_null_worlds_are_flagged_no_more_often_than_chance_has_it(null_result: Result) -> None:
    verdicts = ("regimes", "clusters", "routing.heads", "routing.concentration", "coordination", "tails")
    options = TestOptions(replicates=99, only=verdicts)
    others = [run_suite(planted_measurements(WORLD, seed), options) for seed in (2, 3)]
    rows = [f for r in (null_result, *others) for f in r.findings if f.role is Role.PRIMARY]
    flagged = [f.hypothesis for f in rows if flags_an_effect(f)]
    assert len(flagged) <= scipy.stats.binom.ppf(0.999, len(rows), 0.05), flagged


def test_every_declared_hypothesis_and_control_has_a_row(null_result: Result) -> None:
    found = {f.hypothesis for f in null_result.findings}
    declared = {h.id for paper in catalogue.shipped() if paper.default for h in paper.hypotheses}
    assert found == (declared | CONTROLS) - {"specialists.closure"}, "a family stands for what would run of it"


def test_a_family_stands_for_what_would_run_of_it() -> None:
    def chosen(**given: Any) -> list[str]:
        return [h.id for h in choose(TestOptions(**given)).hypotheses]

    assert chosen(only=("routing",)) == ["routing.heads", "routing.concentration", "routing.profile"]
    assert chosen(only=("routing",), suite="full")[-1] == "routing.closure"
    assert chosen(only=("emergence",)) == ["emergence.trend"], "a family of none that would run stands for all"
    assert {"specialists.closure", "routing.closure"} <= set(chosen(suite="full")) - set(chosen())


def test_p_values_are_never_zero_and_intervals_hold_their_estimate(null_result: Result) -> None:
    for f in null_result.findings:
        assert f.p_value is None or f.p_value >= 1 / 100
        if f.verdict_low is not None and f.verdict_high is not None and f.estimate is not None:
            assert f.verdict_low <= f.estimate <= f.verdict_high


def test_holm_is_over_the_verdict_rows_of_a_family(null_result: Result) -> None:
    for family in ("regimes", "clusters", "routing"):
        rows = [f for f in null_result.findings if f.family == family and f.role is Role.PRIMARY]
        rows = [f for f in rows if f.verdict is not Verdict.NOT_RUN]  # closures: the planted world has none
        smallest = min(rows, key=lambda f: f.p_value or 1)
        assert smallest.p_adjusted == pytest.approx(min(1.0, (smallest.p_value or 1) * len(rows)))
        assert all((f.p_adjusted or 0) >= (f.p_value or 0) for f in rows)
    assert all(f.p_adjusted is None for f in null_result.findings if f.role is not Role.PRIMARY)


def test_a_two_way_row_carries_the_larger_p(null_result: Result) -> None:
    row = null_result.finding("specialists.selectivity")
    assert row.null_model == "document_swaps+neuron_swaps"
    parts = [null_result.finding("specialists.selectivity", name) for name in ("document_swaps", "neuron_swaps")]
    assert row.p_value == max(p.p_value or 0 for p in parts)
    assert all(p.role is Role.SENSITIVITY and p.verdict is None for p in parts)


def test_only_primary_rows_have_a_verdict(null_result: Result) -> None:
    for f in null_result.findings:
        assert (f.verdict is not None) == (f.role is Role.PRIMARY)


def test_results_depend_neither_on_workers_nor_on_threads() -> None:
    data = planted_measurements(WORLD, 2)
    only = ("specialists.selectivity", "clusters.within", "clusters.weights", "routing.heads", "tails.weights")
    told = set()
    threads = torch.get_num_threads()
    try:
        for n, jobs in ((1, 1), (1, 3), (2, None), (3, 1), (3, None)):
            torch.set_num_threads(n)
            told.add(run_suite(data, TestOptions(replicates=120, only=only, jobs=jobs)).model_dump_json())
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(threads)
    assert len(told) == 1


def test_the_seed_decides_the_draws() -> None:
    data = planted_measurements(WORLD, 2)
    first, second = (
        run_suite(data, TestOptions(replicates=99, seed=seed, only=("clusters.within",))).finding("clusters.within")
        for seed in (0, 1)
    )
    assert first.null_draws != second.null_draws
    raw = [np.asarray(f.null_draws) + (f.null_mean or 0) for f in (first, second)]
    assert not np.array_equal(*raw)


def test_what_was_not_measured_is_left_out_with_its_reason() -> None:
    data = planted_measurements(WORLD, 3, pieces=("influence",))
    only = ("specialists.selectivity", "routing.heads", "clusters.within")
    result = run_suite(data, TestOptions(replicates=99, only=only))
    assert set(result.left_out) == {"routing.heads", "clusters.within"}
    row = result.finding("routing.heads")
    assert row.verdict is Verdict.NOT_RUN
    assert row.estimate is None
    assert row.p_value is None
    assert "heads" in row.notes
    assert {(c.paper, c.number): c.verdict for c in result.claims}["liu2025", 3] is Verdict.NOT_RUN


def test_random_weights_control_reports_what_it_flags() -> None:
    planted = planted_measurements(dataclasses.replace(WORLD, specialists=3.0), 0)
    options = TestOptions(replicates=99, only=("specialists.selectivity", "control.random_init"))
    clean = run_suite(planted, options, random_init=lambda: planted_measurements(WORLD, 5))
    assert clean.finding("control.random_init").notes.startswith("passed")
    dirty = run_suite(planted, options, random_init=lambda: planted)
    assert dirty.finding("control.random_init").notes.startswith("failed: specialists.selectivity")
    assert run_suite(planted, options).finding("control.random_init").notes.startswith("not run")


def test_unreachable_heads_control_fails_when_one_has_an_effect() -> None:
    data = planted_measurements(WORLD, 0)
    options = TestOptions(replicates=99, only=("control.unreachable_heads",))
    assert run_suite(data, options).finding("control.unreachable_heads").notes.startswith("passed")
    assert data.heads is not None
    effect = data.heads.effect.clone()
    effect[int(np.flatnonzero(~data.heads.reachable & (data.heads.head >= 0))[0]), 0, 0, 0] = 1e-20
    broken = dataclasses.replace(data, heads=dataclasses.replace(data.heads, effect=effect))
    assert run_suite(broken, options).finding("control.unreachable_heads").notes.startswith("failed")


def test_too_few_replicates_are_refused_with_the_number_needed() -> None:
    with pytest.raises(InputError, match=r"with 2 null draws no p-value can be below 0\.333.*give at least 20"):
        run_suite(planted_measurements(WORLD, 0), TestOptions(replicates=2, only=("clusters.within",)))


@pytest.mark.parametrize("rule", ["0", "3", "300", "many", ".9"])
def test_a_size_rule_out_of_range_is_refused(rule: str) -> None:
    with pytest.raises(InputError, match="--plateau"):
        run_suite(planted_measurements(WORLD, 0), TestOptions(replicates=99, set_size=rule, only=("clusters.within",)))


def test_an_unknown_id_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"clusters\.within"):
        choose(TestOptions(only=("clusters.wihtin",)))


def test_a_null_that_randomises_something_else_is_refused() -> None:
    options = TestOptions(replicates=99, only=("clusters.within",), nulls={"clusters.within": "document_swaps"})
    with pytest.raises(InputError, match="randomises labels"):
        run_suite(planted_measurements(WORLD, 0), options)


def test_another_null_can_be_chosen() -> None:
    options = TestOptions(replicates=99, only=("clusters.within",), nulls={"clusters.within": "random_sets"})
    row = run_suite(planted_measurements(WORLD, 0), options).finding("clusters.within")
    assert row.null_model == "random_sets"


def test_the_result_survives_json_and_its_table_has_the_stable_columns(null_result: Result) -> None:
    again = Result.model_validate_json(null_result.model_dump_json())
    assert again.model_dump_json() == null_result.model_dump_json()
    assert tuple(null_result.table.columns) == COLUMNS
    assert "provenance" not in null_result.model_dump()


def test_control_rows_are_of_their_own_kind(null_result: Result) -> None:
    rows = [f for f in null_result.findings if f.family == "control"]
    assert len(rows) == len(CONTROLS)
    assert all(f.kind is Kind.CONTROL and f.role is Role.CONTROL for f in rows)


def test_a_row_without_documents_asks_for_a_larger_set_not_for_documents() -> None:
    world = dataclasses.replace(WORLD, neurons=160, width=8)
    row = run_suite(planted_measurements(world, 0), TestOptions(replicates=99, only=("clusters.weights",))).findings[0]
    assert row.verdict is Verdict.UNDETERMINED
    enough = row.details.enough
    assert enough is not None
    assert enough.documents is None
    assert enough.null_sd is not None
    assert enough.smallest_margin is not None
    assert "larger set" in enough.larger


def test_rows_that_decide_nothing_draw_no_more_than_they_need() -> None:
    world = Settings(documents=24, pairs=6, neurons=240)
    options = TestOptions(replicates=1100, only=("clusters.weights", "clusters.index"))
    rows = run_suite(planted_measurements(world, 0), options).findings
    drawn = {(f.hypothesis, f.null_model): f.replicates for f in rows}
    assert drawn[("clusters.weights", "reselected_sets+matched_sets")] == 1100
    assert drawn[("clusters.index", "random_sets")] == 999


def test_a_curved_relation_is_never_called_specialists_and_specialists_are() -> None:
    options = TestOptions(replicates=99, only=("specialists.selectivity",))
    for changed, verdict in (({"curvature": 0.06}, Verdict.UNDETERMINED), ({"specialists": 1.5}, Verdict.SUPPORTED)):
        row = run_suite(planted_measurements(dataclasses.replace(WORLD, **changed), 4), options).findings[0]
        assert row.p_value is not None
        assert row.p_value < 0.05
        assert row.verdict is verdict
        assert ("curved would explain it as well" in row.details.why) == (verdict is Verdict.UNDETERMINED)


def test_a_small_tight_group_refutes_that_there_are_no_modules() -> None:
    world = Settings(
        documents=60,
        pairs=20,
        neurons=960,
        plateau_share=0.0625,
        raised_both=3.0,
        core=0.6,
        loading=0.03,
        background=0.0,
    )
    options = TestOptions(replicates=99, only=("clusters.core", "clusters.within"), set_size="0.0625")
    result = run_suite(planted_measurements(world, 3, pieces=("influence", "activations")), options)
    assert result.finding("clusters.core").verdict is Verdict.REFUTED
    assert next(c for c in result.claims if c.paper == "liu2025").verdict is Verdict.REFUTED


def test_of_a_set_that_was_not_found_nothing_is_excluded() -> None:
    """Influence that differs little between neurons, measured with much noise: the halves choose other sets."""
    noisy = Settings(documents=60, pairs=4, neurons=480, influence_sd=0.05, position_sd=1.5, cohesion=0.3)
    options = TestOptions(replicates=99, only=("clusters.cohesion",))
    result = run_suite(planted_measurements(noisy, 1, pieces=("influence", "activations")), options)
    assert (result.sets[0].reliability or 0) < 0.25
    row = result.finding("clusters.cohesion")
    assert row.verdict is Verdict.UNDETERMINED
    assert "were not found" in row.notes
