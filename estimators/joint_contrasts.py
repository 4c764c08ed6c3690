"""What joint ablation does to rare against common tokens: the statistics of the closure hypotheses.

Loss increases are signed, and on a small model ablating a random set of neurons lowers the loss nearly as often as it
raises it: no logarithm can be taken of them.  So sets of neurons are compared by `net_contrast`, which needs no sign;
heads, few and strong, by `log_ratio`.
"""

from __future__ import annotations

import torch
from torch import Tensor

FLOOR = 0.05
"""Share of the mean increase of all sets below which an increase counts as that share."""


def own_influence(influence: Tensor) -> Tensor:
    """Influence of each neuron in units of its class's mean over neurons, classes averaged, [..., 2, N] -> [..., N].

    It stays as it is when the classes change places, so that dividing by it favours neither.
    """
    return (influence / influence.mean(-1, keepdim=True)).mean(-2)


def net_contrast(means: Tensor, choice: None = None) -> Tensor:
    """Net loss increase on rare less that on common, each in units of its class's mean influence, [R, 1].

    Parameters
    ----------
    means : [R, 2 (half), 2 (class), 2, 1]
        Mean loss increase over the members' own influence (nats), and mean influence of a neuron of the layer (nats).

    Notes
    -----
    A set whose members each raised the loss by their whole influence, and whose effects added up, would have 1 in each
    class; one whose effects cancel has 0.  What makes all loss changes larger in one class cancels.
    """
    share = means[:, :, :, 0, 0] / means[:, :, :, 1, 0]
    return (share[:, :, 0] - share[:, :, 1]).mean(1, keepdim=True)


def log_ratio(increase: Tensor, floor: float) -> Tensor:
    """Log ratio of loss increases, rare to common, [..., 2] -> [...].

    Parameters
    ----------
    increase : [..., 2 (rare, common)]
        Nats.
    floor
        Increases below it count as it (nats; `least_increase`).
    """
    logs = increase.clamp_min(floor).log()
    return logs[..., 0] - logs[..., 1]


def least_increase(increase: Tensor) -> float:
    """`FLOOR` times the mean increase of sets [S, 2], both classes together (nats); not positive where that is not."""
    return FLOOR * float(increase.mean())


def floored(increase: Tensor, floor: float) -> Tensor:
    """Which sets have an increase below the floor in either class, bool [...]."""
    return torch.as_tensor((increase < floor).any(-1))
