"""Statistics of joint ablation: a plan of sets before anything is measured, and what the measured sets say.

A plan holds everything that is chosen (plateaus, heads, strata).  It turns draws of a null model into sets, for
whoever measures them (`neuronull.hypotheses.joint_sets`) and again for the statistic, which looks each set up by its
members: the observed sets are the draw that changes nothing, and take the same path.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from ...data.errors import InputError, MissingInput
from ...estimators import joint_contrasts
from ...estimators.class_means import ClassSums, influence_function, leave_one_out, means_under, studentised
from ...estimators.regimes import nothing_chosen
from ..balance import neurons
from ..nulls.base import Observed, Randomises
from ..nulls.head_sets import effect_strata
from ..prepared import PreparedData
from .base import BoundStatistic, Statistic, Values
from .class_contrasts import head_effects_on_sets

MOST_SETS = 199
"""Draws at most: each asks for sets of its own, and every set costs a pass over the text."""
TOP_HEADS = 0.05
"""Share of the reachable heads that is ablated."""
FEWEST_HEADS = 2


class Plan(ABC):
    """Which sets a closure hypothesis needs."""

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

    most_replicates: int | None = MOST_SETS

    @abstractmethod
    def plan(self, data: PreparedData) -> Plan:
        """Everything that is chosen before a set is ablated.

        Raises
        ------
        MissingInput
            If the data lacks what is chosen by.
        """


class NeuronPlan(Plan):
    """Plateaus of rare and of common, chosen on each half, and their images under a permutation of neurons."""

    kind: Randomises = "neurons"

    def __init__(self, data: PreparedData) -> None:
        self.data = data
        self.plateaus = torch.stack([torch.stack([rare, common]) for rare, common in
                                     zip(data.plateau, data.common_plateau, strict=True)])  # fmt: skip
        """int64 [2 (chosen on half), 2 (class), n]."""
        self.own = joint_contrasts.own_influence(data.influence)
        """Own influence of each neuron on each half, float64 [2, N]."""

    def offers(self) -> Mapping[Randomises, Observed]:
        """The neurons' places."""
        return {"neurons": neurons(self.data)}

    def sets(self, draws: Tensor) -> Tensor:
        """Images of the four plateaus, [R, 2 (chosen on half), 2 (class), n]."""
        if draws.ndim != 2 or draws.shape[1] != self.data.measurements.n_neurons:
            raise InputError("the plateaus of rare and of common need one permutation of neurons for both, and this "
                             "null model draws sets", "--null", "choose matched_sets or random_sets")  # fmt: skip
        return draws[:, self.plateaus].sort(-1).values

    @property
    def observed(self) -> Tensor:
        """The identity, [1, N]."""
        return torch.arange(self.data.measurements.n_neurons)[None]


class HeadPlan(Plan):
    """The heads that act most on the plateau, and sets of heads that act as much on the layer.

    The choice is by effect on the label-blind plateau, both classes and both halves together, so that the two halves
    have one set of heads and a draw of `head_sets` is one set too.  It needs no second half: what is chosen by stays
    the same when rare and common change places, so it cannot lean to a class, and what is estimated is only that lean.
    (Each head's effect is read on the plateau that the other half chose.)
    """

    kind: Randomises = "heads"

    def __init__(self, data: PreparedData) -> None:
        rows = torch.from_numpy(data.reachable_heads)
        on_plateau = head_effects_on_sets(data)[..., 0].sum((1, 2))
        count = min(len(rows), max(FEWEST_HEADS, round(TOP_HEADS * len(rows))))
        top = torch.argsort(on_plateau, descending=True, stable=True)[:count].sort().values
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
class JointNeurons(JointStatistic):
    """Net loss increase of the plateaus, rare less common, less that of matched sets (`specialists.closure`)."""

    def plan(self, data: PreparedData) -> NeuronPlan:
        """The two plateaus of each half."""
        return NeuronPlan(data)

    def bind(self, data: PreparedData) -> BoundJointNeurons:
        """Loss increases of the plateaus and of their images."""
        return BoundJointNeurons(data, self.plan(data))


@dataclass(frozen=True)
class JointHeads(JointStatistic):
    """Log ratio of the loss increase of the plateau's top heads, rare to common (`routing.closure`)."""

    def plan(self, data: PreparedData) -> HeadPlan:
        """The heads that act most on the plateau."""
        return HeadPlan(data)

    def bind(self, data: PreparedData) -> BoundJointHeads:
        """Loss increases of the chosen heads and of drawn ones."""
        return BoundJointHeads(data, self.plan(data))


