"""How a statistic moves with the logarithm of the training step (`emergence.trend`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def log_step_slope(values: Tensor, steps: Sequence[int]) -> Tensor:
    """Ordinary least-squares slope of values on log(step), [...]: units a log step (a step factor of e).

    Parameters
    ----------
    values : [..., S]
        A statistic at each step.
    steps
        Training steps, at least 1 each, two of them different.

    Raises
    ------
    ValueError
        If a step is below 1, or all are the same.

    Notes
    -----
    The slope is sum_s c_s value_s with c_s = (x_s - mean x) / sum (x - mean x)^2 and x = log step, so whatever is
    linear (derivatives, leave-one-out values) passes through.  log(step), not log(step + 1): it does not change with
    the unit in which training is counted (steps, tokens), and step 0 would lie farther from the first checkpoint than
    all others span, so that the line would compare trained with untrained and little else.
    """
    if min(steps) < 1:
        raise ValueError(f"step {min(steps)} has no logarithm; leave it out")
    x = torch.tensor(list(steps), dtype=torch.float64).log()
    x = x - x.mean()
    if not (x**2).sum() > 0:
        raise ValueError(f"all steps are {steps[0]}; a slope needs two")
    return values.double() @ (x / (x**2).sum())
