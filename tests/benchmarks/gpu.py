"""The exact log-sum-exp of all entries on a GPU, its two floors, and the distance to them.

    python -m tests.benchmarks.gpu [--positions 25600] [--rounds 5]

The floors are measured on the same device: time to read every byte that must be read once at the bandwidth of a large
copy, and time for the matrix products of the closed form at the speed of a large product. A line says so where there
is no GPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

from neuronull.estimators.closed_form import ClosedForm
from neuronull.estimators.readout import fold

from .harness import spread, timed
from .shapes import gpt2_shape

GPT2_XL = {"width": 1600, "neurons": 6400, "vocabulary": 50257, "layers": 1}
"""One block: neither the closed form nor its floors see the others."""


def seconds(call: Callable[[], object], rounds: int) -> float:
    """Median time of a call, the device's queue emptied before and after."""

    def settled() -> None:
        call()
        torch.cuda.synchronize()

    settled()
    return spread([timed(settled)[0] for _ in range(rounds)]).median


def copy_speed(rounds: int) -> float:
    """Bytes a second, read and written, of a copy of 1 GiB."""
    source = torch.empty(1 << 28, device="cuda")
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / seconds(lambda: target.copy_(source), rounds)


def product_speed(rounds: int) -> float:
    """Float32 operations a second of a product of two 8,192 x 8,192 matrices."""
    a, b = torch.randn(2, 8192, 8192, device="cuda").unbind()
    return 2 * 8192**3 / seconds(lambda: a @ b, rounds)


def floors(positions: int, tile: int) -> tuple[float, float]:
    """Bytes that must be moved and operations that must be done, for GPT-2 XL's shape.

    Bytes: u [N, V] once a tile of positions, activations in and D out. Operations: logits, E_p[u^2], E_p[G], E_p[z G]
    and three products [T, d] x [d, N].
    """
    d, n, v = GPT2_XL["width"], GPT2_XL["neurons"], GPT2_XL["vocabulary"]
    tiles = -(-positions // tile)
    moved = 4.0 * (tiles * n * v + 2 * positions * n)
    operations = 2.0 * positions * (v * (3 * d + n) + 3 * d * n)
    return moved, operations


def main() -> int:
    """Print floors, time and distance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--positions", type=int, default=25_600)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU here: floors and distance were not measured")
        return 0
    loaded = gpt2_shape(**GPT2_XL)
    loaded.model.cuda()
    form = ClosedForm(fold(loaded.adapter, 0))
    residual = torch.randn(options.positions, GPT2_XL["width"], device="cuda")
    change = torch.randn(options.positions, GPT2_XL["neurons"], device="cuda") * 0.1
    target = torch.randint(GPT2_XL["vocabulary"], (options.positions,), device="cuda")

    def all_effects() -> None:
        for start in range(0, options.positions, form.tile):
            rows = slice(start, start + form.tile)
            form.effects(residual[rows], change[rows], target[rows])

    took = seconds(all_effects, options.rounds)
    moved, operations = floors(options.positions, form.tile)
    by_bytes, by_operations = moved / copy_speed(options.rounds), operations / product_speed(options.rounds)
    print(f"{torch.cuda.get_device_name()}, GPT-2 XL's shape, {options.positions:,} positions, float32")
    print(f"floor by bytes       {by_bytes:8.3f} s   {moved / 1e9:,.0f} GB")
    print(f"floor by operations  {by_operations:8.3f} s   {operations / 1e12:,.0f} Tflop")
    floor = max(by_bytes, by_operations)
    exact = form.exact_entries / form.entries
    print(f"measured             {took:8.3f} s   {took / floor:.1f} times the higher floor, {exact:.2%} exact entries")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