P = TypeVar("P", bound=Plan)


class BoundJoint(BoundStatistic, Generic[P]):
    """Measured sets of one kind, on one data."""

    def __init__(self, data: PreparedData, plan: P) -> None:
        self.data, self.plan = data, plan
        joint_ablation = data.joint_ablation
        self._rows = {members: row for (kind, members), row in joint_ablation.rows.items() if kind == plan.kind}
        if not self._rows:
            raise MissingInput(f"no closures of {plan.kind} were measured", "closure.safetensors",
                               "run it from the model, without --measurements")  # fmt: skip
        loss = joint_ablation.loss[:, torch.from_numpy(data.documents)].double()
        self.increase = loss * data.pairs[:, None]
        """Summed loss increase of each measured set of either kind, float64 [S, D, 2] nats."""

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
                f"closures were measured for other draws ({len(self._rows)} sets of {self.plan.kind})",
                "closure.safetensors",
                "use the plateau, null model and seed they were measured with, and no more replicates",
            )
        return torch.tensor(found).view(sets.shape[:-1])

    def others(self) -> Tensor:
        """Rows of all measured sets as large as the observed ones, these left out, int64 [m]."""
        own = set(self.rows(self.plan.observed).flatten().tolist())
        size = self.plan.sets(self.plan.observed).shape[-1]
        return torch.tensor([r for members, r in self._rows.items() if len(members) == size and r not in own])

    def members(self, rows: Tensor) -> Tensor:
        """Members of measured sets of one size, int64 [m, n]."""
        of_row = {row: members for members, row in self._rows.items()}
        return torch.tensor([of_row[row] for row in rows.tolist()])


