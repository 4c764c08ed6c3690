"""Influence against rank under each condition, with the bands that a bend is judged by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from ...hypotheses.result import Curve
from ..numbers import count, number, typeset
from .canvas import (
    BAND,
    BLUE,
    GREEN,
    INK,
    MUTED,
    PAPER,
    PURPLE,
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
    from numpy.typing import NDArray

_STYLES = ((VERMILLION, "-"), (BLUE, (0, (5, 1.5))), (GREEN, (0, (1, 1))), (PURPLE, (0, (4, 1, 1, 1))))
_BAND_MEANS = " (tinted to the axis: where the middle 95 % of resamplings of the documents put them)"
MIDDLE = 6
"""The middle band ends at this multiple of the head."""


@in_house_style
def influence_curves(curves: Sequence[Curve], head: str = "head") -> Drawing:
    """Sorted influence on log-log axes: interval bands where there are some, head and middle bands, knots.

    `head` is what the neurons of the head band are called.
    """
    figure = new_figure(286)
    axes = place(figure, 50, 44, WIDTH - 62, 214)
    axes.set_xscale("log")
    axes.set_yscale("log")
    _limits(axes, curves)
    _bands(axes, curves[0].head, short(head, 16))
    for curve, (colour, dashes) in zip(curves, _cycle(len(curves)), strict=True):
        _draw(axes, curve, colour, dashes)
    axes.set_xlabel("rank of the neuron, by influence")
    axes.set_ylabel("influence (nats)")
    plain_ticks(axes, y=True)
    intervals = " Tinted: 95 % interval of each neuron drawn." if any(curve.low for curve in curves) else ""
    # on a ground of its own: knots and bands may stand anywhere
    axes.legend(
        loc="upper right",
        handlelength=2.6,
        borderaxespad=0.2,
        frameon=True,
        framealpha=0.9,
        facecolor=PAPER,
        edgecolor="none",
    )
    return Drawing(figure, _caption(curves, head) + intervals, _alt(curves, head), _values(curves))


def _values(curves: Sequence[Curve]) -> Values:
    rows = [
        (c.label, rank, level, low, high)
        for c in curves
        for rank, level, low, high in zip_longest(c.rank, c.influence, c.low, c.high)
    ]
    return Values(("condition", "rank", "influence_nats", "low", "high"), rows)


def _cycle(n: int) -> list[tuple[str, object]]:
    return [_STYLES[i % len(_STYLES)] for i in range(n)]


def _limits(axes: Axes, curves: Sequence[Curve]) -> None:
    from matplotlib.ticker import LogLocator

    # not the intervals' lower ends: near zero they would stretch a logarithmic axis over empty decades
    values = [v for c in curves for v in c.influence if v > 0]
    ranks = [r for c in curves for r in c.rank]
    if values and ranks:
        axes.set_xlim(max(1, min(ranks)) * 0.85, max(ranks) * 1.15)
        axes.set_ylim(min(values) / 1.35, max(values) * 1.6)
        if max(values) < 100 * min(values):  # else hardly a label falls inside
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))


def _bands(axes: Axes, head: int, called: str) -> None:
    left = axes.get_xlim()[0]
    axes.axvspan(left, head + 0.5, color=BAND, linewidth=0, zorder=0)
    for edge in (head + 0.5, MIDDLE * head + 0.5):
        axes.axvline(edge, color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    for start, end, name in ((left, head, called), (head, MIDDLE * head, "middle band")):
        axes.annotate(
            name,
            (float(np.sqrt(start * end)), 1),
            (0, 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=SMALL,
            color=MUTED,
        )


def _draw(axes: Axes, curve: Curve, colour: str, dashes: object) -> None:
    rank, level = np.asarray(curve.rank, float), np.asarray(curve.influence, float)
    seen = level > 0
    axes.plot(
        rank[seen], level[seen], color=colour, linestyle=dashes, linewidth=2, label=short(curve.label, 24), zorder=4
    )
    if len(curve.low) == len(rank) == len(curve.high):
        axes.fill_between(rank, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0, zorder=2)
    _middle_line(axes, curve, rank[seen], level[seen], colour)
    _knots(axes, curve, rank[seen], level[seen], colour, dashes)


def _knots(
    axes: Axes, curve: Curve, rank: NDArray[np.float64], level: NDArray[np.float64], colour: str, dashes: object
) -> None:
    """A diamond on the curve, an upright line from the axis to it, and a band as wide as the knot is unsure."""
    for i, knot in enumerate(curve.knots):
        if not rank.min(initial=np.inf) <= knot <= rank.max(initial=0):
            continue
        height = float(np.exp(np.interp(np.log(knot), np.log(rank), np.log(level))))
        if len(curve.knots_low) == len(curve.knots_high) == len(curve.knots):
            ends = [curve.knots_low[i], curve.knots_high[i]]
            axes.fill_between(ends, [axes.get_ylim()[0]] * 2, height, color=colour, alpha=0.12, linewidth=0, zorder=1)
        axes.vlines(knot, axes.get_ylim()[0], height, color=colour, linestyle=dashes, linewidth=1.1, zorder=3)
        axes.plot(
            [knot], [height], "D", color=colour, markeredgecolor=INK, markeredgewidth=0.7, markersize=5.5, zorder=5
        )


def _middle_line(axes: Axes, curve: Curve, rank: NDArray[np.float64], level: NDArray[np.float64], colour: str) -> None:
    """Carry the middle band's line on into the head, which a flat top would leave; a guide for the eye only."""
    middle = (rank > curve.head) & (rank <= MIDDLE * curve.head)
    if middle.sum() < 3:
        return
    slope, intercept = np.polyfit(np.log(rank[middle]), np.log(level[middle]), 1)
    ends = np.array([rank.min(), MIDDLE * curve.head])
    axes.plot(ends, np.exp(intercept) * ends**slope, color=colour, linewidth=0.9, zorder=3, alpha=0.9)


