"""Slope over log step, against numpy's polynomial fit, and sums by document, against loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuronull.estimators.class_means import absolute_sums
from neuronull.estimators.trend import log_step_slope


@pytest.mark.parametrize("steps", [(38, 153, 610, 2441), (1, 2, 3), (5, 1000, 7, 20, 6)])
def test_the_slope_is_that_of_a_least_squares_line(steps):
    values = np.random.default_rng(len(steps)).normal(size=(6, 2, len(steps)))
    expected = np.polyfit(np.log(steps), values.reshape(12, -1).T, 1)[0].reshape(6, 2)
    np.testing.assert_allclose(log_step_slope(torch.from_numpy(values), steps).numpy(), expected, rtol=1e-10)


def test_the_unit_of_training_is_nothing_to_the_slope():
    """Steps of 8 x 256 tokens or tokens: the same slope, which log(step + 1) would not give."""
    values = torch.tensor([0.1, 0.4, 0.3], dtype=torch.float64)
    slopes = [float(log_step_slope(values, [unit * s for s in (2, 9, 31)])) for unit in (1, 2048)]
    assert slopes[0] == pytest.approx(slopes[1], rel=1e-12)


def test_steps_without_a_slope_are_refused():
    with pytest.raises(ValueError, match="step 0 has no logarithm"):
        log_step_slope(torch.zeros(3), [0, 1, 2])
    with pytest.raises(ValueError, match="all steps are 4"):
        log_step_slope(torch.zeros(2), [4, 4])


def test_sums_are_over_the_pairs_of_a_document_and_zero_without_any():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 3)).astype(np.float32)
    rare, common, document = np.array([1, 4, 9]), np.array([0, 6, 12]), np.array([2, 0, 2])
    found = absolute_sums(torch.from_numpy(values), rare, common, document, 4).numpy()
    expected = np.zeros((4, 2, 3, 1))
    for r, c, d in zip(rare, common, document, strict=True):
        for i in range(3):
            expected[d, 0, i, 0] += abs(float(values[r, i]))
            expected[d, 1, i, 0] += abs(float(values[c, i]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
