"""Each neuron's series is turned round within each document."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...data.errors import InputError
from .base import NullModel, Observed, generator, need

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShiftState:
    """``activation`` [T, n]; ``order`` of its rows; in that order ``document``, its ``start``, ``length``; [T] each."""

    activation: npt.NDArray[np.floating[Any]]
    order: IntArray
    document: IntArray
    start: IntArray
    length: IntArray


class CircularShift(NullModel):
    """Series of activations shifted circularly within documents, each neuron and document by its own offset.

    What documents share stays (a neuron's mean and spread in each document), and so does each series' own
    autocorrelation but for one seam; only who is active *at the same position* is broken.
    """

    name = "circular_shift"
    randomises = "activations"
    preserves = ("each neuron's values in each document", "order of each neuron's values in a document, as a ring")
    breaks = ("which neurons are active at the same position",)
    exchangeable = "the starting point of each neuron's series in a document (stationary within documents)"
    reference = "Harris (2020), Nonsense correlations in neuroscience, bioRxiv 2020.11.29.402719"
    when = (
        "Are neurons coupled position by position, beyond what documents share? Not where activation drifts with "
        "position; there document_permuted keeps the tertiles of position."
    )
    says = "Each neuron's activations are rotated in time."

    def prepare(self, measurements: Any, observed: Observed) -> ShiftState:
        """Activations, and where each row's document begins."""
        need(observed, "activations", self.name)
        if observed.documents is None:
            raise InputError("circular_shift needs the document of each row", "Observed.documents", "give them")
        rows = len(observed.value)
        half = np.zeros(rows, dtype=np.int64) if observed.half is None else observed.half
        position = np.arange(rows) if observed.positions is None else observed.positions
        order = np.lexsort((np.arange(rows), position, observed.documents, half))
        names = np.stack([half, observed.documents])[:, order]
        new = np.r_[True, (names[:, 1:] != names[:, :-1]).any(0)]
        document = np.cumsum(new) - 1
        starts = np.flatnonzero(new)
        length = np.diff(np.r_[starts, rows])
        return ShiftState(observed.value.numpy(), order, document, starts[document], length[document])

    def draw(self, state: ShiftState, replicates: range, seed: int) -> Iterator[torch.Tensor]:
        """Of [T, n], one per replicate."""
        starts = np.flatnonzero(np.r_[True, np.diff(state.document) > 0])
        length, start = state.length[starts][:, None], state.start[:, None]
        within = (np.arange(len(state.order)) - state.start)[:, None]
        series = state.activation[state.order]
        for r in replicates:
            rng = generator(seed, r, "circular")
            shift = rng.integers(0, length, size=(len(starts), state.activation.shape[1]))[state.document]
            source = within - shift
            source += np.where(source < 0, state.length[:, None], 0) + start
            out = np.empty_like(state.activation)
            out[state.order] = np.take_along_axis(series, source, axis=0)
            yield torch.from_numpy(out)

    def example(self) -> Observed:
        """Two neurons, two documents of three rows: 81 draws."""
        return Observed("activations", torch.arange(12.0).double().reshape(6, 2), sets=(torch.arange(2),) * 2,
                        documents=np.repeat([0, 1], 3), positions=np.tile(np.arange(3), 2),
                        half=np.repeat([0, 1], 3))  # fmt: skip

    def space(self, observed: Observed) -> Sequence[Hashable] | None:
        """Every offset of every neuron in every document."""
        value, document = np.asarray(observed.value), np.asarray(observed.documents)
        series = [(np.flatnonzero(document == d), j) for d in np.unique(document) for j in range(value.shape[1])]
        found = []
        for shifts in product(*(range(len(rows)) for rows, _ in series)):
            draw = value.copy()
            for (rows, j), shift in zip(series, shifts, strict=True):
                draw[rows, j] = np.roll(value[rows, j], shift)
            found.append(self.signature(draw))
        return found

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Each series is a rotation of what it was."""
        before, after, document = np.asarray(observed.value), np.asarray(draw), np.asarray(observed.documents)
        values = rings = True
        for d in np.unique(document):
            old, new = before[document == d], after[document == d]
            values &= bool(np.array_equal(np.sort(old, 0), np.sort(new, 0)))
            turned = [
                any(np.array_equal(np.roll(old[:, j], s), new[:, j]) for s in range(len(old)))
                for j in range(old.shape[1])
            ]
            rings &= all(turned)
        return tuple(zip(self.preserves, (values, rings), strict=True))

    def cost(self, state: ShiftState) -> float:
        """A gather of the activations."""
        return float(state.activation.size)
