"""How far a run is: bars with the time left on a terminal, one plain line a stage elsewhere.  Standard error only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from ..data.options import Progress, Stage


class _Bar:
    """One stage as a bar."""

    def __init__(self, bars: Bars, name: str, total: int) -> None:
        self._bars, self._name, self._total = bars, name, total
        self._task = bars.add_task(name, total=max(total, 1))
        self._start = time.perf_counter()

    def advance(self, steps: int = 1) -> None:
        self._bars.advance(self._task, steps)

    def done(self) -> None:
        """Turn the bar into a line above the others: a run has more stages than a small terminal has rows."""
        self._bars.remove_task(self._task)
        self._bars.console.print(_line(self._name, self._total, self._start), highlight=False, style="dim")


class BarProgress:
    """Running stages as bars with the time that is left; those that are over as lines above them."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    def stage(self, name: str, total: int) -> AbstractContextManager[Stage]:
        """A stage of `total` steps."""
        return self._stage(name, total)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(text, highlight=False, markup=False)

    @contextmanager
    def _stage(self, name: str, total: int) -> Iterator[Stage]:
        bar = _Bar(self._bars, name, total)
        yield bar
        bar.done()  # not where it failed: its bar shows how far it came


class LineProgress:
    """One line a stage, when it is over: how many steps, how long."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def stage(self, name: str, total: int) -> AbstractContextManager[Stage]:
        """A stage of `total` steps."""
        return self._stage(name, total)

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)

    @contextmanager
    def _stage(self, name: str, total: int) -> Iterator[Stage]:
        start = time.perf_counter()
        yield _Uncounted()
        print(_line(name, total, start), file=self._stream, flush=True)


class _Uncounted:
    def advance(self, steps: int = 1) -> None:
        """Do nothing: a line tells of the whole stage."""


def _line(name: str, total: int, start: float) -> str:
    steps = f", {total} steps" if total > 1 else ""
    return f"{name}: {time.perf_counter() - start:.1f} s{steps}"


@contextmanager
def on_stderr() -> Iterator[Progress]:
    """Progress for a command: bars where standard error is a terminal, else lines."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield LineProgress(sys.stderr)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        yield BarProgress(bars)
