"""Correlation graphs as null models see them: both crossings on one union of neurons, and how noisy they are.

The sets of the two halves overlap, so their graphs [2 (set chosen on), 2 (half), n, n] share neurons and
documents.  A null that drew the two crossings one by one would understate how much their mean scatters; here every
draw is made once, on the union of the two sets, and then cut into the two crossings as the data are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...data.errors import InputError
from ...estimators import coactivation
from ...estimators.communities import threshold_graph
from .base import Observed, generator, need
from .blocks import blocks_of, permuted

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

DENSITY = 0.25
"""Share of pairs that count as edges where a null needs edges (as in clusters.rewired)."""
REWIRING_NOTE = (
    "Rewiring is a weak null for correlation graphs. It treats edges as independent, but a correlation matrix is "
    "transitive by construction: if A goes with B and B with C, then A tends to go with C. Graphs without any "
    "modules therefore look modular against it. Its p-value stands here for comparison with the literature and "
    "decides nothing; the comparison with matched sets does."
)
"""What must be said wherever a null model rewires a correlation graph."""

T_EFF_DRAWS = 20
"""Document permutations from which the effective number of observations is taken."""


@dataclass(frozen=True)
class Union:
    """Correlations of the union of two sets.

    ``r`` [2 (half), u, u]; ``sets`` [2, n] places of the two sets in the union; ``t_eff`` effective observations of
    each half.
    """

    r: FloatArray
    sets: IntArray
    t_eff: tuple[float, float]

    @property
    def mean(self) -> FloatArray:
        """Correlations averaged over the halves, [u, u]."""
        return np.asarray(self.r.mean(0))

    @property
    def size(self) -> int:
        """Neurons in the union."""
        return int(self.r.shape[-1])


def union_of(observed: Observed, null: str) -> Union:
    """Union of the two crossings' graphs.

    Pairs that are in neither set come from the activations behind the graph, or, without these, are given the mean.

    Raises
    ------
    InputError
        If `observed` is no graph of two crossings and two halves.
    """
    need(observed, "graph", null)
    value = np.asarray(observed.value, dtype=np.float64)
    if value.ndim != 4 or value.shape[:2] != (2, 2) or value.shape[2] != value.shape[3] or value.shape[2] < 4:
        raise InputError(f"{null} needs correlations [2, 2, n, n] of at least 4 neurons, got {value.shape}",
                         "Observed.value", "offer both crossings and both halves")  # fmt: skip
    n = value.shape[2]
    named = np.stack([np.asarray(s) for s in observed.sets]) if observed.sets else np.stack([np.arange(n)] * 2)
    columns, places = np.unique(named, return_inverse=True)
    sets = places.reshape(2, n)
    off = ~np.eye(n, dtype=np.bool_)
    r = np.stack([_filled(value[:, half], sets, len(columns), observed, columns, half, off) for half in (0, 1)])
    return Union(r, sets, effective_observations(observed, r))


def _filled(
    value: FloatArray,
    sets: IntArray,
    size: int,
    observed: Observed,
    columns: IntArray,
    half: int,
    off: npt.NDArray[np.bool_],
) -> FloatArray:
    if observed.behind is not None and observed.half is not None:
        rows = torch.from_numpy(np.flatnonzero(observed.half == half))
        r = coactivation.correlation(observed.behind[rows][:, torch.from_numpy(columns)].double()).numpy().copy()
    else:
        r = np.full((size, size), value[:, off].mean())
    for crossing in (0, 1):
        r[np.ix_(sets[crossing], sets[crossing])] = value[crossing]
    np.fill_diagonal(r, 1.0)
    return np.asarray(r)


def cut(r: FloatArray, sets: IntArray) -> torch.Tensor:
    """Graphs [2 (set chosen on), 2 (half), n, n] of the union's correlations [2 (half), u, u]."""
    return torch.from_numpy(np.stack([r[:, s[:, None], s[None, :]] for s in sets]))


