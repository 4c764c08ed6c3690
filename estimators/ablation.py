"""What an ablated neuron's activation is replaced with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from ..data.measurements import IntArray, Panel

Kind = Literal["mean", "zero", "resample"]

_CHUNK = 4096


@dataclass(frozen=True)
class Ablation:
    """Replacement of every neuron's activation at every scored position (docs/methods.md#influence).

    ``mean``: the neuron's mean over all scored positions. ``zero``: 0. ``resample``: the neuron's own activation at
    another scored position, the same for all neurons, of another document wherever there is more than one.

    Parameters
    ----------
    kind
        Which of the three.
    mean
        Mean activation over the scored positions, float32 [N].
    donors
        Row that each position's activation is taken from, int64 [T]; for ``resample`` only.
    """

    kind: Kind
    mean: torch.Tensor
    donors: IntArray | None

    def replacement(self, activation: torch.Tensor, rows: slice) -> torch.Tensor:
        """Return what replaces ``activation[rows]``, float32 [n, N] or [1, N].

        Parameters
        ----------
        activation
            Activation at all scored positions, [T, N].
        rows
            Which of them.
        """
        if self.kind == "mean":
            return self.mean[None, :]
        if self.donors is None:
            return torch.zeros_like(self.mean)[None, :]
        return activation[torch.from_numpy(self.donors[rows])].float()

    def entries(self, activation: torch.Tensor, rows: IntArray, neurons: IntArray) -> torch.Tensor:
        """Return what replaces single entries ``activation[rows, neurons]``, float32 [E]."""
        if self.kind == "mean":
            return self.mean[torch.from_numpy(neurons)]
        if self.donors is None:
            return torch.zeros(len(rows))
        return activation[torch.from_numpy(self.donors[rows]), torch.from_numpy(neurons)].float()


def make_ablation(kind: Kind, activation: torch.Tensor, panel: Panel, seed: int) -> Ablation:
    """Return the replacements for a panel.

    Parameters
    ----------
    kind
        ``mean``, ``zero`` or ``resample``.
    activation
        Activation at all scored positions, [T, N].
    panel
        The scored positions.
    seed
        Key of the donors.
    """
    total = torch.zeros(activation.shape[1], dtype=torch.float64)
    for start in range(0, len(activation), _CHUNK):
        total += activation[start : start + _CHUNK].double().sum(0)
    mean = (total / len(activation)).float()
    return Ablation(kind, mean, draw_donors(panel.document, seed) if kind == "resample" else None)


def draw_donors(document: IntArray, seed: int) -> IntArray:
    """Return for each position a uniformly drawn position of another document, int64 [T].

    A position of the only document draws from all positions of it but itself.

    Parameters
    ----------
    document
        Document of each scored position, increasing, [T].
    seed
        Key of the draw.
    """
    total = len(document)
    first = np.searchsorted(document, document, side="left")
    after = np.searchsorted(document, document, side="right")
    if total and first[-1] == 0:  # one document
        first, after = np.arange(total), np.arange(1, total + 1)
    others = total - (after - first)
    uniform = np.random.Generator(np.random.Philox(key=seed)).random(total)
    drawn = np.minimum((uniform * others).astype(np.int64), others - 1)
    donors = np.where(drawn < first, drawn, drawn + after - first)
    return np.asarray(donors, dtype=np.int64).clip(0, max(total - 1, 0))
