"""One global mode and noise: correlations without any further structure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...estimators import correlation_nulls as generators
from .base import NullModel, Observed
from .correlation_cm import PopulationState
from .graphs import Union, cut, example_graph, keys, union_of
from .hqs import is_correlation, moments, sampled

FACTOR_STEPS = 50
"""Rounds of principal factoring."""


class RandomMatrix(NullModel):
    """One global mode and noise: the null of random-matrix community detection (MacMahon, Garlaschelli 2015).

    The population has one common factor, the global mode of the observed correlations, where it stands out of the
    Marchenko-Pastur band, and nothing else; halves are sample correlations of T_eff observations, T_eff = 1 / var(r)
    under permutation of documents. The paper takes the mode out of data and null alike; here it stays in both, since
    replicate 0 is the data as they are.
    """

    name = "random_matrix"
    randomises = "graph"
    preserves = ("the global mode, where it stands out of noise", "sampling noise of each half",
                 "transitivity that any covariance matrix has")  # fmt: skip
    breaks = ("modules", "every further structure of the correlations")
    exchangeable = "nothing: normal noise around one common factor"
    reference = "MacMahon, Garlaschelli (2015), Phys. Rev. X 5:021006"
    when = "Is there anything beyond one global mode and noise? Rejects for any second factor, modular or not."
    says = "Random-matrix spectrum with the global mode removed (MacMahon, Garlaschelli 2015)."

    def prepare(self, measurements: Any, observed: Observed) -> PopulationState:
        """Population of one common factor."""
        union = union_of(observed, self.name)
        return PopulationState(one_factor(union), union.sets, union.t_eff)

    def draw(self, state: PopulationState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        """Of [2, 2, n, n], one per replicate."""
        for r in replicates:
            yield cut(sampled(state.population, state.t_eff, keys(seed, r, self.name, 2)), state.sets)

    def example(self) -> Observed:
        """Eight neurons over two factors."""
        return example_graph()

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Correlation matrices."""
        return (("transitivity that any covariance matrix has", is_correlation(draw)),)

    def cost(self, state: PopulationState) -> float:
        """Two samples."""
        return 4.0 * len(state.population) ** 3

    def diagnostics(self, state: PopulationState, draws: Any) -> dict[str, Any]:
        """How much of the correlations the mode is, and the moments of the draws."""
        off = state.population[np.triu_indices(len(state.population), 1)]
        return {"mode_mean_correlation": float(off.mean()), "t_eff": list(state.t_eff), **moments(draws)}


def one_factor(union: Union) -> npt.NDArray[np.float64]:
    """Population correlations with the union's global mode and nothing else, [u, u].

    Where the leading eigenvalue stands out of the Marchenko-Pastur band, the mode is the principal factor of the
    correlations, communalities iterated: the eigenvector alone would take a share of each neuron's own variance for
    the mode's (Harman 1976, chapter 8).
    """
    g = generators.global_mode(union.mean, sum(union.t_eff))
    reduced = union.mean.copy()
    for _ in range(FACTOR_STEPS if g.any() else 0):
        np.fill_diagonal(reduced, g**2)
        values, vectors = np.linalg.eigh(reduced)
        g = np.clip(np.sqrt(max(values[-1], 0.0)) * vectors[:, -1], -0.999, 0.999)
    population = np.outer(g, g)
    np.fill_diagonal(population, 1.0)
    return np.asarray(population)
