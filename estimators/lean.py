"""How far the plateaus lean to a class beyond what all neurons do: specialists, and whether they come in training.

Influence on rare may go as a power of influence on common, with nobody specialising: then the most influential neurons
lean to rare by their place alone.  So the relation log I_rare = m + beta log I_common of the ordinary neurons is taken
out first, with errors in both variables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from .regimes import FLOOR, choose_leaning_sets, log_influence

Choice: TypeAlias = tuple[Tensor, Tensor]
"""Weights [R, 2 (scored half), N] of memberships (`regimes.choose_leaning_sets`), and of ordinary neurons [R, N].

Ordinary neurons are in no plateau, of either class or half, and weigh the same each; their weights add up to 1.
"""


def choose(n_head: int) -> Callable[[Tensor], Choice]:
    """Both classes' plateaus, and whoever is in none."""
    sets = choose_leaning_sets(n_head)

    def chosen(means: Tensor) -> Choice:
        weight = sets(means)
        ordinary = (weight.sum(1) == 0).to(weight.dtype)
        return weight, ordinary / ordinary.sum(-1, keepdim=True)

    return chosen


@dataclass(frozen=True)
class Relation:
    """log I_c = place_c + scale_c x a neuron's level, the product of the scales being 1.

    ``place`` [R, 2 (half), 2 (class)], ``scale`` [R, 2 (class)].  ``exponent`` [R] is the first scale over the second:
    influence on rare goes as that power of influence on common.
    """

    place: Tensor
    scale: Tensor

    @property
    def exponent(self) -> Tensor:
        """Power of the relation."""
        return self.scale[:, 0] / self.scale[:, 1]

    def levels(self, logs: Tensor) -> Tensor:
        """Log influence [R, 2 (half), 2 (class), N] with each class's place and scale taken out."""
        return (logs - self.place[..., None]) / self.scale[:, None, :, None]


def relation(logs: Tensor, ordinary: Tensor) -> Relation:
    """Power relation of the ordinary neurons, from log influence [R, 2 (half), 2 (class), N].

    Notes
    -----
    Deming's line for equal error variances, beta = (d + sqrt(d^2 + 4 s_ab^2)) / (2 s_ab) with d = s_aa - s_bb (Fuller
    1987, *Measurement Error Models*, section 1.3).  Variances are covariances of the two halves, so that the noise of
    documents is in none of them; what is left is scatter of neurons between the classes, alike for both.
    """
    place = (logs * ordinary[:, None, None]).sum(-1)
    away = logs - place[..., None]
    within = (away[:, 0] * away[:, 1] * ordinary[:, None]).sum(-1)
    both = away.mean(1)
    across = (both[:, 0] * both[:, 1] * ordinary).sum(-1).clamp_min(FLOOR)
    apart = within[:, 0] - within[:, 1]
    exponent = (apart + (apart**2 + 4 * across**2).sqrt()) / (2 * across)
    return Relation(place, torch.stack([exponent.sqrt(), 1 / exponent.sqrt()], -1))


def _scored(levels: Tensor, choice: Choice) -> Tensor:
    return ((levels[:, :, 0] - levels[:, :, 1]) * choice[0]).sum(-1).mean(1, keepdim=True)


def selectivity(means: Tensor, choice: Choice) -> Tensor:
    """Lean of both plateaus beyond the power relation, [R, 1], log units: + = to rare."""
    logs = log_influence(means)
    return _scored(relation(logs, choice[1]).levels(logs), choice)


def bent(means: Tensor, choice: Choice) -> Tensor:
    """The same beyond a relation that may be curved: lean is taken for a parabola in level.

    The parabola is fitted to the ordinary neurons and goes on to the plateaus.
    """
    logs = log_influence(means)
    levels = relation(logs, choice[1]).levels(logs)
    lean, level, w = (levels[:, :, 0] - levels[:, :, 1]).mean(1), levels.mean((1, 2)), choice[1]

    def centred(x: Tensor) -> Tensor:
        return x - (x * w).sum(-1, keepdim=True)

    x, square = centred(level), centred(level**2)
    square = square - x * ((x * square * w).sum(-1) / (x**2 * w).sum(-1))[:, None]
    curvature = (centred(lean) * square * w).sum(-1) / (square**2 * w).sum(-1).clamp_min(FLOOR)
    follows = (curvature[:, None] * square)[:, None]
    return _scored(levels, choice) - (follows * choice[0]).sum(-1).mean(1, keepdim=True)


def scale(influence: Tensor, n_head: int) -> Tensor:
    """Scales [2 (class)] of the relation in observed influence [2 (half), 2 (class), N]."""
    means = influence[None, ..., None]
    return relation(log_influence(means), choose(n_head)(means)[1]).scale[0]
