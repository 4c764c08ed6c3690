"""Statistics of claim 2: modules inside the set, the set as a module, and clusters in weight space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .....data.errors import InputError
from .....estimators import algorithms, coactivation, core_module
from .....estimators import weights as weight_space
from .....estimators.communities import contrast_of, rewired_excess, threshold_graph
from .....estimators.leiden import IntArray
from ....neuron_sets import Need
from ....nulls.base import Observed, Randomises
from ....nulls.graphs import REWIRING_NOTE
from ....prepared import PreparedData
from ....result import Details
from ....statistic import BoundStatistic, Statistic, Values, Varied, above_zero, share
from ....statistics.sets import BoundSet, seeds_for

if TYPE_CHECKING:
    from ....truth import TrueWorld

DENSITY = 0.25
"""Share of node pairs that are edges in thresholded co-activation graphs: dense enough to stay connected at n = 26."""


def _algorithm(word: str) -> str:
    """A community algorithm, for `Statistic.varied`."""
    if word not in algorithms.ALGORITHMS:
        raise InputError(f"{word!r} is no algorithm", "", f"choose {', '.join(algorithms.ALGORITHMS)}")
    return word


@dataclass(frozen=True)
class Within(Statistic):
    """Modular contrast K (docs/methods.md#clusters-within); `algorithm` finds the modules, at its `resolution`."""

    needs: ClassVar[tuple[Need, ...]] = ("activations",)
    varied: ClassVar[Mapping[str, Varied]] = {
        "resolution": Varied(above_zero, "resolution of the modularity that finds modules: larger, smaller modules"),
        "algorithm": Varied(_algorithm, "community algorithm that finds modules"),
    }

    resolution: float = 1.0
    algorithm: str = algorithms.OWN

    def bind(self, data: PreparedData) -> BoundWithin:
        """Correlations of the two halves."""
        return BoundWithin(data, self.resolution, self.algorithm)


class BoundWithin(BoundSet):
    """Modules found on the half the set was chosen on, scored on the other."""

    def __init__(self, data: PreparedData, resolution: float = 1.0, algorithm: str = algorithms.OWN) -> None:
        super().__init__(data)
        self.resolution, self.algorithm = resolution, algorithm

    def offers(self) -> Mapping[Randomises, Observed]:
        """Neurons, the correlation graphs of each crossing, or the activations behind them (both sets' neurons)."""
        columns, places = self._columns
        graph = [torch.stack([r[s][:, s].double() for r in self.data.correlation]) for s in self.sets]
        rows: dict[str, Any] = {
            "half": np.repeat([0, 1], [len(a) for a in self.data.activation_a]),
            "documents": torch.cat(self.data.document_a).numpy(),
            "positions": self.data.panel.position[np.concatenate(self.data.rows_a_by_half)],
        }
        activation = torch.cat([a[:, columns] for a in self.data.activation_a])
        offered = dict(super().offers())
        offered["graph"] = Observed("graph", torch.stack(graph), sets=places, behind=activation, **rows)
        offered["activations"] = Observed("activations", activation, sets=places, **rows)
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
        split = len(self.data.activation_a[0])
        r = [coactivation.correlation(a).double() for a in (activation[:split], activation[split:])]
        return torch.stack([torch.stack([half[s][:, s] for half in r]) for s in self._columns[1]])

    def _contrast(self, found: Tensor, scored: Tensor, seeds: Tensor) -> Tensor:
        return torch.from_numpy(contrast_of(self.modules(found, seeds), scored.double().numpy()))

    def modules(self, found: Tensor, seeds: Tensor) -> IntArray:
        """Modules of graphs [R, n, n], [R, n]."""
        keys = seeds.numpy().view(np.uint64)
        return algorithms.modules(self.algorithm, found.double().numpy(), keys, resolution=self.resolution)

    def on_truth(self, there: BoundStatistic, draws: Any, replicates: range, seed: int) -> Tensor:
        """Modules found on the data, scored on the truth, [R]."""
        if not isinstance(there, BoundWithin):
            raise TypeError("the truth of modules needs the same statistic")
        seeds, images = seeds_for(replicates, seed, 1), self.images(draws)
        scores = []
        for found in (0, 1):
            on_data = coactivation.submatrices(self.data.correlation[found], images[found])
            truth = coactivation.submatrices(there.data.correlation[0], images[found])
            scores.append(self._contrast(on_data, truth, seeds))
        return (scores[0] + scores[1]) / 2

    def scored_on(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """K of each set: modules of one half, correlations of the other."""
        r = self.data.correlation
        found, scored = (coactivation.submatrices(r[half], sets) for half in (chosen, 1 - chosen))
        return self._contrast(found, scored, seeds_for(replicates, seed, 1))

    def without(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """K with the modules fixed, scored without each document."""
        found = coactivation.submatrices(self.data.correlation[chosen], sets)
        modules = self.modules(found, seeds_for(replicates, seed, 1))
        other = 1 - chosen
        r = coactivation.correlations_without(self.data.activation_a[other], self.data.unit_a[other], sets)
        scores = contrast_of(np.repeat(modules, r.shape[1], axis=0), r.flatten(0, 1).numpy())
        return torch.from_numpy(scores).view(len(sets), -1)


@dataclass(frozen=True)
class WithinByEach(Statistic):
    """The modular contrast by each algorithm of leidenalg and igraph (`clusters.algorithms`)."""

    needs: ClassVar[tuple[Need, ...]] = ("activations",)

    most_replicates: int | None = 99  # graph by graph through a library: a millisecond to a tenth of a second each

    def bind(self, data: PreparedData) -> BoundWithinByEach:
        """Correlations of the two halves."""
        return BoundWithinByEach(data)


class BoundWithinByEach(BoundSet):
    """One output an algorithm; the same sets for all of them."""

    outputs = algorithms.LIBRARY
    outputs_are = "algorithm"

    def __init__(self, data: PreparedData) -> None:
        super().__init__(data)
        self.by = [BoundWithin(data, algorithm=name) for name in self.outputs]

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """K of the sets' images by each algorithm, [R, K], ranked by how far pairs inside and between lie apart."""
        images, seeds = self.images(draws), seeds_for(replicates, seed, 1)
        contrast = torch.zeros(len(draws), len(self.by), dtype=torch.float64)
        apart = torch.zeros_like(contrast)
        for chosen in (0, 1):
            halves = (self.data.correlation[half] for half in (chosen, 1 - chosen))
            found, scored = (coactivation.submatrices(r, images[chosen]) for r in halves)
            for k, bound in enumerate(self.by):
                modules, r = bound.modules(found, seeds), scored.double().numpy()
                contrast[:, k] += torch.from_numpy(contrast_of(modules, r)) / 2
                apart[:, k] += torch.from_numpy(algorithms.separation(modules, r)) / 2
        return Values(contrast, apart)

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Tensor | None:
        """The same without each document, the modules fixed, [R, D, K]."""
        each = [bound.draws_without(kind, draws, replicates, seed) for bound in self.by]
        return None if kind != "neurons" else torch.cat([e for e in each if e is not None], 2)

    def true_values(self, world: TrueWorld) -> npt.NDArray[np.float64]:
        """None: the row decides nothing."""
        return np.full(len(self.outputs), np.nan)


@dataclass(frozen=True)
class Core(Statistic):
    """How tight the best small module of the set is (`clusters.core`)."""

    needs: ClassVar[tuple[Need, ...]] = ("activations",)

    def bind(self, data: PreparedData) -> BoundCore:
        """Correlations of the two halves."""
        return BoundCore(data)


class BoundCore(BoundSet):
    """The module found on the half the set was chosen on, scored on the other."""

    def scored_on(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """Separation of each set's best module."""
        found, scored = (coactivation.submatrices(self.data.correlation[half], sets) for half in (chosen, 1 - chosen))
        return core_module.separation(scored.double(), core_module.best_module(found.double()))

    def without(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """The same without each document, the modules fixed."""
        module = core_module.best_module(coactivation.submatrices(self.data.correlation[chosen], sets).double())
        other = 1 - chosen
        r = coactivation.correlations_without(self.data.activation_a[other], self.data.unit_a[other], sets)
        return core_module.separation(r, module[:, None].expand(-1, r.shape[1], -1))

    def on_truth(self, there: BoundStatistic, draws: Any, replicates: range, seed: int) -> Tensor:
        """Modules found on the data, scored on the truth, [R]."""
        if not isinstance(there, BoundCore):
            raise TypeError("the truth of modules needs the same statistic")
        scores, images = [], self.images(draws)
        for chosen in (0, 1):
            on_data = coactivation.submatrices(self.data.correlation[chosen], images[chosen]).double()
            truth = coactivation.submatrices(there.data.correlation[0], images[chosen]).double()
            scores.append(core_module.separation(truth, core_module.best_module(on_data)))
        return (scores[0] + scores[1]) / 2

    def describe(self) -> Details:
        """Which neurons the module of either half has."""
        said: dict[str, Any] = {"smallest_module_sought": core_module.smallest_module(len(self.sets[0]))}
        for chosen, sets in enumerate(self.sets):
            module = core_module.best_module(coactivation.submatrices(self.data.correlation[chosen], sets[None]))[0]
            said[f"module_of_half_{chosen}"] = [str(neuron) for neuron in sets[module].tolist()]
        return Details(further=said)


@dataclass(frozen=True)
class RewiredExcess(Statistic):
    """Excess of modularity over degree-preserving rewirings at matched density (`clusters.rewired`)."""

    needs: ClassVar[tuple[Need, ...]] = ("activations",)
    varied: ClassVar[Mapping[str, Varied]] = {
        "density": Varied(share, "share of neuron pairs that are edges of a thresholded graph")
    }

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
        """None: an in-sample optimum is never resampled (docs/methods.md#clusters-rewired)."""
        return

    def describe(self) -> Details:
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
        return Details(
            further={
                "modularity": float(np.mean([f.observed[0] for f in found])),
                "rewiring_alone_z": float(np.mean([f.z[0] for f in found])),
                "rewiring_alone_p": float(max(f.p[0] for f in found)),
                "note": REWIRING_NOTE,
            }
        )


@dataclass(frozen=True)
class Cohesion(Statistic):
    """Correlation inside the set against correlation with the rest of its strata (`clusters.cohesion`)."""

    needs: ClassVar[tuple[Need, ...]] = ("activations",)

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
            self.data.residual_activation[other], self.data.unit_a[other], self.data.strata, sets
        )


def weight_cosine(data: PreparedData, sets: Tensor) -> Tensor:
    """Mean of the mean cosines of output and of input weights within each set, [R]."""
    outward, inward = weight_space.unit_rows(data.w_out), weight_space.unit_rows(data.w_in)
    return (weight_space.mean_cosine(outward, sets) + weight_space.mean_cosine(inward, sets)) / 2


def index_clustering(data: PreparedData, sets: Tensor) -> Tensor:
    """Log ratio of expected to mean nearest index gap, [R]."""
    return weight_space.nearest_index_gap(sets, data.measurements.n_neurons)
