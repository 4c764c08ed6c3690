"""How alike the plateau and its null sets are in the neurons' covariates."""

from __future__ import annotations

import numpy as np
import torch

from ..estimators.strata import standardised_covariates
from .nulls.base import Observed
from .nulls.reselected_sets import ReselectedSets
from .study import COVARIATES, Study

LARGEST_SMD = 0.25
"""Standardised mean difference beyond which the verdict's row says so (METHODS section 4)."""
DRAWS = 100


def neurons(study: Study, label_blind: bool = False) -> Observed:
    """The neurons' places, the plateaus among them, and what these were chosen by."""
    return Observed(
        "neurons", torch.arange(study.measurements.n_neurons),
        plateau=study.blind_plateau if label_blind else study.plateau, strata=study.strata,
        score=study.selection_score(label_blind), covariates=study.covariates,
    )  # fmt: skip


def reselected(study: Study, draws: int, seed: int) -> torch.Tensor:
    """Sets of null `reselected_sets`, int64 [draws, 2, n]; the first are those of replicates 1, 2, ..."""
    null = ReselectedSets()
    return null.draw(null.prepare(study.measurements, neurons(study)), range(1, 1 + draws), seed)


def against_reselected(study: Study, seed: int) -> dict[str, float]:
    """Standardised mean difference of each covariate between the plateaus and null sets, halves averaged.

    Unit: standard deviations over all neurons.
    """
    x = standardised_covariates(study.covariates)
    drawn = reselected(study, DRAWS, seed).numpy()
    means = [x[s.numpy()].mean(0) - x[drawn[:, half]].mean((0, 1)) for half, s in enumerate(study.plateau)]
    return {name: float(value) for name, value in zip(COVARIATES, np.mean(means, axis=0), strict=True)}
