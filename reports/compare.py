"""Several runs side by side: verdicts of models x hypotheses, set-up, forest plots, random-effects summaries."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..data.errors import InputError
from ..hypotheses.inference.several_models import partial_conjunction
from ..hypotheses.result import FORMAT, Finding, HypothesisCard, PaperCard, Result, Role, Setup
from . import glossary, meta, origin, references, subject, tables
from .columns import Column, between, columns, labels, plain
from .numbers import ABSENT, count, decimals_for, finding_numbers, fixed, interval, number, p_cell, printable
from .story import Story, tell
from .tables import Table

MOST_RUNS = 24
_SETTINGS = {
    "n_documents": "documents",
    "n_positions": "scored positions",
    "n_pairs": "matched pairs",
    "n_neurons": "neurons",
    "replicates": "draws (B)",
}
"""Settings whose field's name is no plain English."""


@dataclass(frozen=True)
class Compared:
    """One hypothesis over the runs that have an estimate of it."""

    anchor: str
    hypothesis: str
    title: str
    asks: str
    labels: tuple[str, ...]
    findings: tuple[Finding, ...]
    summary: meta.Summary | None
    told: str


@dataclass(frozen=True)
class Comparison:
    """Everything a report of several runs says."""

    title: str
    kicker: str
    claimed: str
    method: str
    papers: tuple[PaperCard, ...]
    labels: tuple[str, ...]
    stories: tuple[Story, ...]
    claims: Table
    models: Table
    matrix: Table
    differences: Table
    shared: Table
    pooled: Table
    controls: Table
    sources: Table
    bibtex: str
    hypotheses: tuple[Compared, ...]

    @property
    def mostly(self) -> str:
        """Reason for not averaging that several findings share; empty where there is none."""
        times = Counter(h.told for h in self.hypotheses if h.summary is None)
        return next((told for told, n in times.most_common(1) if n > 1), "")

    @property
    def once(self) -> str:
        """`mostly` as a sentence that stands above the findings, in place of the same one under each."""
        return f"Where nothing else is said, the runs are n{self.mostly[1:]}" if self.mostly else ""


def compare(results: Sequence[Result]) -> Comparison:
    """Set runs side by side.

    Raises
    ------
    InputError
        If there are too few or too many runs for one page.
    """
    if not 2 <= len(results) <= MOST_RUNS:
        raise InputError(f"{len(results)} runs to compare", "RUN", f"give 2 to {MOST_RUNS}")
    names, stand = labels(results), columns(results)
    compared = tuple(_compared(i, h, results, stand) for i, h in enumerate(_hypotheses(results), 1))
    different, same = _setups(results, names)
    stories = tuple(tell(r) for r in results)
    methods = {story.method for story in stories}
    papers = subject.papers(results)
    pooled = _pooled(compared)
    return Comparison(
        title=subject.title(results, f": {count(len(results))} runs side by side"),
        kicker=subject.kicker(results),
        claimed=" ".join(paper.summary for paper in papers if paper.summary),
        method=methods.pop() if len(methods) == 1 else glossary.METHOD,
        papers=tuple(papers),
        labels=tuple(names),
        stories=stories,
        claims=_claims(results, stand),
        models=_models(results),
        matrix=_matrix(results, stand),
        differences=different,
        shared=same,
        pooled=pooled,
        controls=_controls(results, names),
        sources=_sources(results, names),
        bibtex=references.bibtex(*results, pooled=bool(pooled)),
        hypotheses=tuple(c for c in compared if c.findings),
    )


def _hypotheses(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(f.hypothesis for r in results for f in r.findings if f.role is Role.PRIMARY))


def _claims(results: Sequence[Result], stand: Sequence[Column]) -> Table:
    several = subject.several(results)
    claims = {(c.paper, c.number): c for r in results for c in r.claims}
    order = [paper.id for paper in subject.papers(results)]
    rows = []
    for (paper, n), claim in sorted(claims.items(), key=lambda item: (_place(order, item[0][0]), item[0][1])):
        found = [column.claim(paper, n) for column in stand]
        verdicts = [ABSENT if c is None else str(c.verdict) for c in found]
        rows.append((f"{subject.claim_name(claim, several)}: {claim.title}", *(_marked(v) for v in verdicts)))
    return Table("Verdict on each claim", ("Claim", *(column.name for column in stand)), tuple(rows))


