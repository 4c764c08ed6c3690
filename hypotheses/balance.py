"""How alike the sets under test and their null sets are in the neurons' covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..estimators.strata import standardised_covariates
from .nulls.base import NullModel
from .nulls.guard import GuardedNull
from .prepared import PreparedData
from .statistics.sets import offered_neurons

DRAWS = 199


def null_sets(data: PreparedData, null: NullModel, draws: int, seed: int) -> torch.Tensor:
    """Sets that a null model of neurons draws, int64 [draws, 2, n]; the first are those of replicates 1, 2, ..."""
    observed = offered_neurons(data)
    drawn: torch.Tensor = GuardedNull(null, data.measurements, observed).draw(range(1, 1 + draws), seed)
    if drawn.ndim == 3:
        return drawn
    if drawn.shape[1] == data.measurements.n_neurons:
        return torch.stack([drawn[:, members] for members in data.set], dim=1)
    return drawn[:, None].expand(-1, 2, -1)


@dataclass(frozen=True)
class Imbalance:
    """Standardised mean difference of each covariate between the sets and null sets, and how likely by chance.

    ``smd`` in standard deviations over all neurons, halves averaged.  ``p`` of the largest difference, each in units
    of its scatter over null sets (maxT): null sets of a few neurons differ from each other too, so that a fixed bound
    on the difference would be passed by chance.
    """

    smd: dict[str, float]
    p: float


def against(data: PreparedData, null: NullModel, seed: int) -> Imbalance:
    """Balance of the sets under test against the sets that a null model draws."""
    x = standardised_covariates(data.covariates)
    drawn = null_sets(data, null, DRAWS, seed).numpy()
    of_sets = np.mean([x[s.numpy()].mean(0) for s in data.set], axis=0)
    of_draws = x[drawn].mean(axis=(1, 2))
    centre, scatter = of_draws.mean(0), of_draws.std(0, ddof=1)
    scatter[scatter == 0] = np.inf
    largest = np.abs((of_sets - centre) / scatter).max()
    p = (1 + int((np.abs((of_draws - centre) / scatter).max(1) >= largest).sum())) / (1 + DRAWS)
    smd = {name: float(value) for name, value in zip(data.alike, of_sets - centre, strict=True)}
    return Imbalance(smd, p)
