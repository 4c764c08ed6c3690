"""Every corner of interval x margin x p: which word a row gets, and which rule wins."""

from __future__ import annotations

from itertools import product

import pytest

from neuronull.hypotheses.inference.verdicts import Absence, Evidence, Presence, combine, decide
from neuronull.hypotheses.result import Verdict

S, R, U, N = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.UNDETERMINED, Verdict.NOT_RUN
ALPHA, MARGIN = 0.05, 1.0
ENDS = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0)
P = (0.001, 0.05, 0.2)
INTERVALS = [(low, high) for low, high in product(ENDS, ENDS) if low <= high]
CORNERS = [(low, high, p, doubt) for (low, high), p, doubt in product(INTERVALS, P, ("", "too few documents"))]


def expected(kind: str, two_sided: bool, low: float, high: float, p: float, doubt: str) -> Verdict:
    """docs/methods.md#verdicts, written once more from its words."""
    within = high < MARGIN and (low > -MARGIN if two_sided else True)
    if kind == "presence":
        if within:
            return U if doubt else R
        middle = (low + high) / 2
        reached = middle >= MARGIN or (two_sided and middle <= -MARGIN)
        return S if p < ALPHA and reached else U
    if within:
        return U if doubt else S
    beyond = low >= MARGIN or (two_sided and high <= -MARGIN)
    return R if p < ALPHA and beyond else U


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("kind", [Presence, Absence])
def test_every_corner(kind, two_sided):
    criterion = kind(margin=MARGIN, unit="sd", means="", two_sided=two_sided)
    for low, high, p, doubt in CORNERS:
        verdict = decide(criterion, Evidence((low + high) / 2, low, high, p, doubt), ALPHA).verdict
        assert verdict is expected(kind.__name__.lower(), two_sided, low, high, p, doubt), (low, high, p, doubt)


@pytest.mark.parametrize(
    ("kind", "two_sided", "low", "high", "p", "verdict"),
    [
        (Presence, False, 0.2, 0.9, 0.001, R),  # significant but small: refuted comes first
        (Presence, False, 0.2, 1.0, 0.001, U),  # an effect, and its best estimate is below the margin
        (Presence, False, 0.2, 1.8, 0.001, S),  # an effect, and its best estimate reaches the margin
        (Presence, False, -9.0, -5.0, 0.001, R),
        (Presence, True, -9.0, -5.0, 0.001, S),  # two-sided: the other side counts as there
        (Presence, True, -0.9, 0.9, 0.001, R),
        (Presence, False, 0.2, 3.0, 0.05, U),  # p at alpha does not reject
        (Absence, False, 0.2, 0.9, 0.001, S),  # significant but small: absent up to the margin
        (Absence, False, 1.0, 3.0, 0.001, R),
        (Absence, False, 0.99, 3.0, 0.001, U),  # there, but not shown to be beyond the margin
        (Absence, False, 1.5, 3.0, 0.05, U),
        (Absence, False, -1.0, 1.0, 0.9, U),  # not significant: supports nothing
    ],
)
def test_named_corners(kind, two_sided, low, high, p, verdict):
    criterion = kind(margin=MARGIN, unit="sd", means="", two_sided=two_sided)
    assert decide(criterion, Evidence((low + high) / 2, low, high, p), ALPHA).verdict is verdict


@pytest.mark.parametrize("kind", [Presence, Absence])
def test_what_refutes_must_be_firm_and_what_supports_need_not(kind):
    """A plain interval and a wider familywise one: support is decided by the plain, refutation by the familywise."""
    criterion, name = kind(margin=MARGIN, unit="sd", means=""), kind.__name__.lower()
    for (low, high), (firm_low, firm_high), p in product(INTERVALS, INTERVALS, P):
        if not (firm_low <= low and high <= firm_high):
            continue
        found = decide(criterion, Evidence((low + high) / 2, low, high, p, familywise=(firm_low, firm_high)), ALPHA)
        plain, familywise = (expected(name, False, *ends, p, "") for ends in ((low, high), (firm_low, firm_high)))
        if plain is R:
            assert found.verdict is (R if familywise is R else U)
            assert familywise is R or "all the tests that could refute" in found.why
        else:
            assert found.verdict is plain


@pytest.mark.parametrize("kind", [Presence, Absence])
def test_non_rejection_alone_never_decides(kind):
    criterion = kind(margin=MARGIN, unit="sd", means="")
    for low, high in INTERVALS:
        if low < MARGIN <= high:
            assert decide(criterion, Evidence((low + high) / 2, low, high, 1.0), ALPHA).verdict is U


def test_doubt_takes_equivalence_and_nothing_else():
    for kind, two_sided in product((Presence, Absence), (False, True)):
        criterion = kind(margin=MARGIN, unit="sd", means="", two_sided=two_sided)
        for low, high, p, _ in CORNERS:
            sure, doubted = (
                decide(criterion, Evidence((low + high) / 2, low, high, p, d), ALPHA) for d in ("", "few documents")
            )
            if sure.verdict is not doubted.verdict:
                assert doubted.verdict is U
                assert "few documents" in doubted.why


def test_reasons_name_margin_and_level():
    criterion = Absence(margin=0.05, unit="r", means="")
    assert "90 %" in decide(criterion, Evidence(-0.03, -0.1, 0.04, 0.5), ALPHA).why
    assert "effects of .05 or more" in decide(criterion, Evidence(0.05, -0.1, 0.2, 0.5), ALPHA).why
    assert "smaller than" in decide(criterion, Evidence(0.1, 0.01, 0.2, 0.001), ALPHA).why
    assert "within +-" in decide(Presence(1, "", "", True), Evidence(0.0, -0.1, 0.1, 0.5), ALPHA).why


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan")])
@pytest.mark.parametrize("kind", [Presence, Absence])
def test_margins_are_positive(kind, margin):
    with pytest.raises(ValueError, match="positive"):
        kind(margin=margin, unit="sd", means="")


@pytest.mark.parametrize(
    ("rows", "claim"),
    [([S, S], S), ([S, R], R), ([R, U], R), ([S, U], U), ([S, N], U), ([R, N], R), ([N], U), ([], U), ([S], S)],
)
def test_claims(rows, claim):
    assert combine(rows) is claim
