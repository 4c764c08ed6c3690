"""What a run tests: papers, ids, families, margins; an id of two papers is one; plug-ins join when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuronull.data.errors import InputError
from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted_measurements
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.calibration import record
from neuronull.hypotheses.choice import Choice, choose, on_random_weights
from neuronull.hypotheses.inference.verdicts import Absence
from neuronull.hypotheses.neuron_sets import neurons
from neuronull.hypotheses.paper import Claim, Paper
from neuronull.hypotheses.result import Verdict
from neuronull.hypotheses.suite import run_suite
from neuronull.hypotheses.views import prepare

FIRST, SECOND = catalogue.shipped()[:2]
WITHIN = catalogue.hypothesis("clusters.within")


def chosen(**given: Any) -> Choice:
    return choose(TestOptions(**given))


def ids(choice: Choice) -> list[str]:
    return [h.id for h in choice.hypotheses]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Paper], Paper]]:
    """Puts a paper beside those that ship, as a plug-in does."""
    monkeypatch.setattr(catalogue.papers, "_entries", dict(catalogue.papers._entries))
    yield lambda paper: catalogue.papers.register(paper.id, paper, origin="package theirs 1.0")
    record.recorded.cache_clear()


def theirs(**given: Any) -> Paper:
    """Another group's paper: it declares an id of the first paper too, and one of its own."""
    own = replace(WITHIN, id="theirs.within", set=None)
    headlines = dict.fromkeys(Verdict, "Said.")
    made: dict[str, Any] = {
        "id": "theirs", "short": "They (2030)", "citation": "They (2030), Theirs",
        "claims": (Claim("theirs", ("theirs.within", "clusters.within"), headlines),),
        "hypotheses": (own, replace(WITHIN, claim="Another wording.")), "set": neurons(range(5, 25), "entropy"),
    }  # fmt: skip
    return Paper(**made | given)


def test_a_plain_run_tests_the_default_hypotheses_of_the_papers_that_are_marked_so():
    choice = chosen()
    assert [p.id for p in choice.papers] == [p.id for p in catalogue.shipped() if p.default]
    assert ids(choice) == [h.id for p in choice.papers for h in p.hypotheses if h.default]
    assert ids(chosen(suite="full")) == [h.id for p in choice.papers for h in p.hypotheses]


def test_a_paper_is_tested_by_its_id_with_its_controls():
    choice = chosen(papers=(SECOND.id,))
    assert [p.id for p in choice.papers] == [SECOND.id]
    assert ids(choice) == [h.id for h in SECOND.hypotheses if h.default]
    assert [c.id for c in choice.controls] == [c.id for c in SECOND.controls]
    assert [p.id for p in chosen(papers=("all",)).papers] == list(catalogue.papers.names())
    with pytest.raises(InputError, match=r"unknown paper 'liu205'; did you mean liu2025\?"):
        chosen(papers=("liu205",))


def test_only_finds_an_id_in_any_paper():
    choice = chosen(papers=(SECOND.id,), only=("clusters.within",))
    assert ids(choice) == ["clusters.within"]
    assert [p.id for p in choice.papers] == [FIRST.id], "and the report is about that paper"
    assert choice.controls == ()


def test_only_takes_families_ids_and_controls_in_the_order_of_the_catalogue():
    choice = chosen(only=("control.whole_layer", "tails.weights", "clusters"))
    clusters = [h.id for h in FIRST.hypotheses if h.family == "clusters"]
    assert ids(choice) == [*clusters, "tails.weights"]
    assert [c.id for c in choice.controls] == ["control.whole_layer"]
    assert [c.id for c in chosen(only=("control",)).controls] == [c.id for c in catalogue.controls(catalogue.shipped())]
    with pytest.raises(InputError, match=r"unknown hypothesis 'clusters\.wihtin'; did you mean clusters\.within\?"):
        chosen(only=("clusters.wihtin",))


