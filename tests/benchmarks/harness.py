"""What all benchmarks share: interleaved rounds, medians with quartiles, ratios against a named peer, table and JSON.

In every round each contender runs once, in turn, so that other load on the machine meets all of them; ratios are taken
within a round.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("torch", "numpy", "scipy", "transformers", "igraph", "leidenalg", "networkx", "numba")


@dataclass(frozen=True)
class Contender:
    """Somebody who does the work.

    Parameters
    ----------
    name
        As the table calls it.
    call
        Does `units` units of the work and returns its result.
    units
        How many units (neurons, ablations, graphs, ...) one call does; seconds are divided by it.
    bar
        How many times faster than this contender ours must be, or None.
    """

    name: str
    call: Callable[[], Any]
    units: float = 1
    bar: float | None = None


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    q25: float
    q75: float


@dataclass(frozen=True)
class Row:
    """One contender of one benchmark.

    ``ratio`` is its time over ours within a round; ``calls`` and ``units`` say how much was timed in each round;
    ``check`` says how its results were compared with ours.
    """

    benchmark: str
    contender: str
    unit: str
    seconds: Spread
    ratio: Spread
    bar: float | None
    rounds: int
    units: float
    check: str = ""

    @property
    def missed(self) -> bool:
        """Whether there is a bar and the median ratio is below it."""
        return self.bar is not None and self.ratio.median < self.bar


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that `call` takes, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return Spread(float(middle), float(low), float(high))


def compete(
    benchmark: str,
    unit: str,
    contenders: Sequence[Contender],
    rounds: int,
    check: Callable[[dict[str, Any]], dict[str, str]] | None = None,
) -> list[Row]:
    """Time the contenders against the first of them, ours.

    Parameters
    ----------
    check
        Given the last result of each contender by name; raises where one is not what ours is, and returns, by name,
        what was compared.
    """
    seconds: dict[str, list[float]] = {one.name: [] for one in contenders}
    results: dict[str, Any] = {}
    for _ in range(rounds):
        for one in contenders:
            took, results[one.name] = timed(one.call)
            seconds[one.name].append(took / one.units)
    said = check(results) if check else {}
    own = seconds[contenders[0].name]
    return [
        Row(
            benchmark,
            one.name,
            unit,
            spread(seconds[one.name]),
            spread([theirs / ours for theirs, ours in zip(seconds[one.name], own, strict=True)]),
            one.bar,
            rounds,
            one.units,
            said.get(one.name, ""),
        )
        for one in contenders
    ]


def markdown(rows: Sequence[Row]) -> str:
    """Lay out the table: time a unit, ratio and bar of every contender."""
    lines = [
        "| benchmark | contender | median | quartiles | times ours | quartiles | bar | timed a round | same results |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        bar = "" if row.bar is None else f"{row.bar:g} {'**missed**' if row.missed else 'met'}"
        lines.append(
            f"| {row.benchmark} | {row.contender} | {_time(row.seconds.median)} a {row.unit} "
            f"| {_time(row.seconds.q25)} - {_time(row.seconds.q75)} | {row.ratio.median:.3g} "
            f"| {row.ratio.q25:.3g} - {row.ratio.q75:.3g} | {bar} | {row.units:g} x {row.rounds} | {row.check} |"
        )
    return "\n".join(lines)


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"


def machine() -> dict[str, Any]:
    """What the figures were taken on; the load is that of the last minute, everything that runs."""
    import torch

    return {
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "versions": {name: metadata.version(name) for name in LIBRARIES},
    }


def write(path: Path, rows: Sequence[Row], further: dict[str, Any]) -> None:
    """Write rows and machine as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine(), "rows": [asdict(row) | {"missed": row.missed} for row in rows], **further}
    path.write_text(json.dumps(report, indent=1) + "\n")
