"""The tightest module inside a set of neurons, found by growing one around every neuron (`clusters.core`).

A partition of the whole set is blind to a small tight group among many loose neurons: what it gains inside the group is
spread over all pairs.  Here one group is sought, and nothing is asked of the rest.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SMALLEST = 5
SHARE = 0.15
"""Neurons of the smallest module that is sought: so many, or this share of the set where that is more."""
COPIES = 0.999
"""Absolute correlation beyond which two neurons are one: their correlation counts as 0."""


def smallest_module(n: int) -> int:
    """Neurons that a module of a set of n has at least."""
    return min(n - 1, max(SMALLEST, math.ceil(SHARE * n)))


def without_copies(r: Tensor) -> Tensor:
    """Correlations [..., n, n] with 0 on the diagonal and between neurons that are copies of each other."""
    off = r.masked_fill(torch.eye(r.shape[-1], dtype=torch.bool), 0.0)
    return off.masked_fill(off.abs() > COPIES, 0.0)


def separation(r: Tensor, module: Tensor) -> Tensor:
    """Mean correlation within a module less that between it and the rest of its set, [...].

    Parameters
    ----------
    r : [..., n, n]
        Correlations.
    module : bool [..., n]
        At least two and at most n - 1 neurons.
    """
    r, member = without_copies(r), module.to(r.dtype)
    size = member.sum(-1)
    to_module = (r @ member[..., None])[..., 0]
    within = (to_module * member).sum(-1) / (size * (size - 1))
    between = (to_module * (1 - member)).sum(-1) / (size * (r.shape[-1] - size))
    return within - between


def best_module(r: Tensor) -> Tensor:
    """Module of at least `smallest_module` neurons with the largest `separation`, bool [R, n].

    Parameters
    ----------
    r : [R, n, n]
        Correlations, n at least 3.

    Notes
    -----
    From each neuron a module grows by the neuron that correlates most with it on average, up to half the set, and the
    best of all sizes and starts is taken: n^2 / 2 candidates, greedy and deterministic, ties to the lower index.
    """
    r = without_copies(r)
    draws, n, _ = r.shape
    least = smallest_module(n)
    most = max(least, n // 2)
    member = torch.eye(n, dtype=r.dtype).expand(draws, n, n).clone()  # [R, start, neuron]
    to_module, degree = r.clone(), r.sum(-1)  # to_module [R, start, neuron]: r is symmetric
    inside, total = r.new_zeros(draws, n), degree.clone()
    best, found = torch.full((draws, n), -torch.inf, dtype=r.dtype), member.bool()
    for size in range(2, most + 1):
        joins = to_module.masked_fill(member.bool(), -torch.inf).argmax(-1)
        inside += to_module.gather(-1, joins[..., None])[..., 0]
        total += degree.gather(-1, joins)
        member.scatter_(-1, joins[..., None], 1.0)
        to_module += r.gather(1, joins[..., None].expand(-1, -1, n))
        if size >= least:
            value = 2 * inside / (size * (size - 1)) - (total - 2 * inside) / (size * (n - size))
            better = value > best
            best = torch.where(better, value, best)
            found = torch.where(better[..., None], member.bool(), found)
    start = best.argmax(-1)
    return found.gather(1, start[:, None, None].expand(-1, 1, n))[:, 0]
