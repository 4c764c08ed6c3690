"""What was found in one plain sentence, and why the verdict fell so: which number against which (METHODS 5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..hypotheses.result import Finding, Kind, Result, Role, Verdict
from . import words
from .numbers import FindingNumbers, apart, count, decimals_for, finding_numbers, fixed, margin_text, number, p_cell


def by_the_numbers(finding: Finding) -> Verdict | None:
    """Verdict that the row's numbers give by the rule; None where the numbers for it are missing.

    The engine's verdict stands in `finding.verdict`; it may differ where a further rule (coverage, a refusal) decided.
    """
    low, margin, p = finding.verdict_low, finding.margin, finding.p_adjusted
    if finding.verdict_high is None or low is None or margin is None:
        return None
    inside = by_margin(finding)
    shown = p is not None and p < finding.alpha
    if finding.kind is Kind.ABSENCE:
        return Verdict.SUPPORTED if inside else Verdict.REFUTED if shown and low >= margin else Verdict.UNDETERMINED
    return Verdict.REFUTED if inside else Verdict.SUPPORTED if shown else Verdict.UNDETERMINED


def by_margin(finding: Finding) -> bool:
    """Whether the whole verdict interval lies inside the margin."""
    high, low, margin = finding.verdict_high, finding.verdict_low, finding.margin
    if high is None or low is None or margin is None:
        return False
    return high < margin and (not finding.two_sided or low > -margin)


def said(finding: Finding) -> str:
    """One plain sentence on what was found, the same in the terminal and in every report.

    The suite's own hypotheses have theirs in `words`; any other speaks for itself.
    """
    known = words.HYPOTHESES.get(finding.hypothesis)
    if known is None or finding.role is not Role.PRIMARY or finding.verdict is None:
        return finding.sentence
    if finding.verdict is Verdict.NOT_RUN:
        return "Not measured in this run."
    if finding.verdict is Verdict.UNDETERMINED:
        if by_margin(finding):
            return f"{known.none[0].upper()}{known.none[1:]} as far as can be seen, but this run cannot be sure."
        if finding.p_adjusted is not None and finding.p_adjusted < finding.alpha and not finding.two_sided:
            return f"{known.plus[0].upper()}{known.plus[1:]}, but perhaps by less than would matter."
        return f"This run cannot tell {known.whether}."
    there = (finding.verdict is Verdict.SUPPORTED) is (finding.kind is not Kind.ABSENCE)
    other_way = finding.two_sided and finding.estimate is not None and finding.estimate < 0
    if there:
        clause = known.minus if other_way else known.plus
    elif _opposite(finding):
        clause = known.minus
    else:
        clause = f"{known.none}; any difference is too small to matter" if _bounded_below(finding) else known.none
    return clause[0].upper() + clause[1:] + "."


def _opposite(finding: Finding) -> bool:
    """Whether the whole verdict interval lies beyond the margin on the side that the claim does not speak of."""
    return finding.verdict_high is not None and finding.margin is not None and finding.verdict_high <= -finding.margin


def _bounded_below(finding: Finding) -> bool:
    """Whether the verdict interval excludes an effect as large as the margin the other way round as well."""
    return finding.verdict_low is not None and finding.margin is not None and finding.verdict_low > -finding.margin


def why(finding: Finding) -> str:
    """One or two sentences: the number that decided against the number it was held to."""
    if finding.verdict is None:
        return ""
    if finding.verdict is Verdict.NOT_RUN:
        return finding.notes or "It was not run."
    heads = per_head(finding)
    if len(heads) > 1 and finding.kind is Kind.ABSENCE:
        return _why_heads(finding, heads)
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
    text = finding.details.get("why")
    return text if isinstance(text, str) else finding.notes


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
    rare = f"{_p(f, n)} is below {_alpha(f)}: the null model seldom gives as much"
    return f"Supported, because {rare}. {size}"


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


def per_head(finding: Finding) -> list[dict[str, Any]]:
    """Rows of ``details["per_head"]`` that hold a layer, a head and an estimate."""
    rows = finding.details.get("per_head")
    if not isinstance(rows, list):
        return []
    return [r for r in rows if isinstance(r, dict) and all(_is_number(r.get(k)) for k in ("layer", "head", "estimate"))]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def head_name(row: dict[str, Any]) -> str:
    """``head 2.4`` for layer 2, head 4; a pooled row has head -1, and layer -1 where it is over all layers."""
    layer, head = int(row["layer"]), int(row["head"])
    if head >= 0:
        return f"head {layer}.{head}"
    return f"the pooled minor heads of layer {layer}" if layer >= 0 else "the minor heads, pooled"


def head_decimals(finding: Finding, rows: Iterable[dict[str, Any]]) -> int:
    """Decimals for a table of heads: the row's own, more where an end would print like the margin."""
    spans = [(r["high"] - r["low"]) / 2 for r in rows if _is_number(r.get("low")) and _is_number(r.get("high"))]
    ends = [r.get(k) for r in rows for k in ("low", "high") if _is_number(r.get(k))]
    return apart(decimals_for(*sorted(spans)[len(spans) // 2 :][:1]), [(e, finding.margin) for e in ends])


def _why_heads(finding: Finding, rows: list[dict[str, Any]]) -> str:
    """The verdict of a family of heads: all of them below the margin, or any of them beyond it."""
    margin = finding.margin
    bounded = [r for r in rows if _is_number(r.get("low")) and _is_number(r.get("high"))]
    if margin is None or not bounded:
        return _engine_why(finding)
    d = head_decimals(finding, bounded)
    limit = margin_text(margin, d)
    below = [r for r in bounded if r["high"] < margin]
    widest = max(bounded, key=lambda r: float(r["high"]))
    beyond = [
        r for r in bounded if r["low"] >= margin and _is_number(r.get("p_adjusted")) and r["p_adjusted"] < finding.alpha
    ]
    if finding.verdict is Verdict.SUPPORTED:
        return (
            f"Supported, because the interval of every one of the {count(len(bounded))} reachable heads ends below "
            "the margin "
            f"({limit}); the highest end is {fixed(widest['high'], d)} ({head_name(widest)})."
        )
    if finding.verdict is Verdict.REFUTED and beyond:
        top = max(beyond, key=lambda r: float(r["low"]))
        p = p_cell(top["p_adjusted"], replicates=finding.replicates, alpha=finding.alpha)
        return (
            f"Refuted, because {head_name(top)} has an adjusted p of {p}, below {_alpha(finding)}, and an interval "
            "that begins at "
            f"{fixed(top['low'], d)}, not below the margin ({limit})."
        )
    if len(below) == len(bounded):
        because = "the intervals are not trusted" if doubt(finding) else _engine_why(finding)
        return (
            f"Undetermined, though the interval of every one of the {count(len(bounded))} reachable heads ends below "
            f"the margin ({limit}), which alone would make it supported: {because}"
        )
    return (
        f"Undetermined, because {count(len(bounded) - len(below))} of {count(len(bounded))} reachable heads have an "
        "interval that "
        f"reaches the margin ({limit}), the highest up to {fixed(widest['high'], d)} ({head_name(widest)}); and no "
        "head has both an "
        f"adjusted p below {_alpha(finding)} and an interval wholly beyond the margin."
    )


def doubt(finding: Finding) -> str:
    """Why the interval is not trusted, and what follows from it; empty where it is."""
    text = finding.details.get("doubt")
    if not (isinstance(text, str) and text):
        return ""
    return f"{text}; so the interval is not trusted, and an effect outside it does not count as excluded"


def calibration(finding: Finding) -> str:
    """How often the test is wrong on made-up data without the effect; empty where that was not measured."""
    text = finding.details.get("calibration")
    return text if isinstance(text, str) else ""


def enough(finding: Finding) -> str:
    """What would have been enough, from the engine's numbers; else what the printed margins say of it."""
    needs = finding.details.get("what_would_be_enough")
    if isinstance(needs, dict) and _is_number(needs.get("documents")):
        return (
            f"About {count(needs['documents'])} documents would be enough to exclude effects of "
            f"{number(needs.get('margin'), 2)} if there is none."
        )
    if isinstance(needs, dict) and _is_number(needs.get("smallest_margin")):
        return (
            f"More documents would not help, {_larger(finding)} would: chance alone scatters the estimate by "
            f"{number(needs.get('null_sd'), 2)}, and {number(needs['smallest_margin'], 2)} is the smallest effect that "
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


def _larger(finding: Finding) -> str:
    """What there is too little of where chance in the choice of sets, not of documents, is the limit."""
    of_heads = "head_sets" in (finding.null_model or "").split("+")
    return "a model with more attention heads" if of_heads else "a larger set of neurons (a wider plateau or model)"


def deciding(result: Result, hypotheses: Iterable[str]) -> list[Finding]:
    """Primary rows of `hypotheses`, in the result's order."""
    wanted = set(hypotheses)
    return [f for f in result.findings if f.hypothesis in wanted and f.role is Role.PRIMARY]


def tally(findings: Iterable[Finding]) -> str:
    """``2 supported, 1 undetermined``."""
    verdicts = [f.verdict for f in findings if f.verdict is not None]
    return ", ".join(f"{verdicts.count(v)} {v}" for v in Verdict if v in verdicts)
