"""Statistics of joint ablation: a plan of sets before anything is measured, and what the measured sets say.

A plan holds everything that is chosen (sets, heads, strata).  It turns draws of a null model into sets, for whoever
measures them (`neuronull.hypotheses.joint_sets`) and again for the statistic, which looks each set up by its members:
the observed sets are the draw that changes nothing, and take the same path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...data.errors import MissingInput
from ..neuron_sets import Need
from ..nulls.base import Observed, Randomises
from ..prepared import PreparedData
from ..statistic import BoundStatistic, Statistic

if TYPE_CHECKING:
    from ..truth import TrueWorld

FloatArray: TypeAlias = npt.NDArray[np.float64]

MOST_SETS = 199
"""Draws at most: each asks for sets of its own, and every set costs a pass over the text."""


class Plan(ABC):
    """Which sets a hypothesis on joint ablation needs."""

    kind: Randomises

    @abstractmethod
    def offers(self) -> Mapping[Randomises, Observed]:
        """The objects whose draws name sets."""

    @abstractmethod
    def sets(self, draws: Any) -> Tensor:
        """Sets of each draw, int64 [R, ..., n], members ascending.

        Raises
        ------
        InputError
            If the draws are of a form that names no sets.
        """

    @property
    @abstractmethod
    def observed(self) -> Tensor:
        """The draw that changes nothing, first axis of length 1."""


@dataclass(frozen=True)
class JointStatistic(Statistic):
    """An statistic on sets that are ablated jointly."""

    needs: ClassVar[tuple[Need, ...]] = ("influence", "joint_ablation")

    most_replicates: int | None = MOST_SETS

    @abstractmethod
    def plan(self, data: PreparedData) -> Plan:
        """Everything that is chosen before a set is ablated.

        Raises
        ------
        MissingInput
            If the data lacks what is chosen by.
        """


P = TypeVar("P", bound=Plan)


class BoundJoint(BoundStatistic, Generic[P]):
    """Measured sets of one kind, on one data."""

    def __init__(self, data: PreparedData, plan: P) -> None:
        self.data, self.plan = data, plan
        joint_ablation = data.joint_ablation
        self._rows = {members: row for (kind, members), row in joint_ablation.rows.items() if kind == plan.kind}
        if not self._rows:
            raise MissingInput(f"no joint ablation of {plan.kind} was measured", "closure.safetensors",
                               "run it from the model, without --measurements")  # fmt: skip
        loss = joint_ablation.loss[:, torch.from_numpy(data.documents)].double()
        pairs = torch.from_numpy(np.bincount(data.pair_document, minlength=len(data.documents)).astype(np.float64))
        self.increase = data.by_unit(loss * pairs[:, None], 1)
        """Summed loss increase of each measured set of either kind, float64 [S, U, 2] nats."""

    def on(self, data: PreparedData) -> Self:
        """The same plan on other measurements of the same sets."""
        return type(self)(data, self.plan)

    def offers(self) -> Mapping[Randomises, Observed]:
        """What the plan offers."""
        return self.plan.offers()

    def rows(self, draws: Any) -> Tensor:
        """Rows of `increase` of the sets that draws name, int64 [R, ...].

        Raises
        ------
        MissingInput
            If a set was not measured.
        """
        sets = self.plan.sets(draws)
        found = [self._rows.get(tuple(members)) for members in sets.flatten(0, -2).tolist()]
        if None in found:
            raise MissingInput(
                f"joint ablation was measured for other draws ({len(self._rows)} sets of {self.plan.kind})",
                "closure.safetensors",
                "use the set, null model and seed they were measured with, and no more replicates",
            )
        return torch.tensor(found).view(sets.shape[:-1])

    def true_values(self, world: TrueWorld) -> FloatArray:
        """Value of the sets that were planned on the data, ablated in truth; if centred, less the same draws' mean."""
        expected = self.on(world.true_data(world.truth))
        observed = self.plan.observed
        value: FloatArray = expected.evaluate(self.plan.kind, observed, range(1), world.seed).estimate[0].numpy()
        if not world.statistic.centred:
            return value
        drawn = [
            expected.evaluate(self.plan.kind, draws, numbers, world.seed).estimate
            for numbers, draws in world.draws(self.plan.kind)
            if numbers != range(1)
        ]
        difference: FloatArray = world.sampled.unshared * (value - torch.cat(drawn).mean(0).numpy())
        return difference

    def others(self) -> Tensor:
        """Rows of all measured sets as large as the observed ones, these left out, int64 [m]."""
        own = set(self.rows(self.plan.observed).flatten().tolist())
        size = self.plan.sets(self.plan.observed).shape[-1]
        return torch.tensor([r for members, r in self._rows.items() if len(members) == size and r not in own])

    def members(self, rows: Tensor) -> Tensor:
        """Members of measured sets of one size, int64 [m, n]."""
        of_row = {row: members for members, row in self._rows.items()}
        return torch.tensor([of_row[row] for row in rows.tolist()])


def by_condition(values: Tensor, data: PreparedData) -> dict[str, float]:
    """Two numbers, by the names of the conditions."""
    conditions = data.conditions
    return {conditions.a.name: float(values[0]), conditions.b.name: float(values[1])}
