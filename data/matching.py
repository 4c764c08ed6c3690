"""Matching: each position of condition a looks for one of b in its document that is about as hard to predict."""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from itertools import pairwise

import numpy as np

from .measurements import NEITHER, A, B, IntArray, Panel

DECILES = 10
"""Bins of baseline loss within which positions are matched."""


def matches(panel: Panel, seed: int) -> IntArray:
    """Return, for each position of a, the row of its position of b, int64 [T]; -1 for unmatched and all others.

    Positions of a in a document take turns in hash order.  Each takes, of the positions of b in the document that are
    still free, the nearest in its own decile of baseline loss, or where none is left there the nearest in the two
    neighbouring deciles; of two equally near the earlier.
    """
    decile = loss_deciles(panel)
    match = np.full(len(panel), -1, dtype=np.int64)
    bounds = np.flatnonzero(np.diff(panel.document, prepend=-1, append=-1))
    for start, stop in pairwise(bounds.tolist()):
        _match_document(panel, decile, seed, range(start, stop), match)
    return match


def loss_deciles(panel: Panel) -> IntArray:
    """Return the decile, 0-9, of each position's loss among the losses of all classed positions, int64 [T]."""
    classed = panel.loss[panel.label != NEITHER]
    if not len(classed):
        return np.zeros(len(panel), dtype=np.int64)
    edges = np.quantile(classed, np.arange(1, DECILES) / DECILES)
    return np.searchsorted(edges, panel.loss, side="right").astype(np.int64)


def keyed_hash(purpose: str, seed: int, content: bytes) -> bytes:
    """Return a hash of the content, keyed by purpose and seed so that no two uses of it are related."""
    return hashlib.blake2b(content, digest_size=16, key=f"{purpose} {seed}".encode()).digest()


def _match_document(panel: Panel, decile: IntArray, seed: int, rows: range, match: IntArray) -> None:
    """Match the positions of a in one document, writing into `match`."""
    label = panel.label[rows.start : rows.stop]
    free: list[list[tuple[int, int]]] = [[] for _ in range(DECILES)]
    for row in (rows.start + np.flatnonzero(label == B)).tolist():
        insort(free[decile[row]], (int(panel.position[row]), row))
    of_a = (rows.start + np.flatnonzero(label == A)).tolist()
    document = int(panel.document[rows.start]) if len(rows) else 0
    for row in sorted(of_a, key=lambda row: _turn(seed, document, int(panel.position[row]))):
        own, position = int(decile[row]), int(panel.position[row])
        chosen = _nearest(free, (own,), position) or _nearest(free, (own - 1, own + 1), position)
        if chosen is not None:
            bin_, place = chosen
            match[row] = free[bin_].pop(place)[1]


def _nearest(free: list[list[tuple[int, int]]], bins: tuple[int, ...], position: int) -> tuple[int, int] | None:
    """Return (bin, place in it) of the free position nearest to `position`; the earlier of two equally near."""
    best: tuple[int, int, int, int] | None = None
    for bin_ in bins:
        if not 0 <= bin_ < DECILES:
            continue
        after = bisect_left(free[bin_], (position, -1))
        for place in (after - 1, after):
            if 0 <= place < len(free[bin_]):
                found = free[bin_][place][0]
                candidate = (abs(found - position), found, bin_, place)
                best = candidate if best is None else min(best, candidate)
    return None if best is None else best[2:]


def _turn(seed: int, document: int, position: int) -> bytes:
    """Hash that orders the positions of a in a document."""
    return keyed_hash("turn", seed, document.to_bytes(8, "little") + position.to_bytes(8, "little"))
