"""Statistics of what sets of neurons have in common in weights and indices; no document enters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..neuron_sets import Need
from ..nulls.base import Observed, Randomises
from ..prepared import PreparedData
from ..result import Details
from ..statistic import Statistic, Values
from .sets import BoundSet, Sets


@dataclass(frozen=True)
class WeightStatistic(Statistic):
    """A statistic of weights or indices alone.

    Attributes
    ----------
    of_sets
        Maps (data, sets) to [R].
    reads_weights
        Whether it reads weights, so that null models of weights can be used.
    terms
        What it is, near enough, a mean over; "none" where a few heavy members make nearly all of it.
    descriptives
        What else is said of the two sets; it decides nothing.
    """

    needs: ClassVar[tuple[Need, ...]] = ("weights",)

    of_sets: Callable[[PreparedData, Tensor], Tensor] = lambda data, sets: sets.double().mean(1)
    reads_weights: bool = True
    terms: Literal["pairs", "members", "none"] = "pairs"
    descriptives: Callable[[PreparedData, Sets], Details] | None = None

    def bind(self, data: PreparedData) -> BoundWeight:
        """The weights."""
        return BoundWeight(data, self)


class BoundWeight(BoundSet):
    """The statistics of both halves' sets, averaged."""

    def __init__(self, data: PreparedData, how: WeightStatistic) -> None:
        super().__init__(data)
        self.how, self.terms = how, how.terms
        self.of_sets = how.of_sets
        self.of_sets(data, self.sets[0][None])  # missing inputs show here, before any draw

    def offers(self) -> Mapping[Randomises, Observed]:
        """Neurons, and the weights of the two sets where the statistic reads weights, [2 (input, output), union, d]."""
        offered = dict(super().offers())
        m = self.data.measurements
        if self.how.reads_weights and m.w_in is not None and m.w_out is not None:
            columns, places = self._columns
            offered["weights"] = Observed("weights", torch.stack([m.w_in[columns], m.w_out[columns]]), sets=places)
        return offered

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Statistic of sets, or of the observed sets under drawn weights."""
        if kind != "weights":
            return super().evaluate(kind, draws, replicates, seed)
        places = self._columns[1]
        found = []
        for w_in, w_out in draws:
            drawn = PreparedData(replace(self.data.measurements, w_in=w_in, w_out=w_out))
            found.append((self.of_sets(drawn, places[0][None]) + self.of_sets(drawn, places[1][None])) / 2)
        value = torch.cat(found)[:, None].double()
        return Values(value, value)

    def value(self, sets: Sets, replicates: range, seed: int) -> Tensor:
        """Mean of the statistic over the two sets."""
        return (self.of_sets(self.data, sets[0]) + self.of_sets(self.data, sets[1])) / 2

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> None:
        """None: no document enters."""
        return

    def describe(self) -> Details:
        """What the statistic says of the two sets."""
        return Details() if self.how.descriptives is None else self.how.descriptives(self.data, self.sets)

    def member_se(self) -> float | None:
        """Delete-one-neuron jackknife of a mean over pairs (Arvesen 1969), both sets averaged; None of a spectrum.

        The null's spread is that of sets without structure.  Where weights share a direction, which neurons happen to
        be in the set moves their mean cosine more than that.
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
