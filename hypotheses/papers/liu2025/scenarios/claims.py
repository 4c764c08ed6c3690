"""Claims as a whole: worlds in which one is true as it was published, and worlds in which it is false."""

from __future__ import annotations

from dataclasses import replace

from .....data.planted import Piece, Settings
from ....calibration.scenario import Scenario
from .designs import MANY
from .worlds import UNLINKED

REGIMES = ("regimes.flatness", "regimes.contrast", "regimes.flatness_b")
"""The last decides nothing and stands against the claim where it is found."""
CLUSTERS = ("clusters.within", "clusters.core", "clusters.cohesion", "clusters.weights")
ROUTING = ("routing.heads", "routing.concentration", "routing.profile")

LARGE = replace(UNLINKED, neurons=2560)
"""A head of 44."""
SMALL = UNLINKED
"""A head of 11."""
ON_ALL: tuple[Piece, ...] = ("influence", "activations", "weights")


def claims() -> list[Scenario]:
    """Each claim in worlds where it holds and where it fails."""
    return [*_regimes(), *_clusters(), *_routing()]


def _scenario(
    number: int, name: str, settings: Settings, pieces: tuple[Piece, ...], hypotheses: tuple[str, ...], says: str
) -> Scenario:
    return Scenario(
        f"claim-{number}.{name}", "claim", settings, pieces, hypotheses, says, share=1.0, claim=f"liu2025:{number}"
    )


def _regimes() -> list[Scenario]:
    def one(name: str, settings: Settings, says: str) -> Scenario:
        return _scenario(1, name, settings, ("influence",), REGIMES, says)

    return [
        one("true", replace(LARGE, flat_rare=1.0), "true: a level head for rare alone, 2,560 neurons"),
        one("true-small", replace(SMALL, flat_rare=1.0), "true: a level head for rare alone, 640 neurons"),
        one(
            "true-raised",
            replace(LARGE, flat_rare=1.0, raised_rare=1.0),
            "true: a level head for rare alone, raised by one log rank, 2,560 neurons",
        ),
        one(
            "true-high",
            replace(LARGE, flat_rare=1.0, raised_rare=3.0),
            "true: a level head for rare alone, raised by three log ranks, 2,560 neurons",
        ),
        one("law", LARGE, "false: one lognormal law for both, 2,560 neurons"),
        one("law-small", SMALL, "false: one lognormal law for both, 640 neurons"),
        one("power-law", replace(LARGE, law="Pareto"), "false: one power law for both, 2,560 neurons"),
        one("both-flat", replace(LARGE, flat_both=1.0), "false: level heads for rare and common, 2,560 neurons"),
        one(
            "climbing",
            replace(LARGE, flat_rare=-1.0),
            "false: the head for rare climbs twice as steeply, 2,560 neurons",
        ),
    ]


def _clusters() -> list[Scenario]:
    def one(name: str, settings: Settings, says: str) -> Scenario:
        return _scenario(2, name, settings, ON_ALL, CLUSTERS, says)

    return [
        one("true", Settings(), "true: no clusters, 60 documents"),
        one("modules", Settings(modules=0.4), "false: two blocks of the set share .4 of their variance"),
        one(
            "core",
            Settings(neurons=960, plateau_share=0.0625, loading=0.03, background=0.02, raised_both=3.0, core=0.5),
            "false: 8 of 60 neurons of the set share .5 of their variance",
        ),
    ]


def _routing() -> list[Scenario]:
    def one(name: str, settings: Settings, says: str) -> Scenario:
        return _scenario(3, name, settings, ("influence", "heads"), ROUTING, says)

    return [
        one("true", MANY, "true: no head prefers the set, 240 documents"),
        one("router", replace(MANY, routing=1.0), "false: one head acts twice as much on the set for rare"),
    ]
