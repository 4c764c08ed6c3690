"""Verdicts on a paper's claims, from the verdicts of the hypotheses that decide them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..data.condition_files import read_conditions
from ..data.conditions import DEFAULT_NAMES, Conditions
from ..data.errors import InputError
from .hypothesis import Hypothesis
from .inference.several_models import NOTHING, ClaimP, of_claim
from .inference.verdicts import combine
from .paper import Claim, Paper
from .result import ClaimVerdict, Finding, Outcome, Role, Verdict
from .views import Prepared


def claim_verdicts(
    prepared: Prepared,
    findings: Sequence[Finding],
    alpha: float,
    doubtful: Mapping[str, Sequence[str]] | None = None,
) -> list[ClaimVerdict]:
    """Verdict on each claim of the run's papers that some row bears on.

    `doubtful`: what the controls leave to doubt of each hypothesis (`controls.doubts`); said beside the claim.
    """
    by_id = {f.hypothesis: f for f in findings if f.role is Role.PRIMARY and f.verdict is not None}
    verdicts = {name: f.verdict for name, f in by_id.items() if f.verdict is not None}
    found = []
    for paper in prepared.choice.papers:
        for claim in paper.claims:
            against = held_against(claim, findings, alpha)
            verdict = verdict_on(claim, paper, verdicts, against)
            if verdict is None:
                continue
            rows = [by_id[name] for name in claim.ids if name in by_id]
            tested = [h for h in prepared.choice.hypotheses if h.id in claim.ids]
            otherwise = _asked_otherwise(prepared, paper, claim, tested)
            headline = f"{otherwise}: {verdict}." if otherwise else claim.headlines.get(verdict, "")
            doubt = _doubt({name: said for name, said in (doubtful or {}).items() if name in claim.ids})
            left = unasked(claim, paper, verdicts)
            sentence = _sentence(rows, verdict, left, against)
            p = _p(rows, bool(against) or any(h.default for h in left))
            found.append(ClaimVerdict(
                paper=paper.id, number=claim.number, title=prepared.of(tested[0]).filled(claim.title), verdict=verdict,
                headline=f"{headline} But {doubt}." if headline and doubt else headline,
                sentence=f"{sentence}; {doubt}" if doubt else sentence,
                hypotheses=[f.hypothesis for f in rows], p_holds=p.holds, p_fails=p.fails,
            ))  # fmt: skip
    return found


def _p(rows: Sequence[Finding], against: bool) -> ClaimP:
    """P of a claim in this model; `against`: whether something beside its rows stands against *supported*."""
    each = [(f.details.p_holds, f.details.p_fails) for f in rows]
    found = of_claim([NOTHING if p is None or q is None else ClaimP(p, q) for p, q in each])
    return replace(found, holds=1.0) if against else found


def _doubt(said: Mapping[str, Sequence[str]]) -> str:
    """What the controls say against the rows of a claim, each thing once."""
    by_doubt: dict[str, list[str]] = {}
    for name, doubts in said.items():
        for doubt in doubts:
            by_doubt.setdefault(doubt, []).append(name)
    return "; ".join(f"{', '.join(names)}: {doubt}" for doubt, names in by_doubt.items())


def held_against(claim: Claim, findings: Sequence[Finding | Outcome], alpha: float) -> str:
    """What stands against *supported* beside the rows that decide (`Claim.unless`); empty where nothing does.

    Such a row that was not run stands against it too: nobody knows what it would have shown.
    """
    for name, said in claim.unless.items():
        p = next((f.p_value for f in findings if f.hypothesis == name), None)
        if p is None:
            return f"{name} was not tested"
        if p < alpha:
            return said
    return ""


def verdict_on(claim: Claim, paper: Paper, verdicts: Mapping[str, Verdict], against: str = "") -> Verdict | None:
    """Verdict on a claim; None where nothing that was tested bears on it.

    A hypothesis that a plain run tests and this run did not stands against *supported*: the claim says more than what
    was tested.

    Parameters
    ----------
    verdicts
        Verdict of each hypothesis that was asked for and has one, by id.
    against
        What else stands against *supported* (`held_against`).
    """
    rows = [verdicts[name] for name in claim.ids if name in verdicts]
    if not rows:
        return None
    if all(v is Verdict.NOT_RUN for v in rows):
        return Verdict.NOT_RUN
    found = combine(rows)
    left = any(h.default for h in unasked(claim, paper, verdicts))
    return Verdict.UNDETERMINED if found is Verdict.SUPPORTED and (left or against) else found


def unasked(claim: Claim, paper: Paper, tested: Mapping[str, object]) -> list[Hypothesis]:
    """Hypotheses that decide a claim and were not asked for."""
    return [h for h in paper.hypotheses if h.id in claim.ids and h.id not in tested and h.role is Role.PRIMARY]


def _asked_otherwise(prepared: Prepared, paper: Paper, claim: Claim, tested: Sequence[Hypothesis]) -> str:
    """What the claim was asked of, where that is not what the paper means; empty where it is.

    The paper's own headlines speak of its neurons and conditions, and would be false of others.  A paper that names no
    conditions and writes no headlines leaves the conditions to whoever runs it.
    """
    own, conditions, parts = prepared.own_set, prepared.base.conditions, []
    if own is not None and own != paper.set and any(h.set is None for h in tested):
        parts.append(f"of the {own.name} neurons")
    if not _compares(paper, conditions) and (paper.conditions is not None or claim.headlines):
        parts.append(f"of {conditions.a.phrase} against {conditions.b.phrase}")
    return f"Asked {' and '.join(parts)}, in place of the paper's own" if parts else ""


def _compares(paper: Paper, conditions: Conditions) -> bool:
    """Whether a paper's conditions are those that were measured, by their names."""
    if paper.conditions is None:
        return (conditions.a.name, conditions.b.name) == DEFAULT_NAMES
    try:
        declared = read_conditions(paper.conditions)
    except InputError:  # measurements were given, and the paper's file is gone: no reason to lose a run at its end
        return False
    return conditions.a.name == declared.a.name and (declared.b is None or conditions.b.name == declared.b.name)


def _sentence(rows: Sequence[Finding], verdict: Verdict, left: Sequence[Hypothesis], against: str) -> str:
    def ids(wanted: Verdict) -> str:
        return ", ".join(f.hypothesis for f in rows if f.verdict is wanted)

    unasked_ids = f"{', '.join(h.id for h in left)} {'was' if len(left) == 1 else 'were'} not asked for" if left else ""
    several = len(rows) > 1
    if verdict is Verdict.REFUTED:
        return f"refuted by {ids(Verdict.REFUTED)}"
    if all(f.verdict is Verdict.SUPPORTED for f in rows):
        said = f"all {len(rows)} hypotheses tested are supported" if several else "its hypothesis is supported"
        if several and not left:
            said = f"all {len(rows)} hypotheses are supported"
        if not several and left:
            said = "the one hypothesis tested is supported"
        return ", ".join(part for part in (f"{said}, but {against}" if against else said, unasked_ids) if part)
    undecided = sum(f.verdict is Verdict.UNDETERMINED for f in rows)
    missing = sum(f.verdict is Verdict.NOT_RUN for f in rows)
    of = f" of {len(rows)} hypotheses" if several else ""
    parts = [f"{undecided}{of} could not decide" if of else "its hypothesis could not decide"] if undecided else []
    parts += [f"{missing} could not be run" if of else "it could not be run"] if missing else []
    return ", ".join(parts)
