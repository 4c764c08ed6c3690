"""The two sets of neurons that Stolfo et al. 2024 speak of, each chosen by other things than it is tested on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats
import torch
from torch import Tensor

from ....data.errors import MissingInput
from ...neuron_sets import ByScore
from ...prepared import PreparedData
from .statistics import absolute_sums, log_ratio

ALIKE = ("mean_abs", "sd", "kurtosis", "sparsity")
"""What ordinary neurons must be like: activation alone, since weights are tested, or make the choice."""


def by_weights(data: PreparedData) -> Tensor:
    """Normal score of output norm plus that of its share in the unembedding's weak directions, float64 [2, N].

    A neuron whose output is large and lies in weak directions moves the logits little for its size: the high norm
    and low variance of logits of the paper's figure 2a, without a threshold on either.
    """
    table = data.measurements.neurons
    if table is None:
        raise MissingInput("no neuron covariates were measured", "neurons.parquet", "measure them")
    score = sum(_normal_score(table[name].to_numpy(np.float64)) for name in ("w_out_norm", "weak_direction_share"))
    return torch.from_numpy(np.stack([score, score]))


def _normal_score(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    ranks = scipy.stats.rankdata(values)
    out: npt.NDArray[np.float64] = scipy.stats.norm.ppf((ranks - 0.5) / len(ranks))
    return out


def through_scale(data: PreparedData) -> Tensor:
    """Log ratio of the effect on the loss to what is left of it with the norm's scale frozen, by half, [2, N]."""
    return _loss_over(data, "direct")


def through_frequency(data: PreparedData) -> Tensor:
    """Log ratio of the effect on the loss to what is left of it with token frequencies frozen, by half, [2, N]."""
    return _loss_over(data, "frequency")


def _loss_over(data: PreparedData, frozen: str) -> Tensor:
    whole, left = absolute_sums(data, "loss"), absolute_sums(data, frozen)
    halves = [torch.from_numpy(data.half == half) for half in (0, 1)]
    return torch.stack([log_ratio(whole[rows].sum(0), left[rows].sum(0)) for rows in halves])


ENTROPY_BY_WEIGHTS = ByScore(
    "entropy",
    "whose output weights are largest and lie most in the unembedding's weak directions",
    by_weights,
    by="weights",
)

ENTROPY_BY_EFFECTS = ByScore(
    "scale-acting",
    "with the largest share of their effect on the loss going through the final norm's scale",
    through_scale,
    by="effects",
    needs=("effects",),
)

TOKEN_FREQUENCY = ByScore(
    "token-frequency",
    "with the largest share of their effect on the loss going through token frequencies",
    through_frequency,
    by="effects",
    needs=("effects",),
)
