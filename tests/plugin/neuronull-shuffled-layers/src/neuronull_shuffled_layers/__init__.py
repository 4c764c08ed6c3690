"""shuffled_layers: a null model for neuronull."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from neuronull.hypotheses.nulls.base import NullModel, Observed, generator, need, stack


class ShuffledLayers(NullModel):
    """Uniform relabelling of all neurons: say here in one line what your null model draws."""

    name = "shuffled_layers"
    randomises = "neurons"  # a draw is a permutation of the neurons; `Draws` in the base module lists the other objects
    preserves = ("how many neurons a set holds",)
    breaks = ("which neurons form the set",)
    exchangeable = "all neurons of the layer"
    reference = "the classical permutation null; cite the source of yours"
    when = "Say which question it answers, and when it should not be trusted."

    def prepare(self, measurements: Any, observed: Observed) -> int:
        """Make once whatever `draw` needs; here the number of neurons."""
        need(observed, self.randomises, self.name)
        return len(observed.value)

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        """One permutation per replicate, each a function of (seed, replicate) alone: int64 [R, N]."""
        return stack(lambda r: generator(seed, r, self.name).permutation(state), replicates)

    def example(self) -> Observed:
        """Four neurons, two of them the set: few enough to enumerate every draw."""
        return Observed("neurons", torch.arange(4), sets=(torch.tensor([0, 1]), torch.tensor([0, 2])),
                        strata=torch.zeros(4, dtype=torch.int64))  # fmt: skip

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """What `preserves` declares, tested on a draw."""
        whole = bool(np.array_equal(np.sort(np.asarray(draw)), np.arange(len(observed.value))))
        return (("how many neurons a set holds", whole),)