def _models(results: Sequence[Result]) -> Table:
    """In how many of the models each claim holds, and in how many it fails; nothing for one model alone."""
    hashes = list(dict.fromkeys(r.setup.model_hash for r in results))
    if len(hashes) < 2 or len({(r.setup.set_rule, between(r.setup)) for r in results}) > 1:
        return Table("In how many models", (), ())
    several, alpha = subject.several(results), min(r.setup.alpha for r in results)
    claims = {(c.paper, c.number): c for r in results for c in r.claims}
    order = [paper.id for paper in subject.papers(results)]
    rows = []
    for key, claim in sorted(claims.items(), key=lambda item: (_place(order, item[0][0]), item[0][1])):
        for what, way in (("holds", "p_holds"), ("fails", "p_fails")):
            each = [_claim_p([r for r in results if r.setup.model_hash == one], key, way) for one in hashes]
            p = partial_conjunction(each)
            shown = sum(value <= alpha for value in p)
            rows.append(
                (
                    f"{subject.claim_name(claim, several)}: {claim.title}", what, f"{shown} of {len(each)}",
                    p_cell(p[shown - 1]) if shown else ABSENT, p_cell(p[0]), p_cell(p[-1]),
                )
            )  # fmt: skip
    note = (
        f"In at least so many of {count(len(hashes))} models, at {number(alpha)} and under any dependence between them "
        "(Benjamini and Heller 2008). The p of a claim in a model is the largest of its rows, 1 where one was not run "
        "or an estimate is under its margin; that it fails, the smallest times the number of rows. Several runs of one "
        "model that test the claim count once, with the largest."
    )
    columns = ("Claim", "It", "Shown in at least", "p", "p, in one or more", "p, in all")
    return Table("In how many models", columns, tuple(rows), frozenset({2, 3, 4, 5}), note if rows else "")


def _claim_p(results: Sequence[Result], claim: tuple[str, int], way: str) -> float:
    """The largest p of a claim in the runs of one model that test it; 1 where none does."""
    found = [getattr(c, way) for r in results for c in r.claims if (c.paper, c.number) == claim]
    return max((1.0 if p is None else float(p) for p in found), default=1.0)


def _place(order: Sequence[str], paper: str) -> int:
    """Papers in their own order, and claims of no paper behind them."""
    return order.index(paper) if paper in order else len(order)


def _marked(verdict: str) -> str:
    mark = {str(k): v for k, v in glossary.VERDICT_MARKS.items()}.get(verdict)
    return f"{mark} {verdict}" if mark else verdict


def _matrix(results: Sequence[Result], stand: Sequence[Column]) -> Table:
    rows = []
    for hypothesis in _hypotheses(results):
        found = [column.primary(hypothesis) for column in stand]
        rows.append((f"{_card(results, hypothesis).title} ({hypothesis})", *(_cell(f) for f in found)))
    return Table("Every finding in every run", ("Finding", *(column.name for column in stand)), tuple(rows))


def _card(results: Sequence[Result], hypothesis: str) -> HypothesisCard:
    """What the first run that knows the hypothesis says of it."""
    cards = (card for r in results for card in r.hypotheses if card.id == hypothesis)
    return next(cards, HypothesisCard(id=hypothesis, title=hypothesis))


def _cell(finding: Finding | None) -> str:
    if finding is None:
        return "not in this run"
    n = finding_numbers(finding)
    told = (
        ""
        if n.estimate == ABSENT
        else f": {n.estimate} {n.verdict_interval if n.verdict_interval != ABSENT else ''}".rstrip()
    )
    return f"{_marked(str(finding.verdict or ABSENT))}{told}"


