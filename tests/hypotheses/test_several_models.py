"""P of a claim in one model, and of how many of several models show it, against their definitions."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.stats

from neuronull.data.options import TestOptions
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.planted.settings import Settings
from neuronull.hypotheses.findings import _claim_p
from neuronull.hypotheses.inference.intervals import beyond_p, t_interval
from neuronull.hypotheses.inference.several_models import NOTHING, ClaimP, of_claim, partial_conjunction
from neuronull.hypotheses.inference.verdicts import Absence, Presence
from neuronull.hypotheses.result import Kind, Result, Role, Verdict
from neuronull.hypotheses.suite import run_suite

ALPHA = 0.05


def by_subsets(p: list[float], u: int) -> float:
    """The largest Bonferroni p over every choice of m - u + 1 models, and of every smaller u."""
    m = len(p)
    return max(min(1.0, size * min(chosen)) for size in range(m - u + 1, m + 1) for chosen in combinations(p, size))


def test_at_least_u_models_is_the_worst_choice_of_models() -> None:
    rng = np.random.default_rng(0)
    for m in (1, 2, 5):
        for _ in range(20):
            p = (rng.random(m) ** 3).tolist()
            assert partial_conjunction(p) == pytest.approx([by_subsets(p, u) for u in range(1, m + 1)])


@pytest.mark.parametrize("shared", [0.0, 0.7, 1.0])
def test_models_that_share_their_noise_are_not_counted_too_often(shared: float) -> None:
    """Two of five models show an effect; "at least three" at .05 in 4,000 worlds: at most 250 (p = .0003)."""
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=(4000, 1)), rng.normal(size=(4000, 5))
    z = np.sqrt(shared) * common + np.sqrt(1 - shared) * own + np.array([9, 9, 0, 0, 0])
    counted = [partial_conjunction(row)[2] <= ALPHA for row in scipy.stats.norm.sf(z).tolist()]
    assert sum(counted) <= 250
    both = [partial_conjunction(row)[1] <= ALPHA for row in scipy.stats.norm.sf(z).tolist()]
    assert np.mean(both) > 0.99


def test_a_claim_holds_with_its_weakest_row_and_fails_with_any() -> None:
    rows = [ClaimP(0.01, 0.9), ClaimP(0.04, 0.02)]
    assert of_claim(rows) == ClaimP(0.04, 0.04)
    assert of_claim([*rows, NOTHING]) == ClaimP(1.0, pytest.approx(0.06))
    assert of_claim([]) == NOTHING


def test_beyond_the_margin_is_the_interval_read_the_other_way() -> None:
    for estimate, two_sided in ((0.4, False), (-0.4, True), (0.05, False)):
        p = beyond_p(estimate, 0.1, 20, 0.15, two_sided)
        ends = t_interval(estimate, 0.1, 20, 1 - 2 * p) if p < 0.5 else None
        if ends is not None:
            assert (ends.low if estimate > 0 else -ends.high) == pytest.approx(0.15)
        else:
            assert estimate < 0.15
    assert (beyond_p(0.2, 0.0, 9, 0.1, False), beyond_p(-0.2, 0.0, 9, 0.1, False)) == (0.0, 1.0)


def test_the_p_of_a_row_of_heads_by_hand() -> None:
    def output(estimate: float, p: float, warning: str = "", rival: str = "", found: float = 1.0) -> Any:
        return SimpleNamespace(
            estimate=estimate, se=0.05, p=SimpleNamespace(value=p), per_null=(), coverage_warning=warning,
            verdict=SimpleNamespace(df=20), rival=rival, found_share=found,
        )  # fmt: skip

    def row(criterion: Any, *outputs: Any) -> ClaimP:
        given: Any = SimpleNamespace(hypothesis=SimpleNamespace(criterion=criterion), outputs=outputs)
        return _claim_p(given)

    absence, presence = Absence(0.1, "sd", ""), Presence(0.1, "sd", "")
    one, other = output(0.3, 0.01), output(0.12, 0.001)
    beyond = [2 * float(scipy.stats.t.sf(x, 20)) for x in (4, 0.4)]
    assert row(absence, one, other) == ClaimP(
        pytest.approx(float(scipy.stats.t.cdf(4, 20))), max(0.01, min(beyond[0], 1))
    )
    assert row(absence, other).fails == pytest.approx(max(0.001, beyond[1] / 2))
    assert row(absence, output(0.0, 1.0)).holds == pytest.approx(float(scipy.stats.t.sf(2, 20)))
    assert row(absence, output(0.0, 1.0, "few documents")).holds == 1
    assert row(presence, one) == ClaimP(0.01, pytest.approx(float(scipy.stats.t.cdf(4, 20))))
    assert row(presence, output(0.09, 0.001)) == ClaimP(1.0, pytest.approx(float(scipy.stats.t.sf(0.2, 20))))
    assert row(presence, output(-0.2, 1.0, "few documents")) == NOTHING
    assert row(presence, output(0.3, 0.01, rival="another reason")).holds == 1
    assert row(absence, output(0.3, 0.01, rival="another reason")).fails == 1
    half_found = row(absence, output(0.0, 1.0, found=0.5)).holds
    assert half_found == pytest.approx(float(scipy.stats.t.sf(1, 20)))


@pytest.fixture(scope="module")
def result() -> Result:
    world = Settings(documents=60, pairs=20, neurons=480, routing=1.0, cohesion=0.3)
    only = ("regimes", "clusters", "routing")
    return run_suite(planted_measurements(world, 0), TestOptions(replicates=199, only=only))


def test_what_a_row_decides_its_p_says_too(result: Result) -> None:
    rows = [f for f in result.findings if f.role is Role.PRIMARY and f.verdict is not Verdict.NOT_RUN]
    assert {f.verdict for f in rows} == {Verdict.SUPPORTED, Verdict.REFUTED, Verdict.UNDETERMINED}
    for f in rows:
        assert f.details.p_holds is not None
        assert f.details.p_fails is not None
        if f.verdict is Verdict.SUPPORTED:
            assert f.details.p_holds < ALPHA, f.hypothesis
        if f.verdict is Verdict.REFUTED:
            assert f.details.p_fails < ALPHA, f.hypothesis
        if f.kind is Kind.ABSENCE and not f.details.coverage_warning:
            assert (f.verdict is Verdict.SUPPORTED) == (f.details.p_holds < ALPHA), f.hypothesis
        if f.details.coverage_warning:
            assert (f.details.p_fails if f.kind is Kind.PRESENCE else f.details.p_holds) == 1
        if f.kind is Kind.PRESENCE and f.estimate is not None and f.margin is not None and f.estimate < f.margin:
            assert f.details.p_holds == 1
        assert min(f.details.p_holds, f.details.p_fails) < 0.05 or f.verdict is Verdict.UNDETERMINED


def test_a_claims_p_is_that_of_all_its_rows_and_1_where_one_was_not_run(result: Result) -> None:
    rows = {f.hypothesis: f for f in result.findings if f.role is Role.PRIMARY}
    clusters = next(c for c in result.claims if c.number == 2)
    parts = [rows[name].details for name in clusters.hypotheses]
    assert clusters.p_holds == max(p.p_holds or 0 for p in parts)
    assert clusters.p_fails == pytest.approx(min(1.0, len(parts) * min(p.p_fails or 0 for p in parts)))
    part = run_suite(
        planted_measurements(Settings(documents=60, pairs=20, neurons=480), 0),
        TestOptions(replicates=99, only=("routing.profile",)),
    )
    assert [c.p_holds for c in part.claims] == [1.0], "three rows of the claim were not asked for"
