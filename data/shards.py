"""Finished parts of a measurement that is under way: what a run that was killed has done is not done again.

Every ten seconds a stage writes what it has finished since (`Stage.add`): a *shard*, one file with the numbers of its
items (documents, or rows of scored positions) and their values.  A shard is there whole or not at all, and its hash is
checked.  The next run with the same inputs reads the shards and does what is left; when the measurement is whole, they
are removed.  Values are a function of the item alone, so nothing depends on where a run was cut off.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .measurements import IntArray

SECONDS = 10.0
"""Work that a kill can cost: a stage writes what it has done when so much time has gone by."""
SUFFIX = ".shard"

_log = logging.getLogger(__name__)

Read = Callable[[list[int]], torch.Tensor]
"""Values of some items, first axis the items; read when a shard is written."""


class Shards:
    """The shards of one measurement, in a folder that is made when the first is written; None keeps none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @contextmanager
    def stage(self, name: str, read: Read) -> Iterator[Stage]:
        """One stage of the work; what it has finished is kept when the context ends, by an error too."""
        stage = Stage(self._folder, name, read)
        try:
            yield stage
        finally:
            stage.close()

    def remove(self) -> None:
        """Remove all of them."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class Stage:
    """What is finished of one stage."""

    def __init__(self, folder: Path | None, name: str, read: Read) -> None:
        self._folder, self._name, self._read = folder, name, read
        self._pending: list[int] = []
        self._began = self._written = time.monotonic()

    def finished(self, shape: Sequence[int], known: IntArray) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Yield what earlier runs finished: items, and their values [items, *shape].

        A shard that is damaged, of another shape or of items that are not `known` is removed and done again.
        """
        if self._folder is None or not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob(f"{self._name}.*{SUFFIX}")):
            found = _load(path, tuple(shape))
            if found is None or not np.isin(found[0], known).all():
                _log.warning("%s of a run that was cut off is damaged, and its work is done again", path.name)
                path.unlink(missing_ok=True)
                continue
            yield found

    def add(self, items: Sequence[int]) -> None:
        """Some items are finished."""
        if self._folder is None:
            return
        self._pending += items
        if time.monotonic() - self._written >= SECONDS:
            self._write()

    def close(self) -> None:
        """Keep what is pending, unless the whole stage took no time worth keeping."""
        if self._pending and time.monotonic() - self._began >= SECONDS:
            self._write()

    def _write(self) -> None:
        if self._folder is None:
            return
        items, self._pending = self._pending, []
        try:
            _save(self._folder, self._name, items, self._read(items))
        except (OSError, SafetensorError) as error:
            _log.warning("what is done cannot be kept for a later run, which would begin again: %s", error)
            self._folder = None
        self._written = time.monotonic()


def told(name: str, done: int, total: int, what: str) -> str:
    """Name of a stage for whoever watches: where it goes on, with what was done before."""
    return f"{name} ({done:,} of {total:,} {what} done before)" if done else name


def _save(folder: Path, name: str, items: list[int], values: torch.Tensor) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / f".{uuid.uuid4().hex}"
    tensors = {"items": torch.tensor(items, dtype=torch.int64), "values": values.contiguous()}
    try:
        save_file(tensors, work, {"sha256": _hash(tensors)})
        with work.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(work, folder / f"{name}.{items[0]:08d}.{len(items)}{SUFFIX}")
    finally:
        work.unlink(missing_ok=True)


def _load(path: Path, shape: tuple[int, ...]) -> tuple[list[int], torch.Tensor] | None:
    """Items and values of a shard; None where it is no whole one of this shape."""
    try:
        with safe_open(path, "pt") as file:
            told = (file.metadata() or {}).get("sha256")
            tensors = {name: file.get_tensor(name) for name in ("items", "values")}
    except (OSError, SafetensorError):
        return None
    items, values = tensors["items"], tensors["values"]
    whole = items.ndim == 1 and tuple(values.shape) == (len(items), *shape) and values.dtype == torch.float32
    return (items.tolist(), values) if whole and told == _hash(tensors) else None


def _hash(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in ("items", "values"):
        digest.update(tensors[name].numpy().data.cast("B"))
    return digest.hexdigest()
