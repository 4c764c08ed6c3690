"""The claims of the companion papers, and what a reader is told of each verdict."""

from __future__ import annotations

from collections.abc import Mapping

from ...paper import Claim
from ...result import Verdict


def _headlines(so: str, not_so: str, whether: str) -> Mapping[Verdict, str]:
    return {
        Verdict.SUPPORTED: so,
        Verdict.REFUTED: not_so,
        Verdict.UNDETERMINED: f"This run cannot tell whether {whether}.",
        Verdict.NOT_RUN: f"Whether {whether} was not measured.",
    }


CLAIMS = (
    Claim(
        "{a} have specialist neurons",
        ("specialists.selectivity",),
        _headlines(
            "Rare words have neurons that work for them more than for common words.",
            "The neurons that matter most for rare words work as much for common words.",
            "rare words have neurons that work for them more than for common words",
        ),
    ),
    Claim(
        "{a} depend on the {set} neurons as a whole",
        ("specialists.closure",),
        _headlines(
            "Removing the neurons that matter most for rare words hurts rare words more than removing ordinary ones.",
            "Removing the neurons that matter most for rare words hurts them no more than removing ordinary ones.",
            "rare words depend on those neurons as a whole",
        ),
    ),
    Claim(
        "{set} neurons act in concert",
        ("coordination.dimension",),
        _headlines(
            "The neurons that matter most for rare words act in concert.",
            "The neurons that matter most for rare words act no more in concert than ordinary ones.",
            "the neurons that matter most for rare words act in concert",
        ),
    ),
    Claim(
        "{set} neurons have heavy-tailed weights",
        ("tails.weights",),
        _headlines(
            "The weights of the neurons that matter most for rare words have heavier tails than those of others.",
            "The weights of the neurons that matter most for rare words have no heavier tails than those of ordinary "
            "ones.",
            "the weights of those neurons have heavier tails",
        ),
    ),
    Claim(
        "specialisation emerges over training",
        ("emergence.trend",),
        _headlines(
            "The neurons that matter most for rare words specialise over this training run.",
            "The neurons that matter most for rare words do not specialise over this training run.",
            "those neurons specialise over training",
        ),
    ),
)
