"""Influence drawn from a smooth law, with each half's own noise, ranked and fitted as the data are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtr, ndtri

from ...estimators.regimes import FLOOR
from .base import NullModel, Observed, generator, need, stack

FloatArray: TypeAlias = npt.NDArray[np.float64]

GUMBEL_SCALE = np.sqrt(6) / np.pi
"""Scale at which a Gumbel law has variance 1; its mean then lies `np.euler_gamma` scales from its mode."""


@dataclass(frozen=True)
class Law:
    """A law of *log* influence with mean 0 and variance 1: distribution function and its inverse."""

    cdf: Callable[[FloatArray], FloatArray]
    ppf: Callable[[FloatArray], FloatArray]


LAWS = {
    "lognormal": Law(ndtr, ndtri),
    "Weibull": Law(
        lambda x: -np.expm1(-np.exp(x / GUMBEL_SCALE - np.euler_gamma)),
        lambda u: GUMBEL_SCALE * (np.log(-np.log1p(-u)) + np.euler_gamma),
    ),
    "power law": Law(lambda x: -np.expm1(-np.maximum(x + 1, 0)), lambda u: -np.log1p(-u) - 1),
}
"""Normal, minimum Gumbel, exponential.  (scipy's frozen distributions take ten times as long.)"""


def law_distances(logs: FloatArray) -> dict[str, float]:
    """Distance of the sample from each law's moment-matched form: root mean square gap of distribution functions.

    The mean square times the number of values is, but for a constant, the Cramer-von Mises statistic.
    """
    ordered = np.sort((logs - logs.mean()) / logs.std())
    expected = (np.arange(len(logs)) + 0.5) / len(logs)
    return {name: float(np.sqrt(((law.cdf(ordered) - expected) ** 2).mean())) for name, law in LAWS.items()}


def best_law(logs: FloatArray) -> str:
    """Law whose moment-matched form lies nearest to the sample."""
    distance = law_distances(logs)
    return min(distance, key=distance.__getitem__)


class InfluenceLaw(NullModel):
    """Two-half parametric bootstrap of the influence curve (docs/methods.md#influence-law).

    True log influence comes from the law that fits best (lognormal, Weibull or power law) with variance
    Cov(log I_A, log I_B); each half adds noise of variance Var(log I_A - log I_B) / 2.  Every draw resamples the
    neurons and chooses and fits its law anew, so that the doubt about the law is in the null.
    """

    name = "influence_law"
    randomises = "influence"
    preserves = ("number of neurons", "spread of true log influence", "noise of each half")
    breaks = ("any bend of the curve that the three laws have not",)
    exchangeable = "neurons, under one smooth law of influence"
    reference = "parametric bootstrap: Efron, Tibshirani (1993), section 6.5; docs/methods.md#influence-law"
    when = "Does the curve bend more than sorted values of a smooth law bend anyway? For regimes.shape only."
    says = "Influence drawn anew from the smooth law that fits best, with the measured noise."

    def prepare(self, measurements: Any, observed: Observed) -> FloatArray:
        """Log influence, [2 (half), 2 (class), N]."""
        need(observed, "influence", self.name)
        logs: FloatArray = np.log(np.maximum(observed.value.numpy(), FLOOR))
        return logs

    def draw(self, state: FloatArray, replicates: range, seed: int) -> torch.Tensor:
        """float64 [R, 2, 2, N]: influences."""
        return stack(lambda r: self._curve(state, generator(seed, r, "inflaw")), replicates)

    @staticmethod
    def _curve(logs: FloatArray, rng: np.random.Generator) -> FloatArray:
        n = logs.shape[-1]
        out = np.empty_like(logs)
        for side in (0, 1):
            pair: FloatArray = logs[:, side][:, rng.integers(n, size=n)]
            first, second = pair
            true_sd = np.sqrt(max(float(np.cov(first, second)[0, 1]), 0.0))
            noise_sd = float(np.std(first - second)) / np.sqrt(2)
            law = LAWS[best_law((pair[0] + pair[1]) / 2)]
            true = pair.mean() + true_sd * law.ppf(np.asarray(rng.random(n)))
            out[:, side] = true + noise_sd * rng.standard_normal((2, n))
        return np.exp(out)

    def example(self) -> Observed:
        """Sixty-four lognormal neurons."""
        rng = np.random.default_rng(0)
        true = rng.standard_normal(64)
        return Observed("influence", torch.from_numpy(np.exp(true + 0.2 * rng.standard_normal((2, 2, 64)))))

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """As many influences, all positive."""
        value = np.asarray(draw)
        whole = value.shape == tuple(observed.value.shape) and bool((value > 0).all())
        return (("number of neurons", whole),)
