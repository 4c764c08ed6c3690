"""What to do about memory: large arrays lie in files, and a tile that does not fit is halved."""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Callable
from typing import TypeVar

import torch

from ..data.errors import InputError
from ..data.store import cache_directory

T = TypeVar("T")

_log = logging.getLogger(__name__)

FILE_BYTES = 2 << 30
"""Arrays on the host that are larger lie in a file: effects of every neuron at every position need not fit."""


def host_tensor(*shape: int) -> torch.Tensor:
    """Return a float32 tensor on the host of any content; beyond `FILE_BYTES`, on Linux, a mapped file in the cache.

    The file has lost its name by the time this returns, so nothing stays behind however the run ends. Its room on the
    disk is taken at once: a disk that fills up while a mapped file is written kills the process. Where there is no
    such file to be had, the tensor lies in memory, with a warning.

    Raises
    ------
    InputError
        If there is no room in memory either.
    """
    size = 4 * math.prod(shape)
    if size > FILE_BYTES and hasattr(os, "posix_fallocate"):
        try:
            return _mapped(size).view(shape)
        except (OSError, RuntimeError) as error:  # PyTorch's own where mapping fails
            _log.warning("%.1f GB of effects go to memory, not to a file: %s", size / 1e9, error)
    try:
        return torch.empty(shape)
    except (MemoryError, RuntimeError) as error:
        raise InputError(
            f"no room for {size / 1e9:.1f} GB of effects, in memory or in {cache_directory()}",
            "",
            "free some space, point NEURONULL_CACHE elsewhere, or take fewer --documents",
        ) from error


def _mapped(size: int) -> torch.Tensor:
    """Return a tensor of so many bytes in a file of the cache that has no name any more."""
    folder = cache_directory() / "scratch"
    folder.mkdir(parents=True, exist_ok=True)
    file, name = tempfile.mkstemp(dir=folder)
    try:
        os.posix_fallocate(file, 0, size)
        return torch.from_file(name, shared=True, size=size // 4, dtype=torch.float32)
    finally:
        os.close(file)
        os.unlink(name)


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
                    "use a shorter --context, a machine with more memory or, for the last layer, --dtype bfloat16",
                ) from error
        # outside the handler, so that the traceback no longer holds the tensors of the failed attempt
        tile //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
