"""What a run leaves beside its results: when, how, with what, how long.  None of it enters ``results.*``."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from .data.options import Progress, Stage, part


class Timed:
    """Progress that passes everything on and keeps how long each stage took."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._prefix = ""
        self.seconds: dict[str, float] = {}

    def stage(self, name: str, total: int) -> AbstractContextManager[Stage]:
        """A stage of `total` steps, timed."""
        return self._timed(name, total)

    @contextmanager
    def _timed(self, name: str, total: int) -> Iterator[Stage]:
        start, label = time.perf_counter(), self._prefix + name
        try:
            with self._progress.stage(label, total) as stage:
                yield stage
        finally:
            self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - start

    def say(self, text: str) -> None:
        """Tell something that is no stage, where the progress has a way to."""
        say = getattr(self._progress, "say", None)  # a user's own progress need not have one
        if say is not None:
            say(self._prefix + text)

    def expects(self, seconds: float) -> None:
        """Tell how long all that comes now will take, where the progress has a way to show it."""
        expects = getattr(self._progress, "expects", None)
        if expects is not None:
            expects(seconds)

    def part(self, name: str, stages: int) -> AbstractContextManager[Any]:
        """A part of `stages` stages."""
        return part(self._progress, self._prefix + name, stages)

    @contextmanager
    def labelled(self, prefix: str) -> Iterator[Timed]:
        """Put `prefix` before the names of the stages inside."""
        before, self._prefix = self._prefix, prefix
        try:
            yield self
        finally:
            self._prefix = before


def provenance(started: datetime, options: dict[str, Any], plan: dict[str, Any], timed: Timed) -> dict[str, Any]:
    """Everything about a run that may differ between equal runs.

    Parameters
    ----------
    started
        When the run began, UTC.
    options
        Every option, given or by default.
    plan
        What was declared, its hash, and whether it was frozen beforehand.
    timed
        Seconds a stage.
    """
    ended = datetime.now(UTC)
    return {
        "started": started.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        "seconds": round((ended - started).total_seconds(), 3),
        "stages": {name: round(seconds, 3) for name, seconds in timed.seconds.items()},
        "command": [_program(), *sys.argv[1:]],
        "options": options,
        "plan": plan,
        "versions": versions(),
        "machine": machine(),
        "peak_memory_mib": peak_memory(),
    }


def _program() -> str:
    """The program as one would type it again; ``python -m neuronull`` is the command itself."""
    name = Path(sys.argv[0]).name
    return "neuronull" if name == "__main__.py" else name


def versions() -> dict[str, str]:
    """Version of Python, of neuronull and of every package it needs directly."""
    found = {"python": platform.python_version()}
    for name in ["neuronull", *(_direct_requirements())]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed
    return found


def _direct_requirements() -> list[str]:
    lines = requires("neuronull") or []
    names = [line.split(";")[0] for line in lines if "extra ==" not in line]
    return sorted({"".join(ch if ch.isalnum() or ch in "-_." else " " for ch in name).split()[0] for name in names})


def machine() -> dict[str, Any]:
    """Kind of machine and device, without its name."""
    import torch

    found: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
    }
    if torch.cuda.is_available():
        found["cuda"] = {"device": torch.cuda.get_device_name(), "version": torch.version.cuda}
    return found


def peak_memory() -> dict[str, float]:
    """Largest resident memory so far of this process, of its largest worker, and on the GPU, in MiB."""
    peaks: dict[str, float] = {}
    try:
        import resource
    except ImportError:  # Windows has no such module
        return peaks
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    for name, who in (("process", resource.RUSAGE_SELF), ("worker", resource.RUSAGE_CHILDREN)):
        peaks[name] = round(resource.getrusage(who).ru_maxrss * unit / 2**20, 1)
    import torch

    if torch.cuda.is_available():
        peaks["gpu"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return peaks
