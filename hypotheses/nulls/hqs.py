"""Random covariance matrices with the moments of the observed one (Hirschberger, Qi, Steuer)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...data.errors import InputError
from ...estimators import correlation_nulls as generators
from .base import NullModel, Observed, generator
from .graphs import FloatArray, IntArray, cut, example_graph, keys, union_of

SMALLEST_VARIANCE = 1e-8
"""Shared variances below this one (chance may make them negative) are taken as this: all but equal correlations."""
RIDGE = 1e-6
"""Share of the variance that is added to a population of low rank, so that it can be factored."""


@dataclass(frozen=True)
class HqsState:
    """Wanted ``mean`` and ``variance`` of true correlations of ``size`` neurons; ``sets`` [2, n]; ``t_eff`` a half."""

    size: int
    sets: IntArray
    t_eff: tuple[float, float]
    mean: float
    variance: float


def hqs_population(size: int, mean: float, variance: float, rng: np.random.Generator) -> FloatArray:
    """One HQS covariance [n, n]: mean diagonal 1, `mean` and `variance` off the diagonal.

    The law of `neuronull.estimators.correlation_nulls.hqs`, drawn without its n x m normals: with z [n] standard
    normal and W a standard Wishart matrix of m - 1 degrees of freedom, X X^T = a a^T + sigma^2 W, a = sqrt(m) mu +
    sigma z (rotate the m factors so that the first is their mean).
    """
    factors = max(2, int((1 - mean**2) / variance))
    mu = np.sqrt(mean / factors)
    sigma2 = np.sqrt(mu**4 + variance / factors) - mu**2
    a = np.sqrt(factors) * mu + np.sqrt(sigma2) * rng.standard_normal(size)
    word = rng.integers(2**64, size=1, dtype=np.uint64)
    rest = generators.wishart(np.eye(size), factors - 1, word)[0]
    return np.asarray(np.outer(a, a) + sigma2 * (factors - 1) * rest)


class HQS(NullModel):
    """HQS populations, from which both halves are sampled (Hirschberger, Qi, Steuer 2007; Zalesky et al. 2012).

    The population has the mean e of the observed correlations and the variance v that the two halves agree on,
    Cov(r_A, r_B) over pairs: C = X X^T, X [n, m] normal with m = max(2, floor((1 - e^2) / v)), mu = sqrt(e / m) and
    sigma^2 = -mu^2 + sqrt(mu^4 + v / m).  Each half is a sample correlation of T_eff observations of that one
    population, so the halves agree on a structure that is random, and differ by as much as the data's halves do.
    """

    name = "hqs"
    randomises = "graph"
    preserves = (
        "mean correlation (a negative one counts as 0)",
        "variance of correlations that the halves share",
        "sampling noise of each half",
        "transitivity that any covariance matrix has",
    )
    breaks = ("modules", "strengths of single neurons")
    exchangeable = "nothing: a parametric ensemble with the observed moments"
    reference = (
        "Hirschberger, Qi, Steuer (2007), Eur. J. Oper. Res. 177:1610; "
        "Zalesky, Fornito, Bullmore (2012), NeuroImage 60:2096"
    )
    when = (
        "Is the graph more modular than random covariances of like mean and spread? Its draws are transitive, as data."
    )
    says = "Random covariance matrices with the same mean and variance (Hirschberger, Qi, Steuer)."

    def prepare(self, measurements: Any, observed: Observed) -> HqsState:
        """Moments of the union of the two sets."""
        union = union_of(observed, self.name)
        off = np.triu_indices(union.size, 1)
        first, second = union.r[0][off], union.r[1][off]
        if float(first.std()) == 0 or float(second.std()) == 0:
            raise InputError(
                "all correlations are equal; HQS matrices need a spread", "activations", "look for constant neurons"
            )
        mean = max(0.0, float(union.mean[off].mean()))
        variance = max(SMALLEST_VARIANCE, float(np.cov(first, second, ddof=0)[0, 1]))
        return HqsState(union.size, union.sets, union.t_eff, mean, variance)

    def draw(self, state: HqsState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        """Of [2, 2, n, n], one per replicate."""
        for r in replicates:
            population = hqs_population(state.size, state.mean, state.variance, generator(seed, r, "hqspop"))
            population[np.diag_indices_from(population)] *= 1 + RIDGE
            yield cut(sampled(population, state.t_eff, keys(seed, r, self.name, 2)), state.sets)

    def example(self) -> Observed:
        """Eight neurons over two factors."""
        return example_graph()

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Correlation matrices; moments hold in expectation and are tested over many draws."""
        return (("transitivity that any covariance matrix has", is_correlation(draw)),)

    def cost(self, state: HqsState) -> float:
        """A population and two samples."""
        return 6.0 * state.size**3

    def diagnostics(self, state: HqsState, draws: Any) -> dict[str, Any]:
        """Moments wanted and had."""
        return {"mean": state.mean, "shared_variance": state.variance, "t_eff": list(state.t_eff), **moments(draws)}


def sampled(
    population: npt.NDArray[np.float64], t_eff: tuple[float, float], words: npt.NDArray[np.uint64]
) -> npt.NDArray[np.float64]:
    """Sample correlations [2 (half), u, u] of one population covariance, `t_eff` observations a half."""
    halves = [generators.wishart(population, t, words[h : h + 1])[0] for h, t in enumerate(t_eff)]
    return generators.to_correlation(np.stack(halves))


def is_correlation(draw: Any) -> bool:
    """Whether every matrix [..., n, n] is symmetric, has a unit diagonal and no negative eigenvalue."""
    r = np.asarray(draw)
    unit = np.allclose(np.diagonal(r, axis1=-2, axis2=-1), 1.0)
    symmetric = np.allclose(r, np.swapaxes(r, -1, -2))
    return bool(unit and symmetric and np.linalg.eigvalsh(r).min() > -1e-8)


def moments(draws: Any) -> dict[str, float]:
    """Mean off-diagonal, its variance, and what the halves share of it, averaged over draws [2, 2, n, n]."""
    rows = []
    for draw in draws:
        r = np.asarray(draw)
        upper = np.triu_indices(r.shape[-1], 1)
        a, b = r[0, 0][upper], r[0, 1][upper]
        rows.append((a.mean() / 2 + b.mean() / 2, a.var() / 2 + b.var() / 2, float(np.cov(a, b, ddof=0)[0, 1])))
    mean, variance, shared = np.mean(rows, axis=0)
    return {"drawn_mean": float(mean), "drawn_variance": float(variance), "drawn_shared_variance": float(shared)}
