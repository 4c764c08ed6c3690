"""Standard errors and intervals over documents (docs/methods.md#intervals)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.stats

from ..numbers import plain_number

FloatArray = npt.NDArray[np.float64]

FEWEST_DOCUMENTS = 50
"""Documents below which interval coverage was not shown."""
MOST_SKEWED = 1 / FEWEST_DOCUMENTS**0.5
"""Absolute skewness of an estimate above which equivalence is not granted: what contrasts of skewness 1 give the mean
of `FEWEST_DOCUMENTS` documents, the worst case of which coverage is asked (docs/methods.md#intervals)."""


MOST_OF_ONE = 0.25
"""Share of an estimate's variance that one document may make before equivalence is withheld: where one document in
fifty is of another kind, the jackknife knows its weight only from the few that happen to be there."""


@dataclass(frozen=True)
class Interval:
    """Estimate with its standard error and t-interval; `level` is the two-sided coverage it aims at."""

    estimate: float
    se: float
    df: float
    level: float
    low: float
    high: float


def jackknife_se(leave_one_out: FloatArray, half: npt.NDArray[np.int64]) -> float:
    """Delete-one-document standard error of a two-half estimate.

    Parameters
    ----------
    leave_one_out : [D]
        The estimate, halves averaged, without each document in turn (selections fixed).
    half : int [D]

    Notes
    -----
    SE^2 = sum over halves h of (D_h - 1) / D_h sum_{d in h} (theta_(-d) - mean over h)^2 (docs/methods.md#intervals):
    each half is a stratum of its own.
    """
    total = 0.0
    for side in (0, 1):
        theta = np.asarray(leave_one_out)[np.asarray(half) == side]
        if len(theta) < 2:
            raise ValueError(f"half {side} has {len(theta)} documents, a jackknife needs two")
        total += (len(theta) - 1) / len(theta) * float(((theta - theta.mean()) ** 2).sum())
    return float(np.sqrt(total))


def pseudo_values(estimate: float, leave_one_out: FloatArray) -> FloatArray:
    """Jackknife pseudo-values D theta - (D - 1) theta_(-d), [D] (Tukey 1958): each document's contrast."""
    n = len(leave_one_out)
    return n * estimate - (n - 1) * np.asarray(leave_one_out, dtype=np.float64)


def t_interval(estimate: float, se: float, df: float, level: float) -> Interval:
    """Estimate +- t(df) se; df = inf gives the normal interval."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    reach = _t_quantile((1 + level) / 2, df) * se
    return Interval(estimate, se, df, level, estimate - reach, estimate + reach)


def quadratic_interval(estimate: float, se: float, in_pairs: float, df: float, level: float) -> Interval:
    """Interval of an estimate of something not below 0, quadratic in what documents add up to.

    Parameters
    ----------
    se
        Delete-one standard error.
    in_pairs
        Variance that documents make only two at a time (`estimators.class_means.second_order`).

    Notes
    -----
    Near 0 such an estimate's variance is in_pairs alone, of which se^2 holds twice as much (Efron, Stein 1981), and it
    grows in proportion to the true value.  The interval holds each x with (estimate - x)^2 <= t^2 variance(x): the
    variance is that at the value asked about (Wilson 1927).  With se in place of it, estimate and error rise together,
    and 99.9 % of nominal 95 % intervals covered.  The growth per unit is read off at the estimate, or where noise
    alone would still reach: closer to 0 it would be noise over noise, and the upper end without bound.
    """
    t = _t_quantile((1 + level) / 2, df)
    alone = t * np.sqrt(in_pairs)
    reached = max(estimate, alone)
    if reached <= 0:
        return t_interval(estimate, se, df, level)
    bend = t**2 * max(se**2 - 2 * in_pairs, 0.0) / reached / 2
    low, high = estimate - alone, estimate + alone  # where the variance is that at 0
    inside = bend**2 + 2 * bend * estimate + alone**2
    if inside >= 0:
        high = max(high, estimate + bend + np.sqrt(inside))
    if low > 0:  # the ends' product is estimate^2 - alone^2: no difference that cancels
        low = (estimate**2 - alone**2) / high
    return Interval(estimate, se, df, level, float(low), float(high))


def equivalence_p(estimate: float, se: float, df: float, margin: float, two_sided: bool) -> float:
    """Smallest alpha at which the 1 - 2 alpha interval lies inside the margin (one-sided: below +margin).

    The two one-sided tests of Schuirmann (1987); for one side a single t-test against the margin.
    """
    if se == 0:
        inside = estimate < margin and (not two_sided or estimate > -margin)
        return 0.0 if inside else 1.0
    upper = float(scipy.stats.t.sf((margin - estimate) / se, df))
    lower = float(scipy.stats.t.sf((estimate + margin) / se, df)) if two_sided else 0.0
    return max(upper, lower)


def beyond_p(estimate: float, se: float, df: float, margin: float, two_sided: bool) -> float:
    """Smallest alpha at which the 1 - 2 alpha interval lies beyond the margin (one-sided: above +margin)."""
    away = abs(estimate) if two_sided else estimate
    if se == 0:
        return 0.0 if away >= margin else 1.0
    return float(scipy.stats.t.sf((away - margin) / se, df))


def minimal_detectable_effect(se: float, alpha: float, rows: int) -> float:
    """Effect that is found with probability .8: (z_{1 - alpha / k} + z_{.8}) se."""
    return float(scipy.stats.norm.ppf(1 - alpha / rows) + scipy.stats.norm.ppf(0.8)) * se


def effect_decided_on(se: float, alpha: float, rows: int, margin: float, absence: bool) -> float:
    """Effect that a verdict says is there with probability .8.

    An absence is refuted by a whole interval beyond the margin: the margin and `minimal_detectable_effect`.  A presence
    is supported by an effect that is found and an estimate that reaches the margin: the larger of what each needs.
    """
    found = minimal_detectable_effect(se, alpha, rows)
    return margin + found if absence else max(found, margin + float(scipy.stats.norm.ppf(0.8)) * se)


def smallest_supportable_margin(se: float, alpha: float) -> float:
    """Margin that a true effect of 0 would be shown to lie within, with probability .8: (z_{1 - alpha} + z_{.8}) se."""
    return float(scipy.stats.norm.ppf(1 - alpha) + scipy.stats.norm.ppf(0.8)) * se


def estimate_skewness(contrasts: FloatArray, share: float) -> float:
    """Skewness of an estimate of which documents make a part of the error.

    Parameters
    ----------
    contrasts : [D]
        Each document's contrast.
    share
        Standard error that the documents make, over the whole one.

    Notes
    -----
    Third cumulants of independent parts add up, and that of a mean of D is the contrasts' over D^2; with the rest of
    the error symmetric, the estimate's skewness is skew(contrasts) / sqrt(D) x share^3 (Hall 1992, *The Bootstrap and
    Edgeworth Expansion*, section 2.4: to first order it is what bends a t-interval's coverage).
    """
    if len(contrasts) < 3 or np.ptp(contrasts) == 0:
        return 0.0
    skewness = float(scipy.stats.skew(contrasts))
    return float(skewness / np.sqrt(len(contrasts)) * share**3)


def largest_share(contrasts: FloatArray, share: float) -> float:
    """Share of an estimate's variance that the document furthest from the mean makes; arguments as above."""
    away = (np.asarray(contrasts, dtype=np.float64) - np.mean(contrasts)) ** 2
    total = float(away.sum())
    return float(away.max()) / total * share**2 if total > 0 else 0.0


def coverage_warning(documents: int, contrasts: FloatArray | None, share: float = 1.0) -> str:
    """Why the interval's coverage was not shown for data like these, or an empty string.

    Contrasts and share are those of `estimate_skewness`.
    """
    if documents < FEWEST_DOCUMENTS:
        return f"{documents} documents are fewer than the {FEWEST_DOCUMENTS} for which interval coverage was shown"
    if contrasts is None:
        return ""
    one = largest_share(contrasts, share)
    if one > MOST_OF_ONE:
        return f"one document makes {100 * one:.0f} % of the estimate's variance, more than {100 * MOST_OF_ONE:g} %"
    skewness = estimate_skewness(contrasts, share)
    if abs(skewness) > MOST_SKEWED:
        by, most = plain_number(skewness, 2, sign=True), plain_number(MOST_SKEWED, 2)
        return f"skewed document contrasts skew the estimate by {by}, beyond the {most} of shown coverage"
    return ""


def _t_quantile(q: float, df: float) -> float:
    return float(scipy.stats.norm.ppf(q) if np.isinf(df) else scipy.stats.t.ppf(q, df))
