"""Many estimates under one another: all findings of a run in margins, or one finding over several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...hypotheses.result import Finding, Kind, Result, Role, Verdict
from ..glossary import VERDICT_MARKS
from ..numbers import finding_numbers, number, typeset
from .canvas import (
    BAND,
    BLUE,
    INK,
    LINE,
    MUTED,
    SMALL,
    VERMILLION,
    WIDTH,
    Drawing,
    Values,
    bare,
    in_house_style,
    new_figure,
    place,
    plain_ticks,
    short,
)
from .estimation import draw_intervals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _SIDE = 31.0, 12.0
_COLOURS = {Verdict.SUPPORTED: BLUE, Verdict.REFUTED: VERMILLION}
"""Of an interval by its verdict; any other is grey. The verdict stands beside it in words."""
_HEADING = 0.75
"""Height of a group's heading in the overview, in rows."""
_FAR = 4.0
"""In margins; what lies beyond is cut with an arrow."""
_WIDEST = 12.0
"""Times the narrowest row, or the margin; what is wider is cut with an arrow."""


@in_house_style
def overview(result: Result) -> Drawing | None:
    """Draw every deciding finding in multiples of its own margin, so that one shaded band serves all."""
    shown = [
        f
        for f in result.findings
        if f.role is Role.PRIMARY
        and f.estimate is not None
        and f.verdict_low is not None
        and f.verdict_high is not None
        and f.margin
    ]
    if not shown:
        return None
    groups = _groups(shown, result)
    rows = len(shown) + _HEADING * len(groups)
    figure = new_figure(_ROW * rows + 56)
    axes = place(figure, _SIDE, 42, WIDTH - 2 * _SIDE, _ROW * rows + 4)
    low = max(-_FAR, min([-1.3, *(f.verdict_low / f.margin for f in shown if f.verdict_low is not None and f.margin)]))
    axes.set_xlim(low - 0.3, _FAR + 0.3)
    axes.set_ylim(rows - 0.35, -0.75)
    y = 0.0
    for heading, members in groups.items():
        _label(axes, y, short(heading, 61), shift=(0, 0), fontweight="bold", color=MUTED)
        y += _HEADING
        for f in members:
            _band(axes, y, 1.0, f.two_sided)
            _overview_row(axes, f, y, result.hypothesis(f.hypothesis).title)
            y += 1
    bare(axes)
    axes.set_xlabel("estimate, in multiples of the finding's margin")
    plain_ticks(axes)
    caption = (
        "Every deciding finding with its verdict interval, each in multiples of its own margin (1 = the smallest "
        "effect that would matter); blue: supported, orange: refuted. Shaded: smaller than the margin. Arrow: goes on "
        "beyond the axis, to the number beside the verdict. Presence: the claim says that something is "
        "there; absence: that it is not."
    )
    ordered = [f for members in groups.values() for f in members]
    return Drawing(figure, caption, _overview_alt(ordered, result), _overview_values(ordered, result))


def _groups(shown: Sequence[Finding], result: Result) -> dict[str, list[Finding]]:
    """Findings by claim and by what it says, under their heading; claims in their order, presence first."""
    of = {h: claim for claim in reversed(result.claims) for h in claim.hypotheses}
    groups: dict[str, list[Finding]] = {}
    for claim in (*result.claims, None):
        for kind in (Kind.PRESENCE, Kind.ABSENCE):
            heading = f"Claim {claim.number} ({kind}): {claim.title}" if claim else f"Of no claim ({kind})"
            members = [f for f in shown if f.kind is kind and of.get(f.hypothesis) is claim]
            if members:
                groups.setdefault(heading, []).extend(members)
    return groups


def _overview_values(shown: Sequence[Finding], result: Result) -> Values:
    columns = ("claim", "hypothesis", "title", "kind", "estimate", "low", "high", "margin", "unit", "verdict")
    rows = [
        (f.claim, f.hypothesis, result.hypothesis(f.hypothesis).title, f.kind, f.estimate, f.verdict_low,
         f.verdict_high, f.margin, f.unit, f.verdict)
        for f in shown
    ]  # fmt: skip
    return Values(columns, rows)


