"""The one formatter: every number, p-value and interval of the terminal, HTML, Markdown and LaTeX comes from here.

House style: no leading zero (``.004``), a sign on estimates (``+.12``), as many decimals as give the interval's
half-width two significant digits, thousands commas in counts.  Strings are ASCII; `typeset` puts in the true minus.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..hypotheses.result import Finding

ABSENT = "-"
"""Stands for a number that was not computed."""

_MAX_DECIMALS = 7


def usable(value: float | None) -> bool:
    """Whether there is a number to print (infinite counts, None and NaN do not)."""
    return value is not None and not math.isnan(value)


def fixed(value: float | None, decimals: int, *, sign: bool = False) -> str:
    """Print `value` with `decimals` places, without leading zero and never as minus zero.

    Examples
    --------
    >>> fixed(0.0041, 3, sign=True)
    '+.004'
    >>> fixed(-0.0001, 2)
    '.00'
    """
    if value is None or math.isnan(value):
        return ABSENT
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{abs(value):,.{max(decimals, 0)}f}"
    zero = not text.strip("0.,")
    if text.startswith("0."):
        text = text[1:]
    prefix = "" if zero else "-" if value < 0 else "+" if sign else ""
    return prefix + text


def decimals_for(*spreads: float | None, significant: int = 2) -> int:
    """Decimals that give the smallest positive of `spreads` that many significant digits."""
    sizes = [abs(s) for s in spreads if s is not None and math.isfinite(s) and s != 0]
    if not sizes:
        return significant
    return min(_MAX_DECIMALS, max(0, significant - 1 - math.floor(math.log10(min(sizes)) + 1e-9)))


def number(value: float | None, significant: int = 3, *, sign: bool = False) -> str:
    """Print a number that stands alone, to `significant` digits.

    Examples
    --------
    >>> number(0.22314), number(1536.0), number(3.1e-7)
    ('.223', '1,536', '3.1e-7')
    """
    if value is None or not math.isfinite(value):
        return fixed(value, 0)
    if value == 0:
        return "0"
    if abs(value) < 1e-4 or abs(value) >= 1e9:
        return scientific(value, significant)
    if float(value).is_integer() and abs(value) >= 10:
        return fixed(value, 0, sign=sign)
    return _strip(fixed(value, decimals_for(value, significant=significant), sign=sign))


def scientific(value: float | None, significant: int = 2) -> str:
    """Print a very small or large number as ``3e-7``."""
    if value is None or not math.isfinite(value):
        return fixed(value, 0)
    mantissa, exponent = f"{value:.{max(significant - 1, 0)}e}".split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return mantissa if int(exponent) == 0 else f"{mantissa}e{int(exponent)}"


def count(value: float | None) -> str:
    """Print a whole number with thousands commas."""
    return ABSENT if value is None else f"{int(value):,}"


def percent(value: float | None) -> str:
    """Print a share as ``95 %``."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{_strip(fixed(100 * value, 1 if abs(value) > 0.001 else 3))} %"


def p_digits(p: float | None, *, replicates: int | None = None, alpha: float | None = None) -> str:
    """Print a p-value without its name: ``= .003``, ``= .31``, ``< .001``.

    A Monte-Carlo p from B replicates is never below 1/(1+B), so ``< .001`` is printed only for B of 1,000 or more.
    Rounding never carries p across `alpha`.
    """
    if p is None or math.isnan(p):
        return ABSENT
    if replicates:
        p = max(p, min(1.0, 1 / (1 + replicates)))
    if p >= 1:
        return "= 1"
    if p > 0.995:
        return "> .99"
    if p < 0.001 - 1e-12:
        return "< .001"
    decimals = 3 if p < 0.1 else 2
    if alpha is not None and 0 < alpha < 1 and p != alpha:
        while decimals < _MAX_DECIMALS and math.isclose(round(p, decimals), alpha, abs_tol=1e-12):
            decimals += 1
    text = fixed(p, decimals)
    return f"= {text if p >= 0.1 else _strip(text)}"


def p_value(p: float | None, *, replicates: int | None = None, alpha: float | None = None, name: str = "p") -> str:
    """Print a p-value with its name, e.g. ``p = .003``; `ABSENT` where there is none."""
    digits = p_digits(p, replicates=replicates, alpha=alpha)
    return ABSENT if digits == ABSENT else f"{name} {digits}"


def p_cell(p: float | None, *, replicates: int | None = None, alpha: float | None = None) -> str:
    """Print a p-value for a table cell whose heading already says p: ``.003`` or ``< .001``."""
    return p_digits(p, replicates=replicates, alpha=alpha).removeprefix("= ")


def interval(low: float | None, high: float | None, decimals: int) -> str:
    """Print an interval as ``[-.010, .018]``."""
    if not usable(low) and not usable(high):
        return ABSENT
    return f"[{fixed(low, decimals)}, {fixed(high, decimals)}]"


