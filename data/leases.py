"""Which half-written folders belong to a run that is alive: those whose lease is locked.

A number of a process says nothing in a container, where every run is number 1, nor after a restart.  The system lets
go of a file's lock when the process that holds it ends, however it ends.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEASE = ".lease"
"""How the name of the file goes on that stands beside a half-written folder, and that its run keeps locked."""
PARTIAL = ".partial"
"""How the names of half-written folders end."""
_UNLOCKED = 3600.0
"""Seconds after which a half-written folder without a lease is a dead run's: between folder and lease lies no time."""


@contextmanager
def leased(folder: Path) -> Iterator[None]:
    """Within the context, `folder` is known to belong to a living run; afterwards its lease is gone.

    Where files cannot be locked the folder stands without a lock, and is a dead run's after an hour.
    """
    lease = _lease(folder)
    try:
        lease.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(lease, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # where nothing can be written there is nothing to hold
        yield
        return
    try:
        _lock(file)
        yield
    finally:
        os.close(file)
        lease.unlink(missing_ok=True)


def locked(folder: Path) -> bool:
    """Whether a run that is under way holds the lease of this folder; where locks cannot be asked for, yes."""
    try:
        file = os.open(_lease(folder), os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        return not _lock(file)
    finally:
        os.close(file)


def alive(folder: Path) -> bool:
    """Whether a run that is under way writes this half-written folder; in doubt, yes."""
    if _lease(folder).exists():
        return locked(folder)
    try:
        return time.time() - folder.stat().st_mtime < _UNLOCKED
    except OSError:
        return False


def sweep(parent: Path, stem: str) -> list[Path]:
    """Remove what dead runs left half-written in `parent` for a folder of this name; return what was removed."""
    removed = []
    if parent.is_dir():
        for folder in parent.glob(f".{_literal(stem)}.*{PARTIAL}"):
            if folder.is_dir() and not folder.is_symlink() and not alive(folder):
                shutil.rmtree(folder, ignore_errors=True)
                end_of(folder)
                removed.append(folder)
    return removed


def end_of(folder: Path) -> None:
    """Remove the lease of a folder that is gone."""
    _lease(folder).unlink(missing_ok=True)


def _lease(folder: Path) -> Path:
    return folder.with_name(folder.name + LEASE)


def _literal(name: str) -> str:
    """A name as a pattern that matches it alone."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _lock(file: int) -> bool:
    """Lock a file unless another process has; whether it is locked now by this one."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
