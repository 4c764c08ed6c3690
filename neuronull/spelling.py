"""How options may be spelled, on the command line and in Python, and what they are then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .data.errors import InputError


def layer(value: int | str) -> Any:
    """``--layer`` as options hold it: ``last`` or a number.

    Raises
    ------
    InputError
        If it is neither.
    """
    if value == "last" or isinstance(value, int):
        return value
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{value!r} is no layer", "--layer", "give last, or a number from 0") from None


def nulls_of(pairs: Mapping[str, str] | list[str] | tuple[str, ...]) -> dict[str, str]:
    """``--null HYPOTHESIS=NULL``, given several times, as a mapping.

    Raises
    ------
    InputError
        If one is not of that form, or a hypothesis is given two nulls.
    """
    if isinstance(pairs, Mapping):
        return dict(pairs)
    chosen: dict[str, str] = {}
    for pair in pairs:
        hypothesis, equals, null = (part.strip() for part in pair.partition("="))
        if not (hypothesis and equals and null):
            hint = "give HYPOTHESIS=NULL, for instance clusters.within=hqs"
            raise InputError(f"{pair!r} is not of the form HYPOTHESIS=NULL", "--null", hint)
        if hypothesis in chosen:
            raise InputError(f"{hypothesis} is given two null models, {chosen[hypothesis]} and {null}", "--null",
                             "give one for each hypothesis")  # fmt: skip
        chosen[hypothesis] = null
    return chosen


def margins_of(pairs: list[str] | tuple[str, ...]) -> dict[str, float]:
    """``--margin HYPOTHESIS=X``, given several times, as a mapping.

    Raises
    ------
    InputError
        If one is not of that form.
    """
    margins: dict[str, float] = {}
    for pair in pairs:
        hypothesis, _, word = (part.strip() for part in pair.partition("="))
        try:
            margins[hypothesis] = float(word)
        except ValueError:
            hint = "give HYPOTHESIS=X, for instance clusters.within=.1"
            raise InputError(f"{pair!r} is not of the form HYPOTHESIS=X", "--margin", hint) from None
    return margins


def varied_of(given: Mapping[str, object] | list[str] | tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """``--vary NAME=V1,V2``, given several times, as a mapping; from Python a mapping of names to values.

    Raises
    ------
    InputError
        If one is not of that form, or holds no value.
    """
    varied: dict[str, tuple[str, ...]] = {}
    for name, values in given.items() if isinstance(given, Mapping) else map(_named, given):
        several = values if isinstance(values, list | tuple | range) else [values]
        words = tuple(str(value).strip() for value in several)
        if not words or not all(words):
            raise InputError(f"{name} is given no value, or an empty one", "--vary", "give NAME=V1,V2")
        varied[name] = (*varied.get(name, ()), *words)
    return varied


def _named(pair: str) -> tuple[str, list[str]]:
    name, equals, values = (part.strip() for part in pair.partition("="))
    if not (name and equals and values):
        raise InputError(f"{pair!r} is not of the form NAME=V1,V2", "--vary", "for instance split=1,2,3")
    return name, values.split(",")


def several(given: Any) -> list[Any]:
    """One thing, or a list of things, as a list."""
    return list(given) if isinstance(given, list | tuple) else [given]


def names(given: Any) -> list[str]:
    """One name, names joined by commas, or several, as a list; a paper or hypothesis stands for its id."""
    found = (one.split(",") if isinstance(one, str) else [one.id] for one in several(given))
    return [name for part in found for name in part if name]
