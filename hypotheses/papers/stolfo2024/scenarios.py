"""Planted worlds on which the hypotheses of Stolfo et al. 2024 are calibrated."""

from __future__ import annotations

import dataclasses
from typing import Any

from ....data.planted import Piece, Settings
from ...calibration.scenario import Purpose, Scenario

ON_EFFECTS: tuple[Piece, ...] = ("effects",)
SHARE = 0.1
"""Data sets of a world with an effect, as a share of those of a null world."""
WORLD = Settings(documents=60, pairs=8, neurons=480)

CHOSEN_BY_EFFECTS: dict[str, Any] = {"entropy_scale": 0.6, "token_effect": 0.5}
CHOSEN_BY_WEIGHTS: dict[str, Any] = {"entropy_norm": 0.8, "entropy_weak": 2.0}
"""Marks that make the planted neurons the chosen ones, without a word on what is tested."""

BY_EFFECTS = ("entropy.norm", "entropy.nullspace", "frequency.unigram", "frequency.direction")
BY_WEIGHTS = ("entropy.scale", "entropy.frequency")
EVERY = ("entropy.norm", "entropy.nullspace", "entropy.scale", "entropy.frequency", *BY_EFFECTS[2:])

POWERS: tuple[tuple[str, str, dict[str, Any], tuple[float, ...], str], ...] = (
    ("entropy.norm", "entropy_norm", CHOSEN_BY_EFFECTS, (0.1, 0.2, 0.4, 0.8), "log output norm that the neurons gain"),
    (
        "entropy.nullspace", "entropy_weak", CHOSEN_BY_EFFECTS, (0.5, 1.0, 1.5, 2.0),
        "logit of the share in weak directions that the neurons gain",
    ),
    (
        "entropy.scale", "entropy_scale", CHOSEN_BY_WEIGHTS, (0.1, 0.2, 0.3, 0.5),
        "share of the effect on the loss that is lost with the scale frozen",
    ),
    (
        "frequency.unigram", "token_unigram", CHOSEN_BY_EFFECTS, (0.25, 0.5, 0.75, 1.0),
        "log effect on the distance to the unigram distribution that the neurons gain",
    ),
    (
        "frequency.direction", "token_direction", CHOSEN_BY_EFFECTS, (0.5, 1.0, 1.5, 2.0),
        "logit of the share along token frequency that the neurons gain",
    ),
)  # fmt: skip
ABSENCE = ((0.0, "nothing planted"), (0.06, "well inside the margin"), (0.11, "at the margin"), (0.3, "beyond it"))


def scenarios() -> list[Scenario]:
    """Null worlds, effects of rising strength, and absences inside, at and beyond the margin."""
    powers = [
        _scenario(f"{name}@{setting}={strength:g}", "power", chosen, (name,), says, setting, strength)
        for name, setting, chosen, strengths, says in POWERS
        for strength in strengths
    ]
    return [*_nulls(), *powers, *_absences()]


def _nulls() -> list[Scenario]:
    """Worlds in which what is tested has nothing to do with what chose the neurons, as hard as reality."""
    follow = {"effect_confounding": 0.5}
    worlds: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
        "plain": ({}, EVERY, "norms follow all effects, effects vary over neurons, conditions and documents"),
        "confounded": (follow, EVERY, "what is tested and what chooses both follow activation scale (correlation .45)"),
        "heavy": (
            {"document_neuron_sd": 0.6, "document_class_sd": 0.4, "effect_noise_sd": 0.4},
            EVERY,
            "heavy document effects: log sd .6 of a document, condition and neuron",
        ),
        "few-documents": ({"documents": 24, **follow}, EVERY, "24 documents, confounded by activation scale"),
        "chosen-by-effects": (
            {**CHOSEN_BY_EFFECTS, **follow}, BY_EFFECTS, "neurons far out in what chooses them, confounded by scale"
        ),
        "chosen-by-weights": (
            {**CHOSEN_BY_WEIGHTS, **follow}, BY_WEIGHTS, "neurons far out in what chooses them, confounded by scale"
        ),
    }  # fmt: skip
    return [
        _scenario(f"effects.{name}", "null", settings, tested, says)
        for name, (settings, tested, says) in worlds.items()
    ]


def _absences() -> list[Scenario]:
    return [
        _scenario(
            f"entropy.frequency@{strength:g}",
            "design",
            CHOSEN_BY_WEIGHTS,
            ("entropy.frequency",),
            f"entropy neurons lose {100 * strength:g} % of their effect with token frequencies frozen: {says}",
            "entropy_frequency",
            strength,
        )
        for strength, says in ABSENCE
    ]


def _scenario(
    name: str, purpose: Purpose, changed: dict[str, Any], tested: tuple[str, ...], says: str, setting: str = "",
    strength: float = 0.0,
) -> Scenario:  # fmt: skip
    settings = dataclasses.replace(WORLD, **(changed | {setting: strength} if setting else changed))
    share = 1.0 if purpose == "null" else SHARE
    return Scenario(name, purpose, settings, ON_EFFECTS, tested, says, setting, strength, share)
