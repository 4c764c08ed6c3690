"""The order of the telling: one result as claims, findings and their rows, the same in every format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..hypotheses.result import ClaimVerdict, Finding, Kind, Result, Role, Verdict
from . import glossary, multiverse, reasons, tables, words
from .numbers import ABSENT, count, finding_numbers, percent
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
    calibration: str
    reading: str
    null_words: str
    notes: str
    universes: str
    numbers: Table
    nulls: Table
    heads: Table
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


@dataclass(frozen=True)
class ClaimSection:
    """One claim of the paper, or the findings that belong to none (`claim` is None).

    Attributes
    ----------
    headline
        The verdict in one sentence for a reader who knows nothing of the paper.
    tests
        Verdict and plain sentence of every finding that decides the claim.
    rule
        How the claim's verdict follows from them.
    enough
        What would have been enough where it is undetermined.
    ways
        In how many universes the verdict is the same, where any were tested.
    """

    anchor: str
    claim: ClaimVerdict | None
    title: str
    headline: str
    tests: tuple[tuple[Verdict, str], ...]
    rule: str
    enough: tuple[str, ...]
    ways: str
    findings: tuple[FindingSection, ...]


@dataclass(frozen=True)
class Story:
    """Everything a report of one run says, in order."""

    title: str
    claimed: str
    method: str
    tested: str
    sure: str
    claims: tuple[ClaimSection, ...]
    further: ClaimSection | None
    verdicts: frozenset[Verdict]
    controls_line: str
    controls_passed: bool
    limits: tuple[tuple[str, str], ...]


def tell(result: Result) -> Story:
    """Put a result in the order in which it is told."""
    sections = [_finding_section(i, h, result) for i, h in enumerate(_hypotheses(result), 1)]
    claims = [_claim_section(c, [s for s in sections if belongs(s.row, c)], result) for c in result.claims]
    told = {s.hypothesis for c in claims for s in c.findings}
    rest = [s for s in sections if s.hypothesis not in told]
    line, passed = _controls_line(result)
    papers = any(_is_papers(c) for c in result.claims)
    return Story(
        title=_title(result),
        claimed=glossary.CLAIMED if papers else "",
        method=glossary.METHOD if papers else "",
        tested=_tested(result),
        sure=_sure(result),
        claims=tuple(claims),
        further=ClaimSection("further", None, "Further findings", "", (), "", (), "", tuple(rest)) if rest else None,
        verdicts=frozenset(
            {c.verdict for c in result.claims} | {f.verdict for f in result.findings if f.verdict is not None}
        ),
        controls_line=line,
        controls_passed=passed,
        limits=_limits(result),
    )


def slug(text: str) -> str:
    """Part of an HTML id made from any text."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def belongs(finding: Finding, claim: ClaimVerdict) -> bool:
    """Whether the finding is told under the claim: named there, or of the same family."""
    return finding.hypothesis in claim.hypotheses or finding.family in {h.split(".")[0] for h in claim.hypotheses}


def _hypotheses(result: Result) -> list[str]:
    return list(dict.fromkeys(f.hypothesis for f in result.findings if f.role is not Role.CONTROL))


def _title(result: Result) -> str:
    numbers = {1: "One claim", 2: "Two claims", 3: "Three claims"}
    what = numbers.get(len(result.claims), f"{len(result.claims)} claims") if result.claims else "Claims"
    return f"{what} about rare words, tested on {result.setup.model}"


def _tested(result: Result) -> str:
    s = result.setup
    model = f"{s.model}, a very small model that ships with this software" if _embedded(result) else s.model
    return (
        f"This run looked into layer {s.layer} ({count(s.n_neurons)} neurons) of {model}, while it read "
        f"{count(s.n_documents)} documents of the corpus {s.corpus}. The "
        f"{count(s.n_head)} neurons that matter most for rare words, the \u201cplateau\u201d, are held against "
        "ordinary ones."
    )


def _embedded(result: Result) -> bool:
    return result.setup.model.startswith("docs-")


def _sure(result: Result) -> str:
    s = result.setup
    return (
        f"Each verdict follows from a rule that was fixed beforehand. Chance alone should mislead a test in at "
        f"most {percent(s.alpha)} of runs; each null model was drawn {count(s.replicates)} times."
    )


def _claim_section(claim: ClaimVerdict, sections: Sequence[FindingSection], result: Result) -> ClaimSection:
    rows = reasons.deciding(result, claim.hypotheses)
    known = glossary.HEADLINES[claim.number][claim.verdict] if _is_papers(claim) else ""
    needs = (s.enough for s in sections if s.enough and s.verdict is Verdict.UNDETERMINED)
    return ClaimSection(
        anchor=f"claim-{claim.number}",
        claim=claim,
        title=claim.title,
        headline=known or as_sentence(f"{claim.title}: {claim.sentence or claim.verdict}"),
        tests=tuple((f.verdict, as_sentence(reasons.said(f) or f.hypothesis)) for f in rows if f.verdict is not None),
        rule=_rule(claim, rows),
        # the details stand with each finding; a card has room for what the findings share
        enough=tuple(dict.fromkeys(as_sentence(n.partition(":")[0]) for n in needs))
        if claim.verdict is Verdict.UNDETERMINED
        else (),
        ways=multiverse.follow_claim(result.multiverse, claim).ways if result.multiverse else "",
        findings=tuple(sections),
    )


