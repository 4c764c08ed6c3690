"""The tests on measurements of GPT-2 XL's shape: how long, and how much memory, once measuring is done.

    python -m tests.benchmarks.large [--folder DIR] [--documents 200] [--neurons 6400] [--layers 48] [--heads 25]

Planted null measurements (14 GB with the defaults, in a folder that is removed afterwards), then `neuronull run
--measurements` on them in a process of its own.  Memory is told twice: what is the process's own, and that together
with mapped files, of which the system takes back what it needs (Linux).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from neuronull.data.measurements import Heads
from neuronull.data.planted import Settings, planted
from neuronull.data.store import save
from neuronull.estimators.memory import host_tensor

POSITIONS = 128
"""Scored positions a document."""
PAIRS = 24
EVERY_S = 0.2


def planted_heads(settings: Settings, layers: int, per_layer: int, seed: int) -> Heads:
    """Null effects of all heads and whole layers, made and kept one head at a time."""
    rng = np.random.default_rng(seed)
    shape = (settings.documents, 2, settings.neurons)
    rows = layers * (per_layer + 1)
    effect = host_tensor(rows, *shape)
    of_neuron = 0.3 * rng.standard_normal(settings.neurons)
    for row in range(rows):
        log = -2 + 0.7 * rng.standard_normal() + of_neuron + 0.2 * rng.standard_normal(settings.neurons)
        log = log + 0.15 * rng.standard_normal((*shape[:2], 1)) + 0.3 * rng.standard_normal(shape, dtype=np.float32)
        effect[row] = torch.from_numpy(np.exp(log, dtype=np.float32))
    return Heads(
        effect,
        torch.arange(settings.neurons),
        np.repeat(np.arange(layers), per_layer + 1),
        np.tile([*range(per_layer), -1], layers),
        np.ones(rows, dtype=bool),
    )


def gigabytes(process: int, field: str) -> float:
    """A line of the process's status; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e6 for line in lines if line.startswith(field)), 0.0)


def main() -> int:
    """Plant, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(), help="where there is room on the disk")
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--neurons", type=int, default=6400)
    parser.add_argument("--layers", type=int, default=48)
    parser.add_argument("--heads", type=int, default=25)
    options = parser.parse_args()
    settings = Settings(
        documents=options.documents, pairs=PAIRS, spare=POSITIONS - 2 * PAIRS, neurons=options.neurons,
        width=options.neurons // 4,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        measured, out = Path(folder, "measured"), Path(folder, "out")
        made = planted(settings, 1, ("influence", "activations", "weights")).measurements
        heads = planted_heads(settings, options.layers, options.heads, 1)
        manifest = made.manifest.model_copy(update={"layer": options.layers - 1})
        save(replace(made, heads=heads, manifest=manifest), measured)
        shape = list(heads.effect.shape)
        del made, heads
        command = [sys.executable, "-m", "neuronull", "run", "--measurements", str(measured), "--out", str(out)]
        start = time.perf_counter()
        peaks = {"RssAnon": 0.0, "VmRSS": 0.0}
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            while running.poll() is None:
                peaks = {field: max(peak, gigabytes(running.pid, field)) for field, peak in peaks.items()}
                time.sleep(EVERY_S)
        took = time.perf_counter() - start
    print(f"head effects {shape}, positions about {POSITIONS * options.documents:,} x {options.neurons:,} neurons")
    print(f"neuronull run --measurements: exit {running.returncode}, {took:,.0f} s")
    print(f"memory: {peaks['RssAnon']:.1f} GB of its own, {peaks['VmRSS']:.1f} GB with mapped files")
    return running.returncode


if __name__ == "__main__":
    raise SystemExit(main())
