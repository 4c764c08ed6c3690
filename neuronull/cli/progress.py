"""How far a run is: bars with the time left on a terminal, one plain line a stage elsewhere.  Standard error only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from ..data.options import Progress, Stage

_ROOM = 34
"""Columns for the name of a stage; a bar with its numbers takes the rest of 80."""


class _Bar:
    """One stage as a bar."""

    def __init__(
        self, bars: Bars, name: str, total: int, unit: str = "steps", then: Callable[[], None] | None = None
    ) -> None:
        self._bars, self._name, self._total, self._unit, self._then = bars, name, total, unit, then
        self._task = bars.add_task(name, total=max(total, 1))
        self._start = time.perf_counter()
        self._left = max(total, 1)

    def advance(self, steps: int = 1) -> None:
        """So many steps more, but never past the end: how many stages a part has is known about."""
        steps = min(steps, self._left)
        self._left -= steps
        self._bars.advance(self._task, steps)
        if self._then is not None:
            self._then()

    def done(self, *, told: bool = True) -> None:
        """Turn the bar into a line above the others: a run has more stages than a small terminal has rows."""
        self._bars.remove_task(self._task)
        if told:
            line = _line(self._name, self._total, self._start, self._unit)
            self._bars.console.print(line, highlight=False, style="dim")


class BarProgress:
    """Running stages as bars with the time that is left; those that are over as lines above them.

    The stages of a part have one line together, when the part is over, and while it runs a bar for all of it.
    """

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._part: _Bar | None = None
        self._whole: tuple[TaskID, float, float] | None = None

    def stage(self, name: str, total: int) -> AbstractContextManager[Stage]:
        """A stage of `total` steps."""
        return self._stage(name, total)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(text, highlight=False, markup=False)

    def expects(self, seconds: float) -> None:
        """Show a bar for all that takes about so many seconds from now, until they are over."""
        task = self._bars.add_task("all measuring, in seconds", total=max(1, round(seconds)))
        self._whole = task, time.perf_counter(), seconds

    def _time_goes_on(self) -> None:
        if self._whole is None:
            return
        task, start, seconds = self._whole
        gone = time.perf_counter() - start
        if gone < seconds:
            self._bars.update(task, completed=int(gone))
            return
        self._bars.remove_task(task)  # it takes longer than was said: better no number than a wrong one
        self._whole = None

    @contextmanager
    def part(self, name: str, stages: int) -> Iterator[None]:
        """A part of `stages` stages, or nothing within another part."""
        if self._part is not None:
            yield
            return
        self._part = _Bar(self._bars, name, stages, "stages")
        try:
            yield
            self._part.done()
        finally:
            self._part = None

    @contextmanager
    def _stage(self, name: str, total: int) -> Iterator[Stage]:
        bar = _Bar(self._bars, _short(name), total, then=self._time_goes_on)
        yield bar
        bar.done(told=self._part is None)  # not where it failed: its bar shows how far it came
        if self._part is not None:
            self._part.advance()


class LineProgress:
    """One line a stage or part, when it is over: how many steps, how long."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._inside = False

    def stage(self, name: str, total: int) -> AbstractContextManager[Stage]:
        """A stage of `total` steps."""
        return self._timed(name, total, told=not self._inside)

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)

    @contextmanager
    def part(self, name: str, stages: int) -> Iterator[None]:
        """A part of `stages` stages, or nothing within another part."""
        if self._inside:
            yield
            return
        self._inside = True
        try:
            with self._timed(name, stages, told=True, unit="stages"):
                yield
        finally:
            self._inside = False

    @contextmanager
    def _timed(self, name: str, total: int, *, told: bool, unit: str = "steps") -> Iterator[Stage]:
        start = time.perf_counter()
        yield _Uncounted()
        if told:
            print(_line(name, total, start, unit), file=self._stream, flush=True)


class _Uncounted:
    def advance(self, steps: int = 1) -> None:
        """Do nothing: a line tells of the whole stage."""


def _short(name: str) -> str:
    """A name that leaves room for a bar on a terminal of 80 columns."""
    return name if len(name) <= _ROOM else f"{name[: _ROOM - 1]}\u2026"


def _line(name: str, total: int, start: float, unit: str = "steps") -> str:
    steps = f", {total} {unit}" if total > 1 else ""
    return f"{name}: {time.perf_counter() - start:.1f} s{steps}"


def columns() -> tuple[ProgressColumn, ...]:
    """What a bar shows, within 80 columns."""
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=14),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )


@contextmanager
def on_stderr() -> Iterator[Progress]:
    """Progress for a command: bars where standard error is a terminal, else lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield LineProgress(sys.stderr)
        return
    with Bars(*columns(), console=console) as bars:
        yield BarProgress(bars)
