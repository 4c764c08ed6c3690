"""How much flatter the head of an influence curve is than its middle band: the statistics that decide claim 1.

On log-log axes a power law is a straight line.  Flatness is 1 less the slope of the head over that of the middle band:
0 where the law goes on, 1 where the head is level, below 0 where it climbs faster.  A head that is raised above the law
as a whole is as level as one that joins it, and flatness says so; a departure from the line (`regimes.head_deviation`)
does not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from .regimes import FLOOR, log_influence

APART = 2.0
"""Two ranks of the head make a slope if the larger is at least so many times the smaller."""
CERTAIN = 5.0
"""Standard errors that the middle band's slope must have for a ratio to it to mean anything."""


def slopes(logs: Tensor, n_head: int) -> tuple[Tensor, Tensor]:
    """Slopes of head and of middle band, positive where influence falls with rank, each [...].

    Parameters
    ----------
    logs : [..., m]
        Log influence in rank order: ranks 1..n_h are the head, n_h+1..m the middle.

    Notes
    -----
    Head: mean of the middle half of the slopes of all pairs of ranks that lie at least a factor `APART` apart, a
    trimmed relative of Theil and Sen (Sen 1968, *JASA* 63:1379).  One giant neuron lies in a minority of the pairs and
    moves it little, where least squares follows it; the median itself would have the derivative of a single pair, and a
    jackknife could not tell its error.  Middle: ordinary least squares (docs/methods.md#regimes-flatness).
    """
    log_rank = torch.log(torch.arange(1, logs.shape[-1] + 1, dtype=logs.dtype))
    x = log_rank[n_head:] - log_rank[n_head:].mean()
    middle = -(logs[..., n_head:] * x).sum(-1) / (x**2).sum()
    first, second = _pairs(n_head)
    fall = (logs[..., first] - logs[..., second]) / (log_rank[second] - log_rank[first])
    trimmed = fall.shape[-1] // 4
    return fall.sort(-1).values[..., trimmed : fall.shape[-1] - trimmed].mean(-1), middle


@cache
def _pairs(n_head: int) -> tuple[Tensor, Tensor]:
    """Places (from 0) of the two ranks of each pair."""
    first, second = torch.triu_indices(n_head, n_head, 1)
    far = (second + 1).double() >= APART * (first + 1).double()
    return first[far], second[far]


def flatness_of(logs: Tensor, n_head: int) -> Tensor:
    """Flatness of each class, [R, 2], from log influence [R, 2 (half), 2 (class), m] in the other half's rank order.

    A ratio of the halves' mean slopes: a mean of two ratios would be thrown by whichever denominator is nearer to 0.
    """
    head, middle = slopes(logs, n_head)
    level = middle.mean(1)
    return 1 - head.mean(1) / torch.where(level.abs() < FLOOR, torch.full_like(level, FLOOR), level)


def _of(means: Tensor, order: Tensor, n_head: int) -> Tensor:
    return flatness_of(torch.gather(log_influence(means), -1, order), n_head)


def flatness(n_head: int, side: int = 0) -> Callable[[Tensor, Tensor], Tensor]:
    """Score: flatness of one class's curve (0 = rare), [R, 1]."""
    return lambda means, order: _of(means, order, n_head)[:, side, None]


def contrast(n_head: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Score: flatness of rare less that of common, [R, 1]; + = the head of rare is flatter."""

    def score(means: Tensor, order: Tensor) -> Tensor:
        both = _of(means, order, n_head)
        return both[:, :1] - both[:, 1:]

    return score


def middle_slopes(n_head: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Score: slope of the middle band of each class, halves averaged, [R, 2]."""

    def score(means: Tensor, order: Tensor) -> Tensor:
        return slopes(torch.gather(log_influence(means), -1, order), n_head)[1].mean(1)

    return score
