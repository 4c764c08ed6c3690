"""Means of the two classes over documents, under swaps of the classes, and how each document moves a statistic of them.

Everything that compares rare with common is a function of per-document sums ``x`` [D, 2, G, K] (class 0 = rare,
1 = common; G features for each of K outputs) divided by ``weight`` [D].  Swapping the classes of a document exchanges
its two rows, so thousands of swaps are a matrix product; the observed data are the swap that swaps nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Choose: TypeAlias = Callable[[Tensor], Any]
"""means [R, 2 (half), 2 (class), G, K] -> whatever was chosen (ranks, sets), one row per replicate."""
Score: TypeAlias = Callable[[Tensor, Any], Tensor]
"""(means [R, 2, 2, G, K], choice) -> [R, K], differentiable in the means."""


@dataclass(frozen=True)
class ClassSums:
    """Per-document sums of the two classes.

    ``x`` float64 [D, 2, G, K]; ``weight`` float64 [D] (pairs in the document, or 1); ``half`` int64 [D] in {0, 1}.
    """

    x: Tensor
    weight: Tensor
    half: Tensor

    def __post_init__(self) -> None:
        if self.x.ndim != 4 or self.x.shape[1] != 2 or self.x.shape[0] != len(self.weight):
            raise ValueError(f"x must be [D, 2, G, K] with one weight a document, got {tuple(self.x.shape)}")
        if not {0, 1} <= set(self.half.tolist()):
            raise ValueError("both halves need at least one document")

    @property
    def documents(self) -> int:
        """Documents, D."""
        return int(self.x.shape[0])

    def of_features(self, feature: int) -> ClassSums:
        """The sums of one feature, with what were outputs as the features of a single output."""
        return ClassSums(self.x[:, :, feature, :, None].contiguous(), self.weight, self.half)

    def rows(self, half: int) -> Tensor:
        """Documents of a half."""
        return torch.nonzero(self.half == half)[:, 0]


def absolute_sums(
    values: Tensor, rare: npt.NDArray[np.int64], common: npt.NDArray[np.int64], document: npt.NDArray[np.int64], d: int
) -> Tensor:
    """Sums of abs(values) over the matched positions of each document and class, float64 [d, 2, N, 1].

    Parameters
    ----------
    values : [T, N]
    rare, common : int64 [P]
        Rows of the two positions of each matched pair.
    document : int64 [P]
        Its document, 0 to d - 1; documents without a pair have sums of 0.
    """
    out = torch.zeros(d, 2, values.shape[1], dtype=torch.float64)
    for side, rows in enumerate((rare, common)):
        for place in range(d):
            out[place, side] = values[rows[document == place]].double().abs().sum(0)
    return out[..., None]


def means_under(sums: ClassSums, swaps: Tensor) -> Tensor:
    """Class means of each half under each swap, [R, 2 (half), 2 (class), G, K].

    Parameters
    ----------
    swaps : bool [R, D]
        True = the two classes of the document change places.
    """
    out = sums.x.new_empty((len(swaps), 2, 2, *sums.x.shape[2:]))
    for half in (0, 1):
        rows = sums.rows(half)
        x = sums.x[rows] / sums.weight[rows].sum()
        rare, common = out[:, half, 0].flatten(1), out[:, half, 1].flatten(1)
        # written in place: with thousands of swaps the copies of a stack cost several times the product itself
        torch.addmm(x[:, 0].sum(0).flatten(), swaps[:, rows].to(x.dtype), (x[:, 1] - x[:, 0]).flatten(1), out=rare)
        torch.sub(x.sum((0, 1)).flatten(), rare, out=common)
    return out


def scored(means: Tensor, choose: Choose, score: Score) -> Tensor:
    """Statistic [R, K] of given means, choices made anew in each replicate."""
    return score(means, choose(means))


def influence_function(sums: ClassSums, swaps: Tensor, choose: Choose, score: Score) -> tuple[Tensor, Tensor]:
    """Statistic [R, K] and its derivative by each document's weight [R, D, K], choices fixed at each replicate's own.

    ``documents x derivative + statistic`` are the infinitesimal-jackknife pseudo-values (Efron, Tibshirani 1993,
    section 11.5 and chapter 22); they agree with delete-one pseudo-values to first order and cost a matrix product.
    """
    means = means_under(sums, swaps)
    choice = choose(means)
    leaf = means.detach().requires_grad_(True)
    value = score(leaf, choice)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    derivative = torch.zeros(len(swaps), sums.documents, value.shape[1], dtype=means.dtype)
    for half in (0, 1):
        rows = sums.rows(half)
        x, total, weight = sums.x[rows], sums.weight[rows].sum(), sums.weight[rows]
        slope = gradient[:, half]
        straight = _along(slope[:, 0], x[:, 0]) + _along(slope[:, 1], x[:, 1])
        crossed = _along(slope[:, 0], x[:, 1]) + _along(slope[:, 1], x[:, 0])
        centre = (slope * means[:, half]).sum(dim=(1, 2))
        pulled = torch.where(swaps[:, rows, None], crossed, straight) - weight[None, :, None] * centre[:, None, :]
        derivative[:, rows] = pulled / total
    return value.detach(), derivative


def _along(slope: Tensor, x: Tensor) -> Tensor:
    """Sum over features of slope [R, G, K] times x [d, G, K] -> [R, d, K]."""
    if slope.shape[2] == 1:
        return (slope[:, :, 0] @ x[:, :, 0].T)[:, :, None]
    return torch.einsum("rgk,dgk->rdk", slope, x)


def studentised(value: Tensor, derivative: Tensor) -> Tensor:
    """Sum of pseudo-values over the root of their sum of squares, [R, K].

    With y_d = value + D * derivative_d (whose derivatives sum to 0),
    sum y / sqrt(sum y^2) = value / sqrt(value^2 / D + sum derivative^2).
    """
    spread = (value**2 / derivative.shape[1] + (derivative**2).sum(1)).sqrt()
    return torch.where(spread > 0, value / spread.clamp_min(torch.finfo(value.dtype).tiny), torch.zeros_like(value))


def leave_one_out(sums: ClassSums, choose: Choose, score: Score, tile: int = 32) -> Tensor:
    """Statistic without each document in turn, choices fixed at those of all documents, [D, K]."""
    observed = torch.zeros(1, sums.documents, dtype=torch.bool)
    means = means_under(sums, observed)
    choice = choose(means)
    out = []
    for start in range(0, sums.documents, tile):
        rows = torch.arange(start, min(start + tile, sums.documents))
        without = means.repeat(len(rows), 1, 1, 1, 1)
        for place, d in enumerate(rows.tolist()):
            half = int(sums.half[d])
            total, weight = sums.weight[sums.half == half].sum(), sums.weight[d]
            without[place, half] = (means[0, half] * total - sums.x[d]) / (total - weight)
        out.append(score(without, repeat_choice(choice, len(rows))))
    return torch.cat(out)


def second_order(sums: ClassSums, choose: Choose, score: Score) -> Tensor:
    """Variance of a cross-half statistic that documents make only two at a time, [K].

    Notes
    -----
    The sum, over pairs of a document i of one half and j of the other, of the squared second difference
    theta - theta_(-i) - theta_(-j) + theta_(-i,-j), times (D_h - 1) / D_h for each half as in the jackknife (Efron,
    Stein 1981: the delete-one jackknife counts this part of the variance twice; of a product of the two halves no other
    pairs have any).  Choices are those of all documents.
    """
    without = leave_one_out(sums, choose, score)
    means = means_under(sums, torch.zeros(1, sums.documents, dtype=torch.bool))
    choice = choose(means)
    theta = score(means, choice)[0]
    rows = sums.rows(0), sums.rows(1)
    left = [_means_without(sums, r) for r in rows]
    total = torch.zeros_like(theta)
    for place, i in enumerate(rows[0].tolist()):
        both = torch.stack([left[0][place].expand_as(left[1]), left[1]], 1)
        of_pairs = score(both, repeat_choice(choice, len(both)))
        total += (of_pairs - without[i] - without[rows[1]] + theta).square().sum(0)
    of_halves = [(len(r) - 1) / len(r) for r in rows]
    return total * of_halves[0] * of_halves[1]


def _means_without(sums: ClassSums, rows: Tensor) -> Tensor:
    """Class means of a half, whose documents are `rows`, without each of them, [D_half, 2, G, K]."""
    x, weight = sums.x[rows], sums.weight[rows]
    return (x.sum(0) - x) / (weight.sum() - weight)[:, None, None, None]


def repeat_choice(choice: Any, rows: int) -> Any:
    """One replicate's choice, repeated for `rows` replicates."""
    if choice is None:
        return None
    if isinstance(choice, tuple):
        return tuple(repeat_choice(part, rows) for part in choice)
    return choice.expand(rows, *choice.shape[1:])
