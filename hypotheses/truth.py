"""The number that an interval should cover: a statistic at the sets that were chosen, on planted truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..data.errors import MissingInput
from ..data.planted import Truth
from ..data.planted.activations import true_correlation
from ..estimators import coactivation
from ..estimators.class_means import ClassSums
from .nulls.base import NullModel, Randomises
from .prepared import PreparedData
from .statistic import BoundStatistic, Statistic

if TYPE_CHECKING:
    from .engine import Sampled

TILE = 50
"""Draws evaluated together."""


@dataclass(frozen=True)
class TrueWorld:
    """What `BoundStatistic.true_values` needs: the truth, and how the finding was made.

    Selections (sets, ranks, modules, the global mode) stay those made on the data; what they are scored on is the
    truth.  The ``twin`` is the same world without the effect; None where nothing is planted.
    """

    statistic: Statistic
    observed: BoundStatistic
    data: PreparedData
    truth: Truth
    twin: Truth | None
    null: NullModel
    sampled: Sampled
    seed: int

    def true_data(self, truth: Truth) -> PreparedData:
        """The data with population values in place of the measured ones."""
        return true_data(self.data, truth)

    @property
    def bound(self) -> BoundStatistic:
        """The statistic on the truth."""
        return self.statistic.bind(self.true_data(self.truth))

    @property
    def twin_bound(self) -> BoundStatistic:
        """The statistic on the truth of the twin."""
        return self.statistic.bind(self.true_data(self.truth if self.twin is None else self.twin))

    def draws(self, kind: Randomises) -> Iterator[tuple[range, Any]]:
        """The observed draw and the finding's null draws, tile by tile, with their numbers."""
        state = self.null.prepare(self.data.measurements, self.observed.offers()[kind])
        last = len(self.sampled.estimate)
        yield range(1), self.observed.identity(kind)
        for start in range(1, last, TILE):
            numbers = range(start, min(start + TILE, last))
            yield numbers, self.null.draw(state, numbers, self.seed)


def true_data(data: PreparedData, truth: Truth) -> PreparedData:
    """The same data with population correlations, influences and head effects in place of the measured ones."""
    known = replace(data.measurements, joint_ablation=truth.joint_ablation, effects=truth.effects)
    twin = replace(data, measurements=known, shared={})
    given: dict[str, Any] = {name: getattr(data, name) for name in ("documents", "unit", "half")}
    for name in ("chosen", "blind_chosen", "set_size"):  # where cached_property keeps what it has made
        try:
            twin.__dict__[name] = getattr(data, name)
        except MissingInput:
            continue  # a part of the data that this world does not have
    level = torch.from_numpy(np.exp(truth.log_influence))
    sums = level[None, ..., None] * data.pairs[:, None, None, None]
    given["influence_sums"] = ClassSums(sums, data.pairs, torch.from_numpy(data.half))
    given["influence"] = torch.stack([level, level])
    if truth.head_effect is not None:
        effect = torch.from_numpy(truth.head_effect)
        sizes = torch.from_numpy(data.unit_sizes).to(effect.dtype)
        twin.__dict__["head_effect"] = lambda h: effect[h] * sizes[:, None, None]  # before the method
    if truth.circuit is not None:
        r = torch.from_numpy(true_correlation(truth.circuit))
        given["correlation"] = (r, r)
        given["residual_z"] = tuple(residual_z(r, mode) for mode in data.global_mode)
    twin.shared.update(given)
    return twin


def residual_z(r: Tensor, mode: Tensor) -> Tensor:
    """Fisher z of correlations [N, N] once the direction `mode` [N] is projected out; it was chosen on the data."""
    mode = mode.double()
    mode = mode / mode.norm()
    across = r @ mode
    residual = r - torch.outer(mode, across) - torch.outer(across, mode) + (mode @ across) * torch.outer(mode, mode)
    sd = residual.diagonal().clamp_min(0).sqrt()
    return coactivation.fisher_z(residual / torch.outer(sd, sd))
