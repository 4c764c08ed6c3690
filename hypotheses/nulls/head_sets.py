"""Random sets of attention heads that act as much in all as the chosen ones do."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...data.errors import InputError, MissingInput
from ...estimators import strata as stratify
from .base import NullModel, Observed, generator, need, stack

IntArray = npt.NDArray[np.int64]

FEWEST_SETS = 100
"""Fewer distinct sets are refused: no p-value could be trusted below 1/100 (docs/methods.md#head-sets)."""


@dataclass(frozen=True)
class HeadSetsState:
    """``strata`` int64 [H] of all heads; ``chosen`` int64 [k] rows."""

    strata: IntArray
    chosen: IntArray


def effect_strata(total: npt.NDArray[np.float64], chosen: IntArray) -> IntArray:
    """Strata of heads by total effect, as fine as leaves `FEWEST_SETS` distinct sets, int64 [H].

    Parameters
    ----------
    total : [H]
        Effect of each reachable head, both classes together.
    chosen : [k]
        Rows of the heads whose set is randomised; only their number in each stratum is used.
    """
    smallest = 2
    while smallest < len(total):
        found = stratify.strata(total, smallest)
        if distinct_sets(found, chosen) >= FEWEST_SETS:
            return found
        smallest *= 2
    return np.zeros(len(total), dtype=np.int64)


def distinct_sets(strata: IntArray, chosen: IntArray) -> int:
    """Sets with as many heads of each stratum as `chosen` has."""
    sizes, taken = Counter(strata.tolist()), Counter(strata[chosen].tolist())
    return math.prod(math.comb(sizes[s], k) for s, k in taken.items())


class HeadSets(NullModel):
    """Uniform sets of heads with as many of each stratum of total effect as the chosen set (stratified permutation)."""

    name = "head_sets"
    randomises = "heads"
    preserves = ("how many heads of each stratum of total effect a set holds", "the measurements")
    breaks = ("which heads of a stratum are chosen",)
    exchangeable = "heads of like total effect"
    reference = "stratified permutation: Good (2005), Permutation, Parametric and Bootstrap Tests, chapter 3"
    when = f"Do these heads matter more than heads that act as much? Refused under {FEWEST_SETS} distinct sets."
    says = "Sets of heads with the same total effect."

    def prepare(self, measurements: Any, observed: Observed) -> HeadSetsState:
        """Strata and chosen heads."""
        need(observed, "heads", self.name)
        if observed.strata is None:
            raise InputError("head_sets needs the strata of the heads", "Observed.strata",
                             "group them by total effect (effect_strata)")  # fmt: skip
        state = HeadSetsState(observed.strata.numpy().astype(np.int64), observed.value.numpy().astype(np.int64))
        count = distinct_sets(state.strata, state.chosen)
        if count < FEWEST_SETS:
            said = f"there are {count} sets of heads like the chosen one, {FEWEST_SETS} are needed"
            raise MissingInput(said, "heads", "use a model with more heads that reach the layer")
        return state

    def draw(self, state: HeadSetsState, replicates: range, seed: int) -> torch.Tensor:
        """int64 [R, k]: rows of the heads table, sorted."""
        taken = Counter(state.strata[state.chosen].tolist())
        pools = [(np.flatnonzero(state.strata == s), k) for s, k in sorted(taken.items())]

        def one(replicate: int) -> IntArray:
            rng = generator(seed, replicate, "headset")
            return np.sort(np.concatenate([rng.permutation(pool)[:k] for pool, k in pools]))

        return stack(one, replicates)

    def example(self) -> Observed:
        """Two strata of six heads, two of each chosen: 225 sets."""
        return Observed("heads", torch.tensor([0, 1, 6, 7]), strata=torch.arange(12) // 6)

    def space(self, observed: Observed) -> Sequence[Hashable]:
        """Every set with as many heads of each stratum."""
        strata = np.asarray(observed.strata)
        taken = Counter(strata[np.asarray(observed.value)].tolist())
        parts = [combinations(np.flatnonzero(strata == s).tolist(), k) for s, k in sorted(taken.items())]
        return [tuple(sorted(h for part in parts_ for h in part)) for parts_ in product(*parts)]

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """As many heads of each stratum, none twice."""
        heads, strata = np.asarray(draw), np.asarray(observed.strata)
        alike = Counter(strata[heads].tolist()) == Counter(strata[np.asarray(observed.value)].tolist())
        whole = len(set(heads.tolist())) == len(observed.value)
        return (("how many heads of each stratum of total effect a set holds", alike and whole),)

    def cost(self, state: HeadSetsState) -> float:
        """A shuffle of the heads."""
        return float(len(state.strata))

    def diagnostics(self, state: HeadSetsState, draws: Any) -> dict[str, Any]:
        """How many distinct sets there are."""
        return {"distinct_sets": distinct_sets(state.strata, state.chosen)}
