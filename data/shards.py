"""Finished parts of a measurement that is under way: what a run that was killed has done is not done again.

Every ten seconds, or with ``--shard-documents N`` after N documents, a stage writes what it has finished since
(`Kept.add`): a *shard*, one file with the numbers of its items (documents, or rows of scored positions) and their
values.  A shard is there whole or not at all, and its hash is checked.  The next run with the same inputs reads the
shards and does what is left; when the measurement is whole, they are removed.  Values are a function of the item alone,
so nothing depends on where a run was cut off.
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
    """The shards of one measurement, in a folder that is made when the first is written; None keeps none.

    Parameters
    ----------
    documents
        Documents, or tiles of positions, after which one is written; by time if None.
    """

    def __init__(self, folder: Path | None = None, documents: int | None = None) -> None:
        self._folder, self._documents = folder, documents

    @contextmanager
    def stage(self, name: str, *values: torch.Tensor) -> Iterator[Kept]:
        """One stage of the work; what it has finished is kept when the context ends, by an error too.

        Parameters
        ----------
        name
            One for each stage of a measurement.
        values
            What the stage fills in, the items on the first axis of each.
        """
        kept = Kept(self._folder, name, values, self._documents)
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

    def __init__(
        self, folder: Path | None, name: str, values: Sequence[torch.Tensor], documents: int | None = None
    ) -> None:
        self._folder, self._name, self._values, self._documents = folder, name, tuple(values), documents
        self._added = 0
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
            for whole, part in zip(self._values, values, strict=True):
                whole[items] = part
            done.update(items)
        return sorted(done)

    def add(self, items: Sequence[int]) -> None:
        """The items of one more document, or tile, are finished."""
        if self._folder is None:
            return
        self._pending += items
        self._added += 1
        if self._due():
            self._write()

    def close(self) -> None:
        """Keep what is pending, unless the whole stage took no time worth keeping."""
        if self._pending and (self._documents is not None or time.monotonic() - self._began >= SECONDS):
            self._write()

    def _due(self) -> bool:
        if self._documents is not None:
            return self._added >= self._documents
        return time.monotonic() - self._written >= SECONDS

    def _write(self) -> None:
        if self._folder is None:
            return
        items, self._pending, self._added = self._pending, [], 0
        try:
            _save(self._folder, self._name, items, [whole[items] for whole in self._values])
        except (OSError, SafetensorError) as error:
            _log.warning("what is done cannot be kept for a later run, which would begin again: %s", error)
            self._folder = None
        self._written = time.monotonic()


def told(name: str, done: int, total: int, what: str) -> str:
    """Name of a stage for whoever watches: where it goes on, with what was done before."""
    return f"{name} ({done:,} of {total:,} {what} done before)" if done else name


def _save(folder: Path, name: str, items: list[int], values: Sequence[torch.Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    work = folder / f".{uuid.uuid4().hex}"
    tensors = {"items": torch.tensor(items, dtype=torch.int64)}
    tensors |= {f"values.{k}": part.contiguous() for k, part in enumerate(values)}
    try:
        save_file(tensors, work, {"sha256": _hash(tensors)})
        with work.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(work, folder / f"{name}.{items[0]:08d}.{len(items)}{SUFFIX}")
    finally:
        work.unlink(missing_ok=True)


def _load(path: Path, into: Sequence[torch.Tensor]) -> tuple[list[int], list[torch.Tensor]] | None:
    """Items and values of a shard; None where it is no whole one that fits `into`."""
    try:
        with safe_open(path, "pt") as file:
            written = (file.metadata() or {}).get("sha256")
            tensors = {name: file.get_tensor(name) for name in ("items", *(f"values.{k}" for k in range(len(into))))}
    except (OSError, SafetensorError):
        return None
    items, *values = tensors.values()
    if items.ndim != 1 or items.dtype != torch.int64 or not ((items >= 0) & (items < len(into[0]))).all():
        return None
    for whole, part in zip(into, values, strict=True):
        if part.shape != (len(items), *whole.shape[1:]) or part.dtype != whole.dtype:
            return None
    return (items.tolist(), values) if written == _hash(tensors) else None


def _hash(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
