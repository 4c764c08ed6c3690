"""Modules by the community algorithms that others publish with: leidenalg's and igraph's, and our own Leiden.

`modules` takes a batch of correlation matrices and the name of an algorithm.  Whoever doubts what one algorithm found
asks another (``--vary algorithm=...``, `clusters.algorithms`).  What they find is scored on other documents
(`neuronull.estimators.communities.contrast_of`), whatever they optimise.

Dense graphs have an edge for every pair of neurons; thresholded ones keep a quarter of the pairs, those with the
largest r, and of these the positive ones.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import igraph
import leidenalg
import numpy as np
import numpy.typing as npt

from .communities import signed_modules, threshold_graph
from .leiden import FloatArray, IntArray, check_batch, check_seeds

__all__ = ["ALGORITHMS", "LIBRARY", "OWN", "modules", "separation"]

DENSITY = 0.25
"""Share of pairs that are edges of a thresholded graph, as for `clusters.rewired`."""
SCALES = 6
"""Resolutions that the profile looks at."""
_STEPS = 4
"""Length of walktrap's random walks (Pons, Latapy 2005)."""
_TRIALS = 3
"""Restarts of infomap."""
_IGRAPH = threading.Lock()
"""igraph has one source of random numbers for the whole process: one thread at a time may set it."""


@dataclass(frozen=True)
class _Graph:
    """One graph: the number of its neurons, its edges [(i, j)] and their weights."""

    nodes: int
    edges: Sequence[tuple[int, int]]
    weights: Sequence[float]

    def igraph(self) -> igraph.Graph:
        """The same for igraph and leidenalg."""
        return igraph.Graph(self.nodes, self.edges)


Find = Callable[[_Graph, int, float], Sequence[int]]
"""A graph, a seed and a resolution; the module of each neuron."""


def _modularity(graph: _Graph, seed: int, resolution: float) -> Sequence[int]:
    """Modularity with a resolution (Reichardt, Bornholdt 2006; Newman, Girvan 2004 where it is 1)."""
    return _leidenalg(graph, leidenalg.RBConfigurationVertexPartition, seed, resolution)


def _cpm(graph: _Graph, seed: int, resolution: float) -> Sequence[int]:
    """Constant Potts model (Traag, Van Dooren, Nesterov 2011): pairs gain r less its mean over all pairs."""
    return _leidenalg(graph, leidenalg.CPMVertexPartition, seed, resolution * float(np.mean(graph.weights)))


def _significance(graph: _Graph, seed: int, resolution: float) -> Sequence[int]:
    """Significance (Traag, Krings, Van Dooren 2013): how improbable such dense modules are in a random graph."""
    found = leidenalg.find_partition(graph.igraph(), leidenalg.SignificanceVertexPartition, n_iterations=-1, seed=seed)
    return list(found.membership)


def _profile(graph: _Graph, seed: int, resolution: float) -> Sequence[int]:
    """Of the constant Potts model at several resolutions, the partition of largest significance (the same paper).

    The resolutions divide the range from a quarter of the graph's density to 1 evenly on a log scale: from few
    modules to cliques.
    """
    known = graph.igraph()
    density = len(graph.edges) / (graph.nodes * (graph.nodes - 1) / 2)
    best, largest = list(range(graph.nodes)), float("-inf")
    for gamma in np.geomspace(density / 4, 1.0, SCALES):
        found = leidenalg.find_partition(
            known, leidenalg.CPMVertexPartition, resolution_parameter=float(gamma), n_iterations=-1, seed=seed
        )
        value = leidenalg.SignificanceVertexPartition.FromPartition(found).quality()
        if value > largest:
            best, largest = list(found.membership), value
    return best


def _walktrap(graph: _Graph, seed: int, resolution: float) -> Sequence[int]:
    """Walktrap (Pons, Latapy 2005), cut where modularity is largest; it draws nothing."""
    found = graph.igraph().community_walktrap(weights=graph.weights, steps=_STEPS).as_clustering()
    return list(found.membership)


def _infomap(graph: _Graph, seed: int, resolution: float) -> Sequence[int]:
    """Infomap (Rosvall, Bergstrom 2008)."""
    with _igraph_draws_from(seed):
        found = graph.igraph().community_infomap(edge_weights=graph.weights, trials=_TRIALS)
    return list(found.membership)


def _leidenalg(graph: _Graph, kind: type, seed: int, resolution: float) -> Sequence[int]:
    found = leidenalg.find_partition(
        graph.igraph(), kind, weights=list(graph.weights), n_iterations=-1, seed=seed, resolution_parameter=resolution
    )
    return list(found.membership)


