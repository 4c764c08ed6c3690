"""The planted worlds on which hypotheses are calibrated, gathered from the papers that declare them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cache

from ...data.errors import InputError
from .. import catalogue
from .scenario import Scenario


@cache
def scenarios() -> dict[str, Scenario]:
    """Every world by name; one that several papers use tests the hypotheses of all of them."""
    found: dict[str, Scenario] = {}
    for _, paper in catalogue.papers.items():
        for scenario in paper.scenarios():
            known = found.get(scenario.name)
            if known is not None:
                if known.fingerprint != scenario.fingerprint:
                    raise InputError(f"two papers plant different worlds named {scenario.name}", paper.id, "rename one")
                both = tuple(dict.fromkeys((*known.hypotheses, *scenario.hypotheses)))
                scenario = dataclasses.replace(known, hypotheses=both)
            found[scenario.name] = scenario
    return found


def choose(hypotheses: Sequence[str] = (), names: Sequence[str] = ()) -> list[Scenario]:
    """Scenarios that test any of the hypotheses (ids or families) and whose name begins with one of those given.

    Raises
    ------
    InputError
        For a name that matches nothing.
    """
    every = scenarios()
    known = sorted({h for s in every.values() for h in s.hypotheses})
    for asked in hypotheses:
        if not any(is_asked(asked, h) for h in known):
            raise InputError(f"no calibration for hypothesis {asked!r}", "ID", f"known: {', '.join(known)}")
    for asked in names:
        if not any(name.startswith(asked) for name in every):
            raise InputError(f"no scenario {asked!r}", "--scenario", f"known: {', '.join(every)}")
    chosen = []
    for scenario in every.values():
        tested = scenario.hypotheses
        kept = tuple(h for h in tested if not hypotheses or any(is_asked(asked, h) for asked in hypotheses))
        if scenario.claim and hypotheses:  # judged as a whole, for who names it: who asks for one test asks for that
            kept = tested if kept and names else ()
        if kept and (not names or any(scenario.name.startswith(asked) for asked in names)):
            chosen.append(dataclasses.replace(scenario, hypotheses=kept))
    if not chosen:
        raise InputError("no scenario tests these hypotheses", "--scenario", "leave --scenario out")
    return chosen


def is_asked(asked: str, hypothesis: str) -> bool:
    """Whether an id, or the name of a family, names a hypothesis."""
    return asked in (hypothesis, hypothesis.split(".")[0])
