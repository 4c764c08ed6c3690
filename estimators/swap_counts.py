"""How often a swap of the classes moves each neuron's difference as far as it was observed: thousands of swaps of all.

A swap turns the sign of a document's gap between the classes, so the difference under a swap is the observed one less
twice the sum of the gaps that were turned, and it reaches the observed one exactly when that sum is not above 0. The
sums are those of the method of the four Russians (Arlazarov, Dinic, Kronrod, Faradzev 1970): documents go in groups of
eight, the 256 possible sums of each group are tabulated for eight neurons at a time, which fits a core's cache, and a
swap costs one look-up and addition a group. Sums are compared where they are made; nothing of the size of swaps times
neurons is ever written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from .class_means import ClassSums
from .compiled import compiled

TIE = 1e-9
"""A difference this near to the observed one, relative to the largest any swap could make, counts as reaching it."""

_BITS = 8
"""Documents in a group: their swaps are one byte."""

_SUMS = 1 << _BITS
_LANES = 8
"""Neurons at a time. With 200 documents their tables are 0.4 MB."""


def class_gaps(sums: ClassSums) -> Tensor:
    """Return what each document adds to the difference of the class means, rare less common, float64 [D, G * K].

    The difference is of each half's means, added over the two halves.
    """
    total = torch.stack([sums.weight[sums.half == half].sum() for half in (0, 1)])
    return (sums.x[:, 0] - sums.x[:, 1]).flatten(1) / total[sums.half][:, None]


def swap_counts(gaps: Tensor, swaps: Tensor) -> Tensor:
    """Count the swaps under which the sum of the gaps is as high, and as low, as without any swap, int64 [2, N].

    Parameters
    ----------
    gaps
        What each document adds to each neuron's difference of the classes, [D, N]; see `class_gaps`.
    swaps
        Which documents' classes change places, bool [R, D].

    Returns
    -------
    Tensor
        Row 0: how many of the R differences are at least the observed one; row 1: at most. A tie counts in both.

    Raises
    ------
    ValueError
        If the shapes do not belong together, or a gap is not finite.

    Notes
    -----
    Rounding is far below `TIE`, so that neither the order of adding nor the number of threads decides a tie.
    """
    if gaps.ndim != 2 or swaps.ndim != 2 or swaps.shape[1] != len(gaps) or swaps.dtype != torch.bool:
        raise ValueError(f"gaps [D, N] and bool swaps [R, D] are needed, got {tuple(gaps.shape)}, {tuple(swaps.shape)}")
    values = gaps.detach().cpu().double().contiguous().numpy()
    if not np.isfinite(values).all():
        raise ValueError("a gap is not finite")
    codes = np.packbits(swaps.cpu().numpy(), axis=1, bitorder="little")
    # a difference is off by twice what the turned gaps' sum is off by
    slack = TIE / 2 * np.abs(values).sum(0)
    counts = np.empty((2, values.shape[1]), dtype=np.int64)
    _compiled_counts(values, codes, slack, counts)
    return torch.from_numpy(counts)


# a neuron's sums are added by one thread in one order, whatever the number of threads
@compiled(parallel=True, error_model="numpy", nogil=True)
def _compiled_counts(gaps: Any, codes: Any, slack: Any, counts: Any) -> None:  # pragma: no cover - compiled
    documents, neurons = gaps.shape
    groups = codes.shape[1]
    for block in prange((neurons + _LANES - 1) // _LANES):
        first = block * _LANES
        width = min(_LANES, neurons - first)
        table = np.zeros((groups * _SUMS, _LANES))
        for d in range(documents):
            start, size = d // _BITS * _SUMS, 1 << d % _BITS
            for code in range(start, start + size):  # with this document turned, and without
                for lane in range(width):
                    table[code + size, lane] = table[code, lane] + gaps[d, first + lane]
        limit = np.zeros(_LANES)
        limit[:width] = slack[first : first + width]
        total = np.empty(_LANES)
        high, low = np.zeros(_LANES, dtype=np.int64), np.zeros(_LANES, dtype=np.int64)
        for r in range(codes.shape[0]):
            for lane in range(_LANES):
                total[lane] = 0.0
            for group in range(groups):
                row = group * _SUMS + np.int64(codes[r, group])
                for lane in range(_LANES):
                    total[lane] += table[row, lane]
            for lane in range(_LANES):
                high[lane] += total[lane] <= limit[lane]
                low[lane] += total[lane] >= -limit[lane]
        counts[0, first : first + width] = high[:width]
        counts[1, first : first + width] = low[:width]
