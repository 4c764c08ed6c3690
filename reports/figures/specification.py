"""The specification curve: a hypothesis' estimate in every universe, sorted, above the settings that made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from ...hypotheses.result import Finding, Multiverse, Outcome, Universe, Verdict
from ..multiverse import ORDER, curve, decimals, varied_for
from ..numbers import count, fixed, interval, margin_text, typeset
from .canvas import (
    BAND,
    BLUE,
    INK,
    LINE,
    MUTED,
    PAPER,
    SMALL,
    VERMILLION,
    WIDTH,
    Drawing,
    Values,
    in_house_style,
    new_figure,
    place,
    plain_ticks,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _RIGHT, _TOP, _CURVE, _GAP, _ROW, _FOOT = 118.0, 10.0, 52.0, 132.0, 12.0, 13.0, 24.0

Sorted = Sequence[tuple[Universe, Outcome, float]]

MARKS: dict[Verdict | None, tuple[str, str]] = {
    Verdict.SUPPORTED: ("o", BLUE),
    Verdict.REFUTED: ("s", VERMILLION),
    Verdict.UNDETERMINED: ("D", MUTED),
    None: ("o", MUTED),
}
"""Shape as well as colour of each verdict; undetermined is hollow."""


@in_house_style
def specification(multiverse: Multiverse, row: Finding) -> Drawing | None:
    """Draw one hypothesis through the universes; None where none has an estimate.

    Parameters
    ----------
    row
        The run's own row of the hypothesis: its unit, margin and title.
    """
    found = curve(multiverse, row.hypothesis)
    if not found:
        return None
    varied = varied_for(multiverse, [row.hypothesis])
    matrix_height = _ROW * sum(map(len, varied.values())) + 4 * max(len(varied) - 1, 0) + 4
    height = _TOP + _CURVE + _GAP + matrix_height + _FOOT
    figure = new_figure(height)
    width = WIDTH - _LEFT - _RIGHT
    estimates = place(figure, _LEFT, height - _TOP - _CURVE, width, _CURVE)
    dots = place(figure, _LEFT, _FOOT, width, matrix_height)
    for axes in (estimates, dots):
        axes.set_xlim(-0.7, len(found) - 0.3)
        axes.set_xticks([])
    size = min(6.0, max(2.2, 0.7 * width / len(found)))
    own = next((i for i, (u, _, _) in enumerate(found) if u.own), None)
    _draw_curve(estimates, found, row, size)
    _draw_settings(dots, found, varied, size)
    if own is not None:
        _mark_own(estimates, dots, own, len(found))
    _legend(estimates, found)
    dots.set_xlabel(f"{count(len(found))} universes, smallest estimate first", labelpad=6, fontsize=SMALL)
    return Drawing(figure, _caption(multiverse, found, row), _alt(multiverse, found, row), _values(varied, found))


def _values(varied: Mapping[str, Sequence[str]], found: Sorted) -> Values:
    rows = [(*(u.settings.get(name) for name in varied), u.own, value, o.verdict) for u, o, value in found]
    return Values((*varied, "own", "estimate", "verdict"), rows)


def _draw_curve(axes: Axes, found: Sorted, row: Finding, size: float) -> None:
    ends = [v for _, o, estimate in found for v in (estimate, o.verdict_low, o.verdict_high) if v is not None] + [0.0]
    ends += [] if row.margin is None else [row.margin, *([-row.margin] if row.two_sided else [])]
    pad = 0.06 * (max(ends) - min(ends) or 1.0)
    axes.set_ylim(min(ends) - pad, max(ends) + pad)
    if row.margin is not None:
        axes.axhspan(-row.margin if row.two_sided else min(ends) - pad, row.margin, color=BAND, linewidth=0, zorder=0)
        for edge in (row.margin, *([-row.margin] if row.two_sided else [])):
            axes.axhline(edge, color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    axes.axhline(0, color=LINE, linewidth=1, zorder=1)
    for i, (_, o, estimate) in enumerate(found):
        marker, colour = MARKS.get(o.verdict, MARKS[None])
        if o.verdict_low is not None and o.verdict_high is not None:
            axes.plot([i, i], [o.verdict_low, o.verdict_high], color=colour, linewidth=min(1.6, size / 2.5), zorder=2)
        fill = PAPER if o.verdict is Verdict.UNDETERMINED else colour
        axes.plot([i], [estimate], marker, color=colour, markersize=size, markerfacecolor=fill, zorder=3)
    plain_ticks(axes, x=False, y=True)
    axes.set_ylabel(short(row.unit, 24))


def _draw_settings(axes: Axes, found: Sorted, varied: Mapping[str, Sequence[str]], size: float) -> None:
    """A dot in the row of each setting that a universe has; the run's own values in bold."""
    y = 0.0
    for number, (name, values) in enumerate(varied.items()):
        y += 4 * (number > 0)
        for value in values:
            at = [i for i, (u, _, _) in enumerate(found) if u.settings[name] == value]
            axes.axhline(y, color=LINE, linewidth=0.6, zorder=0)
            axes.plot(at, [y] * len(at), "o", color=INK, markersize=0.8 * size, markeredgewidth=0, zorder=2)
            axes.annotate(
                short(f"{name} {value}", 20),
                (0, y),
                (-6, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="right",
                va="center",
                fontsize=SMALL,
                fontweight="bold" if value == values[0] else "normal",
            )
            y += _ROW
    axes.set_ylim(y - _ROW / 2, -_ROW / 2 - 2)
    axes.set_yticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _mark_own(curve: Axes, dots: Axes, own: int, total: int) -> None:
    """A line through both panels at the run's own universe, and its name above."""
    for axes in (curve, dots):
        axes.axvline(own, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
    share = (own + 0.7) / (total + 0.4)
    side = "left" if share < 0.25 else "right" if share > 0.75 else "center"
    curve.annotate("this run", (own, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
                   ha=side, va="bottom", fontsize=SMALL, fontweight="bold")  # fmt: skip


def _legend(axes: Axes, found: Sorted) -> None:
    """Mark, word and number of universes of each verdict, in one line at the top."""
    counts = Counter(o.verdict for _, o, _ in found)
    x = -_LEFT + 8
    for verdict in (v for v in (*ORDER, None) if counts[v]):
        marker, colour = MARKS.get(verdict, MARKS[None])
        fill = PAPER if verdict is Verdict.UNDETERMINED else colour
        axes.plot([x / (WIDTH - _LEFT - _RIGHT)], [1 + 36 / _CURVE], marker, color=colour, markersize=6,
                  markerfacecolor=fill, transform=axes.transAxes, clip_on=False)  # fmt: skip
        word = f"{verdict or 'no verdict'} {count(counts[verdict])}"
        axes.annotate(word, (0, 1), (x + 7, 36), xycoords="axes fraction", textcoords="offset points", ha="left",
                      va="center", fontsize=SMALL)  # fmt: skip
        x += 30 + 6.2 * len(word)


def _caption(multiverse: Multiverse, found: Sorted, row: Finding) -> str:
    parts = ["Each column is a universe. Top: estimate with its verdict interval, sorted; bottom: its settings, the "
             "run's own in bold; dotted line: the run itself."]  # fmt: skip
    if row.margin is not None:
        parts.append("Shaded: effects smaller than the margin.")
    left = sum(bool(u.why_not) for u in multiverse.universes)
    if left:
        parts.append(f"{count(left)} universes could not be tested and are not drawn.")
    return " ".join(parts)


def _alt(multiverse: Multiverse, found: Sorted, row: Finding) -> str:
    """The curve in numbers."""
    d = decimals(row)
    values = [estimate for _, _, estimate in found]
    low, high, middle = (fixed(v, d, sign=True) for v in (values[0], values[-1], median(values)))
    counts = Counter(o.verdict for _, o, _ in found)
    told = ", ".join(f"{v} in {count(counts[v])}" for v in ORDER if counts[v]) or "no verdicts"
    text = f"{count(len(found))} universes. Estimates from {low} to {high} {row.unit}, median {middle}"
    text += f"; margin {margin_text(row.margin, d)}. " if row.margin is not None else ". "
    text += f"{told[:1].upper()}{told[1:]}."
    for rank, (universe, own, estimate) in enumerate(found, 1):
        if universe.own:
            told = f"{fixed(estimate, d, sign=True)} {interval(own.verdict_low, own.verdict_high, d)}"
            text += f" This run's own settings: {told}, number {count(rank)} of {count(len(found))} from below."
    return typeset(text)
