"""Planted worlds of the hypotheses that ablate sets of neurons or heads jointly."""

from __future__ import annotations

import dataclasses
from typing import Any

from .....data.planted import JointSettings, Settings
from ....calibration.scenario import Scenario
from .worlds import BRIEF, ON_HEADS, ON_INFLUENCE, WIDE


def joint(hypothesis: str) -> list[Scenario]:
    """Worlds of one of the two hypotheses that ablate sets jointly."""
    change, neurons, heads = dataclasses.replace, ("specialists.closure",), ("routing.closure",)
    many = change(BRIEF, heads=40)
    alike = JointSettings(head_class_sd=0.0)
    nulls = [
        ("closure.neurons", WIDE, JointSettings(), "neurons of uneven net effect, larger on rare and on the plateau"),
        (
            "closure.neurons-uneven",
            change(WIDE, scatter=0.3),
            JointSettings(net_class_sd=0.2, net_shift=0.3),
            "the same, more unlike between the classes, every neuron's loss increase far larger on rare",
        ),
        (
            "closure.neurons-few-documents",
            Settings(documents=40, pairs=12, neurons=480, law="Weibull", covariate_link=0.0),
            JointSettings(),
            "40 documents of 12 pairs",
        ),
        ("closure.heads", many, JointSettings(), "40 heads, each hurting one class more, all hurting rare more"),
        ("closure.heads-alike", many, alike, "40 heads, alike for both classes but that all hurt rare more"),
    ]
    large = change(many, documents=160, heads=80)
    powers = [
        *(("closure", x, WIDE, "net share that the plateau has more on rare") for x in (0.1, 0.2, 0.3, 0.5)),
        *(("routing", x, large, "relative excess of the top heads' increase on rare") for x in (0.5, 1.0, 2.0, 4.0)),
    ]
    designs = [
        ("large.closure", large, alike, "no effect, 160 documents, 80 heads alike for both classes", "", 0.0),
        (
            "edge.closure",
            large,
            change(alike, routing=0.3),
            "the top heads' increase just at the margin, 160 documents",
            "routing",
            0.3,
        ),
    ]
    made = []
    for name, world, settings, says in nulls:
        of_neurons = "neurons" in name
        pieces = ON_INFLUENCE if of_neurons else ON_HEADS
        tested = neurons if of_neurons else heads
        made.append(Scenario(name, "null", world, pieces, tested, says, share=0.5, joint_ablation=settings))
    for setting, strength, world, says in powers:
        tested, pieces = (neurons, ON_INFLUENCE) if setting == "closure" else (heads, ON_HEADS)
        given: dict[str, Any] = {setting: strength}
        name = f"{tested[0]}@{setting}={strength:g}"
        made.append(
            Scenario(
                name, "power", world, pieces, tested, says, setting, strength, joint_ablation=JointSettings(**given)
            )
        )
    for name, world, settings, says, setting, strength in designs:
        made.append(Scenario(name, "design", world, ON_HEADS, heads, says, setting, strength, joint_ablation=settings))
    return [s for s in made if hypothesis in s.hypotheses]
