"""Compiling a numeric loop on first call, and how many threads there are beside those of such loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import torch
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


def settled_threads() -> int:
    """Return how many threads PyTorch has, once compiled loops have started theirs.

    Where both share an OpenMP library, the first parallel loop of numba gives PyTorch its own number of threads, and
    sums round otherwise from there on; so it is started before anything is measured, and PyTorch's number put back.
    """
    threads = torch.get_num_threads()
    numba.get_num_threads()
    torch.set_num_threads(threads)
    return threads
