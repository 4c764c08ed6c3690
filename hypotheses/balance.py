"""How alike the plateau and its null sets are in the neurons' covariates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..estimators.strata import standardised_covariates
from .nulls.base import Observed
from .nulls.reselected_sets import ReselectedSets
from .prepared import COVARIATES, PreparedData

DRAWS = 199


def neurons(data: PreparedData, label_blind: bool = False) -> Observed:
    """The neurons' places, the plateaus among them, and what these were chosen by."""
    return Observed(
        "neurons", torch.arange(data.measurements.n_neurons),
        plateau=data.blind_plateau if label_blind else data.plateau, strata=data.strata,
        score=data.selection_score(label_blind), covariates=data.covariates,
    )  # fmt: skip


def reselected(data: PreparedData, draws: int, seed: int) -> torch.Tensor:
    """Sets of null `reselected_sets`, int64 [draws, 2, n]; the first are those of replicates 1, 2, ..."""
    null = ReselectedSets()
    return null.draw(null.prepare(data.measurements, neurons(data)), range(1, 1 + draws), seed)


@dataclass(frozen=True)
class Imbalance:
    """Standardised mean difference of each covariate between plateaus and null sets, and how likely by chance.

    ``smd`` in standard deviations over all neurons, halves averaged.  ``p`` of the largest difference, each in units
    of its scatter over null sets (maxT): null sets of a few neurons differ from each other too, so that a fixed bound
    on the difference would be passed by chance.
    """

    smd: dict[str, float]
    p: float


def against_reselected(data: PreparedData, seed: int) -> Imbalance:
    """Balance of the plateaus against sets of null `reselected_sets`."""
    x = standardised_covariates(data.covariates)
    drawn = reselected(data, DRAWS, seed).numpy()
    of_plateau = np.mean([x[s.numpy()].mean(0) for s in data.plateau], axis=0)
    of_draws = x[drawn].mean(axis=(1, 2))
    centre, scatter = of_draws.mean(0), of_draws.std(0, ddof=1)
    scatter[scatter == 0] = np.inf
    largest = np.abs((of_plateau - centre) / scatter).max()
    p = (1 + int((np.abs((of_draws - centre) / scatter).max(1) >= largest).sum())) / (1 + DRAWS)
    smd = {name: float(value) for name, value in zip(COVARIATES, of_plateau - centre, strict=True)}
    return Imbalance(smd, p)
