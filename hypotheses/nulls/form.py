"""The form of a draw: type, shape, size and range, as `neuronull.hypotheses.nulls.base.Draws` states them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .base import Observed


def form_of(draw: Any) -> str:
    """Type and shape of a draw, in words."""
    if isinstance(draw, (torch.Tensor, np.ndarray)):
        return f"{str(draw.dtype).removeprefix('torch.')} {list(draw.shape)} a draw"
    return f"{type(draw).__name__} a draw"


def form_fault(observed: Observed, draw: Any) -> str:
    """What is wrong with the form of a draw; empty if nothing is."""
    if observed.kind == "corpus":
        return ""
    if not isinstance(draw, torch.Tensor):
        return f"a draw is a {type(draw).__name__}, not a torch.Tensor"
    return {
        "neurons": _wrong_indices, "heads": _wrong_indices, "labels": _wrong_swaps, "influence": _wrong_influence,
    }.get(observed.kind, _wrong_shape)(observed, draw)  # fmt: skip


def _wrong_indices(observed: Observed, draw: torch.Tensor) -> str:
    if draw.dtype != torch.int64:
        return f"draws of {observed.kind} are int64 [R, n], and one is {form_of(draw)}"
    return _wrong_neurons(observed, draw) if observed.kind == "neurons" else _wrong_heads(observed, draw)


def _wrong_neurons(observed: Observed, draw: torch.Tensor) -> str:
    """A permutation of all neurons, one set for both halves, or a set for each; of the observed sets' sizes."""
    count, sizes = len(observed.value), [len(s) for s in observed.sets]
    if draw.ndim == 1 and len(draw) == count:
        whole = torch.equal(draw.sort().values, torch.arange(count))
        return "" if whole else f"a draw of {count} neurons is no permutation: each must stand in it once"
    rows = [draw] if draw.ndim == 1 else list(draw)
    if draw.ndim not in (1, 2) or (draw.ndim == 2 and len(draw) != 2):
        return f"draws of neurons are int64 [R, N], [R, n] or [R, 2, n], and one is {form_of(draw)}"
    wrong = [len(row) for row, size in _sized(rows, sizes) if len(row) != size]
    if wrong:
        return f"a draw holds {wrong[0]} neurons, and the observed sets hold {' and '.join(map(str, sizes))}"
    for row in rows:
        if int(row.min()) < 0 or int(row.max()) >= count:
            return f"a draw names neurons {int(row.min())} to {int(row.max())}, and there are {count}"
        if len(torch.unique(row)) < len(row):
            return "a draw names a neuron twice"
    return ""


def _sized(rows: list[torch.Tensor], sizes: list[int]) -> list[tuple[torch.Tensor, int]]:
    """Each drawn set with the size that it must have: one set stands for both halves, two for one each."""
    if len(rows) == 1:
        return [(rows[0], size) for size in sizes]
    return list(zip(rows, sizes, strict=False))


def _wrong_heads(observed: Observed, draw: torch.Tensor) -> str:
    """As many heads as were chosen, each once, of those there are."""
    count = len(observed.value) if observed.strata is None else len(observed.strata)
    if draw.ndim != 1 or len(draw) != len(observed.value):
        return f"a draw of heads is int64 [{len(observed.value)}], and one is {form_of(draw)}"
    if int(draw.min()) < 0 or int(draw.max()) >= count:
        return f"a draw names heads {int(draw.min())} to {int(draw.max())}, and there are {count}"
    return "a draw names a head twice" if len(torch.unique(draw)) < len(draw) else ""


def _wrong_swaps(observed: Observed, draw: torch.Tensor) -> str:
    widths = {len(observed.value), observed.pairs}
    if draw.dtype != torch.bool or draw.ndim != 1 or len(draw) not in widths:
        return f"draws of labels are bool [R, documents] or [R, pairs], and one is {form_of(draw)}"
    return ""


def _wrong_influence(observed: Observed, draw: torch.Tensor) -> str:
    n = observed.value.shape[-1]
    swaps = draw.dtype == torch.bool and draw.shape == (n,)
    drawn = draw.is_floating_point() and draw.shape == observed.value.shape
    return (
        ""
        if swaps or drawn
        else f"draws of influence are bool [R, N] or float [R, 2, 2, N], and one is {form_of(draw)}"
    )


def _wrong_shape(observed: Observed, draw: torch.Tensor) -> str:
    if not draw.is_floating_point() or draw.shape != observed.value.shape:
        return (
            f"draws of {observed.kind} have the observed shape {list(observed.value.shape)}, and one is {form_of(draw)}"
        )
    return "" if bool(torch.isfinite(draw).all()) else "a draw holds values that are not finite"
