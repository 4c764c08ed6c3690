"""The report's tables as plain strings, built once and told in HTML, Markdown and LaTeX alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..hypotheses.result import Balance, Finding, NullSummary, OutputRow, Result, Role, Scalar
from . import glossary, reasons
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
            told = (result.hypothesis(f.hypothesis).title, str(f.verdict or ""))
            rows.append((*told, n.estimate, n.verdict_interval, n.margin, unit, n.p_adjusted, f.hypothesis))
    level = percent(1 - 2 * result.setup.alpha)
    measured = ("Estimate", f"{level} interval", "Margin", "Unit", "Adjusted p")
    columns = ("Finding", "Verdict", *measured, "Hypothesis")
    return table_of("Every finding with a verdict", columns, rows, words_in=(1, 5, 7))


def numbers_of(finding: Finding) -> Table:
    """What was estimated and how well, one number per row."""
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


def nulls_of(findings: Sequence[Finding], nulls: Sequence[NullSummary] = ()) -> Table:
    """One hypothesis under each of its null models, side by side, with what must be said of these."""
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
                null_says(f, nulls),
            )
        )
    columns = ("Null model", "Role", "Estimate", "Unit", "Null mean", "Null sd", "p", "B", "What it puts at random")
    caveats = (null.caveat for f in findings for null in nulls_behind(f, nulls) if null.caveat)
    notes = [
        *(["The null mean has been taken off the estimate and the draws."] if any(map(_centred, findings)) else []),
        *dict.fromkeys(caveats),
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
    return (finding.null_model or "none").replace("+", " + ")


def null_and_p(finding: Finding, like: Finding) -> str:
    """Null model, estimate and p of a row in words, with the decimals of another of the same unit."""
    n = finding_numbers(finding, row_decimals(like) if finding.unit == like.unit else None)
    return f"{null_label(finding)} {n.estimate}{'' if finding.unit == like.unit else f' {finding.unit}'}, {n.p}"


def nulls_behind(finding: Finding, nulls: Sequence[NullSummary]) -> list[NullSummary]:
    """Null models of the row among `nulls`; a two-way row has two."""
    parts = (finding.null_model or "").split("+")
    return [null for null in nulls if null.name in parts]


def null_says(finding: Finding, nulls: Sequence[NullSummary]) -> str:
    """What the row's null model puts at random; empty where that is not known."""
    if "+" in (finding.null_model or ""):
        return glossary.SEVERAL_NULLS
    return next((null.says for null in nulls_behind(finding, nulls)), "")


def outputs_of(finding: Finding) -> Table:
    """One row per output, strongest first; attention heads go by layer and number."""
    found = [r for r in finding.details.per_output if not math.isnan(r.estimate)]
    heads = reasons.of_heads(found)
    d = reasons.output_decimals(finding, found)
    rows = [
        (
            _output_cell(r) if heads else r.name,
            fixed(r.estimate, d, sign=True),
            fixed(r.low, d),
            fixed(r.high, d),
            p_cell(r.p_adjusted, replicates=finding.replicates, alpha=finding.alpha),
        )
        for r in sorted(found, key=lambda r: -r.estimate)
    ]
    note = f"Margin {margin_text(finding.margin, d)}." if finding.margin is not None else ""
    caption = f"{'Heads' if heads else 'Outputs'}, strongest first"
    first = "Head" if heads else "Output"
    return table_of(caption, (first, "Estimate", "Low", "High", "Adjusted p"), rows, note=note)


def _output_cell(row: OutputRow) -> str:
    if row.head >= 0:
        return f"L{row.layer}H{row.head}"
    return f"{row.layer}, minor heads pooled" if row.layer >= 0 else row.name


def also_measured(finding: Finding) -> Table:
    """What stands beside the columns and has no place of its own."""
    found = finding.details
    rows = [row for key, value in found.further.items() if key != "note" for row in _told(key, value)]
    if found.document_effect is not None:
        rows += _told("document effect", found.document_effect.model_dump())
    if found.null_chosen:
        rows.append(("null model chosen for this run", found.null_chosen))
    rows += [(f"null model left out: {name}", why) for name, why in found.nulls_left_out.items()]
    note = found.further.get("note")
    return table_of("Also measured", ("Quantity", "Value"), rows, note=note if isinstance(note, str) else "")


