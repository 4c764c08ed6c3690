"""How influence follows neurons' covariates; strata of like neurons, and the balance of a set against its strata."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.stats

FloatArray: TypeAlias = npt.NDArray[np.float64]

SKEWED = 1.0
"""Absolute skewness above which a positive covariate is taken in logarithms."""

NEURONS_A_COLUMN = 20
"""Neurons for each column of a regression that also holds products of covariates."""


def standardised_covariates(table: FloatArray) -> FloatArray:
    """Covariates [N, k] with mean 0 and sd 1, logged where positive and skewed; constant columns become 0."""
    columns = []
    for column in table.T:
        positive = column.min() > 0
        skew = float(scipy.stats.skew(column)) if column.std() > 0 else 0.0
        x = np.log(column) if positive and abs(skew) > SKEWED else column
        columns.append((x - x.mean()) / x.std() if x.std() > 0 else np.zeros_like(x))
    return np.stack(columns, axis=1)


def predicted_influence(table: FloatArray, score: FloatArray) -> FloatArray:
    """Log influence as covariates predict it, [..., N]: least squares on them, their squares and products.

    A plateau is whatever has the largest influence, so this prediction is its propensity score: sets alike in it are
    alike in every covariate that the selection depends on (Rosenbaum and Rubin 1983).  Covariates are standardised;
    products enter where there are `NEURONS_A_COLUMN` neurons for each column.

    Parameters
    ----------
    table : [N, k]
        Covariates.
    score : [..., N]
        Log influence (`log_influence`).
    """
    x = standardised_covariates(table)
    columns = _columns(x)
    first, second = np.triu_indices(x.shape[1], 1)
    if len(x) >= NEURONS_A_COLUMN * (columns.shape[1] + len(first)):
        columns = np.column_stack([columns, x[:, first] * x[:, second]])
    return _fitted(columns, score)


def covariate_prediction(table: FloatArray, fitted_on: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Least squares on constant and covariates as two matrices, [N, p] and [p, N]: prediction = first @ (second @ y).

    Parameters
    ----------
    table : [N, k]
        Covariates.
    fitted_on : bool [N]
        Neurons that the line is fitted to; it is read off at all.  Few enough terms to be read off at the end of the
        covariates' range, which squares and products are not.
    """
    design = np.column_stack([np.ones(len(table)), standardised_covariates(table)])
    inverse = np.zeros(design.T.shape)
    inverse[:, fitted_on] = np.linalg.pinv(design[fitted_on])
    return design, inverse


def residual_spread(table: FloatArray, residual: FloatArray) -> FloatArray:
    """How far residuals scatter as covariates tell it, [..., N], up to one factor: exp of fitted log abs(residual).

    Parameters
    ----------
    table : [N, k]
        Covariates.
    residual : [..., N]
        What `predicted_influence` leaves.
    """
    least = 1e-6 * residual.std(axis=-1, keepdims=True) + np.finfo(np.float64).tiny
    spread: FloatArray = np.exp(_fitted(_columns(standardised_covariates(table)), np.log(np.abs(residual) + least)))
    return spread


def _columns(x: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(x)), x, x**2])


def _fitted(columns: FloatArray, score: FloatArray) -> FloatArray:
    flat = score.reshape(-1, score.shape[-1])
    out: FloatArray = (columns @ np.linalg.lstsq(columns, flat.T, rcond=None)[0]).T.reshape(score.shape)
    return out


def log_influence(influence: FloatArray) -> FloatArray:
    """Logarithm, [..., N]; zeros count as the smallest positive influence (all 0 where none is positive)."""
    positive = influence[influence > 0]
    least = positive.min() if len(positive) else 1.0
    logs: FloatArray = np.log(np.maximum(influence, least))
    return logs


def strata(score: FloatArray, smallest: int) -> npt.NDArray[np.int64]:
    """Stratum of each neuron, int64 [N]: as many cells of consecutive scores as leave `smallest` neurons in each.

    Cells differ in size by one at most; stratum 0 has the lowest scores, ties go by index.

    Parameters
    ----------
    score : [N]
        What neurons of a stratum are to be alike in.
    smallest
        Neurons that every cell must hold; at least 1.
    """
    if smallest < 1:
        raise ValueError(f"a stratum must hold at least one neuron, got smallest={smallest}")
    cells = max(1, len(score) // smallest)
    place = np.argsort(np.argsort(score, kind="stable"), kind="stable")
    out: npt.NDArray[np.int64] = place * cells // len(score)
    return out


def balance(table: FloatArray, members: npt.NDArray[np.int64], strata: npt.NDArray[np.int64]) -> FloatArray:
    """Standardised mean difference of each covariate between a set and its strata, [k]; unit: sd over all neurons."""
    x = standardised_covariates(table)
    levels = np.array([x[strata == s].mean(0) for s in range(int(strata.max()) + 1)])
    difference: FloatArray = x[members].mean(0) - levels[strata[members]].mean(0)
    return difference


def main_axis(table: FloatArray) -> FloatArray:
    """First principal component of the standardised covariates, [N]; its sign is that of its largest loading."""
    x = standardised_covariates(table)
    axis = np.linalg.svd(x, full_matrices=False)[2][0]
    component: FloatArray = x @ (axis * np.sign(axis[np.abs(axis).argmax()]))
    return component
