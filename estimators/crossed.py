"""The error that documents and neurons make together, of a statistic of the two classes' log influences.

A statistic f of log mean influence L [2 (half), 2 (class), N] moves with documents (each holds a share of every mean)
and with neurons (each leans to a class by more than documents explain).  To first order one document moves it by the
sum over neurons of g u, with g the gradient by L and u the document's relative share; a neuron that leans to a class by
l moves it by (g_rare - g_common) l / 2, halves added.  How far neurons lean by chance is read off those of the middle
band, less what goes with their level: the head's own lean may be the effect itself, and an error that grows with the
effect could never show it.  Noise in single cells of document and neuron is in both sums, and is taken off once
(`two_sources.two_way_se`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import regimes
from .class_means import Choose, ClassSums, Score, influence_function, means_under
from .two_sources import studentised

Variances = tuple[Tensor, Tensor, Tensor]
"""Of documents, of neurons, and of single cells, each [R]."""


@dataclass(frozen=True)
class Crossed:
    """A class contrast with one output whose error has two sources; `sums` have one output too.

    ``band`` int64 [n]: neurons whose lean to a class is chance.
    """

    sums: ClassSums
    choose: Choose
    score: Score
    band: Tensor

    def under_document_swaps(self, swaps: Tensor) -> tuple[Tensor, Variances]:
        """Statistic [R] and its variances where whole documents change classes, `swaps` bool [R, D]."""
        means = means_under(self.sums, swaps)
        value, gradient, of_neurons = self._gradient(means)
        of_documents, cells = value.new_zeros(len(swaps)), value.new_zeros(len(swaps))
        for half in (0, 1):
            rows = self.sums.rows(half)
            turned, x, w = swaps[:, rows].to(value.dtype), self.sums.x[rows, :, :, 0], self.sums.weight[rows]
            slope = gradient[:, half] / means[:, half, ..., 0]
            straight = slope.flatten(1) @ x.flatten(1).T
            crossed = slope.flip(1).flatten(1) @ x.flatten(1).T
            pull = torch.where(swaps[:, rows], crossed, straight) - w * gradient[:, half].sum((1, 2))[:, None]
            of_documents += _unbiased(len(rows)) * ((pull / w.sum()) ** 2).sum(1)
            cells += _unbiased(len(rows)) * _cells(gradient[:, half], _like_totals(x, w), w, turned)
        return value, (of_documents, of_neurons, cells)

    def under_neuron_swaps(
        self,
        influence: Tensor,
        swaps: Tensor,
        prediction: regimes.Prediction | None = None,
        scale: Tensor | None = None,
    ) -> tuple[Tensor, Variances]:
        """The same where neurons change classes.

        Parameters
        ----------
        influence
            Mean influence [2 (half), 2 (class), N].
        swaps
            Bool [R, N].
        prediction
            Of leans that stay in place (`regimes.swap_neurons`).
        scale
            Of each class, [2]; None for 1.
        """
        means = regimes.swap_neurons(influence[None, ..., None], swaps, prediction, scale)
        value, gradient, of_neurons = self._gradient(means)
        scale = influence.new_ones(2) if scale is None else scale
        gradient = gradient * scale[:, None]
        gradient = torch.where(swaps[:, None, None, :], gradient.flip(2), gradient)  # back to where the documents are
        of_documents, cells = value.new_zeros(len(swaps)), value.new_zeros(len(swaps))
        for half in (0, 1):
            rows = self.sums.rows(half)
            share = _shares(self.sums, rows, influence[half]) / scale[:, None]
            pull = gradient[:, half].flatten(1) @ share.flatten(1).T
            of_documents += _unbiased(len(rows)) * (pull**2).sum(1)
            a, b = gradient[:, half, 0], gradient[:, half, 1]
            squares = a**2 @ (share[:, 0] ** 2).sum(0) + b**2 @ (share[:, 1] ** 2).sum(0)
            cells += _unbiased(len(rows)) * (squares + 2 * (a * b) @ (share[:, 0] * share[:, 1]).sum(0))
        return value, (of_documents, of_neurons, cells)

    def under_pair_swaps(self, pairs: ClassSums, document: Tensor, swaps: Tensor) -> tuple[Tensor, Variances]:
        """The same where single matched pairs change classes.

        Parameters
        ----------
        pairs
            Each matched pair as a unit of its own.
        document
            Of each pair, int64 [P].
        swaps
            Bool [R, P].

        Notes
        -----
        The variance of single cells is that of the observed documents.
        """
        value, by_pair = influence_function(pairs, swaps, self.choose, self.score)
        derivative = by_pair.new_zeros(len(swaps), self.sums.documents).index_add_(1, document, by_pair[..., 0])
        of_neurons = self._gradient(means_under(pairs, swaps))[2]
        of_documents = value.new_zeros(len(swaps))
        for half in (0, 1):
            rows = self.sums.rows(half)
            of_documents += _unbiased(len(rows)) * (derivative[:, rows] ** 2).sum(1)
        unswapped = torch.zeros(1, self.sums.documents, dtype=torch.bool)
        cells = self.under_document_swaps(unswapped)[1][2].expand(len(swaps))
        return value[:, 0], (of_documents, of_neurons, cells)

    def _gradient(self, means: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Statistic [R], its gradient by log means [R, 2, 2, N], and the variance that neurons make, [R]."""
        choice = self.choose(means)
        logs = means.clamp_min(regimes.FLOOR).log().requires_grad_(True)
        value = self.score(logs.exp(), choice)[:, 0]
        (gradient,) = torch.autograd.grad(value.sum(), logs)
        at, gradient = logs.detach()[..., 0], gradient[..., 0]
        lean, level = (at[:, :, 0] - at[:, :, 1])[..., self.band], at.mean((1, 2))[:, None, self.band]
        lean, level = lean - lean.mean(-1, keepdim=True), level - level.mean(-1, keepdim=True)
        lean = lean - level * ((lean * level).sum(-1) / (level**2).sum(-1).clamp_min(regimes.FLOOR))[..., None]
        spread = lean @ lean.transpose(1, 2) / (len(self.band) - 2)
        slope = (gradient[:, :, 0] - gradient[:, :, 1]) / 2
        return value.detach(), gradient, torch.einsum("rgn,rgh,rhn->r", slope, spread, slope)


