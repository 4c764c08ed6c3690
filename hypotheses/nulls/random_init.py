"""Weights as the model's initialiser draws them: what training has not touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...data.errors import InputError
from .base import NullModel, Observed, generator, need


@dataclass(frozen=True)
class InitState:
    """``shape`` (2, n, d) and the standard deviation of each of the two matrices."""

    shape: tuple[int, int, int]
    sd: tuple[float, float]


class RandomInit(NullModel):
    """Independent normal weights, as GPT-2, GPT-NeoX and Llama initialise their MLPs.

    All three draw the entries of W_in and W_out independently from N(0, s^2) (Radford et al. 2019; Black et al. 2022;
    s differs between matrices and layers, and is taken from the observed one: the statistics are free of scale).  So
    the draws need no model.  What random weights do to *activations* and heads needs one: that is
    `control.random_init`, which measures a re-initialised model anew.
    """

    name = "random_init"
    randomises = "weights"
    preserves = ("number of neurons and width", "scale of each of the two matrices")
    breaks = ("everything that training made of the weights", "differences of neurons in norm")
    exchangeable = "entries of a weight matrix (independent normal at initialisation)"
    reference = (
        "Radford et al. (2019), GPT-2; Martin, Mahoney (2021), JMLR 22:165 (spectra of random against trained weights)"
    )
    when = "Is this a property of trained weights at all? It does not ask whether the set differs: matched_sets does."
    says = "The same architecture with random weights."

    def prepare(self, measurements: Any, observed: Observed) -> InitState:
        """Shape and scale."""
        need(observed, "weights", self.name)
        value = observed.value
        if value.ndim != 3 or value.shape[0] != 2:
            raise InputError(f"random_init needs weights [2 (input, output), n, d], got {tuple(value.shape)}",
                             "Observed.value", "stack w_in and w_out")  # fmt: skip
        first, second = (float(w.double().square().mean().sqrt()) for w in value)
        return InitState((2, int(value.shape[1]), int(value.shape[2])), (first, second))

    def draw(self, state: InitState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        """Of [2, n, d] float32, one per replicate."""
        sd = np.asarray(state.sd, dtype=np.float32)[:, None, None]
        for r in replicates:
            yield torch.from_numpy(sd * generator(seed, r, "init").standard_normal(state.shape, dtype=np.float32))

    def example(self) -> Observed:
        """Eight neurons of width 16 with unequal norms."""
        rng = np.random.default_rng(0)
        weights = rng.standard_normal((2, 8, 16)) * np.arange(1, 9)[:, None]
        return Observed(
            "weights", torch.from_numpy(weights.astype(np.float32)), sets=(torch.arange(4), torch.arange(4))
        )

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Shape, and scale within five standard errors."""
        before, after = np.asarray(observed.value, dtype=np.float64), np.asarray(draw, dtype=np.float64)
        alike = before.shape == after.shape
        ratio = (after**2).mean((1, 2)) / (before**2).mean((1, 2)) if alike else np.zeros(2)
        near = bool((np.abs(ratio - 1) < 5 * np.sqrt(2 / before[0].size)).all())
        return tuple(zip(self.preserves, (alike, near), strict=True))

    def cost(self, state: InitState) -> float:
        """Normal variates."""
        return float(np.prod(state.shape))
