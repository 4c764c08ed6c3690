"""Going on with a smaller tile after running out of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from ..data.errors import InputError

T = TypeVar("T")


def out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that the device or the machine has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # PyTorch's CPU allocator raises a plain RuntimeError
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def with_back_off(work: Callable[[int], T], tile: int, what: str) -> tuple[T, int]:
    """Return ``work(tile)`` and the tile that it went through with, halved as often as memory ran out.

    Parameters
    ----------
    work
        What to do, given a tile size.
    tile
        The tile to begin with, at least 1.
    what
        What the tile counts, for the message.

    Raises
    ------
    InputError
        If there is not enough memory for a tile of 1.
    """
    while True:
        try:
            return work(tile), tile
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if tile <= 1:
                raise InputError(
                    f"out of memory with one {what} at a time",
                    "",
                    "use a shorter --context, --dtype bfloat16, or a machine with more memory",
                ) from error
        # outside the handler, so that the traceback no longer holds the tensors of the failed attempt
        tile //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
