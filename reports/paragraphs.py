"""Paragraphs to paste into a paper: how it was done, and what was found, from the numbers of the run."""

from __future__ import annotations

from ..hypotheses.result import ClaimVerdict, Finding, Result, Role, Verdict
from . import origin, reasons, subject
from .finding_section import as_sentence
from .numbers import ABSENT, count, finding_numbers, number, p_cell, percent, scientific

SHORT_HASH = 12


def methods(result: Result) -> str:
    """What was measured, against what it was held, and what makes it the same again."""
    s, sets = result.setup, subject.sets_of(result)
    revision = f", revision {s.revision}" if s.revision else ""
    a, b = s.conditions.a.phrase, s.conditions.b.phrase
    clusters = "" if s.n_clusters is None else f" in {count(s.n_clusters)} clusters"
    audit = (
        ""
        if s.audit_max_abs_error is None
        else f"; single changes that were recomputed by full forward passes differ by at most "
        f"{scientific(s.audit_max_abs_error)} nats"
    )
    rules = subject.joined([f"the {count(one.size)} {one.name} neurons ({one.rule})" for one in sets])
    fitted = any(one.cross_fitted for one in sets)
    chosen = ", chosen on one half of the documents and read on the other" if fitted else ""
    nulls = subject.joined([null.name for null in result.nulls])
    units = "documents" if s.n_clusters is None else "clusters of documents"
    sentences = [
        f"We measured layer {s.layer} ({count(s.n_neurons)} neurons) of {s.model}{revision} (weights "
        f"{s.model_hash[:SHORT_HASH]}) on {count(s.n_documents)} documents{clusters} of {s.corpus} (text "
        f"{s.corpus_hash[:SHORT_HASH]}).",
        f"Positions of {a} were matched by their loss to positions of {b} of the same document ({count(s.n_pairs)} "
        "pairs).",
        f"The influence of a neuron is the mean absolute change of the loss under {s.ablation} ablation{audit}.",
        f"Tests are about {rules}{chosen}." if rules else "",
        f"Each estimate was compared with its null models ({nulls}; {count(s.replicates)} draws), p-values were "
        f"adjusted within families (Holm; maxT where draws are joint) at {p_cell(s.alpha)}, and intervals are "
        f"jackknives over {units}."
        if nulls
        else "",
        f"A presence counts as supported if its adjusted p is below {p_cell(s.alpha)} and the estimate reaches the "
        f"margin, an absence only if the {percent(1 - 2 * s.alpha)} interval lies inside the margin.",
        f"The tests were run with neuronull {s.versions.get('neuronull', '')} (seed {s.seed}{_plan(result)}).",
        _frozen(result),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def results(result: Result) -> str:
    """A sentence on each claim, and one on each finding that decides."""
    told = [_claim(claim, result) for claim in result.claims]
    told += [_finding(f, result) for f in result.findings if f.role is Role.PRIMARY and f.estimate is not None]
    return " ".join(told)


def _plan(result: Result) -> str:
    found = origin.plan_hash(result)
    return "" if found in ("", ABSENT) else f", plan {found[:SHORT_HASH]}"


def _frozen(result: Result) -> str:
    when = origin.frozen(result)
    if not when:
        return ""
    return (
        "The plan was not frozen before the run." if when == "no" else f"The plan was frozen before the run, at {when}."
    )


def _claim(claim: ClaimVerdict, result: Result) -> str:
    name = subject.claim_name(claim, subject.several([result]))
    verdict = "not tested" if claim.verdict is Verdict.NOT_RUN else str(claim.verdict)
    return f"{name}, that {claim.title}, is {verdict}."


def _finding(finding: Finding, result: Result) -> str:
    n = finding_numbers(finding)
    interval = "" if n.verdict_interval == ABSENT else f", {n.verdict_level} interval {n.verdict_interval}"
    p = "" if n.p == ABSENT else f", {n.p}"
    if n.p_adjusted not in (ABSENT, n.p_cell):
        p += f", adjusted {n.p_adjusted}"
    margin = "" if finding.margin is None else f"; margin {number(finding.margin)}"
    card = result.hypothesis(finding.hypothesis)
    said = reasons.said(finding, card) or card.title
    return f"{as_sentence(said).rstrip('.')} ({n.estimate} {finding.unit}{interval}{p}{margin}; {finding.verdict})."
