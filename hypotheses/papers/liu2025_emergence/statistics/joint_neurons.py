"""What ablating the whole set at once does to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .....data.errors import InputError, MissingInput
from .....estimators import joint_contrasts
from .....estimators.class_means import ClassSums, influence_function, leave_one_out, means_under, studentised
from .....estimators.regimes import nothing_chosen
from ....nulls.base import Observed, Randomises
from ....prepared import PreparedData
from ....result import Details
from ....statistic import Values
from ....statistics.joint import BoundJoint, JointStatistic, Plan, by_condition
from ....statistics.sets import offered_neurons


class NeuronPlan(Plan):
    """The set and its mirror image, chosen on each half, and their images under a permutation of neurons."""

    kind: Randomises = "neurons"

    def __init__(self, data: PreparedData) -> None:
        self.data = data
        self.sets_of_both = torch.stack([torch.stack([own, mirror]) for own, mirror in
                                     zip(data.set, data.mirror_set, strict=True)])  # fmt: skip
        """int64 [2 (chosen on half), 2 (condition), n]."""
        self.own = joint_contrasts.own_influence(data.influence)
        """Own influence of each neuron on each half, float64 [2, N]."""

    def offers(self) -> Mapping[Randomises, Observed]:
        """The neurons' places."""
        return {"neurons": offered_neurons(self.data)}

    def sets(self, draws: Tensor) -> Tensor:
        """Images of the four sets, [R, 2 (chosen on half), 2 (condition), n]."""
        if draws.ndim != 2 or draws.shape[1] != self.data.measurements.n_neurons:
            raise InputError("a set and its mirror image need one permutation of neurons for both, and this "
                             "null model draws sets", "--null", "choose matched_sets or random_sets")  # fmt: skip
        return draws[:, self.sets_of_both].sort(-1).values

    @property
    def observed(self) -> Tensor:
        """The identity, [1, N]."""
        return torch.arange(self.data.measurements.n_neurons)[None]


@dataclass(frozen=True)
class JointNeurons(JointStatistic):
    """Net loss increase of the plateaus, rare less common, less that of matched sets (`specialists.closure`)."""

    def plan(self, data: PreparedData) -> NeuronPlan:
        """The two plateaus of each half."""
        return NeuronPlan(data)

    def bind(self, data: PreparedData) -> BoundJointNeurons:
        """Loss increases of the plateaus and of their images."""
        return BoundJointNeurons(data, self.plan(data))


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
        common = torch.stack([torch.isin(matched, p).double().mean() for p in self.plan.sets_of_both.flatten(0, 1)])
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
            found = self._per_own(rows[chosen], self.plan.sets_of_both[chosen], chosen) - self.matched[chosen]
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

    def describe(self) -> Details:
        """Joint increases beside the sum of the single ablations, and what matched sets do (nats a position)."""
        pairs = float(self.data.pairs.sum())
        rows = self.rows(self.plan.observed)[0, :, 0]  # the plateaus of rare, one a half
        joint = self.increase[rows].sum(1).mean(0) / pairs
        panel, changes = self.data.panel, self.data.delta_loss
        members = self.plan.sets_of_both[:, 0]
        single = [changes[torch.from_numpy(r)].sum(0, dtype=torch.float64)[members].sum(-1).mean() / pairs
                  for r in (panel.a_rows, panel.b_rows)]  # fmt: skip
        of_matched = self.increase[self.others()].sum(1) / pairs
        return Details(
            further={
                "joint": by_condition(joint, self.data),
                "sum_of_single": by_condition(torch.stack(single), self.data),
                "matched_sets": by_condition(of_matched.mean(0), self.data),
                "matched_sets_that_lower_the_loss": by_condition((of_matched < 0).double().mean(0), self.data),
            }
        )
