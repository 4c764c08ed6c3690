"""The two conditions change places for whole documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .base import NullModel, Observed, need
from .coins import coins


class DocumentSwaps(NullModel):
    """The two conditions change places for whole documents (sign flips; Good 2005, chapter 6)."""

    name = "document_swaps"
    randomises = "labels"
    preserves = ("which positions are matched", "dependence inside a document")
    breaks = ("which of the two conditions is a",)
    exchangeable = "the two classes of a document, jointly over its matched pairs"
    reference = "Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 6"
    when = (
        "Is the difference between the conditions more than documents differ by themselves? The default for contrasts."
    )
    says = "{A} and {b} change places for whole documents."

    def prepare(self, measurements: Any, observed: Observed) -> int:
        """Documents, D."""
        need(observed, "labels", self.name)
        return int(observed.value.shape[0])

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        """Bool [R, D], fair coins."""
        return coins(seed, replicates, "docswap", state)

    def example(self) -> Observed:
        """Four documents, none swapped."""
        return Observed("labels", torch.zeros(4, dtype=torch.bool))

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """One coin a document."""
        swaps = np.asarray(draw)
        return (
            ("which positions are matched", swaps.shape == tuple(observed.value.shape) and swaps.dtype == np.bool_),
        )
