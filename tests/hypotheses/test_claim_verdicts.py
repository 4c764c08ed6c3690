"""Verdicts on claims: what was left out, could not be run, or was asked of other neurons is never told as the claim."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from neuronull.data.errors import InputError
from neuronull.data.options import TestOptions
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.planted.settings import Settings
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.claim_verdicts import held_against, verdict_on
from neuronull.hypotheses.paper import Claim, Paper
from neuronull.hypotheses.result import Outcome, Result, Verdict
from neuronull.hypotheses.suite import run_suite

S, R, U, N = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.UNDETERMINED, Verdict.NOT_RUN
LIU = catalogue.papers.get("liu2025")
CLUSTERS = next(c for c in LIU.claims if c.number == 2)
WITHIN, CORE, COHESION, WEIGHTS = "clusters.within", "clusters.core", "clusters.cohesion", "clusters.weights"


@pytest.mark.parametrize(
    ("verdicts", "found"),
    [
        ({}, None),
        ({WITHIN: S, CORE: S, COHESION: S, WEIGHTS: S}, S),
        ({WITHIN: S, CORE: U, COHESION: S, WEIGHTS: S}, U),
        ({WITHIN: S, CORE: R, COHESION: S, WEIGHTS: S}, R),
        ({WITHIN: S, COHESION: S}, U),
        ({WITHIN: R}, R),
        ({WITHIN: N, CORE: N, COHESION: N, WEIGHTS: N}, N),
        ({WITHIN: S, CORE: S, COHESION: N, WEIGHTS: S}, U),
    ],
)
def test_a_claim_that_was_tested_in_part_is_not_supported(verdicts, found):
    assert verdict_on(CLUSTERS, LIU, verdicts) is found


def test_what_only_the_full_suite_tests_may_be_left_out():
    routing = next(c for c in LIU.claims if c.number == 3)
    usual = {h.id: S for h in LIU.hypotheses if h.id in routing.ids and h.default}
    assert set(routing.ids) - set(usual) == {"routing.closure"}
    assert verdict_on(routing, LIU, usual) is S


@pytest.mark.parametrize(("p", "found"), [(0.5, S), (0.01, U), (None, U)])
def test_a_plateau_in_both_conditions_leaves_claim_1_undetermined(p, found):
    claim = next(c for c in LIU.claims if c.number == 1)
    rows = [] if p is None else [Outcome(hypothesis="regimes.flatness_b", p_value=p)]
    against = held_against(claim, rows, 0.05)
    assert verdict_on(claim, LIU, {"regimes.flatness": S, "regimes.contrast": S}, against) is found
    assert verdict_on(claim, LIU, {"regimes.flatness": S, "regimes.contrast": R}, against) is R
    assert ("common words have a plateau too" in against) == (p == 0.01)


@pytest.fixture(scope="module")
def measurements():
    return planted_measurements(
        Settings(documents=40, pairs=8, neurons=320), 1, ("influence", "activations", "weights")
    )


def test_of_neurons_of_ones_own_the_papers_headline_is_not_told(measurements, tmp_path: Path):
    path = tmp_path / "loud.json"
    path.write_text(json.dumps({"name": "loud", "neurons": list(range(0, 160, 10))}))
    asked: Result = run_suite(measurements, TestOptions(replicates=99, only=("clusters",), set=str(path)))
    own: Result = run_suite(measurements, TestOptions(replicates=99, only=("clusters",)))
    (claim,), (papers_own,) = asked.claims, own.claims
    assert claim.title == "loud neurons form no modular clusters"
    assert claim.headline == f"Asked of the loud neurons, in place of the paper's own: {claim.verdict}."
    assert papers_own.title == "plateau neurons form no modular clusters"
    assert papers_own.headline == CLUSTERS.headlines[papers_own.verdict]
    assert not any(f.details.calibration for f in asked.findings), "the record is of the declared set and null models"


def test_other_conditions_than_the_papers_are_said(measurements, monkeypatch):
    conditions = replace(
        measurements.conditions,
        a=replace(measurements.conditions.a, name="code", phrase="code"),
        b=replace(measurements.conditions.b, name="prose", phrase="prose"),
    )
    manifest = measurements.manifest.model_copy(update={"conditions": conditions, "threshold": None})
    other = replace(measurements, manifest=manifest)
    (claim,) = run_suite(other, TestOptions(replicates=99, only=("clusters",))).claims
    assert claim.headline.startswith("Asked of code against prose, in place of the paper's own: ")
    within = catalogue.hypothesis("clusters.within")
    free = Paper(id="free", citation="Nobody (2030), Free", claims=(Claim("{a} differs", (within,)),))
    monkeypatch.setattr(catalogue.papers, "_entries", dict(catalogue.papers._entries))
    catalogue.papers.register("free", free, origin="x")
    (claim,) = run_suite(other, TestOptions(replicates=99, papers=("free",))).claims
    assert (claim.title, claim.headline) == ("code differs", ""), "it leaves the conditions to whoever runs it"


def test_a_set_that_nothing_would_use_is_refused(tmp_path: Path, measurements):
    path = tmp_path / "loud.json"
    path.write_text(json.dumps([1, 2, 3]))
    with pytest.raises(InputError, match=r"about neurons of its own.*--set"):
        run_suite(measurements, TestOptions(only=("entropy.norm",), papers=("stolfo2024",), set=str(path)))


def test_a_control_on_nothing_has_not_passed(measurements):
    bare = replace(measurements, delta_loss=None, activation=None, w_out=None, w_in=None, neurons=None)
    result = run_suite(measurements, TestOptions(only=("control.random_init",)), random_init=lambda: bare)
    (control,) = [f for f in result.findings if f.hypothesis == "control.random_init"]
    assert "could be tested" in control.notes
