"""Configuration model for correlation matrices: every neuron keeps its strength, and nothing else is structured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...data.errors import InputError
from ...estimators import correlation_nulls as generators
from .base import NullModel, Observed
from .graphs import IntArray, cut, example_graph, keys, union_of
from .hqs import is_correlation, sampled


@dataclass(frozen=True)
class PopulationState:
    """``population`` [u, u], from which both halves are drawn; ``sets`` [2, n]; ``t_eff`` of each half."""

    population: npt.NDArray[np.float64]
    sets: IntArray
    t_eff: tuple[float, float]


class CorrelationCM(NullModel):
    """Configuration model of Masuda, Kojaku, Sano 2018: largest entropy, given every neuron's variance and strength.

    The population is the normal law with precision K_ij = b_i + b_j off the diagonal, b solved so that row sums are
    those of the correlations averaged over the halves.  Both halves are sample correlations of T_eff observations of
    that one population: what the halves agree on beyond strengths is chance.
    """

    name = "correlation_cm"
    randomises = "graph"
    preserves = ("strength (row sum) of every neuron, in expectation", "sampling noise of each half",
                 "transitivity that any covariance matrix has")  # fmt: skip
    breaks = ("modules", "which pairs correlate beyond their strengths")
    exchangeable = "nothing: a maximum-entropy ensemble with the observed strengths"
    reference = "Masuda, Kojaku, Sano (2018), Phys. Rev. E 98:012312"
    when = "Is there structure, modular or not, beyond how strongly each neuron correlates with all others?"
    says = "Configuration model for correlation matrices (Masuda, Kojaku, Sano 2018)."

    def prepare(self, measurements: Any, observed: Observed) -> PopulationState:
        """Population covariance of the union of the two sets."""
        union = union_of(observed, self.name)
        try:
            population = generators.configuration_covariance(union.mean)
        except ValueError as error:
            raise InputError(
                f"the configuration model has no solution here: {error}", "--null", "choose hqs"
            ) from error
        return PopulationState(population, union.sets, union.t_eff)

    def draw(self, state: PopulationState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        """Of [2, 2, n, n], one per replicate."""
        for r in replicates:
            yield cut(sampled(state.population, state.t_eff, keys(seed, r, self.name, 2)), state.sets)

    def example(self) -> Observed:
        """Eight neurons over two factors."""
        return example_graph()

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Correlation matrices; strengths hold in expectation and are tested over many draws."""
        return (("transitivity that any covariance matrix has", is_correlation(draw)),)

    def cost(self, state: PopulationState) -> float:
        """Two samples."""
        return 4.0 * len(state.population) ** 3

    def diagnostics(self, state: PopulationState, draws: Any) -> dict[str, Any]:
        """Strengths wanted, and the largest difference of the drawn mean strengths from them."""
        drawn = [np.asarray(d)[0].mean(0).sum(-1) for d in draws]
        wanted = state.population[np.ix_(state.sets[0], state.sets[0])].sum(-1)
        off = float(np.abs(np.mean(drawn, axis=0) - wanted).max()) if drawn else float("nan")
        return {"strength": wanted.tolist(), "largest_difference": off, "t_eff": list(state.t_eff)}
