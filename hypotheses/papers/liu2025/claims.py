"""The three claims of Liu 2025, and what a reader is told of each verdict."""

from __future__ import annotations

from ...paper import Claim
from ...result import Verdict

REGIMES = Claim(
    "{a} have a regime of their own",
    ("regimes.flatness", "regimes.contrast"),
    {
        Verdict.SUPPORTED: "For rare words this model leans on a small group of neurons in a way it does not for "
        "common words.",
        Verdict.REFUTED: "The claim that rare words get extra neurons of their own fails here: at least one thing it "
        "predicts is not there.",
        Verdict.UNDETERMINED: "This run cannot tell whether rare words get extra neurons of their own.",
        Verdict.NOT_RUN: "Whether rare words get extra neurons of their own was not measured.",
    },
    unless={"regimes.flatness_b": "common words have a plateau too (regimes.flatness_b), only less of one"},
)

CLUSTERS = Claim(
    "{set} neurons form no modular clusters",
    ("clusters.within", "clusters.core", "clusters.cohesion", "clusters.weights"),
    {
        Verdict.SUPPORTED: "The neurons that matter most for rare words form no clusters of any size that would "
        "matter.",
        Verdict.REFUTED: "The neurons that matter most for rare words do cluster, against the claim.",
        Verdict.UNDETERMINED: "This run cannot tell whether the neurons that matter most for rare words form clusters.",
        Verdict.NOT_RUN: "Whether the neurons that matter most for rare words form clusters was not measured.",
    },
)

ROUTING = Claim(
    "attention does not route to them",
    ("routing.heads", "routing.concentration", "routing.profile", "routing.closure"),
    {
        Verdict.SUPPORTED: "Attention does not favour those neurons for rare words by any amount that would matter.",
        Verdict.REFUTED: "Attention does favour those neurons for rare words, against the claim.",
        Verdict.UNDETERMINED: "This run cannot tell whether attention favours those neurons for rare words.",
        Verdict.NOT_RUN: "Whether attention favours those neurons for rare words was not measured.",
    },
)
