"""Strong positive and strong negative pairs are rewired, each within its own sign."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch

from ...estimators import rewiring
from .base import NullModel, Observed, generator
from .graphs import REWIRING_NOTE, cut, example_graph, keys, moved, same_pairs, strong_pairs, union_of
from .rewired import WiredState, strong_set


class SignedRewired(NullModel):
    """Rewiring that keeps every neuron's positive and negative degree (Maslov, Sneppen 2002, sign by sign).

    The quarter of pairs with the largest absolute correlation, averaged over the halves, is a signed graph; positive
    and negative edges are rewired among themselves, never two on one pair, and the correlations are dealt anew within
    positive, negative and weak pairs, a pair's two halves together.
    """

    name = "signed_rewired"
    randomises = "graph"
    preserves = ("positive and negative degree of every neuron among strong pairs",
                 "the correlations of the pairs, both halves together")  # fmt: skip
    breaks = ("which pairs are strong, given the signed degrees", "transitivity of correlations")
    exchangeable = "strong pairs of one sign, as if they were independent of each other, given the signed degrees"
    reference = "Maslov, Sneppen (2002), Science 296:910; Rubinov, Sporns (2011), NeuroImage 56:2068"
    when = "As rewired, where negative correlations matter; as little evidence of modules, for the same reason."
    says = "Edges are rewired with degrees and signs kept. A weak null here: see the note."
    caveat = REWIRING_NOTE

    def prepare(self, measurements: Any, observed: Observed) -> WiredState:
        """Signs of the strong pairs of the union of the two sets."""
        union = union_of(observed, self.name)
        return WiredState(union, strong_pairs(union.mean, signed=True))

    def draw(self, state: WiredState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        """Of [2, 2, n, n], one per replicate."""
        for r in replicates:
            after = rewiring.signed_rewire(state.signs[None], keys(seed, r, self.name, 1), threads=1)[0]
            yield cut(moved(state.union, state.signs, after, generator(seed, r, "sdealt")), state.union.sets)

    def example(self) -> Observed:
        """Seven neurons, of whose 21 pairs 5 are strong."""
        return example_graph(7, seed=3)

    def space(self, observed: Observed) -> Sequence[Hashable]:
        """Every signed graph with the observed signed degrees."""
        signs = self.prepare(None, observed).signs
        pairs = list(combinations(range(len(signs)), 2))
        wanted = [(signs == s).sum(0) for s in (1, -1)]
        found = []
        for up in combinations(pairs, int(wanted[0].sum()) // 2):
            if not np.array_equal(np.bincount(np.ravel(up).astype(np.int64), minlength=len(signs)), wanted[0]):
                continue
            for down in combinations([p for p in pairs if p not in up], int(wanted[1].sum()) // 2):
                if np.array_equal(np.bincount(np.ravel(down).astype(np.int64), minlength=len(signs)), wanted[1]):
                    found.append(tuple(sorted([(*p, 1) for p in up] + [(*p, -1) for p in down])))
        return found

    def signature(self, draw: Any) -> Hashable:
        """Which pairs are strong, and their signs."""
        return strong_set(draw, signed=True)

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Signed degrees, where both crossings hold the same set, and the pairs' correlations."""
        before, after = (strong_pairs(np.asarray(x)[0].mean(0), signed=True) for x in (observed.value, draw))
        degrees = all(np.array_equal((before == s).sum(0), (after == s).sum(0)) for s in (1, -1))
        return tuple(zip(self.preserves, (degrees, same_pairs(observed, draw)), strict=True))

    def cost(self, state: WiredState) -> float:
        """Ten tried switches an edge, and a deal of all pairs."""
        return rewiring.TRIES_PER_EDGE * float(np.abs(state.signs).sum()) / 2 + state.union.size**2

    def diagnostics(self, state: WiredState, draws: Any) -> dict[str, Any]:
        """Share of the original signed edges left after the tried switches; about their density when mixed."""
        words = keys(0, 0, "mixing", 20)
        after = rewiring.signed_rewire(np.repeat(state.signs[None], len(words), 0), words, threads=1)
        left = rewiring.edges_left(np.repeat(state.signs[None], len(words), 0), after)
        positive, negative = (int((state.signs == sign).sum()) // 2 for sign in (1, -1))
        return {"positive_edges": positive, "negative_edges": negative,
                "edges_left": float(left.mean())}  # fmt: skip
