"""Planted worlds on which the companion papers' hypotheses are calibrated; many are those of the paper itself."""

from __future__ import annotations

import dataclasses
from typing import Any

from ....data.planted import Settings
from ...calibration.scenario import Scenario
from ..liu2025.scenarios.joint import joint
from ..liu2025.scenarios.nulls import activation_nulls, influence_nulls, weight_nulls
from ..liu2025.scenarios.powers import Effect, at_every_strength
from ..liu2025.scenarios.worlds import BRIEF, ON_ACTIVATIONS, ON_INFLUENCE, ON_WEIGHTS, TRAINING, WIDE

EFFECTS = (
    Effect(
        "specialists.selectivity",
        "specialists",
        (0.05, 0.1, 0.2, 0.35, 0.5),
        WIDE,
        ON_INFLUENCE,
        "relative excess of the plateau's influence on rare tokens",
    ),
    Effect(
        "specialists.bent",
        "specialists",
        (0.2, 0.5),
        WIDE,
        ON_INFLUENCE,
        "relative excess of the plateau's influence on rare tokens",
    ),
    Effect(
        "coordination.dimension",
        "mirrored",
        (0.1, 0.2, 0.3, 0.4),
        Settings(),
        ON_ACTIVATIONS,
        "share of latent variance that the plateau has in common, half with opposite sign",
    ),
    Effect(
        "emergence.trend",
        "emergence",
        (0.01, 0.02, 0.04, 0.08),
        TRAINING,
        ON_INFLUENCE,
        "log ratio that the plateau gains on rare tokens whenever the training is e times as long",
    ),
    Effect(
        "tails.weights",
        "weight_tail",
        (0.25, 0.5, 1.0),
        BRIEF,
        ON_WEIGHTS,
        "exponent by which the plateau's singular values fall",
    ),
)


def scenarios() -> list[Scenario]:
    """Null worlds and effects of rising strength."""
    dimension = [dataclasses.replace(s, hypotheses=("coordination.dimension",)) for s in activation_nulls()]
    both = ("specialists.selectivity", "specialists.bent")
    lean = [dataclasses.replace(s, hypotheses=both) for s in influence_nulls()]
    tails = [dataclasses.replace(s, hypotheses=("tails.weights",)) for s in weight_nulls()]
    return [
        *lean,
        _opposed(),
        *dimension,
        *tails,
        *_training_nulls(),
        *at_every_strength(EFFECTS),
        *joint("specialists.closure"),
    ]


def _opposed() -> Scenario:
    """Specialists against a relation that leans the other way."""
    return Scenario(
        "influence.power-.91-specialists", "design", dataclasses.replace(WIDE, exponent=0.91, specialists=0.15),
        ON_INFLUENCE, ("specialists.selectivity",),
        "influence on rare is that on common to the power of .91, and the plateau 15 % stronger on rare", "specialists",
        0.15,
    )  # fmt: skip


def _training_nulls() -> list[Scenario]:
    worlds: dict[str, tuple[dict[str, Any], str]] = {
        "scatter": ({"scatter": 0.3}, "neuron-by-class scatter that grows to .3, without specialists"),
        "alike": ({"scatter": 0.0}, "classes alike in every neuron at every checkpoint; document-by-class effects"),
        "spreading": (
            {"exponent": 1.1},
            "at the last checkpoint influence on rare is that on common to the power of 1.1, at the first of 1",
        ),
        "constant": (
            {"specialists": 0.35, "early": 1.0},
            "a plateau 35 % stronger on rare tokens, at the first checkpoint as at the last",
        ),
        "turnover": (
            {"documents": 40, "pairs": 12, "memory": 0.5},
            "40 documents of 12 pairs; neurons change ranks between checkpoints (correlation .5)",
        ),
    }
    return [
        Scenario(
            f"training.{name}", "null", dataclasses.replace(TRAINING, **changed), ON_INFLUENCE, ("emergence.trend",),
            says, share=0.5,
        )
        for name, (changed, says) in worlds.items()
    ]  # fmt: skip
