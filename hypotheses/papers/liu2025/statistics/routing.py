"""Statistics of claim 3: how attention heads act on the set, for either condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .....estimators import regimes, routing
from .....estimators.class_means import ClassSums
from ....neuron_sets import Need
from ....nulls.base import Randomises
from ....prepared import PreparedData
from ....statistic import Statistic, Values
from ....statistics.contrasts import BoundContrast, BoundQuadratic
from ....statistics.sets import BoundSet


@dataclass(frozen=True)
class HeadPreference(Statistic):
    """Routing log ratio of each reachable head, minor heads pooled."""

    needs: ClassVar[tuple[Need, ...]] = ("heads",)

    def bind(self, data: PreparedData) -> BoundContrast:
        """Per-document effects on the label-blind set and on its strata."""
        effect = head_effects_on_sets(data)
        group = routing.pool_minor(effect.sum((1, 2, 3)))
        pooled = torch.zeros(int(group.max()) + 1, *effect.shape[1:], dtype=effect.dtype).index_add_(0, group, effect)
        sums = ClassSums(pooled.permute(1, 2, 3, 0).contiguous(), *_unit_weights(data))
        bound = BoundContrast(sums, regimes.nothing_chosen, routing.preference)
        heads = [f"{data.heads.layer[h]}.{data.heads.head[h]}" for h in data.reachable_heads]
        major = [name for name, g in zip(heads, group.tolist(), strict=True) if (group == g).sum() == 1]
        bound.outputs = (*major, "minor") if len(major) < len(heads) else tuple(heads)
        bound.groups = group
        bound.outputs_are = "head"
        bound.of_set = True
        return bound


@dataclass(frozen=True)
class HeadProfile(Statistic):
    """Distance between the profiles of the two conditions of head effects on the label-blind set.

    Where profiles are alike it is quadratic in their differences.
    """

    needs: ClassVar[tuple[Need, ...]] = ("heads",)

    def bind(self, data: PreparedData) -> BoundContrast:
        """Per-document effects on the label-blind set."""
        effect = head_effects_on_sets(data)[..., 0]
        sums = ClassSums(effect.permute(1, 2, 0)[..., None].contiguous(), *_unit_weights(data))
        bound = BoundQuadratic(sums, regimes.nothing_chosen, routing.profile_distance)
        bound.of_set = True
        return bound


def head_effects_on_sets(data: PreparedData) -> Tensor:
    """Mean effect of each reachable head on the *other* half's set and on its strata, float64 [H, D, 2, 2]."""
    sets = data.blind_set
    data.check_measured(sets)
    half = torch.from_numpy(data.half)
    out = torch.zeros(len(data.reachable_heads), len(half), 2, 2, dtype=torch.float64)
    for h in range(len(out)):
        effect = data.head_effect(h)
        for side in (0, 1):
            rows = half == side
            out[h, rows] = routing.set_and_strata(effect[None, rows].double(), data.strata, sets[1 - side])[0]
    return out


def _unit_weights(data: PreparedData) -> tuple[Tensor, Tensor]:
    """Documents of each unit, since head effects are added up over them, and its half."""
    return torch.from_numpy(data.unit_sizes.astype(np.float64)), torch.from_numpy(data.half)


@dataclass(frozen=True)
class Concentration(Statistic):
    """Gini over heads of the effect on condition a on a set (`routing.concentration`)."""

    needs: ClassVar[tuple[Need, ...]] = ("heads",)

    def bind(self, data: PreparedData) -> BoundConcentration:
        """Head effects summed over each half's documents."""
        return BoundConcentration(data)


class BoundConcentration(BoundSet):
    """Label-blind sets chosen on one half, effects of the other.

    The Gini coefficient of a mixture is no mean of its parts' (of two unlike profiles it is lower than either), so that
    what null sets share cannot be taken out afterwards: estimates of null sets are of the members that are not the
    observed sets' own.  Draws are ranked by whole sets.
    """

    label_blind = True
    terms = "members"
    shared_left_out = True

    def __init__(self, data: PreparedData) -> None:
        super().__init__(data)
        data.check_measured(self.sets)
        half = torch.from_numpy(data.half)
        heads = range(len(data.reachable_heads))
        self.effect = torch.empty(2, len(heads), data.measurements.n_neurons, dtype=torch.float64)
        """Mean effect on condition a of each half's documents."""
        for h in heads:
            effect = data.head_effect(h)[:, 0]
            for side in (0, 1):
                documents = int(data.unit_sizes[data.half == side].sum())
                self.effect[side, h] = effect[half == side].double().sum(0) / documents

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Estimates without the observed sets' own members, ranked by whole sets."""
        images = self.images(draws)
        whole = [routing.concentration(self.effect[1 - c], image) for c, image in enumerate(images)]
        return Values(self.value(images, replicates, seed)[:, None], ((whole[0] + whole[1]) / 2)[:, None])

    def _weight(self, chosen: int, sets: Tensor) -> Tensor:
        """Of each member of sets [R, n] of a half, 1 over the number that count, or 0 for the set's own.

        In the set itself all count.
        """
        others = ~torch.isin(sets, self.sets[chosen])
        others |= ~others.any(1, keepdim=True)
        return others.double() / others.sum(1, keepdim=True)

    def scored_on(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """Gini of the members of each set that are not the set's own."""
        mean = (self.effect[1 - chosen][:, sets] * self._weight(chosen, sets)).sum(-1)
        return routing.gini(mean.T)

    def without(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """`scored_on` without each document."""
        weight = self._weight(chosen, sets)
        rows = torch.from_numpy(self.data.half == 1 - chosen)
        per_document = torch.empty(len(sets), self.effect.shape[1], int(rows.sum()), dtype=torch.float64)
        for h in range(self.effect.shape[1]):
            effect = self.data.head_effect(h)[rows, 0]
            for place, members in enumerate(sets):
                per_document[place, h] = effect[:, members].double() @ weight[place]
        sizes = torch.from_numpy(self.data.unit_sizes)[rows].double()
        mean = (per_document.sum(2, keepdim=True) - per_document) / (sizes.sum() - sizes)
        return routing.gini(mean.transpose(1, 2))
