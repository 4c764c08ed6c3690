"""Strata of neurons with like covariates, and the balance of a set against its strata (null `matched_sets`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.stats

SKEWED = 1.0
"""Absolute skewness above which a positive covariate is taken in logarithms."""


def standardised_covariates(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Covariates [N, k] with mean 0 and sd 1, logged where positive and skewed; constant columns become 0."""
    columns = []
    for column in table.T:
        positive = column.min() > 0
        skew = float(scipy.stats.skew(column)) if column.std() > 0 else 0.0
        x = np.log(column) if positive and abs(skew) > SKEWED else column
        columns.append((x - x.mean()) / x.std() if x.std() > 0 else np.zeros_like(x))
    return np.stack(columns, axis=1)


def strata(table: npt.NDArray[np.float64], smallest: int) -> npt.NDArray[np.int64]:
    """Stratum of each neuron, int64 [N]: recursive median splits along the covariates' principal components.

    The number of cells is the largest power of two that leaves `smallest` neurons in each; split j runs along
    component j (of all neurons, in order of variance; from the first again when there are more splits than components).

    Parameters
    ----------
    table : [N, k]
        Covariates.
    smallest
        Neurons that every cell must hold; at least 1.
    """
    if smallest < 1:
        raise ValueError(f"a stratum must hold at least one neuron, got smallest={smallest}")
    x = standardised_covariates(table)
    _, _, axes = np.linalg.svd(x - x.mean(0), full_matrices=False)
    scores = x @ axes.T
    cells = [np.arange(len(x))]
    depth = 0
    while len(x) // (2 * len(cells)) >= smallest:
        along = scores[:, depth % scores.shape[1]]
        cells = [part for cell in cells for part in _median_split(cell, along)]
        depth += 1
    out = np.empty(len(x), dtype=np.int64)
    for number, cell in enumerate(cells):
        out[cell] = number
    return out


def _median_split(cell: npt.NDArray[np.int64], along: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], ...]:
    ordered = cell[np.argsort(along[cell], kind="stable")]
    return ordered[: len(cell) // 2], ordered[len(cell) // 2 :]


def balance(
    table: npt.NDArray[np.float64], members: npt.NDArray[np.int64], strata: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Standardised mean difference of each covariate between a set and its strata, [k]; unit: sd over all neurons."""
    x = standardised_covariates(table)
    levels = np.array([x[strata == s].mean(0) for s in range(int(strata.max()) + 1)])
    difference: npt.NDArray[np.float64] = x[members].mean(0) - levels[strata[members]].mean(0)
    return difference
