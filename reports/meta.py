"""Random-effects summary of one hypothesis over several models (DerSimonian, Laird 1986)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..hypotheses.result import Finding
from .reasons import of_heads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Summary:
    """Mean effect over models.

    Attributes
    ----------
    estimate, low, high
        Mean effect and its 95 % interval.
    tau
        Standard deviation of the true effects between models.
    i2
        Share of the scatter between models that is not noise.
    predicted_low, predicted_high
        95 % interval for the effect in one more model of the same kind; None under four models.
    models
        Number of models.
    """

    estimate: float
    low: float
    high: float
    tau: float
    i2: float
    predicted_low: float | None
    predicted_high: float | None
    models: int


def standard_error(finding: Finding) -> float | None:
    """Standard error that the verdict interval was made from: half its width over its t quantile ."""
    if finding.verdict_low is None or finding.verdict_high is None or finding.n_documents is None:
        return None
    from scipy.stats import t

    df = finding.n_documents // 2 - 1
    half = (finding.verdict_high - finding.verdict_low) / 2
    return half / float(t.ppf(1 - finding.alpha, df)) if df > 0 and 0 < half < math.inf else None


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
    if any(standard_error(f) is None or f.estimate is None for f in findings):
        return "a run has no verdict interval"
    return ""


def scatter(effect: NDArray[np.float64], variance: NDArray[np.float64]) -> tuple[float, float]:
    """Between-model variance (DerSimonian, Laird 1986, equation 8), not below zero, and I2 (Higgins, Thompson 2002).

    statsmodels' ``combine_effects(method_re="dl")`` leaves a negative variance as it is, and weights by it.
    """
    weights = 1 / variance
    mean = (weights * effect).sum() / weights.sum()
    q, df = float((weights * (effect - mean) ** 2).sum()), len(effect) - 1
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    return max(0.0, (q - df) / scale), max(0.0, 1 - df / q) if q > 0 else 0.0


def combine(findings: Sequence[Finding]) -> Summary:
    """Average commensurate rows, one per model.

    The interval is Hartung and Knapp's (t with k - 1 degrees of freedom), never narrower than DerSimonian and Laird's
    standard error allows: with few models the plain normal interval is far too narrow, and Hartung and Knapp's can be
    by luck.

    Raises
    ------
    ValueError
        If a row has no standard error, or there are fewer than two.
    """
    import numpy as np
    from scipy.stats import t

    errors = [standard_error(f) for f in findings]
    if len(findings) < 2 or any(e is None for e in errors):
        raise ValueError(
            f"{len(findings)} rows with standard errors {errors}; give at least two rows with verdict intervals"
        )
    effect = np.array([f.estimate for f in findings], dtype=float)
    variance = np.array(errors, dtype=float) ** 2
    k = len(findings)
    tau2, i2 = scatter(effect, variance)
    weights = 1 / (variance + tau2)
    mean = float((weights * effect).sum() / weights.sum())
    plain = math.sqrt(1 / float(weights.sum()))
    knapp = math.sqrt(float((weights * (effect - mean) ** 2).sum()) / ((k - 1) * float(weights.sum())))
    half = float(t.ppf(0.975, k - 1)) * max(plain, knapp)
    # with three models t has one degree of freedom, and the interval says nothing
    spread = None if k < 4 else float(t.ppf(0.975, k - 2)) * math.sqrt(tau2 + max(plain, knapp) ** 2)
    return Summary(
        estimate=mean,
        low=mean - half,
        high=mean + half,
        tau=math.sqrt(tau2),
        i2=i2,
        predicted_low=None if spread is None else mean - spread,
        predicted_high=None if spread is None else mean + spread,
        models=k,
    )
