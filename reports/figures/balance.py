"""Love plot: how alike the two sides of a match are, covariate by covariate."""

from __future__ import annotations

from collections.abc import Iterable

from ...hypotheses.result import Balance
from ..numbers import fixed, typeset
from .canvas import (
    BAND,
    BLUE,
    LINE,
    MUTED,
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

LIMIT = 0.25
"""Standardised differences beyond this are said beside the verdict."""


def reach(balances: Iterable[Balance]) -> float:
    """Half-width of an axis that holds every difference: panels that a reader compares share it."""
    return max([0.32, *(abs(value) * 1.1 for b in balances for _, value in b.rows)])


@in_house_style
def love_plot(balance: Balance, half_width: float | None = None) -> Drawing:
    """Draw standardised mean differences, with the band of those that count as balanced; `half_width` from `reach`."""
    rows, row = balance.rows, 17.0
    values = Values(("covariate", "standardised_difference"), rows)
    left = min(150.0, 12 + 5.4 * max((len(name) for name, _ in rows), default=1))
    figure = new_figure(40 + row * len(rows) + 16)
    axes = place(figure, left, 40, WIDTH - left - 14, row * len(rows))
    widest = reach([balance]) if half_width is None else half_width
    axes.set_xlim(-widest, widest)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.axvspan(-LIMIT, LIMIT, color=BAND, linewidth=0, zorder=0)
    for edge in (-LIMIT, LIMIT):
        axes.axvline(edge, color=MUTED, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
    axes.axvline(0, color=LINE, linewidth=1, zorder=1)
    for i, (_, value) in enumerate(rows):
        beyond = abs(value) > LIMIT
        axes.plot([0, value], [i, i], color=LINE, linewidth=1, zorder=2)
        axes.plot([value], [i], "s" if beyond else "o", color=VERMILLION if beyond else BLUE, markersize=6, zorder=3)
    axes.set_yticks(range(len(rows)), [short(name.replace("_", " "), 26) for name, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.annotate(
        typeset("-.25"),
        (-LIMIT, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        fontsize=SMALL,
        color=MUTED,
    )
    axes.annotate(
        ".25",
        (LIMIT, 1),
        (0, 3),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        fontsize=SMALL,
        color=MUTED,
    )
    axes.set_xlabel("standardised mean difference")
    axes.locator_params(axis="x", nbins=5)
    plain_ticks(axes)
    told = "; ".join(f"{name.replace('_', ' ')} {fixed(value, 2, sign=True)}" for name, value in rows)
    caption = "Shaded: balanced, within .25 standard deviations. Square: beyond it; the match is imperfect there."
    return Drawing(figure, caption, typeset(f"Standardised mean differences, {balance.label}: {told}."), values)
