"""Checks of the pipeline itself: what must be there is found, and what cannot be there is not.

A paper says which of them its tests call for; those here know no paper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import torch

from ..data.errors import InputError, MissingInput
from ..data.measurements import Heads
from ..data.options import Progress, Silent, TestOptions
from .hypothesis import Hypothesis
from .neuron_sets import Need
from .numbers import plain_number
from .prepared import PreparedData
from .result import Details, Finding, HypothesisCard, Kind, Role, Verdict

STRICT = 0.01
"""Level at which random weights must show an effect, over all verdict rows together (Holm)."""

State: TypeAlias = Literal["passed", "failed", "could not see", "not run"]


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

    ``found`` are the rows of the run; ``random_weights`` tests the same hypotheses on the model with its weights drawn
    anew and gives the verdict rows, judged together at `STRICT`.
    """

    data: PreparedData
    options: TestOptions
    found: Sequence[Finding]
    random_weights: Callable[[], list[Finding]]
    progress: Progress = field(default_factory=Silent)


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
    bears_on
        Which hypotheses are in doubt where it fails; one that names hypotheses of its own accord
        (`Details.found_in_random_weights`) puts only these in doubt.
    """

    id: str
    claim: str
    title: str
    unit: str
    run: Callable[[ControlRun], Outcome]
    needs_random_weights: bool = False
    needs: tuple[Need, ...] = ()
    bears_on: Callable[[Hypothesis], bool] = lambda hypothesis: False

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


def doubts(
    controls: Sequence[Control], hypotheses: Sequence[Hypothesis], findings: Sequence[Finding]
) -> dict[str, list[str]]:
    """What the controls leave to doubt of each hypothesis, by its id; those without doubt are not in it."""
    rows = {f.hypothesis: f for f in findings if f.role is Role.CONTROL}
    effects = {f.hypothesis for f in findings if flags_an_effect(f)}
    out: dict[str, list[str]] = {}
    for control in controls:
        row = rows[control.id]
        unseen = row.details.further.get("could_not_see")
        for hypothesis in hypotheses:
            said = []
            if row.notes.startswith("failed") and control.bears_on(hypothesis):
                said.append(f"{control.id} failed")
            if hypothesis.id in effects and hypothesis.id in row.details.found_in_random_weights:
                said.append("found with random weights too, so training need not be its cause")
            if hypothesis.id in effects and isinstance(unseen, Mapping) and hypothesis.id in unseen:
                said.append("random weights could not have shown an effect of this size")
            if said:
                out.setdefault(hypothesis.id, []).extend(said)
    return out


def _random_weights(run: ControlRun) -> Outcome:
    twin = {f.hypothesis: f for f in run.random_weights()}
    if not twin:
        raise MissingInput("no hypothesis could be tested on random weights")
    flagged = [name for name, f in twin.items() if flags_an_effect(f)]
    reported = {f.hypothesis: abs(f.estimate) for f in run.found if flags_an_effect(f) and f.estimate is not None}
    least = {name: _detectable(twin.get(name), len(twin)) for name in reported}
    unseen = {name: least[name] for name, effect in reported.items() if least[name] > effect and name not in flagged}
    further: dict[str, Any] = {"tested": len(twin)}
    if unseen:
        further["could_not_see"] = {name: value if np.isfinite(value) else None for name, value in unseen.items()}
    numbers = {"estimate": float(len(flagged)), "null_model": "random_init"}
    details = Details(found_in_random_weights=flagged, further=further)
    at = plain_number(STRICT)
    if flagged:
        seen = f"{', '.join(flagged)} found an effect, of {len(twin)} (Holm over all at {at})"
        return Outcome("failed", seen, numbers, details)
    none = f"none of {len(twin)} hypotheses found an effect (Holm over all at {at})"
    if unseen:
        missed = [f"{name} ({_as_large(value)}, reported {plain_number(reported[name], 2)})"
                  for name, value in unseen.items()]  # fmt: skip
        seen = f"{none}, but it could not have seen that of {', '.join(missed)}"
        return Outcome("could not see", seen, numbers, details)
    than = "and would have seen those reported" if reported else "and none is reported for the model"
    return Outcome("passed", f"{none}, {than}", numbers, details)


def _detectable(row: Finding | None, rows: int) -> float:
    """Effect that a row on random weights would have found with probability .8; infinite where no p could be small."""
    if row is None or row.minimal_detectable_effect is None or row.replicates is None:
        return float("inf")
    return row.minimal_detectable_effect if rows / (1 + row.replicates) < STRICT else float("inf")


def _as_large(effect: float) -> str:
    if np.isfinite(effect):
        return f"detectable from {plain_number(effect, 2)}"
    return "not tested there, or with too few draws"


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
    """Each layer against its own heads: how much a layer matters differs a hundredfold between and within models."""
    heads = run.data.heads
    rows = np.flatnonzero(heads.reachable & (heads.head < 0)).tolist()
    if not rows:
        raise MissingInput("no whole layer was ablated")
    whole = {int(heads.layer[r]): _mean_effect(heads, r) for r in rows}
    single = {
        at: float(
            np.mean([_mean_effect(heads, r) for r in np.flatnonzero((heads.layer == at) & (heads.head >= 0)).tolist()])
        )
        for at in whole
    }
    unmoved = [at for at, effect in whole.items() if not effect > 0 or effect < single[at]]
    least = min(whole, key=lambda at: whole[at])
    numbers = {"estimate": whole[least]}
    details = Details(further={f"layer_{at}": effect for at, effect in whole.items()})
    if unmoved:
        which = ", ".join(map(str, unmoved))
        return Outcome("failed", f"less than one head of it does, or nothing, in layer {which}", numbers, details)
    seen = f"more than its heads do one by one in every layer, by at least {plain_number(whole[least], 2)} sd"
    return Outcome("passed", seen, numbers, details)


def _mean_effect(heads: Heads, row: int) -> float:
    """Mean effect of a row of the heads table over the neurons that are ever moved, sd units; 0 where none is."""
    live = torch.nan_to_num(heads.effect[heads.reachable]).amax((0, 1, 2)) > 0
    moved = heads.effect[row][..., live]
    return float(moved.nanmean(dtype=torch.float64)) if live.any() else 0.0


def _rests_on_heads(hypothesis: Hypothesis) -> bool:
    return "heads" in hypothesis.statistic.needs


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
    bears_on=_rests_on_heads,
)
WHOLE_LAYER = Control(
    "control.whole_layer",
    "Ablating all heads of a layer together moves the neurons it feeds more than one of them does.",
    "Whole attention layers",
    "sd",
    _whole_layer,
    needs=("heads",),
    bears_on=_rests_on_heads,
)
