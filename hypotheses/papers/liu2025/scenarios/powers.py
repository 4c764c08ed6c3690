"""Planted effects of rising strength: what every test can see."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .....data.planted import Piece, Settings
from ....calibration.scenario import Scenario
from .worlds import (
    ALIKE,
    BRIEF,
    CERTAIN,
    ON_ACTIVATIONS,
    ON_HEADS,
    ON_INFLUENCE,
    ON_WEIGHTS,
    UNLINKED,
    WIDE,
)


@dataclass(frozen=True)
class Effect:
    """A setting that plants what a hypothesis looks for, its strengths, the world around it, and what it means."""

    hypothesis: str
    setting: str
    strengths: tuple[float, ...]
    world: Settings
    pieces: tuple[Piece, ...]
    means: str

    def planted(self, strength: float) -> Settings:
        """The world with the setting set."""
        change: dict[str, Any] = {self.setting: strength}
        return dataclasses.replace(self.world, **change)


EFFECTS = (
    Effect(
        "regimes.flatness",
        "flat_both",
        (0.5, 0.75, 1.0),
        UNLINKED,
        ON_INFLUENCE,
        "share by which the heads of both classes are flattened",
    ),
    Effect(
        "regimes.flatness",
        "raised_both",
        (0.5, 1.0, 1.5, 2.0),
        UNLINKED,
        ON_INFLUENCE,
        "log ranks by which the heads of both classes lie above their power law, as steep as before",
    ),
    Effect(
        "regimes.flatness_b",
        "flat_both",
        (0.5, 1.0),
        UNLINKED,
        ON_INFLUENCE,
        "share by which the heads of both classes are flattened",
    ),
    Effect(
        "regimes.shape",
        "raised_both",
        (0.5, 1.0, 1.5),
        UNLINKED,
        ON_INFLUENCE,
        "log ranks by which the heads of both classes lie above their power law, as steep as before",
    ),
    Effect(
        "regimes.contrast",
        "flat_rare",
        (0.5, 0.75, 1.0),
        WIDE,
        ON_INFLUENCE,
        "share by which the head of rare is flattened",
    ),
    Effect(
        "regimes.contrast",
        "raised_rare",
        (0.25, 0.5, 1.0, 1.5),
        WIDE,
        ON_INFLUENCE,
        "log ranks by which the head of rare lies above its power law",
    ),
    Effect(
        "regimes.recruitment",
        "recruited",
        (0.01, 0.02, 0.05),
        dataclasses.replace(WIDE, scatter=0.0),
        ON_INFLUENCE,
        "share by which log influence on rare is less spread",
    ),
    Effect(
        "clusters.within",
        "modules",
        (0.05, 0.1, 0.2, 0.3, 0.4),
        Settings(),
        ON_ACTIVATIONS,
        "share of latent variance that each of two blocks of the plateau has in common",
    ),
    Effect(
        "clusters.core",
        "core",
        (0.2, 0.4, 0.5),
        Settings(neurons=960, plateau_share=0.0625, loading=0.03, background=0.02, raised_both=3.0),
        ON_ACTIVATIONS,
        "share of latent variance that 8 of 60 plateau neurons have in common",
    ),
    Effect(
        "clusters.rewired",
        "modules",
        (0.1, 0.2, 0.3, 0.4),
        Settings(),
        ON_ACTIVATIONS,
        "share of latent variance that each of two blocks of the plateau has in common",
    ),
    Effect(
        "clusters.algorithms",
        "modules",
        (0.1, 0.2, 0.3),
        Settings(),
        ON_ACTIVATIONS,
        "share of latent variance that each of two blocks of the plateau has in common",
    ),
    Effect(
        "clusters.cohesion",
        "cohesion",
        (0.02, 0.05, 0.1, 0.2),
        Settings(),
        ON_ACTIVATIONS,
        "share of latent variance that the plateau has in common",
    ),
    Effect(
        "clusters.weights",
        "weight_cluster",
        (0.05, 0.1, 0.2, 0.4),
        BRIEF,
        ON_WEIGHTS,
        "cosine that the plateau's weight vectors share",
    ),
    Effect(
        "clusters.index",
        "index_cluster",
        (0.5, 0.75, 1.0),
        dataclasses.replace(BRIEF, neurons=1536, **CERTAIN),
        ON_INFLUENCE,
        "share of the plateau (26 neurons, all of them chosen) at neighbouring indices",
    ),
    Effect(
        "routing.heads",
        "routing",
        (0.1, 0.25, 0.5, 1.0),
        BRIEF,
        ON_HEADS,
        "relative excess of one head's effect on the plateau for rare tokens",
    ),
    Effect(
        "routing.concentration",
        "concentrated",
        (0.1, 0.2, 0.4, 0.8),
        dataclasses.replace(BRIEF, **CERTAIN),  # null sets hold no planted neurons but those of the plateau
        ON_HEADS,
        "relative excess of the spread of log head effect on the plateau",
    ),
    Effect(
        "routing.profile",
        "profile",
        (0.05, 0.1, 0.2, 0.4, 0.8),
        ALIKE,
        ON_HEADS,
        "sd of log head effect between the classes on the plateau",
    ),
)


def powers() -> list[Scenario]:
    """Every effect at every strength."""
    return at_every_strength(EFFECTS)


def at_every_strength(effects: Sequence[Effect]) -> list[Scenario]:
    """One scenario per effect and strength."""
    return [
        Scenario(
            f"{e.hypothesis}@{e.setting}={strength:g}",
            "power",
            e.planted(strength),
            e.pieces,
            (e.hypothesis,),
            e.means,
            e.setting,
            strength,
        )
        for e in effects
        for strength in e.strengths
    ]
