"""Random neuron sets without matching: one permutation of all neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .base import NullModel, Observed, generator, need, stack


class RandomSets(NullModel):
    """Uniform relabelling of all neurons, the same for both halves (the classical random gene-set null)."""

    name = "random_sets"
    randomises = "neurons"
    preserves = ("size of the sets", "overlap of the two halves' sets", "the measurements")
    breaks = ("which neurons form the set", "the set's covariates")
    exchangeable = "all neurons of the layer"
    reference = "Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 3"
    when = "For what covariates cannot explain, such as indices; elsewhere it confounds a set with its scale."
    says = "Sets of neurons drawn from the whole layer, matched on nothing."

    def prepare(self, measurements: Any, observed: Observed) -> int:
        """Neurons, N."""
        need(observed, "neurons", self.name)
        return len(observed.value)

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        """int64 [R, N]: uniform permutations."""
        return stack(lambda r: generator(seed, r, "randset").permutation(state), replicates)

    def example(self) -> Observed:
        """Six neurons, sets of two."""
        return Observed("neurons", torch.arange(6), sets=(torch.tensor([0, 3]), torch.tensor([0, 4])))

    def invariants(self, observed: Observed, draw: Any) -> tuple[tuple[str, bool], ...]:
        """A permutation."""
        whole = bool(np.array_equal(np.sort(np.asarray(draw)), np.arange(len(observed.value))))
        return (("size of the sets", whole), ("overlap of the two halves' sets", whole))
