"""Checks of the pipeline itself: what must be there is found, and what cannot be there is not.

A paper says which of them its tests call for; those here know no paper.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from ..data.errors import InputError, MissingInput
from ..data.options import TestOptions
from .neuron_sets import Need
from .prepared import PreparedData
from .result import Details, Finding, HypothesisCard, Kind, Role, Verdict

LARGE = 0.1
"""Sd units: ablating all heads of a layer must move the neurons it feeds by at least this much."""

State: TypeAlias = Literal["passed", "failed", "not run"]


@dataclass(frozen=True)
class Outcome:
    """How a control ended, what was seen in words, and its numbers (columns of `Finding`)."""

    state: State
    seen: str
    numbers: dict[str, Any] = field(default_factory=dict)
    details: Details = field(default_factory=Details)

    @property
    def notes(self) -> str:
        """``passed: what was seen``."""
        return f"{self.state}: {self.seen}"


@dataclass(frozen=True)
class ControlRun:
    """What a control may look at.

    ``random_weights`` tests the same hypotheses on the model with its weights drawn anew: ids of those that find an
    effect, and how many were tested.
    """

    data: PreparedData
    options: TestOptions
    random_weights: Callable[[], tuple[list[str], int]]


@dataclass(frozen=True)
class Control:
    """A check of the pipeline.

    Attributes
    ----------
    id
        ``control.NAME``.
    claim
        What must be so, in one sentence.
    title
        A few words for tables.
    unit
        Of its estimate.
    run
        Does it.
    needs_random_weights
        Whether the model must be measured with its weights drawn anew.
    needs
        What must be measured for it.
    """

    id: str
    claim: str
    title: str
    unit: str
    run: Callable[[ControlRun], Outcome]
    needs_random_weights: bool = False
    needs: tuple[Need, ...] = ()

    def card(self, data: PreparedData) -> HypothesisCard:
        """What a reader is told of it."""
        return HypothesisCard(id=self.id, title=data.filled(self.title), asks=data.filled(self.claim))

    def finding(self, run: ControlRun, common: dict[str, Any]) -> Finding:
        """The control as a row; `common` holds the columns that are the same in every row of a run."""
        try:
            outcome = self.run(run)
        except InputError as error:  # the control cannot be run, the run goes on
            outcome = Outcome("not run", str(error))
        claim = run.data.filled(self.claim)
        base = {
            "hypothesis": self.id, "family": "control", "claim": claim, "kind": Kind.CONTROL, "role": Role.CONTROL,
            "estimator": self.id.split(".")[1], "unit": self.unit, "notes": outcome.notes, "details": outcome.details,
            "sentence": f"{claim} {outcome.notes[0].upper()}{outcome.notes[1:]}.",
        }  # fmt: skip
        return Finding(**(common | base | outcome.numbers))


def flags_an_effect(finding: Finding) -> bool:
    """Whether a verdict says that an effect is there: a supported presence or a refuted absence."""
    there = {Kind.PRESENCE: Verdict.SUPPORTED, Kind.ABSENCE: Verdict.REFUTED}
    return finding.role is Role.PRIMARY and there.get(finding.kind) is finding.verdict


def _random_weights(run: ControlRun) -> Outcome:
    names, tested = run.random_weights()
    if not tested:
        raise MissingInput("no hypothesis could be tested on random weights")
    numbers = {"estimate": float(len(names)), "null_model": "random_init"}
    details = Details(found_in_random_weights=names, further={"tested": tested})
    if names:
        return Outcome("failed", f"{', '.join(names)} found an effect, of {tested}", numbers, details)
    return Outcome("passed", f"none of {tested} hypotheses found an effect", numbers, details)


def _unreachable_heads(run: ControlRun) -> Outcome:
    heads = run.data.heads
    rows = np.flatnonzero(~heads.reachable & (heads.head >= 0))
    if len(rows) == 0:
        raise MissingInput("every measured head can reach the layer")
    largest = max(float(heads.effect[r].nan_to_num().abs().max()) for r in rows.tolist())
    details = Details(further={"heads": len(rows)})
    if largest == 0:
        return Outcome("passed", f"exactly 0 for all {len(rows)}", {"estimate": largest}, details)
    return Outcome("failed", f"one of {len(rows)} has an effect", {"estimate": largest}, details)


def _whole_layer(run: ControlRun) -> Outcome:
    heads = run.data.heads
    rows = np.flatnonzero(heads.reachable & (heads.head < 0)).tolist()
    if not rows:
        raise MissingInput("no whole layer was ablated")
    mean = {f"layer_{heads.layer[r]}": float(heads.effect[r].nanmean(dtype=torch.float64)) for r in rows}
    smallest = min(mean.values())
    numbers, details = {"estimate": smallest}, Details(further=dict(mean))
    if smallest >= LARGE:
        return Outcome("passed", f"at least {LARGE:g} sd in every layer", numbers, details)
    return Outcome("failed", f"less than {LARGE:g} sd in a layer", numbers, details)


RANDOM_WEIGHTS = Control(
    "control.random_init",
    "A model with random weights shows none of the claimed effects.",
    "Untrained twin",
    "findings",
    _random_weights,
    needs_random_weights=True,
)
UNREACHABLE_HEADS = Control(
    "control.unreachable_heads",
    "Heads that cannot reach the layer have an effect of exactly zero.",
    "Unreachable heads",
    "sd",
    _unreachable_heads,
    needs=("heads",),
)
WHOLE_LAYER = Control(
    "control.whole_layer",
    "Ablating all heads of a layer together moves the neurons it feeds.",
    "Whole attention layers",
    "sd",
    _whole_layer,
    needs=("heads",),
)
