"""Statistics about sets of neurons: the plateau of each half, and its images under a permutation of neurons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ...estimators import coactivation, routing
from ...estimators.communities import (
    contrast_of,
    modular_contrast,
    rewired_excess,
    signed_modules,
    threshold_graph,
)
from ..balance import neurons
from ..nulls.base import Observed, Randomises
from ..prepared import PreparedData
from .base import BoundStatistic, Statistic, Values

Sets: TypeAlias = tuple[Tensor, Tensor]
"""Sets of the two halves, int64 [R, n] each: chosen on half 0 and on half 1."""

DENSITY = 0.25
"""Share of node pairs that are edges in thresholded co-activation graphs: dense enough to stay connected at n = 26."""


class BoundSet(BoundStatistic):
    """A statistic of neuron sets on one data.

    Subclasses write `scored_on` and `without`; or, where halves are not crossed, `value` and `draws_without`.
    """

    label_blind = False
    terms: Literal["pairs", "members", "none"] = "pairs"
    """What the statistic is, near enough, a mean over, so that what null sets share of it can be taken out."""

    def __init__(self, data: PreparedData) -> None:
        self.data = data
        self.sets: Sets = data.blind_plateau if self.label_blind else data.plateau

    def offers(self) -> Mapping[Randomises, Observed]:
        """The neurons' places, and what the sets were chosen by."""
        return {"neurons": neurons(self.data, self.label_blind)}

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Statistic of the plateaus' images."""
        images = self.images(draws)
        value = self.value(images, replicates, seed)[:, None].double()
        return Values(value, value)

    @property
    def _columns(self) -> tuple[Tensor, Sets]:
        """Neurons of either set, and the places of the two sets among them."""
        columns, places = torch.unique(torch.cat(self.sets), return_inverse=True)
        first, second = places.split([len(s) for s in self.sets])
        return columns, (first, second)

    def images(self, draws: Tensor) -> Sets:
        """Images of the two plateaus under permutations [R, N]; drawn sets [R, 2, n], or [R, n] for both halves."""
        if draws.ndim == 3:
            return draws[:, 0], draws[:, 1]
        if draws.shape[1] == self.data.measurements.n_neurons:
            return draws[:, self.sets[0]], draws[:, self.sets[1]]
        return draws, draws

    def shared(self, kind: Randomises, draws: Any) -> Tensor | None:
        """Share of the members, or pairs, of each draw's sets that are the plateau's own, halves averaged, [R]."""
        if kind != "neurons" or self.terms == "none":
            return None
        shares = []
        for image, own in zip(self.images(draws), self.sets, strict=True):
            common, size = torch.isin(image, own).sum(1).double(), len(own)
            members = common / size
            shares.append(members if self.terms == "members" else members * (common - 1) / (size - 1))
        return (shares[0] + shares[1]) / 2

    def without(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """The statistic of sets [R, n] of a half, scored on the other without each of its documents, [R, D_other]."""
        raise NotImplementedError

    def scored_on(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """The statistic of sets [R, n] of a half, scored on all of the other, [R]."""
        raise NotImplementedError

    def value(self, sets: Sets, replicates: range, seed: int) -> Tensor:
        """Statistic of each replicate's pair of sets, halves averaged, [R]."""
        return (self.scored_on(0, sets[0], replicates, seed) + self.scored_on(1, sets[1], replicates, seed)) / 2

    def leave_one_out(self) -> Tensor | None:
        """Estimate without each document, [D, 1], by the path that null draws take."""
        draws = self.identity("neurons")
        without = self.draws_without("neurons", draws, range(1), 0)
        return None if without is None else without[0]

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Tensor | None:
        """Estimate of each draw's sets without each document, [R, D, 1]: it moves only the crossing it is scored in."""
        if kind != "neurons":
            return None
        data, images = self.data, self.images(draws)
        out = torch.zeros(len(draws), len(data.documents), 1, dtype=torch.float64)
        for chosen in (0, 1):
            rows = torch.from_numpy(np.flatnonzero(data.half == 1 - chosen))
            other = self.scored_on(1 - chosen, images[1 - chosen], replicates, seed).double()
            out[:, rows, 0] = (self.without(chosen, images[chosen], replicates, seed).double() + other[:, None]) / 2
        return out


def seeds_for(replicates: Iterable[int], seed: int, stream: int) -> Tensor:
    """One seed a replicate, for estimators that are random themselves; a function of (seed, replicate, stream)."""
    words = [np.random.SeedSequence([seed, r, stream]).generate_state(1, np.uint64)[0] for r in replicates]
    return torch.from_numpy(np.asarray(words, dtype=np.uint64).view(np.int64))


@dataclass(frozen=True)
class Within(Statistic):
    """Modular contrast K (METHODS section 3, `clusters.within`); `resolution` is that of Leiden's modularity."""

    resolution: float = 1.0

    def bind(self, data: PreparedData) -> BoundWithin:
        """Correlations of the two halves."""
        return BoundWithin(data, self.resolution)


class BoundWithin(BoundSet):
    """Modules found on the half the set was chosen on, scored on the other."""

    def __init__(self, data: PreparedData, resolution: float = 1.0) -> None:
        super().__init__(data)
        self.resolution = resolution

    def offers(self) -> Mapping[Randomises, Observed]:
        """Neurons, the correlation graphs of each crossing, or the activations behind them (both sets' neurons)."""
        columns, places = self._columns
        graph = [torch.stack([r[s][:, s].double() for r in self.data.correlation]) for s in self.sets]
        rows: dict[str, Any] = {
            "half": np.repeat([0, 1], [len(a) for a in self.data.rare_activation]),
            "documents": torch.cat(self.data.rare_document).numpy(),
            "positions": self.data.panel.position[np.concatenate(self.data._rare_rows_by_half)],
        }
        activation = torch.cat([a[:, columns] for a in self.data.rare_activation])
        offered = dict(super().offers())
        offered["graph"] = Observed("graph", torch.stack(graph), plateau=places, behind=activation, **rows)
        offered["activations"] = Observed("activations", activation, plateau=places, **rows)
        return offered

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """K of sets, of graphs [2 (crossing), 2 (half), n, n], or of activations [T, union of the sets]."""
        if kind == "neurons":
            return super().evaluate(kind, draws, replicates, seed)
        graphs = torch.stack([d if kind == "graph" else self._graphs(d) for d in draws])
        seeds = seeds_for(replicates, seed, 1)
        value = (
            self._contrast(graphs[:, 0, 0], graphs[:, 0, 1], seeds)
            + self._contrast(graphs[:, 1, 1], graphs[:, 1, 0], seeds)
        ) / 2
        return Values(value[:, None], value[:, None])

    def _graphs(self, activation: Tensor) -> Tensor:
        """Correlations [2 (crossing), 2 (half), n, n] of drawn activations [T, union of the sets]."""
        split = len(self.data.rare_activation[0])
        r = [coactivation.correlation(a).double() for a in (activation[:split], activation[split:])]
        return torch.stack([torch.stack([half[s][:, s] for half in r]) for s in self._columns[1]])

    def _contrast(self, found: Tensor, scored: Tensor, seeds: Tensor) -> Tensor:
        keys = seeds.numpy().view(np.uint64)
        return torch.from_numpy(
            modular_contrast(found.double().numpy(), scored.double().numpy(), keys, resolution=self.resolution)
        )

    def scored_on(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """K of each set: modules of one half, correlations of the other."""
        r = self.data.correlation
        found, scored = (coactivation.submatrices(r[half], sets) for half in (chosen, 1 - chosen))
        return self._contrast(found, scored, seeds_for(replicates, seed, 1))

    def without(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """K with the modules fixed, scored without each document."""
        found = coactivation.submatrices(self.data.correlation[chosen], sets).double().numpy()
        keys = seeds_for(replicates, seed, 1).numpy().view(np.uint64)
        modules = signed_modules(found, keys, resolution=self.resolution)[0]
        other = 1 - chosen
        r = coactivation.correlations_without(self.data.rare_activation[other], self.data.rare_document[other], sets)
        scores = contrast_of(np.repeat(modules, r.shape[1], axis=0), r.flatten(0, 1).numpy())
        return torch.from_numpy(scores).view(len(sets), -1)


@dataclass(frozen=True)
class RewiredExcess(Statistic):
    """Excess of modularity over degree-preserving rewirings at matched density (`clusters.rewired`)."""

    density: float = DENSITY

    def bind(self, data: PreparedData) -> BoundRewired:
        """Correlations of the two halves."""
        return BoundRewired(data, self.density)


class BoundRewired(BoundSet):
    """Thresholded graphs of the half a set was *not* chosen on."""

    def __init__(self, data: PreparedData, density: float = DENSITY) -> None:
        super().__init__(data)
        self.density = density

    def scored_on(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """Excess of each set, delta Q."""
        r = coactivation.submatrices(self.data.correlation[1 - chosen], sets).double().numpy()
        seeds = seeds_for(replicates, seed, 2).numpy().view(np.uint64)
        return torch.from_numpy(rewired_excess(threshold_graph(r, self.density), seeds).excess)

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> None:
        """None: an in-sample optimum is never resampled (METHODS section 4)."""
        return

    def details(self) -> dict[str, Any]:
        """Z and rank-p of rewiring alone, labelled as what they are."""
        found = []
        for chosen in (0, 1):
            rows = self.sets[chosen]
            r = self.data.correlation[1 - chosen][rows][:, rows].double().numpy()
            found.append(
                rewired_excess(
                    threshold_graph(r[None], self.density), seeds_for(range(1), 0, 2).numpy().view(np.uint64), 199
                )
            )
        return {
            "modularity": float(np.mean([f.observed[0] for f in found])),
            "rewiring_alone_z": float(np.mean([f.z[0] for f in found])),
            "rewiring_alone_p": float(max(f.p[0] for f in found)),
        }


@dataclass(frozen=True)
class Cohesion(Statistic):
    """Correlation inside the set against correlation with the rest of its strata (`clusters.cohesion`)."""

    def bind(self, data: PreparedData) -> BoundCohesion:
        """Fisher z of residual correlations."""
        return BoundCohesion(data)


class BoundCohesion(BoundSet):
    """Chosen on one half, scored on the other; the layer's global mode is removed."""

    def __init__(self, data: PreparedData) -> None:
        super().__init__(data)
        self.sums = tuple(coactivation.stratum_sums(z, data.strata) for z in data.residual_z)

    def scored_on(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """Cohesion of each set, Fisher z."""
        scored = 1 - chosen
        return coactivation.cohesion(self.data.residual_z[scored], self.sums[scored], self.data.strata, sets)

    def without(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """Cohesion without each document, the global mode and the sets fixed."""
        other = 1 - chosen
        return coactivation.cohesion_without(
            self.data.residual_activation[other], self.data.rare_document[other], self.data.strata, sets
        )


@dataclass(frozen=True)
class Dimension(Statistic):
    """Log participation ratio of a set; + = fewer dimensions than matched sets (`coordination.dimension`)."""

    def bind(self, data: PreparedData) -> BoundDimension:
        """Correlations of the two halves."""
        return BoundDimension(data)


class BoundDimension(BoundSet):
    """Cross-half: each set's ratio uses the product of the two halves' correlations."""

    def value(self, sets: Sets, replicates: range, seed: int) -> Tensor:
        """-log PR, both plateaus averaged; the engine takes it less its null mean, E log PR(pi P) - log PR(P)."""
        r_a, r_b = self.data.correlation
        logs = [
            coactivation.participation_ratio(
                coactivation.submatrices(r_a, s).double(), coactivation.submatrices(r_b, s).double()
            ).log()
            for s in sets
        ]
        return -(logs[0] + logs[1]) / 2

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Tensor | None:
        """Each document changes one half's correlations in both plateaus' ratios, [R, D, 1]."""
        if kind != "neurons":
            return None
        data = self.data
        out = torch.zeros(len(draws), len(data.documents), 1, dtype=torch.float64)
        for half in (0, 1):
            rows = torch.from_numpy(np.flatnonzero(data.half == half))
            for s in self.images(draws):
                without = coactivation.correlations_without(data.rare_activation[half], data.rare_document[half], s)
                other = coactivation.submatrices(data.correlation[1 - half], s).double()[:, None].expand_as(without)
                out[:, rows, 0] -= coactivation.participation_ratio(without, other).log() / 2
        return out


@dataclass(frozen=True)
class Concentration(Statistic):
    """Gini over heads of the rare-class effect on a set (`routing.concentration`)."""

    def bind(self, data: PreparedData) -> BoundConcentration:
        """Head effects summed over each half's documents."""
        return BoundConcentration(data)


class BoundConcentration(BoundSet):
    """Label-blind plateaus chosen on one half, effects of the other.

    The Gini coefficient of a mixture is no mean of its parts' (of two unlike profiles it is lower than either), so that
    what null sets share cannot be taken out afterwards: estimates of null sets are of the members that are not the
    plateau's own.  Draws are ranked by whole sets.
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
        """Mean effect on rare of each half's documents."""
        for h in heads:
            rare = data.head_effect(h)[:, 0]
            for side in (0, 1):
                self.effect[side, h] = rare[half == side].double().mean(0)

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Estimates without the plateau's own members, ranked by whole sets."""
        images = self.images(draws)
        whole = [routing.concentration(self.effect[1 - c], image) for c, image in enumerate(images)]
        return Values(self.value(images, replicates, seed)[:, None], ((whole[0] + whole[1]) / 2)[:, None])

    def _weight(self, chosen: int, sets: Tensor) -> Tensor:
        """Of each member of sets [R, n] of a half, 1 over the number that count, or 0 for the plateau's own.

        In the plateau itself all count.
        """
        others = ~torch.isin(sets, self.sets[chosen])
        others |= ~others.any(1, keepdim=True)
        return others.double() / others.sum(1, keepdim=True)

    def scored_on(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """Gini of the members of each set that are not the plateau's own."""
        mean = (self.effect[1 - chosen][:, sets] * self._weight(chosen, sets)).sum(-1)
        return routing.gini(mean.T)

    def without(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """`scored_on` without each document."""
        weight = self._weight(chosen, sets)
        rows = torch.from_numpy(self.data.half == 1 - chosen)
        per_document = torch.empty(len(sets), self.effect.shape[1], int(rows.sum()), dtype=torch.float64)
        for h in range(self.effect.shape[1]):
            rare = self.data.head_effect(h)[rows, 0]
            for place, members in enumerate(sets):
                per_document[place, h] = rare[:, members].double() @ weight[place]
        mean = (per_document.sum(2, keepdim=True) - per_document) / (per_document.shape[2] - 1)
        return routing.gini(mean.transpose(1, 2))
