"""What all figures share: size, type, colours, and the way to inline SVG and to files."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..files import csv_text, write_file
from ..numbers import number, printable, typeset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 340
"""Points; a phone of 360 px shows it at nearly its own size."""
TEXT, SMALL = 10.0, 9.0

INK, MUTED, LINE, BAND, FILL, PAPER = "#1c2430", "#566173", "#c3cad3", "#ece5d3", "#a9b8c9", "#fdfcfa"
BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9"

_THEMED = {INK: "ink", MUTED: "muted", LINE: "line", BAND: "band", FILL: "fill", PAPER: "paper", BLUE: "blue",
           VERMILLION: "vermillion"}  # fmt: skip

COMMUNITY_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, MUTED)
COMMUNITY_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""Shape as well as colour, for readers who see no difference between the colours."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Values:
    """The numbers that a figure shows, as a table; an empty cell (None) where there is none."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]

    def csv(self) -> str:
        """Return them as CSV, floats in full."""
        return csv_text(self.columns, self.rows)


@dataclass(frozen=True)
class Drawing:
    """A figure, what stands under it, what a reader who cannot see it is told, and the numbers it shows."""

    figure: Figure
    caption: str
    alt: str
    values: Values


@contextmanager
def house_style() -> Iterator[None]:
    """Fonts, no mathematics in foreign text, and SVG without dates or random ids."""
    import matplotlib

    settings: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": TEXT,
        "text.color": INK,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.labelsize": TEXT,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.frameon": False,
        "legend.fontsize": SMALL,
        "hatch.linewidth": 0.7,
        # a plug-in named "$x$" must be drawn, not parsed
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "neuronull",
        "pdf.fonttype": 42,
    }
    with matplotlib.rc_context(settings):
        yield


def in_house_style(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Run a drawing function under `house_style`."""

    @wraps(draw)
    def styled(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with house_style():
            return draw(*args, **kwargs)

    return styled


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure of `width` x `height` points, without pyplot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_alpha(0)
    return figure


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place given in points from the lower left corner."""
    w, h = (float(side) * 72 for side in figure.get_size_inches())
    axes = figure.add_axes((left / w, bottom / h, width / w, height / h))
    axes.patch.set_alpha(0)
    return axes


def plain_ticks(axes: Axes, *, x: bool = True, y: bool = False) -> None:
    """Tick labels in the house's number style."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for wanted, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        if wanted:
            axis.set_major_formatter(FuncFormatter(lambda v, _: typeset(number(round(float(v), 9)))))
            axis.set_minor_formatter(NullFormatter())


def bare(axes: Axes) -> None:
    """Leave only the data: no ticks, no left axis."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def short(text: str, most: int) -> str:
    """Foreign text on one line and no longer than there is room for."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "\u2026"


def to_svg(drawing: Drawing, key: str) -> str:
    """Inline SVG that follows the page's colours; `key` keeps its ids apart from other figures'."""
    stream = io.StringIO()
    with house_style(), warnings.catch_warnings():
        # the reader's browser has the letters that the measuring font lacks
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        drawing.figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return printable(_inline(stream.getvalue(), key, drawing.alt))


def _inline(svg: str, key: str, alt: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.S)
    svg = _private_ids(svg, key)
    # a style element inside inline SVG would style the whole page
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>\s*", "", svg, flags=re.S)
    svg = svg.replace("font-family: 'DejaVu Sans'; ", "")
    svg = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", svg)
    svg = re.sub(r"(fill|stroke): (#[0-9a-f]{6})", _themed, svg)
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg).groups()  # type: ignore[union-attr]
    opening = (
        f'<svg role="img" aria-label="{escape(alt, quote=True)}" viewBox="0 0 {width} {height}" style="--w: {width}">'
    )
    return opening + re.sub(r"\n\s*", "\n", svg[svg.index(">") + 1 :])


def _private_ids(svg: str, key: str) -> str:
    used = set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", svg))
    svg = re.sub(r' id="([^"]+)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r"(?:xlink:)?href=\"#([^\"]+)\"", rf'href="#{key}-\1"', svg)
    svg = svg.replace("xlink:href", "href")
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", svg)


def _themed(match: re.Match[str]) -> str:
    name = _THEMED.get(match[2])
    return f"{match[1]}: var(--fig-{name}, {match[2]})" if name else match[0]


def save(drawing: Drawing, path: Path | str) -> Path:
    """Write one figure as PDF, SVG or PNG, by the file's ending; equal figures give equal bytes."""
    path = Path(path)
    write_file(path, as_file(drawing, path.suffix.lstrip(".").lower() or "pdf"))
    return path


def as_file(drawing: Drawing, kind: str) -> bytes:
    """Return one figure as the bytes of a file of its own: pdf, svg or png."""
    dates: dict[str, dict[str, str | None]] = {
        "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
        "svg": {"Date": None},
    }
    stream = io.BytesIO()
    with house_style(), warnings.catch_warnings():
        # the reader's viewer has the letters that the measuring font lacks
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        drawing.figure.savefig(stream, format=kind, facecolor="white", dpi=200, metadata=dates.get(kind))
    content = stream.getvalue()
    return printable(content.decode()).encode() if kind == "svg" else content