def _controls(results: Sequence[Result], names: Sequence[str]) -> Table:
    ids = list(dict.fromkeys(f.hypothesis for r in results for f in r.findings if f.role is Role.CONTROL))
    rows = []
    for control in ids:
        found = [next((f for f in r.findings if f.hypothesis == control), None) for r in results]
        rows.append(
            (
                _card(results, control).title,
                *("not in this run" if f is None else tables.control_outcome(f)[0] for f in found),
            )
        )
    return Table("Controls", ("Control", *names), tuple(rows))


def _setups(results: Sequence[Result], names: Sequence[str]) -> tuple[Table, Table]:
    """What differs between the runs, and what they share."""
    setups = [_flat(r) for r in results]
    keys = list(dict.fromkeys(k for s in setups for k in s))
    versions = list(dict.fromkeys(k for r in results for k in r.setup.versions))
    lines = [(_setting(k), [plain(s.get(k)) for s in setups]) for k in keys]
    lines += [(f"version of {k}", [plain(r.setup.versions.get(k)) for r in results]) for k in versions]
    differ = tuple((k, *vs) for k, vs in lines if len(set(vs)) > 1)
    share = tuple((k, vs[0]) for k, vs in lines if len(set(vs)) == 1 and not k.startswith("version of"))
    return Table("What differs in set-up", ("Setting", *names), differ), Table(
        "What the runs share", ("Setting", "Value"), share
    )


def _flat(result: Result) -> dict[str, Any]:
    """Set-up of a run by field; the conditions as their names and their rule."""
    told = {k: v for k, v in result.setup.model_dump(mode="json").items() if k not in ("versions", "conditions")}
    sets = subject.joined([f"{one.name} ({count(one.size)})" for one in result.sets])
    return {
        **told,
        "conditions": between(result.setup),
        "rule of the conditions": result.setup.conditions.rule,
        **({"sets of neurons": sets} if sets else {}),
    }


def _setting(field: str) -> str:
    """Name of a set-up's field as a reader knows it."""
    known = Setup.model_fields.get(field)
    title = known.title.lower() if known is not None and known.title else ""
    return _SETTINGS.get(field, title or field.replace("_", " "))


def _sources(results: Sequence[Result], names: Sequence[str]) -> Table:
    """How each run was made, and the hash of what it declared."""
    rows = [
        (name, origin.command(r), origin.plan_hash(r), origin.frozen(r)) for name, r in zip(names, results, strict=True)
    ]
    columns = ("Run", "Command", "Plan hash (SHA-256)", "Frozen before")
    return tables.table_of("Where the runs came from", columns, rows, words_in=(1, 2, 3))


def _compared(index: int, hypothesis: str, results: Sequence[Result], stand: Sequence[Column]) -> Compared:
    rows = [
        (column.name, column.runs[0].setup.model_hash, f)
        for column in stand
        for f in [column.primary(hypothesis)]
        if f is not None
    ]
    estimated = [(n, h, f) for n, h, f in rows if f.estimate is not None]
    card = _card(results, hypothesis)
    findings = [f for *_, f in estimated]
    reason = meta.why_not(findings, [h for _, h, _ in estimated]) if findings else "no run has an estimate"
    summary = None if reason else meta.combine(findings)
    return Compared(
        anchor=f"compared-{index}",
        hypothesis=hypothesis,
        title=card.title,
        asks=card.asks or next((f.claim for *_, f in rows), ""),
        labels=tuple(n for n, *_ in estimated),
        findings=tuple(findings),
        summary=summary,
        told=_told(summary, findings) if summary else f"Not averaged: {reason}.",
    )


def summary_decimals(findings: Sequence[Finding]) -> int:
    """Decimals of a summary: those of its most precise row."""
    return max((finding_numbers(f).decimals for f in findings), default=3)


