"""What lies in the cache, and how to empty it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import schema
from .leases import LEASE, PARTIAL, alive, end_of, locked
from .store import cache_directory

MEASUREMENTS, SHARDS, SCRATCH = "measurements", "shards", "scratch"
"""Folders of the cache."""


@dataclass(frozen=True)
class CacheEntry:
    """One thing in the cache.

    ``kind``: *measurement* (whole), *unfinished* (shards of a run that was cut off), *leftover* (half of a copy that a
    dead run left), *writing* (either of a living run).  ``bytes``: what it takes on the disk.
    ``modified``: seconds since 1970.  ``what``: model, layer and corpus, where it tells them.
    """

    path: Path
    kind: Literal["measurement", "unfinished", "leftover", "writing"]
    bytes: int
    modified: float
    what: str


def entries() -> list[CacheEntry]:
    """Everything in the cache, largest first."""
    found = []
    for path in _paths():
        with suppress(FileNotFoundError):  # a run has just finished with it
            found.append(_entry(path))
    return sorted(found, key=lambda entry: (-entry.bytes, entry.path.name))


def remove(entry: CacheEntry) -> bool:
    """Remove it from the disk; whether it is gone."""
    if entry.path.is_dir() and not entry.path.is_symlink():
        shutil.rmtree(entry.path, ignore_errors=True)
        end_of(entry.path)
    else:
        entry.path.unlink(missing_ok=True)
    return not entry.path.exists()


def _paths() -> Iterator[Path]:
    for room in (MEASUREMENTS, SHARDS, SCRATCH):
        folder = cache_directory() / room
        if folder.is_dir():
            yield from (path for path in folder.iterdir() if not path.name.endswith(LEASE))


def _entry(path: Path) -> CacheEntry:
    room = path.parent.name
    kind: Literal["measurement", "unfinished", "leftover", "writing"]
    if room == SHARDS:
        kind = "writing" if locked(path) else "unfinished"
    elif path.name.endswith(PARTIAL):
        kind = "writing" if alive(path) else "leftover"
    else:
        kind = "measurement" if room == MEASUREMENTS else "leftover"
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    sizes = [file.stat() for file in files]
    modified = max((size.st_mtime for size in sizes), default=path.stat().st_mtime)
    return CacheEntry(path, kind, sum(size.st_size for size in sizes), modified, _told(path))


def _told(path: Path) -> str:
    """What was measured on what, in a few words; empty where the manifest does not say."""
    try:
        manifest = json.loads((path / schema.MANIFEST).read_text(encoding="utf-8"))
        return f"{manifest['model']['id']}, layer {manifest['layer']}, {manifest['corpus']['id']}"
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return ""
