"""The report's figures: vector, colour-blind safe (Okabe, Ito), drawn from a `Result` alone.

Every function returns a `Drawing`: a matplotlib figure with its caption and an alternative text that holds the numbers.
Widths are those of a phone, so that a figure is readable there at its own size and only grows on a desk.
"""

from __future__ import annotations

from .canvas import Drawing, save, to_svg

__all__ = ["Drawing", "save", "to_svg"]
