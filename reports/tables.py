"""The report's tables as plain strings, built once and told in HTML, Markdown and LaTeX alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..hypotheses.result import Balance, Finding, Result, Role
from . import reasons, words
from .numbers import ABSENT, count, finding_numbers, fixed, margin_text, number, p_cell, p_value, percent, row_decimals


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first column heads its rows.

    Attributes
    ----------
    numeric
        Indices of the columns that are set flush right.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = field(default_factory=frozenset)
    note: str = ""

    def __bool__(self) -> bool:
        return bool(self.rows)


def table_of(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, words_in: Sequence[int] = (), note: str = ""
) -> Table:
    """Build a table whose columns are numeric but for the first and those of `words_in`; empty columns are dropped."""
    kept_rows = [tuple(row) for row in rows]
    used = [i for i in range(len(columns)) if i == 0 or any(row[i] not in ("", ABSENT) for row in kept_rows)]
    numeric = frozenset(new for new, old in enumerate(used) if old != 0 and old not in words_in)
    return Table(
        caption, tuple(columns[i] for i in used), tuple(tuple(r[i] for i in used) for r in kept_rows), numeric, note
    )


def overview(result: Result) -> Table:
    """Every deciding row in one line."""
    rows = []
    for f in result.findings:
        if f.role is Role.PRIMARY:
            n = finding_numbers(f)
            unit = f.unit if f.estimate is not None else ""
            told = (words.title_of(f.hypothesis), str(f.verdict or ""))
            rows.append((*told, n.estimate, n.verdict_interval, n.margin, unit, n.p_adjusted, f.hypothesis))
    level = percent(1 - 2 * result.setup.alpha)
    measured = ("Estimate", f"{level} interval", "Margin", "Unit", "Adjusted p")
    columns = ("Finding", "Verdict", *measured, "Hypothesis")
    return table_of("Every finding with a verdict", columns, rows, words_in=(1, 5, 7))


def numbers_of(finding: Finding) -> Table:
    """What was estimated and how well, one number a row."""
    n = finding_numbers(finding)
    means = f" ({finding.margin_means})" if finding.margin_means else ""
    effect = f"Effect size ({finding.effect_size_name})" if finding.effect_size_name else "Effect size"
    pairs = [
        (f"Estimate ({finding.unit})", n.estimate),
        (f"{n.verdict_level} interval{', for the verdict' if finding.verdict else ''}", n.verdict_interval),
        (f"{n.interval_level} interval, over documents", n.interval),
        ("Margin" + means, n.margin),
        ("p", n.p_cell),
        (f"Range of p from {n.replicates} draws (95 %)", n.p_interval),
        ("Adjusted p, in its family", n.p_adjusted),
        ("Equivalence p", n.p_equivalence),
        ("q, over all findings", n.q),
        ("Smallest detectable effect (power .8)", n.detectable),
        ("Smallest margin this design could support", n.supportable),
        (effect, n.effect_size),
    ]
    return Table("In numbers", ("Quantity", "Value"), tuple((k, v) for k, v in pairs if v != ABSENT), frozenset({1}))


def nulls_of(findings: Sequence[Finding]) -> Table:
    """One hypothesis under each of its null models, side by side."""
    rows = []
    several = len({f.unit for f in findings}) > 1
    for f in findings:
        n = finding_numbers(f, None if several else row_decimals(findings[0]))
        rows.append(
            (
                null_label(f),
                str(f.role),
                n.estimate,
                f.unit if several else "",
                n.null_mean,
                n.null_sd,
                n.p_cell,
                n.replicates,
                words.null_words(f.null_model),
            )
        )
    columns = ("Null model", "Role", "Estimate", "Unit", "Null mean", "Null sd", "p", "B", "What it puts at random")
    notes = [
        *(["The null mean has been taken off the estimate and the draws."] if any(map(_centred, findings)) else []),
        *([words.REWIRING_NOTE] if any(is_edge_null(f) for f in findings) else []),
    ]
    return table_of(
        "The same hypothesis under each null model", columns, rows, words_in=(1, 3, 8), note=" ".join(notes)
    )


def _centred(finding: Finding) -> bool:
    """Whether the draws are shown around zero though the null model's own mean lies elsewhere."""
    draws, mean, sd = finding.null_draws, finding.null_mean, finding.null_sd
    return bool(draws and mean and sd) and abs(sum(draws) / len(draws)) < 1e-6 * (sd or 1.0) < abs(mean or 0.0)


def null_label(finding: Finding) -> str:
    """Name of the row's null model; the two of a two-way rule joined by a plus sign."""
    label = finding.details.get("null_label")
    return label if isinstance(label, str) else (finding.null_model or "none").replace("+", " + ")


def is_edge_null(finding: Finding) -> bool:
    """Whether the row's null rewires edges as if they were independent."""
    return not words.EDGE_NULLS.isdisjoint((finding.null_model or "").split("+"))


def heads_of(finding: Finding) -> Table:
    """One row a head, strongest first."""
    heads = sorted(reasons.per_head(finding), key=lambda r: -float(r["estimate"]))
    d = reasons.head_decimals(finding, heads)
    rows = [
        (
            f"{int(r['layer'])}.{int(r['head'])}" if r["head"] >= 0 else f"{int(r['layer'])}, minor heads pooled",
            fixed(r["estimate"], d, sign=True),
            fixed(r.get("low"), d),
            fixed(r.get("high"), d),
            p_cell(r.get("p_adjusted"), replicates=finding.replicates, alpha=finding.alpha),
        )
        for r in heads
    ]
    note = f"Margin {margin_text(finding.margin, d)}." if finding.margin is not None else ""
    return table_of(
        "Heads (layer.head), strongest first", ("Head", "Estimate", "Low", "High", "Adjusted p"), rows, note=note
    )


