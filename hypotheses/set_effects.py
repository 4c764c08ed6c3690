"""What ablating the neurons of a set, one at a time, does to predictions: a description, without a test."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..data.measurements import EFFECTS
from ..estimators.class_means import ClassSums, leave_one_out, means_under
from ..estimators.routing import set_and_strata
from .engine import DOCUMENT_LEVEL
from .inference.intervals import jackknife_se, t_interval
from .prepared import PreparedData
from .result import SetEffect

_MEMBERS, _STRATA, _SIZE = range(3)
_FROZEN = ("direct", "frequency")
"""Effects on the loss with a part of the change frozen, told as a share of the whole."""


def set_effects(data: PreparedData) -> list[SetEffect]:
    """Mean effect per position of each condition, of the set's neurons and of its strata's.

    A set that is chosen on one half is read on the other; halves are averaged.  The interval is that of a
    delete-one-document jackknife with the sets fixed.  The share that is left with a part frozen is one
    of mean *absolute* changes of the loss, by which such sets are chosen too: signed ones of boosting and suppressing
    neurons cancel, and a share of what is left over may be anything.  The effects are those of Stolfo et al. 2024
    (arXiv 2406.16254).

    Raises
    ------
    MissingInput
        If effects, influence or covariates were not measured.
    """
    sums = _sums(data)
    observed = means_under(sums, torch.zeros(1, sums.documents, dtype=torch.bool))
    mean = observed[0].mean(0)
    out = []
    for side, label in enumerate((data.conditions.a.name, data.conditions.b.name)):
        without = leave_one_out(sums, lambda means: None, _members_on(side)).numpy()
        whole = float(mean[side, _SIZE, EFFECTS.index("loss")])
        for k, effect in enumerate(EFFECTS):
            se = jackknife_se(without[:, k], data.half)
            found = t_interval(float(mean[side, _MEMBERS, k]), se, data.smaller_half - 1, DOCUMENT_LEVEL)
            left = float(mean[side, _SIZE, k]) / whole if effect in _FROZEN and whole > 0 else None
            strata = float(mean[side, _STRATA, k])
            out.append(SetEffect(effect=effect, label=label, mean=found.estimate, low=found.low,
                                     high=found.high, level=found.level, strata=strata, left=left))  # fmt: skip
    return sorted(out, key=lambda one: EFFECTS.index(one.effect))


def _sums(data: PreparedData) -> ClassSums:
    """Each document's sums on the other half's set: signed, of its strata, absolute; x is [D, 2, 3, 5]."""
    rows = torch.from_numpy(data.documents)
    both_signs = (data.effects.signed, data.effects.absolute)
    signed, absolute = (data.by_unit(part[:, rows].double(), 1) for part in both_signs)
    x = torch.zeros(data.n_units, 2, 3, len(EFFECTS), dtype=torch.float64)
    half = torch.from_numpy(data.half)
    for chosen, members in enumerate(data.set):
        at = (half != chosen).nonzero()[:, 0]
        both = set_and_strata(signed[:, at], data.strata, members)
        size = absolute[:, at][..., members].mean(-1)
        x[at] = torch.stack([both[..., 0], both[..., 1], size], -1).permute(1, 2, 3, 0)
    return ClassSums(x, data.pairs, half)


def _members_on(side: int) -> Any:
    """Score of the set's signed effects on a condition, halves averaged: means [R, 2, 2, 3, 5] -> [R, 5]."""

    def score(means: Tensor, choice: None) -> Tensor:
        return means[:, :, side, _MEMBERS].mean(1)

    return score