def _caption(curves: Sequence[Curve], head: str) -> str:
    knots = ""
    if any(c.knots for c in curves):
        band = _BAND_MEANS if any(c.knots_low for c in curves) else ""
        knots = f" Diamonds: knots, where two lines meet best{band}. Any smooth law bends too, so a knot is no regime."
        sought = next((c.knots_sought for c in curves if c.knots_sought), None)
        if sought:
            ends = f"{count(sought[0])} and {count(sought[1])}"
            knots += f" At ranks {ends}, where the search ends, it says only that the curve is steep there."
    return (
        "Mean change in loss when one neuron is removed, neurons sorted by it. On these axes a power law is a straight "
        f"line; the thin lines carry the middle band's on into the {head}.{knots}"
    )


def _alt(curves: Sequence[Curve], head: str) -> str:
    parts = []
    for curve in curves:
        if not curve.rank:
            continue
        first, last = curve.influence[0], curve.influence[-1]
        nearest = min(range(len(curve.rank)), key=[abs(r - curve.head) for r in curve.rank].__getitem__)
        at_head = curve.influence[nearest]
        knots = f", knots at rank {' and '.join(_places(curve))}" if curve.knots else ""
        parts.append(
            f"{curve.label}: {number(first)} nats at rank {count(curve.rank[0])}, {number(at_head)} at the end of "
            f"the {head} (rank {count(curve.head)}), {number(last)} at rank {count(curve.rank[-1])}{knots}."
        )
    return typeset("Influence against rank on logarithmic axes. " + " ".join(parts))


def _places(curve: Curve) -> list[str]:
    """Each knot with its interval, where it has one."""
    if not len(curve.knots_low) == len(curve.knots_high) == len(curve.knots):
        return [count(k) for k in curve.knots]
    ends = zip(curve.knots, curve.knots_low, curve.knots_high, strict=True)
    return [f"{count(k)} [{count(low)}, {count(high)}]" for k, low, high in ends]
