"""Statistics of claim 1: how influence falls with rank, and to which condition it leans."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import Tensor

from .....estimators import regimes
from ....inference.effects import mixed_model
from ....nulls.influence_law import law_distances
from ....prepared import PreparedData
from ....result import BrokenLine, Details
from ....statistics.contrasts import ClassContrast
from ....tail_laws import tail_laws


def selectivity_of_pairs(data: PreparedData) -> Tensor:
    """Lean to condition a of each matched pair, float64 [P], relative to a neuron's own influence; both sets added.

    Chosen on the half that the pair is not in: the sets of both conditions, each class's geometric mean over
    neurons, and each neuron's own influence, by which its abs(loss change) is divided.
    """
    rows = torch.from_numpy(data.panel.a_rows), torch.from_numpy(data.panel.b_rows)
    half = torch.from_numpy(data.half[data.pair_document])
    out = torch.zeros(len(half), dtype=torch.float64)
    for chosen in (0, 1):
        here = torch.nonzero(half == 1 - chosen)[:, 0]
        level = data.influence[chosen].clamp_min(regimes.FLOOR)
        scale = level.log().mean(1).exp()
        own = (level / scale[:, None]).log().mean(0).exp()
        for members in regimes.top(data.influence[chosen], data.n_head):
            of_class = [data.delta_loss[r[here]][:, members].double().abs() / own[members] for r in rows]
            out[here] += (of_class[0] / scale[0] - of_class[1] / scale[1]).mean(1)
    return out


def mixed_selectivity(data: PreparedData) -> Details:
    """Random-intercept model of `selectivity_of_pairs`: no permutation, no studentising, other assumptions.

    Documents are its only source of chance; neurons are taken as given, so its p is no substitute for the row's own.
    """
    found = mixed_model(selectivity_of_pairs(data).numpy(), data.pair_document)
    return Details(further={"mixed_model": asdict(found) | {"takes_as_given": "neurons"}})


def contrast(n_head: int) -> ClassContrast:
    """Of `regimes.contrast`."""
    return regimes.choose_order(n_head), regimes.contrast(n_head)


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
    distances = {
        f"distance_of_the_{label}_curve_from": law_distances(logs[side].numpy()) for side, label in enumerate(fits)
    }
    acting = (data.influence > regimes.FLOOR).all(0)  # neurons without influence are no part of a law
    curves = {f"{label} curve": logs[side][acting[side]].exp().numpy() for side, label in enumerate(fits)}
    return Details(broken_lines=fits, tail_laws=tail_laws(curves), further=distances)


def recruitment(n_head: int) -> ClassContrast:
    """Of `regimes.recruitment`."""
    return regimes.nothing_chosen, regimes.recruitment