def typeset(text: str) -> str:
    """Put in the true minus sign, which screen readers say where they skip a hyphen; a lone - becomes a dash."""
    if text == ABSENT:
        return "\u2013"
    return re.sub(r"(?<![\w.)\]-])-(?=\.?\d|inf\b)", "\u2212", text).replace("\u2212inf", "\u2212∞")


def printable(text: str) -> str:
    """Text without control characters: they steer terminals, and XML has no way to write them."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", text)


def apart(decimals: int, pairs: Iterable[tuple[float | None, float | None]]) -> int:
    """Decimals at which no unequal pair prints alike, so that ``.0499 < .05`` is not shown as ``.05 < .05``."""
    chosen = decimals
    for a, b in pairs:
        if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)) or math.isclose(a, b, rel_tol=1e-9):
            continue
        while chosen < _MAX_DECIMALS and fixed(a, chosen) == fixed(b, chosen):
            chosen += 1
    return chosen


def _strip(text: str) -> str:
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


@dataclass(frozen=True)
class FindingNumbers:
    """Every number of a `Finding` as it is printed, everywhere."""

    decimals: int
    estimate: str
    unit: str
    verdict_interval: str
    verdict_low: str
    verdict_high: str
    verdict_level: str
    interval: str
    interval_level: str
    margin: str
    p: str
    p_cell: str
    p_interval: str
    p_adjusted: str
    q: str
    p_equivalence: str
    null_mean: str
    null_sd: str
    effect_size: str
    detectable: str
    supportable: str
    replicates: str


def row_decimals(finding: Finding) -> int:
    """Decimals shared by the estimate, the intervals and the ends that the verdict compares with the margin."""
    halves = [
        (high - low) / 2
        for low, high in ((finding.verdict_low, finding.verdict_high), (finding.ci_low, finding.ci_high))
        if low is not None and high is not None and math.isfinite(high - low)
    ]
    spread = halves[0] if halves else finding.null_sd or finding.estimate
    ends = (finding.verdict_low, finding.verdict_high)
    margins = () if finding.margin is None else (finding.margin, -finding.margin)
    return apart(decimals_for(spread), [(end, m) for end in ends for m in margins])


def margin_text(margin: float | None, decimals: int) -> str:
    """Print a margin at the row's decimals but at least two significant digits, without trailing zeros."""
    if margin is None:
        return ABSENT
    return _strip(fixed(margin, max(decimals, decimals_for(margin))))


RATIO = "log ratio"
"""Unit of which an amount is said as a share: .223 is 25 % more."""


def amount(finding: Finding, value: float | None) -> str:
    """Print an effect as a sentence has it: a log ratio as percent, anything else with its row's decimals."""
    if value is None or not math.isfinite(value):
        return ABSENT
    if finding.unit == RATIO:
        share = 100 * math.expm1(value)
        return f"{number(share, 2) if abs(share) < 100 else fixed(share, 0)} %"
    return margin_text(value, row_decimals(finding))


def finding_numbers(finding: Finding, decimals: int | None = None) -> FindingNumbers:
    """Format one row, with its own number of decimals or that of a row beside it."""
    d = row_decimals(finding) if decimals is None else decimals
    b, alpha = finding.replicates, finding.alpha
    return FindingNumbers(
        decimals=d,
        estimate=fixed(finding.estimate, d, sign=True),
        unit=finding.unit,
        verdict_interval=interval(finding.verdict_low, finding.verdict_high, d),
        verdict_low=fixed(finding.verdict_low, d),
        verdict_high=fixed(finding.verdict_high, d),
        verdict_level=percent(1 - 2 * alpha),
        interval=interval(finding.ci_low, finding.ci_high, d),
        interval_level=percent(finding.ci_level if finding.ci_level is not None else 0.95),
        margin=margin_text(finding.margin, d),
        p=p_value(finding.p_value, replicates=b, alpha=alpha),
        p_cell=p_cell(finding.p_value, replicates=b, alpha=alpha),
        p_interval=interval(finding.p_low, finding.p_high, 4 if (finding.p_value or 0) < 0.01 else 3),
        p_adjusted=p_cell(finding.p_adjusted, replicates=b, alpha=alpha),
        q=p_cell(finding.q_value, replicates=b, alpha=alpha),
        # from a t interval, not from counting draws: B sets no floor
        p_equivalence=p_cell(finding.p_equivalence, alpha=alpha),
        null_mean=fixed(finding.null_mean, d, sign=True),
        null_sd=fixed(finding.null_sd, max(d, decimals_for(finding.null_sd))),
        effect_size=number(finding.effect_size, sign=True),
        detectable=margin_text(finding.minimal_detectable_effect, d),
        supportable=margin_text(finding.smallest_supportable_margin, d),
        replicates=count(finding.replicates),
    )
