"""A result as GitHub-flavoured Markdown; every piece of foreign text is escaped."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from ..hypotheses.result import Result, Verdict
from . import glossary, multiverse, null_tables, origin, plateau_effects, references, tables
from .numbers import printable, typeset
from .story import ClaimSection, FindingSection, Story, as_sentence, tell
from .tables import Table


def escape(text: str) -> str:
    """Text that Markdown and HTML leave as it is, on one line; numbers get the true minus.

    Underscores inside words stay: GitHub does not read them as emphasis.
    """
    text = " ".join(text.split())
    text = re.sub(r"([\\`*|~$])", r"\\\1", text)
    text = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)
    text = re.sub(r"\](?=[(\[:])", r"\\]", text)
    text = re.sub(r"&(?=#?\w+;)", "&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
    return typeset(re.sub(r"^([#+-]|\d+[.)])(?=\s)", r"\\\1", text))


def table(data: Table, level: int = 0) -> str:
    """Pipe table with its caption in bold (or as a heading of `level`), empty where there are no rows."""
    if not data:
        return ""
    rule = ["---:" if i in data.numeric else "---" for i in range(len(data.columns))]
    lines = [_row(data.columns), "| " + " | ".join(rule) + " |", *(_row(row) for row in data.rows)]
    caption = f"{'#' * level} {escape(data.caption)}" if level else f"**{escape(data.caption)}**"
    return "\n\n".join([caption, "\n".join(lines), *([escape(data.note)] if data.note else [])])


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escape(c) for c in cells) + " |"


def render(result: Result) -> str:
    """Whole report of one run."""
    story = tell(result)
    blocks = [
        f"# {escape(story.title)}",
        escape(f"{story.claimed} {story.tested} {story.method} {story.sure}"),
        "## What was found",
        "\n".join(_claim_line(c) for c in story.claims),
        escape(story.controls_line),
        _verdict_words(story.verdicts),
        table(tables.overview(result), 2),
        *(block for c in story.claims for block in _claim(c)),
        *(_claim(story.further) if story.further else []),
        *_rest(result, story),
    ]
    return printable("\n\n".join(b for b in blocks if b) + "\n")


def _claim_line(section: ClaimSection) -> str:
    claim = section.claim
    if claim is None:
        return ""
    lines = [f"- **Claim {claim.number}, {escape(claim.title)}: {claim.verdict}.** {escape(section.headline)}"]
    lines += [f"  - {glossary.VERDICT_MARKS[verdict]} {escape(told)}" for verdict, told in section.tests]
    lines += [f"  - {escape(needed)}" for needed in section.enough]
    return "\n".join([*lines, *([f"  - {escape(section.ways)}"] if section.ways else [])])


def _verdict_words(verdicts: Container[Verdict]) -> str:
    return "\n".join(
        f"- *{verdict}*: {escape(means)}." for verdict, means in glossary.VERDICT_MEANS.items() if verdict in verdicts
    )


def _claim(section: ClaimSection) -> list[str]:
    number = f"Claim {section.claim.number}: " if section.claim else ""
    told = [escape(text) for text in (section.headline, section.rule) if text]
    return [f"## {number}{escape(section.title)}", *told, *(block for f in section.findings for block in _finding(f))]


def _finding(section: FindingSection) -> list[str]:
    verdict = f": {section.verdict}" if section.verdict else ""
    paragraphs = (
        ("", section.asks),
        ("", section.sentence),
        ("", section.why),
        ("Doubt", section.doubt),
        ("What would be enough", section.enough),
        ("", section.measured),
        ("", section.reading),
        ("", section.notes),
        ("Multiverse", section.universes),
        ("Calibration", section.calibration),
    )
    told = ((f"**{label}.** " if label else "") + escape(as_sentence(text)) for label, text in paragraphs if text)
    return [
        f"### {escape(section.title)} (`{section.hypothesis.replace('`', '')}`){verdict}",
        *dict.fromkeys(told),
        table(section.numbers),
        table(section.nulls) if len(section.rows) > 1 else "",
        _folded(section.heads),
        table(section.also),
        table(section.lines),
        table(section.tails),
    ]


def _folded(data: Table) -> str:
    if not data:
        return ""
    return f"<details><summary>{escape(data.caption)}</summary>\n\n{table(data)}\n\n</details>"


def _rest(result: Result, story: Story) -> list[str]:
    bullets = "\n".join(f"- {escape(w)}" for w in result.warnings)
    return [
        *_plateau_effects(result),
        *_multiverse(result),
        table(tables.controls(result), 2),
        table(null_tables.null_models(result), 2),
        *(_folded(card) for card in null_tables.cards(result)),
        *(table(tables.balance(b), 2) for b in result.balance),
        table(tables.multiplicity(result), 2),
        table(tables.left_out(result), 2),
        f"## Warnings\n\n{bullets}" if bullets else "",
        "## Limits\n\n" + "\n".join(f"- **{escape(head)}.** {escape(text)}" for head, text in story.limits),
        "## Terms\n\n" + "\n".join(f"- **{escape(term)}**: {escape(means)}" for term, means in glossary.GLOSSARY),
        table(origin.setup(result), 2),
        table(origin.provenance(result), 2),
        _command(result),
        escape(origin.plan(result)),
        *(_folded(data) for data in (origin.stages(result), origin.options(result), origin.versions(result))),
        f"## Citation\n\n```bibtex\n{references.bibtex(result)}\n```",
    ]


def _plateau_effects(result: Result) -> list[str]:
    """What ablating the plateau does, with a sentence on each row."""
    if not result.plateau_effects:
        return []
    tables_told = (plateau_effects.effects(result), plateau_effects.meanings(result))
    return [f"## {plateau_effects.TITLE}\n\n{escape(plateau_effects.INTRO)}", *map(table, tables_told)]


def _multiverse(result: Result) -> list[str]:
    """What was varied, how often each verdict comes out, and every universe in numbers."""
    if result.multiverse is None:
        return []
    return [
        f"## Multiverse\n\n{escape(multiverse.intro(result.multiverse))}",
        table(multiverse.terms(result.multiverse)),
        table(multiverse.verdicts(result)),
        _folded(multiverse.every_universe(result)),
        *(_folded(multiverse.estimates(result.multiverse, row)) for row in multiverse.rows(result)),
    ]


def _command(result: Result) -> str:
    command = origin.command(result)
    if not command:
        return ""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", command)), default=0))
    return f"Command:\n\n{fence}\n{command}\n{fence}"
