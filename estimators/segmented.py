"""Continuous broken lines through sorted values: least squares over a grid of knots.

Any smooth curve that bends has knots: a knot is where two straight lines meet best, and by itself no change of law.
Nothing here decides a verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

POINTS = 200
"""Log-even ranks at which a curve is fitted, before equal ones fall together."""
APART = 3
"""A second knot lies at this multiple of the first one's rank or beyond."""
EDGE = 4
"""Fitted ranks that an outer band holds at least: a line through fewer would answer for noise."""
TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class BrokenLines:
    """One continuous broken line for each of R curves.

    ``knots`` [R, k] in the unit of x, in order; ``slopes`` [R, k + 1], one a band; ``error`` [R], the residual sum of
    squares. All float64.
    """

    knots: Tensor
    slopes: Tensor
    error: Tensor


def fit(x: Tensor, y: Tensor, candidates: Tensor) -> BrokenLines:
    """Least squares over the candidate sets of knots, for many curves on the same x at once.

    Parameters
    ----------
    x : float64 [m]
    y : float64 [R, m]
    candidates : float64 [C, k]
        Sets of k knots, in the unit of `x`; the first of equally good ones is taken.

    Raises
    ------
    ValueError
        If there is no candidate.

    Notes
    -----
    A knot at c adds the hinge max(x - c, 0). Hinges are freed of the straight line first (Frisch and Waugh), which
    leaves k normal equations a candidate, of matrices that the curves share. (LAPACK's least squares would do, but its
    last digits change with where arrays happen to lie in memory, and equal runs give equal bytes.)
    """
    if len(candidates) == 0:
        raise ValueError("no candidate knots")
    line = torch.linalg.qr(torch.stack([torch.ones_like(x), x], dim=1)).Q
    places, index = torch.unique(candidates, return_inverse=True)
    hinges = (x - places[:, None]).clamp_min(0)
    free = hinges - hinges @ line @ line.T
    gram, moment = free @ free.T, free @ y.T
    shared = gram[index[:, :, None], index[:, None, :]]
    changes = torch.linalg.solve(shared, moment[index])
    chosen = (moment[index] * changes).sum(1).argmax(0)
    knots = candidates[chosen]
    change = changes[chosen, :, torch.arange(len(y))]
    unbent = y - (change[..., None] * (x - knots[..., None]).clamp_min(0)).sum(1)
    off = unbent - unbent.mean(1, keepdim=True)
    run = x - x.mean()
    slope = (off * run).sum(1, keepdim=True) / run.square().sum()
    return BrokenLines(knots, torch.cat([slope, change], dim=1).cumsum(1), (off - slope * run).square().sum(1))


def thinned_ranks(n: int) -> Tensor:
    """At most 200 log-even ranks from 1 to n, int64: sorted values crowd at high ranks and would decide alone."""
    ranks: Tensor = torch.unique(torch.logspace(0, math.log10(n), POINTS, dtype=torch.float64).round().long())
    return ranks


def candidate_ranks(ranks: Tensor, knots: int) -> Tensor:
    """Sets of `knots` ranks, int64 [C, knots]: 4 fitted ranks beyond the outer ones, a factor of 3 between two."""
    inner = ranks[EDGE - 1 : len(ranks) - EDGE + 1]
    if knots == 0:
        return ranks.new_empty(1, 0)
    if knots == 1:
        return inner[:, None]
    pairs = torch.cartesian_prod(inner, inner)
    return pairs[pairs[:, 1] >= APART * pairs[:, 0]]


def bic(error: float, points: int, knots: int) -> float:
    """Bayesian information criterion of a broken line, less what all fits to the same points share.

    A knot costs two parameters, its place and the change of slope. Sorted values are not independent, so that the
    criterion describes and does not test.
    """
    return points * math.log(max(error, TINY) / points) + (2 + 2 * knots) * math.log(points)
