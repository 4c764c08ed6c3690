"""Closures: the loss increase of sets that somebody chose, measured on the model that was measured before.

Which sets are asked for is decided where null models are drawn; here they are only ablated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from ..data.measurements import IntArray, JointAblation, Measurements
from ..data.models import LoadedModel
from ..data.options import MeasureOptions, Progress, Silent
from ..data.shards import Shards
from .engine import Engine
from .forward import run_forward
from .joint import joint_heads, joint_neurons
from .measure import measure_more


@dataclass(frozen=True)
class Sets:
    """Sets to ablate jointly, each once: ``neurons`` of the measured layer, ``heads`` as rows of the heads table."""

    neurons: tuple[tuple[int, ...], ...] = ()
    heads: tuple[tuple[int, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.neurons) + len(self.heads)

    @property
    def table(self) -> pd.DataFrame:
        """One row per set: kind and members (the columns of `closure.parquet`)."""
        kinds = ["neurons"] * len(self.neurons) + ["heads"] * len(self.heads)
        return pd.DataFrame({"kind": kinds, "members": [list(one) for one in (*self.neurons, *self.heads)]})


def measure_joint_ablation(
    options: MeasureOptions,
    measurements: Measurements,
    sets: Sets,
    progress: Progress | None = None,
    cache: bool = True,
    engine: Engine | None = None,
) -> Measurements:
    """Return the measurements with the loss increase of every set in them.

    Parameters
    ----------
    options
        Those that `measurements` were made with: they name the model, which is loaded again.
    measurements
        What was measured on it: documents, panel and heads table.
    sets
        What to ablate.
    cache
        Whether the cache may be read and written.

    Raises
    ------
    InputError
        If the model is no longer the one that was measured, or there is not enough memory.
    """
    reported = progress or Silent()

    def work(loaded: LoadedModel, bare: Measurements, shards: Shards) -> Measurements:
        return replace(bare, joint_ablation=_measured(loaded, options, measurements, sets, reported, shards, engine))

    named = hashlib.sha256(repr((sets.neurons, sets.heads)).encode()).hexdigest()
    found = measure_more(options, measurements, {"closure": named}, work, reported, cache)
    return replace(measurements, joint_ablation=found.joint_ablation)


def _measured(
    loaded: LoadedModel,
    options: MeasureOptions,
    measurements: Measurements,
    sets: Sets,
    progress: Progress,
    shards: Shards,
    engine: Engine | None,
) -> JointAblation:
    documents, panel = measurements.documents["input_ids"].tolist(), measurements.panel
    layer = measurements.manifest.layer
    parts = []
    if sets.neurons:
        forward = run_forward(
            loaded, documents, layer, batch=options.batch, progress=progress, shards=shards, engine=engine
        )
        residual, activation = forward.scored(panel)
        chosen: list[IntArray] = [np.array(one, dtype=np.int64) for one in sets.neurons]
        found = joint_neurons(
            loaded, documents, panel, residual, activation, layer, chosen,
            ablation=options.ablation, seed=options.seed, progress=progress, shards=shards, engine=engine,
        )  # fmt: skip
        parts.append(found.mean)
    if sets.heads:
        named = head_names(measurements, sets.heads)
        parts.append(joint_heads(loaded, documents, panel, named, progress=progress, shards=shards, engine=engine).mean)
    return JointAblation(torch.cat(parts).float(), sets.table)


def head_names(measurements: Measurements, sets: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """Layer and head of each member of sets of rows of the heads table.

    Raises
    ------
    ValueError
        If no heads were measured.
    """
    heads = measurements.heads
    if heads is None:
        raise ValueError("sets of heads are rows of the heads table, and no heads were measured")
    return [[(int(heads.layer[row]), int(heads.head[row])) for row in one] for one in sets]
