"""Random-effects summary of one hypothesis over models nested in families (docs/methods.md#several-models)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..hypotheses.result import Finding
from .reasons import of_heads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST_MODELS = 4
FEWEST_FAMILIES = 3
"""Of which a scatter can be told, if badly."""


@dataclass(frozen=True)
class Summary:
    """Mean effect over models.

    Attributes
    ----------
    estimate, low, high
        Mean effect and its 95 % interval.
    within, between
        Standard deviation of the true effects between models of a family, and between families.
    predicted_low, predicted_high
        95 % interval for the effect in one model of a further family; None under four families.
    models, families
        How many there are.
    """

    estimate: float
    low: float
    high: float
    within: float
    between: float
    predicted_low: float | None
    predicted_high: float | None
    models: int
    families: int


def family(model: str) -> str:
    """Family of a model: the letters with which the last part of its id begins ("EleutherAI/pythia-70m": pythia)."""
    found = re.match(r"[a-z]+", model.rstrip("/").split("/")[-1].lower())
    return found[0] if found else model


def why_not(findings: Sequence[Finding], hashes: Sequence[str]) -> str:
    """Reason for which these rows cannot be averaged; empty where they can."""
    outputs = next((f.details.per_output for f in findings if len(f.details.per_output) > 1), [])
    if outputs:
        which = "head" if of_heads(outputs) else "output"
        return f"its row tells the {which} that came out highest, another one in each model"
    if len(findings) < 2:
        return "only one run has an estimate"
    if len(set(hashes)) < len(hashes):
        return "two of the runs are of the same model, so they are not independent"
    for field, what in (("unit", "units"), ("set_rule", "sets under test"), ("estimator", "estimators")):
        if len({getattr(f, field) for f in findings}) > 1:
            return f"the {what} differ"
    if any(not f.details.se or f.estimate is None for f in findings):
        return "a run has no standard error"
    families = {family(f.model) for f in findings}
    if len(findings) < FEWEST_MODELS or len(families) < FEWEST_FAMILIES:
        return (
            f"{len(findings)} models of {len(families)} families, and under {FEWEST_MODELS} models or "
            f"{FEWEST_FAMILIES} families nobody knows how much they scatter"
        )
    return ""


def reml(effect: NDArray[np.float64], variance: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
    """Variances between models of a family and between families, by restricted maximum likelihood.

    Where no family has two models the two cannot be told apart, and all of it is between families.

    Parameters
    ----------
    effect, variance : [k]
        Estimates and the squares of their standard errors, which are taken as known.
    groups : int [k]
        Family of each.

    Notes
    -----
    Effects are a mean, a normal part per family, one per model, and the estimate's error; the restricted likelihood is
    that of Harville (1977), maximised over both variances from several starts.
    """
    from scipy.optimize import minimize

    scale = float(variance.mean() + effect.var())
    several = len(set(groups.tolist())) < len(groups)

    def loss(of_scale: NDArray[np.float64]) -> float:
        within, between = scale * of_scale
        return -restricted(effect, covariance(variance, groups, within if several else 0.0, between))

    starts = [(0.1, 0.1), (1.0, 0.0), (0.0, 1.0)]
    best = min((minimize(loss, start, bounds=[(0, None)] * 2) for start in starts), key=lambda found: float(found.fun))
    within, between = (scale * best.x).tolist()
    return (within if several else 0.0), between


def covariance(
    variance: NDArray[np.float64], groups: NDArray[np.int64], within: float, between: float
) -> NDArray[np.float64]:
    """Covariance of the estimates, [k, k]."""
    import numpy as np

    out: NDArray[np.float64] = np.diag(variance + within) + between * (groups[:, None] == groups)
    return out


def restricted(effect: NDArray[np.float64], cov: NDArray[np.float64]) -> float:
    """Logarithm of the restricted likelihood, up to a constant."""
    import numpy as np

    mean, precision = weighted_mean(effect, cov)
    left = effect - mean
    value = np.linalg.slogdet(cov)[1] + math.log(precision) + left @ np.linalg.solve(cov, left)
    return -0.5 * float(value)


def weighted_mean(effect: NDArray[np.float64], cov: NDArray[np.float64]) -> tuple[float, float]:
    """Generalised least squares mean of the estimates, and its precision."""
    import numpy as np

    weights = np.linalg.solve(cov, np.ones(len(effect)))
    precision = float(weights.sum())
    return float(weights @ effect) / precision, precision


def combine(findings: Sequence[Finding]) -> Summary:
    """Average commensurate rows, one per model.

    The interval is Hartung and Knapp's with the covariance of nested families, t with as many degrees of freedom as
    there are families less one, and never narrower than the plain standard error allows: with few models the normal
    interval is far too narrow, and Hartung and Knapp's can be by luck.

    Raises
    ------
    ValueError
        If a row has no standard error, or there are too few models or families.
    """
    import numpy as np
    from scipy.stats import t

    named = [family(f.model) for f in findings]
    names = sorted(set(named))
    errors = [f.details.se for f in findings]
    if len(findings) < FEWEST_MODELS or len(names) < FEWEST_FAMILIES or not all(errors):
        raise ValueError(
            f"{len(findings)} rows of {len(names)} families with standard errors {errors}; give at least "
            f"{FEWEST_MODELS} rows of {FEWEST_FAMILIES} families, each with its standard error"
        )
    effect = np.array([f.estimate for f in findings], dtype=float)
    variance = np.array(errors, dtype=float) ** 2
    groups = np.array([names.index(name) for name in named], dtype=np.int64)
    within, between = reml(effect, variance, groups)
    cov = covariance(variance, groups, within, between)
    mean, precision = weighted_mean(effect, cov)
    left = effect - mean
    stretched = float(left @ np.linalg.solve(cov, left)) / (len(effect) - 1)
    squared = max(1.0, stretched) / precision
    half = float(t.ppf(0.975, len(names) - 1)) * math.sqrt(squared)
    spread = None
    if len(names) >= 4:  # with three families t has one degree of freedom, and the interval says nothing
        spread = float(t.ppf(0.975, len(names) - 2)) * math.sqrt(within + between + squared)
    return Summary(
        estimate=mean,
        low=mean - half,
        high=mean + half,
        within=math.sqrt(within),
        between=math.sqrt(between),
        predicted_low=None if spread is None else mean - spread,
        predicted_high=None if spread is None else mean + spread,
        models=len(findings),
        families=len(names),
    )
