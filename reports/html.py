"""A result as one standalone HTML page: no script, no request, figures inline."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..hypotheses.result import Result, Role
from . import glossary, multiverse, null_tables, origin, plateau_effects, references, tables, words
from .figures.canvas import Drawing, to_svg
from .numbers import percent, printable, typeset
from .story import ClaimSection, FindingSection, Story, as_sentence, slug, tell

_UNBROKEN = re.compile(r"\[[\u2212.\d,∞]+, [\u2212.\d,∞]+\]|[.\d]+ %")


@dataclass(frozen=True)
class InlineFigure:
    """A drawing ready for the page."""

    svg: Any
    caption: str


@cache
def environment() -> Any:
    """Jinja environment of the room's templates; every value is escaped unless it is `Markup`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    env = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(num=unbroken, percent=percent, slug=slug, sentence=as_sentence)
    marks = {str(k): v for k, v in glossary.VERDICT_MARKS.items()}
    env.globals.update(g=glossary, effects=plateau_effects, marks=marks, zip=zip)
    return env


def unbroken(text: str) -> Any:
    """Typeset and escaped text in which no interval and no percentage is broken over two lines."""
    from markupsafe import Markup, escape

    escaped = str(escape(typeset(text)))
    return Markup(_UNBROKEN.sub(r'<span class="nb">\g<0></span>', escaped))


def render(result: Result, *, opened: bool = False) -> str:
    """Whole report of one run as an HTML document; `opened` unfolds every fold, for paper."""
    story = tell(result)
    html: str = (
        environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            story=story,
            t=_tables(result),
            bibtex=references.bibtex(result),
            command=origin.command(result),
            plan=origin.plan(result),
            overview=inline([_overview(result)], "overview"),
            of_finding={s.anchor: finding_figures(s) for s in _sections(story)},
            of_claim={c.anchor: claim_figures(result, c) for c in _claims(story)},
            universes=_universes(result),
            balance=_balance(result),
            cards=null_tables.cards(result),
            opened=opened,
        )
    )
    return printable(html)


def _tables(result: Result) -> dict[str, tables.Table]:
    return {
        "overview": tables.overview(result),
        "verdicts": multiverse.verdicts(result),
        "plateau_effects": plateau_effects.effects(result),
        "meanings": plateau_effects.meanings(result),
        "every_universe": multiverse.every_universe(result),
        "controls": tables.controls(result),
        "nulls": null_tables.null_models(result),
        "multiplicity": tables.multiplicity(result),
        "left_out": tables.left_out(result),
        "setup": origin.setup(result),
        "provenance": origin.provenance(result),
        "options": origin.options(result),
        "stages": origin.stages(result),
        "versions": origin.versions(result),
    }


def _claims(story: Story) -> list[ClaimSection]:
    return [*story.claims, *([story.further] if story.further else [])]


def _sections(story: Story) -> list[FindingSection]:
    return [s for c in _claims(story) for s in c.findings]


def inline(drawings: Iterable[Drawing | None], key: str) -> list[InlineFigure]:
    """Drawings as SVG for the page; `key` keeps their ids apart."""
    from markupsafe import Markup

    return [InlineFigure(Markup(to_svg(d, f"{key}-{i}")), d.caption) for i, d in enumerate(drawings) if d is not None]


def _overview(result: Result) -> Drawing | None:
    from .figures.forest import overview

    return overview([f for f in result.findings if f.role is Role.PRIMARY])


@dataclass(frozen=True)
class Universes:
    """The section on the multiverse: what was varied, and each hypothesis' curve."""

    intro: str
    terms: tables.Table
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Curve:
    """One hypothesis through the universes."""

    title: str
    hypothesis: str
    told: str
    figures: list[InlineFigure]
    numbers: tables.Table


def _universes(result: Result) -> Universes | None:
    from .figures.specification import specification

    m = result.multiverse
    if m is None:
        return None
    curves = (
        Curve(
            words.title_of(row.hypothesis),
            row.hypothesis,
            multiverse.follow(m, row).sentence(m.replicates),
            inline([specification(m, row)], f"universes-{i}"),
            multiverse.estimates(m, row),
        )
        for i, row in enumerate(multiverse.rows(result))
    )
    return Universes(multiverse.intro(m), multiverse.terms(m), tuple(curves))


def _balance(result: Result) -> list[tuple[tables.Table, list[InlineFigure]]]:
    from .figures.balance import love_plot, reach

    shown, half_width = [b for b in result.balance if b.rows], reach(result.balance)
    return [(tables.balance(b), inline([love_plot(b, half_width)], f"balance-{i}")) for i, b in enumerate(shown)]


def finding_figures(section: FindingSection) -> list[InlineFigure]:
    """Estimation plots of one hypothesis, one for each unit."""
    from .figures.estimation import by_unit, drawable, estimation

    return inline((estimation(group) for group in by_unit(section.rows) if drawable(group)), section.anchor)


def claim_figures(result: Result, section: ClaimSection) -> dict[str, list[InlineFigure]]:
    """Figures that belong to a whole claim: curves, graphs, head map."""
    families = {f.row.family for f in section.findings}
    return {
        "curves": _curves(result) if "regimes" in families else [],
        "graphs": _graphs(result) if "clusters" in families else [],
        "heads": _heads(result) if "routing" in families else [],
    }


def _curves(result: Result) -> list[InlineFigure]:
    from .figures.curves import influence_curves

    return inline([influence_curves(result.curves)], "curves") if any(c.rank for c in result.curves) else []


def _graphs(result: Result) -> list[InlineFigure]:
    from .figures.networks import twins

    return inline(twins([g for g in result.graphs if g.nodes]), "graph")


def _heads(result: Result) -> list[InlineFigure]:
    from .figures.heads import head_intervals, head_map

    if result.head_map is None:
        return []
    judged = next((f for f in result.findings if f.hypothesis == "routing.heads" and f.role is Role.PRIMARY), None)
    return inline([head_map(result.head_map, judged), head_intervals(result.head_map, judged)], "heads")
