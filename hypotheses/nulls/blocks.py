"""Blocks of documents: which stretches of activations may stand in for each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .base import Observed

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

TERTILES = 3


@dataclass(frozen=True)
class Blocks:
    """Exchangeable blocks of rows: ``classes`` holds, for each class, the rows [blocks, length] of its blocks.

    Blocks of a class have the same half, the same tertile of position and the same length.
    """

    classes: tuple[IntArray, ...]
    rows: int

    @property
    def movable(self) -> float:
        """Share of the rows that have another block to change places with."""
        return sum(c.size for c in self.classes if len(c) > 1) / max(1, self.rows)


def document_blocks(half: IntArray, document: IntArray, position: IntArray) -> Blocks:
    """Cut rows into exchangeable blocks.

    The rows of a document in one tertile of position are one stretch, cut into blocks of the median length of all
    stretches and a shorter rest; blocks of like half, tertile and length are a class.

    Parameters
    ----------
    half, document, position : [T]
        Of each row; positions are cut at the tertiles of all rows.
    """
    cuts = np.quantile(position, np.arange(1, TERTILES) / TERTILES)
    tertile = np.searchsorted(cuts, position, side="left")
    order = np.lexsort((np.arange(len(half)), position, tertile, document, half))
    names = np.stack([half, document, tertile])[:, order]
    starts = np.flatnonzero(np.r_[True, (names[:, 1:] != names[:, :-1]).any(0)])
    stretches = np.split(order, starts[1:])
    length = max(1, int(np.median([len(s) for s in stretches])))
    found: dict[tuple[int, int, int], list[IntArray]] = {}
    for stretch in stretches:
        for start in range(0, len(stretch), length):
            block = stretch[start : start + length]
            found.setdefault((int(half[block[0]]), int(tertile[block[0]]), len(block)), []).append(block)
    return Blocks(tuple(np.stack(found[key]) for key in sorted(found)), len(half))


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
    """`activation` [T, n] with the blocks of every class permuted, each neuron by itself."""
    out = activation.copy()
    width = activation.shape[1]
    for rows in blocks.classes:
        if len(rows) < 2:
            continue
        image = np.argsort(rng.random((len(rows), width), dtype=np.float32), axis=0, kind="stable")
        out[rows] = np.take_along_axis(activation[rows], image[:, None, :], axis=0)
    return out
