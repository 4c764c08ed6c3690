"""How far the conditions' sets lean beyond the power relation that all neurons follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import scipy.stats
import torch

from ...estimators import lean, regimes
from ...estimators.class_means import Score
from ...estimators.crossed import Crossed
from ...estimators.two_sources import two_way_se
from ..neuron_sets import Need
from ..numbers import plain_number
from ..prepared import PreparedData
from ..result import Details
from ..statistic import Statistic
from .contrasts import BoundCrossed, ClassContrast

LEVEL = 0.05
"""One-sided level at which another reading must agree, or must not say the opposite."""
MARGIN = 0.05
"""Log ratio: the smallest lean of specialists worth the name."""


def lean_of(n_head: int) -> ClassContrast:
    """Lean of both conditions' sets, each to its own condition, beyond the power relation."""
    return lean.choose(n_head), lean.selectivity


@dataclass(frozen=True)
class Lean(Statistic):
    """The lean; what covariates of ordinary neurons predict of it stays in place under swaps of neurons."""

    needs: ClassVar[tuple[Need, ...]] = ("influence",)

    descriptives: Callable[[PreparedData], Details] | None = None
    bend: bool = False
    """Whether the relation may be curved."""

    def bind(self, data: PreparedData) -> BoundLean:
        """Per-document sums of abs(loss change)."""
        data.chosen_by_influence()
        choose, score = lean.choose(data.n_head), lean.bent if self.bend else lean.selectivity
        bound = BoundLean(
            data.influence_sums, choose, score, pairs=lambda: data.pair_sums, influence=data.influence,
            pair_unit=torch.from_numpy(data.pair_unit), lean=data.lean_prediction, head=data.set,
            scale=lean.scale(data.influence, data.n_head),
        )  # fmt: skip
        bound.with_rivals, bound.smaller_half = not self.bend, data.smaller_half
        if self.descriptives is not None:
            bound.descriptives = partial(self.descriptives, data)
        return bound


class BoundLean(BoundCrossed):
    """The lean on one data, with what other readings of it say."""

    with_rivals = True
    of_set = True

    def rival(self) -> str:
        """Names a curved relation that would do as well, or a raw lean that goes the other way."""
        if not self.with_rivals:
            return ""
        value, se = self.reading(lean.bent)
        if not value > self._reach * se:
            return (
                f"a relation of the two conditions that is curved would explain it as well (beyond a parabola the lean "
                f"is {plain_number(value, 2, sign=True)}, standard error {plain_number(se, 2)})"
            )
        value, se = self.reading(lambda means, choice: regimes.selectivity(means, choice[0]))
        if value < -self._reach * se:
            told = f"{plain_number(value, 2, sign=True)}, standard error {plain_number(se, 2)}"
            return f"the plain lean goes the other way ({told})"
        return ""

    def doubt(self) -> str:
        """Withholds that nothing is there where the plain lean is not shown to be small."""
        if not self.with_rivals:
            return ""
        value, se = self.reading(lambda means, choice: regimes.selectivity(means, choice[0]))
        most = value + self._reach * se
        if most >= MARGIN:
            return f"the plain lean, from which the power relation is not taken off, may reach {plain_number(most, 2)}"
        return ""

    @property
    def _reach(self) -> float:
        return float(scipy.stats.t.isf(LEVEL, self.two_sources().df))

    def reading(self, score: Score) -> tuple[float, float]:
        """Another score of the same choice, and its standard error over documents and neurons."""
        crossed = Crossed(self.sums, self.choose, score, self._band)
        value, variances = crossed.under_document_swaps(self.identity("labels"))
        return float(value[0]), float(two_way_se(*variances)[0])
