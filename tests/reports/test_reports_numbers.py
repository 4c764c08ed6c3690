"""The one formatter: every string that a reader compares."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_results import sample_result

from neuronull.reports import numbers as n

WITHIN = sample_result(replicates=19).finding("clusters.within")


@pytest.mark.parametrize(
    ("value", "decimals", "sign", "text"),
    [
        (0.0041, 3, True, "+.004"),
        (-0.0041, 3, True, "-.004"),
        (-0.0001, 2, True, ".00"),
        (1.5, 1, False, "1.5"),
        (-1.5, 1, False, "-1.5"),
        (38412.0, 0, False, "38,412"),
        (float("inf"), 2, False, "inf"),
        (float("nan"), 2, False, n.ABSENT),
        (None, 2, False, n.ABSENT),
    ],
)
def test_fixed(value, decimals, sign, text):
    assert n.fixed(value, decimals, sign=sign) == text


@pytest.mark.parametrize(
    ("p", "replicates", "alpha", "text"),
    [
        (0.003, 999, 0.05, "p = .003"),
        (0.31, 999, 0.05, "p = .31"),
        (0.08, 999, 0.05, "p = .08"),
        (0.1, 999, 0.05, "p = .10"),
        (0.001, 999, 0.05, "p = .001"),
        (0.0001, 9999, 0.05, "p < .001"),
        (0.0001, 199, 0.05, "p = .005"),  # what 199 draws cannot reach is not claimed
        (0.005, 199, 0.05, "p = .005"),
        (0.0496, 9999, 0.05, "p = .0496"),
        (0.0504, 9999, 0.05, "p = .0504"),
        (0.05, 999, 0.05, "p = .05"),
        (0.997, 999, 0.05, "p > .99"),
        (1.0, 999, 0.05, "p = 1"),
        (None, 999, 0.05, n.ABSENT),
    ],
)
def test_p_value(p, replicates, alpha, text):
    assert n.p_value(p, replicates=replicates, alpha=alpha) == text


@settings(deadline=None)  # the machine may be busy
@given(st.floats(0.0001, 1), st.sampled_from([0.01, 0.05, 0.1]))
def test_rounding_never_carries_p_across_alpha(p, alpha):
    text = n.p_cell(p, alpha=alpha)
    if text[0] not in "<>":
        printed = float(text)
        assert (printed < alpha) == (p < alpha) or math.isclose(p, alpha, abs_tol=1e-7)


@settings(deadline=None)
@given(st.floats(-2, 2), st.floats(0.001, 1), st.floats(0.01, 1))
def test_an_end_never_prints_like_the_margin_unless_it_is(low, width, margin):
    row = WITHIN.model_copy(update={"verdict_low": low, "verdict_high": low + width, "margin": margin})
    printed = n.finding_numbers(row)
    if abs(low + width - margin) > 1e-6:
        assert float(printed.verdict_high.replace(",", "")) != float(printed.margin)


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (0.95, "95 %"), (0.017, "1.7 %"), (0.00051, ".051 %"), (1, "100 %")]
)
def test_percent(share, text):
    assert n.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.22314, ".223"), (1536.0, "1,536"), (3.1e-7, "3.1e-7"), (0, "0"), (19.4, "19.4"), (2.0, "2")]
)
def test_number(value, text):
    assert n.number(value) == text


def test_the_example_of_the_house():
    """As in EXAMPLE.md: +.004 [-.010, .018], margin .05, and +.12 [-.05, .29], margin .22."""
    row = WITHIN
    within = row.model_copy(update={"estimate": 0.004, "verdict_low": -0.0101, "verdict_high": 0.0183})
    assert n.finding_numbers(within).estimate == "+.004"
    assert n.finding_numbers(within).verdict_interval == "[-.010, .018]"
    assert n.finding_numbers(within).margin == ".05"
    update = {"estimate": 0.12, "verdict_low": -0.05, "verdict_high": 0.29, "margin": math.log(1.25)}
    heads = n.finding_numbers(row.model_copy(update=update))
    assert (heads.estimate, heads.verdict_interval, heads.margin) == ("+.12", "[-.05, .29]", ".22")


def test_a_margin_finer_than_the_interval_is_not_rounded_away():
    wide = WITHIN.model_copy(update={"verdict_low": -40.0, "verdict_high": 40.0})
    assert n.finding_numbers(wide).margin == ".05"


@pytest.mark.parametrize(
    ("text", "typeset"),
    [
        ("[-.010, .018]", "[\u2212.010, .018]"),
        ("-", "\u2013"),
        ("docs-gpt2 3-4 gpt-2", "docs-gpt2 3-4 gpt-2"),
        ("a2b-3", "a2b-3"),
        ("from -1.5 to -inf", "from \u22121.5 to \u2212∞"),
    ],
)
def test_typeset(text, typeset):
    assert n.typeset(text) == typeset