def _told(s: meta.Summary, findings: Sequence[Finding]) -> str:
    d = summary_decimals(findings)
    text = (
        f"Mean over {count(s.models)} models of {count(s.families)} families {fixed(s.estimate, d, sign=True)} "
        f"{interval(s.low, s.high, d)} (95 %, random effects); the effect scatters with a standard deviation of "
        f"{fixed(s.between, max(d, decimals_for(s.between)))} between families and "
        f"{fixed(s.within, max(d, decimals_for(s.within)))} between models of one."
    )
    if s.predicted_low is not None:
        text += f" A model of one more family: {interval(s.predicted_low, s.predicted_high, d)} (95 %)."
    return text


def _pooled(compared: Sequence[Compared]) -> Table:
    rows = []
    for c in compared:
        if c.summary is None:
            continue
        s, d = c.summary, summary_decimals(c.findings)
        rows.append(
            (
                f"{c.title} ({c.hypothesis})",
                f"{count(s.models)} of {count(s.families)}",
                fixed(s.estimate, d, sign=True),
                interval(s.low, s.high, d),
                c.findings[0].unit,
                fixed(s.between, max(d, decimals_for(s.between))),
                fixed(s.within, max(d, decimals_for(s.within))),
                interval(s.predicted_low, s.predicted_high, d),
            )
        )
    note = (
        "Random effects by restricted maximum likelihood, models nested in families (the letters with which a model's "
        "name begins), with Hartung and Knapp's interval where it is the wider. Models trained on the same text by the "
        "same people are not a random sample of anything; read this as a description."
    )
    columns = ("Finding", "Models of families", "Mean", "95 % interval", "Unit", "Sd between families",
               "Sd within families", "One more family")  # fmt: skip
    return Table("Over all models", columns, tuple(rows), frozenset({1, 2, 3, 5, 6, 7}), note if rows else "")


def render(results: Sequence[Result], format: str) -> str:
    """Several runs as ``html``, ``md``, ``tex`` or ``json``."""
    if format == "json":
        return (
            json.dumps(
                {"format": FORMAT, "results": [r.model_dump(mode="json") for r in results]},
                indent=1,
                ensure_ascii=False,
            )
            + "\n"
        )
    comparison = compare(results)
    if format == "html":
        return html(comparison)
    if format == "md":
        return markdown(comparison)
    from . import latex

    return (
        "\n\n".join(
            latex.table(t) for t in (comparison.claims, comparison.models, comparison.matrix, comparison.pooled) if t
        )
        + "\n"
    )


def html(comparison: Comparison) -> str:
    """Comparison as a standalone page."""
    from .figures.forest import Pooled, forest
    from .html import environment, inline

    figures = {}
    for c in comparison.hypotheses:
        pooled = None
        if c.summary is not None:
            d = summary_decimals(c.findings)
            told = f"{fixed(c.summary.estimate, d, sign=True)} {interval(c.summary.low, c.summary.high, d)}"
            pooled = Pooled("Mean over models (95 %)", c.summary.estimate, c.summary.low, c.summary.high, told)
        figures[c.anchor] = inline([forest(c.labels, c.findings, pooled)], c.anchor)
    page: str = environment().get_template("compare.html.j2").render(c=comparison, figures=figures)
    return printable(page)


def markdown(comparison: Comparison) -> str:
    """Comparison as GitHub-flavoured Markdown."""
    from .markdown import escape, fenced, table

    blocks = [
        f"# {escape(comparison.title)}",
        escape(f"{comparison.claimed} {comparison.method}"),
        table(comparison.claims, 2),
        table(comparison.models, 2),
        table(comparison.matrix, 2),
    ]
    blocks += [
        table(comparison.pooled, 2),
        table(comparison.differences, 2),
        table(comparison.controls, 2),
        table(comparison.shared, 2),
        table(comparison.sources, 2),
        f"## Citation\n\n{fenced(comparison.bibtex, 'bibtex')}",
    ]
    notes = "\n".join(
        f"- {escape(c.title)}: {escape(c.told)}" for c in comparison.hypotheses if c.told != comparison.mostly
    )
    told = [part for part in (escape(comparison.once), notes) if part]
    blocks.insert(6, "\n\n".join(["## Each finding over the runs", *told]) if told else "")
    return printable("\n\n".join(b for b in blocks if b) + "\n")
