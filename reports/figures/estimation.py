"""One finding: estimate, intervals and margin above the null distributions, all on one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...hypotheses.result import Finding, NullSummary, Role
from ..numbers import count, finding_numbers, fixed, percent, typeset
from ..tables import null_label, nulls_behind
from .canvas import (
    BAND,
    BLUE,
    FILL,
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_SIDE, _TOP, _BOTTOM = 12.0, 20.0, 38.0
_ESTIMATE, _NULL, _HEADER = 40.0, 44.0, 20.0
_BINS = 48


LEGEND = (
    "In the figure of a finding: dot, the estimate; thick bar, the interval that the verdict uses; thin bar with caps, "
    "the 95 % interval over documents; shaded, effects smaller than the margin; grey, what the null model gives, as "
    "shares of its draws; orange line, what was observed."
)
"""What the signs of an estimation plot mean."""


@in_house_style
def estimation(
    rows: Sequence[Finding], blank: Callable[[float], Figure] = new_figure, known: Sequence[NullSummary] = ()
) -> Drawing:
    """Draw the first row's estimate with its intervals and margin, and each row's null histogram under it.

    Parameters
    ----------
    rows
        Rows of one hypothesis in one unit, the deciding one first.  Rows without draws get no panel.
    blank
        Makes an empty figure of a height in points and `WIDTH`.
    known
        What the result says of its null models; those with a caveat are marked.
    """
    main, nulls = rows[0], panels(rows)
    height = _TOP + _ESTIMATE + len(nulls) * (_HEADER + _NULL) + _BOTTOM
    figure = blank(height)
    limits = _limits(rows)
    edges = np.linspace(*limits, _BINS + 1)
    shares = [_shares(r, edges) for r in nulls]
    y = height - _TOP - _ESTIMATE
    axes = place(figure, _SIDE, y, WIDTH - 2 * _SIDE, _ESTIMATE)
    _draw_estimate(axes, main, limits)
    for row, share in zip(nulls, shares, strict=True):
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([])
        y -= _HEADER + _NULL
        axes = place(figure, _SIDE, y, WIDTH - 2 * _SIDE, _NULL)
        caveat = any(null.caveat for null in nulls_behind(row, known))
        top = float(share.max()) * 1.08 or 1.0  # on its own scale: a narrow null would flatten the others
        _draw_null(axes, row, (share, edges, top), caveat)
    plain_ticks(axes)
    axes.set_xlabel(short(main.unit, 40))
    return Drawing(figure, _caption(nulls, limits), alt_text(main, nulls), _values(main, nulls, shares, edges))


def _values(
    main: Finding, nulls: Sequence[Finding], shares: Sequence[NDArray[np.float64]], edges: NDArray[np.float64]
) -> Values:
    """The estimate with its intervals, then every null's histogram as drawn; draws.parquet has the draws."""
    rows: list[tuple[str, str | None, float | None, float | None, float | None]] = [
        ("estimate", main.null_model, None, None, main.estimate),
        ("95 % interval", main.null_model, main.ci_low, main.ci_high, None),
        ("verdict interval", main.null_model, main.verdict_low, main.verdict_high, None),
        ("margin", None, None, None, main.margin),
    ]
    for row, share in zip(nulls, shares, strict=True):
        rows.append(("observed", row.null_model, None, None, row.estimate))
        bins = zip(edges[:-1], edges[1:], share, strict=True)
        rows += [("share of draws", row.null_model, float(a), float(b), float(s)) for a, b, s in bins]
    return Values(("part", "null_model", "low", "high", "value"), rows)


def by_unit(rows: Sequence[Finding]) -> list[list[Finding]]:
    """Rows that can share an axis, the deciding row's unit first; rows without an estimate are left out."""
    groups: dict[str, list[Finding]] = {}
    for row in sorted(rows, key=lambda r: r.role is not Role.PRIMARY):
        if row.estimate is not None:
            groups.setdefault(row.unit, []).append(row)
    return list(groups.values())


def drawable(rows: Sequence[Finding]) -> bool:
    """Whether there is more to draw than a dot."""
    return any(r.null_draws or r.ci_low is not None or r.verdict_low is not None for r in rows)


def panels(rows: Sequence[Finding]) -> list[Finding]:
    """Rows that get a histogram; a two-way row whose components stand beside it would show one of them twice."""
    drawn = [r for r in rows if r.null_draws and r.estimate is not None]
    alone = {r.null_model for r in drawn}
    return [r for r in drawn if not ("+" in (r.null_model or "") and alone.issuperset((r.null_model or "").split("+")))]


def _limits(rows: Sequence[Finding]) -> tuple[float, float]:
    """Ends of the common axis: everything but the outermost hundredth at each end of each null's draws."""
    main = rows[0]
    values: list[float] = [0.0]
    values += [v for r in rows for v in (r.estimate,) if v is not None]
    values += [v for v in (main.ci_low, main.ci_high, main.verdict_low, main.verdict_high) if v is not None]
    if main.margin is not None:
        values += [main.margin, *([-main.margin] if main.two_sided else [])]
    for row in panels(rows):
        values += [float(q) for q in np.quantile(row.null_draws, [0.01, 0.99])]
    finite = [v for v in values if np.isfinite(v)]
    low, high = min(finite), max(finite)
    pad = 0.05 * (high - low or 1.0)
    return low - pad, high + pad


