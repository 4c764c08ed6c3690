"""Routing by attention head: the map of layers and heads, and every head's simultaneous interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...hypotheses.result import Finding, HeadMap, Result, Role
from ..numbers import apart, count, decimals_for, fixed, margin_text, typeset
from ..subject import set_of
from .canvas import (
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
)
from .estimation import shade_margin

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

_DARK = "#111111"
"""Text on coloured cells, which keep their colours in dark mode."""
_MOST = 40


@dataclass(frozen=True)
class Head:
    """One head of a `HeadMap`."""

    layer: int
    head: int
    reachable: bool
    value: float | None
    low: float | None
    high: float | None
    note: str

    @property
    def name(self) -> str:
        """``2.4``; ``minor`` for the weak heads that are pooled."""
        return f"L{self.layer}H{self.head}" if self.head >= 0 else "minor"


def heads_of(data: HeadMap) -> list[Head]:
    """Rows of the map; lists that are too short leave their column empty."""
    n = min(len(data.layer), len(data.head), len(data.reachable), len(data.value))
    low = [*data.low, *[None] * n]
    high = [*data.high, *[None] * n]
    note = [*data.note, *[""] * n]
    return [
        Head(data.layer[i], data.head[i], data.reachable[i], data.value[i], low[i], high[i], note[i]) for i in range(n)
    ]


def _decimals(heads: Sequence[Head], margin: float | None) -> int:
    halves = sorted((h.high - h.low) / 2 for h in heads if h.low is not None and h.high is not None)
    ends = [e for h in heads for e in (h.low, h.high)]
    return apart(decimals_for(*halves[len(halves) // 2 :][:1]), [(e, margin) for e in ends])


def drawings(result: Result) -> list[Drawing]:
    """Map of a result's heads and their intervals, with the margin of the finding that judges them."""
    if result.head_map is None:
        return []
    asking = [
        f for f in result.findings if f.role is Role.PRIMARY and "head_map" in result.hypothesis(f.hypothesis).figures
    ]
    judged = next((f for f in asking if f.details.per_output), None)
    c, about = result.setup.conditions, set_of(result, result.hypothesis(asking[0].hypothesis) if asking else None)
    sides = f"orange: the head favours the {about.name} for {c.a.phrase}, blue: for {c.b.phrase}"
    drawn = (head_map(result.head_map, judged, sides), head_intervals(result.head_map, judged))
    return [drawing for drawing in drawn if drawing is not None]


@in_house_style
def head_map(data: HeadMap, finding: Finding | None = None, sides: str = "") -> Drawing | None:
    """Layers x heads; colour is the log ratio, hatching what cannot reach the layer; None without single heads.

    `sides` says what either colour means.
    """
    heads = [h for h in heads_of(data) if h.head >= 0]
    if not heads:
        return None
    layers, columns = sorted({h.layer for h in heads}), max(h.head for h in heads) + 1
    left, bottom = 34.0, 74.0
    cell = (WIDTH - left - 8) / max(columns, 4)
    tall = min(cell, max(9.0, 420 / len(layers)), 34.0)
    figure = new_figure(bottom + tall * len(layers) + 8)
    axes = place(figure, left, bottom, cell * columns, tall * len(layers))
    scale = max(
        [abs(h.value) for h in heads if h.value is not None] + [finding.margin or 0.0 if finding else 0.0, 1e-9]
    )
    colours = _colours()
    numbers = cell >= 30 and tall >= 16
    for h in heads:
        _cell(axes, h, layers.index(h.layer), colours, scale, numbers)
    axes.set_xlim(0, columns)
    axes.set_ylim(0, len(layers))
    _label(axes, layers, columns)
    _colour_bar(place(figure, left, 26, WIDTH - left - 20, 8), colours, scale, finding)
    return Drawing(figure, _map_caption(heads, finding, sides), _alt(heads, finding), _values(heads))


