"""Correlations dealt to random pairs: the number of strong pairs stays, and nothing else."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch

from ...estimators import correlation_nulls as generators
from .base import NullModel, Observed, generator
from .graphs import REWIRING_NOTE, cut, example_graph, keys, moved, same_pairs, strong_pairs, union_of
from .rewired import WiredState, strong_set


class ErdosRenyi(NullModel):
    """Uniform graphs with as many strong pairs, correlations dealt at random (Erdos, Renyi 1959).

    The weakest of the graph nulls: neither degrees nor transitivity are kept, so that almost any graph of real data
    is "more modular".  It is here as the yardstick that the others are compared with.
    """

    name = "erdos_renyi"
    randomises = "graph"
    preserves = ("number of strong pairs", "the correlations of the pairs, both halves together")
    breaks = ("which pairs are strong", "degree of every neuron", "transitivity of correlations")
    exchangeable = "all pairs of neurons, as if they were independent of each other"
    reference = "Erdos, Renyi (1959), Publ. Math. Debrecen 6:290"
    when = "As a yardstick only: it rejects for degrees, for transitivity and for modules, and cannot tell them apart."
    says = "Edges at random with the same density. A weak null here: see the note."
    caveat = REWIRING_NOTE

    def prepare(self, measurements: Any, observed: Observed) -> WiredState:
        """Strong pairs of the union of the two sets."""
        union = union_of(observed, self.name)
        return WiredState(union, strong_pairs(union.mean))

    def draw(self, state: WiredState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        """Of [2, 2, n, n], one per replicate."""
        count = int(state.signs.sum(dtype=np.int64)) // 2
        for r in replicates:
            edges = generators.erdos_renyi(state.union.size, count, keys(seed, r, self.name, 1))[0]
            after = np.zeros_like(state.signs)
            after[edges[:, 0], edges[:, 1]] = after[edges[:, 1], edges[:, 0]] = 1
            yield cut(moved(state.union, state.signs, after, generator(seed, r, "edealt")), state.union.sets)

    def example(self) -> Observed:
        """Five neurons, of whose 10 pairs 2 are strong: 45 graphs."""
        return example_graph(5)

    def space(self, observed: Observed) -> Sequence[Hashable]:
        """Every set of as many pairs."""
        signs = self.prepare(None, observed).signs
        return list(combinations(combinations(range(len(signs)), 2), int(signs.sum(dtype=np.int64)) // 2))

    def signature(self, draw: Any) -> Hashable:
        """Which pairs are strong."""
        return strong_set(draw)

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """As many strong pairs, of the same correlations."""
        before, after = (strong_pairs(np.asarray(x)[0].mean(0)) for x in (observed.value, draw))
        return tuple(zip(self.preserves, (before.sum() == after.sum(), same_pairs(observed, draw)), strict=True))

    def cost(self, state: WiredState) -> float:
        """A deal of all pairs."""
        return float(state.union.size**2)