@contextmanager
def _igraph_draws_from(seed: int) -> Iterator[None]:
    """Within the context igraph's random numbers follow from the seed; afterwards they are Python's again."""
    with _IGRAPH:
        igraph.set_random_number_generator(random.Random(seed))
        try:
            yield
        finally:
            igraph.set_random_number_generator(random)


OWN = "leiden"
"""Leiden on the two-layer signed modularity, many graphs at a time (`neuronull.estimators.communities`)."""
_DENSE: dict[str, tuple[Find, bool]] = {"modularity": (_modularity, True), "cpm": (_cpm, False)}
"""On all pairs; and whether negative correlations count as no edge."""
_SPARSE: dict[str, Find] = {
    "significance": _significance,
    "profile": _profile,
    "walktrap": _walktrap,
    "infomap": _infomap,
}
"""On thresholded graphs."""
LIBRARY = (*_DENSE, *_SPARSE)
"""The algorithms of leidenalg and igraph."""
ALGORITHMS = (OWN, *LIBRARY)


def modules(algorithm: str, r: npt.ArrayLike, seeds: npt.ArrayLike, *, resolution: float = 1.0) -> IntArray:
    """Modules of correlation matrices, found by one algorithm.

    Parameters
    ----------
    algorithm
        One of `ALGORITHMS`.
    r
        [R, n, n] correlations.
    seeds
        uint64 [R], one key a matrix: a result does not depend on the batch it came in.
    resolution
        Of the algorithms that have one (leiden, modularity, cpm): above 1 modules come out smaller.

    Returns
    -------
    int64 [R, n]
        The module of each neuron.  A graph without an edge has modules of one neuron each.

    Raises
    ------
    ValueError
        If there is no such algorithm, or shapes do not fit.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"no algorithm {algorithm!r}; known: {', '.join(ALGORITHMS)}")
    if algorithm == OWN:
        return signed_modules(r, seeds, resolution=resolution)[0]
    matrices = check_batch(r, "r")
    keys = check_seeds(seeds, len(matrices))
    found = np.tile(np.arange(matrices.shape[1]), (len(matrices), 1))
    if matrices.shape[1] < 2:
        return found
    if algorithm in _DENSE:
        find, only_positive = _DENSE[algorithm]
        kept = matrices > 0 if only_positive else np.ones(matrices.shape, np.bool_)
    else:
        find, kept = _SPARSE[algorithm], threshold_graph(matrices, DENSITY) & (matrices > 0)
    for row, matrix, edges, key in zip(found, matrices, kept, keys.tolist(), strict=True):
        _find(find, matrix, edges, key % (1 << 31), resolution, row)  # leidenalg takes seeds of 31 bits
    return found


def separation(membership: npt.ArrayLike, r_scored: npt.ArrayLike) -> FloatArray:
    """Two-sample t (pooled variance) of pairs inside modules against pairs between them.

    Algorithms cut a graph into more or fewer modules, and the mean over few pairs scatters more: on this scale their
    contrasts can be ranked together.  Pairs share neurons, so that it is no test by itself.

    Parameters
    ----------
    membership
        [R, n] modules, found elsewhere (on other documents).
    r_scored
        [R, n, n] correlations; the upper triangle is read.

    Returns
    -------
    float64 [R]
        t; 0 where no pair is inside, none between, or all correlations are equal.
    """
    labels, r = np.asarray(membership), check_batch(r_scored, "r_scored")
    rows, columns = np.triu_indices(r.shape[1], 1)
    pairs, inside = r[:, rows, columns], labels[:, rows] == labels[:, columns]
    n_in, n_out = inside.sum(1).astype(np.float64), (~inside).sum(1).astype(np.float64)
    both = (n_in > 0) & (n_out > 0) & (n_in + n_out > 2)
    with np.errstate(divide="ignore", invalid="ignore"):  # what has no pair is taken out in the last line
        mean_in, mean_out = (pairs * inside).sum(1) / n_in, (pairs * ~inside).sum(1) / n_out
        left = pairs - np.where(inside, mean_in[:, None], mean_out[:, None])
        error = np.sqrt((left**2).sum(1) / (n_in + n_out - 2) * (1 / n_in + 1 / n_out))
        found = (mean_in - mean_out) / error
    return np.where(both & (error > 0), found, 0.0)


def _find(
    find: Find, r: FloatArray, kept: npt.NDArray[np.bool_], seed: int, resolution: float, membership: IntArray
) -> None:
    """Modules of one graph, written to `membership` [n]; a neuron without an edge keeps a number of its own."""
    first, second = np.nonzero(np.triu(kept, 1))
    joined, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    if len(joined) == 0:
        return
    ends = places.reshape(2, -1)
    graph = _Graph(len(joined), list(zip(ends[0].tolist(), ends[1].tolist(), strict=True)), r[first, second].tolist())
    membership[joined] = len(membership) + np.asarray(find(graph, seed, resolution), dtype=np.int64)
