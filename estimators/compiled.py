"""Compiling a numeric loop on first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that compiles a function on first call, cached on disk where there is a writable place.

    Parameters
    ----------
    options
        Of `numba.njit`.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            made: Callable[..., Any] = njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no place for its cache
            made = njit(**options)(function)
        return made

    return decorate
