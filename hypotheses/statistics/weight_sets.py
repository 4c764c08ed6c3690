"""Statistics of what sets of neurons have in common in weights and indices; no document enters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...estimators import weights as weight_space
from ...estimators.correlation_nulls import marchenko_pastur_edge
from ..nulls.base import Observed, Randomises
from ..prepared import PreparedData
from ..tail_laws import tail_laws
from .base import Statistic, Values
from .neuron_sets import BoundSet, Sets


@dataclass(frozen=True)
class WeightStatistic(Statistic):
    """A statistic of weights or indices alone; `of_sets` maps (data, sets) to [R]."""

    of_sets: Callable[[PreparedData, Tensor], Tensor] = lambda data, sets: sets.double().mean(1)

    def bind(self, data: PreparedData) -> BoundWeight:
        """The weights."""
        return BoundWeight(data, self.of_sets)


class BoundWeight(BoundSet):
    """Both plateaus' statistics, averaged."""

    def __init__(self, data: PreparedData, of_sets: Callable[[PreparedData, Tensor], Tensor]) -> None:
        super().__init__(data)
        self.of_sets = of_sets
        if of_sets is lighter_tail:
            self.terms = "none"  # a few heavy members make nearly all of a spectrum's top
        self.of_sets(data, self.sets[0][None])  # missing inputs show here, before any draw

    def offers(self) -> Mapping[Randomises, Observed]:
        """Neurons, and the weights of the two sets where the statistic reads weights, [2 (input, output), union, d]."""
        offered = dict(super().offers())
        m = self.data.measurements
        if self.of_sets is not index_clustering and m.w_in is not None and m.w_out is not None:
            columns, places = self._columns
            offered["weights"] = Observed("weights", torch.stack([m.w_in[columns], m.w_out[columns]]), plateau=places)
        return offered

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Statistic of sets, or of the plateaus under drawn weights."""
        if kind != "weights":
            return super().evaluate(kind, draws, replicates, seed)
        places = self._columns[1]
        found = []
        for w_in, w_out in draws:
            drawn = PreparedData(replace(self.data.measurements, w_in=w_in, w_out=w_out), self.data.plateau_rule)
            found.append((self.of_sets(drawn, places[0][None]) + self.of_sets(drawn, places[1][None])) / 2)
        value = torch.cat(found)[:, None].double()
        return Values(value, value)

    def value(self, sets: Sets, replicates: range, seed: int) -> Tensor:
        """Mean of the statistic over the two plateaus."""
        return (self.of_sets(self.data, sets[0]) + self.of_sets(self.data, sets[1])) / 2

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> None:
        """None: no document enters."""
        return

    def details(self) -> dict[str, Any]:
        """Of a spectrum: eigenvalues beyond those of rows without structure, and the power law of its tail."""
        if self.of_sets is not lighter_tail:
            return {}
        unit = weight_space.unit_rows(self.data.w_out)
        values = [weight_space.spectrum(unit, own[None])[0] for own in self.sets]
        edge = marchenko_pastur_edge(len(values[0]), unit.shape[1])
        return {
            "marchenko_pastur_edge": edge,
            "largest_eigenvalue": float(torch.stack([v[0] for v in values]).mean()),
            "eigenvalues_beyond_the_edge": float(torch.stack([(v > edge).sum() for v in values]).double().mean()),
            # what is 0 but for rounding, with more neurons than dimensions, is no part of a law
            "tail_laws": tail_laws({f"spectrum {'AB'[half]}": v[v > 1e-9].numpy() for half, v in enumerate(values)}),
        }

    def member_se(self) -> float | None:
        """Delete-one-neuron jackknife of a mean over pairs (Arvesen 1969), both plateaus averaged; None of a spectrum.

        The null's spread is that of sets without structure.  Where weights share a direction, which neurons happen to
        be in the plateau moves their mean cosine more than that.
        """
        if self.terms != "pairs":
            return None
        union = torch.unique(torch.cat(self.sets))
        theta = torch.zeros(len(union), dtype=torch.float64)
        for own in self.sets:
            theta += self.of_sets(self.data, own[None]) / 2
            without = torch.stack([own[own != member] for member in own])
            places = torch.searchsorted(union, own)
            theta[places] += (self.of_sets(self.data, without) - self.of_sets(self.data, own[None])) / 2
        m = len(union)
        return float(((m - 1) / m * (theta - theta.mean()).square().sum()).sqrt())


def weight_cosine(data: PreparedData, sets: Tensor) -> Tensor:
    """Mean of the mean cosines of output and of input weights within each set, [R]."""
    outward, inward = weight_space.unit_rows(data.w_out), weight_space.unit_rows(data.w_in)
    return (weight_space.mean_cosine(outward, sets) + weight_space.mean_cosine(inward, sets)) / 2


def lighter_tail(data: PreparedData, sets: Tensor) -> Tensor:
    """-(Hill alpha), [R]: + = heavier tail once its null mean is taken off."""
    return -weight_space.hill_alpha(weight_space.unit_rows(data.w_out), sets)


def index_clustering(data: PreparedData, sets: Tensor) -> Tensor:
    """Log ratio of expected to mean nearest index gap, [R]."""
    return weight_space.nearest_index_gap(sets, data.measurements.n_neurons)
