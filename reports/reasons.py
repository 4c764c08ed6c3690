"""What was found in one plain sentence, and why the verdict fell so: which number against which."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ..hypotheses.inference.verdicts import Absence, Evidence, Presence, decide
from ..hypotheses.result import Finding, HypothesisCard, Kind, OutputRow, Result, Role, Verdict
from .numbers import (
    RATIO,
    FindingNumbers,
    amount,
    apart,
    count,
    decimals_for,
    finding_numbers,
    fixed,
    margin_text,
    number,
    p_cell,
)

_CLAUSES = ("plus", "minus", "none")


def by_the_numbers(finding: Finding) -> Verdict | None:
    """Verdict that the row's numbers give by the rule; None where the numbers for it are missing.

    The engine's verdict stands in `finding.verdict`; it may differ where more than these numbers decided (coverage, a
    refusal, the other tests of the claim).
    """
    return _ruled(finding, Absence if finding.kind is Kind.ABSENCE else Presence)


def by_margin(finding: Finding) -> bool:
    """Whether the whole verdict interval lies inside the margin."""
    return _ruled(finding, Absence) is Verdict.SUPPORTED


def _ruled(finding: Finding, criterion: type[Presence] | type[Absence]) -> Verdict | None:
    low, high, margin, p = finding.verdict_low, finding.verdict_high, finding.margin, finding.p_adjusted
    if finding.estimate is None or low is None or high is None or margin is None or not margin > 0:
        return None
    evidence = Evidence(finding.estimate, low, high, 1.0 if p is None else p)
    held = criterion(margin, finding.unit, finding.margin_means, finding.two_sided)
    return decide(held, evidence, finding.alpha).verdict


def said(finding: Finding, card: HypothesisCard | None = None) -> str:
    """One plain sentence on what was found, the same in the terminal and in every report.

    A hypothesis whose card has clauses of its own speaks by them; any other by the finding's sentence.
    """
    if card is None or not _speaks(card) or finding.role is not Role.PRIMARY or finding.verdict is None:
        return finding.sentence
    if finding.verdict is Verdict.NOT_RUN:
        return "Not measured in this run."
    if finding.verdict is Verdict.UNDETERMINED:
        return _undecided(finding, card)
    there = (finding.verdict is Verdict.SUPPORTED) is (finding.kind is not Kind.ABSENCE)
    if there:
        return f"{_capital(_direction(finding, card))}."
    if _opposite(finding):
        return f"{_capital(card.minus)}."
    margin = amount(finding, finding.margin)
    unit = f" ({finding.unit})" if finding.unit and finding.unit != RATIO else ""
    limit = f"an effect of {margin}{unit} or more is excluded"
    if _significant(finding):
        return f"{_capital(_direction(finding, card))}, but only by {_best(finding)}: {limit}."
    nearest = _nearest(finding)
    if nearest is not None:
        low, high = amount(finding, finding.verdict_low), amount(finding, finding.verdict_high)
        by = f"{amount(finding, finding.estimate)} ({low} to {high})"
        told = f"the one that comes nearest, {output_name(nearest)}, does by {by}"
        return f"{_capital(card.none)} by {margin} or more; {told}."
    if finding.verdict_low is not None and finding.verdict_low > 0:
        # the interval lies above 0 though p is large: "no difference" would be too much, "a difference" too
        return f"It was not shown that {card.plus}; {limit}."
    if finding.verdict_high is not None and finding.verdict_high < 0:
        if finding.two_sided:
            return f"It was not shown that {card.minus}; {limit}."
        return f"The estimate points the other way: {card.minus}; {limit}."
    return f"{_capital(card.none)}; {limit}."


def _undecided(finding: Finding, card: HypothesisCard) -> str:
    if _significant(finding):
        clause = _direction(finding, card)
        if finding.details.rival:
            return f"It looks as if {clause}, but {finding.details.rival}."
        return f"{_capital(clause)}, but perhaps by less than would matter."
    if by_margin(finding):
        return f"{_capital(card.none)} as far as can be seen, but this run cannot be sure."
    return f"This run cannot tell whether {card.plus}."


def _direction(finding: Finding, card: HypothesisCard) -> str:
    """The clause for the side on which the estimate lies."""
    other_way = finding.two_sided and finding.estimate is not None and finding.estimate < 0
    return card.minus if other_way else card.plus


def _best(finding: Finding) -> str:
    estimate = 0.0 if finding.estimate is None else finding.estimate
    return amount(finding, abs(estimate) if finding.two_sided else estimate)


def _nearest(finding: Finding) -> OutputRow | None:
    """The head that the finding's own numbers are of; None where they are not of one of several heads."""
    heads = [row for row in finding.details.per_output if row.head >= 0]
    of = [row for row in heads if row.name == finding.details.deciding_output]
    return of[0] if len(heads) > 1 and of else None


