"""Statistics of claim 3: how attention heads act on the set, for either condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from .....estimators import regimes, routing
from .....estimators.class_means import ClassSums, Score
from .....estimators.two_sources import studentised
from ....neuron_sets import Need
from ....nulls.base import Observed, Randomises
from ....prepared import PreparedData
from ....statistic import Statistic, TwoSources, Values
from ....statistics.contrasts import BoundContrast, BoundQuadratic
from ....statistics.sets import BoundSet, images_of, offered_neurons
from .head_sets import HeadSets


@dataclass(frozen=True)
class HeadPreference(Statistic):
    """Routing log ratio of each reachable head, minor heads pooled."""

    needs: ClassVar[tuple[Need, ...]] = ("heads",)

    def bind(self, data: PreparedData) -> BoundPreference:
        """Per-document effects on the label-blind set and on the rest of its strata."""
        single = HeadSets(data, [[h] for h in range(len(data.reachable_heads))])
        group = routing.pool_minor(single.sums.x.sum((0, 1, 2)))
        groups = [(group == g).nonzero()[:, 0].tolist() for g in range(int(group.max()) + 1)]
        bound = BoundPreference(single if len(groups) == len(group) else HeadSets(data, groups))
        heads = [f"{data.heads.layer[h]}.{data.heads.head[h]}" for h in data.reachable_heads]
        major = [name for name, g in zip(heads, group.tolist(), strict=True) if (group == g).sum() == 1]
        bound.outputs = (*major, "minor") if len(major) < len(heads) else tuple(heads)
        bound.groups = group
        bound.outputs_are = "head"
        return bound


class BoundHeads(BoundContrast):
    """A contrast of what heads do to the set, under swaps of documents and draws of other sets."""

    kinds: ClassVar[tuple[Randomises, ...]] = ("labels", "neurons")
    of_set = True

    def __init__(self, heads: HeadSets, sums: ClassSums, score: Score) -> None:
        super().__init__(sums, regimes.nothing_chosen, score)
        self.heads, self.smaller_half = heads, heads.data.smaller_half

    def offers(self) -> Mapping[Randomises, Observed]:
        """Labels of documents, and the places of the label-blind sets."""
        return {**super().offers(), "neurons": offered_neurons(self.heads.data, blind=True)}

    def of_draws(self, draws: Tensor) -> Tensor:
        """Score of the sets' images under permutations [R, N], or of drawn sets [R, 2, n]."""
        images = images_of(self.heads.data.blind_set, draws, self.heads.data.measurements.n_neurons)
        value: Tensor = self.score(self.arranged(self.heads.of_sets(images)), None)
        return value

    def arranged(self, means: Tensor) -> Tensor:
        """Means [R, 2, 2, 2 (set, rest), K] as the score takes them."""
        return means


class BoundPreference(BoundHeads):
    """Preference of each head; documents and neurons both move it."""

    def __init__(self, heads: HeadSets) -> None:
        super().__init__(heads, heads.sums, routing.preference)
        self.of_neurons, self.cells = heads.variances()

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Over the error of both sources; that of documents is the observed one for other sets."""
        if kind == "neurons":
            value = self.of_draws(draws)
            return Values(value, studentised(value, self._of_documents, self.of_neurons, self.cells))
        value, derivative = self._under_swaps(draws)
        return Values(value, studentised(value, self._variance(derivative), self.of_neurons, self.cells))

    def two_sources(self) -> TwoSources:
        """Errors of documents and neurons; degrees of freedom by the fewer of a half's documents and the set."""
        units = self.smaller_half or float(torch.bincount(self.sums.half).min())
        df = min(units, float(len(self.heads.data.blind_set[0]))) - 1
        return TwoSources(self._of_documents.sqrt().numpy(), self.of_neurons.sqrt().numpy(), self.cells.numpy(), df)

    @cached_property
    def _of_documents(self) -> Tensor:
        return self._variance(self._under_swaps(self.identity("labels"))[1])[0]

    def _variance(self, derivative: Tensor) -> Tensor:
        """Variance over documents from derivatives [R, D, K], each half a stratum, [R, K]."""
        out = derivative.new_zeros(derivative.shape[0], derivative.shape[2])
        for half in (0, 1):
            rows = self.sums.rows(half)
            out += len(rows) / (len(rows) - 1) * (derivative[:, rows] ** 2).sum(1)
        return out


@dataclass(frozen=True)
class HeadProfile(Statistic):
    """How differently heads act on the label-blind set for the two conditions; quadratic where they act alike."""

    needs: ClassVar[tuple[Need, ...]] = ("heads",)

    def bind(self, data: PreparedData) -> BoundProfile:
        """Per-document effects on the label-blind set."""
        return BoundProfile(HeadSets(data, [[h] for h in range(len(data.reachable_heads))]))


class BoundProfile(BoundHeads, BoundQuadratic):
    """The variance of log ratios over heads, less that of other sets; heads are the features of one output."""

    def __init__(self, heads: HeadSets) -> None:
        super().__init__(heads, heads.sums.of_features(0), routing.profile_spread)

    def arranged(self, means: Tensor) -> Tensor:
        """Effects on the set alone, heads as features."""
        return means[..., 0, :, None]

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Studentised over documents under their swaps; plain for other sets."""
        if kind == "neurons":
            value = self.of_draws(draws)
            return Values(value, value)
        return super().evaluate(kind, draws, replicates, seed)


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