def test_an_id_that_two_papers_declare_is_one_hypothesis_and_decides_a_claim_of_each(installed):
    paper = theirs(hypotheses=(replace(WITHIN, id="theirs.within"), WITHIN), set=catalogue.papers.get("liu2025").set)
    installed(paper)
    assert ids(chosen(papers=("liu2025", "theirs"))).count("clusters.within") == 1
    measurements = planted_measurements(Settings(documents=24, pairs=6, neurons=320), 1, ("influence", "activations"))
    options = TestOptions(papers=("liu2025", "theirs"), only=("clusters.within", "theirs.within"), replicates=39)
    result = run_suite(measurements, options)
    assert {(c.paper, c.number) for c in result.claims} == {("liu2025", 2), ("theirs", 1)}
    assert len([f for f in result.findings if f.hypothesis == "clusters.within" and f.verdict is not None]) == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "liu2025 and theirs mean different hypotheses by clusters.within"),
        ({"hypotheses": (replace(WITHIN, id="theirs.within"), WITHIN)}, "liu2025 and theirs ask clusters.within of"),
    ],
    ids=["another wording", "other neurons"],
)
def test_one_id_for_two_things_is_refused(installed, given, says):
    installed(theirs(**given))
    with pytest.raises(InputError, match=says):
        chosen(papers=("liu2025", "theirs"))
    assert [p.id for p in chosen(papers=("theirs",), only=("clusters.within",)).papers] == ["theirs"]


def test_an_installed_paper_joins_no_plain_run_and_moves_no_number(installed, tmp_path):
    measurements = planted_measurements(Settings(documents=24, pairs=6, neurons=320), 1, ("influence", "weights"))
    options = TestOptions(only=("clusters.weights", "tails"), replicates=39)
    before, plain = run_suite(measurements, options).model_dump_json(), ids(chosen())
    bad = tmp_path / "record.jsonl"
    bad.write_text("no record\n")
    installed(theirs(record=bad, default=True))
    assert ids(chosen()) == plain
    assert run_suite(measurements, options).model_dump_json() == before


def test_a_record_speaks_of_its_own_papers_hypotheses_alone(installed, tmp_path):
    before = record.calibration_line("clusters.within")
    assert before is not None
    row = {"hypothesis": "clusters.within", "purpose": "null", "scenario": "theirs", "datasets": 10,
           "rejected": record.rate(10, 10)}  # fmt: skip
    record.write_record(tmp_path / "r.jsonl", [row, row | {"hypothesis": "theirs.within"}], {})
    installed(theirs(record=tmp_path / "r.jsonl"))
    assert record.calibration_line("clusters.within") == before
    assert "rejected 100.0 %" in str(record.calibration_line("theirs.within"))


def test_an_id_of_an_installed_paper_is_tested_on_that_papers_set_though_the_paper_was_not_asked_for(installed):
    installed(theirs())
    tests = TestOptions(only=("theirs.within",))
    choice = choose(tests)
    assert [p.id for p in choice.papers] == ["theirs"]
    prepared = prepare(planted_measurements(Settings(documents=24), 1, ("influence",)), choice, tests)
    assert prepared.of(choice.hypotheses[0]).neuron_set.name == "entropy"


def test_what_must_be_measured_is_what_the_hypotheses_and_their_sets_need():
    assert chosen(only=("clusters.weights",)).needs == {"weights", "influence"}
    assert {"heads", "activations", "weights", "influence"} <= chosen().needs
    assert "checkpoints" not in chosen().needs
    assert chosen().random_weights
    assert not chosen(only=("clusters.weights",)).random_weights


# margins -------------------------------------------------------------------------------------------------------------


def test_the_control_alone_measures_and_tests_what_a_plain_run_would():
    options = TestOptions(papers=("stolfo2024",), only=("control.random_init",))
    alone = choose(options)
    assert not alone.hypotheses
    assert "effects" in on_random_weights(alone, options).tested_needs
    one = chosen(papers=("stolfo2024",), only=("entropy.norm",))
    assert on_random_weights(one, options) is one


