"""Contrasts of the two conditions: functions of their means, under swaps of documents, pairs or neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...estimators import crossed, regimes
from ...estimators.class_means import (
    Choose,
    ClassSums,
    Score,
    influence_function,
    leave_one_out,
    means_under,
    scored,
    second_order,
    studentised,
)
from ..neuron_sets import Need
from ..nulls.base import Observed, Randomises
from ..prepared import PreparedData
from ..result import Details
from ..statistic import BoundStatistic, Statistic, TwoSources, Values

if TYPE_CHECKING:
    from ..truth import TrueWorld

FloatArray: TypeAlias = npt.NDArray[np.float64]

ClassContrast: TypeAlias = tuple[Choose, Score]


@dataclass(frozen=True)
class InfluenceContrast(Statistic):
    """A statistic of the conditions' mean influences; `contrast` maps the size of the set to (choose, score).

    It is of the curve's head or of the neurons with the most influence; with ``of_all_neurons`` of the whole layer,
    whatever set is under test.  With ``two_sources`` its error is that of documents and neurons together.  ``refuse``
    raises where the statistic means nothing on these data; ``doubt`` says why nothing may be excluded.
    """

    needs: ClassVar[tuple[Need, ...]] = ("influence",)

    of_all_neurons: bool = False
    contrast: Callable[[int], ClassContrast] = lambda n_head: (regimes.nothing_chosen, regimes.recruitment)
    descriptives: Callable[[PreparedData], Details] | None = None
    two_sources: bool = False
    refuse: Callable[[PreparedData], None] | None = None
    doubt: Callable[[PreparedData], str] | None = None

    def bind(self, data: PreparedData) -> BoundContrast:
        """Per-document sums of abs(loss change)."""
        if not self.of_all_neurons:
            data.chosen_by_influence()
        if self.refuse is not None:
            self.refuse(data)
        choose, score = self.contrast(data.n_head if not self.of_all_neurons else data.set_size)
        kind = BoundCrossed if self.two_sources else BoundContrast
        bound = kind(
            data.influence_sums, choose, score, pairs=lambda: data.pair_sums, influence=data.influence,
            pair_unit=torch.from_numpy(data.pair_unit),
            head=None if self.of_all_neurons else data.set,
        )  # fmt: skip
        bound.smaller_half = data.smaller_half
        if self.doubt is not None:
            bound.doubtful = partial(self.doubt, data)
        if self.descriptives is not None:
            bound.descriptives = partial(self.descriptives, data)
        return bound


class BoundContrast(BoundStatistic):
    """A class contrast on one data."""

    kinds: ClassVar[tuple[Randomises, ...]] = ("labels", "influence")

    def __init__(
        self, sums: ClassSums, choose: Choose, score: Score, pairs: Callable[[], ClassSums] | None = None,
        influence: Tensor | None = None, pair_unit: Tensor | None = None, lean: regimes.Prediction | None = None,
        head: tuple[Tensor, Tensor] | None = None, scale: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.sums, self.choose, self.score, self.pairs, self.influence = sums, choose, score, pairs, influence
        self.pair_unit, self.lean, self.head, self.scale = pair_unit, lean, head, scale
        self.doubtful: Callable[[], str] | None = None
        self.groups: Tensor | None = None
        self.descriptives: Callable[[], Details] | None = None

    def offers(self) -> Mapping[Randomises, Observed]:
        """Labels of documents; for influence statistics also the class influences."""
        swaps = torch.zeros(self.sums.documents, dtype=torch.bool)
        pairs = None if self.pair_unit is None else len(self.pair_unit)
        out: dict[Randomises, Observed] = {
            "labels": Observed("labels", swaps, half=self.sums.half.numpy(), pairs=pairs)
        }
        if self.influence is not None:
            out["influence"] = Observed(
                "influence", self.influence, sets=self.head or (), noise=crossed.noise(self.sums)
            )
        return out

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Studentised under label swaps; plain under draws of influences."""
        if kind == "labels":
            value, derivative = self._under_swaps(draws)
            return Values(value, studentised(value, derivative))
        if self.influence is None:
            raise ValueError(f"this statistic has no {kind} to randomise")
        means = draws.double()[..., None] if draws.dtype != torch.bool else regimes.swap_neurons(
            self.influence[None, ..., None], draws, self.lean, self.scale
        )  # fmt: skip
        value = scored(means, self.choose, self.score)
        return Values(value, value)

    def _under_swaps(self, swaps: Tensor) -> tuple[Tensor, Tensor]:
        """Statistic [R, K] and its derivative by each document's weight [R, D, K]; swaps of documents or pairs."""
        if swaps.shape[1] == self.sums.documents or self.pairs is None or self.pair_unit is None:
            return influence_function(self.sums, swaps, self.choose, self.score)
        value, by_pair = influence_function(self.pairs(), swaps, self.choose, self.score)
        derivative = by_pair.new_zeros(len(swaps), self.sums.documents, by_pair.shape[2])
        return value, derivative.index_add_(1, self.pair_unit, by_pair)

    smaller_half: float | None = None
    """Effective number of documents, or clusters of them, in the smaller half; None to count them."""
    of_set = False
    """Whether it is a mean over the members of a set that a half chose."""

    def found_share(self, reliability: float) -> float:
        """The root of the reliability for a mean over members."""
        return reliability**0.5 if self.of_set else 1.0

    def doubt(self) -> str:
        """Why nothing may be excluded; empty where it may."""
        return "" if self.doubtful is None else self.doubtful()

    def describe(self) -> Details:
        """What is described beside the finding."""
        return Details() if self.descriptives is None else self.descriptives()

    def true_values(self, world: TrueWorld) -> FloatArray:
        """Score of the truth at what was chosen on the data; less the null mean that the finding uses, if centred."""
        there = world.bound
        if not isinstance(there, BoundContrast) or there.sums.x.shape[2:] != self.sums.x.shape[2:]:
            return np.full(len(self.outputs), np.nan)  # other heads are minor in truth than on the data
        choice = self.choose(means_under(self.sums, self.identity("labels")))
        value: FloatArray = self.score(means_under(there.sums, self.identity("labels")), choice)[0].numpy()
        return value - world.sampled.mean if world.statistic.centred else value

    def leave_one_out(self) -> Tensor:
        """Delete-one-document estimates, [D, K]."""
        return leave_one_out(self.sums, self.choose, self.score)


