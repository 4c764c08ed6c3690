"""Standard errors over two crossed sources of chance, against loops and against the scatter of repeated data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuronull.estimators.two_sources import studentised, two_way_se


def variances(y: np.ndarray) -> tuple[float, float, float]:
    """Of the mean of y [D, N]: the variance that rows make, that columns make, and that single cells make; by loops."""
    rows, columns = y.shape
    away, cells = y - y.mean(), y.size**2
    of_rows = sum(sum(away[d, i] for i in range(columns)) ** 2 for d in range(rows)) / cells
    of_columns = sum(sum(away[d, i] for d in range(rows)) ** 2 for i in range(columns)) / cells
    return of_rows, of_columns, sum(x**2 for x in away.ravel()) / cells


def drawn(rng: np.random.Generator, rows: int, columns: int, sd: tuple[float, float, float]) -> np.ndarray:
    """Crossed random effects of rows and columns, and of cells."""
    of_rows, of_columns, of_cells = sd
    return (
        of_rows * rng.normal(size=(rows, 1))
        + of_columns * rng.normal(size=(1, columns))
        + of_cells * rng.normal(size=(rows, columns))
    )


@pytest.mark.parametrize("sd", [(1.0, 0.0, 0.5), (0.0, 1.0, 0.5), (1.0, 1.0, 0.5), (0.3, 0.2, 1.0)])
def test_the_error_is_the_scatter_of_the_mean(sd):
    """Of 400 data sets of 40 by 30, within a tenth of the root mean square; either source alone is short of it."""
    rng = np.random.default_rng(3)
    means, squares, alone = [], [], []
    for _ in range(400):
        y = drawn(rng, 40, 30, sd)
        parts = [torch.tensor(v, dtype=torch.float64) for v in variances(y)]
        means.append(y.mean())
        squares.append(float(two_way_se(*parts)) ** 2)
        alone.append(float(max(parts[0], parts[1])))
    assert np.sqrt(np.mean(squares)) == pytest.approx(np.std(means), rel=0.1)
    if sd[0] == sd[1]:
        assert np.sqrt(np.mean(alone)) < 0.9 * np.std(means)


def test_never_under_the_larger_source():
    parts = torch.tensor([[4.0, 1.0, 9.0], [1.0, 4.0, 9.0], [1.0, 1.0, 0.5]], dtype=torch.float64).T
    assert torch.allclose(two_way_se(*parts) ** 2, torch.tensor([4.0, 4.0, 1.5], dtype=torch.float64))


def test_without_variance_nothing_is_found():
    zero = torch.zeros(2, dtype=torch.float64)
    assert studentised(torch.tensor([0.0, 3.0], dtype=torch.float64), zero, zero, zero).tolist() == [0.0, 0.0]
    one = torch.ones(2, dtype=torch.float64)
    assert studentised(torch.tensor([0.0, 3.0], dtype=torch.float64), one, zero, zero).tolist() == [0.0, 3.0]
