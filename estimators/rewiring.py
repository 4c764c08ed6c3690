"""Degree-preserving rewiring: random simple graphs with the degrees of a given one, signed or not.

Each step picks two edges a-b and c-d at random and proposes a-d and c-b (Maslov, Sneppen 2002, Science 296:910).  A
step that would make a self-loop or a double edge leaves the graph as it is and still counts: only then is the chain
symmetric, and uniform over all simple graphs with these degrees (Rao, Jana, Bandyopadhyay 1996, Sankhya A 58:225;
Fosdick, Larremore, Nishimura, Ugander 2018, SIAM Rev. 60:315).  At 1 tried step an edge planted structure survives; 10
is the default, and `mixing` shows what is left.

Rewiring treats edges as independent.  Thresholded correlation matrices are transitive by construction, so an excess of
modularity over rewired graphs is no evidence of modules in them (docs/methods.md#clusters-rewired).

Graphs are edge arrays [m, 2] or batches of small adjacency matrices [R, n, n].  One key a replicate; a result depends
on its graph and key alone.  Which pairs are taken is kept as one bit a pair, n^2 / 8 bytes a thread.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .leiden import FloatArray, IntArray, SeedArray, below, check_seeds, kernel, over_chunks, stream

BoolArray = npt.NDArray[np.bool_]
SignArray = npt.NDArray[np.int8]
EdgeArray = npt.NDArray[np.int32]
BitArray = npt.NDArray[np.uint8]

TRIES_PER_EDGE = 10.0
"""Tried switches an edge, rejected ones included."""

_MOST_NODES = 92_681
"""Nodes whose bits take 1 GiB; more are refused."""

_STREAM = 1 << 32
"""Index of the stream of a key; Leiden's restarts, which may share the key, use 0, 1, 2, ..."""


@dataclass(frozen=True)
class Mixing:
    """How far a rewiring has come from its start.

    Parameters
    ----------
    tries_per_edge
        [P] tried switches an edge, from 0.
    edges_left
        [P] share of the original edges that are present; 1 at the start, about the edge density when mixed.
    assortativity
        [P] correlation of the degrees at the two ends of an edge (Newman 2002, PRL 89:208701, equation 4); nan where
        all degrees are equal.
    accepted
        Share of all tried switches that were made.
    """

    tries_per_edge: FloatArray
    edges_left: FloatArray
    assortativity: FloatArray
    accepted: float


@kernel
def _key(a: int, b: int, n: int) -> int:
    """Return the number of the undirected pair {a, b}."""
    return a * n + b if a < b else b * n + a


@kernel
def _mark(taken: BitArray, edges: EdgeArray, n: int, on: bool) -> None:
    """Set, or clear, the bits of the pairs in `edges`."""
    for e in range(len(edges)):
        key = _key(edges[e, 0], edges[e, 1], n)
        taken[key >> 3] = (taken[key >> 3] & ~(1 << (key & 7))) | (int(on) << (key & 7))


@kernel
def _switch(edges: EdgeArray, positive: int, n: int, taken: BitArray, tries: int, state: npt.NDArray[np.uint64]) -> int:
    """Try `tries` switches on `edges` [m, 2] in place; returns how many were made.

    ``edges[:positive]`` and ``edges[positive:]`` are two signs: both edges of a switch have the same one, and no pair
    is taken twice, by either sign.  The bits of all pairs in `edges`, and no others, are set in `taken`.
    """
    m, made = len(edges), 0
    for _ in range(tries):
        draw = below(state, 2 * m)
        first, flip = draw >> 1, draw & 1
        second = below(state, positive) if first < positive else positive + below(state, m - positive)
        a, b = edges[first, 0], edges[first, 1]
        c, d = edges[second, flip], edges[second, 1 - flip]
        if a in (c, d) or b in (c, d):
            continue
        new, other = _key(a, d, n), _key(c, b, n)
        if (taken[new >> 3] >> (new & 7)) & 1 or (taken[other >> 3] >> (other & 7)) & 1:
            continue
        old, gone = _key(a, b, n), _key(c, d, n)
        taken[old >> 3] &= ~(1 << (old & 7))
        taken[gone >> 3] &= ~(1 << (gone & 7))
        taken[new >> 3] |= 1 << (new & 7)
        taken[other >> 3] |= 1 << (other & 7)
        edges[first, 1] = d
        edges[second, 1 - flip] = b
        made += 1
    return made