def _band(axes: Axes, i: float, margin: float | None, two_sided: bool) -> None:
    """Shade one row's effects below its margin; its label stands clear above."""
    top, bottom = i - 0.22, i + 0.22
    if margin is not None:
        low = -margin if two_sided else axes.get_xlim()[0]
        axes.fill([low, margin, margin, low], [top, top, bottom, bottom], color=BAND, linewidth=0, zorder=0)
        for edge in (margin, *([-margin] if two_sided else [])):
            axes.plot([edge, edge], [top, bottom], color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    axes.plot([0, 0], [top, bottom], color=LINE, linewidth=1, zorder=1)


def _overview_row(axes: Axes, f: Finding, i: float, title: str) -> None:
    if not f.margin:
        return
    limits = axes.get_xlim()
    colour = _COLOURS.get(f.verdict, MUTED) if f.verdict else MUTED
    low, high, value = ((v or 0.0) / f.margin for v in (f.verdict_low, f.verdict_high, f.estimate))
    ends = max(low, limits[0]), min(high, limits[1])
    if ends[0] < ends[1]:
        axes.plot(ends, (i, i), color=colour, linewidth=4, solid_capstyle="butt", zorder=3)
    if high > limits[1]:
        axes.plot([limits[1] - 0.06], [i], ">", color=colour, markersize=7, zorder=4)
    if low < limits[0]:
        axes.plot([limits[0] + 0.06], [i], "<", color=colour, markersize=7, zorder=4)
    if limits[0] <= value <= limits[1]:
        axes.plot([value], [i], "o", color=INK, markersize=6, zorder=5)
    mark = VERDICT_MARKS.get(f.verdict, "") if f.verdict else ""
    cut = [number(end, 2) for end, beyond in ((low, low < limits[0]), (high, high > limits[1])) if beyond]
    reaches = f"(to {' and '.join(cut)}) " if cut else ""
    weight = "bold" if f.verdict is not Verdict.UNDETERMINED else "normal"
    _label(axes, i, short(title, 52 - len(reaches)), shift=(3, 7))
    _label(axes, i, f"{typeset(reaches)}{f.verdict} {mark}", shift=(-3, 7), right=True, fontweight=weight)


def _label(axes: Axes, y: float, text: str, *, shift: tuple[float, float], right: bool = False, **style: Any) -> None:
    """Text at the left or right end of a row, `shift` points from (end, y)."""
    axes.annotate(
        text,
        (1 if right else 0, y),
        shift,
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right" if right else "left",
        va="bottom",
        fontsize=SMALL,
        **style,
    )


def _overview_alt(shown: Sequence[Finding], result: Result) -> str:
    told = []
    for f in shown:
        n = finding_numbers(f)
        title = result.hypothesis(f.hypothesis).title
        told.append(f"{title}: {n.estimate} {n.verdict_interval}, margin {n.margin}, {f.verdict}")
    return typeset("; ".join(told) + ".")


@dataclass(frozen=True)
class Pooled:
    """Random-effects summary that closes a forest plot."""

    label: str
    estimate: float
    low: float
    high: float
    told: str


@in_house_style
def forest(labels: Sequence[str], findings: Sequence[Finding], pooled: Pooled | None = None) -> Drawing:
    """One hypothesis over several runs, on one axis, with the summary as a diamond where there is one."""
    rows = [(label, f) for label, f in zip(labels, findings, strict=True) if f.estimate is not None]
    total = len(rows) + (1 if pooled else 0)
    figure = new_figure(_ROW * total + 56)
    axes = place(figure, _SIDE, 42, WIDTH - 2 * _SIDE, _ROW * total + 4)
    limits, whole = _forest_limits([f for _, f in rows], pooled)
    axes.set_xlim(*limits)
    axes.set_ylim(total - 0.35, -0.75)
    for i, (label, f) in enumerate(rows):
        _band(axes, i, f.margin, f.two_sided)
        draw_intervals(axes, f, i)
        _arrows(axes, i, _reach(f), BLUE)
        _row_label(axes, i, label, f"{finding_numbers(f).estimate} {finding_numbers(f).verdict_interval}")
    if pooled:
        i = len(rows)
        axes.fill(
            [pooled.low, pooled.estimate, pooled.high, pooled.estimate],
            [i, i - 0.2, i, i + 0.2],
            color=INK,
            zorder=4,
            linewidth=0,
        )
        _arrows(axes, i, (pooled.low, pooled.high), INK)
        _row_label(axes, i, pooled.label, pooled.told)
    bare(axes)
    axes.set_xlabel(short(rows[0][1].unit, 40) if rows else "")
    plain_ticks(axes)
    told = [f"{label}: {finding_numbers(f).estimate} {finding_numbers(f).verdict_interval}" for label, f in rows]
    told += [f"{pooled.label}: {pooled.told}"] if pooled else []
    return Drawing(
        figure,
        "Dot: estimate; thick bar: verdict interval; thin bar with caps: 95 % interval; shaded: smaller than the "
        "margin." + ("" if whole else " Arrow: goes on beyond the axis."),
        typeset("; ".join(told) + "."),
        _forest_values(rows, pooled),
    )


def _forest_values(rows: Sequence[tuple[str, Finding]], pooled: Pooled | None) -> Values:
    columns = ("run", "estimate", "verdict_low", "verdict_high", "ci_low", "ci_high", "margin", "verdict")
    found: list[tuple[Any, ...]] = [
        (label, f.estimate, f.verdict_low, f.verdict_high, f.ci_low, f.ci_high, f.margin, f.verdict)
        for label, f in rows
    ]
    if pooled:
        found.append((pooled.label, pooled.estimate, None, None, pooled.low, pooled.high, None, None))
    return Values(columns, found)


def _reach(f: Finding) -> tuple[float, float]:
    """Outermost ends of everything that is drawn of a row."""
    drawn = [v for v in (f.estimate, f.ci_low, f.ci_high, f.verdict_low, f.verdict_high) if v is not None]
    return min(drawn), max(drawn)


def _forest_limits(findings: Sequence[Finding], pooled: Pooled | None) -> tuple[tuple[float, float], bool]:
    """Ends of the common axis, and whether it holds everything.

    One run that can tell nothing must not squeeze the others into dots: what is `_WIDEST` times as wide as the
    narrowest row is cut, with an arrow.
    """
    margins = [m for f in findings if f.margin is not None for m in (f.margin, -f.margin if f.two_sided else f.margin)]
    reaches = [_reach(f) for f in findings] + ([(pooled.low, pooled.high)] if pooled else [])
    widths = [high - low for low, high in reaches if high > low]
    most = _WIDEST * max(min(widths, default=0.0), max(margins, default=0.0))
    ends = [0.0, *margins, *(v for low, high in reaches if high - low <= most for v in (low, high))]
    pad = 0.05 * (max(ends) - min(ends) or 1.0)
    limits = (min(ends) - pad, max(ends) + pad)
    return limits, all(limits[0] <= low and high <= limits[1] for low, high in reaches)


def _arrows(axes: Axes, y: float, reach: tuple[float, float], colour: str) -> None:
    """A head at each end of the axis beyond which a row goes on."""
    low, high = axes.get_xlim()
    inset = 0.012 * (high - low)
    if reach[0] < low:
        axes.plot([low + inset], [y], "<", color=colour, markersize=7, zorder=6)
    if reach[1] > high:
        axes.plot([high - inset], [y], ">", color=colour, markersize=7, zorder=6)


def _row_label(axes: Axes, i: int, left: str, right: str) -> None:
    _label(axes, i, short(left, 28), shift=(3, 8))
    _label(axes, i, typeset(right), shift=(-3, 8), right=True)
