"""The order of the telling: one result as papers, claims, findings and their rows, the same in every format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..hypotheses.result import ClaimVerdict, Finding, Kind, PaperCard, Result, Role, Verdict
from . import glossary, multiverse, reasons, subject, tables
from .finding_section import FindingSection, as_sentence, finding_section
from .numbers import count, percent

FIGURES = ("curves", "graphs", "head_map", "effects", "balance")
"""Kinds of figures that a hypothesis can ask for, in the order in which they stand."""


_OWN = "own"


@dataclass(frozen=True)
class ClaimSection:
    """One claim of a paper, or the findings that belong to none (`claim` is None).

    Attributes
    ----------
    name
        ``Claim 2``.
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
    elsewhere
        Findings that bear on this claim and are told under another one.
    figures
        Kinds of figures that stand with it, of `FIGURES`.
    """

    anchor: str
    claim: ClaimVerdict | None
    name: str
    title: str
    headline: str
    tests: tuple[tuple[Verdict, str], ...]
    rule: str
    enough: tuple[str, ...]
    ways: str
    findings: tuple[FindingSection, ...]
    elsewhere: tuple[FindingSection, ...] = ()
    figures: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """``Claim 2: what it says``."""
        return f"{self.name}: {self.title}" if self.name else self.title


@dataclass(frozen=True)
class PaperSection:
    """The claims of one paper; `paper` is None where they belong to none."""

    anchor: str
    paper: PaperCard | None
    claims: tuple[ClaimSection, ...]

    @property
    def title(self) -> str:
        """Heading above the claims."""
        return self.paper.short if self.paper else glossary.OTHER_CLAIMS

    @property
    def summary(self) -> str:
        """What the paper claims, in a sentence."""
        return self.paper.summary if self.paper else ""


@dataclass(frozen=True)
class Story:
    """Everything a report of one run says, in order.

    Attributes
    ----------
    rest
        Findings that belong to no claim: of hypotheses that a paper declares, and of the reader's own.
    """

    title: str
    kicker: str
    claimed: str
    method: str
    tested: str
    sure: str
    papers: tuple[PaperSection, ...]
    rest: tuple[ClaimSection, ...]
    verdicts: frozenset[Verdict]
    controls_line: str
    controls_passed: bool
    limits: tuple[tuple[str, str], ...]
    terms: tuple[tuple[str, str], ...]

    @property
    def several(self) -> bool:
        """Whether claims stand under the headings of their papers."""
        return len(self.papers) > 1

    @property
    def claims(self) -> tuple[ClaimSection, ...]:
        """Every claim, in order."""
        return tuple(c for p in self.papers for c in p.claims)

    @property
    def own(self) -> tuple[FindingSection, ...]:
        """Verdicts on the reader's own hypotheses, which belong to no paper and so to no claim."""
        return tuple(s for c in self.rest if c.anchor == _OWN for s in c.findings if s.verdict is not None)

    @property
    def sections(self) -> tuple[ClaimSection, ...]:
        """Every claim, and what belongs to none."""
        return (*self.claims, *self.rest)


def tell(result: Result) -> Story:
    """Put a result in the order in which it is told."""
    found = [finding_section(i, h, result) for i, h in enumerate(_hypotheses(result), 1)]
    told = {s.hypothesis: s for s in found}
    home = {h: home_of(s.row, result) for h, s in told.items()}
    figures = _Figures(result)
    papers = _paper_sections(result, told, home, figures)
    line, passed = _controls_line(result)
    return Story(
        title=subject.title([result], f", tested on {result.setup.model}"),
        kicker=subject.kicker([result]),
        claimed=" ".join(paper.summary for paper in subject.papers([result]) if paper.summary),
        method=_method(result),
        tested=_tested(result),
        sure=_sure(result),
        papers=papers,
        rest=_rest([s for s in found if home[s.hypothesis] is None], result, figures),
        verdicts=frozenset(
            {c.verdict for c in result.claims} | {f.verdict for f in result.findings if f.verdict is not None}
        ),
        controls_line=line,
        controls_passed=passed,
        limits=_limits(result),
        terms=_terms(result),
    )


