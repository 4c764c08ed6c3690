"""The sentence of a finding against its numbers: every combination of kind, side, p, interval, margin and doubt."""

from __future__ import annotations

import itertools

import pytest
from sample_results import sample_result

from neuronull.hypotheses.result import Details, Finding, HypothesisCard, Kind, OutputRow, Role, Verdict
from neuronull.reports import reasons

BASE = sample_result(replicates=19).findings[0]
MARGIN, ALPHA = 0.2, 0.05
PLUS, MINUS, NONE = "tall ones sing", "small ones sing", "nobody sings"
CARD = HypothesisCard(id="x.sings", title="Who sings", plus=PLUS, minus=MINUS, none=NONE)

INTERVALS = {
    "beyond, the other way": (-0.40, -0.25),
    "reaches beyond the other way": (-0.30, -0.10),
    "under 0, inside": (-0.15, -0.05),
    "around 0, inside": (-0.10, 0.12),
    "above 0, inside": (0.05, 0.15),
    "above 0, reaches the margin": (0.10, 0.30),
    "around 0, reaches the margin": (-0.10, 0.30),
    "around 0, reaches both": (-0.28, 0.32),
    "beyond": (0.25, 0.40),
}
DOUBTS = ("", "few documents")
CASES = list(itertools.product((Kind.ABSENCE, Kind.PRESENCE), (False, True), INTERVALS, (0.001, 0.4), DOUBTS))


def finding(kind, two_sided, interval, p, doubt) -> Finding:
    low, high = INTERVALS[interval]
    row = BASE.model_copy(
        update={
            "kind": kind, "role": Role.PRIMARY, "estimate": (low + high) / 2, "verdict_low": low, "verdict_high": high,
            "margin": MARGIN, "unit": "correlation", "two_sided": two_sided, "alpha": ALPHA, "p_value": p,
            "p_adjusted": p, "verdict": Verdict.SUPPORTED, "details": Details(coverage_warning=doubt),
        }
    )  # fmt: skip
    verdict = reasons.by_the_numbers(row)
    if doubt and reasons.by_margin(row):
        verdict = Verdict.UNDETERMINED  # what the engine makes of an interval that is not trusted
    return row.model_copy(update={"verdict": verdict})


@pytest.mark.parametrize(("kind", "two_sided", "interval", "p", "doubt"), CASES)
def test_no_sentence_says_what_its_numbers_do_not(kind, two_sided, interval, p, doubt):
    row = finding(kind, two_sided, interval, p, doubt)
    told, (low, high) = reasons.said(row, CARD).casefold(), INTERVALS[interval]
    side = row.estimate > 0
    significant = p < ALPHA and (two_sided or side)
    inside = high < MARGIN and (not two_sided or low > -MARGIN)
    says_plus, says_minus, says_none = (told.startswith(clause) for clause in (PLUS, MINUS, NONE))

    assert says_plus <= (significant and side), "that there is an effect, though nothing shows it"
    assert says_minus <= ((significant and two_sided and not side) or high <= -MARGIN), "the opposite, likewise"
    assert says_none <= (not significant and inside), "that there is none, though p is small or the interval wide"
    assert not (says_none and low > 0 and not doubt), "that there is none, though the interval lies above 0"
    assert not (says_none and high < 0 and not doubt), "that there is none, though the interval lies below 0"
    assert ("points the other way: " + MINUS in told) <= (high < 0), "that it points elsewhere, though it may not"
    assert ("is excluded" in told) <= (inside and not doubt), "that something is excluded which is not"
    if row.verdict is Verdict.UNDETERMINED:
        assert any(words in told for words in ("cannot", "perhaps")), "a verdict that was not reached"
    if inside and not doubt and not significant and high > -MARGIN:
        assert "effect of .2 (correlation) or more is excluded" in told
    if inside and not doubt and significant:
        assert f"only by {abs(row.estimate):.1g}".replace("0.", ".") in told
    assert told.count(".") - told.count(" .") - told.count("(.") <= 2
    assert told.endswith(".")


def test_log_ratios_are_said_as_percent():
    row = finding(Kind.ABSENCE, False, "above 0, inside", 0.001, "").model_copy(update={"unit": "log ratio"})
    assert reasons.said(row, CARD) == "Tall ones sing, but only by 11 %: an effect of 22 % or more is excluded."


def test_of_several_heads_the_one_that_decides_is_named():
    bounds = {"low": -0.03, "high": 0.05}
    heads = [
        OutputRow(
            name=f"0.{k}", layer=0, head=k, estimate=value, p_adjusted=0.4, verdict="",
            **{end: value + by for end, by in bounds.items()},
        )
        for k, value in enumerate((0.01, 0.04, 0.02))
    ]  # fmt: skip
    row = finding(Kind.ABSENCE, False, "above 0, inside", 0.4, "")
    row = row.model_copy(update={"unit": "log ratio", "details": Details(per_output=heads, deciding_output="0.1")})
    assert reasons.said(row, CARD) == (
        "Nobody sings by 22 % or more; the one that comes nearest, L0H1, does by 11 % (5.1 % to 16 %)."
    )