def _shares(row: Finding, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts, _ = np.histogram(row.null_draws, edges)
    return np.asarray(counts / len(row.null_draws), dtype=np.float64)


def shade_margin(axes: Axes, finding: Finding, limits: tuple[float, float]) -> None:
    """Shade the effects that are smaller than the margin, and mark zero."""
    if finding.margin is not None:
        low = -finding.margin if finding.two_sided else limits[0]
        axes.axvspan(low, finding.margin, color=BAND, zorder=0, linewidth=0)
        for edge in (finding.margin, *([-finding.margin] if finding.two_sided else [])):
            axes.axvline(edge, color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    axes.axvline(0, color=LINE, linewidth=1, zorder=1)


def _draw_estimate(axes: Axes, finding: Finding, limits: tuple[float, float]) -> None:
    n = finding_numbers(finding)
    axes.set_xlim(*limits)
    axes.set_ylim(0, 1)
    shade_margin(axes, finding, limits)
    draw_intervals(axes, finding, 0.46)
    told = f"Estimate {n.estimate}" + (
        f", {n.verdict_level} interval {n.verdict_interval}" if finding.verdict_low is not None else ""
    )
    header(axes, typeset(told), bold=True)
    if finding.margin is not None:
        edge, right = _margin_label(finding.margin, finding.two_sided, limits)
        axes.annotate(
            f"margin {n.margin}",
            (edge, 0.97),
            (4 if right else -4, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="top",
            fontsize=SMALL,
            color=MUTED,
        )
    bare(axes)


def _margin_label(margin: float, two_sided: bool, limits: tuple[float, float]) -> tuple[float, bool]:
    """Edge of the band that carries the label, and whether it stands to its right: outside where there is room."""
    room = 0.22 * (limits[1] - limits[0])
    if limits[1] - margin > room:
        return margin, True
    if two_sided and -margin - limits[0] > room:
        return -margin, False
    return margin, False


def draw_intervals(axes: Axes, finding: Finding, y: float) -> None:
    """Thin line with caps for the 95 % interval, thick one for the verdict interval, dot for the estimate.

    Either interval may be the wider one, so the thin one lies on top and in another colour.
    """
    if finding.ci_low is not None and finding.ci_high is not None:
        axes.plot(
            [finding.ci_low, finding.ci_high],
            [y, y],
            marker="|",
            markersize=9,
            markeredgewidth=1.4,
            color=INK,
            linewidth=1.4,
            solid_capstyle="butt",
            zorder=3.5,
        )
    if finding.verdict_low is not None and finding.verdict_high is not None:
        axes.plot(
            [finding.verdict_low, finding.verdict_high],
            [y, y],
            color=BLUE,
            linewidth=4.5,
            solid_capstyle="butt",
            zorder=3,
        )
    if finding.estimate is not None:
        axes.plot([finding.estimate], [y], "o", color=INK, markersize=6.5, zorder=4)


def header(axes: Axes, text: str, *, bold: bool = False) -> None:
    """Line of text over the panel, flush left, so that no label needs a margin at the side."""
    axes.annotate(
        text,
        (0, 1),
        (0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="left",
        va="bottom",
        fontsize=SMALL,
        fontweight="bold" if bold else "normal",
    )


def _draw_null(
    axes: Axes, row: Finding, histogram: tuple[NDArray[np.float64], NDArray[np.float64], float], caveat: bool
) -> None:
    share, edges, top = histogram
    n = finding_numbers(row)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, top)
    axes.stairs(share, edges, fill=True, color=FILL, zorder=2, linewidth=0)
    axes.axvline(0, color=LINE, linewidth=1, zorder=1)
    axes.axvline(float(row.estimate or 0.0), color=VERMILLION, linewidth=2, zorder=3)
    note = " (see the note)" if caveat else ""
    header(axes, typeset(f"{short(null_label(row), 33)}{note}: {n.p}"))
    bare(axes)


def _caption(nulls: Sequence[Finding], limits: tuple[float, float]) -> str:
    """What is special about one figure; what its signs mean, `LEGEND` says once for all."""
    outside = sum(1 for r in nulls for v in r.null_draws if not limits[0] <= v <= limits[1])
    if not outside:
        return ""
    total = sum(len(r.null_draws) for r in nulls)
    return f"{count(outside)} of {count(total)} draws ({percent(round(outside / total, 4))}) lie beyond the axis."


def alt_text(main: Finding, nulls: Sequence[Finding]) -> str:
    """Say the figure in numbers."""
    n = finding_numbers(main)
    parts = [f"Estimate {n.estimate} {main.unit}"]
    if main.verdict_low is not None:
        parts.append(f"{n.verdict_level} interval {n.verdict_interval}")
    if main.ci_low is not None:
        parts.append(f"{n.interval_level} interval {n.interval}")
    if main.margin is not None:
        parts.append(f"margin {'plus or minus ' if main.two_sided else ''}{n.margin}")
    text = ", ".join(parts) + "."
    for row in nulls:
        m = finding_numbers(row, n.decimals)
        low, middle, high = (fixed(float(q), n.decimals) for q in np.quantile(row.null_draws, [0.025, 0.5, 0.975]))
        spread = f"middle 95 % of draws {low} to {high}, median {middle}"
        text += f" Null model {null_label(row)}: {spread}; observed {m.estimate}, {m.p}."
    return typeset(text)