_TOLD_ELSEWHERE = frozenset(
    {
        "broken_lines", "calibration", "deciding_output", "doubt", "null_label", "per_head", "tail_laws",
        "what_would_be_enough", "why",
    }
)  # fmt: skip


def also_measured(finding: Finding) -> Table:
    """Scalars of `details` that have no column of their own."""
    rewired = any(str(key).startswith("rewir") for key in finding.details)
    note = words.REWIRING_NOTE if rewired else ""
    return table_of("Also measured", ("Quantity", "Value"), list(_scalars(finding.details)), note=note)


def broken_lines(finding: Finding) -> Table:
    """Broken lines through each class's influence curve: where they bend, their slopes, how far the curve lies off."""
    rows = []
    for label, fits in finding.details.get("broken_lines", {}).items():
        lowest = min(f["bic"] for f in fits)
        for f in fits:
            ends = dict(zip(f["sought"], (", the first tried", ", the last tried"), strict=True))
            places = [
                f"{count(knot)} [{count(low)}, {count(high)}]{ends.get(knot, '')}"
                for knot, low, high in zip(f["knots"], f["low"], f["high"], strict=True)
            ]
            rows.append(
                (
                    label,
                    count(len(f["knots"])),
                    " and ".join(places),
                    ", ".join(number(v, 2, sign=True) for v in f["slopes"]),
                    number(f["rms"], 2),
                    fixed(f["bic"] - lowest, 0),
                )
            )
    columns = ("Tokens", "Knots", "At rank", "Slope of each band", "Off by (log units)", "BIC")
    return table_of(words.BROKEN_LINES, columns, rows, words_in=(2,), note=words.KNOT_NOTE if rows else "")


def tail_laws(finding: Finding) -> Table:
    """Power laws through upper tails: exponent, where each begins, whether it fits, other laws over the same tail."""
    rows = []
    for name, law in finding.details.get("tail_laws", {}).items():
        against = (
            f"{other} {number(found['z'], 2, sign=True)} ({p_value(found['p'])})"
            for other, found in law["against"].items()
        )
        fit = "" if law["p_of_fit"] is None else p_value(law["p_of_fit"])
        sizes = number(law["exponent"]), number(law["start"]), count(law["size"])
        rows.append((name, *sizes, fit, ", ".join(against)))
    columns = ("Tail of", "Exponent", "Begins at", "Values in it", "Fit", "z against")
    return table_of(words.TAIL_LAWS, columns, rows, words_in=(4, 5), note=words.TAIL_NOTE if rows else "")


def _scalars(details: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in details.items():
        name = f"{prefix}{key}".replace("_", " ")
        if not prefix and key in _TOLD_ELSEWHERE:
            continue
        if isinstance(value, bool):
            yield name, "yes" if value else "no"
        elif isinstance(value, int | float):
            yield name, number(float(value))
        elif isinstance(value, str) and len(value) <= 80:
            yield name, value
        elif isinstance(value, dict) and not prefix:
            yield from _scalars(value, f"{key}: ")


def multiplicity(result: Result) -> Table:
    """Raw, adjusted and false-discovery p-values of the deciding rows."""
    rows = []
    for f in result.findings:
        if f.role is Role.PRIMARY and f.p_value is not None:
            n = finding_numbers(f)
            rows.append((f.hypothesis, f.family, n.p_cell, n.p_adjusted, n.q, n.p_equivalence))
    note = (
        "Adjusted within a family by Holm's method (maxT where draws are joint); q over all rows by Benjamini and "
        "Hochberg."
    )
    columns = ("Hypothesis", "Family", "p", "Adjusted p", "q", "Equivalence p")
    return table_of("Correction for many tests", columns, rows, words_in=(1,), note=note)


def controls(result: Result) -> Table:
    """Each control and whether it passed."""
    rows = [(words.title_of(f.hypothesis), *control_outcome(f)) for f in result.findings if f.role is Role.CONTROL]
    return table_of("Controls", ("Control", "Outcome", "What was seen"), rows, words_in=(1, 2))


def control_outcome(finding: Finding) -> tuple[str, str]:
    """``("passed", what was seen)`` from the notes, which begin with ``passed:``, ``failed:`` or ``not run:``."""
    outcome, colon, seen = finding.notes.partition(":")
    if colon and outcome.strip() in ("passed", "failed", "not run"):
        return outcome.strip(), seen.strip()
    return "see note", finding.notes


def left_out(result: Result) -> Table:
    """Hypotheses that were not run, and why."""
    rows = [(words.title_of(k) if k in words.HYPOTHESES else k, k, v) for k, v in sorted(result.left_out.items())]
    return table_of("Left out", ("Finding", "Hypothesis", "Why"), rows, words_in=(1, 2))


def balance(item: Balance) -> Table:
    """Standardised mean differences of one match."""
    rows = [
        (name, fixed(value, 2, sign=True), "more than .25" if abs(value) > 0.25 else "") for name, value in item.rows
    ]
    return table_of(f"Balance: {item.label}", ("Covariate", "Standardised difference", "Remark"), rows, words_in=(2,))