def effective_observations(observed: Observed, r: FloatArray) -> tuple[float, float]:
    """Effective number of observations of each half.

    With the activations behind the graph, 1 / var(r) under permutation of documents
    (docs/methods.md#effective-observations); without,
    from the disagreement of the halves, mean (1 - r^2)^2 over Var(r_A - r_B) / 2, which also counts real differences
    of documents.
    """
    upper = np.triu_indices(r.shape[-1], 1)
    if observed.behind is None:
        noise = float((r[0][upper] - r[1][upper]).var()) / 2
        t_eff = float(((1 - r.mean(0)[upper] ** 2) ** 2).mean()) / max(noise, 1e-9)
        return (max(t_eff, 3.0),) * 2
    named = np.unique(np.stack([np.asarray(s) for s in observed.sets])) if observed.sets else slice(None)
    activation = observed.behind.numpy()[:, named]
    blocks, half = blocks_of(observed), np.zeros(len(activation)) if observed.half is None else observed.half
    found = [[], []]  # type: tuple[list[float], list[float]] | list[list[float]]
    for k in range(T_EFF_DRAWS):
        drawn = torch.from_numpy(permuted(activation, blocks, generator(0, k, "t_eff")))
        for side in (0, 1):
            null = coactivation.correlation(drawn[torch.from_numpy(np.flatnonzero(half == side))].double()).numpy()
            found[side].append(float(null[upper].var()))
    first, second = (max(3.0, 1 / max(float(np.mean(v)), 1e-9)) for v in found)
    return first, second


def keys(seed: int, replicate: int, stream: str, count: int) -> npt.NDArray[np.uint64]:
    """Keys of one replicate for generators that take uint64 seeds, [count]."""
    return generator(seed, replicate, stream).integers(2**64, size=count, dtype=np.uint64)


def strong_pairs(r: FloatArray, signed: bool = False) -> npt.NDArray[np.int8]:
    """Signs [u, u] of the strongest quarter of pairs of one matrix, by r or, signed, by abs(r); 0 elsewhere."""
    strength = np.abs(r) if signed else r
    graph = threshold_graph(strength[None], DENSITY)[0]
    return np.where(graph, np.sign(r) if signed else 1, 0).astype(np.int8)


def moved(
    union: Union, before: npt.NDArray[np.int8], after: npt.NDArray[np.int8], rng: np.random.Generator
) -> FloatArray:
    """Correlations [2, u, u] carried from the pairs of `before` to those of `after`.

    A pair's two halves move together, from a pair of one sign in `before` to a random pair of the same sign in `after`.
    """
    upper = np.triu_indices(union.size, 1)
    values, old, new = union.r[:, upper[0], upper[1]], before[upper], after[upper]
    image = np.empty_like(values)
    for sign in np.unique(old):
        image[:, new == sign] = values[:, rng.permutation(np.flatnonzero(old == sign))]
    out = np.zeros_like(union.r)
    out[:, upper[0], upper[1]] = image
    out += out.transpose(0, 2, 1)
    out[:, np.arange(union.size), np.arange(union.size)] = 1.0
    return out


def example_graph(n: int = 8, seed: int = 0) -> Observed:
    """Correlations of `n` neurons with different variances shared, in two halves; both crossings hold the same set."""
    rng = np.random.default_rng(seed)
    factor = rng.standard_normal((120, 2)) @ rng.standard_normal((2, n)) * 0.5
    x = torch.from_numpy(factor + rng.standard_normal((120, n)))
    r = torch.stack([coactivation.correlation(x[:60]), coactivation.correlation(x[60:])])
    return Observed("graph", torch.stack([r, r]), sets=(torch.arange(n), torch.arange(n)))


def same_pairs(observed: Observed, draw: Any) -> bool:
    """Whether a draw has the pairs of correlations (one a half) that the observed graph has, in any order."""
    upper = np.triu_indices(np.asarray(draw).shape[-1], 1)
    old, new = (np.asarray(x)[0][:, upper[0], upper[1]] for x in (observed.value, draw))
    return bool(np.array_equal(np.array(sorted(old.T.tolist())), np.array(sorted(new.T.tolist()))))
