"""Estimands of what sets of neurons have in common in weights and indices; no document enters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...estimators import weights as weight_space
from ...estimators.correlation_nulls import marchenko_pastur_edge
from ..nulls.base import Observed, Randomises
from ..study import Study
from ..tail_laws import tail_laws
from .base import Estimand, Values
from .neuron_sets import SetBound, Sets


@dataclass(frozen=True)
class WeightStatistic(Estimand):
    """A statistic of weights or indices alone; `statistic` maps (study, sets) to [R]."""

    statistic: Callable[[Study, Tensor], Tensor] = lambda study, sets: sets.double().mean(1)

    def bind(self, study: Study) -> WeightBound:
        """The weights."""
        return WeightBound(study, self.statistic)


class WeightBound(SetBound):
    """Both plateaus' statistics, averaged."""

    def __init__(self, study: Study, statistic: Callable[[Study, Tensor], Tensor]) -> None:
        super().__init__(study)
        self.statistic = statistic
        if statistic is lighter_tail:
            self.terms = "none"  # a few heavy members make nearly all of a spectrum's top
        self.statistic(study, self.sets[0][None])  # missing inputs show here, before any draw

    def offers(self) -> Mapping[Randomises, Observed]:
        """Neurons, and the weights of the two sets where the statistic reads weights, [2 (input, output), union, d]."""
        offered = dict(super().offers())
        m = self.study.measurements
        if self.statistic is not index_clustering and m.w_in is not None and m.w_out is not None:
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
            drawn = Study(replace(self.study.measurements, w_in=w_in, w_out=w_out), self.study.plateau_rule)
            found.append((self.statistic(drawn, places[0][None]) + self.statistic(drawn, places[1][None])) / 2)
        value = torch.cat(found)[:, None].double()
        return Values(value, value)

    def value(self, sets: Sets, replicates: range, seed: int) -> Tensor:
        """Mean of the statistic over the two plateaus."""
        return (self.statistic(self.study, sets[0]) + self.statistic(self.study, sets[1])) / 2

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> None:
        """None: no document enters."""
        return

    def details(self) -> dict[str, Any]:
        """Of a spectrum: eigenvalues beyond those of rows without structure, and the power law of its tail."""
        if self.statistic is not lighter_tail:
            return {}
        unit = weight_space.unit_rows(self.study.w_out)
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
            theta += self.statistic(self.study, own[None]) / 2
            without = torch.stack([own[own != member] for member in own])
            places = torch.searchsorted(union, own)
            theta[places] += (self.statistic(self.study, without) - self.statistic(self.study, own[None])) / 2
        m = len(union)
        return float(((m - 1) / m * (theta - theta.mean()).square().sum()).sqrt())


def weight_cosine(study: Study, sets: Tensor) -> Tensor:
    """Mean of the mean cosines of output and of input weights within each set, [R]."""
    outward, inward = weight_space.unit_rows(study.w_out), weight_space.unit_rows(study.w_in)
    return (weight_space.mean_cosine(outward, sets) + weight_space.mean_cosine(inward, sets)) / 2


def lighter_tail(study: Study, sets: Tensor) -> Tensor:
    """-(Hill alpha), [R]: + = heavier tail once its null mean is taken off."""
    return -weight_space.hill_alpha(weight_space.unit_rows(study.w_out), sets)


def index_clustering(study: Study, sets: Tensor) -> Tensor:
    """Log ratio of expected to mean nearest index gap, [R]."""
    return weight_space.nearest_index_gap(sets, study.measurements.n_neurons)