def _speaks(card: HypothesisCard) -> bool:
    """Whether the card's author wrote any of its clauses."""
    return any(getattr(card, name) != HypothesisCard.model_fields[name].default for name in _CLAUSES)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _opposite(finding: Finding) -> bool:
    """Whether the whole verdict interval lies beyond the margin on the side that the claim does not speak of."""
    return finding.verdict_high is not None and finding.margin is not None and finding.verdict_high <= -finding.margin


def _significant(finding: Finding) -> bool:
    """Whether p says that there is an effect, in the direction that the claim asks about."""
    if finding.p_adjusted is None or finding.estimate is None:
        return False
    return finding.p_adjusted < finding.alpha and (finding.two_sided or finding.estimate > 0)


def why(finding: Finding) -> str:
    """One or two sentences: the number that decided against the number it was held to."""
    if finding.verdict is None:
        return ""
    if finding.verdict is Verdict.NOT_RUN:
        return finding.notes or "It was not run."
    outputs = finding.details.per_output
    if len(outputs) > 1 and finding.kind is Kind.ABSENCE:
        return _why_outputs(finding, outputs)
    expected = by_the_numbers(finding)
    if expected is None:
        return _engine_why(finding)
    n = finding_numbers(finding)
    if expected is finding.verdict:
        return _REASONS[finding.kind, expected](finding, n)
    # a further rule, such as doubt about the interval's coverage, stood against the numbers
    numbers = _inside(finding, n) if by_margin(finding) else _outside(finding, n)
    because = "the interval is not trusted" if doubt(finding) else _engine_why(finding)
    return f"{str(finding.verdict).capitalize()}, though {numbers}, which alone would make it {expected}: {because}"


def _engine_why(finding: Finding) -> str:
    return finding.details.why or finding.notes


def _p(finding: Finding, n: FindingNumbers) -> str:
    return f"the adjusted p ({n.p_adjusted})"


def _alpha(finding: Finding) -> str:
    return p_cell(finding.alpha)


def _band(finding: Finding, n: FindingNumbers) -> str:
    return f"\u00b1{n.margin}" if finding.two_sided else n.margin


def _inside(finding: Finding, n: FindingNumbers) -> str:
    if finding.two_sided:
        return (
            f"the whole {n.verdict_level} interval {n.verdict_interval} lies within the margin of {_band(finding, n)}"
        )
    return f"the upper end of the {n.verdict_level} interval ({n.verdict_high}) lies below the margin ({n.margin})"


def _outside(finding: Finding, n: FindingNumbers) -> str:
    if finding.two_sided:
        return f"the {n.verdict_level} interval {n.verdict_interval} reaches beyond the margin of {_band(finding, n)}"
    return (
        f"the upper end of the {n.verdict_level} interval ({n.verdict_high}) does not lie below the margin ({n.margin})"
    )


def _absence_supported(f: Finding, n: FindingNumbers) -> str:
    return f"Supported, because {_inside(f, n)}: any effect as large as the margin is excluded."


