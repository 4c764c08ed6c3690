"""Statistics of claim 1: how influence falls with rank, and to which condition it leans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch

from .....data.errors import MissingInput
from .....estimators import crossed, flatness, regimes
from .....estimators.class_means import leave_one_out, means_under, scored
from ....inference.intervals import jackknife_se
from ....nulls.base import Observed
from ....nulls.influence_law import misfit_p, state
from ....prepared import PreparedData
from ....result import BrokenLine, Details
from ....statistics.contrasts import ClassContrast
from ....tail_laws import tail_laws

MISFIT_DRAWS = 99
"""Draws from the fitted law that say how well a law fits at all."""
MISFITS = 0.05


def flatness_of(side: int) -> Callable[[int], ClassContrast]:
    """Of `regimes.flatness` (side 0: condition a) and `regimes.flatness_b` (side 1)."""
    return lambda n_head: (regimes.choose_order(n_head), flatness.flatness(n_head, side))


def contrast(n_head: int) -> ClassContrast:
    """Of `regimes.contrast`."""
    return regimes.choose_order(n_head), flatness.contrast(n_head)


def needs_a_law(*sides: int) -> Callable[[PreparedData], None]:
    """Refuses data whose middle band does not fall: there is no law that a head could leave."""

    def refuse(data: PreparedData) -> None:
        sums, (choose, score) = (
            data.influence_sums,
            (regimes.choose_order(data.n_head), flatness.middle_slopes(data.n_head)),
        )
        slope = scored(means_under(sums, torch.zeros(1, sums.documents, dtype=torch.bool)), choose, score)[0]
        without = leave_one_out(sums, choose, score)
        for side in sides:
            se = jackknife_se(without[:, side].numpy(), data.half)
            if not float(slope[side]) >= flatness.CERTAIN * se:
                name = (data.conditions.a, data.conditions.b)[side].phrase
                raise MissingInput(
                    f"no law to leave: for {name} the slope of the middle band is {float(slope[side]):.2g}, with a "
                    f"standard error of {se:.2g}",
                    "influence.safetensors",
                    "more documents make the middle band's slope certain",
                )

    return refuse


def no_law(*sides: int) -> Callable[[PreparedData], str]:
    """Says where no smooth law fits the middle band: then what the head of a law looks like is not known."""

    def doubt(data: PreparedData) -> str:
        known = state(Observed("influence", data.influence, sets=data.set, noise=crossed.noise(data.influence_sums)))
        for side in sides:
            found, p = misfit_p(known, side, MISFIT_DRAWS)
            if p < MISFITS:
                name = (data.conditions.a, data.conditions.b)[side].phrase
                return f"no smooth law fits the middle band for {name} (nearest: {found.law}, p = {p:.2g})"
        return ""

    return doubt


def shape(n_head: int) -> ClassContrast:
    """Of `regimes.shape`."""
    return regimes.choose_order(n_head), regimes.shape(n_head)


def described_shape(data: PreparedData) -> Details:
    """Of each class's influence curve: broken lines with 0, 1 and 2 knots, distance from smooth laws, power-law tail.

    A description beside `regimes.shape`: sorted values are not independent, and every smooth law bends too.
    """
    fits = {
        label: [BrokenLine.model_validate(asdict(f), from_attributes=True) for f in found]
        for label, found in data.curve_fits.items()
    }
    logs = data.influence.clamp_min(regimes.FLOOR).log().mean(0)
    known = state(Observed("influence", data.influence, sets=data.set, noise=crossed.noise(data.influence_sums)))
    noise = np.sqrt((known.noise**2).mean(-1) / 2)
    distances = {
        f"distance_of_the_{label}_curve_from": {
            fit.law: fit.gap for fit in known.fitting.every(known.logs[:, side].mean(0), float(noise[side]))
        }
        for side, label in enumerate(fits)
    }
    acting = (data.influence > regimes.FLOOR).all(0)  # neurons without influence are no part of a law
    curves = {f"{label} curve": logs[side][acting[side]].exp().numpy() for side, label in enumerate(fits)}
    return Details(broken_lines=fits, tail_laws=tail_laws(curves), further=distances)


def recruitment(n_head: int) -> ClassContrast:
    """Of `regimes.recruitment`."""
    return regimes.nothing_chosen, regimes.recruitment
