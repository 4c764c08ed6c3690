"""A result as one standalone HTML page: no script, no request, figures inline."""

from __future__ import annotations

import base64
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..hypotheses.result import Result
from . import glossary, members, multiverse, null_tables, origin, paragraphs, references, set_effects, subject, tables
from .figures.canvas import Drawing, as_file, to_svg
from .figures.estimation import LEGEND
from .finding_section import FindingSection, as_sentence, slug
from .numbers import count, percent, printable, typeset
from .story import tell

_UNBROKEN = re.compile(r"\[[\u2212.\d,∞]+, [\u2212.\d,∞]+\]|[.\d]+ %|\bp (?:=|&lt;|&gt;) [.\d]+")


@dataclass(frozen=True)
class InlineFigure:
    """A drawing ready for the page."""

    svg: Any
    caption: str
    name: str
    svg_link: str
    csv_link: str


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
    env.filters.update(num=unbroken, percent=percent, count=count, slug=slug, sentence=as_sentence)
    env.filters.update(
        visible=members.visible, quoted=members.quoted, context_text=members.context_text, loss_text=members.loss_text
    )
    marks = {str(k): v for k, v in glossary.VERDICT_MARKS.items()}
    env.globals.update(g=glossary, marks=marks, zip=zip)
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
            papers=subject.papers([result]),
            command=origin.command(result),
            plan=origin.plan(result),
            overview=inline([_overview(result)], "overview"),
            of_finding={s.anchor: finding_figures(s, result) for c in story.sections for s in c.findings},
            asked={kind for c in story.sections for kind in c.figures},
            drawn=_drawn(result, {kind for c in story.sections for kind in c.figures}),
            members_title=members.title(result),
            legend=LEGEND,
            methods=paragraphs.methods(result),
            results=paragraphs.results(result),
            lens=members.tokens(result).note,
            members_intro=members.intro(result.members) if result.members else "",
            effects_title=set_effects.title(result),
            effects_intro=set_effects.intro(result),
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
        "members": members.neurons(result),
        "member_heads": members.heads(result),
        "effects": set_effects.effects(result),
        "meanings": set_effects.meanings(result),
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


def inline(drawings: Iterable[Drawing | None], key: str) -> list[InlineFigure]:
    """Drawings as SVG for the page; `key` keeps their ids apart."""
    return [_inlined(d, f"{key}-{i}") for i, d in enumerate(drawings) if d is not None]


def _inlined(drawing: Drawing, key: str) -> InlineFigure:
    from markupsafe import Markup

    picture, numbers = as_file(drawing, "svg"), drawing.values.csv().encode()
    return InlineFigure(
        Markup(to_svg(drawing, key)),
        drawing.caption,
        re.sub(r"[^A-Za-z0-9._-]+", "-", key),
        _link("image/svg+xml", picture),
        _link("text/csv;charset=utf-8", numbers),
    )


def _link(kind: str, content: bytes) -> str:
    """A file inside the page, as an address: what is in it cannot end the attribute or be run."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _overview(result: Result) -> Drawing | None:
    from .figures.forest import overview

    return overview(result)


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
            result.hypothesis(row.hypothesis).title,
            row.hypothesis,
            multiverse.follow(result, row).sentence(m.replicates),
            inline([specification(m, row)], f"universes-{i}"),
            multiverse.estimates(result, row),
        )
        for i, row in enumerate(multiverse.rows(result))
    )
    return Universes(multiverse.intro(m), multiverse.terms(m), tuple(curves))


def _balance(result: Result) -> list[tuple[tables.Table, list[InlineFigure]]]:
    from .figures.balance import love_plot, reach

    shown, half_width = [b for b in result.balance if b.rows], reach(result.balance)
    return [(tables.balance(b), inline([love_plot(b, half_width)], f"balance-{i}")) for i, b in enumerate(shown)]


def finding_figures(section: FindingSection, result: Result) -> list[InlineFigure]:
    """Estimation plots of one hypothesis, one for each unit."""
    from .figures.estimation import by_unit, drawable, estimation

    groups = (group for group in by_unit(section.rows) if drawable(group))
    return inline((estimation(group, known=result.nulls) for group in groups), section.anchor)


def _drawn(result: Result, asked: Container[str]) -> dict[str, list[InlineFigure]]:
    """The figures that stand with claims, by kind; a kind that no hypothesis asks for is not drawn."""
    from .figures import heads, networks
    from .figures.album import curve_head
    from .figures.curves import influence_curves

    curves = any(c.rank for c in result.curves) and "curves" in asked
    graphs = [g for g in result.graphs if g.nodes and "graphs" in asked]
    return {
        "curves": inline([influence_curves(result.curves, curve_head(result))], "curves") if curves else [],
        "graphs": inline(networks.twins(graphs), "graph"),
        "head_map": inline(heads.drawings(result), "heads") if "head_map" in asked else [],
    }
