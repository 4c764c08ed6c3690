"""Plans that are frozen: written before a run, and held against what the run would do.

A frozen plan holds what `neuronull.hypotheses.plan` declares, the inputs by their hashes, and the options that say the
same.  It cannot show that nobody had looked at the data before: its time is what the clock said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.errors import InputError
from ..data.regular import present
from .plan import plan_hash

FORMAT = "1"
OPTION = "--plan"
_LARGEST = 16 << 20
_TOLD = 60


class PlanError(InputError):
    """A run is not what its plan says; ``differences`` has one line for each thing."""

    def __init__(self, differences: list[str]) -> None:
        self.differences = differences
        one = f"one thing differs from the plan: {differences[0]}"
        what = one if len(differences) == 1 else f"{len(differences)} things differ from the plan"
        super().__init__(what, OPTION, "run the plan as it is, or freeze another")


@dataclass(frozen=True)
class FrozenPlan:
    """A plan as it was written.

    Parameters
    ----------
    frozen
        When, UTC, ISO 8601.
    options
        Keyword of `neuronull.run` -> value, of those that decide numbers and are not at their default.
    declared
        What `neuronull.hypotheses.plan.declared` gave.
    inputs
        What `neuronull.data.fingerprints.fingerprints` gave.
    """

    frozen: str
    options: dict[str, Any]
    declared: dict[str, Any]
    inputs: dict[str, str]

    @property
    def sha256(self) -> str:
        """Hash of what was declared and of the inputs."""
        return plan_hash({"declared": self.declared, "inputs": self.inputs})

    def text(self) -> str:
        """The plan as its file holds it."""
        told = {
            "format": FORMAT,
            "sha256": self.sha256,
            "frozen": self.frozen,
            "options": self.options,
            "inputs": self.inputs,
            "declared": self.declared,
        }
        return json.dumps(told, indent=1, ensure_ascii=True, allow_nan=False) + "\n"

    def refuse_others(self, declared: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
        """Refuse a run that declares something else, or whose inputs are others.

        Raises
        ------
        PlanError
            With one line for each difference.
        """
        found = list(_differences("", self.declared, json.loads(json.dumps(declared))))
        found += [f"{name} is another file than the plan's" for name in self.inputs if inputs.get(name) is None]
        found += [
            f"{name} has another content: SHA-256 {self.inputs[name][:12]}... in the plan, {inputs[name][:12]}... here"
            for name in self.inputs
            if inputs.get(name) not in (None, self.inputs[name])
        ]
        if found:
            raise PlanError(found)


def read_plan(path: str | Path) -> FrozenPlan:
    """Return the plan that a file holds.

    Raises
    ------
    InputError
        If it holds none, or was changed after it was frozen.
    """
    file = Path(path).expanduser()
    if not present(file) or file.stat().st_size > _LARGEST:
        raise InputError(f"no plan is in {path}", OPTION, "neuronull plan writes one")
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        parts = told["frozen"], told["options"], told["declared"], told["inputs"]
        plan = FrozenPlan(*parts)
        known = told["format"] == FORMAT and [type(part) for part in parts] == [str, dict, dict, dict]
        same = plan.sha256 == told["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        what = f"no plan is in {path} ({type(error).__name__})"
        raise InputError(what, OPTION, "neuronull plan writes one") from None
    if not known:
        raise InputError(f"{path} is no plan that this version reads", OPTION, "freeze it again")
    if not same:
        raise InputError(f"{path} was changed after it was frozen", OPTION, "freeze another plan")
    return plan


def _differences(where: str, plan: Any, here: Any) -> Iterator[str]:
    """One line for each place at which two declared values differ."""
    if isinstance(plan, dict) and isinstance(here, dict):
        for name in {**plan, **here}:
            yield from _differences(f"{where} {name}".strip(), plan.get(name), here.get(name))
    elif _named(plan) and _named(here):
        both = {one["id"]: one for one in plan}, {one["id"]: one for one in here}
        for name in {**both[0], **both[1]}:
            yield from _differences(name, both[0].get(name), both[1].get(name))
    elif plan != here:
        yield f"{where}: {_short(plan)} in the plan, {_short(here)} here"


def _named(value: Any) -> bool:
    """Whether it is a list of things that are told apart by an id."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) and "id" in one for one in value)


def _short(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict) and "id" in value:
        return "tested"
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= _TOLD else text[: _TOLD - 3] + "..."
