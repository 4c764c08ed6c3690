"""In how many dimensions a set of neurons moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from .....estimators import coactivation
from ....neuron_sets import Need
from ....nulls.base import Randomises
from ....prepared import PreparedData
from ....statistic import Statistic
from ....statistics.sets import BoundSet, Sets


@dataclass(frozen=True)
class Dimension(Statistic):
    """Log participation ratio of a set; + = fewer dimensions than matched sets (`coordination.dimension`)."""

    needs: ClassVar[tuple[Need, ...]] = ("activations",)

    def bind(self, data: PreparedData) -> BoundDimension:
        """Correlations of the two halves."""
        return BoundDimension(data)


class BoundDimension(BoundSet):
    """Cross-half: each set's ratio uses the product of the two halves' correlations."""

    def value(self, sets: Sets, replicates: range, seed: int) -> Tensor:
        """-log PR, both sets averaged; the engine takes it less its null mean, E log PR(pi P) - log PR(P)."""
        r_a, r_b = self.data.correlation
        logs = [
            coactivation.participation_ratio(
                coactivation.submatrices(r_a, s).double(), coactivation.submatrices(r_b, s).double()
            ).log()
            for s in sets
        ]
        return -(logs[0] + logs[1]) / 2

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Tensor | None:
        """Each document changes one half's correlations in both sets' ratios, [R, D, 1]."""
        if kind != "neurons":
            return None
        data = self.data
        out = torch.zeros(len(draws), data.n_units, 1, dtype=torch.float64)
        for half in (0, 1):
            rows = torch.from_numpy(np.flatnonzero(data.half == half))
            for s in self.images(draws):
                without = coactivation.correlations_without(data.activation_a[half], data.unit_a[half], s)
                other = coactivation.submatrices(data.correlation[1 - half], s).double()[:, None].expand_as(without)
                out[:, rows, 0] -= coactivation.participation_ratio(without, other).log() / 2
        return out
