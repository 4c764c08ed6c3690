"""Planted worlds in which nothing is there, as hard as reality: the size of every test."""

from __future__ import annotations

import dataclasses
from typing import Any

from ...data.planted import Piece, Settings
from .worlds import (
    ACTIVATIONS,
    ALIKE,
    BRIEF,
    HEADS,
    INFLUENCE,
    ON_ACTIVATIONS,
    ON_HEADS,
    ON_INFLUENCE,
    ON_WEIGHTS,
    TRAINING,
    WEIGHTS,
    WIDE,
    Scenario,
)


def _null(name: str, settings: Settings, pieces: tuple[Piece, ...], hypotheses: tuple[str, ...], says: str) -> Scenario:
    share = {"influence": 1.0, "activations": 0.5, "weights": 1.0, "heads": 1.0}
    return Scenario(name, "null", settings, pieces, hypotheses, says, share=share[pieces[-1]])


def nulls() -> list[Scenario]:
    """Every world without an effect, but for joint ablation."""
    return [*_influence_nulls(), *_activation_nulls(), *_weight_and_head_nulls(), *_training_nulls()]


def _influence_nulls() -> list[Scenario]:
    change = dataclasses.replace
    scattered = [
        _null(
            f"influence.scatter-{scatter:g}",
            change(WIDE, scatter=scatter),
            ON_INFLUENCE,
            INFLUENCE,
            f"neuron-by-class scatter {scatter:g} without specialists; document-by-class effects; loss higher on rare",
        )
        for scatter in (0.15, 0.3)
    ]
    laws = [
        _null(
            f"influence.{law}",
            change(WIDE, law=law, covariate_link=0.0),
            ON_INFLUENCE,
            ("regimes.shape", *INFLUENCE),
            f"influence of {law} shape in both classes, scatter .15",
        )
        for law in ("lognormal", "Weibull", "Pareto")
    ]
    return [
        _null(
            "influence.scatter-0",
            change(WIDE, scatter=0.0),
            ON_INFLUENCE,
            (*INFLUENCE, "regimes.recruitment"),
            "classes alike in every neuron; document-by-class effects; loss higher on rare",
        ),
        *scattered,
        *laws,
        _null(
            "influence.few-documents",
            Settings(documents=40, pairs=12, neurons=480, law="Weibull", covariate_link=0.0),
            ON_INFLUENCE,
            ("regimes.shape", *INFLUENCE),
            "40 documents of 12 pairs",
        ),
        *(
            _null(
                name,
                change(WIDE, covariate_link=0.6, covariate_lean=lean),
                ON_INFLUENCE,
                INFLUENCE,
                f"neurons of large activation scale lean to {to} (.15 a sd) and are more influential (correlation .6)",
            )
            for name, lean, to in (("influence.lean-rare", 0.15, "rare"), ("influence.lean-common", -0.15, "common"))
        ),
    ]


def _activation_nulls() -> list[Scenario]:
    return [
        _null(
            "activations.sparse",
            Settings(),
            ON_ACTIVATIONS,
            ACTIVATIONS,
            "skewed sparse activations, heterogeneous loading, correlated neighbours, true correlations of sd .05",
        ),
        _null(
            "activations.diffuse",
            Settings(background=0.1, loading=0.05),
            ON_ACTIVATIONS,
            ACTIVATIONS,
            "diffuse true correlations of sd .1",
        ),
        _null(
            "activations.linked",
            Settings(covariate_link=0.6),
            ON_ACTIVATIONS,
            ACTIVATIONS,
            "influence follows activation scale and output norm (correlation .6)",
        ),
        _null(
            "activations.confounded",
            Settings(neurons=960, covariate_link=0.93, confounding=0.45),
            ON_ACTIVATIONS,
            ACTIVATIONS,
            "influence follows activation scale (correlation .93), and neurons of large scale are more correlated",
        ),
    ]


def _weight_and_head_nulls() -> list[Scenario]:
    return [
        _null(
            "weights.isotropic",
            BRIEF,
            ON_WEIGHTS,
            WEIGHTS,
            "rows over unequal dimensions, nothing shared",
        ),
        _null(
            "heads.uneven",
            BRIEF,
            ON_HEADS,
            HEADS,
            "heads act 65 % more on the plateau in both classes, and each head more in one class on all neurons",
        ),
        _null(
            "heads.alike",
            ALIKE,
            ON_HEADS,
            (*HEADS, "routing.profile"),
            "heads act 65 % more on the plateau in both classes, alike for both",
        ),
    ]


def _training_nulls() -> list[Scenario]:
    worlds: dict[str, tuple[dict[str, Any], str]] = {
        "scatter": ({"scatter": 0.3}, "neuron-by-class scatter that grows to .3, without specialists"),
        "alike": ({"scatter": 0.0}, "classes alike in every neuron at every checkpoint; document-by-class effects"),
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