@kernel
def _switch_copies(n: int, tries: int, seeds: SeedArray, copies: EdgeArray) -> None:
    """Rewire each of the equal edge arrays `copies` [R, m, 2] with its own seed, in place."""
    taken = np.zeros(n * n // 8 + 1, np.uint8)
    for r in range(len(seeds)):
        _mark(taken, copies[r], n, True)
        _switch(copies[r], copies.shape[1], n, taken, tries, stream(seeds[r], _STREAM))
        _mark(taken, copies[r], n, False)


@kernel
def switch_matrices(signs: SignArray, tries_per_edge: float, seeds: SeedArray) -> None:
    """`signed_rewire` without its checks: rewire each sign matrix of `signs` [R, n, n] in place."""
    count, n = signs.shape[0], signs.shape[1]
    edges = np.empty((n * (n - 1) // 2, 2), np.int32)
    taken = np.zeros(n * n // 8 + 1, np.uint8)
    for r in range(count):
        m, positive = 0, 0
        for sign in (1, -1):
            for i in range(n):
                for j in range(i + 1, n):
                    if signs[r, i, j] == sign:
                        edges[m, 0], edges[m, 1] = i, j
                        m += 1
            if sign == 1:
                positive = m
        _mark(taken, edges[:m], n, True)
        _switch(edges[:m], positive, n, taken, int(np.ceil(tries_per_edge * m)), stream(seeds[r], _STREAM))
        _mark(taken, edges[:m], n, False)
        for i in range(n):
            for j in range(n):
                signs[r, i, j] = 0
        for e in range(m):
            i, j = edges[e, 0], edges[e, 1]
            signs[r, i, j] = signs[r, j, i] = 1 if e < positive else -1


def rewire(
    edges: npt.ArrayLike,
    n: int,
    seeds: npt.ArrayLike,
    tries_per_edge: float = TRIES_PER_EDGE,
    *,
    threads: int | None = None,
) -> IntArray:
    """Rewired copies of one simple graph, each with its degrees.

    Parameters
    ----------
    edges
        [m, 2] node pairs, no loops, none twice.
    n
        Number of nodes.
    seeds
        uint64 [R], one key a copy.
    tries_per_edge
        Tried switches an edge, rejected ones included.
    threads
        Threads over R; ``None`` for all.

    Returns
    -------
    int64 [R, m, 2]
        Edges of the copies; edge e of a copy has no relation to edge e of the original.
    """
    original = _check_edges(edges, n)
    keys = np.ascontiguousarray(seeds).astype(np.uint64)
    tries = check_tries(tries_per_edge, len(original))
    copies = np.repeat(original[None], len(keys), axis=0)

    def work(start: int, stop: int) -> None:
        _switch_copies(n, tries, keys[start:stop], copies[start:stop])

    over_chunks(work, len(keys), original.nbytes, threads)
    return copies.astype(np.int64)


def rewire_adjacency(
    graph: npt.ArrayLike,
    seeds: npt.ArrayLike,
    tries_per_edge: float = TRIES_PER_EDGE,
    *,
    threads: int | None = None,
) -> BoolArray:
    """Rewire each of a batch of small simple graphs, with its degrees.

    Parameters
    ----------
    graph
        bool [R, n, n], symmetric; the diagonal is ignored.
    seeds
        uint64 [R], one key a graph.
    tries_per_edge, threads
        As for `rewire`.

    Returns
    -------
    bool [R, n, n]
        Adjacency matrices with the row sums of `graph`.
    """
    return signed_rewire(np.asarray(graph, dtype=np.bool_).astype(np.int8), seeds, tries_per_edge, threads=threads) > 0


def signed_rewire(
    signs: npt.ArrayLike,
    seeds: npt.ArrayLike,
    tries_per_edge: float = TRIES_PER_EDGE,
    *,
    threads: int | None = None,
) -> SignArray:
    """Rewire positive and negative edges, each within its own sign, never two on one pair of nodes.

    Both the positive and the negative degree of every node stay.  A complete signed graph has no vacant pair and cannot
    move; where density is high, look at `edges_left`.

    Parameters
    ----------
    signs
        [R, n, n] symmetric, entries -1, 0 or 1; the diagonal is ignored.
    seeds
        uint64 [R], one key a graph.
    tries_per_edge, threads
        As for `rewire`.

    Returns
    -------
    int8 [R, n, n]
        Rewired sign matrices.
    """
    rewired = check_signs(signs)
    keys = check_seeds(seeds, len(rewired))
    check_tries(tries_per_edge, 0)

    def work(start: int, stop: int) -> None:
        switch_matrices(rewired[start:stop], float(tries_per_edge), keys[start:stop])

    over_chunks(work, len(rewired), 8 * max(1, rewired.shape[1]) ** 2, threads)
    return rewired


def edges_left(before: npt.ArrayLike, after: npt.ArrayLike) -> FloatArray:
    """Share of the edges of `before` [R, n, n] that `after` has too, with the same sign, [R]; nan without edges."""
    old, new = np.asarray(before), np.asarray(after)
    off_diagonal = ~np.eye(old.shape[-1], dtype=np.bool_)
    edges = (old != 0) & off_diagonal
    count = edges.sum(axis=(1, 2))
    kept = (edges & (old == new)).sum(axis=(1, 2))
    return np.where(count > 0, kept / np.maximum(count, 1), np.nan)


def mixing(edges: npt.ArrayLike, n: int, seed: int, tries_per_edge: float = TRIES_PER_EDGE, points: int = 11) -> Mixing:
    """Follow one rewiring: original edges left and degree assortativity after each tenth of the steps.

    Parameters
    ----------
    edges, n
        As for `rewire`.
    seed
        Key of the chain.
    tries_per_edge
        Length of the chain.
    points
        Times at which the chain is looked at, the start and the end included.

    Returns
    -------
    Mixing
        The traces; a chain that has mixed is level at the end.
    """
    original = _check_edges(edges, n)
    tries = check_tries(tries_per_edge, len(original))
    degree = np.bincount(original.ravel(), minlength=n)
    first_keys = _pair_keys(original, n)
    current, taken = original.copy(), np.zeros(n * n // 8 + 1, np.uint8)
    state = stream(np.uint64(seed), _STREAM)
    _mark(taken, current, n, True)
    steps = np.linspace(0, tries, points).astype(np.int64)
    left, assortativity, made = np.ones(points), np.full(points, np.nan), 0
    for point in range(points):
        if point > 0:
            made += _switch(current, len(current), n, taken, int(steps[point] - steps[point - 1]), state)
            left[point] = np.isin(first_keys, _pair_keys(current, n)).mean()
        assortativity[point] = _assortativity(current, degree)
    return Mixing(steps / max(1, len(original)), left, assortativity, made / max(1, tries))


def _pair_keys(edges: EdgeArray, n: int) -> IntArray:
    """Return the number of the undirected pair of each edge, [m]."""
    a, b = edges[:, 0].astype(np.int64), edges[:, 1].astype(np.int64)
    return np.asarray(np.minimum(a, b) * n + np.maximum(a, b))


def _assortativity(edges: EdgeArray, degree: IntArray) -> float:
    """Correlation of the degrees at the two ends of an edge, over both directions; nan for a regular graph."""
    ends = degree[np.concatenate([edges, edges[:, ::-1]])].astype(np.float64)
    ends -= ends.mean(axis=0) if len(ends) else 0.0
    variance = float((ends[:, 0] ** 2).sum())
    return float((ends[:, 0] * ends[:, 1]).sum()) / variance if variance > 0 else float("nan")


def _check_edges(edges: npt.ArrayLike, n: int) -> EdgeArray:
    """Edges as contiguous int32 [m, 2] of a simple graph on `n` nodes, or a ValueError."""
    given = np.asarray(edges)
    if given.ndim != 2 or given.shape[1] != 2 or len(given) == 0:
        raise ValueError(f"edges has shape {given.shape}; expected [m, 2] with m at least 1")
    if given.min() < 0 or given.max() >= n:
        raise ValueError(f"edges name nodes {given.min()} to {given.max()}; expected 0 to {n - 1}")
    if n > _MOST_NODES:
        raise ValueError(f"n is {n}; at most {_MOST_NODES} nodes fit, so number only the nodes that have edges")
    if (given[:, 0] == given[:, 1]).any():
        raise ValueError("edges has self-loops; take them out")
    keys = np.sort(_pair_keys(given, n))
    if (keys[1:] == keys[:-1]).any():
        raise ValueError("edges has a pair twice; rewiring is for simple graphs")
    return np.ascontiguousarray(given, dtype=np.int32)


def check_signs(signs: npt.ArrayLike) -> SignArray:
    """Copy the signs as contiguous int8 [R, n, n] with a zero diagonal, or raise a ValueError."""
    given = np.asarray(signs)
    if given.ndim != 3 or given.shape[1] != given.shape[2]:
        raise ValueError(f"the graphs have shape {given.shape}; expected [R, n, n]")
    if not np.isin(given, (-1, 0, 1)).all():
        raise ValueError("signs has entries other than -1, 0 and 1; take np.sign of the kept edges")
    if (given != given.transpose(0, 2, 1)).any():
        raise ValueError("a graph is not symmetric; rewiring is for undirected graphs")
    copy = np.array(given, dtype=np.int8, order="C")
    index = np.arange(copy.shape[1])
    copy[:, index, index] = 0
    return copy


def check_tries(tries_per_edge: float, edge_count: int) -> int:
    """Return the switches to try for `edge_count` edges, or raise a ValueError."""
    if not 0 < tries_per_edge < np.inf:
        raise ValueError(f"tries_per_edge is {tries_per_edge}; expected a positive number, at least 10 to mix")
    return int(np.ceil(tries_per_edge * edge_count))
