"""Lengths of time for people."""

from __future__ import annotations


def length(seconds: float) -> str:
    """Return a length of time as seconds, minutes or hours, whichever reads best."""
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
