"""What ablating the heads that act most on the set does to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .....data.errors import MissingInput
from .....estimators import joint_contrasts
from ....neuron_sets import Need
from ....nulls.base import Observed, Randomises
from ....nulls.head_sets import effect_strata
from ....prepared import PreparedData
from ....result import Details
from ....statistic import Values
from ....statistics.joint import BoundJoint, JointStatistic, Plan, by_condition
from .head_sets import HeadSets

TOP_HEADS = 0.05
"""Share of the reachable heads that is ablated."""
FEWEST_HEADS = 2


class HeadPlan(Plan):
    """The heads that act most on the set, and sets of heads that act as much on the layer.

    The choice is by effect on the label-blind set, both classes and both halves together, so that the two halves
    have one set of heads and a draw of `head_sets` is one set too.  It needs no second half: what is chosen by stays
    the same when the conditions change places, so it cannot lean to one, and what is estimated is only that lean.
    (Each head's effect is read on the set that the other half chose.)
    """

    kind: Randomises = "heads"

    def __init__(self, data: PreparedData) -> None:
        rows = torch.from_numpy(data.reachable_heads)
        on_set = HeadSets(data, [[h] for h in range(len(data.reachable_heads))]).sums.x[:, :, 0].sum((0, 1))
        count = min(len(rows), max(FEWEST_HEADS, round(TOP_HEADS * len(rows))))
        top = torch.argsort(on_set, descending=True, stable=True)[:count].sort().values
        totals = (data.head_effect(h).sum((0, 1), dtype=torch.float64).mean() for h in range(len(rows)))
        strata = effect_strata(np.fromiter(map(float, totals), np.float64), top.numpy())
        self.chosen = rows[top]
        """Rows of the heads table, int64 [k]."""
        self.strata = torch.full((len(data.heads.head),), -1)
        """Stratum of every row of the heads table, int64 [H]; -1: not to be drawn."""
        self.strata[rows] = torch.from_numpy(strata)

    def offers(self) -> Mapping[Randomises, Observed]:
        """The chosen heads among those that act as much."""
        return {"heads": Observed("heads", self.chosen, strata=self.strata)}

    def sets(self, draws: Tensor) -> Tensor:
        """The draws themselves, [R, k]."""
        return draws.sort(-1).values

    @property
    def observed(self) -> Tensor:
        """The chosen heads, [1, k]."""
        return self.chosen[None]


@dataclass(frozen=True)
class JointHeads(JointStatistic):
    """Log ratio of the loss increase of the set's top heads, condition a to b (`routing.closure`)."""

    needs: ClassVar[tuple[Need, ...]] = ("influence", "heads", "joint_ablation")

    def plan(self, data: PreparedData) -> HeadPlan:
        """The heads that act most on the set."""
        return HeadPlan(data)

    def bind(self, data: PreparedData) -> BoundJointHeads:
        """Loss increases of the chosen heads and of drawn ones."""
        return BoundJointHeads(data, self.plan(data))


class BoundJointHeads(BoundJoint[HeadPlan]):
    """All documents together; the engine takes the estimate less its mean over drawn sets of heads.

    A log ratio needs increases above 0.  Chosen heads whose ablation does not raise the loss in both classes have
    none, and the hypothesis is not run.  A drawn set's increase counts as at least `FLOOR` of the mean increase of all
    measured sets: it keeps its place at the end of the null distribution, widens the interval, and is counted in the
    details.
    """

    lacks = "a model with more attention heads"

    def __init__(self, data: PreparedData, plan: HeadPlan) -> None:
        super().__init__(data, plan)
        self.per_position = self.increase.sum(1) / data.pairs.sum()
        """Mean loss increase of each measured set, float64 [S, 2] nats."""
        measured = self.per_position[torch.tensor(list(self._rows.values()))]
        self.floor = joint_contrasts.least_increase(measured)
        observed = self.per_position[self.rows(plan.observed)[0]]
        conditions = data.conditions
        for phrase, value in ((conditions.a.phrase, observed[0]), (conditions.b.phrase, observed[1]), ("", self.floor)):
            if value <= 0:
                of = "ablating heads does not raise the loss on average"
                if phrase:
                    of = data.filled(
                        f"ablating the heads that act most on the {{set}} neurons changes the loss on {phrase} by "
                        f"{float(value):.2g} nats"
                    )
                raise MissingInput(f"{of}, and a log ratio needs an increase", "closure.safetensors",
                                   "take more documents, or another model")  # fmt: skip

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Log ratio of each set."""
        value = joint_contrasts.log_ratio(self.per_position[self.rows(draws)], self.floor)[:, None]
        return Values(value, value)

    def leave_one_out(self) -> Tensor:
        """Log ratio of the chosen heads without each document, [D, 1]."""
        return self.draws_without(self.plan.kind, self.plan.observed, range(1), 0)[0]

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Tensor:
        """Log ratio of each set without each document, [R, D, 1]."""
        increase, pairs = self.increase[self.rows(draws)], self.data.pairs
        without = (increase.sum(1, keepdim=True) - increase) / (pairs.sum() - pairs)[:, None]
        return joint_contrasts.log_ratio(without, self.floor)[..., None]

    def shared(self, kind: Randomises, draws: Tensor) -> Tensor:
        """Share of each draw's heads that were chosen, [R]."""
        return torch.isin(self.plan.sets(draws), self.plan.chosen).double().mean(-1)

    def describe(self) -> Details:
        """Which heads, what they do, and how many measured sets have an increase under the floor (nats a position)."""
        heads, others = self.data.heads, self.others()
        chosen = [f"{heads.layer[row]}.{heads.head[row]}" for row in self.plan.chosen.tolist()]
        below = joint_contrasts.floored(self.per_position[others], self.floor)
        return Details(
            further={
                "heads": chosen,
                "joint": by_condition(self.per_position[self.rows(self.plan.observed)[0]], self.data),
                "sets_of_heads": len(others),
                "sets_without_increase": int(below.sum()),
            }
        )
