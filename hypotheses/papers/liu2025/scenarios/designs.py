"""Other designs: no effect in studies large and small, effects at the margin, and sets that are ablated jointly."""

from __future__ import annotations

import dataclasses

from .....data.planted import Settings
from ....calibration.scenario import FEWER, Scenario
from .worlds import (
    BRIEF,
    CERTAIN,
    HEADS,
    ON_ACTIVATIONS,
    ON_HEADS,
    ON_INFLUENCE,
    ON_WEIGHTS,
    UNLINKED,
)

MANY = Settings(documents=240, pairs=8, neurons=480, head_class_sd=0.0)
LARGE = Settings(documents=120, pairs=20, neurons=1280, plateau_share=0.04, background=0.02)
DEEP = Settings(documents=60, pairs=8, neurons=2560, width=256)
FEW = Settings(documents=24, pairs=8, neurons=480, head_class_sd=0.0)


def designs() -> list[Scenario]:
    """No effect in studies that are large or small, and effects at the margin of an equivalence."""
    return [*_sizes(), *_edges_of_heads(), *_edges_of_sets()]


def _sizes() -> list[Scenario]:
    broad = dataclasses.replace(LARGE, documents=160, plateau_share=0.0625, sparsity=0.5)
    absences = ("clusters.within", "clusters.cohesion")
    return [
        Scenario("large.heads", "design", MANY, ON_HEADS, (*HEADS, "routing.profile"), "no effect, 240 documents"),
        Scenario(
            "large.activations",
            "design",
            broad,
            ON_ACTIVATIONS,
            absences,
            "no effect, 160 documents, plateau of 80, activations less sparse",
        ),
        Scenario(
            "large.weights", "design", DEEP, ON_WEIGHTS, ("clusters.weights",), "no effect, plateau of 44, width 256"
        ),
        Scenario("small.heads", "design", FEW, ON_HEADS, (*HEADS, "routing.profile"), "no effect, 24 documents"),
        Scenario("small.activations", "design", FEW, ON_ACTIVATIONS, absences, "no effect, 24 documents"),
    ]


def _edges_of_heads() -> list[Scenario]:
    change = dataclasses.replace
    return [
        Scenario(
            "edge.heads",
            "design",
            change(MANY, routing=0.27, **CERTAIN),
            ON_HEADS,
            ("routing.heads",),
            "one head's effect just at the margin, 240 documents",
            "routing",
            0.27,
        ),
        Scenario(
            "edge.all-heads",
            "design",
            change(BRIEF, heads=36, head_class_sd=0.0, head_noise_sd=0.8, routing_all=0.25, **CERTAIN),
            ON_HEADS,
            ("routing.heads",),
            "all of 36 noisy heads route alike, within the margin",
            "routing_all",
            0.25,
        ),
        Scenario(
            "edge.weak-head",
            "design",
            change(MANY, documents=120, neurons=240, heads=144, router=72, routing=1.0, **CERTAIN),
            ON_HEADS,
            ("routing.heads",),
            "one head of 144, of middling strength, acts twice as much on the plateau for rare",
            "routing",
            1.0,
            share=FEWER / 2,
        ),
        Scenario(
            "edge.concentration",
            "design",
            change(BRIEF, neurons=1600, plateau_share=0.03, covariate_link=0.93, concentrated=0.2, **CERTAIN),
            ON_HEADS,
            ("routing.concentration",),
            "concentration at the margin, influence follows scale (correlation .93)",
            "concentrated",
            0.2,
        ),
        Scenario(
            "linked.concentration",
            "design",
            change(BRIEF, covariate_link=0.8, concentrated=0.4, **CERTAIN),
            ON_HEADS,
            ("routing.concentration",),
            "strong concentration, influence follows scale (correlation .8)",
            "concentrated",
            0.4,
        ),
        Scenario(
            "unfound.concentration",
            "design",
            change(BRIEF, concentrated=0.8),
            ON_HEADS,
            ("routing.concentration",),
            "strong concentration; part of the planted neurons are not chosen, and null sets hold them",
            "concentrated",
            0.8,
        ),
    ]


def _edges_of_sets() -> list[Scenario]:
    change = dataclasses.replace
    return [
        Scenario(
            "edge.weights",
            "design",
            change(DEEP, weight_cluster=0.0525, **CERTAIN),
            ON_WEIGHTS,
            ("clusters.weights",),
            "shared cosine just at the margin, plateau of 44",
            "weight_cluster",
            0.0525,
        ),
        Scenario(
            "edge.linked-weights",
            "design",
            change(DEEP, covariate_link=0.93, weight_cluster=0.0525, **CERTAIN),
            ON_WEIGHTS,
            ("clusters.weights",),
            "shared cosine just at the margin, influence follows scale (correlation .93), plateau of 44",
            "weight_cluster",
            0.0525,
        ),
        Scenario(
            "edge.flatness",
            "design",
            change(UNLINKED, documents=240, neurons=1280, flat_both=0.5),
            ON_INFLUENCE,
            ("regimes.flatness",),
            "heads of both classes flattened by half, near the margin",
            "flat_both",
            0.5,
        ),
        Scenario(
            "edge.cohesion",
            "design",
            change(LARGE, cohesion=0.075, **CERTAIN),
            ON_ACTIVATIONS,
            ("clusters.cohesion",),
            "cohesion near the margin, plateau of 51",
            "cohesion",
            0.075,
        ),
    ]
