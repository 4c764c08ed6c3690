"""Freezing a plan, and running what a plan says."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import spelling
from .data.errors import InputError
from .data.options import SIZE_OPTION
from .pipeline import Request, declared_of, inputs_of, settled

if TYPE_CHECKING:
    from .hypotheses.frozen_plan import FrozenPlan

FREE = frozenset({
    "device", "batch", "shard_documents", "engine", "jobs", "out", "progress", "plan", "tokenizer", "keep_measurements",
})  # fmt: skip
"""Keywords of `neuronull.run` that change no number: a plan says nothing about them."""

NOTHING = "nothing"
"""What stands for a keyword that is not given."""


def freeze(request: Request, options: Mapping[str, Any], file: Path | None) -> FrozenPlan:
    """Write down what a run would do, before it is done.

    Parameters
    ----------
    request
        The run.
    options
        Its keywords that are not at their default, canonical.
    file
        Where to; nowhere if None.

    Raises
    ------
    InputError
        If the run would be refused, a text of the corpus is only in memory, or the file is there already.
    """
    from .hypotheses.frozen_plan import FrozenPlan
    from .reports.files import write_file

    if file is not None and file.exists():
        raise InputError(f"{file} is there already", "--out", "give another name: a frozen plan is not overwritten")
    refuse_unnamed(request, "a plan")
    request = settled(request)[0]
    plan = FrozenPlan(
        frozen=datetime.now(UTC).isoformat(timespec="seconds"),
        options={name: options[name] for name in sorted(options) if name not in FREE},
        declared=declared_of(request),
        inputs=inputs_of(request),
    )
    if file is not None:
        write_file(file, plan.text().encode())
    return plan


def refuse_unnamed(request: Request, who: str) -> None:
    """Refuse a model or texts that are only in memory: nothing tells them from others afterwards.

    Raises
    ------
    InputError
        If there are any; `who` needs the names.
    """
    if not isinstance(request.measure.corpus, str):
        what = f"{who} names its corpus, and these texts are only in memory"
        raise InputError(what, "corpus", "put them in a file")
    if not isinstance(request.measure.model, str):
        what = f"{who} names its model, and this one is only in memory"
        raise InputError(what, "model", "save it (save_pretrained)")


def merged(plan: FrozenPlan, given: Mapping[str, Any], explicit: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords of a run under a plan: the plan's, and those that it says nothing about.

    Parameters
    ----------
    given
        All keywords.
    explicit
        Those that somebody gave; the plan's other options stay as they are.

    Raises
    ------
    PlanError
        If one that was given says something else than the plan.
    """
    from .hypotheses.frozen_plan import PlanError

    wrong = []
    usual = defaults()
    for name in sorted(explicit.keys() - FREE):
        told, planned = canonical(name, explicit[name]), plan.options.get(name, canonical(name, usual[name]))
        if told != planned:
            wrong.append(f"{name}: {planned} in the plan, {told} given")
    if wrong:
        raise PlanError(wrong)
    return {**given, **plan.options}


def defaults() -> dict[str, Any]:
    """Every keyword of `neuronull.run` with its default."""
    from .api import run

    return {name: one.default for name, one in inspect.signature(run).parameters.items()}


def chosen(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those keywords that are not at their default, canonical."""
    told = {name: canonical(name, value) for name, value in given.items() if name not in FREE}
    at_default = {name: canonical(name, value) for name, value in defaults().items() if name not in FREE}
    return {name: value for name, value in told.items() if value != at_default[name]}


def canonical(name: str, value: Any) -> Any:
    """The value of a keyword in JSON's types, the same however it was spelled.

    Raises
    ------
    InputError
        If it is none.
    """
    if value is None or (isinstance(value, list | tuple | dict) and not value):
        return NOTHING
    made: dict[str, Callable[[Any], Any]] = {
        "paper": spelling.names,
        "only": spelling.names,
        "null": lambda given: dict(sorted(given.items())),
        "margin": lambda given: {key: float(one) for key, one in sorted(given.items())},
        "vary": lambda given: {key: list(words) for key, words in sorted(spelling.varied_of(given).items())},
        "layer": spelling.layer,
        SIZE_OPTION.strip("-"): str,
        "corpus": lambda given: os.fspath(given) if isinstance(given, str | os.PathLike) else "texts in memory",
    }
    if name in made:
        return made[name](value)
    return value if isinstance(value, str | bool | int | float) else str(value)
