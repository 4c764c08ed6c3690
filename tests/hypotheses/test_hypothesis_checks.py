"""The checks of a hypothesis: each deliberately broken one fails exactly the check that is meant for it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from neuronull.data.measurements import NEURON_COVARIATES
from neuronull.hypotheses.checks import hypothesis_checks, test_problems
from neuronull.hypotheses.checks.conformance import Report, check
from neuronull.hypotheses.hypothesis import Hypothesis, Words
from neuronull.hypotheses.inference.verdicts import Absence, Sensitivity
from neuronull.hypotheses.neuron_sets import neurons
from neuronull.hypotheses.nulls.base import Observed
from neuronull.hypotheses.nulls.random_sets import RandomSets
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.result import Kind
from neuronull.hypotheses.statistics.functions import BoundFunction, FunctionStatistic


def norms(data: Any, sets: torch.Tensor) -> torch.Tensor:
    """Mean norm of the output weights of a set."""
    return data.weights["w_out"].double().norm(dim=1)[sets].mean(1)


def influence(data: Any, sets: torch.Tensor) -> torch.Tensor:
    """Mean influence of a set on condition a."""
    return data.a.influence[sets].mean(1)


def claimed(function: Any = norms, **changed: Any) -> Hypothesis:
    return Hypothesis(
        id="made.up",
        claim="The {set} neurons have larger weights than other neurons.",
        criterion=Absence(margin=0.1, unit="norm", means="weights that are a tenth longer"),
        statistic=FunctionStatistic("norms", centred=True, function=function),
        nulls=("random_sets",),
        words=Words(
            "Norms", "Are the weights long?", "their weights are longer", "their weights are shorter", "no more"
        ),
        source="here",
        **changed,
    )


GOOD = claimed()
FIRST = neurons(range(8), "first")
CHECKS = 12


def test_a_sound_one_passes_with_two_that_do_not_apply() -> None:
    report = check(GOOD)
    assert report.passed, str(report)
    assert set(report.skipped) == {"not_matched_on", "leave_one_out"}
    assert report.run == CHECKS - 2
    on_documents = check(claimed(influence))
    assert on_documents.passed, str(on_documents)
    assert set(on_documents.skipped) == {"not_matched_on"}


def column(name: str) -> Any:
    return lambda data, sets: data.neurons[name][sets].mean(1)


class Small(RandomSets):
    """Broken: sets of three."""

    name = "small"

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        return super().draw(state, replicates, seed)[:, :3]


class Never(RandomSets):
    """Serves nobody."""

    name = "never"

    def refuses(self, observed: Observed) -> str:
        return "never serves anybody"


COUNT = itertools.count()
WITHOUT_MEANS = Absence(margin=0.1, unit="norm", means=" ")

BROKEN: dict[str, tuple[Hypothesis, set[str]]] = {
    "no full stop": (replace(GOOD, claim="They are long"), {"declared"}),
    "no unit": (replace(GOOD, criterion=Absence(margin=0.1, unit=" ", means="much")), {"declared"}),
    "no meaning of the margin": (replace(GOOD, criterion=WITHOUT_MEANS), {"declared"}),
    "a clause with a full stop": (replace(GOOD, words=replace(GOOD.words, plus="They are longer.")), {"sentences"}),
    "an empty clause": (replace(GOOD, words=replace(GOOD.words, none="")), {"sentences"}),
    "an unknown brace": (replace(GOOD, words=replace(GOOD.words, asks="Are {these} long?")), {"sentences"}),
    "a null model of another object": (replace(GOOD, nulls=("random_sets", "document_swaps")), {"nulls", "null_sets"}),
    "sets of another size": (replace(GOOD, nulls=("random_sets", Small())), {"null_sets", "p_value"}),
    "tested on what is matched": (
        replace(claimed(column("w_out_norm")), nulls=("matched_sets",)), {"not_matched_on"},
    ),
    "not finite": (claimed(lambda data, sets: torch.full((len(sets),), torch.nan)), {"identity"}),
    "another value each time": (
        claimed(lambda data, sets: torch.tensor([float(next(COUNT)) for _ in sets])), {"repeat"},
    ),
    "the same value always": (claimed(lambda data, sets: torch.zeros(len(sets))), {"power"}),
    "no null model that serves": (replace(GOOD, nulls=(Never(),)), {"null_sets", "repeat", "p_value", "size", "power"}),
}  # fmt: skip


@pytest.mark.parametrize(("broken", "fails"), BROKEN.values(), ids=BROKEN)
def test_a_broken_one_fails_the_check_meant_for_it(broken: Hypothesis, fails: set[str]) -> None:
    report = check(broken)
    assert fails <= set(report.failures), str(report)
    assert not report.passed


@pytest.mark.parametrize("name", ["no full stop", "no unit", "a clause with a full stop", "tested on what is matched"])
def test_and_no_other(name: str) -> None:
    broken, fails = BROKEN[name]
    assert set(check(broken).failures) == fails


def test_what_is_tested_may_be_left_out_of_what_is_matched() -> None:
    alike = tuple(column for column in NEURON_COVARIATES if column != "w_out_norm")
    report = check(replace(claimed(column("w_out_norm")), nulls=("matched_sets",), alike=alike))
    assert "not_matched_on" not in (*report.failures, *report.skipped), str(report)


def test_a_hypothesis_that_decides_nothing_needs_no_margin() -> None:
    report = check(replace(GOOD, criterion=Sensitivity(kind=Kind.ABSENCE, unit="norm")))
    assert report.passed, str(report)


class Spoilt(BoundFunction):
    """A statistic whose estimates without documents are of another number, or not finite."""

    how_spoilt = "shape"

    def leave_one_out(self) -> torch.Tensor | None:
        whole = super().leave_one_out()
        if whole is None:
            raise ValueError("documents are read here")
        return whole[:-1] if self.how_spoilt == "shape" else whole * torch.nan


class SpoiltStatistic(FunctionStatistic):
    def bind(self, data: PreparedData) -> Spoilt:
        return Spoilt(data, self)


@pytest.mark.parametrize(("how", "says"), [("shape", "leave_one_out has shape"), ("nan", "not finite")])
def test_estimates_without_documents_are_looked_at(how: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spoilt, "how_spoilt", how)
    report = check(replace(GOOD, statistic=SpoiltStatistic("norms", centred=True, function=influence)))
    assert set(report.failures) == {"leave_one_out"}
    assert any(says in c.reason for c in report.checks)


class Unlike(RandomSets):
    """Broken: every 20th draw holds the last neurons; as the first of a data set it is rejected far too often."""

    name = "unlike"

    def prepare(self, measurements: Any, observed: Observed) -> Any:
        return len(observed.value), len(observed.sets[0])

    def draw(self, state: Any, replicates: range, seed: int) -> torch.Tensor:
        count, size = state
        drawn = super().draw(count, replicates, seed)[:, :size]
        for row, replicate in enumerate(replicates):
            if replicate % (hypothesis_checks.B + 1) == 1:
                drawn[row] = torch.arange(count - size, count)
        return drawn


def test_draws_that_are_not_treated_alike_are_found() -> None:
    report = check(replace(claimed(lambda data, sets: sets.double().mean(1)), nulls=(Unlike(),), set=FIRST))
    assert {"size"} <= set(report.failures) <= {"size", "power"}, str(report)
    assert any("60 of 60 null data sets rejected" in c.reason for c in report.checks)


def test_a_listed_set_is_cut_to_the_planted_neurons_and_a_statistic_of_others_may_end_nothing() -> None:
    own = neurons(range(0, 4000, 7), "entropy", layer=11)
    report = check(replace(GOOD, set=own))
    assert report.passed, str(report)

    def ends(data: Any, sets: torch.Tensor) -> torch.Tensor:
        raise SystemExit(0)

    failed = check(claimed(ends))
    assert isinstance(failed, Report)
    assert not failed.passed
    assert any("SystemExit" in c.reason for c in failed.checks)


def test_measurements_of_ones_own_are_taken() -> None:
    report = check(GOOD, test_problems.measurements())
    assert report.passed, str(report)
