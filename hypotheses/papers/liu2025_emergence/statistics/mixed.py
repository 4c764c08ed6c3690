"""A mixed model of the lean of single matched pairs, beside `specialists.selectivity`."""

from __future__ import annotations

from dataclasses import asdict

import torch
from torch import Tensor

from .....estimators import regimes
from ....inference.effects import mixed_model
from ....prepared import PreparedData
from ....result import Details


def selectivity_of_pairs(data: PreparedData) -> Tensor:
    """Lean to condition a of each matched pair, float64 [P], relative to a neuron's own influence; both sets added.

    Chosen on the half that the pair is not in: the sets of both conditions, each class's geometric mean over
    neurons, and each neuron's own influence, by which its abs(loss change) is divided.
    """
    rows = torch.from_numpy(data.panel.a_rows), torch.from_numpy(data.panel.b_rows)
    half = torch.from_numpy(data.half[data.pair_unit])
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
    found = mixed_model(selectivity_of_pairs(data).numpy(), data.pair_unit)
    return Details(further={"mixed_model": asdict(found) | {"takes_as_given": "neurons"}})
