"""The plan of a run: everything that was declared and decides a number or a verdict, as canonical JSON and its hash.

The hash covers what is asked and how it is judged: options, hypotheses with claim, criterion, margin and null models,
controls, seeds, what is varied, and the version of this package.  It does not cover what changes no number (workers,
batch, device, paths of results) nor the data, whose hashes stand in the result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..data.conditions import BY_FREQUENCY
from ..data.options import MeasureOptions, TestOptions
from . import catalogue
from .choice import Choice, choose
from .hypothesis import Hypothesis, null_names

FORMAT = "1"
COVERS = (
    "options that decide numbers; hypotheses with claim, criterion, margin, statistic, null models and sensitivity "
    "rows; controls; seeds; what is varied; version of the software"
)
_NO_NUMBER = frozenset({"device", "batch", "shard_documents", "random_init"})
"""Options of a measurement that change no number, or that a run sets itself."""
_TOLD_BY_HYPOTHESES = frozenset({"jobs", "suite", "only", "nulls", "papers", "margins"})
"""Options of the tests that change no number, or whose outcome the list of hypotheses holds."""


def declared(measure: MeasureOptions | Mapping[str, object], tests: TestOptions) -> dict[str, Any]:
    """Everything that was declared, in types that JSON knows.

    Parameters
    ----------
    measure
        What is to be measured; or, where measurements were given, what names them.

    Raises
    ------
    InputError
        For a hypothesis or a null model that is not there.
    """
    choice = choose(tests)
    if isinstance(measure, Mapping):
        given = dict(measure)
    else:
        given = _options(measure, _NO_NUMBER) | {"corpus": measure.corpus_told, "model": measure.model_told}
        if measure.conditions != BY_FREQUENCY:
            given["conditions"] = _content(measure.conditions)
    asked = _options(tests, _TOLD_BY_HYPOTHESES)
    if tests.set is not None:
        asked["set"] = _content(tests.set)
    return {
        "format": FORMAT,
        "measure": _plain(given),
        "tests": _plain(asked),
        "papers": sorted(paper.id for paper in choice.papers),
        "hypotheses": [_hypothesis(h, choice, tests) for h in sorted(choice.hypotheses, key=lambda h: h.id)],
        "controls": sorted(control.id for control in choice.controls),
        "versions": {"neuronull": version("neuronull")},
    }


def canonical(plan: Mapping[str, Any]) -> str:
    """The one text of a plan: keys sorted, no spaces, ASCII, no infinities."""
    return json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def plan_hash(plan: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical text, 64 hexadecimal digits."""
    return hashlib.sha256(canonical(plan).encode("ascii")).hexdigest()


def _content(path: str) -> dict[str, str]:
    """A file by what is in it, not by its place."""
    return {"sha256": hashlib.sha256(Path(path).expanduser().read_bytes()).hexdigest()}


def _options(options: MeasureOptions | TestOptions, without: frozenset[str]) -> dict[str, Any]:
    return {f.name: getattr(options, f.name) for f in fields(options) if f.name not in without}


def _hypothesis(hypothesis: Hypothesis, choice: Choice, tests: TestOptions) -> dict[str, Any]:
    chosen = tests.nulls.get(hypothesis.id)
    deciding = (chosen,) if chosen else hypothesis.nulls
    return {
        "id": hypothesis.id,
        "claim": hypothesis.claim,
        "criterion": _plain(hypothesis.criterion),
        "statistic": _plain(hypothesis.statistic),
        "set": _plain(choice.set_of(hypothesis)),
        "alike": list(hypothesis.alike),
        "nulls": {name: catalogue.origin_of(null) for name, null in zip(null_names(deciding), deciding, strict=True)},
        "sensitivity": {
            name: catalogue.origin_of(null)
            for name, null in zip(null_names(hypothesis.sensitivity), hypothesis.sensitivity, strict=True)
        },
        "source": hypothesis.source,
    }


def _plain(value: Any) -> Any:
    """A declared value in JSON's types: objects by their class and fields, functions by their name."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return {"class": _name(type(value))} | {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, partial):
        return {"function": _name(value.func), "args": _plain(value.args), "keywords": _plain(value.keywords)}
    return _name(value if hasattr(value, "__qualname__") else type(value))


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"
