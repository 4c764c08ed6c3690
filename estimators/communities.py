"""Communities of dense weighted graphs: signed and unsigned modularity, cross-fit contrast, excess over rewired graphs.

All functions take batches [R, n, n], so that the observed matrix is replicate 0 of the same call as its null draws, and
one key a matrix, so that a result does not depend on the batch it came in.  Modularity is maximised by
`neuronull.estimators.leiden`; values agree with `leidenalg` and `igraph` to rounding.

An in-sample optimum of Q is no measure of how modular neurons are: it depends on n, T and the mean correlation
(docs/methods.md#clusters-within).  It is shown; verdicts use `modular_contrast`, whose partition is scored on other
documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .leiden import (
    FloatArray,
    IntArray,
    SeedArray,
    check_batch,
    check_seeds,
    kernel,
    leiden,
    leiden_chunk,
    over_chunks,
    stream,
)
from .leiden import value as _value
from .rewiring import TRIES_PER_EDGE, check_signs, check_tries, switch_matrices

__all__ = [
    "RewiredExcess",
    "contrast_of",
    "leiden",
    "modular_contrast",
    "modularity",
    "modularity_matrix",
    "rewired_excess",
    "signed_modularity_matrix",
    "signed_modules",
    "threshold_graph",
]

BoolArray = npt.NDArray[np.bool_]

RESTARTS = 3
"""Seeds tried for each graph; the partition with the largest quality is kept (docs/methods.md#clusters-within)."""

_COPIES = 1 << 40
"""Index of the first stream from which the keys of rewired copies come."""


@dataclass(frozen=True)
class RewiredExcess:
    """Modularity of graphs beside that of their rewired copies; every field is float64 [R].

    Parameters
    ----------
    excess
        Q* of the graph minus the mean Q* of its rewired copies, delta Q.
    observed
        Q* of the graph, the largest modularity found.
    z
        `excess` over the standard deviation of the copies' Q*; nan where that is 0.
    p
        (1 + copies with Q* no smaller) / (1 + copies): the rank of the graph among its copies.  It treats edges as
        independent and rejects module-free correlation graphs far too often (docs/methods.md#clusters-rewired): a
        description, no verdict.
    """

    excess: FloatArray
    observed: FloatArray
    z: FloatArray
    p: FloatArray


def modularity_matrix(w: npt.ArrayLike) -> FloatArray:
    """Matrix whose sum over same-community pairs is the modularity of an undirected graph, resolution 1.

    B = w / 2m - k k^T / (2m)^2, with strengths k and total weight m (Newman 2006, PNAS 103:8577, equation 2; here
    divided by 2m, so that the sum is Q).  A graph without edges gives zeros.

    Parameters
    ----------
    w
        [R, n, n] symmetric weights >= 0, or booleans; the diagonal (self-loops) is ignored.

    Returns
    -------
    float64 [R, n, n]
        B, in units of Q.
    """
    weights = check_batch(w, "w")
    if (weights < 0).any():
        raise ValueError("w has negative weights; signed_modularity_matrix takes them")
    return _signed(weights)


def signed_modularity_matrix(r: npt.ArrayLike, resolution: float = 1.0) -> FloatArray:
    """Matrix of the two-layer modularity Q = Q+ - Q- of a signed graph.

    The positive and the negative part are two layers, each normalised by its own total weight, as
    `leidenalg.ModularityVertexPartition` does with ``layer_weights=[1, -1]`` (Mucha et al. 2010, Science 328:876;
    Traag, Bruggeman 2009, Phys. Rev. E 80:036115).  A layer without weight counts 0.

    Parameters
    ----------
    r
        [R, n, n] symmetric correlations or other signed weights; the diagonal is ignored.
    resolution
        Weight of what chance would give in the positive layer (gamma+ of Traag, Bruggeman 2009): above 1
        modules come out smaller, below 1 larger.  Raised in both layers its effects would cancel.

    Returns
    -------
    float64 [R, n, n]
        B, in units of Q.

    Raises
    ------
    ValueError
        If `resolution` is not positive.
    """
    return _signed(check_batch(r, "r"), resolution)


def modularity(b: npt.ArrayLike, membership: npt.ArrayLike) -> FloatArray:
    """Sum of `b` [R, n, n] over ordered same-community pairs of `membership` [R, n], diagonal included: Q, [R]."""
    matrices = check_batch(b, "b")
    labels = _check_membership(membership, matrices)
    return np.array([_value(matrix, label) for matrix, label in zip(matrices, labels, strict=True)], dtype=np.float64)


def signed_modules(
    r: npt.ArrayLike,
    seeds: npt.ArrayLike,
    restarts: int = RESTARTS,
    *,
    resolution: float = 1.0,
    threads: int | None = None,
) -> tuple[IntArray, FloatArray]:
    """Modules of signed graphs: the partition with the largest two-layer modularity found by Leiden.

    Parameters
    ----------
    r
        [R, n, n] correlations.
    seeds
        uint64 [R], one key a matrix.
    restarts
        Leiden runs a matrix, each until stable.
    resolution
        As for `signed_modularity_matrix`.
    threads
        Threads over R; ``None`` for all.

    Returns
    -------
    membership
        int64 [R, n], modules numbered by first appearance.
    q
        float64 [R], the two-layer modularity Q*, an in-sample optimum.
    """
    matrices = check_batch(r, "r")
    keys = check_seeds(seeds, len(matrices))
    if restarts < 1:
        raise ValueError(f"restarts is {restarts}; at least 1 is needed")
    membership, q = np.empty(matrices.shape[:2], np.int64), np.empty(len(matrices))

    def work(start: int, stop: int) -> None:
        quality = _signed(matrices[start:stop], resolution)
        leiden_chunk(quality, keys[start:stop], restarts, membership[start:stop], q[start:stop])

    over_chunks(work, len(matrices), 8 * matrices.shape[1] ** 2, threads)
    return membership, q


def contrast_of(membership: npt.ArrayLike, r_scored: npt.ArrayLike) -> FloatArray:
    """Mean correlation within modules minus mean correlation between modules.

    Parameters
    ----------
    membership
        [R, n] modules, found elsewhere (on other documents).
    r_scored
        [R, n, n] correlations to score; the diagonal is ignored.

    Returns
    -------
    float64 [R]
        K, in correlation; + = modular.  One module only, or no module of two neurons, scores 0.
    """
    r = check_batch(r_scored, "r_scored")
    k = np.empty(len(r))
    _contrast(_check_membership(membership, r), r, k)
    return k


def modular_contrast(
    r_found: npt.ArrayLike,
    r_scored: npt.ArrayLike,
    seeds: npt.ArrayLike,
    restarts: int = RESTARTS,
    *,
    resolution: float = 1.0,
    threads: int | None = None,
) -> FloatArray:
    """Cross-fit modularity K: modules found on `r_found` by signed Leiden, scored on `r_scored` (clusters.within).

    Parameters
    ----------
    r_found, r_scored
        [R, n, n] correlations of the same neurons over two disjoint sets of documents.
    seeds
        uint64 [R], one key a matrix.
    restarts, resolution, threads
        As for `signed_modules`, which gives the modules themselves; `contrast_of` scores given ones.

    Returns
    -------
    float64 [R]
        K, in correlation; expectation 0 where the modules of one half are noise in the other.
    """
    modules, _ = signed_modules(r_found, seeds, restarts, resolution=resolution, threads=threads)
    return contrast_of(modules, r_scored)


def threshold_graph(r: npt.ArrayLike, density: float) -> BoolArray:
    """Graphs of the strongest correlations, all with the same number of edges.

    Edges are ranked by r itself, not by abs(r): a graph of positive coupling, in which a strong negative correlation is
    no edge.  At high density the weakest edges may have r <= 0; the number of edges is kept all the same.

    Parameters
    ----------
    r
        [R, n, n] symmetric correlations; the diagonal is ignored, the upper triangle is read.
    density
        Share of the n (n - 1) / 2 pairs that become edges, in (0, 1]; the number is rounded to the nearest, at least 1.

    Returns
    -------
    bool [R, n, n]
        Symmetric adjacency with a false diagonal.  Among equal correlations at the threshold the pairs first in row
        order are taken.
    """
    matrices = check_batch(r, "r")
    if not 0 < density <= 1:
        raise ValueError(f"density is {density}; expected a share of pairs in (0, 1]")
    n = matrices.shape[1]
    rows, columns = np.triu_indices(n, 1)
    if len(rows) == 0:
        return np.zeros(matrices.shape, np.bool_)
    edges = max(1, round(density * len(rows)))
    pairs = matrices[:, rows, columns]
    threshold = np.partition(pairs, len(rows) - edges, axis=1)[:, len(rows) - edges, None]
    above, ties = pairs > threshold, pairs == threshold
    wanted = edges - above.sum(axis=1, keepdims=True)
    chosen = above | (ties & (np.cumsum(ties, axis=1) <= wanted))
    graph = np.zeros(matrices.shape, np.bool_)
    graph[:, rows, columns] = chosen
    graph[:, columns, rows] = chosen
    return graph


def rewired_excess(
    graph: npt.ArrayLike,
    seeds: npt.ArrayLike,
    rewirings: int = 20,
    *,
    tries_per_edge: float = TRIES_PER_EDGE,
    restarts: int = RESTARTS,
    threads: int | None = None,
) -> RewiredExcess:
    """Q* of each graph minus the mean Q* of its degree-preserving rewirings (clusters.rewired).

    Parameters
    ----------
    graph
        bool [R, n, n], symmetric, as from `threshold_graph`.
    seeds
        uint64 [R], one key a graph.
    rewirings
        Rewired copies a graph, at least 2.
    tries_per_edge
        Tried switches an edge (`neuronull.estimators.rewiring`).
    restarts
        Leiden runs for the graph and for each copy.
    threads
        Threads over R; ``None`` for all.

    Returns
    -------
    RewiredExcess
        Excess, observed Q*, z and rank, each [R].
    """
    adjacency = check_signs(np.asarray(graph, dtype=np.bool_))
    keys = check_seeds(seeds, len(adjacency))
    if rewirings < 2:
        raise ValueError(f"rewirings is {rewirings}; at least 2 are needed for a standard deviation")
    check_tries(tries_per_edge, 0)
    n, copies = adjacency.shape[1], rewirings + 1
    q = np.empty((len(adjacency), copies))

    def work(start: int, stop: int) -> None:
        batch = np.repeat(adjacency[start:stop], copies, axis=0)
        copy_keys = np.empty((stop - start, copies), np.uint64)
        _copy_keys(keys[start:stop], copy_keys)
        for first, own_keys in zip(range(0, len(batch), copies), copy_keys, strict=True):
            switch_matrices(batch[first + 1 : first + copies], float(tries_per_edge), own_keys[1:])
        membership = np.empty((len(batch), n), np.int64)
        leiden_chunk(_signed(batch.astype(np.float64)), copy_keys.ravel(), restarts, membership, q[start:stop].ravel())

    over_chunks(work, len(adjacency), 8 * copies * n * n, threads)
    return _excess(q[:, 0], q[:, 1:])


def _excess(observed: FloatArray, null: FloatArray) -> RewiredExcess:
    """Summary of observed Q* [R] against null Q* [R, K]."""
    excess = observed - null.mean(axis=1)
    spread = null.std(axis=1, ddof=1)
    z = np.divide(excess, spread, out=np.full_like(excess, np.nan), where=spread > 0)
    no_smaller = (null >= observed[:, None] - 1e-12).sum(axis=1)
    return RewiredExcess(excess, observed.copy(), z, (1.0 + no_smaller) / (1.0 + null.shape[1]))


@kernel
def _copy_keys(seeds: SeedArray, keys: SeedArray) -> None:
    """Key [R, K] of every copy of every graph; copy 0 is the graph itself."""
    for r in range(keys.shape[0]):
        for copy in range(keys.shape[1]):
            keys[r, copy] = stream(seeds[r], _COPIES + copy)[0]


def _check_membership(membership: npt.ArrayLike, matrices: FloatArray) -> IntArray:
    """Labels as contiguous int64 [R, n], the shape of `matrices` [R, n, n]."""
    labels = np.ascontiguousarray(membership).astype(np.int64)
    if labels.shape != matrices.shape[:2]:
        raise ValueError(f"membership has shape {labels.shape}; expected {matrices.shape[:2]}, one label a neuron")
    return labels


def _signed(r: FloatArray, resolution: float = 1.0) -> FloatArray:
    """`signed_modularity_matrix` of a checked batch."""
    if not resolution > 0:
        raise ValueError(f"resolution is {resolution}; expected a positive number")
    b = np.empty_like(r)
    _signed_matrices(r, resolution, b)
    return b


@kernel
def _signed_matrices(r: FloatArray, resolution: float, b: FloatArray) -> None:
    """Two-layer modularity matrices of `r` [R, n, n], written to `b`; in loops, the same sums for any batch."""
    count, n = r.shape[0], r.shape[1]
    positive, negative = np.empty(n), np.empty(n)
    for g in range(count):
        total_positive, total_negative = 0.0, 0.0
        for i in range(n):
            up, down = 0.0, 0.0
            for j in range(n):
                if j != i:
                    up += max(r[g, i, j], 0.0)
                    down += max(-r[g, i, j], 0.0)
            positive[i], negative[i] = up, down
            total_positive += up
            total_negative += down
        scale_positive = 1.0 / total_positive if total_positive > 0.0 else 0.0
        scale_negative = 1.0 / total_negative if total_negative > 0.0 else 0.0
        for i in range(n):
            share_positive = resolution * positive[i] * scale_positive * scale_positive
            share_negative = negative[i] * scale_negative * scale_negative
            for j in range(n):
                weight = r[g, i, j] if j != i else 0.0
                scale = scale_positive if weight > 0.0 else scale_negative
                b[g, i, j] = weight * scale - share_positive * positive[j] + share_negative * negative[j]


@kernel
def _contrast(membership: IntArray, r: FloatArray, k: FloatArray) -> None:
    """`contrast_of` a checked batch, written to `k` [R]."""
    count, n = membership.shape
    for g in range(count):
        within, between, pairs_within = 0.0, 0.0, 0
        for i in range(n):
            for j in range(n):
                if membership[g, i] != membership[g, j]:
                    between += r[g, i, j]
                elif i != j:
                    within += r[g, i, j]
                    pairs_within += 1
        pairs_between = n * (n - 1) - pairs_within
        k[g] = within / pairs_within - between / pairs_between if pairs_within > 0 and pairs_between > 0 else 0.0
