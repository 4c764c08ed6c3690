"""Planted worlds in which nothing is there, as hard as reality: the size of every test."""

from __future__ import annotations

import dataclasses
from typing import Any

from .....data.planted import Piece, Settings
from ....calibration.scenario import Scenario
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
    WEIGHTS,
    WIDE,
)


def _null(name: str, settings: Settings, pieces: tuple[Piece, ...], hypotheses: tuple[str, ...], says: str) -> Scenario:
    share = {"influence": 1.0, "activations": 0.5, "weights": 1.0, "heads": 1.0}
    return Scenario(name, "null", settings, pieces, hypotheses, says, share=share[pieces[-1]])


def nulls() -> list[Scenario]:
    """Every world without an effect, but for joint ablation."""
    return [*influence_nulls(), *activation_nulls(), *weight_nulls(), *_head_nulls()]


def influence_nulls() -> list[Scenario]:
    """Influence without a regime of rare tokens, and without specialists."""
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
            ("regimes.flatness", "regimes.flatness_b", "regimes.shape", *INFLUENCE),
            f"influence of {law} shape in both classes, scatter .15",
        )
        for law in ("lognormal", "Weibull", "Pareto")
    ]
    related: dict[str, tuple[dict[str, Any], str]] = {
        "power-1.05": ({"exponent": 1.05}, "influence on rare is that on common to the power of 1.05"),
        "power-1.1": ({"exponent": 1.1}, "influence on rare is that on common to the power of 1.1"),
        "power-.91": ({"exponent": 0.91}, "influence on rare is that on common to the power of .91"),
        "curved": ({"curvature": 0.02}, "influence on rare follows that on common along a parabola"),
        "uneven-noise": (
            {"noise_spread": 0.3},
            "noise of single positions that differs between neurons (sd .3 of its log)",
        ),
        "noisy-rare": ({"rare_noise": 2.0}, "noise of positions and documents twice as large on rare"),
        "bursts": ({"rare_bursts": 0.5}, "half of each neuron's influence on rare in one of fifty positions"),
    }
    return [
        *(
            _null(f"influence.{name}", change(WIDE, **changed), ON_INFLUENCE, INFLUENCE, says)
            for name, (changed, says) in related.items()
        ),
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
            ("regimes.flatness", *INFLUENCE),
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


def activation_nulls() -> list[Scenario]:
    """Activations without modules, cohesion, or fewer dimensions."""
    return [
        _null(
            "activations.sparse",
            Settings(),
            ON_ACTIVATIONS,
            ACTIVATIONS,
            "skewed sparse activations, heterogeneous loading, correlated neighbours, true correlations of sd .05",
        ),
        Scenario(
            "algorithms.sparse",
            "null",
            Settings(),
            ON_ACTIVATIONS,
            ("clusters.algorithms",),
            "the world of activations.sparse, in fewer data sets: a library takes one graph at a time",
            share=0.25,
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


def weight_nulls() -> list[Scenario]:
    """Weights without structure."""
    return [
        _null(
            "weights.isotropic",
            BRIEF,
            ON_WEIGHTS,
            WEIGHTS,
            "rows over unequal dimensions, nothing shared",
        ),
    ]


def _head_nulls() -> list[Scenario]:
    return [
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