class _Figures:
    """Deals out the kinds of figures: each stands once, with the first section that has a hypothesis asking for it."""

    def __init__(self, result: Result) -> None:
        self.result, self.left = result, list(FIGURES)

    def take(self, sections: Sequence[FindingSection]) -> tuple[str, ...]:
        asked = {kind for s in sections for kind in self.result.hypothesis(s.hypothesis).figures}
        taken = tuple(kind for kind in self.left if kind in asked)
        self.left = [kind for kind in self.left if kind not in asked]
        return taken


def _paper_sections(
    result: Result, told: dict[str, FindingSection], home: dict[str, int | None], figures: _Figures
) -> tuple[PaperSection, ...]:
    """Claims under their papers, papers and claims in the result's order."""
    cards = {paper.id: paper for paper in subject.papers([result])}
    several = subject.several([result])
    out = []
    for i, paper in enumerate(dict.fromkeys(c.paper for c in result.claims), 1):
        claims = []
        for k, claim in ((k, c) for k, c in enumerate(result.claims) if c.paper == paper):
            own = [s for h, s in told.items() if home[h] == k]
            others = [s for h, s in told.items() if h in claim.hypotheses and home[h] != k]
            anchor = f"claim-{i}-{claim.number}" if several else f"claim-{claim.number}"
            claims.append(_claim_section(anchor, claim, (own, others), figures.take(own), result))
        out.append(PaperSection(f"paper-{i}", cards.get(paper), tuple(claims)))
    return tuple(out)


def _rest(sections: Sequence[FindingSection], result: Result, figures: _Figures) -> tuple[ClaimSection, ...]:
    """Findings that belong to no claim, of hypotheses that a paper declares and of others."""
    declared = [s for s in sections if result.hypothesis(s.hypothesis).papers]
    own = [s for s in sections if not result.hypothesis(s.hypothesis).papers]
    groups = (("further", glossary.FURTHER, declared), (_OWN, glossary.OWN, own))
    return tuple(
        ClaimSection(anchor, None, "", title, "", (), "", (), "", tuple(group), figures=figures.take(group))
        for anchor, title, group in groups
        if group
    )


def home_of(finding: Finding, result: Result) -> int | None:
    """Index of the claim under which a finding is told; None where it belongs to none.

    A claim that names the hypothesis comes first; then one of a paper that declares it, over the same family.
    """
    for k, claim in enumerate(result.claims):
        if finding.hypothesis in claim.hypotheses:
            return k
    card = next((c for c in result.hypotheses if c.id == finding.hypothesis), None)
    for k, claim in enumerate(result.claims):
        declared = card is None or claim.paper in (card.papers or [""])
        if declared and finding.family in {h.split(".")[0] for h in claim.hypotheses}:
            return k
    return None


def _hypotheses(result: Result) -> list[str]:
    return list(dict.fromkeys(f.hypothesis for f in result.findings if f.role is not Role.CONTROL))


def _method(result: Result) -> str:
    """Why there is a null model and a margin: for claims of absence a plain failure to find would show nothing."""
    if not _hypotheses(result):
        return ""
    absent = [c for c in result.claims if _all_absent(reasons.deciding(result, c.hypotheses))]
    if not absent:
        return glossary.METHOD
    if len(absent) == len(result.claims):
        who = "This claim says" if len(absent) == 1 else "These claims say"
    elif subject.several([result]):
        who = "One of these claims says" if len(absent) == 1 else "Some of these claims say"
    else:
        numbers = subject.joined([str(c.number) for c in absent])
        who = f"Claim {numbers} says" if len(absent) == 1 else f"Claims {numbers} say"
    return f"{who} {glossary.METHOD_OF_ABSENCE}"


