"""Numbers in the sentences that the engine writes: no leading zero, as in every report."""

from __future__ import annotations


def plain_number(value: float, decimals: int | None = None, sign: bool = False) -> str:
    """A number in house style: ``.05``, ``+.12``, ``10.05``.

    Parameters
    ----------
    decimals
        Places after the point; by default as many as the number needs (six significant digits).
    sign
        Whether numbers above zero get a plus.
    """
    text = f"{abs(value):g}" if decimals is None else f"{abs(value):.{decimals}f}"
    if text.startswith("0."):
        text = text[1:]
    return ("-" if value < 0 else "+" if sign else "") + text
