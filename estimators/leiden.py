"""The Leiden algorithm on dense quality matrices, many graphs at a time, reproducible to the last bit.

`leiden` maximises the sum of a symmetric matrix over the pairs that share a community: fast local moving with a queue,
refinement into well-connected parts, aggregation, repeated until an iteration changes nothing (Traag, Waltman, van Eck
2019, "From Louvain to Leiden", Sci. Rep. 9:5233, algorithm A.2).  As in the authors' `leidenalg`, refinement merges a
node with the part of largest gain.  Every modularity-like quality (unsigned, signed, any resolution) is such a matrix,
so one kernel serves them all; `neuronull.estimators.communities` builds the matrices.

Each (seed, restart) has its own splitmix64 stream, and nothing depends on how graphs are spread over threads: Python
ones, around kernels that release the GIL, and no OpenMP pool, so that the process can still be forked.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
SeedArray = npt.NDArray[np.uint64]

P = ParamSpec("P")
T = TypeVar("T")

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31 = np.uint64(11), np.uint64(27), np.uint64(30), np.uint64(31)
_UNIT = 1.0 / (1 << 53)
_RELATIVE_TOLERANCE = 1e-12  # gains below this share of n max |B| are rounding
_MOST_ITERATIONS = 1000
_DEFAULT_THREADS: int = getattr(numba.config, "NUMBA_NUM_THREADS", 1)
_CHUNK_BYTES = 2_000_000


def kernel(function: Callable[P, T]) -> Callable[P, T]:
    """Compile `function` on first call, GIL released, cached on disk where numba finds a writable place."""
    try:
        compiled = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # "no locator available": neither the package nor the user's cache folder can be written
        compiled = numba.njit(nogil=True)(function)
    return cast(Callable[P, T], compiled)


def over_chunks(work: Callable[[int, int], object], count: int, item_bytes: int, threads: int | None = None) -> None:
    """Call ``work(start, stop)`` over contiguous chunks of ``range(count)``, in threads.

    `work` stores the results of its own range, which must not depend on the chunking.  A chunk holds about 2 MB of
    items of `item_bytes`.  `threads` of ``None`` means numba's count (processor affinity or ``NUMBA_NUM_THREADS``).
    """
    threads = threads or _DEFAULT_THREADS
    size = max(1, min(_CHUNK_BYTES // item_bytes, -(-count // threads)))
    edges = [*range(0, count, size), count]
    if threads == 1 or count <= size:
        for start, stop in pairwise(edges):
            work(start, stop)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work, start, stop) for start, stop in pairwise(edges)]:
            done.result()


@kernel
def mix(x: np.uint64) -> np.uint64:
    """Finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection of 64-bit words that scatters every bit."""
    x = (x ^ (x >> _S30)) * _MIX_1
    x = (x ^ (x >> _S27)) * _MIX_2
    return x ^ (x >> _S31)


@kernel
def stream(seed: np.uint64, index: int) -> npt.NDArray[np.uint64]:
    """State [1] of the splitmix64 generator that belongs to (`seed`, `index`)."""
    state = np.empty(1, np.uint64)
    state[0] = mix(mix(seed + _GOLDEN) ^ (np.uint64(index + 1) * _GOLDEN))
    return state


@kernel
def below(state: npt.NDArray[np.uint64], bound: int) -> int:
    """Next integer, uniform on 0 .. `bound` - 1 to within bound / 2^53; advances `state`."""
    state[0] += _GOLDEN
    return int(np.float64(mix(state[0]) >> _S11) * _UNIT * bound)


@kernel
def _shuffle(state: npt.NDArray[np.uint64], order: IntArray, n: int) -> None:
    """Fill ``order[:n]`` with a uniform permutation (Fisher, Yates)."""
    for i in range(n):
        j = below(state, i + 1)
        order[i] = order[j]
        order[j] = i


@kernel
def _relabel(label: IntArray, n: int, scratch: IntArray) -> int:
    """Renumber ``label[:n]`` by first appearance, in place; returns the number of labels."""
    scratch[:] = -1
    count = 0
    for i in range(n):
        if scratch[label[i]] < 0:
            scratch[label[i]] = count
            count += 1
        label[i] = scratch[label[i]]
    return count


@kernel
def _pull_to_communities(b: FloatArray, n: int, label: IntArray, k: int, pull: FloatArray) -> None:
    """``pull[c, i]`` = sum of ``b[j, i]`` over the members j of community c."""
    pull[:k, :n] = 0.0
    for i in range(n):
        row, column = pull[label[i]], b[i]
        for j in range(n):
            row[j] += column[j]


@kernel
def _best_community(
    node: int, label: IntArray, pull: FloatArray, active: IntArray, k: int, vacant: int, tolerance: float
) -> int:
    """Community with the largest pull on `node`, an empty one (`vacant`, -1 if there is none) included.

    Home wins ties, then the empty one: nodes that have nothing in common stay apart.
    """
    best, best_pull = int(label[node]), pull[label[node], node] + tolerance
    if best_pull < 0.0 and vacant >= 0:
        best, best_pull = vacant, 0.0
    for slot in range(k):
        candidate = active[slot]
        if pull[candidate, node] > best_pull:
            best, best_pull = candidate, pull[candidate, node]
    return best


@kernel
def _move_nodes(
    b: FloatArray, n: int, label: IntArray, k: int, pull: FloatArray, tolerance: float, state: npt.NDArray[np.uint64]
) -> bool:
    """Fast local moving: until the queue is empty, each node goes to the community that pulls it most.

    ``label[:n]`` (values under `k`) and `pull` are updated; returns whether any node moved.
    """
    queue = np.empty(n, np.int64)
    _shuffle(state, queue, n)
    waiting = np.ones(n, np.bool_)
    size = np.zeros(n, np.int64)
    for i in range(n):
        size[label[i]] += 1
    active, slot_of = np.arange(n), np.arange(n)  # active[:k]: communities in use, then the empty ones; its inverse
    pull[k:n, :n] = 0.0
    head, length, moved = 0, n, False
    while length > 0:
        node = queue[head]
        head = head + 1 if head + 1 < n else 0
        length -= 1
        waiting[node] = False
        home = label[node]
        vacant = active[k] if k < n and size[home] > 1 else -1
        target = _best_community(node, label, pull, active, k, vacant, tolerance)
        if target == home:
            continue
        moved = True
        if target == vacant:
            pull[vacant, :n] = 0.0
            k += 1
        size[home] -= 1
        size[target] += 1
        label[node] = target
        row, into, out_of = b[node], pull[target], pull[home]
        for j in range(n):
            into[j] += row[j]
            out_of[j] -= row[j]
        if size[home] == 0:
            k -= 1
            last, slot = active[k], slot_of[home]
            active[slot], active[k] = last, home
            slot_of[last], slot_of[home] = slot, k
        for j in range(n):
            if not waiting[j] and label[j] != target and j != node:
                waiting[j] = True
                tail = head + length
                queue[tail if tail < n else tail - n] = j
                length += 1
    return moved


@kernel
def _refine(
    b: FloatArray,
    n: int,
    label: IntArray,
    pull: FloatArray,
    part_pull: FloatArray,
    part: IntArray,
    tolerance: float,
    state: npt.NDArray[np.uint64],
) -> None:
    """Split every community into well-connected parts: singletons merged, each at most once, where that gains most.

    A node or part is well connected if the pull from the rest of its community is not negative (the sets R and T of
    algorithm A.2).  ``part[:n]`` is written.
    """
    order = np.empty(n, np.int64)
    _shuffle(state, order, n)
    start = np.zeros(n + 1, np.int64)
    for i in range(n):
        start[label[i] + 1] += 1
    for c in range(n):
        start[c + 1] += start[c]
    filled, member = np.zeros(n, np.int64), np.empty(n, np.int64)
    tie, size = np.empty(n), np.ones(n, np.int64)
    for i in range(n):
        member[start[label[i]] + filled[label[i]]] = i
        filled[label[i]] += 1
        part[i] = i
        tie[i] = pull[label[i], i]
        for j in range(n):  # a slice assignment would take seconds to compile
            part_pull[i, j] = b[i, j]
    for visit in range(n):
        node = order[visit]
        home = part[node]
        own_tie = pull[label[node], node]
        if home != node or size[node] > 1 or own_tie < -tolerance:
            continue
        best, best_pull = home, tolerance
        for slot in range(start[label[node]], start[label[node] + 1]):
            candidate = member[slot]
            if size[candidate] == 0 or tie[candidate] < -tolerance or candidate == home:
                continue
            if part_pull[candidate, node] > best_pull:
                best, best_pull = candidate, part_pull[candidate, node]
        if best == home:
            continue
        part[node] = best
        size[home] = 0
        size[best] += 1
        tie[best] += own_tie - 2.0 * best_pull
        row, into = b[node], part_pull[best]
        for j in range(n):
            into[j] += row[j]


@kernel
def _aggregate(b: FloatArray, n: int, part: IntArray, k: int, pull: FloatArray, out: FloatArray) -> None:
    """``out[p, q]`` = sum of `b` between parts p and q, diagonal 0 (the inside of a part cannot change)."""
    _pull_to_communities(b, n, part, k, pull)
    out[:k, :k] = 0.0
    for p in range(k):
        for i in range(n):
            out[p, part[i]] += pull[p, i]
        out[p, p] = 0.0


@kernel
def _iterate(
    b: FloatArray,
    membership: IntArray,
    pull: FloatArray,
    part_pull: FloatArray,
    spare: FloatArray,
    tolerance: float,
    state: npt.NDArray[np.uint64],
) -> bool:
    """One Leiden iteration from `membership`, which it updates; returns whether any node or group of nodes moved.

    `b` [n, n] has a zero diagonal; `pull`, `part_pull` [n, n] and `spare` [2, n, n] are work space.
    """
    total = membership.size
    scratch, part = np.empty(total, np.int64), np.empty(total, np.int64)
    vertex = np.arange(total)
    label = membership.copy()
    current, n, level, moved = b, total, 0, False
    while True:
        k = _relabel(label, n, scratch)
        _pull_to_communities(current, n, label, k, pull)
        moved |= _move_nodes(current, n, label, k, pull, tolerance, state)
        for i in range(total):
            membership[i] = label[vertex[i]]
        _refine(current, n, label, pull, part_pull, part, tolerance, state)
        k = _relabel(part, n, scratch)
        if k == n:
            return moved
        collapsed = spare[level % 2]
        _aggregate(current, n, part, k, pull, collapsed)
        for i in range(n):
            scratch[part[i]] = label[i]
        for p in range(k):
            label[p] = scratch[p]
        for i in range(total):
            vertex[i] = part[vertex[i]]
        current, n, level = collapsed, k, level + 1


@kernel
def value(b: FloatArray, membership: IntArray) -> float:
    """Sum of `b` over the ordered pairs that share a community, diagonal included."""
    total = 0.0
    for i in range(membership.size):
        for j in range(membership.size):
            if membership[i] == membership[j]:
                total += b[i, j]
    return total


@kernel
def _symmetric_part(b: FloatArray, out: FloatArray) -> float:
    """Write (b + b^T) / 2 with a zero diagonal to `out`; returns the largest absolute entry."""
    n, largest = len(b), 0.0
    for i in range(n):
        out[i, i] = 0.0
        for j in range(i):
            out[i, j] = out[j, i] = 0.5 * (b[i, j] + b[j, i])
            largest = max(largest, abs(out[i, j]))
    return largest


@kernel
def leiden_chunk(quality: FloatArray, seeds: SeedArray, restarts: int, membership: IntArray, best: FloatArray) -> None:
    """`leiden` without its checks: fills `membership` [R, n] and `best` [R]."""
    count, n = membership.shape
    b, pull, part_pull = np.empty((n, n)), np.empty((n, n)), np.empty((n, n))
    spare = np.empty((2, n, n))
    attempt, scratch = np.empty(n, np.int64), np.empty(n, np.int64)
    for r in range(count):
        tolerance = _RELATIVE_TOLERANCE * n * _symmetric_part(quality[r], b)
        best[r] = -np.inf
        for restart in range(restarts):
            state = stream(seeds[r], restart)
            for i in range(n):
                attempt[i] = i
            for _ in range(_MOST_ITERATIONS):
                if not _iterate(b, attempt, pull, part_pull, spare, tolerance, state):
                    break
            found = value(quality[r], attempt)
            if found > best[r] + (tolerance if restart > 0 else 0.0):
                best[r] = found
                for i in range(n):
                    membership[r, i] = attempt[i]
        _relabel(membership[r], n, scratch)


def leiden(
    quality: npt.ArrayLike, seeds: npt.ArrayLike, restarts: int = 3, *, threads: int | None = None
) -> tuple[IntArray, FloatArray]:
    """Partition that maximises the sum of a symmetric matrix over same-community pairs, for each of R matrices.

    Parameters
    ----------
    quality
        [R, n, n]; only its symmetric part matters.  With a modularity matrix (divided by twice the total weight) the
        value is Q.  The diagonal adds a constant.
    seeds
        uint64 [R], one key a matrix; a result depends on its own matrix and key alone.
    restarts
        Independent runs, each iterated until stable; the best is kept, the earliest among equals.
    threads
        Threads over R; ``None`` for all.

    Returns
    -------
    membership
        int64 [R, n], communities numbered by first appearance.
    value
        float64 [R], sum over ordered same-community pairs, diagonal included.
    """
    b = check_batch(quality, "quality")
    keys = check_seeds(seeds, len(b))
    if restarts < 1:
        raise ValueError(f"restarts is {restarts}; at least 1 is needed")
    membership, best = np.empty(b.shape[:2], np.int64), np.empty(len(b))

    def work(start: int, stop: int) -> None:
        leiden_chunk(b[start:stop], keys[start:stop], restarts, membership[start:stop], best[start:stop])

    over_chunks(work, len(b), 8 * b.shape[1] ** 2, threads)
    return membership, best


def check_batch(matrices: npt.ArrayLike, name: str) -> FloatArray:
    """Matrices as contiguous float64 [R, n, n]; ValueError if they are not square and finite."""
    b = np.ascontiguousarray(matrices, dtype=np.float64)
    if b.ndim != 3 or b.shape[1] != b.shape[2] or b.shape[1] == 0:
        raise ValueError(f"{name} has shape {b.shape}; expected [R, n, n] with n at least 1")
    if not np.isfinite(b).all():
        raise ValueError(f"{name} has entries that are not finite; leave out constant neurons before correlating")
    return b


def check_seeds(seeds: npt.ArrayLike, count: int) -> SeedArray:
    """Keys as contiguous uint64 [R]; ValueError if there is not one for each of `count` matrices."""
    keys = np.ascontiguousarray(seeds).astype(np.uint64)
    if keys.shape != (count,):
        raise ValueError(f"seeds has shape {keys.shape}; expected one for each matrix, ({count},)")
    return keys