class BoundJointNeurons(BoundJoint[NeuronPlan]):
    """Chosen on one half, summed over the documents of the other; selections stay fixed when labels are swapped.

    With J(S, c) the loss increase of a set on class c, I(c) the mean influence of a neuron of the layer on c and a(S)
    the members' own influence in units of it, the net share of a set is J(S, c) / (a(S) I(c)), and the estimate is

        sum over the two plateaus P of [share(P, rare) - share(P, common)] - the same, mean over matched sets.

    P_common mirrors P_rare, since each plateau leans to the class it was chosen on; I(c) takes out the class's scale,
    the matched sets take out whatever joint ablation does to one class more for any neurons.  A matched set holds part
    of the plateau, which is taken out of the estimate (it shrinks that by the share of members that they have in
    common).  It is a difference and no log ratio: see `neuronull.estimators.joint_contrasts`.
    """

    def __init__(self, data: PreparedData, plan: NeuronPlan) -> None:
        super().__init__(data, plan)
        others = self.others()
        if len(others) == 0:
            raise MissingInput("closures were measured of the plateaus alone", "closure.safetensors",
                               "measure matched sets as well")  # fmt: skip
        matched = self.members(others)
        self.matched = torch.stack([self._per_own(others, matched, h) for h in (0, 1)]).mean(1)
        """Increase of matched sets per own influence as half h has it, their mean, float64 [2, D, 2]."""
        common = torch.stack([torch.isin(matched, p).double().mean() for p in self.plan.plateaus.flatten(0, 1)])
        self.unshared = 1 / (1 - float(common.mean()))
        self.sums = ClassSums(self._features(), data.pairs, torch.from_numpy(data.half))

    def _per_own(self, rows: Tensor, members: Tensor, half: int) -> Tensor:
        """Summed increase of sets over their own influence on a half, [m, D, 2]."""
        return self.increase[rows] / self.plan.own[half][members].sum(-1)[:, None, None]

    def _features(self) -> Tensor:
        """Of each document, over the plateaus chosen on the other half less matched sets; and influence, [D, 2, 2, 1].

        The factor of `unshared` is in the first.
        """
        data, half = self.data, torch.from_numpy(self.data.half)
        rows = self.rows(self.plan.observed)[0]
        net = torch.zeros(len(half), 2, dtype=torch.float64)
        for chosen in (0, 1):
            scored = half == 1 - chosen
            found = self._per_own(rows[chosen], self.plan.plateaus[chosen], chosen) - self.matched[chosen]
            net[scored] = found.sum(0)[scored]
        return torch.stack([self.unshared * net, data.influence_sums.x[..., 0].mean(-1)], dim=-1)[..., None]

    def offers(self) -> Mapping[Randomises, Observed]:
        """The neurons' places, and the labels of documents."""
        swaps = torch.zeros(self.sums.documents, dtype=torch.bool)
        return {**super().offers(), "labels": Observed("labels", swaps, half=self.data.half)}

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Studentised under swaps of documents; plain for images of the plateaus."""
        if kind == "labels":
            value, derivative = influence_function(self.sums, draws, nothing_chosen, joint_contrasts.net_contrast)
            return Values(value, studentised(value, derivative))
        value = joint_contrasts.net_contrast(self._means(draws))
        return Values(value, value)

    def _means(self, draws: Tensor) -> Tensor:
        """What the statistic reads, with images of the plateaus in their place, [R, 2 (half), 2 (class), 2, 1]."""
        rows, images = self.rows(draws), self.plan.sets(draws)
        means = means_under(self.sums, torch.zeros(1, self.sums.documents, dtype=torch.bool))
        means = means.repeat(len(draws), 1, 1, 1, 1)
        for chosen in (0, 1):
            documents = self.sums.rows(1 - chosen)
            own = self.plan.own[chosen][images[:, chosen]].sum(-1)
            summed = self.increase[:, documents].sum(1)[rows[:, chosen]] / own[..., None]
            net = summed.sum(1) - 2 * self.matched[chosen][documents].sum(0)
            means[:, 1 - chosen, :, 0, 0] = self.unshared * net / self.sums.weight[documents].sum()
        return means

    def leave_one_out(self) -> Tensor:
        """Estimate without each document, [D, 1]."""
        return leave_one_out(self.sums, nothing_chosen, joint_contrasts.net_contrast)

    def details(self) -> dict[str, Any]:
        """Joint increases beside the sum of the single ablations, and what matched sets do (nats a position)."""
        pairs = float(self.data.pairs.sum())
        rows = self.rows(self.plan.observed)[0, :, 0]  # the plateaus of rare, one a half
        joint = self.increase[rows].sum(1).mean(0) / pairs
        panel, changes = self.data.panel, self.data.delta_loss
        members = self.plan.plateaus[:, 0]
        single = [changes[torch.from_numpy(r)].sum(0, dtype=torch.float64)[members].sum(-1).mean() / pairs
                  for r in (panel.a_rows, panel.b_rows)]  # fmt: skip
        of_matched = self.increase[self.others()].sum(1) / pairs
        return {
            "joint": _by_class(joint),
            "sum_of_single": _by_class(torch.stack(single)),
            "matched_sets": _by_class(of_matched.mean(0)),
            "matched_sets_that_lower_the_loss": _by_class((of_matched < 0).double().mean(0)),
        }


class BoundJointHeads(BoundJoint[HeadPlan]):
    """All documents together; the engine takes the estimate less its mean over drawn sets of heads.

    A log ratio needs increases above 0.  Chosen heads whose ablation does not raise the loss in both classes have
    none, and the hypothesis is not run.  A drawn set's increase counts as at least `FLOOR` of the mean increase of all
    measured sets: it keeps its place at the end of the null distribution, widens the interval, and is counted in the
    details.
    """

    def __init__(self, data: PreparedData, plan: HeadPlan) -> None:
        super().__init__(data, plan)
        self.per_position = self.increase.sum(1) / data.pairs.sum()
        """Mean loss increase of each measured set, float64 [S, 2] nats."""
        measured = self.per_position[torch.tensor(list(self._rows.values()))]
        self.floor = joint_contrasts.least_increase(measured)
        observed = self.per_position[self.rows(plan.observed)[0]]
        said = {"rare": float(observed[0]), "common": float(observed[1]), "all sets of heads together": self.floor}
        for name, value in said.items():
            if value <= 0:
                of = f"ablating the plateau's top heads changes the loss on {name} tokens by {value:.2g} nats"
                if name not in ("rare", "common"):
                    of = "ablating heads does not raise the loss on average"
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

    def details(self) -> dict[str, Any]:
        """Which heads, what they do, and how many measured sets have an increase under the floor (nats a position)."""
        heads, others = self.data.heads, self.others()
        chosen = [f"{heads.layer[row]}.{heads.head[row]}" for row in self.plan.chosen.tolist()]
        below = joint_contrasts.floored(self.per_position[others], self.floor)
        return {
            "heads": chosen,
            "joint": _by_class(self.per_position[self.rows(self.plan.observed)[0]]),
            "sets_of_heads": len(others),
            "sets_without_increase": int(below.sum()),
        }


def _by_class(values: Tensor) -> dict[str, float]:
    return {"rare": float(values[0]), "common": float(values[1])}
