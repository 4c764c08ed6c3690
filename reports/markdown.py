"""A result as GitHub-flavoured Markdown; every piece of foreign text is escaped."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from ..hypotheses.result import Result, Verdict
from . import glossary, members, multiverse, null_tables, origin, paragraphs, references, set_effects, tables
from .finding_section import FindingSection, as_sentence
from .numbers import printable, typeset
from .story import ClaimSection, PaperSection, Story, tell
from .subject import joined
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
        *_claim_lines(story),
        escape(story.controls_line),
        _verdict_words(story.verdicts),
        table(tables.overview(result), 2),
        *(block for p in story.papers for block in _paper(p, result, story.several)),
        *(block for c in story.rest for block in _claim(c, result)),
        *_rest(result, story),
    ]
    return printable("\n\n".join(b for b in blocks if b) + "\n")


def _claim_lines(story: Story) -> list[str]:
    """Verdicts as a list per paper, under its name where there are several."""
    blocks = []
    for paper in story.papers:
        heading = [f"**{escape(paper.title)}**"] if story.several else []
        blocks += [*heading, "\n".join(_claim_line(c) for c in paper.claims)]
    own = [f"- **{escape(s.title)}: {s.verdict}.** {escape(s.sentence)}" for s in story.own]
    return [*blocks, *([f"**{glossary.OWN}**"] if own and blocks else []), "\n".join(own)]


def _paper(paper: PaperSection, result: Result, several: bool) -> list[str]:
    heading = [f"## {escape(paper.title)}", escape(paper.summary)] if several else []
    return [*heading, *(block for c in paper.claims for block in _claim(c, result))]


def _claim_line(section: ClaimSection) -> str:
    claim = section.claim
    if claim is None:
        return ""
    lines = [f"- **{section.name}, {escape(claim.title)}: {claim.verdict}.** {escape(section.headline)}"]
    lines += [f"  - {glossary.VERDICT_MARKS[verdict]} {escape(told)}" for verdict, told in section.tests]
    lines += [f"  - {escape(needed)}" for needed in section.enough]
    return "\n".join([*lines, *([f"  - {escape(section.ways)}"] if section.ways else [])])


def _verdict_words(verdicts: Container[Verdict]) -> str:
    return "\n".join(
        f"- *{verdict}*: {escape(means)}." for verdict, means in glossary.VERDICT_MEANS.items() if verdict in verdicts
    )


def _claim(section: ClaimSection, result: Result) -> list[str]:
    told = [escape(text) for text in (section.headline, section.rule) if text]
    elsewhere = [f"{s.title} ({s.hypothesis})" for s in section.elsewhere]
    return [
        f"## {escape(section.heading)}",
        *told,
        escape(f"Told above: {joined(elsewhere)}.") if elsewhere else "",
        *(_set_effects(result, 3) if "effects" in section.figures else []),
        *(_balance(result, 3) if "balance" in section.figures else []),
        *(block for f in section.findings for block in _finding(f)),
    ]


def _finding(section: FindingSection) -> list[str]:
    verdict = f": {section.verdict}" if section.verdict else ""
    paragraphs = (
        ("", section.asks),
        ("", section.sentence),
        ("", section.why),
        ("", section.by_null),
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
        _folded(section.outputs),
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
    asked = {kind for c in story.sections for kind in c.figures}
    return [
        *_members(result),
        *(_set_effects(result, 2) if "effects" not in asked else []),
        *_multiverse(result),
        table(tables.controls(result), 2),
        table(null_tables.null_models(result), 2),
        *(_folded(card) for card in null_tables.cards(result)),
        *(_balance(result, 2) if "balance" not in asked else []),
        table(tables.multiplicity(result), 2),
        table(tables.left_out(result), 2),
        f"## Warnings\n\n{bullets}" if bullets else "",
        "## Limits\n\n" + "\n".join(f"- **{escape(head)}.** {escape(text)}" for head, text in story.limits),
        "## Terms\n\n" + "\n".join(f"- **{escape(term)}**: {escape(means)}" for term, means in story.terms),
        table(origin.setup(result), 2),
        table(origin.provenance(result), 2),
        _command(result),
        escape(origin.plan(result)),
        *(_folded(data) for data in (origin.stages(result), origin.options(result), origin.versions(result))),
        f"## For a paper\n\n{escape(paragraphs.methods(result))}\n\n{escape(paragraphs.results(result))}",
        fenced(references.bibtex(result), "bibtex"),
    ]


def _members(result: Result) -> list[str]:
    """Who the neurons of the set are; their contexts are told in the page alone."""
    if result.members is None:
        return []
    heading = f"## {escape(members.title(result))}\n\n{escape(members.intro(result.members))}"
    tables_of = (members.neurons, members.tokens, members.heads)
    return [heading, *(_folded(make(result)) for make in tables_of)]


def _set_effects(result: Result, level: int) -> list[str]:
    """What ablating the set under test does, with a sentence on each row."""
    if not result.set_effects:
        return []
    told = (set_effects.effects(result), set_effects.meanings(result))
    heading = f"{'#' * level} {escape(set_effects.title(result))}\n\n{escape(set_effects.intro(result))}"
    return [heading, *map(table, told)]


def _balance(result: Result, level: int) -> list[str]:
    return [table(tables.balance(b), level) for b in result.balance]


def _multiverse(result: Result) -> list[str]:
    """What was varied, how often each verdict comes out, and every universe in numbers."""
    if result.multiverse is None:
        return []
    return [
        f"## Multiverse\n\n{escape(multiverse.intro(result.multiverse))}",
        table(multiverse.terms(result.multiverse)),
        table(multiverse.verdicts(result)),
        _folded(multiverse.every_universe(result)),
        *(_folded(multiverse.estimates(result, row)) for row in multiverse.rows(result)),
    ]


def _command(result: Result) -> str:
    command = origin.command(result)
    return f"Command:\n\n{fenced(command)}" if command else ""


def fenced(text: str, language: str = "") -> str:
    """Text as a code block, in a fence longer than any run of backticks in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
