"""The tail of the spectrum of a set's output weights."""

from __future__ import annotations

import torch
from torch import Tensor

from .....estimators import weights as weight_space
from .....estimators.correlation_nulls import marchenko_pastur_edge
from ....prepared import PreparedData
from ....result import Details
from ....statistics.sets import Sets
from ....tail_laws import tail_laws


def lighter_tail(data: PreparedData, sets: Tensor) -> Tensor:
    """-(Hill alpha), [R]: + = heavier tail once its null mean is taken off."""
    return -weight_space.hill_alpha(weight_space.unit_rows(data.w_out), sets)


def described_spectrum(data: PreparedData, sets: Sets) -> Details:
    """Eigenvalues beyond those of rows without structure, and the power law of the spectrum's tail."""
    unit = weight_space.unit_rows(data.w_out)
    values = [weight_space.spectrum(unit, own[None])[0] for own in sets]
    edge = marchenko_pastur_edge(len(values[0]), unit.shape[1])
    return Details(
        # what is 0 but for rounding, with more neurons than dimensions, is no part of a law
        tail_laws=tail_laws({f"spectrum {'AB'[half]}": v[v > 1e-9].numpy() for half, v in enumerate(values)}),
        further={
            "marchenko_pastur_edge": edge,
            "largest_eigenvalue": float(torch.stack([v[0] for v in values]).mean()),
            "eigenvalues_beyond_the_edge": float(torch.stack([(v > edge).sum() for v in values]).double().mean()),
        },
    )
