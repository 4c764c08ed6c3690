"""One hypothesis as it is told: the row that decides, what it found, why, and its tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..hypotheses.result import Finding, HypothesisCard, Kind, Result, Role, Verdict
from . import multiverse, reasons, tables
from .numbers import ABSENT, finding_numbers
from .tables import Table


@dataclass(frozen=True)
class FindingSection:
    """One hypothesis: the row that decides (or the first one, where none does) and all rows beside it."""

    anchor: str
    hypothesis: str
    title: str
    asks: str
    measured: str
    row: Finding
    rows: tuple[Finding, ...]
    sentence: str
    why: str
    doubt: str
    enough: str
    by_null: str
    calibration: str
    reading: str
    null_words: str
    notes: str
    universes: str
    set: str
    numbers: Table
    nulls: Table
    outputs: Table
    also: Table
    lines: Table
    tails: Table

    @property
    def verdict(self) -> Verdict | None:
        """Verdict of the deciding row; None where no row decides."""
        return self.row.verdict if self.row.role is Role.PRIMARY else None

    @property
    def tested(self) -> bool:
        """Whether anything was estimated."""
        return any(r.estimate is not None for r in self.rows)


def finding_section(index: int, hypothesis: str, result: Result) -> FindingSection:
    """Section of a hypothesis; `index` keeps its anchor apart from others."""
    rows = tuple(f for f in result.findings if f.hypothesis == hypothesis)
    row = next((f for f in rows if f.role is Role.PRIMARY), rows[0])
    card = next((c for c in result.hypotheses if c.id == hypothesis), None)
    reason = (
        reasons.why(row)
        if row.role is Role.PRIMARY
        else "Reported for comparison: this row carries no verdict and decides no claim."
    )
    return FindingSection(
        anchor=f"finding-{index}-{slug(hypothesis)}",
        hypothesis=hypothesis,
        title=card.title if card else (row.claim or hypothesis),
        asks=(card.asks if card else "") or row.claim,
        measured=card.measured if card else "",
        row=row,
        rows=rows,
        sentence=as_sentence(_sentence(row, card)),
        why=reason,
        doubt=as_sentence(reasons.doubt(row)),
        enough=reasons.enough(row),
        by_null=_by_null(row, rows),
        calibration=as_sentence(row.details.calibration),
        reading=_reading(row, card),
        null_words=tables.null_says(row, result.nulls),
        notes=_notes(row, reason, result),
        universes=_universes(row, result),
        set=card.set if card and card.set else row.set_rule,
        numbers=tables.numbers_of(row),
        nulls=tables.nulls_of([r for r in rows if r.estimate is not None], result.nulls),
        outputs=tables.outputs_of(row),
        also=tables.also_measured(row),
        lines=tables.broken_lines(row),
        tails=tables.tail_laws(row),
    )


def _by_null(row: Finding, rows: Sequence[Finding]) -> str:
    """Estimate and p under each null model alone: those that decide together, and those that stand beside."""
    deciding = (row.null_model or "").split("+")
    decides = [tables.null_and_p(r, row) for r in rows if r.null_model in deciding]
    beside = [tables.null_and_p(r, row) for r in rows if r is not row and r.estimate is not None]
    beside = [told for told in beside if told not in decides]
    parts = []
    if len(decides) > 1:
        parts.append(f"By null model: {'; '.join(decides)}; the larger p counts.")
    if beside:
        parts.append(f"For comparison, deciding nothing: {'; '.join(beside)}.")
    return " ".join(parts)


def _notes(row: Finding, reason: str, result: Result) -> str:
    """What stands beside the verdict: the engine's notes, and whether the untrained model shows the same."""
    notes = [] if row.verdict is Verdict.NOT_RUN else row.notes.split("; ")
    doubts = row.details.coverage_warning.split("; ")  # told in words of their own
    notes = ["; ".join(note for note in notes if note and note not in doubts and note not in reason)]
    flagged = any(row.hypothesis in f.details.found_in_random_weights for f in result.findings)
    if flagged and row.role is Role.PRIMARY and "random weights" not in row.notes:
        notes.append("the same model with random weights shows this too, so training alone does not explain it")
    return " ".join(as_sentence(note) for note in notes if note)


def _universes(row: Finding, result: Result) -> str:
    """How the verdict fares in the multiverse; empty where nothing was varied or the row decides nothing."""
    if result.multiverse is None or row.role is not Role.PRIMARY:
        return ""
    return multiverse.follow(result, row).sentence(result.multiverse.replicates)


def _sentence(row: Finding, card: HypothesisCard | None) -> str:
    """What was found in words; where nothing decides, in numbers."""
    if row.role is Role.PRIMARY and reasons.said(row, card):
        return reasons.said(row, card)
    n = finding_numbers(row)
    if row.estimate is None:
        return ""
    bounds = (f"{n.verdict_level} interval {n.verdict_interval}", f"{n.interval_level} interval {n.interval}")
    told = [
        f"Estimate {n.estimate} ({row.unit})",
        *[b for b in bounds if not b.endswith(ABSENT)][:1],
        *([n.p] if n.p != ABSENT else []),
    ]
    return ", ".join(told) + "."


def _reading(row: Finding, card: HypothesisCard | None) -> str:
    """Which way the estimate points and how the claim reads it."""
    sense = f"Above zero: {card.plus}; below: {card.minus}. " if card else ""
    if row.kind is Kind.ABSENCE:
        return sense + "The claim says that there is no such effect."
    if row.kind is Kind.PRESENCE and row.two_sided:
        return sense + "The claim says that there is an effect, in either direction."
    return sense + "The claim says that there is such an effect." if row.kind is Kind.PRESENCE else sense


def slug(text: str) -> str:
    """Part of an HTML id made from any text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def as_sentence(text: str) -> str:
    """A phrase with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text[-1] in ".!?" else ".")