class BoundCrossed(BoundContrast):
    """A class contrast that documents and neurons both move, with one output."""

    @property
    def _crossed(self) -> crossed.Crossed:
        return crossed.Crossed(self.sums, self.choose, self.score, self._band)

    @cached_property
    def _band(self) -> Tensor:
        """Neurons of the middle band of both classes together."""
        if self.influence is None or self.head is None:
            raise ValueError("an error over neurons needs influences and the set under test")
        n_head = len(self.head[0])
        return regimes.top(self.influence.log().mean((0, 1)), regimes.MIDDLE * n_head)[n_head:]

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Over the error of both sources, but for influences drawn anew."""
        if kind == "labels" and draws.shape[1] == self.sums.documents:
            value, variances = self._crossed.under_document_swaps(draws)
        elif kind == "labels" and self.pairs is not None and self.pair_unit is not None:
            value, variances = self._crossed.under_pair_swaps(self.pairs(), self.pair_unit, draws)
        elif kind == "influence" and draws.dtype == torch.bool and self.influence is not None:
            value, variances = self._crossed.under_neuron_swaps(self.influence, draws, self.lean, self.scale)
        else:
            return super().evaluate(kind, draws, replicates, seed)
        return Values(value[:, None], crossed.ranked(value, variances)[:, None])

    def two_sources(self) -> TwoSources:
        """Errors of documents and neurons; degrees of freedom by the fewer of a half's documents and the band's."""
        _, variances = self._crossed.under_document_swaps(self.identity("labels"))
        documents, neurons, cells = (v.numpy() for v in variances)
        units = self.smaller_half or float(torch.bincount(self.sums.half).min())
        df = min(units, float(len(self._band))) - 1
        return TwoSources(np.sqrt(documents), np.sqrt(neurons), cells, df)


class BoundQuadratic(BoundContrast):
    """A class contrast without first derivative where nothing is there."""

    def second_order(self) -> Tensor:
        """Variance that documents make only two at a time, [K]."""
        return second_order(self.sums, self.choose, self.score)
