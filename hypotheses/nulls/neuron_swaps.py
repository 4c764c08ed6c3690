"""The two classes' scale-normalised influences change places neuron by neuron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .base import NullModel, Observed, need
from .coins import coins


class NeuronSwaps(NullModel):
    """The two conditions change places neuron by neuron, the same swap in both halves (docs/methods.md#neuron-swaps).

    Ordinary neurons differ between the classes without any specialists; a null over documents alone takes that
    scatter for an effect.  Here a neuron's pair of influences, each condition divided by its own geometric mean over
    neurons, is exchangeable: only an excess of neurons that lean to condition a *at the top* is left as evidence.
    """

    name = "neuron_swaps"
    randomises = "influence"
    preserves = ("each neuron's pair of influences", "neuron-by-class scatter", "agreement of the two halves")
    breaks = ("which of a neuron's two influences is that on condition a",)
    exchangeable = "a neuron's scale-normalised influences on the two classes, jointly over both halves"
    reference = "Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 6"
    when = "Do neurons lean to a condition more than they scatter between the two anyway? Used with document_swaps."
    says = "A neuron's influence on {a} and on {b} change places, neuron by neuron."

    def prepare(self, measurements: Any, observed: Observed) -> int:
        """Neurons, N."""
        need(observed, "influence", self.name)
        return int(observed.value.shape[-1])

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        """Bool [R, N], fair coins."""
        return coins(seed, replicates, "neuswap", state)

    def example(self) -> Observed:
        """Four neurons' influences, [half, class, N]."""
        return Observed("influence", torch.arange(1, 17, dtype=torch.float64).reshape(2, 2, 4))

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """One coin a neuron, shared by the halves."""
        swaps = np.asarray(draw)
        alike = swaps.shape == (observed.value.shape[-1],) and swaps.dtype == np.bool_
        return (("each neuron's pair of influences", alike),)
