"""The table that ends a run, in plain text; colour is laid over the same text where a terminal has it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..hypotheses.result import Finding, Result, Role, Setup, Verdict
from . import glossary, multiverse, reasons, subject
from .finding_section import as_sentence
from .numbers import ABSENT, count, finding_numbers, printable, scientific

if TYPE_CHECKING:
    from rich.text import Text

WIDTH = 118
_COLOURS = {
    Verdict.SUPPORTED: "bold green",
    Verdict.REFUTED: "bold red",
    Verdict.UNDETERMINED: "bold yellow",
    Verdict.NOT_RUN: "dim",
}


def summary(result: Result, report_path: Path | str | None = None, width: int = WIDTH) -> str:
    """Header, findings, multiverse, controls, claims: plain text of at most `width` columns (paths are not broken)."""
    blocks = [_header(result, width), _findings(result, width)]
    blocks += [_columns(list(multiverse.terminal_lines(result)), width, gap=3), _controls(result, width)]
    blocks.append(_wrapped("left out   ", ", ".join(sorted(result.left_out)), width) if result.left_out else [])
    blocks.append([line for warning in result.warnings for line in _wrapped("warning    ", warning, width)])
    blocks.append(_claims(result, width))  # last, where the eye is when a run ends
    if report_path is not None:
        blocks.append([f"report   {report_path}"])
    return printable("\n\n".join("\n".join(block) for block in blocks if block))


def styled(result: Result, report_path: Path | str | None = None, width: int = WIDTH) -> Text:
    """`summary` with the verdicts coloured; the text is the same letter for letter."""
    from rich.text import Text

    text = Text(summary(result, report_path, width), no_wrap=True)
    for verdict, colour in _COLOURS.items():
        text.highlight_words([f"  {verdict}   ", f"  {verdict}\n"], colour)
    text.highlight_regex(r"(?m)^(Claim \d+|warning|failed\b.*)", "bold")
    return text


def _header(result: Result, width: int) -> list[str]:
    s = result.setup
    measured = (
        f"{s.model} on {s.corpus}: {count(s.n_documents)} documents{_clusters(s)}, {count(s.n_positions)} positions, "
        f"{count(s.n_neurons)} neurons, {', '.join(f'{one.name} {count(one.size)}' for one in subject.sets_of(result))}"
    )
    audit = "no audit" if s.audit_max_abs_error is None else f"audit {scientific(s.audit_max_abs_error)} nats"
    how = f"B = {count(s.replicates)}, seed {s.seed}, {audit}"
    if len(measured) + 3 + len(how) <= width:
        return [f"{measured}   {how}"]
    return [*_wrapped("", measured, width), how]


def _claims(result: Result, width: int) -> list[str]:
    """Claims in columns, under a line per paper where there are several."""
    papers = {paper.id: paper.short for paper in subject.papers([result])}
    several = subject.several([result])
    lines: list[str] = []
    for paper in dict.fromkeys(c.paper for c in result.claims):
        rows = [(f"Claim {c.number}", c.title, str(c.verdict), c.sentence) for c in result.claims if c.paper == paper]
        heading = _wrapped("", papers.get(paper, glossary.OTHER_CLAIMS), width) if several else []
        lines += [*([""] if lines else []), *heading, *_columns(rows, width, gap=3)]
    return lines


def _findings(result: Result, width: int) -> list[str]:
    return _columns([_row(f, result) for f in result.findings if f.role is Role.PRIMARY], width, gap=2)


def _row(finding: Finding, result: Result) -> tuple[str, ...]:
    n = finding_numbers(finding)
    unit = glossary.UNIT_SHORT.get(finding.unit, finding.unit)
    told = (
        " ".join(part for part in (n.estimate, n.verdict_interval, unit) if part != ABSENT)
        if finding.estimate is not None
        else ""
    )
    margin = "" if n.margin == ABSENT else f"margin {n.margin}"
    p = "" if n.p == ABSENT else n.p
    if n.p_adjusted not in (ABSENT, n.p_cell):
        p += f", adjusted {n.p_adjusted}"
    return (finding.hypothesis, told, margin, p, str(finding.verdict or ""), _told(finding, result))


def _told(finding: Finding, result: Result) -> str:
    said = reasons.said(finding, result.hypothesis(finding.hypothesis))
    if finding.verdict is Verdict.NOT_RUN:
        return finding.notes or said
    doubt = reasons.doubt(finding) if finding.verdict is Verdict.UNDETERMINED else ""
    return " ".join(as_sentence(text) for text in (said, doubt, reasons.enough(finding)) if text)


def _controls(result: Result, width: int) -> list[str]:
    rows = [(f.hypothesis, f.notes or "no note") for f in result.findings if f.role is Role.CONTROL]
    return _columns(rows, width, gap=3)


def _columns(rows: Sequence[tuple[str, ...]], width: int, gap: int) -> list[str]:
    """Left-aligned columns; the last one wraps under itself, or under the row where too little room is left for it.

    Columns that do not fit either go under the first ones.
    """
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    indent = sum(widths) + gap * len(widths)
    lines: list[str] = []
    for row in rows:
        head = (" " * gap).join(cell.ljust(w) for cell, w in zip(row[:-1], widths, strict=True)) + " " * gap
        if width - indent >= 40:
            lines += _wrapped(head, row[-1], width)
        else:
            lines += _folded(row[:-1], widths, width, gap) + (_wrapped("    ", row[-1], width) if row[-1] else [])
    return lines


def _folded(cells: Sequence[str], widths: Sequence[int], width: int, gap: int) -> list[str]:
    """Cells under their columns, in as many lines as it takes; a cell is never broken."""
    lines, line, columns = [], "", 0
    for cell, wide in zip(cells, widths, strict=True):
        if line.strip() and columns + len(cell) > width:
            lines.append(line.rstrip())
            line, columns = "    ", 4
        line, columns = line + cell.ljust(wide) + " " * gap, columns + wide + gap
    return [*lines, line.rstrip()] if line.strip() else lines


def _wrapped(head: str, text: str, width: int) -> list[str]:
    body = textwrap.wrap(text, max(width - len(head), 20), break_on_hyphens=False) or [""]
    return [(head + body[0]).rstrip(), *(" " * len(head) + line for line in body[1:])]


def _clusters(s: Setup) -> str:
    return "" if s.n_clusters is None else f" in {count(s.n_clusters)} clusters"
