"""What to do about memory: large arrays lie in files, and a tile that does not fit is halved."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from typing import TypeVar

import torch

from ..data.errors import InputError
from ..data.store import cache_directory

T = TypeVar("T")

FILE_BYTES = 2 << 30
"""Arrays on the host that are larger lie in a file: effects of every neuron at every position need not fit."""


def host_tensor(*shape: int) -> torch.Tensor:
    """Return a float32 tensor on the host of any content; beyond `FILE_BYTES`, a mapped file in the cache.

    The file has lost its name by the time this returns, so nothing stays behind however the run ends. Its room on the
    disk is taken at once: a disk that fills up while a mapped file is written kills the process.

    Raises
    ------
    InputError
        If the disk has no room.
    """
    count = math.prod(shape)
    if 4 * count <= FILE_BYTES or os.name != "posix":
        return torch.empty(shape)
    folder = cache_directory() / "scratch"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file, name = tempfile.mkstemp(dir=folder)
        try:
            reserve = getattr(os, "posix_fallocate", lambda file, start, size: os.truncate(file, start + size))
            reserve(file, 0, 4 * count)
            return torch.from_file(name, shared=True, size=count, dtype=torch.float32).view(shape)
        finally:
            os.close(file)
            os.unlink(name)
    except OSError as error:
        raise InputError(
            f"no room for {4 * count / 1e9:.1f} GB of effects in {folder}: {error.strerror or error}",
            "",
            "free some space, point NEURONULL_CACHE elsewhere, or take fewer --documents",
        ) from error


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
