"""Sizes of world that the scenarios of this paper and its companions share."""

from __future__ import annotations

import dataclasses
from typing import Any

from .....data.planted import Piece, Settings, TrainingSettings

INFLUENCE = ("regimes.contrast",)
ACTIVATIONS = ("clusters.within", "clusters.core", "clusters.rewired", "clusters.cohesion")
WEIGHTS = ("clusters.weights", "clusters.index")
HEADS = ("routing.heads", "routing.concentration")

WIDE = Settings(neurons=640)
ALIKE = Settings(neurons=480, pairs=8, head_class_sd=0.0)
TRAINING = TrainingSettings(neurons=640)
BRIEF = Settings(neurons=480, pairs=8)
"""For effects that lie in heads or weights: influence only chooses the plateau, so few positions do."""

CERTAIN: dict[str, Any] = {"raised_both": 3.0}
"""Raises the plateau so far that the one which is chosen is the planted one."""
UNLINKED = dataclasses.replace(WIDE, covariate_link=0.0)
ON_INFLUENCE: tuple[Piece, ...] = ("influence",)
ON_ACTIVATIONS: tuple[Piece, ...] = ("influence", "activations")
ON_WEIGHTS: tuple[Piece, ...] = ("influence", "weights")
ON_HEADS: tuple[Piece, ...] = ("influence", "heads")
