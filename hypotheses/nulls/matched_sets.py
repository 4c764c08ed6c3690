"""Matched random neuron sets: one permutation within strata, for all neurons and both halves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...data.errors import MissingInput
from .base import NullModel, Observed, generator, need, stack


class MatchedSets(NullModel):
    """Stratified relabelling of neurons (docs/methods.md#matched-sets).

    A draw is one permutation of *all* neurons within strata of like covariates, the set included; the null sets of
    the two halves are the images of the two sets under that one permutation, so they overlap exactly as the
    sets do.
    """

    name = "matched_sets"
    randomises = "neurons"
    preserves = ("how many neurons of each stratum a set holds", "overlap of the two halves' sets", "the measurements")
    breaks = ("which neurons of a stratum form the set",)
    exchangeable = "neurons of a stratum, under a statistic that is free of each neuron's own scale"
    reference = "stratified permutation: Good (2005), chapter 3; docs/methods.md#matched-sets"
    when = "Are these neurons different from ordinary neurons of their stratum? Beside reselected_sets for neuron sets."
    says = "Sets of ordinary neurons with much the same activity and weight statistics as the {set} neurons."

    matches = True

    def prepare(self, measurements: Any, observed: Observed) -> npt.NDArray[np.int64]:
        """Stratum of each neuron, int64 [N]."""
        need(observed, "neurons", self.name)
        if observed.strata is None:
            raise MissingInput("matched_sets needs the neurons' covariates", "neurons.parquet",
                               "measure the neuron covariates")  # fmt: skip
        return observed.strata.numpy().astype(np.int64)

    def draw(self, state: npt.NDArray[np.int64], replicates: range, seed: int) -> torch.Tensor:
        """int64 [R, N]: permutations that keep every neuron in its stratum."""
        places = np.argsort(state, kind="stable")

        def permutation(replicate: int) -> npt.NDArray[np.int64]:
            keys = generator(seed, replicate, "matched").random(len(state))
            image = np.empty(len(state), dtype=np.int64)
            image[places] = np.lexsort((keys, state))  # a stratum's places get its neurons in random order
            return image

        return stack(permutation, replicates)

    def example(self) -> Observed:
        """Two strata of three neurons, sets of two."""
        return Observed("neurons", torch.arange(6), sets=(torch.tensor([0, 3]), torch.tensor([0, 4])),
                        strata=torch.tensor([0, 0, 0, 1, 1, 1]))  # fmt: skip

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """A permutation, within strata."""
        image, strata = np.asarray(draw), np.asarray(observed.strata)
        whole = bool(np.array_equal(np.sort(image), np.arange(len(strata))))
        return (
            ("how many neurons of each stratum a set holds", whole and bool(np.array_equal(strata[image], strata))),
            ("overlap of the two halves' sets", whole),
        )

    def cost(self, state: npt.NDArray[np.int64]) -> float:
        """A sort of the neurons."""
        return float(len(state) * np.log2(max(2, len(state))))

    def diagnostics(self, state: npt.NDArray[np.int64], draws: Any) -> dict[str, Any]:
        """Strata and their sizes; the balance of the covariates stands in the report (`PreparedData.balance`)."""
        sizes = np.bincount(state)
        return {"strata": len(sizes), "smallest": int(sizes.min()), "largest": int(sizes.max())}
