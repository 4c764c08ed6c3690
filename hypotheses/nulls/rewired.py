"""Strong pairs are rewired, every neuron keeping its degree (Maslov, Sneppen)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...estimators import rewiring
from .base import NullModel, Observed, generator
from .graphs import REWIRING_NOTE, Union, cut, example_graph, keys, moved, same_pairs, strong_pairs, union_of

SignArray = npt.NDArray[np.int8]


@dataclass(frozen=True)
class WiredState:
    """``union`` of the two sets and ``signs`` [u, u] of its strong pairs (averaged over the halves)."""

    union: Union
    signs: SignArray


class Rewired(NullModel):
    """Degree-preserving rewiring of the strong pairs (Maslov, Sneppen 2002), their correlations carried along.

    The quarter of pairs that correlate most, averaged over the halves, is a graph; it is rewired with 10 tried
    switches an edge, and the correlations of strong pairs are dealt to the new strong pairs, those of the others to
    the others, a pair's two halves together.  The statistic then sees a weighted graph as it does in the data.  A
    correlation matrix is transitive by construction and a rewired one is not, so this null rejects module-free data
    .12-1.00 of the time (docs/methods.md#rewired).
    """

    name = "rewired"
    randomises = "graph"
    preserves = ("degree of every neuron among strong pairs", "the correlations of the pairs, both halves together")
    breaks = ("which pairs are strong, given the degrees", "transitivity of correlations")
    exchangeable = "strong pairs, as if they were independent of each other, given the degrees"
    reference = (
        "Maslov, Sneppen (2002), Science 296:910; Fosdick, Larremore, Nishimura, Ugander (2018), SIAM Rev. 60:315"
    )
    when = (
        "For comparison with the literature. Correlations are transitive, rewired ones are not: a small p here is no "
        "evidence of modules. clusters.rewired ranks the same excess among matched sets."
    )
    says = "Edges are rewired with degrees kept (Maslov, Sneppen 2002). A weak null here: see the note."
    caveat = REWIRING_NOTE

    def prepare(self, measurements: Any, observed: Observed) -> WiredState:
        """Strong pairs of the union of the two sets."""
        union = union_of(observed, self.name)
        return WiredState(union, strong_pairs(union.mean))

    def draw(self, state: WiredState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        """Of [2, 2, n, n], one per replicate."""
        edges = np.argwhere(np.triu(state.signs, 1) != 0)
        for r in replicates:
            copy = rewiring.rewire(edges, state.union.size, keys(seed, r, "rewired", 1), threads=1)[0]
            after = np.zeros_like(state.signs)
            after[copy[:, 0], copy[:, 1]] = after[copy[:, 1], copy[:, 0]] = 1
            yield cut(moved(state.union, state.signs, after, generator(seed, r, "dealt")), state.union.sets)

    def example(self) -> Observed:
        """Seven neurons, of whose 21 pairs 5 are strong."""
        return example_graph(7)

    def space(self, observed: Observed) -> Sequence[Hashable]:
        """Every simple graph with the degrees of the observed one, as sets of strong pairs."""
        signs = self.prepare(None, observed).signs
        pairs = list(combinations(range(len(signs)), 2))
        wanted = signs.sum(0, dtype=np.int64)
        found = []
        for edges in combinations(pairs, int(wanted.sum()) // 2):
            if np.array_equal(np.bincount(np.ravel(edges), minlength=len(signs)), wanted):
                found.append(edges)
        return found

    def signature(self, draw: Any) -> Hashable:
        """Which pairs are strong."""
        return strong_set(draw)

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Degrees, where both crossings hold the same set, and the pairs' correlations."""
        before, after = (strong_pairs(np.asarray(x)[0].mean(0)) for x in (observed.value, draw))
        degrees = bool(np.array_equal(before.sum(0, dtype=np.int64), after.sum(0, dtype=np.int64)))
        return tuple(zip(self.preserves, (degrees, same_pairs(observed, draw)), strict=True))

    def cost(self, state: WiredState) -> float:
        """Ten tried switches an edge, and a deal of all pairs."""
        return rewiring.TRIES_PER_EDGE * float(np.abs(state.signs).sum()) / 2 + state.union.size**2

    def diagnostics(self, state: WiredState, draws: Any) -> dict[str, Any]:
        """Mixing: original edges left after each tenth of the tried switches; level at the end if mixed."""
        edges = np.argwhere(np.triu(state.signs, 1) != 0)
        trace = rewiring.mixing(edges, state.union.size, seed=0)
        return {"edges": len(edges), "tries_per_edge": trace.tries_per_edge.tolist(), "accepted_share": trace.accepted,
                "edges_left": trace.edges_left.tolist()}  # fmt: skip


def strong_set(draw: Any, signed: bool = False) -> Hashable:
    """Strong pairs i < j of a draw's first crossing, averaged over the halves; signed, with their signs."""
    signs = np.triu(strong_pairs(np.asarray(draw)[0].mean(0), signed), 1)
    if signed:
        return tuple((int(i), int(j), int(signs[i, j])) for i, j in np.argwhere(signs != 0))
    return tuple((int(i), int(j)) for i, j in np.argwhere(signs != 0))