def _absence_refuted(f: Finding, n: FindingNumbers) -> str:
    return (
        f"Refuted, because {_p(f, n)} is below {_alpha(f)} and the lower end of the {n.verdict_level} interval "
        f"({n.verdict_low}) is not below the margin ({n.margin}): the effect is there, and large enough to matter."
    )


def _absence_open(f: Finding, n: FindingNumbers) -> str:
    shown = f.p_adjusted is not None and f.p_adjusted < f.alpha
    if shown:
        second = (
            f"There is an effect ({_p(f, n)} is below {_alpha(f)}), but the lower end of the interval "
            f"({n.verdict_low}) is below "
            "the margin, so it has not been shown to be large enough to matter."
        )
    else:
        second = f"Nor has one been shown: {_p(f, n)} is not below {_alpha(f)}."
    return f"Undetermined, because {_outside(f, n)}, so an effect that matters is not excluded. {second}"


def _presence_refuted(f: Finding, n: FindingNumbers) -> str:
    if _opposite(f):
        return f"Refuted, because {_inside(f, n)}: what there is points the other way."
    return f"Refuted, because {_inside(f, n)}: if there is such an effect, it is too small to matter."


def _beyond(f: Finding) -> bool:
    """Whether the whole verdict interval lies beyond the margin, on either side where the claim has two."""
    if f.verdict_low is None or f.verdict_high is None or f.margin is None:
        return False
    return f.verdict_low >= f.margin or (f.two_sided and f.verdict_high <= -f.margin)


def _presence_supported(f: Finding, n: FindingNumbers) -> str:
    far = _beyond(f)
    size = (
        f"The whole {n.verdict_level} interval {n.verdict_interval} lies beyond the margin of {_band(f, n)}, so it is "
        "also large enough to matter."
        if far
        else f"Its size is less sure: the {n.verdict_level} interval {n.verdict_interval} holds effects smaller than "
        f"the margin ({n.margin}) too."
    )
    return f"Supported, because {_p(f, n)} is below {_alpha(f)}: the null model seldom gives as much. {size}"


def _presence_open(f: Finding, n: FindingNumbers) -> str:
    return (
        f"Undetermined, because {_p(f, n)} is not below {_alpha(f)}, so an effect has not been shown; and "
        f"{_outside(f, n)}, so an "
        "effect that matters is not excluded either."
    )


_REASONS = {
    (Kind.ABSENCE, Verdict.SUPPORTED): _absence_supported,
    (Kind.ABSENCE, Verdict.REFUTED): _absence_refuted,
    (Kind.ABSENCE, Verdict.UNDETERMINED): _absence_open,
    (Kind.PRESENCE, Verdict.REFUTED): _presence_refuted,
    (Kind.PRESENCE, Verdict.SUPPORTED): _presence_supported,
    (Kind.PRESENCE, Verdict.UNDETERMINED): _presence_open,
    (Kind.CONTROL, Verdict.REFUTED): _presence_refuted,
    (Kind.CONTROL, Verdict.SUPPORTED): _presence_supported,
    (Kind.CONTROL, Verdict.UNDETERMINED): _presence_open,
}


def of_heads(rows: Sequence[OutputRow]) -> bool:
    """Whether the outputs are attention heads, single or pooled."""
    return any(row.head >= 0 for row in rows)


def output_name(row: OutputRow) -> str:
    """``L2H4`` for layer 2, head 4; pooled heads have head -1, and layer -1 where they are of all layers."""
    if row.head >= 0:
        return f"L{row.layer}H{row.head}"
    return f"the pooled minor heads of layer {row.layer}" if row.layer >= 0 else row.name