def noise(sums: ClassSums) -> Tensor:
    """Standard deviation of log mean influence of one half over documents, [2 (class), N], halves pooled.

    What a document does to all neurons of a class alike is left out: it shifts a curve and bends none.
    """
    means = means_under(sums, torch.zeros(1, sums.documents, dtype=torch.bool))[0, ..., 0]
    variance = torch.zeros(2, means.shape[-1], dtype=means.dtype)
    for half in (0, 1):
        rows = sums.rows(half)
        variance += _unbiased(len(rows)) * (_shares(sums, rows, means[half]) ** 2).sum(0) / 2
    return variance.sqrt()


def ranked(value: Tensor, variances: Variances) -> Tensor:
    """Statistic over its error, [R]."""
    return studentised(value, *variances)


def _shares(sums: ClassSums, rows: Tensor, means: Tensor) -> Tensor:
    """By how much each document moves each log mean, what it moves all neurons by alike taken out, [d, 2, N]."""
    w = sums.weight[rows]
    share = (sums.x[rows, :, :, 0] / means.clamp_min(regimes.FLOOR) - w[:, None, None]) / w.sum()
    return share - share.mean(-1, keepdim=True)


def _unbiased(n: int) -> float:
    return n / max(n - 1, 1)


def _like_totals(x: Tensor, w: Tensor) -> Tensor:
    """Sums [d, 2, N] with each document's class scaled to what all are on average: only how neurons share stays."""
    total = x.sum(-1, keepdim=True).clamp_min(regimes.FLOOR)
    return x * (w[:, None, None] * total.sum() / (2 * w.sum())) / total


def _cells(gradient: Tensor, x: Tensor, w: Tensor, turned: Tensor) -> Tensor:
    """Sum over documents and neurons of the squared move that the cell makes, [R]; `turned` [R, d] of 0 and 1."""

    def under(straight: Tensor, crossed: Tensor) -> Tensor:
        return straight.sum(0) + turned @ (crossed - straight)

    a, b = x[:, 0], x[:, 1]
    sides = []
    for first, second, slope in ((a, b, gradient[:, 0]), (b, a, gradient[:, 1])):
        mean = under(first, second) / w.sum()
        weighted = under(w[:, None] * first, w[:, None] * second)
        square = under(first**2, second**2) - 2 * mean * weighted + mean**2 * (w**2).sum()
        sides.append((mean, weighted, square, slope / mean.clamp_min(regimes.FLOOR)))
    (mean_a, weighted_a, square_a, slope_a), (mean_b, weighted_b, square_b, slope_b) = sides
    both = (a * b).sum(0) - mean_a * weighted_b - mean_b * weighted_a + mean_a * mean_b * (w**2).sum()
    cells: Tensor = (slope_a**2 * square_a + slope_b**2 * square_b + 2 * slope_a * slope_b * both).sum(1)
    return cells / w.sum() ** 2
