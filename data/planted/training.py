"""Planted training runs: the same documents at every checkpoint, and specialists whose lead grows with log step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..measurements import Panel
from .influence import BASE, LEAST_LOSS, changes_around, document_effects
from .settings import Settings

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

CLOSE = 0.02
"""Sd of the loss by which the two positions of a planted pair differ at random."""


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """A planted world with checkpoints; influence only, of lognormal shape.  Null data where ``emergence`` is 0.

    Training
        ``steps``: the checkpoints, the last of which is the measured model itself.  ``memory``: correlation of a
        neuron's log influence, and of its lean to a class, between one checkpoint and the next (1 = the ranking never
        changes).  ``document_memory``: share of the variance of document effects that all checkpoints have in common.
        ``early``: share of the spread of log influence and of ``scatter`` that is there at the first checkpoint.
        ``growth``: log nats a log step by which all influence grows.  ``early_gap``: sd of the loss that rare positions
        keep above their partners at the first checkpoint, nothing at the last.  ``unmatched``: share of the pairs
        that a checkpoint lacks.
    Effect
        ``emergence``: log ratio a log step that the plateau of each checkpoint gains on rare tokens; 0 at the first.
        (``specialists`` are there at every checkpoint alike, and no trend.)
    """

    steps: tuple[int, ...] = (40, 160, 640, 2560)
    memory: float = 0.9
    document_memory: float = 0.7
    early: float = 0.5
    growth: float = 0.2
    early_gap: float = 0.06
    unmatched: float = 0.1
    emergence: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.steps) < 2 or list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 1:
            raise ValueError(f"steps must be two or more, rising, from 1 on, got {self.steps}")
        if self.law != "lognormal":
            raise ValueError(f"a training run has influence of lognormal shape, got {self.law!r}")
        for name in ("memory", "document_memory", "early", "unmatched"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share and must lie in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True)
class Checkpoint:
    """One step: its panel, true log influence [2 (rare, common), N], planted plateau, loss changes [T, N]."""

    panel: Panel
    log_influence: FloatArray
    plateau: IntArray
    changes: npt.NDArray[np.float32]


def planted_training(settings: TrainingSettings, panel: Panel, rng: np.random.Generator) -> dict[int, Checkpoint]:
    """Every checkpoint, by step.

    Parameters
    ----------
    panel
        Positions, classes and halves, the same at every step; losses and matches are made for each.
    """
    n, keep = settings.neurons, settings.memory
    base, lean = rng.standard_normal(n), rng.standard_normal((2, n))
    of_class, of_neuron = document_effects(settings, rng)
    shared = of_class[..., None] + of_neuron
    out = {}
    for place, step in enumerate(settings.steps):
        if place:
            base = keep * base + np.sqrt(1 - keep**2) * rng.standard_normal(n)
            lean = keep * lean + np.sqrt(1 - keep**2) * rng.standard_normal((2, n))
        truth, plateau = _truth(settings, step, base, lean)
        own_class, own_neuron = document_effects(settings, rng)
        own = own_class[..., None] + own_neuron
        effects = np.sqrt(settings.document_memory) * shared + np.sqrt(1 - settings.document_memory) * own
        at_step = _panel(settings, step, panel, rng)
        out[step] = Checkpoint(at_step, truth, plateau, changes_around(settings, at_step, truth[None] + effects, rng))
    return out


def _gone(settings: TrainingSettings, step: int) -> float:
    """Share of the log steps from the first checkpoint to the last that have gone by."""
    return float(np.log(step / settings.steps[0]) / np.log(settings.steps[-1] / settings.steps[0]))


def _truth(settings: TrainingSettings, step: int, base: FloatArray, lean: FloatArray) -> tuple[FloatArray, IntArray]:
    """True log influence and plateau at one step."""
    log_steps = np.log(step / settings.steps[0])
    spread = settings.early + (1 - settings.early) * _gone(settings, step)
    plateau = np.sort(np.argsort(-base, kind="stable")[: settings.n_head])
    out = (
        BASE
        + settings.growth * log_steps
        + spread * (settings.influence_sd * base + settings.scatter / np.sqrt(2) * lean)
    )
    power = 1 + (settings.exponent - 1) * _gone(settings, step)  # reached at the last checkpoint
    out[0] = out[0].mean() + power * (out[0] - out[0].mean()) + settings.class_shift
    out[0, plateau] += np.log1p(settings.specialists) + settings.emergence * log_steps
    return out, plateau.astype(np.int64)


def _panel(settings: TrainingSettings, step: int, panel: Panel, rng: np.random.Generator) -> Panel:
    """Panel of one step: losses that fall over training, partners of like loss drawn anew inside each document."""
    rare, common = panel.a_rows, panel.b_rows
    partner = common[np.lexsort((rng.random(len(common)), panel.document[common]))]
    loss = LEAST_LOSS + rng.gamma(3.0, 1.0, len(panel)) + 3 * (1 - _gone(settings, step))
    gap = settings.early_gap * (1 - _gone(settings, step)) + CLOSE * rng.uniform(-1, 1, len(rare))
    loss[partner] = loss[rare] - gap * loss.std()
    match = np.full(len(panel), -1, dtype=np.int64)
    match[rare] = np.where(rng.random(len(rare)) < settings.unmatched, -1, partner)
    return replace(panel, loss=loss, match=match)