def _all_absent(rows: Sequence[Finding]) -> bool:
    return bool(rows) and all(f.kind is Kind.ABSENCE for f in rows)


def _tested(result: Result) -> str:
    s = result.setup
    model = f"{s.model}, a very small model that ships with this software" if _embedded(result) else s.model
    return (
        f"This run looked into layer {s.layer} ({count(s.n_neurons)} neurons) of {model}, while it read "
        f"{count(s.n_documents)} documents of the corpus {s.corpus}. "
        f"{subject.held_against(result)}"
    ).rstrip()


def _embedded(result: Result) -> bool:
    return result.setup.model.startswith("docs-")


def _sure(result: Result) -> str:
    s = result.setup
    return (
        f"Each verdict follows from the rule declared with its claim. Chance alone should mislead a test in at "
        f"most {percent(s.alpha)} of runs; each null model was drawn {count(s.replicates)} times."
    )


def _claim_section(
    anchor: str,
    claim: ClaimVerdict,
    told: tuple[Sequence[FindingSection], Sequence[FindingSection]],
    figures: tuple[str, ...],
    result: Result,
) -> ClaimSection:
    """Section of a claim; `told` are the findings under it, and those that it shares with one told before."""
    rows = reasons.deciding(result, claim.hypotheses)
    sections, elsewhere = told
    needs = (s.enough for s in (*sections, *elsewhere) if s.enough and s.verdict is Verdict.UNDETERMINED)
    tests = ((f.verdict, reasons.said(f, result.hypothesis(f.hypothesis)) or f.hypothesis) for f in rows)
    return ClaimSection(
        anchor=anchor,
        claim=claim,
        name=f"Claim {claim.number}",
        title=claim.title,
        headline=claim.headline or as_sentence(f"{claim.title}: {claim.sentence or claim.verdict}"),
        tests=tuple((verdict, as_sentence(said)) for verdict, said in tests if verdict is not None),
        rule=_rule(claim, rows),
        # the details stand with each finding; a card has room for what the findings share
        enough=tuple(dict.fromkeys(as_sentence(n.partition(":")[0]) for n in needs))
        if claim.verdict is Verdict.UNDETERMINED
        else (),
        ways=multiverse.follow_claim(result, claim).ways if result.multiverse else "",
        findings=tuple(sections),
        elsewhere=tuple(elsewhere),
        figures=figures,
    )


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


def _controls_line(result: Result) -> tuple[str, bool]:
    outcomes = [tables.control_outcome(f)[0] for f in result.findings if f.role is Role.CONTROL]
    if not outcomes:
        return "No controls were run.", False
    failed = [
        f"{result.hypothesis(f.hypothesis).title}: {tables.control_outcome(f)[1]}"
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
    others = "".join(
        f"; {outcomes.count(state)} {said}"
        for state, said in (("could not see", "could not have seen what it looks for"), ("not run", "not run"))
        if state in outcomes
    )
    return f"{passed} of {len(outcomes)} checks of the pipeline itself passed{others}.", passed > 0


def _limits(result: Result) -> tuple[tuple[str, str], ...]:
    """What holds of every test, of an embedded model, and of each paper."""
    embedded = (glossary.EMBEDDED_LIMIT,) if _embedded(result) else ()
    papers = (limit for paper in subject.papers([result]) for limit in paper.limits)
    return tuple(dict.fromkeys((*embedded, *glossary.LIMITS, *papers)))


def _terms(result: Result) -> tuple[tuple[str, str], ...]:
    """Words of the measurement, of the run's conditions and sets, of the papers, of the tests."""
    papers = (term for paper in subject.papers([result]) for term in paper.terms)
    named = (*subject.condition_terms(result), *subject.set_terms(result))
    return tuple(dict.fromkeys((*glossary.TERMS, *named, *papers, *glossary.TEST_TERMS)))