def _values(heads: Sequence[Head]) -> Values:
    rows = [(h.layer, h.head, h.name, h.value, h.low, h.high, h.reachable, h.note) for h in heads]
    return Values(("layer", "head", "name", "log_ratio", "low", "high", "reachable", "note"), rows)


def _colours() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("routing", ["#4f9fd0", "#d6e6f0", "#f7f7f5", "#f8ddc8", "#ec8a4a"])


def _cell(axes: Axes, h: Head, row: int, colours: Colormap, scale: float, numbers: bool) -> None:
    from matplotlib.patches import Rectangle

    x, y = h.head + 0.03, row + 0.03
    if not h.reachable:
        axes.add_patch(Rectangle((x, y), 0.94, 0.94, facecolor="none", edgecolor=MUTED, hatch="////", linewidth=0.5))
        return
    if h.value is None:
        axes.add_patch(Rectangle((x, y), 0.94, 0.94, facecolor="none", edgecolor=LINE, linewidth=0.8))
        axes.plot([h.head + 0.5], [row + 0.5], "o", color=MUTED, markersize=2)
        return
    sure = h.low is not None and h.high is not None and (h.low > 0 or h.high < 0)
    edge, weight = (INK, 1.6) if sure else (LINE, 0.4)
    axes.add_patch(
        Rectangle((x, y), 0.94, 0.94, facecolor=colours(0.5 + 0.5 * h.value / scale), edgecolor=edge, linewidth=weight)
    )
    if numbers:
        axes.text(
            h.head + 0.5, row + 0.48, typeset(fixed(h.value, 2)), ha="center", va="center", fontsize=SMALL, color=_DARK
        )


