"""Monte-Carlo and exact permutation p-values.  No model, no data: numbers in, numbers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Alternative: TypeAlias = Literal["greater", "less", "two-sided"]
FloatArray: TypeAlias = npt.NDArray[np.float64]

TIE = 1e-9
"""Null values this near to the observed one, relative to the largest of them all, count as ties: against the claim."""


@dataclass(frozen=True)
class PermutationP:
    """A p-value and its 95 % Clopper-Pearson interval over the draws (equal to it after enumeration)."""

    value: float
    low: float
    high: float
    replicates: int
    exact: bool = False


def permutation_p(
    observed: float, null: FloatArray, alternative: Alternative = "greater", exact: bool = False
) -> PermutationP:
    """P-value of `observed` among `null` draws.

    Parameters
    ----------
    observed
        The statistic of the data.
    null : [B]
        The statistic of the null draws; for ``exact=True`` of *all* elements of the group, the observed one included.
    alternative
        ``greater``: large values are evidence.  Two-sided p is min(1, 2 min(p+, p-)).

    Raises
    ------
    ValueError
        If a value is not finite or there are no draws.

    Notes
    -----
    (1 + b) / (1 + B) is never 0 and valid at every B (Phipson, Smyth 2010).
    """
    null = np.asarray(null, dtype=np.float64)
    if null.ndim != 1 or len(null) == 0:
        raise ValueError(f"null draws must be a non-empty vector, got shape {null.shape}")
    if not np.isfinite(observed) or not np.isfinite(null).all():
        raise ValueError("the statistic is not finite on the observed data or on a null draw")
    if alternative == "two-sided":
        sides = [permutation_p(observed, null, side, exact) for side in ("greater", "less")]
        smaller = min(sides, key=lambda p: p.value)
        doubled = [min(1.0, 2 * x) for x in (smaller.value, smaller.low, smaller.high)]
        return PermutationP(doubled[0], doubled[1], doubled[2], len(null), exact)
    slack = TIE * max(abs(observed), float(np.abs(null).max()))
    beyond = null >= observed - slack if alternative == "greater" else null <= observed + slack
    count = int(beyond.sum())
    if exact:
        p = count / len(null)
        return PermutationP(p, p, p, len(null), True)
    low, high = clopper_pearson(count, len(null))
    return PermutationP((1 + count) / (1 + len(null)), low, high, len(null))


def p_of_counts(
    high: npt.NDArray[np.int64], low: npt.NDArray[np.int64], replicates: int, alternative: Alternative = "greater"
) -> FloatArray:
    """P-values of many statistics from how many of their null draws are at least, and at most, the observed one.

    The same as `permutation_p` gives one by one, [K]; ties are in both counts.
    """
    above, below = (1 + high) / (1 + replicates), (1 + low) / (1 + replicates)
    if alternative == "two-sided":
        both: FloatArray = np.minimum(1.0, 2 * np.minimum(above, below))
        return both
    one: FloatArray = below if alternative == "less" else above
    return one


def clopper_pearson(count: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Clopper-Pearson interval of a proportion (statsmodels' ``beta`` method)."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(count, trials, alpha=1 - level, method="beta")
    return (0.0 if np.isnan(low) else float(low)), (1.0 if np.isnan(high) else float(high))


def enough_replicates(replicates: int, alpha: float, rows: int) -> int | None:
    """Smallest number of replicates that could reject after Holm over `rows`, if `replicates` is too few; else None.

    With B draws no p is below 1 / (1 + B), so a family of k rows needs k / (1 + B) < alpha.
    """
    if rows / (1 + replicates) < alpha:
        return None
    return int(np.floor(rows / alpha + 1e-9))


def max_t(observed: FloatArray, null: FloatArray) -> FloatArray:
    """Step-down maxT adjusted p-values, [K] (Westfall, Young 1993, algorithm 4.1).

    Parameters
    ----------
    observed : [K]
    null : [B, K]
        Joint draws: row b is one replicate of all K statistics.
    """
    observed, null = np.asarray(observed, dtype=np.float64), np.asarray(null, dtype=np.float64)
    if null.ndim != 2 or null.shape[1] != len(observed):
        raise ValueError(f"null draws must be [B, {len(observed)}], got {null.shape}")
    order = np.argsort(-observed, kind="stable")
    successive = np.maximum.accumulate(null[:, order[::-1]], axis=1)[:, ::-1]
    slack = TIE * max(float(np.abs(observed).max()), float(np.abs(null).max()))
    p = (1 + (successive >= observed[order] - slack).sum(0)) / (1 + len(null))
    adjusted: FloatArray = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p)
    return adjusted


def sign_flips(n: int) -> npt.NDArray[np.bool_]:
    """All 2^n sign patterns, bool [2^n, n]; the first is the identity.

    Raises
    ------
    ValueError
        If n is above 16.
    """
    if n > 16:
        raise ValueError(f"{n} items have 2^{n} sign patterns, too many to enumerate; draw them instead")
    return (np.arange(2**n)[:, None] >> np.arange(n)[None, :] & 1).astype(bool)


def besag_clifford(draws: FloatArray, observed: float, hits: int) -> tuple[float, int]:
    """Sequential Monte-Carlo p (Besag, Clifford 1991): stop at the `hits`-th draw at or above `observed`.

    Returns
    -------
    p, draws used; p = hits / used when stopped early, else (1 + b) / (1 + B).
    """
    if hits < 1:
        raise ValueError(f"hits must be at least 1, got {hits}")
    draws = np.asarray(draws, dtype=np.float64)
    slack = TIE * max(abs(observed), float(np.abs(draws).max()))
    reached = np.cumsum(draws >= observed - slack)
    stop = np.flatnonzero(reached >= hits)
    if len(stop):
        used = int(stop[0]) + 1
        return hits / used, used
    return (1 + int(reached[-1])) / (1 + len(reached)), len(reached)
