"""The two conditions change places inside single matched pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ...data.errors import InputError
from .base import NullModel, Observed, need
from .coins import coins


class LabelSwaps(NullModel):
    """The two conditions change places pair by pair (Fisher's sign flips inside matched pairs).

    A test of the *sharp* null, that no position cares for its label.  A document in which the two
    conditions differ, though documents on the whole do not, is already a violation: size .09-.19 under
    document-by-class effects (docs/methods.md#label-swaps).  `document_swaps` tests what the claims say.
    """

    name = "label_swaps"
    randomises = "labels"
    preserves = ("which positions are matched",)
    breaks = ("which position of a pair is of condition a", "what the pairs of a document have in common")
    exchangeable = "the two positions of a matched pair, independently of all other pairs"
    reference = "Fisher (1935), The Design of Experiments, section 21"
    when = (
        "Does any single position care for its label? Too small p-values where documents differ in how their classes "
        "differ; document_swaps is the default."
    )
    says = "{A} and {b} change places pair by pair. Tests only the sharp null that no document matters."

    def prepare(self, measurements: Any, observed: Observed) -> int:
        """Matched pairs, P."""
        need(observed, "labels", self.name)
        if observed.pairs is None:
            raise InputError("label_swaps swaps inside matched pairs, and this hypothesis has none", "--null",
                             "choose document_swaps")  # fmt: skip
        return observed.pairs

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        """Bool [R, P], fair coins."""
        return coins(seed, replicates, "labswap", state)

    def example(self) -> Observed:
        """Two documents with five matched pairs between them, none swapped."""
        return Observed("labels", torch.zeros(2, dtype=torch.bool), pairs=5)

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """One coin a pair."""
        swaps = np.asarray(draw)
        return (("which positions are matched", swaps.shape == (observed.pairs,) and swaps.dtype == np.bool_),)

    def cost(self, state: int) -> float:
        """One coin a pair."""
        return float(state)
