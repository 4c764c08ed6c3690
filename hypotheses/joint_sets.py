"""Which sets must be ablated jointly before the closure hypotheses can be tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..data.errors import MissingInput
from ..data.options import TestOptions
from ..estimators.joint_ablation import Sets
from . import catalogue
from .hypothesis import Hypothesis
from .nulls.guard import GuardedNull, blamed
from .prepared import PreparedData
from .statistics.joint import JointStatistic, Plan
from .threads import limited_to

if TYPE_CHECKING:
    from .views import Prepared


@limited_to(1)
def joint_sets(prepared: Prepared, options: TestOptions) -> Sets:
    """Every set that the wanted hypotheses will look up: the observed ones, and those of every null draw.

    Draws are keyed by seed and replicate, so these are the draws that the test makes later.  A hypothesis that cannot
    be planned asks for nothing: its row will say why.
    """
    asked: dict[str, dict[tuple[int, ...], None]] = {"neurons": {}, "heads": {}}
    for hypothesis in prepared.choice.hypotheses:
        data = prepared.of(hypothesis)
        if isinstance(hypothesis.statistic, JointStatistic):
            try:
                with blamed(hypothesis.statistic):
                    plan = hypothesis.statistic.plan(data)
                found = dict.fromkeys(_members(plan, _draws(hypothesis, plan, data, options)))
            except MissingInput:
                continue
            asked[plan.kind] |= found
    return Sets(tuple(asked["neurons"]), tuple(asked["heads"]))


def _draws(hypothesis: Hypothesis, plan: Plan, data: PreparedData, options: TestOptions) -> list[Any]:
    """The observed draw, and those of each null model that draws sets (a chosen one that does not replaces none)."""
    drawn = [plan.observed]
    chosen = options.nulls.get(hypothesis.id)
    of_sets = chosen is not None and catalogue.nulls.get(chosen).randomises == plan.kind
    for one in (chosen,) if chosen and of_sets else hypothesis.nulls:
        null = catalogue.null_of(one)
        if null.randomises == plan.kind:
            guarded = GuardedNull(null, data.measurements, plan.offers()[plan.kind])
            drawn.append(guarded.draw(range(1, 1 + hypothesis.replicates(options.replicates)), options.seed))
    return drawn


def _members(plan: Plan, draws: Iterable[Any]) -> Iterator[tuple[int, ...]]:
    for some in draws:
        yield from map(tuple, plan.sets(some).flatten(0, -2).tolist())
