"""What a set of neurons has in common in weight space (`clusters.weights`, `clusters.index`, `tails.weights`)."""

from __future__ import annotations

import torch
from torch import Tensor

TAIL = (0.1, 0.3)
"""Shares of the largest eigenvalues between which the Hill estimate is taken."""
LIGHTEST = 100.0
"""Largest Hill exponent that is told apart from no tail at all."""


def unit_rows(weights: Tensor) -> Tensor:
    """Rows of [N, d] at length 1 (zero rows stay 0), float64."""
    w = weights.double()
    norm = w.norm(dim=1, keepdim=True)
    return w / torch.where(norm > 0, norm, torch.ones_like(norm))


def mean_cosine(unit: Tensor, sets: Tensor) -> Tensor:
    """Mean cosine of all pairs within each set, [R]; `unit` [N, d] has unit rows, `sets` is int64 [R, n].

    By |sum of unit vectors|^2 = n + sum over pairs.
    """
    n = sets.shape[1]
    return (unit[sets].sum(1).square().sum(-1) - n) / (n * (n - 1))


def spectrum(unit: Tensor, sets: Tensor) -> Tensor:
    """Eigenvalues of each set's Gram matrix, largest first, [R, n]; unit rows have a mean of 1."""
    rows = unit[sets]
    values: Tensor = torch.linalg.eigvalsh(rows @ rows.transpose(1, 2)).flip(-1).clamp_min(1e-12)
    return values


def hill_alpha(unit: Tensor, sets: Tensor) -> Tensor:
    """Hill tail exponent of the eigenvalues of each set's Gram matrix, [R]: median over the top 10-30 %.

    Hill (1975): 1 / alpha_k = mean over the k largest of log(lambda_i / lambda_{k+1}); smaller alpha = heavier tail.
    Equal eigenvalues (orthogonal rows) have no tail at all: no exponent counts as more than `LIGHTEST`.
    """
    values = spectrum(unit, sets)
    n = values.shape[1]
    low, high = max(2, round(TAIL[0] * n)), max(3, round(TAIL[1] * n))
    logs = values.log()
    k = torch.arange(low, min(high, n - 1) + 1)
    mean_log = torch.cumsum(logs, -1)[:, k - 1] / k
    alpha = 1.0 / (mean_log - logs[:, k]).clamp_min(1 / LIGHTEST)
    median: Tensor = alpha.sort(-1).values[:, (len(k) - 1) // 2]
    return median


def nearest_index_gap(sets: Tensor, neurons: int) -> Tensor:
    """Log ratio of the expected to the mean gap to the nearest index of the same set, [R]; + = neighbours lie close.

    The expectation for n uniform points on N places is taken as (N + 1) / (2 n + 2) up to ends; only its constancy
    over draws matters.
    """
    ordered = sets.sort(1).values.double()
    gaps = ordered.diff(dim=1)
    edge = torch.full((len(sets), 1), torch.inf, dtype=torch.float64)
    nearest = torch.minimum(torch.cat([edge, gaps], 1), torch.cat([gaps, edge], 1))
    expected = (neurons + 1) / (2 * sets.shape[1] + 2)
    return (expected / nearest.mean(1)).log()
