"""Effects of attention heads, as measurements: a second round of measuring, for who asks for it.

It costs most of a run (`heads`), and only claims about attention need it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..data.errors import InputError
from ..data.measurements import Measurements, Panel, PartialHeads
from ..data.models import LoadedModel
from ..data.options import MeasureOptions, Progress, Silent
from ..data.shards import Shards
from .audit_heads import audit_heads
from .engine import Engine
from .heads import HeadAblation, head_effects
from .measure import measure_more

ABLATION: HeadAblation = "mean"
"""What replaces a head in a run."""


def measure_heads(
    options: MeasureOptions,
    measurements: Measurements,
    progress: Progress | None = None,
    cache: bool = True,
    engine: Engine | None = None,
) -> Measurements:
    """Return the measurements with the head effects in them, audited.

    Parameters
    ----------
    options
        Those that `measurements` were made with: they name the model, which is loaded again, and the heads.
    measurements
        What was measured on it: documents, panel and the neurons' standard deviations.
    progress
        Where stages are reported.
    cache
        Whether the cache may be read and written.

    Returns
    -------
    Measurements
        Further manifest keys: ``head_ablation``, ``audit_heads`` (`neuronull.estimators.audit_heads`) and, where not
        all heads were measured on all documents, ``heads_measured``.

    Raises
    ------
    InputError
        If the model is no longer the one that was measured, has no such heads, or there is not enough memory.
    AuditError
        If the audit finds a defect.
    ValueError
        If `measurements` hold no standard deviations.
    """
    if measurements.neurons is None:
        raise ValueError("head effects are in units of the neurons' standard deviations: measure the neurons first")
    sd, reported = measurements.neurons["sd"].to_numpy(), progress or Silent()
    part = asked_part(options, measurements.panel, measurements.manifest.layer)

    def work(loaded: LoadedModel, bare: Measurements, shards: Shards) -> Measurements:
        documents, layer = bare.documents["input_ids"].tolist(), bare.manifest.layer
        heads = head_effects(
            loaded,
            documents,
            bare.panel,
            layer,
            sd,
            ablation=ABLATION,
            part=part,
            progress=reported,
            shards=shards,
            engine=engine,
        )
        audit = audit_heads(
            loaded, documents, bare.panel, layer, sd, heads,
            ablation=ABLATION, seed=bare.manifest.seed, progress=reported,
        )  # fmt: skip
        told = {"head_ablation": ABLATION, "audit_heads": audit.model_dump(mode="json")}
        return replace(bare, heads=heads, manifest=bare.manifest.model_copy(update=told | partly))

    partly = {} if part is None else {"heads_measured": part.model_dump(mode="json")}
    found = measure_more(options, measurements, {"heads": ABLATION} | partly, work, reported, cache)
    return replace(measurements, heads=found.heads, manifest=found.manifest)


def asked_part(options: MeasureOptions, panel: Panel, layer: int) -> PartialHeads | None:
    """Return on which layers and documents the options ask for heads; None where on all of them.

    Documents are the first ones with a matched pair, as many from one half as from the other. So what more documents
    measure begins with what fewer measure.

    Raises
    ------
    InputError
        If the options name a layer whose heads come after the neurons.
    """
    every = list(range(layer + 1))
    layers = _layers(options.heads, every)
    paired = np.unique(panel.document[panel.a_rows])
    chosen = paired
    if options.head_documents is not None:
        half = np.asarray([panel.half[panel.document == document][0] for document in paired], dtype=np.int64)
        turn = np.empty(len(paired), dtype=np.int64)
        for side in (0, 1):
            turn[half == side] = np.arange(np.count_nonzero(half == side))
        chosen = np.sort(paired[np.lexsort((half, turn))][: options.head_documents])
    if layers == every and len(chosen) == len(paired):
        return None
    return PartialHeads(layers=layers, documents=chosen.tolist())


def _layers(heads: str, every: list[int]) -> list[int]:
    """Layers that ``--heads`` names."""
    if heads == "all":
        return every
    if heads.startswith("last:"):
        return every[-int(heads.removeprefix("last:")) :]
    named = sorted(set(map(int, heads.split(","))))
    if named[-1] > every[-1]:
        raise InputError(
            f"the heads of layer {named[-1]} come after the neurons of layer {every[-1]}",
            f"--heads {heads}",
            f"give layers from 0 to {every[-1]}",
        )
    return named
