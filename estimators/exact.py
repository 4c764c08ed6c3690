"""Exact sums of exponentials over a block of the vocabulary, for a list of (position, neuron) entries.

On the CPU a compiled loop that keeps everything in registers; on another device plain tensor operations. Both add
float32 terms within a block and leave the sum over blocks to float64.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import torch
from numba import prange

from .compiled import compiled

_CHUNK_FLOATS = 1 << 24
"""Floats of one temporary of the tensor path."""

LARGEST_EXPONENT = 60.0
"""Entries whose exponents might be larger are computed another way.

A probability below exp(-87) is 0 in float32; times exp(60) it would still have been nothing.
"""


@dataclass(frozen=True)
class Entries:
    """Entries of a tile, sorted by row.

    Parameters
    ----------
    row, column
        Position within the tile and neuron, int64 [E].
    rho, kappa, shift
        The exponent at token v is rho z_v + kappa u_v - shift, float32 [E].
    wide
        Whether exponents might be above `LARGEST_EXPONENT`, bool [E].
    tau
        With a norm after the MLP, what the exponent's further term Y_v is multiplied by, float32 [E]; None without.
    """

    row: torch.Tensor
    column: torch.Tensor
    rho: torch.Tensor
    kappa: torch.Tensor
    shift: torch.Tensor
    wide: torch.Tensor
    tau: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.row)

    def __getitem__(self, chosen: torch.Tensor) -> Entries:
        return picked(self, chosen)


Parts = TypeVar("Parts")


def picked(parts: Parts, chosen: Any) -> Parts:
    """Return a dataclass of arrays with every array indexed; what is None stays so."""
    values: list[Any] = [getattr(parts, field.name) for field in fields(parts)]  # type: ignore[arg-type]
    return type(parts)(*(None if value is None else value[chosen] for value in values))


def block_sums(
    p: torch.Tensor, z: torch.Tensor, u: torch.Tensor, entries: Entries, y: torch.Tensor | None = None
) -> torch.Tensor:
    """Return sum over v of p_v exp(rho z_v + kappa u_v + tau Y_v - shift) for every entry, float32 [E].

    Parameters
    ----------
    p, z
        Clean probabilities and logits of the block, float32 [n, v].
    u
        Change of the logits for one unit of each neuron, float32 [N, v].
    entries
        Which entries; no exponent may be above `LARGEST_EXPONENT`.
    y
        With a norm after the MLP, what the MLP wrote seen through the unembedding, float32 [n, v].
    """
    if p.device.type == "cpu":
        out = np.empty(len(entries), dtype=np.float32)
        numbers = (entries.row, entries.column, entries.rho, entries.kappa, entries.shift)
        further = (None, None) if y is None or entries.tau is None else (y.numpy(), entries.tau.numpy())
        _compiled_sums(p.numpy(), z.numpy(), u.numpy(), *(number.numpy() for number in numbers), *further, out)
        return torch.from_numpy(out)
    return tensor_sums(p, z, u, entries, y)


def tensor_sums(
    p: torch.Tensor, z: torch.Tensor, u: torch.Tensor, entries: Entries, y: torch.Tensor | None = None
) -> torch.Tensor:
    """Return what `block_sums` returns, by tensor operations."""
    chunk = max(1, _CHUNK_FLOATS // p.shape[1])
    out = []
    for start in range(0, len(entries), chunk):
        part = slice(start, start + chunk)
        exponent = u[entries.column[part]] * entries.kappa[part, None]
        exponent += z[entries.row[part]] * entries.rho[part, None]
        if y is not None and entries.tau is not None:
            exponent += y[entries.row[part]] * entries.tau[part, None]
        exponent -= entries.shift[part, None]
        out.append((exponent.exp_() * p[entries.row[part]]).sum(1))
    return torch.cat(out) if out else p.new_empty(0)


def block_log_sums(
    log_p: torch.Tensor, z: torch.Tensor, u: torch.Tensor, entries: Entries, y: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the log of what `block_sums` returns, whatever the size of the exponents, float64 [E].

    Parameters
    ----------
    log_p
        Log of the clean probabilities of the block, float32 [n, v]; the others are those of `block_sums`.
    """
    chunk = max(1, _CHUNK_FLOATS // log_p.shape[1])
    out = []
    for start in range(0, len(entries), chunk):
        part = slice(start, start + chunk)
        exponent = u[entries.column[part]].double() * entries.kappa[part, None]
        exponent += z[entries.row[part]].double() * entries.rho[part, None]
        if y is not None and entries.tau is not None:
            exponent += y[entries.row[part]].double() * entries.tau[part, None]
        exponent += log_p[entries.row[part]]
        out.append(exponent.logsumexp(1) - entries.shift[part])
    return torch.cat(out) if out else log_p.new_empty(0, dtype=torch.float64)


@compiled(fastmath=True, inline="always")
def compiled_exp(x: Any) -> Any:  # pragma: no cover - compiled
    """Exp of a float32 between -87 and 88, to 2e-7 relative.

    2^y by splitting y in an integer, which goes into the exponent's bits, and a rest in [-1/2, 1/2], for which the
    polynomial is the Chebyshev interpolant of degree 6 (2.5e-9 relative).
    """
    y = x * np.float32(1.4426950408889634)
    whole = np.floor(y + np.float32(0.5))
    rest = y - whole
    power = np.float32(0.00015461444724808513)
    power = power * rest + np.float32(0.0013400428177711937)
    power = power * rest + np.float32(0.00961805667843204)
    power = power * rest + np.float32(0.05550327226669895)
    power = power * rest + np.float32(0.24022650922289554)
    power = power * rest + np.float32(0.6931472067028329)
    power = power * rest + np.float32(1.0)
    bits = (np.int32(whole) + np.int32(127)) << np.int32(23)
    return power * np.int32(bits).view(np.float32)


# fastmath lets the compiler add in lanes; an entry is added by one thread in one order, whatever the number of threads
@compiled(parallel=True, fastmath=True, nogil=True)
def _compiled_sums(
    p: Any, z: Any, u: Any, row: Any, column: Any, rho: Any, kappa: Any, shift: Any, y: Any, tau: Any, out: Any
) -> None:  # pragma: no cover - compiled
    for entry in prange(len(row)):
        p_t, z_t, u_i = p[row[entry]], z[row[entry]], u[column[entry]]
        a, b, c = rho[entry], kappa[entry], shift[entry]
        total = np.float32(0.0)
        if y is None:  # known when this is compiled: without a norm after the MLP the loop has no third term
            for v in range(p_t.shape[0]):
                total += p_t[v] * compiled_exp(max(a * z_t[v] + b * u_i[v] - c, np.float32(-87.0)))
        else:
            y_t, d = y[row[entry]], tau[entry]
            for v in range(p_t.shape[0]):
                exponent = a * z_t[v] + b * u_i[v] + d * y_t[v] - c
                total += p_t[v] * compiled_exp(max(exponent, np.float32(-87.0)))
        out[entry] = total