def output_decimals(finding: Finding, rows: Iterable[OutputRow]) -> int:
    """Decimals for a table of outputs: the row's own, more where an end would print like the margin."""
    bounded = [r for r in rows if not math.isnan(r.low + r.high)]
    spans = sorted((r.high - r.low) / 2 for r in bounded)
    ends = [end for r in bounded for end in (r.low, r.high)]
    return apart(decimals_for(*spans[len(spans) // 2 :][:1]), [(end, finding.margin) for end in ends])


def _why_outputs(finding: Finding, rows: Sequence[OutputRow]) -> str:
    """The verdict of a family of outputs: all of them below the margin, or any of them beyond it."""
    margin = finding.margin
    bounded = [r for r in rows if not math.isnan(r.low + r.high)]
    if margin is None or not bounded:
        return _engine_why(finding)
    one, all_of_them = ("head", "reachable heads") if of_heads(rows) else ("output", "outputs")
    d = output_decimals(finding, bounded)
    limit = margin_text(margin, d)
    below = [r for r in bounded if r.high < margin]
    widest = max(bounded, key=lambda r: r.high)
    beyond = [r for r in bounded if r.low >= margin and r.p_adjusted < finding.alpha]
    every = f"the interval of every one of the {count(len(bounded))} {all_of_them} ends below the margin ({limit})"
    highest = f"{fixed(widest.high, d)} ({output_name(widest)})"
    if finding.verdict is Verdict.SUPPORTED:
        return f"Supported, because {every}; the highest end is {highest}."
    if finding.verdict is Verdict.REFUTED and beyond:
        top = max(beyond, key=lambda r: r.low)
        p = p_cell(top.p_adjusted, replicates=finding.replicates, alpha=finding.alpha)
        return (
            f"Refuted, because {output_name(top)} has an adjusted p of {p}, below {_alpha(finding)}, and an interval "
            f"that begins at {fixed(top.low, d)}, not below the margin ({limit})."
        )
    if len(below) == len(bounded):
        because = "the intervals are not trusted" if doubt(finding) else _engine_why(finding)
        return f"Undetermined, though {every}, which alone would make it supported: {because}"
    return (
        f"Undetermined, because {count(len(bounded) - len(below))} of {count(len(bounded))} {all_of_them} have an "
        f"interval that reaches the margin ({limit}), the highest up to {highest}; and no {one} has both an "
        f"adjusted p below {_alpha(finding)} and an interval wholly beyond the margin."
    )


def doubt(finding: Finding) -> str:
    """Why the interval is not trusted, and what follows from it; empty where it is."""
    text = finding.details.coverage_warning
    if not text:
        return ""
    return f"{text}; so the interval is not trusted, and an effect outside it does not count as excluded"


def enough(finding: Finding) -> str:
    """What would have been enough, from the engine's numbers; else what the printed margins say of it."""
    needs = finding.details.enough
    if needs is not None and needs.documents is not None:
        return (
            f"About {count(needs.documents)} documents would be enough to exclude effects of "
            f"{number(needs.margin, 2)} if there is none."
        )
    if needs is not None and needs.smallest_margin is not None:
        larger = f", {needs.larger} would" if needs.larger else ""
        return (
            f"More documents would not help{larger}: chance alone scatters the estimate by "
            f"{number(needs.null_sd, 2)}, and {number(needs.smallest_margin, 2)} is the smallest effect that "
            "this design could exclude."
        )
    if finding.verdict is Verdict.UNDETERMINED and finding.kind is Kind.ABSENCE and finding.margin is not None:
        n = finding_numbers(finding)
        if finding.smallest_supportable_margin is not None and finding.smallest_supportable_margin > finding.margin:
            return (
                f"This design could have shown absence only for margins of {n.supportable} or more; more "
                "documents are needed."
            )
    return ""


def deciding(result: Result, hypotheses: Iterable[str]) -> list[Finding]:
    """Primary rows of `hypotheses`, in the result's order."""
    wanted = set(hypotheses)
    return [f for f in result.findings if f.hypothesis in wanted and f.role is Role.PRIMARY]


def tally(findings: Iterable[Finding]) -> str:
    """``2 supported, 1 undetermined``."""
    verdicts = [f.verdict for f in findings if f.verdict is not None]
    return ", ".join(f"{verdicts.count(v)} {v}" for v in Verdict if v in verdicts)
