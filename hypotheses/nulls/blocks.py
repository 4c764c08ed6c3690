"""Blocks of documents: which stretches of activations may stand in for each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...estimators.leiden import kernel
from .base import Observed

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

TERTILES = 3


SHORT = 0.1
"""Blocks are as long as this quantile of the stretches, so that nearly every document has one in every tertile."""


@dataclass(frozen=True)
class BlockClass:
    """Blocks that may stand in for each other: ``rows`` [B, length], and the document of each, ``document`` [B]."""

    rows: IntArray
    document: IntArray


@dataclass(frozen=True)
class Blocks:
    """Exchangeable blocks of rows, and the half of each document, ``half`` [D], in order."""

    classes: tuple[BlockClass, ...]
    half: IntArray

    @property
    def movable(self) -> float:
        """Share of the rows that have another block to change places with."""
        sizes = [(c.rows.size, len(c.rows) > 1) for c in self.classes]
        return sum(size for size, moves in sizes if moves) / max(1, sum(size for size, _ in sizes))


def document_blocks(half: IntArray, document: IntArray, position: IntArray) -> Blocks:
    """Cut rows into exchangeable blocks.

    The rows of a document in one tertile of position are a stretch, cut into blocks of one length (the `SHORT`
    quantile of all stretches) and a shorter rest.  Blocks of like half, tertile, place in their stretch and length
    are a class, so that a document has at most one block in a class.

    Parameters
    ----------
    half, document, position : [T]
        Of each row; positions are cut at the tertiles of all rows.
    """
    cuts = np.quantile(position, np.arange(1, TERTILES) / TERTILES)
    tertile = np.searchsorted(cuts, position, side="left")
    names, index = np.unique(np.stack([half, document]), axis=1, return_inverse=True)
    index = index.reshape(-1)
    order = np.lexsort((np.arange(len(half)), position, tertile, index))
    of = np.stack([index, tertile])[:, order]
    stretches = np.split(order, np.flatnonzero((of[:, 1:] != of[:, :-1]).any(0)) + 1)
    length = max(1, int(np.quantile([len(s) for s in stretches], SHORT)))
    found: dict[tuple[int, int, int, int], list[IntArray]] = {}
    for stretch in stretches:
        for start in range(0, len(stretch), length):
            block = stretch[start : start + length]
            key = (int(half[block[0]]), int(tertile[block[0]]), start, len(block))
            found.setdefault(key, []).append(block)
    classes = [np.stack(found[key]) for key in sorted(found)]
    return Blocks(tuple(BlockClass(rows, index[rows[:, 0]]) for rows in classes), names[0].astype(np.int64))


def blocks_of(observed: Observed) -> Blocks:
    """Blocks of an observed object by half, document and position of its rows; without documents, each row is one."""
    rows = len(observed.value if observed.behind is None else observed.behind)
    one = np.zeros(rows, dtype=np.int64)
    half = one if observed.half is None else observed.half
    document = np.arange(rows) if observed.documents is None else observed.documents
    return document_blocks(half, document, one if observed.positions is None else observed.positions)


def permuted(
    activation: npt.NDArray[np.floating], blocks: Blocks, rng: np.random.Generator
) -> npt.NDArray[np.floating]:
    """`activation` [T, n] with documents permuted within their half, each neuron by itself.

    One permutation of documents a neuron moves the blocks of all classes: where document d has a block and its image
    pi(d) has none in that class, pi(pi(d)), and so on, is taken (the first return to a subset of a uniform
    permutation is uniform on it).  So the blocks of a document stay together wherever lengths allow, and with them
    the dependence inside documents.
    """
    out, width = activation.copy(), activation.shape[1]
    keys = blocks.half[:, None] + rng.random((len(blocks.half), width))
    image = np.argsort(keys, axis=0, kind="stable")  # documents are in order of half, so that each stays in its own
    place = np.empty(len(image), dtype=np.int64)
    for one in blocks.classes:
        if len(one.rows) > 1:
            _move(activation, out, image, one.rows, one.document, place)
    return out


@kernel
def _move(
    activation: npt.NDArray[np.floating],
    out: npt.NDArray[np.floating],
    image: IntArray,
    rows: IntArray,
    document: IntArray,
    place: IntArray,
) -> None:
    """Fill the blocks of one class from the blocks that `image` [D, n] brings there by first return."""
    place[:] = -1
    for b in range(len(document)):
        place[document[b]] = b
    for b in range(len(document)):
        for j in range(image.shape[1]):
            source = image[document[b], j]
            while place[source] < 0:
                source = image[source, j]
            for k in range(rows.shape[1]):
                out[rows[b, k], j] = activation[rows[place[source], k], j]
