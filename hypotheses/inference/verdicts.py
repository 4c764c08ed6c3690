"""How a verdict falls: interval, margin and adjusted p in, one of three words and its reason out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..numbers import plain_number
from ..result import Kind, Verdict


@dataclass(frozen=True)
class Presence:
    """The claim says that something is there; `margin` is the smallest effect worth the name, in `unit`."""

    margin: float
    unit: str
    means: str
    two_sided: bool = False

    def __post_init__(self) -> None:
        _check_margin(self.margin)


@dataclass(frozen=True)
class Absence:
    """The claim says that something is not there, up to `margin`, in `unit`."""

    margin: float
    unit: str
    means: str
    two_sided: bool = False

    def __post_init__(self) -> None:
        _check_margin(self.margin)


@dataclass(frozen=True)
class Sensitivity:
    """A row that is shown beside a claim and decides nothing; `kind` is that of the claim it stands beside."""

    kind: Kind
    unit: str
    two_sided: bool = False


Criterion: TypeAlias = Presence | Absence | Sensitivity


@dataclass(frozen=True)
class Evidence:
    """What a verdict is made of: estimate, verdict interval [low, high], adjusted superiority p, doubt about coverage.

    ``familywise``: the same bounds at the level that each of several tests must meet so that all of them
    hold together; None for a single test.  A claim falls with any of its rows, and a row with any of its heads, so
    whatever refutes must be familywise; what supports a claim must hold in every row and every head anyway.
    ``rival``: what else the effect could be, which the data do not rule out.  ``found_share``: share of the effect on
    the set that is meant which the set that was found holds; what is excluded of the latter by a margin is excluded of
    the former by the margin over this share.
    """

    estimate: float
    low: float
    high: float
    p_adjusted: float
    coverage_warning: str = ""
    familywise: tuple[float, float] | None = None
    rival: str = ""
    found_share: float = 1.0


@dataclass(frozen=True)
class Decision:
    """A verdict and the reason in words."""

    verdict: Verdict
    why: str


def decide(criterion: Presence | Absence, evidence: Evidence, alpha: float) -> Decision:
    """Verdict on one row; the first rule that matches wins.

    Presence: *refuted* if the familywise interval lies below the margin (two-sided: within +-margin); *supported* if
    adjusted p < alpha, the estimate reaches the margin, and no rival explanation stands.  Absence: *supported* if the
    interval lies below the margin; *refuted* if adjusted p < alpha, the familywise interval lies at or beyond the
    margin, and no rival stands.  Else *undetermined*: a plain non-rejection never supports anything.

    Where the interval's coverage is in doubt, what rests on it (equivalence) is not granted.
    """
    share = evidence.found_share
    inside = _inside(criterion, evidence.low / share, evidence.high / share)
    familywise = evidence.familywise or (evidence.low, evidence.high)
    significant = evidence.p_adjusted < alpha
    side, margin = "within +-" if criterion.two_sided else "below ", plain_number(criterion.margin)
    within = f"the {_level(alpha)} interval lies {side}{margin}"
    if share < 1:
        within += f", also over the {plain_number(share, 2)} of the effect that a set found in part holds"
    if isinstance(criterion, Presence):
        if _inside(criterion, familywise[0] / share, familywise[1] / share) and not evidence.coverage_warning:
            return Decision(Verdict.REFUTED, f"{within}: an effect of the stated size is excluded")
        if significant and not evidence.rival and _beyond(criterion, evidence.estimate, evidence.estimate):
            return Decision(Verdict.SUPPORTED, _there(criterion, evidence, alpha))
    else:
        if inside and not evidence.coverage_warning:
            return Decision(Verdict.SUPPORTED, f"{within}: an effect of the stated size is excluded")
        if significant and not evidence.rival and _beyond(criterion, *familywise):
            return Decision(
                Verdict.REFUTED,
                f"adjusted p is below {plain_number(alpha)} and the whole {_level(alpha)} interval is beyond {margin}",
            )
    return Decision(Verdict.UNDETERMINED, _undecided(criterion, evidence, inside, significant, alpha))


def _there(criterion: Presence, evidence: Evidence, alpha: float) -> str:
    """Why a presence is supported; whether more is shown than that there is an effect is said too."""
    margin = plain_number(criterion.margin)
    said = f"there is an effect (adjusted p below {plain_number(alpha)}); best estimate at or above the margin {margin}"
    if _beyond(criterion, evidence.low, evidence.high):
        said += f", which the {_level(alpha)} interval shows it to exceed"
    return said


def _inside(criterion: Presence | Absence, low: float, high: float) -> bool:
    return high < criterion.margin and (not criterion.two_sided or low > -criterion.margin)


def _beyond(criterion: Presence | Absence, low: float, high: float) -> bool:
    return low >= criterion.margin or (criterion.two_sided and high <= -criterion.margin)


def _undecided(criterion: Presence | Absence, evidence: Evidence, inside: bool, significant: bool, alpha: float) -> str:
    margin = plain_number(criterion.margin)
    if inside:
        but = evidence.coverage_warning or "not once all the tests that could refute the claim are allowed for"
        return f"the interval lies inside the margin, but {but}"
    if significant and isinstance(criterion, Absence) and _beyond(criterion, evidence.low, evidence.high):
        return (
            f"the interval lies beyond {margin}, but not once all the tests that could refute the claim are allowed for"
        )
    if significant and evidence.rival:
        return f"there is an effect (adjusted p below {plain_number(alpha)}), but {evidence.rival}"
    if significant:
        best = "; its best estimate is" if isinstance(criterion, Presence) else ", perhaps one"
        return f"there is an effect (adjusted p below {plain_number(alpha)}){best} smaller than {margin}"
    return f"the interval holds both no effect and effects of {margin} or more"


def combine(verdicts: list[Verdict]) -> Verdict:
    """Verdict of a claim: supported only if every row asked for is, refuted if any is, else undetermined."""
    if any(v is Verdict.REFUTED for v in verdicts):
        return Verdict.REFUTED
    if verdicts and all(v is Verdict.SUPPORTED for v in verdicts):
        return Verdict.SUPPORTED
    return Verdict.UNDETERMINED


def _level(alpha: float) -> str:
    return f"{100 * (1 - 2 * alpha):g} %"


def _check_margin(margin: float) -> None:
    if not margin > 0:
        raise ValueError(f"a margin must be positive, got {margin}; declare the smallest effect worth the name")
