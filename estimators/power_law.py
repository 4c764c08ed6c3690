"""Power laws through the upper tail of many samples at once (Clauset, Shalizi, Newman 2009, *SIAM Review* 51:661).

Where a tail begins is chosen as they choose it: at the value above which the fitted law lies nearest to the sample in
Kolmogorov's distance.  On different values the result is that of `powerlaw.Fit`.  Every value is tried, so a scan is
quadratic; it leaves a beginning as soon as its distance exceeds the best so far, and samples go side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import prange

from .compiled import compiled

FloatArray = npt.NDArray[np.float64]

FEWEST = 4
"""Values that a sample needs; tails hold at least 3 of them."""

_STRIDE = 32
"""A first round tries every so many beginnings, for a distance that cuts the second round short."""


@dataclass(frozen=True)
class Tails:
    """Power laws of R samples: density proportional to x^-``alpha`` from ``start`` on, each [R].

    ``distance``: largest gap over the tail between the law's distribution function and the sample's just below each
    value, as the library has it; below and at it where equal values make a step.  ``size``: values in the tail.
    """

    alpha: FloatArray
    start: FloatArray
    distance: FloatArray
    size: npt.NDArray[np.int64]


def tails(samples: FloatArray) -> Tails:
    """Fit a power law to the tail of each sample.

    Parameters
    ----------
    samples
        Values above 0, [R, n], in any order.

    Returns
    -------
    Tails
        The exponent is the maximum-likelihood one, 1 + m / sum log(x / start) over the m values from the start on
        (their equation 3.1).

    Raises
    ------
    ValueError
        If there are fewer than `FEWEST` values a sample, one is not above 0 or not finite, or all are equal but for the
        largest two, which begin no tail.
    """
    values = np.sort(np.asarray(samples, dtype=np.float64), axis=-1)
    if values.ndim != 2 or values.shape[1] < FEWEST:
        raise ValueError(f"samples must be [R, n] with n of at least {FEWEST}, got {list(np.shape(samples))}")
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError("a power law is for finite values above 0")
    logs = np.log(values)
    if (logs[:, 0] == logs[:, -3]).any():
        raise ValueError("a sample of equal values has no tail")
    rate, distance = np.empty((2, len(values)))
    first = np.empty(len(values), dtype=np.int64)
    _scan(logs, rate, distance, first)
    start = np.take_along_axis(values, first[:, None], axis=1)[:, 0]
    return Tails(1 + rate, start, distance, values.shape[1] - first)


def resampled(sample: FloatArray, fitted: Tails, rng: np.random.Generator) -> FloatArray:
    """Draw a sample of the same size that has the fitted tail: below its start resampled, above it from the law.

    Parameters
    ----------
    sample
        Values [n] that the law was fitted to.
    fitted
        The law, of this one sample.
    rng
        Where chance comes from.

    Notes
    -----
    Their section 4.1: how many values lie in the tail is binomial.
    """
    start, below = float(fitted.start[0]), sample[sample < fitted.start[0]]
    in_tail = rng.random(len(sample)) < int(fitted.size[0]) / len(sample)
    drawn = start * (1 - rng.random(len(sample))) ** (-1 / (float(fitted.alpha[0]) - 1))
    if not in_tail.all():
        drawn[~in_tail] = below[rng.integers(len(below), size=int((~in_tail).sum()))]
    return drawn


@compiled(parallel=True, error_model="numpy", nogil=True)
def _scan(logs: Any, rate: Any, distance: Any, first: Any) -> None:  # pragma: no cover - compiled
    samples, n = logs.shape
    for r in prange(samples):
        y = logs[r]
        above = np.empty(n + 1)
        above[n] = 0.0
        for j in range(n - 1, -1, -1):
            above[j] = above[j + 1] + y[j]
        best, at, slope = np.inf, -1, 0.0
        for stride in (_STRIDE, 1):
            # the two largest values begin no tail: a law through two points always fits
            for i in range(0, n - 2, stride):
                m = n - i
                spread = above[i] - m * y[i]
                if (i > 0 and y[i] == y[i - 1]) or spread <= 0.0:
                    continue
                a, far = m / spread, 0.0
                for j in range(i, n):
                    law = 1.0 - np.exp(-a * (y[j] - y[i]))
                    begins, ends = j == i or y[j] > y[j - 1], j == n - 1 or y[j + 1] > y[j]
                    if begins:
                        gap = abs(law - (j - i) / m)
                    elif ends:  # equal values are one step of the sample's distribution function: its upper end
                        gap = abs((j + 1 - i) / m - law)
                    else:
                        continue
                    if gap > far:
                        far = gap
                        if far > best:
                            break
                if far < best or (far == best and i < at):
                    best, at, slope = far, i, a
        rate[r], distance[r], first[r] = slope, best, at
