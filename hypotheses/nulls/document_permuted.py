"""Documents change places, each neuron by itself: no coupling of neurons is left."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .base import NullModel, Observed, generator, need
from .blocks import Blocks, blocks_of, permuted


@dataclass(frozen=True)
class PermutedState:
    """``activation`` [T, n] and its exchangeable ``blocks``."""

    activation: npt.NDArray[np.floating[Any]]
    blocks: Blocks


class DocumentPermuted(NullModel):
    """Documents permuted per neuron within position tertiles, in blocks (docs/methods.md#document-permuted).

    A neuron's documents change places, tertile by tertile of position, all blocks of a document together as far as
    lengths allow. What a neuron does at the start, the middle and the end of documents stays; with whom it does it
    does not.  Blocks keep the dependence of neighbouring positions, so the spread of null correlations is that of
    documents, not of tokens.
    """

    name = "document_permuted"
    randomises = "activations"
    preserves = (
        "each neuron's values, half by half and tertile by tertile of position",
        "dependence of positions within a block, and of a document's blocks where lengths allow",
    )
    breaks = ("which neurons are active in the same document", "which neurons are active at the same position")
    exchangeable = "documents, block by block of like position and length, for each neuron by itself"
    reference = (
        "restricted permutation of exchangeable blocks: Winkler et al. (2015), NeuroImage 123:253; "
        "docs/methods.md#document-permuted"
    )
    when = (
        "Are these neurons coupled at all? It rejects for any coupling, modular or not; matched_sets asks for modules."
    )
    says = "Documents are shuffled per neuron: is there any coupling at all?"

    def prepare(self, measurements: Any, observed: Observed) -> PermutedState:
        """Activations and their blocks."""
        need(observed, "activations", self.name)
        return PermutedState(observed.value.numpy(), blocks_of(observed))

    def draw(self, state: PermutedState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        """Of [T, n], one per replicate."""
        for r in replicates:
            yield torch.from_numpy(permuted(state.activation, state.blocks, generator(seed, r, "docperm")))

    def example(self) -> Observed:
        """Two neurons; three documents of two rows in one half, one in the other: 36 draws."""
        document = np.repeat(np.arange(4), 2)
        return Observed("activations", torch.arange(16.0).double().reshape(8, 2), sets=(torch.arange(2),) * 2,
                        documents=document, positions=np.full(8, 5), half=(document == 3).astype(np.int64))  # fmt: skip

    def space(self, observed: Observed) -> Sequence[Hashable] | None:
        """Every order of the blocks of every class, for every neuron."""
        value = np.asarray(observed.value)
        classes = [c.rows for c in blocks_of(observed).classes if len(c.rows) > 1]
        places = [(rows, column) for rows in classes for column in range(value.shape[1])]
        found = []
        for orders in product(*(permutations(range(len(rows))) for rows, _ in places)):
            draw = value.copy()
            for (rows, column), order in zip(places, orders, strict=True):
                draw[rows, column] = value[rows[list(order)], column]
            found.append(self.signature(draw))
        return found

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Each neuron's values of each class of blocks, and the blocks themselves."""
        before, after = np.asarray(observed.value), np.asarray(draw)
        classes = [c.rows for c in blocks_of(observed).classes]
        values = all(np.array_equal(np.sort(before[c.ravel()], 0), np.sort(after[c.ravel()], 0)) for c in classes)
        whole = all(_same_blocks(before[c], after[c]) for c in classes)
        return tuple(zip(self.preserves, (values, whole), strict=True))

    def cost(self, state: PermutedState) -> float:
        """A gather of the activations."""
        return float(state.activation.size)

    def diagnostics(self, state: PermutedState, draws: Any) -> dict[str, Any]:
        """Share of the rows that can move."""
        return {"movable_share": state.blocks.movable}


def _same_blocks(before: npt.NDArray[Any], after: npt.NDArray[Any]) -> bool:
    """Whether every neuron has the same blocks [blocks, length, n], in any order."""
    return all(
        sorted(before[:, :, j].tolist()) == sorted(after[:, :, j].tolist()) for j in range(before.shape[2])
    )  # fmt: skip