def _label(axes: Axes, layers: Sequence[int], columns: int) -> None:
    step_y, step_x = max(1, len(layers) // 24), max(1, columns // 12)
    axes.set_yticks(
        [i + 0.5 for i in range(0, len(layers), step_y)], [str(layers[i]) for i in range(0, len(layers), step_y)]
    )
    axes.set_xticks([i + 0.5 for i in range(0, columns, step_x)], [str(i) for i in range(0, columns, step_x)])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_ylabel("layer", labelpad=3)
    axes.annotate(
        "head",
        (0, 0),
        (-8, -8),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=SMALL,
    )


def _colour_bar(axes: Axes, colours: Colormap, scale: float, finding: Finding | None) -> None:
    from matplotlib.patches import Rectangle

    steps = 60
    for i in range(steps):
        axes.add_patch(
            Rectangle(
                (-scale + 2 * scale * i / steps, 0),
                2 * scale / steps,
                1,
                facecolor=colours((i + 0.5) / steps),
                linewidth=0,
            )
        )
    axes.set_xlim(-scale, scale)
    axes.set_ylim(0, 1)
    bare(axes)
    axes.locator_params(axis="x", nbins=5)
    plain_ticks(axes)
    axes.tick_params(axis="x", pad=2, length=3)
    if finding is not None and finding.margin is not None and finding.margin < scale:
        axes.axvline(finding.margin, color=_DARK, linewidth=1.2, linestyle=(0, (3, 2)))
        axes.annotate(
            "margin",
            (finding.margin, 1),
            (0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=SMALL,
            color=MUTED,
        )
    else:
        axes.annotate(
            "log ratio",
            (0, 1),
            (0, 2),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize=SMALL,
            color=MUTED,
        )


def _map_caption(heads: Sequence[Head], finding: Finding | None, sides: str) -> str:
    parts = [f"Colour: log ratio of ratios{f'; {sides}' if sides else ''}."]
    if any(not h.reachable for h in heads):
        parts.append("Hatched: cannot reach the layer.")
    if any(h.reachable and h.value is None for h in heads):
        parts.append("Dot: too weak to be judged alone, pooled as minor.")
    if any(h.low is not None for h in heads):
        parts.append("Dark frame: the simultaneous interval leaves out zero.")
    if finding is not None and finding.margin is not None:
        parts.append(f"The margin is {margin_text(finding.margin, 2)}.")
    return " ".join(parts)


def _judged(data: HeadMap, finding: Finding | None) -> list[Head]:
    """Heads with a value, strongest first: the finding's own rows, which hold the pooled heads too, else the map's."""
    rows = finding.details.per_output if finding is not None else []
    own = [Head(r.layer, r.head, True, _known(r.estimate), _known(r.low), _known(r.high), "") for r in rows]
    judged = [h for h in own or heads_of(data) if h.value is not None]
    return sorted(judged, key=lambda h: -float(h.value or 0.0))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


@in_house_style
def head_intervals(data: HeadMap, finding: Finding | None = None) -> Drawing | None:
    """Every judged head's value and simultaneous interval, strongest first; at most forty are drawn."""
    judged = _judged(data, finding)
    if not judged:
        return None
    shown = judged[:_MOST]
    row = 14.0
    left = 46.0
    figure = new_figure(40 + row * len(shown) + 18)
    axes = place(figure, left, 40, WIDTH - left - 12, row * len(shown))
    ends = [v for h in shown for v in (h.value, h.low, h.high) if v is not None] + [0.0]
    if finding is not None and finding.margin is not None:
        ends.append(finding.margin)
    pad = 0.05 * (max(ends) - min(ends) or 1.0)
    limits = (min(ends) - pad, max(ends) + pad)
    axes.set_xlim(*limits)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    if finding is not None:
        shade_margin(axes, finding, limits)
    _draw_heads(axes, shown, finding)
    axes.set_xlabel("log ratio")
    plain_ticks(axes)
    return Drawing(figure, _intervals_caption(judged, finding), _alt(shown, finding), _values(judged))


def _draw_heads(axes: Axes, shown: Sequence[Head], finding: Finding | None) -> None:
    for i, h in enumerate(shown):
        beyond = finding is not None and finding.margin is not None and h.low is not None and h.low >= finding.margin
        colour = VERMILLION if beyond else BLUE
        if h.low is not None and h.high is not None:
            axes.plot([h.low, h.high], [i, i], color=colour, linewidth=1.8, zorder=3)
        axes.plot([float(h.value or 0.0)], [i], "s" if beyond else "o", color=colour, markersize=4.5, zorder=4)
    axes.set_yticks(range(len(shown)), [h.name for h in shown])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.annotate(
        "head",
        (0, 1),
        (-6, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=SMALL,
        color=MUTED,
    )
    if finding is not None and finding.margin is not None:
        axes.annotate(
            f"margin {margin_text(finding.margin, 2)}",
            (finding.margin, 1),
            (0, 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center" if finding.margin < axes.get_xlim()[1] * 0.75 else "right",
            va="bottom",
            fontsize=SMALL,
            color=MUTED,
        )


def _intervals_caption(judged: Sequence[Head], finding: Finding | None) -> str:
    more = f" The {count(_MOST)} largest of {count(len(judged))} heads." if len(judged) > _MOST else ""
    band = " Shaded: effects smaller than the margin." if finding is not None and finding.margin is not None else ""
    return f"Every head with its simultaneous interval (layer.head), strongest first.{band}{more}"


def _alt(heads: Sequence[Head], finding: Finding | None) -> str:
    margin = finding.margin if finding is not None else None
    d = _decimals(heads, margin)
    judged = sorted((h for h in heads if h.value is not None), key=lambda h: -float(h.value or 0.0))
    blocked = sum(not h.reachable for h in heads)
    told = [
        f"{h.name} {fixed(h.value, d, sign=True)}"
        + (f" [{fixed(h.low, d)}, {fixed(h.high, d)}]" if h.low is not None else "")
        for h in judged[:5]
    ]
    text = f"{count(len(heads))} heads, {count(blocked)} cannot reach the layer, {count(len(judged))} judged alone. "
    text += f"Largest log ratios: {'; '.join(told)}." if told else "No head was judged."
    if margin is not None:
        text += f" Margin {margin_text(margin, d)}."
    return typeset(text)
