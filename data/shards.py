"""Finished parts of a measurement that is under way: what a run that was killed has done is not done again.

Every ten seconds a stage writes what it has finished since (`Kept.add`): a *shard*, one file with the numbers of its
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .leases import leased

SECONDS = 10.0
"""Work that a kill can cost: a stage writes what it has done when so much time has gone by."""
SUFFIX = ".shard"

_log = logging.getLogger(__name__)


class Shards:
    """The shards of one measurement, in a folder that is made when the first is written; None keeps none."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @contextmanager
    def stage(self, name: str, values: torch.Tensor) -> Iterator[Kept]:
        """One stage of the work; what it has finished is kept when the context ends, by an error too.

        Parameters
        ----------
        name
            One for each stage of a measurement.
        values
            What the stage fills in, float32, the items on the first axis.
        """
        kept = Kept(self._folder, name, values)
        try:
            yield kept
        finally:
            kept.close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within the context the folder is known to be a living run's."""
        if self._folder is None:
            yield
            return
        with leased(self._folder):
            yield

    def remove(self) -> None:
        """Remove all of them."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


class Kept:
    """What is finished of one stage."""

    def __init__(self, folder: Path | None, name: str, values: torch.Tensor) -> None:
        self._folder, self._name, self._values = folder, name, values
        self._pending: list[int] = []
        self._began = self._written = time.monotonic()

    def fill(self) -> list[int]:
        """Fill in what earlier runs finished, and return the items, ascending.

        A shard that is damaged, or of other items than there are, is removed and done again.
        """
        done: set[int] = set()
        for path in sorted(self._folder.glob(f"{self._name}.*{SUFFIX}")) if self._folder is not None else ():
            found = _load(path, self._values)
            if found is None:
                if path.exists():  # else a run beside this one has just finished and removed them
                    _log.warning("%s of a run that was cut off is damaged, and its work is done again", path.name)
                    path.unlink(missing_ok=True)
                continue
            items, values = found
            self._values[items] = values
            done.update(items)
        return sorted(done)

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
            _save(self._folder, self._name, items, self._values[items])
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


def _load(path: Path, into: torch.Tensor) -> tuple[list[int], torch.Tensor] | None:
    """Items and values of a shard; None where it is no whole one that fits `into`."""
    try:
        with safe_open(path, "pt") as file:
            written = (file.metadata() or {}).get("sha256")
            tensors = {name: file.get_tensor(name) for name in ("items", "values")}
    except (OSError, SafetensorError):
        return None
    items, values = tensors["items"], tensors["values"]
    if items.ndim != 1 or values.shape != (len(items), *into.shape[1:]) or values.dtype != into.dtype:
        return None
    if written != _hash(tensors) or not ((items >= 0) & (items < len(into))).all():
        return None
    return items.tolist(), values


def _hash(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in ("items", "values"):
        digest.update(tensors[name].numpy().data.cast("B"))
    return digest.hexdigest()
