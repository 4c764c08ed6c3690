"""How the cost of influence grows: seconds at three sizes each of T, N and V, and peak memory at three of T.

    python -m tests.benchmarks.costs [--rounds 3] [--out build/costs]

Seconds are those of the closed form over all positions, u already folded. Slopes are of log seconds on log size: 1 is
linear. Memory is the highest resident set of a process of its own while it works, less what was resident when inputs
and output already lay in memory; the high-water mark is set back in between (Linux).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from neuronull.estimators.closed_form import ClosedForm
from neuronull.estimators.influence import influence
from neuronull.estimators.readout import Readout

from .harness import machine, spread, timed
from .shapes import gpt2_shape, prepare, random_texts

WIDTH = 128
BASE = {"T": 2048, "N": 1024, "V": 8192}
FACTORS = (1, 2, 4)
MEMORY_T = (4096, 16384, 65536)
MEMORY_SHAPE = {"N": 256, "V": 4096}
LARGEST_EXTRA = 2e9
"""Bytes that influence on GPT-2 small's shape may take beside model, inputs and output."""


def problem(positions: int, neurons: int, vocabulary: int) -> tuple[Readout, tuple[torch.Tensor, ...]]:
    """A random read-out, and residual streams, changes and targets, of which a few per cent need the exact way."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random)

    w = normal(neurons, WIDTH)
    readout = Readout(True, 1e-5, 0.2 * normal(vocabulary, WIDTH), None, w - w.mean(1, keepdim=True))
    # heavy tails, as activations have them
    change = 0.02 * normal(positions, neurons) * normal(positions, 1).exp()
    target = torch.randint(vocabulary, (positions,), generator=random)
    return readout, (3 * normal(positions, WIDTH), change, target)


def work(form: ClosedForm, inputs: tuple[torch.Tensor, ...], out: torch.Tensor) -> None:
    """Write D of all positions."""
    for start in range(0, len(out), form.tile):
        rows = slice(start, start + form.tile)
        out[rows] = form.effects(*(part[rows] for part in inputs))


def growth(rounds: int) -> list[dict[str, Any]]:
    """Seconds at three sizes each, rounds interleaved."""
    rows = []
    for letter in BASE:
        sizes = [BASE[letter] * factor for factor in FACTORS]
        seconds: dict[int, list[float]] = {size: [] for size in sizes}
        exact: dict[int, float] = {}
        prepared = {}
        for size in sizes:
            shape = BASE | {letter: size}
            readout, inputs = problem(shape["T"], shape["N"], shape["V"])
            prepared[size] = ClosedForm(readout), inputs, torch.zeros(shape["T"], shape["N"])
        for _ in range(rounds):
            for size, one in prepared.items():
                seconds[size].append(timed(lambda one=one: work(*one))[0])  # type: ignore[misc]
                exact[size] = one[0].exact_entries / one[0].entries
        medians = [spread(seconds[size]).median for size in sizes]
        slope = float(np.polyfit(np.log(sizes), np.log(medians), 1)[0])
        for size in sizes:
            rows.append(
                {"size": letter, "value": size, "slope": slope, "exact": exact[size]} | vars(spread(seconds[size]))
            )
    return rows


def resident(field: str) -> float:
    """Bytes of this process: ``VmRSS`` now, or ``VmHWM``, the highest since it was set back."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024.0 * int(line.split()[1])
    raise RuntimeError(f"the system does not tell {field}")


def extra_memory(call: Callable[[], object]) -> float:
    """Bytes by which `call` raises the highest resident set."""
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to VmRSS
    call()
    return resident("VmHWM") - before


def memory_at(positions: int) -> float:
    """Extra bytes of the closed form over so many positions; 0 positions: `influence` on GPT-2 small's shape."""
    if positions:
        readout, inputs = problem(positions, MEMORY_SHAPE["N"], MEMORY_SHAPE["V"])
        out = torch.zeros(positions, MEMORY_SHAPE["N"])
        return extra_memory(lambda: work(ClosedForm(readout), inputs, out))
    bench = prepare(gpt2_shape(), random_texts(50257, 4, 256))
    inputs = (bench.panel, bench.residual, bench.activation, bench.layer)
    return extra_memory(lambda: influence(bench.loaded, bench.documents, *inputs))


def in_a_process(positions: int) -> float:
    """`memory_at` in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.costs", "--memory", str(positions)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def markdown(rows: list[dict[str, Any]], memory: dict[int, float]) -> str:
    """Both tables."""
    fixed = ", ".join(f"{letter} = {value:,}" for letter, value in BASE.items())
    lines = [
        f"Closed form, d = {WIDTH}; what does not vary: {fixed}",
        "",
        "| | size | median s | quartiles | slope | exact entries |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['size']} | {r['value']:,} | {r['median']:.3f} | {r['q25']:.3f} - {r['q75']:.3f} | {r['slope']:.2f} "
            f"| {r['exact']:.1%} |"
            for r in rows
        ),
        "",
        "| extra memory | MB |",
        "|---|---|",
        *(f"| closed form, T = {t:,} | {m / 1e6:,.0f} |" for t, m in memory.items() if t),
    ]
    if 0 in memory:
        met = "met" if memory[0] <= LARGEST_EXTRA else "**missed**"
        lines.append(
            f"| influence with its audit, GPT-2 small's shape, T = 1,008 (bar 2,000: {met}) | {memory[0] / 1e6:,.0f} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the tables and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("build/costs"), help="without ending; .md and .json")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory is not None:
        print(memory_at(options.memory))
        return 0
    rows = growth(options.rounds)
    memory = {t: in_a_process(t) for t in (*MEMORY_T, 0)} if Path("/proc/self/clear_refs").exists() else {}
    text = markdown(rows, memory)
    print(text)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".md").write_text(text + "\n")
    report = {"machine": machine(), "base": BASE, "growth": rows, "extra_memory_bytes": memory}
    options.out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
