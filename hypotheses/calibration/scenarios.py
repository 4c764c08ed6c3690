"""The planted worlds on which hypotheses are calibrated: null data, effects of rising strength, other designs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from ...data.errors import InputError
from .designs import closures, designs
from .null_worlds import nulls
from .powers import powers
from .worlds import Scenario

SCENARIOS: dict[str, Scenario] = {s.name: s for s in (*nulls(), *powers(), *designs(), *closures())}


def choose(hypotheses: Sequence[str] = (), scenarios: Sequence[str] = ()) -> list[Scenario]:
    """Scenarios that test any of the hypotheses (ids or families) and whose name begins with one of those given.

    Raises
    ------
    InputError
        For a name that matches nothing.
    """
    known = sorted({h for s in SCENARIOS.values() for h in s.hypotheses})
    for asked in hypotheses:
        if not any(_is(asked, h) for h in known):
            raise InputError(f"no calibration for hypothesis {asked!r}", "ID", f"known: {', '.join(known)}")
    for asked in scenarios:
        if not any(name.startswith(asked) for name in SCENARIOS):
            raise InputError(f"no scenario {asked!r}", "--scenario", f"known: {', '.join(SCENARIOS)}")
    chosen = []
    for scenario in SCENARIOS.values():
        kept = tuple(h for h in scenario.hypotheses if not hypotheses or any(_is(asked, h) for asked in hypotheses))
        if kept and (not scenarios or any(scenario.name.startswith(asked) for asked in scenarios)):
            chosen.append(dataclasses.replace(scenario, hypotheses=kept))
    if not chosen:
        raise InputError("no scenario tests these hypotheses", "--scenario", "leave --scenario out")
    return chosen


def _is(asked: str, hypothesis: str) -> bool:
    return asked in (hypothesis, hypothesis.split(".")[0])
