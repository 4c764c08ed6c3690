"""How influence falls with rank, and which class it leans to: the statistics of claim 1 (`regimes.*`).

All work on mean influences ``means`` [R, 2 (half), 2 (class), N, 1] in nats (mean abs loss change over matched
positions) and are cross-fit: what is chosen on one half is scored on the other, and the two scores are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from . import segmented

FLOOR = 1e-12
"""Nats; below the resolution of any float32 loss, so that a dead neuron has a logarithm."""
MIDDLE = 6
"""The middle band ends at rank 6 n_h."""
MOST_KNOTS = 2


def log_influence(means: Tensor) -> Tensor:
    """Natural logarithm of the influence, [R, 2, 2, N]."""
    return means[..., 0].clamp_min(FLOOR).log()


def top(values: Tensor, n: int) -> Tensor:
    """Indices of the n largest along the last axis, largest first; ties go to the lower index."""
    if n < values.shape[-1]:  # a partial sort, several times as fast, but it leaves the order of ties open
        largest = values.topk(n + 1, dim=-1)
        if (largest.values.diff(dim=-1) < 0).all():
            return largest.indices[..., :n]
    return torch.argsort(values, dim=-1, descending=True, stable=True)[..., :n]


def choose_leaning_sets(n_head: int) -> Callable[[Tensor], Tensor]:
    """Weights [R, 2 (scored half), N]: 1/n a membership in the plateau of rare or of common on the other half."""

    def choose(means: Tensor) -> Tensor:
        ranked = top(means[..., 0], n_head)
        weight = torch.zeros(*means.shape[:3], means.shape[3], dtype=means.dtype)
        weight.scatter_(-1, ranked, 1.0 / n_head)
        return weight.sum(2).flip(1)

    return choose


def selectivity(means: Tensor, weight: Tensor) -> Tensor:
    """LR(P_rare) + LR(P_common), [R, 1], log units: + = the plateaus lean to rare tokens.

    LR(P) is the mean over P of log[I(rare)/I(common)], each class first divided by its geometric mean over neurons.
    """
    logs = log_influence(means)
    lean = logs[:, :, 0] - logs[:, :, 1]
    lean = lean - lean.mean(-1, keepdim=True)
    return (lean * weight).sum(-1).mean(1, keepdim=True)


Prediction: TypeAlias = tuple[Tensor, Tensor]
"""Least squares as two matrices [N, p] and [p, N] (`neuronull.estimators.strata.covariate_prediction`)."""


def choose_order(n_head: int) -> Callable[[Tensor], Tensor]:
    """Neurons of head and middle band by influence on the other half, int64 [R, 2 (scored half), 2 (class), 6 n_h]."""

    def choose(means: Tensor) -> Tensor:
        return top(means[..., 0], min(MIDDLE * n_head, means.shape[3])).flip(1)

    return choose


def head_deviation(logs: Tensor, n_head: int) -> Tensor:
    """Mean over head ranks of (middle-band line - log I) / kappa_mid; + = flatter than the power law. [...]

    Parameters
    ----------
    logs : [..., m]
        Log influence in rank order: ranks 1..n_h are the head, n_h+1..m the middle.

    Notes
    -----
    kappa_mid is the absolute slope of the ordinary least-squares line of log I on log rank over the middle
    (docs/methods.md#regimes-shape).
    """
    log_rank = torch.log(torch.arange(1, logs.shape[-1] + 1, dtype=logs.dtype))
    x = log_rank[n_head:] - log_rank[n_head:].mean()
    middle = logs[..., n_head:]
    slope = (middle * x).sum(-1) / (x**2).sum()
    line = middle.mean(-1) + slope * (log_rank[:n_head].mean() - log_rank[n_head:].mean())
    return (line - logs[..., :n_head].mean(-1)) / slope.abs().clamp_min(FLOOR)


def deviations(means: Tensor, order: Tensor, n_head: int) -> Tensor:
    """Head deviation of each half and class, [R, 2, 2], in the rank order chosen on the other half."""
    return head_deviation(torch.gather(log_influence(means), -1, order), n_head)


def shape(n_head: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Score: delta(rare), [R, 1]."""
    return lambda means, order: deviations(means, order, n_head)[:, :, 0].mean(1, keepdim=True)


def nothing_chosen(means: Tensor) -> None:
    """For statistics without a choice."""


def recruitment(means: Tensor, choice: None = None) -> Tensor:
    """Log ratio (rare over common) of exp of the entropy of influence shares, [R, 1]."""
    share = means[..., 0] / means[..., 0].sum(-1, keepdim=True).clamp_min(FLOOR)
    entropy = -(share * share.clamp_min(FLOOR).log()).sum(-1)
    return (entropy[:, :, 0] - entropy[:, :, 1]).mean(1, keepdim=True)


def swap_neurons(
    means: Tensor, swaps: Tensor, prediction: Prediction | None = None, scale: Tensor | None = None
) -> Tensor:
    """Means [R, 2, 2, N, 1] with the two scale-normalised influences exchanged where `swaps` [R, N].

    Each half's class is divided by its geometric mean over neurons first, so that a swap moves a lean and no scale.
    With a `scale` [2 (class)] log influences are divided by it for the swap: what is exchanged is what a power relation
    of the classes leaves (`lean.relation`).
    With a `prediction` only what covariates do not predict of a neuron's lean changes sides, and the rest stays where
    it is (Freedman, Lane 1983): a lean that follows activation scale, say, is none of a specialist's own, and cannot
    change places.  The line is fitted to ordinary neurons: specialists are sparse, and would be explained away by it.
    """
    logs = log_influence(means)
    by = logs.new_ones(2, 1) if scale is None else scale[:, None]
    moves = (logs - logs.mean(-1, keepdim=True)) / by
    stays = moves.new_zeros(())
    if prediction is not None:
        lean = (moves[:, :, 0] - moves[:, :, 1]).mean(1)
        stays = (lean @ prediction[1].T) @ prediction[0].T
        stays = (stays - stays.mean(-1, keepdim=True))[:, None, None, :] / 2 * torch.tensor([1.0, -1.0])[:, None]
        moves = moves - stays
    swapped = torch.where(swaps[:, None, None, :], moves.flip(2), moves) + stays
    return (swapped * by).exp()[..., None]


def knot_head(influence: Tensor, low: int, high: int) -> int:
    """First knot of the continuous two-knot fit of sorted log influence on log rank, bounded to [low, high].

    Parameters
    ----------
    influence : [N]
        Label-blind influence, nats.
    low, high : int
        Ranks; `low` at least 2, since a line cannot bend at its first point.

    Notes
    -----
    Least squares over a grid of knot pairs on ranks thinned to log-even spacing: sorted values crowd at high ranks,
    and an unthinned fit would answer for the tail alone.
    """
    logs = influence.clamp_min(FLOOR).log().sort(descending=True).values
    ranks = segmented.thinned_ranks(len(logs))
    pairs = torch.cartesian_prod(ranks, ranks[::4])
    first, second = pairs[:, 0], pairs[:, 1]
    pairs = pairs[(low <= first) & (first <= high) & (segmented.APART * first <= second) & (second < len(logs))]
    if len(pairs) == 0:
        return low
    y = logs[ranks - 1].double()[None]
    return round(segmented.fit(ranks.double().log(), y, pairs.double().log()).knots[0, 0].exp().item())


@dataclass(frozen=True)
class CurveFit:
    """The broken line with a given number of knots through one influence curve.

    ``knots``, ``low`` and ``high`` are ranks; the last two bound the middle 95 % of the same knot over resamples.
    ``slopes`` are of log influence on log rank, one a band. ``rms`` is the root mean square residual in log units.
    ``sought`` are the lowest and the highest rank at which a knot was tried: one that lies there says only that the
    curve is steep at its end.
    """

    knots: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    slopes: tuple[float, ...]
    rms: float
    bic: float
    sought: tuple[int, int]


def curve_fits(sums: Tensor, weight: Tensor, counts: Tensor) -> tuple[CurveFit, ...]:
    """Broken lines with 0, 1 and 2 knots of log influence on log rank.

    Parameters
    ----------
    sums : float64 [D, N]
        Sums of abs(loss change) by document, nats; N at least 48, the fewest that hold a plateau.
    weight : float64 [D]
        Positions summed.
    counts : float64 [B, D]
        How often each document stands in each resample.

    Notes
    -----
    In each resample the neurons are sorted anew and the same fit is made. The interval therefore holds the chance of
    the text, not that of the neurons.
    """
    ranks = segmented.thinned_ranks(sums.shape[1])
    x = ranks.double().log()
    counts = torch.cat([torch.ones(1, len(weight), dtype=torch.float64), counts])
    means = (counts @ sums) / (counts @ weight)[:, None].clamp_min(FLOOR)
    curves = means.clamp_min(FLOOR).log().sort(dim=-1, descending=True).values[:, ranks - 1]
    inner = segmented.candidate_ranks(ranks, 1)
    sought = int(inner[0]), int(inner[-1])
    out = []
    for knots in range(MOST_KNOTS + 1):
        candidates = segmented.candidate_ranks(ranks, knots)
        found = segmented.fit(x, curves, candidates.double().log())
        places = found.knots.exp().round()
        low, high = (
            [float(column.quantile(q, interpolation=side)) for column in places[1:].T]
            for q, side in ((0.025, "lower"), (0.975, "higher"))
        )
        error = float(found.error[0])
        out.append(
            CurveFit(
                knots=tuple(places[0].tolist()), low=tuple(low), high=tuple(high),
                slopes=tuple(found.slopes[0].tolist()),
                rms=math.sqrt(error / len(x)), bic=segmented.bic(error, len(x), knots), sought=sought,
            )
        )  # fmt: skip
    return tuple(out)


def best_fit(fits: Sequence[CurveFit]) -> CurveFit:
    """The fit with the lowest BIC."""
    return min(fits, key=lambda f: f.bic)