def as_sentence(text: str) -> str:
    """A phrase with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text[-1] in ".!?" else ".")


def _rule(claim: ClaimVerdict, rows: Sequence[Finding]) -> str:
    """How the claim's verdict follows from its rows'."""
    told = reasons.tally(rows)
    if claim.verdict is Verdict.SUPPORTED:
        return f"The claim is supported because every test that decides it is ({told})."
    if claim.verdict is Verdict.REFUTED:
        return (
            f"The claim is refuted because at least one test that decides it is ({told}). It holds only if all "
            "its parts do."
        )
    if claim.verdict is Verdict.UNDETERMINED:
        return (
            f"The claim is undetermined: no test refutes it, but not every test that decides it supports it ({told})."
        )
    return "No test that decides this claim was run."


def _is_papers(claim: ClaimVerdict) -> bool:
    """Whether the claim is the paper's claim of that number, whose headline the report knows."""
    family = glossary.FAMILY_OF_CLAIM.get(claim.number)
    return family is not None and all(h.split(".")[0] == family for h in claim.hypotheses)


def _finding_section(index: int, hypothesis: str, result: Result) -> FindingSection:
    rows = tuple(f for f in result.findings if f.hypothesis == hypothesis)
    row = next((f for f in rows if f.role is Role.PRIMARY), rows[0])
    known = words.HYPOTHESES.get(hypothesis)
    reason = (
        reasons.why(row)
        if row.role is Role.PRIMARY
        else "Reported for comparison: this row carries no verdict and decides no claim."
    )
    return FindingSection(
        anchor=f"finding-{index}-{slug(hypothesis)}",
        hypothesis=hypothesis,
        title=known.title if known else (row.claim or hypothesis),
        asks=known.asks if known else row.claim,
        measured=known.measured if known else "",
        row=row,
        rows=rows,
        sentence=as_sentence(_sentence(row)),
        why=reason,
        doubt=as_sentence(reasons.doubt(row)),
        enough=reasons.enough(row),
        calibration=as_sentence(reasons.calibration(row)),
        reading=_reading(row),
        null_words=words.null_words(row.null_model),
        notes=_notes(row, reason, result),
        universes=_universes(row, result),
        numbers=tables.numbers_of(row),
        nulls=tables.nulls_of([r for r in rows if r.estimate is not None]),
        heads=tables.heads_of(row),
        also=tables.also_measured(row),
        lines=tables.broken_lines(row),
        tails=tables.tail_laws(row),
    )


def _notes(row: Finding, reason: str, result: Result) -> str:
    """What stands beside the verdict: the engine's notes, and whether the untrained model shows the same."""
    notes = [] if row.verdict is Verdict.NOT_RUN else row.notes.split("; ")
    doubts = str(row.details.get("doubt", "")).split("; ")  # told in words of their own
    notes = ["; ".join(note for note in notes if note and note not in doubts and note not in reason)]
    untrained = (f for f in result.findings if f.hypothesis == "control.random_init")
    flagged = any(row.hypothesis in (f.details.get("flagged") or ()) for f in untrained)
    if flagged and row.role is Role.PRIMARY and "random weights" not in row.notes:
        notes.append("the same model with random weights shows this too, so training alone does not explain it")
    return " ".join(as_sentence(note) for note in notes if note)


def _universes(row: Finding, result: Result) -> str:
    """How the verdict fares in the multiverse; empty where nothing was varied or the row decides nothing."""
    if result.multiverse is None or row.role is not Role.PRIMARY:
        return ""
    return multiverse.follow(result.multiverse, row).sentence(result.multiverse.replicates)


def _sentence(row: Finding) -> str:
    """What was found in words; where nothing decides, in numbers."""
    if row.role is Role.PRIMARY and reasons.said(row):
        return reasons.said(row)
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


def _reading(row: Finding) -> str:
    """Which way the estimate points and how the claim reads it."""
    known = words.HYPOTHESES.get(row.hypothesis)
    sense = f"Above zero: {known.plus}; below: {known.minus}. " if known else ""
    if row.kind is Kind.ABSENCE:
        return sense + "The claim says that there is no such effect."
    if row.kind is Kind.PRESENCE and row.two_sided:
        return sense + "The claim says that there is an effect, in either direction."
    return sense + "The claim says that there is such an effect." if row.kind is Kind.PRESENCE else sense


def _controls_line(result: Result) -> tuple[str, bool]:
    outcomes = [tables.control_outcome(f)[0] for f in result.findings if f.role is Role.CONTROL]
    if not outcomes:
        return "No controls were run.", False
    failed = [
        f"{words.title_of(f.hypothesis)}: {tables.control_outcome(f)[1]}"
        for f in result.findings
        if f.role is Role.CONTROL and tables.control_outcome(f)[0] == "failed"
    ]
    if failed:
        which = "; ".join(failed)
        return (
            f"{len(failed)} of {len(outcomes)} checks of the pipeline itself failed ({which}): read the verdicts with "
            "that in mind.",
            False,
        )
    passed = outcomes.count("passed")
    others = f"; {len(outcomes) - passed} not run" if passed < len(outcomes) else ""
    return f"{passed} of {len(outcomes)} checks of the pipeline itself passed{others}.", passed > 0


def _limits(result: Result) -> tuple[tuple[str, str], ...]:
    embedded = (glossary.EMBEDDED_LIMIT,) if _embedded(result) else ()
    return (*embedded, *glossary.LIMITS)