def _told(key: str, value: Scalar | Sequence[str] | Mapping[str, Scalar]) -> Iterable[tuple[str, str]]:
    name = key.replace("_", " ")
    if isinstance(value, Mapping):
        return [row for inner, one in value.items() for row in _told(f"{key}: {inner}", one)]
    if isinstance(value, bool):
        return [(name, "yes" if value else "no")]
    if isinstance(value, int | float):
        return [(name, number(float(value)))]
    if value is None:
        return []
    return [(name, value if isinstance(value, str) else ", ".join(value))]


def broken_lines(finding: Finding) -> Table:
    """Broken lines through each condition's influence curve: where they bend, slopes, how far the curve is off."""
    rows = []
    for label, fits in finding.details.broken_lines.items():
        lowest = min((fit.bic for fit in fits), default=0.0)
        for fit in fits:
            first, last = map(float, fit.sought)
            ends = {first: ", the first tried", last: ", the last tried"}
            places = [
                f"{count(knot)} [{count(low)}, {count(high)}]{ends.get(knot, '')}"
                for knot, low, high in zip(fit.knots, fit.low, fit.high, strict=False)
            ]
            rows.append(
                (
                    label,
                    count(len(fit.knots)),
                    " and ".join(places),
                    ", ".join(number(v, 2, sign=True) for v in fit.slopes),
                    number(fit.rms, 2),
                    fixed(fit.bic - lowest, 0),
                )
            )
    columns = ("Positions", "Knots", "At rank", "Slope of each band", "Off by (log units)", "BIC")
    return table_of(glossary.BROKEN_LINES, columns, rows, words_in=(2,), note=glossary.KNOT_NOTE if rows else "")


def tail_laws(finding: Finding) -> Table:
    """Power laws through upper tails: exponent, where each begins, whether it fits, other laws over the same tail."""
    rows = []
    for name, law in finding.details.tail_laws.items():
        against = (f"{other} {number(one.z, 2, sign=True)} ({p_value(one.p)})" for other, one in law.against.items())
        fit = "" if law.p_of_fit is None else p_value(law.p_of_fit)
        sizes = number(law.exponent), number(law.start), count(law.size)
        rows.append((name, *sizes, fit, ", ".join(against)))
    columns = ("Tail of", "Exponent", "Begins at", "Values in it", "Fit", "z against")
    note = glossary.TAIL_NOTE if rows else ""
    return table_of(glossary.TAIL_LAWS, columns, rows, words_in=(4, 5), note=note)


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
    rows = [
        (result.hypothesis(f.hypothesis).title, *control_outcome(f)) for f in result.findings if f.role is Role.CONTROL
    ]
    return table_of("Controls", ("Control", "Outcome", "What was seen"), rows, words_in=(1, 2))


def control_outcome(finding: Finding) -> tuple[str, str]:
    """``("passed", what was seen)`` from the notes, which begin with the outcome and a colon."""
    outcome, colon, seen = finding.notes.partition(":")
    if colon and outcome.strip() in ("passed", "failed", "could not see", "not run"):
        return outcome.strip(), seen.strip()
    return "see note", finding.notes


def left_out(result: Result) -> Table:
    """Hypotheses that were not run, and why."""
    rows = [(result.hypothesis(k).title, k, v) for k, v in sorted(result.left_out.items())]
    return table_of("Left out", ("Finding", "Hypothesis", "Why"), rows, words_in=(1, 2))


def balance(item: Balance) -> Table:
    """Standardised mean differences of one match."""
    rows = [
        (name, fixed(value, 2, sign=True), "more than .25" if abs(value) > 0.25 else "") for name, value in item.rows
    ]
    return table_of(f"Balance: {item.label}", ("Covariate", "Standardised difference", "Remark"), rows, words_in=(2,))
