"""Clusters of documents: those that share a source, or copy each other, are no independent evidence.

Documents of one package, site or author are alike, and a copy of a document tells nothing new.  Tests therefore count
clusters of them (docs/methods.md#clusters-of-documents).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.sparse.csgraph import connected_components

from .errors import InputError

IntArray = npt.NDArray[np.int64]

SHINGLE = 5
"""Tokens of a shingle."""
ALIKE = 0.5
"""Jaccard similarity of the shingles of two documents from which they are near-copies."""
BOILERPLATE = 0.05
"""A shingle that is in more than this share of the documents (and in more than `FEW`) says nothing of two of them."""
FEW = 10
MOST_IN_COPIES = 0.25
"""Share of the documents that may be near-copies of each other before the corpus is refused."""


def clusters(groups: Sequence[str], input_ids: Sequence[Sequence[int]]) -> IntArray:
    """Return the cluster of each document, int64 [D], numbered 0, 1, ... in the order of their first documents.

    Parameters
    ----------
    groups
        Source that each document shares with others; empty for one that shares none.
    input_ids
        Token ids of each.

    Raises
    ------
    InputError
        If more than a quarter of the documents are near-copies of one another.
    """
    d = len(groups)
    first: dict[str, int] = {}
    of_source = [(place, first.setdefault(group, place)) for place, group in enumerate(groups) if group]
    copies = near_copies(input_ids)
    _refuse_copies(copies, d)
    links = np.array([*of_source, *copies], dtype=np.int64).reshape(-1, 2)
    return _components(links, d)


def near_copies(input_ids: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the pairs of documents whose shingles have a Jaccard similarity of at least `ALIKE`.

    Notes
    -----
    Broder 1997, "On the resemblance and containment of documents".  Exact: with boilerplate gone few documents share
    a shingle, and the product of the sparse matrix documents x shingles with its transpose is small; no hashing of
    minima, and no error of it.
    """
    d = len(input_ids)
    rows, names = [], []
    for place, ids in enumerate(input_ids):
        found = _shingles(np.asarray(ids, dtype=np.uint64))
        rows.append(np.full(len(found), place))
        names.append(found)
    row, (_, column) = np.concatenate(rows), np.unique(np.concatenate(names), return_inverse=True)
    common = np.bincount(column) > max(FEW, BOILERPLATE * d)
    kept = ~common[column]
    holds = scipy.sparse.csr_matrix((np.ones(kept.sum()), (row[kept], column[kept])), shape=(d, len(common)))
    size = np.asarray(holds.sum(1)).ravel()
    both = scipy.sparse.triu(holds @ holds.T, k=1).tocoo()
    jaccard = both.data / (size[both.row] + size[both.col] - both.data)
    alike = jaccard >= ALIKE
    return list(zip(both.row[alike].tolist(), both.col[alike].tolist(), strict=True))


def _shingles(ids: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Different runs of `SHINGLE` tokens, as polynomial hashes in 64 bits; of a shorter document its one run."""
    n = max(len(ids) - SHINGLE + 1, 1)
    value: npt.NDArray[np.uint64] = np.zeros(n, dtype=np.uint64)
    for k in range(min(SHINGLE, len(ids))):
        value = value * np.uint64(0x9E3779B97F4A7C15) + ids[k : k + n] + np.uint64(1)
    return np.unique(value)


def _refuse_copies(copies: Sequence[tuple[int, int]], d: int) -> None:
    component = _components(np.array(copies, dtype=np.int64).reshape(-1, 2), d)
    size = np.bincount(component)
    largest = int(size.max())
    if largest > max(1, MOST_IN_COPIES * d):
        one = int(np.flatnonzero(component == size.argmax())[0])
        raise InputError(
            f"{largest} of {d} documents are near-copies of document {one}, at most a quarter may be",
            "--corpus",
            "leave repeats out",
        )


def _components(links: IntArray, d: int) -> IntArray:
    graph = scipy.sparse.coo_matrix((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(d, d))
    label = connected_components(graph, directed=False)[1]
    order = np.argsort(np.unique(label, return_index=True)[1])
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    found: IntArray = number[label]
    return found
