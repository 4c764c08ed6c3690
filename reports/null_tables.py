"""The null models behind a result: what each declares, where it came from, how it did here, and what vouches for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..hypotheses.result import Certificate, NullSummary, Result
from . import glossary
from .numbers import ABSENT, count, number
from .tables import Table, table_of

_LONGEST = 3
"""Numbers of a diagnostic that are printed one by one; of more, the first and the last."""


def null_models(result: Result) -> Table:
    """Every null model of the run in one line."""
    rows = [
        (card.name, _at_random(card), ", ".join(card.hypotheses), card.origin, passed(card.certificate))
        for card in result.nulls
    ]
    note = (
        "The checks of a null model ask, among others, whether it keeps what it says it keeps, depends on nothing but "
        "its seed, seldom finds an effect where there is none, and finds one that was planted."
    )
    columns = ("Null model", "What it puts at random", "Used for", "From", "Checks passed")
    return table_of("Null models of this run", columns, rows, words_in=(1, 2, 3, 4), note=note if rows else "")


def cards(result: Result) -> list[Table]:
    """One table per null model, with all that is known of it."""
    return [_card(card) for card in result.nulls]


def passed(certificate: Certificate | None) -> str:
    """``17 of 17``, with the names of those that failed."""
    if certificate is None:
        return "not checked"
    told = f"{count(certificate.run - len(certificate.failed))} of {count(certificate.run)}"
    return f"{told}; failed: {', '.join(certificate.failed)}" if certificate.failed else told


def _at_random(card: NullSummary) -> str:
    """What it says of itself in a sentence; else what it declares."""
    return card.says or f"{card.randomises.capitalize()}; it breaks: {_joined(card.breaks)}."


def _card(card: NullSummary) -> Table:
    pairs = [
        ("Randomises", card.randomises),
        ("Keeps", _joined(card.preserves)),
        ("Breaks", _joined(card.breaks)),
        ("Taken to be exchangeable", card.exchangeable),
        ("When to use it", card.when),
        ("Caveat", card.caveat),
        ("Source", card.reference),
        ("From", card.origin),
        ("Checks passed", passed(card.certificate)),
        *_vouched(card.certificate),
        *_diagnostics(card),
    ]
    rows = [(name, value) for name, value in pairs if value]
    return table_of(f"Null model {card.name}", ("What", "Value"), rows, words_in=(1,))


def _vouched(certificate: Certificate | None) -> list[tuple[str, str]]:
    if certificate is None:
        return []
    versions = ", ".join(f"{name} {version}" for name, version in certificate.versions.items())
    return [("Checks that do not apply", ", ".join(certificate.skipped)), ("Checked with", versions)]


def _diagnostics(card: NullSummary) -> list[tuple[str, str]]:
    """Diagnostics on these data; hypotheses with the same numbers share them."""
    shared: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for hypothesis, found in card.diagnostics.items():
        told = tuple(
            (glossary.DIAGNOSTICS.get(key, key.replace("_", " ")), _value(value)) for key, value in found.items()
        )
        shared.setdefault(told, []).append(hypothesis)
    if len(shared) == 1:
        return [(f"Here: {name}", value) for told in shared for name, value in told]
    return [(f"In {', '.join(ids)}: {name}", value) for told, ids in shared.items() for name, value in told]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(float(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = value if len(value) <= _LONGEST else (value[0], value[-1])
        told = [_value(item) for item in shown]
        return ", ".join(told) if shown is value else f"from {told[0]} to {told[-1]} ({count(len(value))} values)"
    return ABSENT if value is None else str(value)


def _joined(values: Iterable[str]) -> str:
    return "; ".join(values)