def test_a_margin_takes_the_place_of_the_declared_one():
    choice = chosen(margins={"clusters.within": 0.2})
    margins = {h.id: h.margin for h in choice.hypotheses}
    assert margins.pop("clusters.within") == 0.2
    assert margins == {h.id: h.margin for h in chosen().hypotheses if h.id != "clusters.within"}
    assert WITHIN.margin == 0.05, "the declared one stays for other runs"


def test_a_wider_margin_changes_the_verdict_and_no_estimate():
    measurements = planted_measurements(Settings(documents=60, pairs=10, neurons=480), 1, ("influence", "weights"))
    options = TestOptions(only=("clusters.weights",), replicates=39)
    narrow, wide = (
        run_suite(measurements, replace(options, margins={"clusters.weights": margin})).finding("clusters.weights")
        for margin in (1e-6, 10.0)
    )
    assert (narrow.margin, wide.margin) == (1e-6, 10.0)
    assert (narrow.estimate, narrow.p_value) == (wide.estimate, wide.p_value)
    assert (narrow.verdict, wide.verdict) == (Verdict.UNDETERMINED, Verdict.SUPPORTED)


@pytest.mark.parametrize(
    ("margins", "says"),
    [
        ({"clusters.wihtin": 0.1}, r"clusters\.wihtin is not tested.*\(--margin\); did you mean clusters\.within"),
        ({"emergence.trend": 0.1}, r"emergence\.trend is not tested"),
        ({"clusters.index": 0.1}, r"clusters\.index decides nothing and has no margin"),
        ({"clusters.within": 0.0}, r"0 is no margin for clusters\.within"),
        ({"clusters.within": -1.0}, r"-1 is no margin"),
        ({"clusters.within": float("nan")}, "nan is no margin"),
        ({"clusters.within": float("inf")}, "inf is no margin"),
    ],
)
def test_a_margin_that_means_nothing_is_refused(margins, says):
    with pytest.raises(InputError, match=says):
        chosen(margins=margins)


# papers --------------------------------------------------------------------------------------------------------------


def test_a_claim_that_rests_on_nothing_is_refused():
    with pytest.raises(ValueError, match=r"claim 1 of theirs rests on clusters\.within, which is not declared"):
        theirs(hypotheses=(replace(WITHIN, id="theirs.within"),))


@pytest.mark.parametrize("paper", catalogue.shipped(), ids=lambda p: p.id)
def test_every_claim_has_a_headline_for_each_verdict(paper: Paper):
    numbers = [claim.number for claim in paper.claims]
    assert len(set(numbers)) == len(numbers)
    for claim in paper.claims:
        assert set(claim.headlines) == set(Verdict), claim.title
        assert all(text.endswith(".") for text in claim.headlines.values())


def test_names_of_set_and_conditions_are_filled_in():
    measurements = planted_measurements(Settings(documents=24), 1, ("influence",))
    data = prepare(measurements, chosen(), TestOptions()).of(WITHIN)
    assert data.filled("{Set} neurons, {a}: {A}, {b}, {B}.") == (
        "Plateau neurons, rare tokens: Rare tokens, common tokens, Common tokens."
    )
    assert isinstance(WITHIN.criterion, Absence)


def test_a_hypothesis_of_no_paper_is_found_by_its_id_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(catalogue.hypotheses, "_entries", dict(catalogue.hypotheses._entries))
    catalogue.hypotheses.register("own.within", replace(WITHIN, id="own.within"), origin="notebook")
    assert "own.within" not in ids(chosen(papers=("all",), suite="full"))
    assert ids(chosen(only=("own.within",))) == ["own.within"]
    assert ids(chosen(only=("own", "clusters.within"))) == ["clusters.within", "own.within"]
    assert catalogue.set_of(catalogue.hypothesis("own.within")) is None
