"""The conformance suite: each deliberately broken null model fails exactly the check that is meant for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from neuronull.authoring import null_model
from neuronull.data.errors import InputError
from neuronull.estimators import correlation_nulls
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.checks.conformance import Report, check
from neuronull.hypotheses.checks.hypothesis_checks import HYPOTHESIS_CHECKS
from neuronull.hypotheses.checks.null_checks import NULL_CHECKS
from neuronull.hypotheses.nulls.base import NullModel, Observed, generator, stack
from neuronull.hypotheses.nulls.document_swaps import DocumentSwaps
from neuronull.hypotheses.nulls.erdos_renyi import ErdosRenyi
from neuronull.hypotheses.nulls.graphs import cut, keys, moved
from neuronull.hypotheses.nulls.random_sets import RandomSets
from neuronull.hypotheses.nulls.rewired import Rewired, WiredState


class IgnoresTheSeed(RandomSets):
    """Broken: every seed gives the same draws."""

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        return super().draw(state, replicates, 0)


class DependsOnTheBatch(RandomSets):
    """Broken: one generator a batch, keyed by its first replicate."""

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        rng = generator(seed, replicates.start, "broken")
        return stack(lambda r: rng.permutation(state), replicates)


class LosesDegrees(Rewired):
    """Broken: strong pairs land anywhere, though degrees are declared to stay."""

    def draw(self, state: WiredState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        count = int(state.signs.sum(dtype=np.int64)) // 2
        for r in replicates:
            edges = correlation_nulls.erdos_renyi(state.union.size, count, keys(seed, r, "broken", 1))[0]
            after = np.zeros_like(state.signs)
            after[edges[:, 0], edges[:, 1]] = after[edges[:, 1], edges[:, 0]] = 1
            yield cut(moved(state.union, state.signs, after, generator(seed, r, "dealt")), state.union.sets)

    def space(self, observed: Observed) -> None:
        return None


class MutatesItsInput(DocumentSwaps):
    """Broken: writes into the observed labels."""

    def prepare(self, measurements: Any, observed: Observed) -> int:
        observed.value[0] = True
        return super().prepare(measurements, observed)


class NotUniform(DocumentSwaps):
    """Broken: the coins are not fair."""

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        return stack(lambda r: generator(seed, r, "broken").random(state) < 0.4, replicates)


class LeavesOutTheObserved(DocumentSwaps):
    """Broken: the unswapped data are no possible draw, so that an exact p-value can be 0."""

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        def swaps(replicate: int) -> np.ndarray:
            rng = generator(seed, replicate, "broken")
            drawn = rng.random(state) < 0.5
            while not drawn.any():
                drawn = rng.random(state) < 0.5
            return drawn

        return stack(swaps, replicates)

    def space(self, observed: Observed) -> Sequence[tuple[bool, ...]]:
        return [s for s in product((False, True), repeat=len(observed.value)) if any(s)]


class AntiConservative(ErdosRenyi):
    """Broken: its draws scatter ten times less than what they are compared with."""

    preserves = ("number of strong pairs",)

    def draw(self, state: WiredState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        unit = torch.eye(state.union.size, dtype=torch.float64)
        return (unit + (d - unit) / 10 for d in super().draw(state, replicates, seed))

    def space(self, observed: Observed) -> None:
        return None

    def invariants(self, observed: Observed, draw: Any) -> tuple[()]:
        return ()


class KeepsAGenerator(RandomSets):
    """Broken: the state remembers what was drawn before."""

    def prepare(self, measurements: Any, observed: Observed) -> Any:
        return [len(observed.value), 0]

    def draw(self, state: Any, replicates: range, seed: int) -> torch.Tensor:
        state[1] += 1
        return super().draw(state[0], replicates, seed)


class Idle(RandomSets):
    """Broken: nothing is randomised."""

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        return stack(lambda r: np.arange(state), replicates)


class Silent(DocumentSwaps):
    """Broken: says neither what it keeps nor where it comes from."""

    preserves = ()
    reference = ""

    def invariants(self, observed: Observed, draw: Any) -> tuple[()]:
        return ()


BROKEN: dict[type[NullModel], set[str]] = {
    IgnoresTheSeed: {"seeds"},
    DependsOnTheBatch: {"batch"},
    LosesDegrees: {"invariants"},
    MutatesItsInput: {"untouched"},
    NotUniform: {"uniform"},
    LeavesOutTheObserved: {"p_value"},
    AntiConservative: {"size"},
    KeepsAGenerator: {"untouched"},
    Silent: {"declared", "citation"},
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_null_fails_the_check_meant_for_it_and_no_other(broken: type[NullModel]) -> None:
    report = check(broken)
    assert set(report.failures) == BROKEN[broken], str(report)
    assert not report.passed


def test_a_null_that_randomises_nothing_fails_wherever_chance_is_looked_for() -> None:
    assert set(check(Idle).failures) == {"seeds", "variety", "uniform", "power"}


def test_a_null_that_raises_is_reported_and_not_raised() -> None:
    class Raises(RandomSets):
        """Broken: cannot draw."""

        def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
            raise RuntimeError("no draws today")

    report = check(Raises)
    assert "contract" in report.failures
    assert any("no draws today" in c.reason for c in report.checks)


def test_a_decorated_function_is_a_null_model_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue.nulls, "_entries", dict(catalogue.nulls._entries))

    @null_model(
        "rotated", randomises="neurons", preserves=("size of the sets",), breaks=("which neurons form the plateau",),
        exchangeable="all neurons", reference="Good (2005), chapter 3",
    )  # fmt: skip
    def rotated(observed: Observed, rng: np.random.Generator) -> np.ndarray:
        """All neurons in random order, strata ignored."""
        return rng.permutation(len(observed.value))

    report = check("rotated")
    assert set(report.failures) == set(), str(report)
    assert report.run == 15, "a function states neither invariants nor a space of draws"


RUN = {
    "matched_sets": 17, "reselected_sets": 16, "random_sets": 17, "head_sets": 17, "label_swaps": 17,
    "document_swaps": 17, "neuron_swaps": 17, "document_permuted": 17, "circular_shift": 17, "hqs": 16,
    "correlation_cm": 16, "random_matrix": 16, "rewired": 17, "signed_rewired": 17, "erdos_renyi": 17,
    "influence_law": 16, "random_init": 16, "shuffled_corpus": 16,
}  # fmt: skip
"""Checks that run on each null of the catalogue.  Parametric ensembles have no enumerable space; a model is no JSON."""


def test_the_number_of_checks_does_not_shrink() -> None:
    assert len(NULL_CHECKS) == 17
    assert len(HYPOTHESIS_CHECKS) == 7
    assert set(RUN) == {n for n in catalogue.nulls.names() if catalogue.nulls.origin(n) == "built in"}


def test_a_certificate_is_json_and_counts_what_ran() -> None:
    report = check("document_swaps")
    told = json.loads(json.dumps(report.to_json()))
    assert (told["passed"], told["run"], told["skipped"]) == (True, 17, 0)
    assert {"python", "neuronull", "numpy", "torch"} == set(told["versions"])
    assert report.summary == "document_swaps: 17 of 17 checks passed"
    assert Report("nothing", "null model", ()).passed is False, "no check run is no pass"


def test_targets_are_names_paths_classes_or_objects() -> None:
    assert check("neuronull.hypotheses.nulls.document_swaps:DocumentSwaps").passed
    with pytest.raises(InputError, match="did you mean document_swaps"):
        check("document_swap")
    with pytest.raises(InputError, match="neither a null model nor a hypothesis"):
        check("neuronull.data.errors:InputError")


@pytest.mark.parametrize("name", list(catalogue.known_hypotheses()))
def test_every_hypothesis_of_the_catalogue_passes_its_checks(name: str) -> None:
    report = check(name)
    assert report.passed, str(report)
    assert report.run >= len(HYPOTHESIS_CHECKS) - 1, str(report)
