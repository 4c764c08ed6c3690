"""Effects of every last-layer neuron on the next-token distribution, as measurements.

A second round of measuring, for who asks for it: it costs a multiple of the influence (`class_effects`).
"""

from __future__ import annotations

from dataclasses import replace

from ..data.errors import InputError
from ..data.measurements import Effects, Measurements
from ..data.models import LoadedModel
from ..data.options import MeasureOptions, Progress, Silent
from ..data.shards import Shards
from .class_effects import class_effects, unmeasurable
from .engine import Engine
from .forward import run_forward
from .measure import measure_more, token_counts


def measure_effects(
    options: MeasureOptions,
    measurements: Measurements,
    progress: Progress | None = None,
    cache: bool = True,
    engine: Engine | None = None,
) -> Measurements:
    """Return the measurements with the effects in them; without where the measured layer is not the last.

    And without, but with a warning in the manifest, on a model of which they cannot be measured.

    Parameters
    ----------
    options
        Those that `measurements` were made with: they name model and counts, which are loaded again.
    measurements
        What was measured on it: documents and panel.
    cache
        Whether the cache may be read and written.

    Raises
    ------
    InputError
        If model or counts are no longer those that were measured, or there is not enough memory.
    """
    reported = progress or Silent()

    def work(loaded: LoadedModel, bare: Measurements, shards: Shards) -> Measurements:
        if bare.manifest.layer != loaded.adapter.layers - 1:
            return bare
        if why := unmeasurable(loaded.adapter):
            known = bare.manifest.extra("warnings", [])
            told = f"effects on the next-token distribution were not measured: {why}"
            return replace(bare, manifest=bare.manifest.model_copy(update={"warnings": [*known, told]}))
        return replace(bare, effects=_measured(loaded, options, bare, reported, shards, engine))

    found = measure_more(options, measurements, {"effects": "of single neurons"}, work, reported, cache)
    return replace(measurements, effects=found.effects, manifest=found.manifest)


def _measured(
    loaded: LoadedModel,
    options: MeasureOptions,
    bare: Measurements,
    progress: Progress,
    shards: Shards,
    engine: Engine | None,
) -> Effects:
    counts = token_counts(options, loaded)
    if counts.hash != bare.manifest.counts_hash:
        raise InputError("the counts have changed since they were measured with", "--counts", "measure again")
    documents, panel = bare.documents["input_ids"].tolist(), bare.panel
    forward = run_forward(
        loaded, documents, bare.manifest.layer, batch=options.batch, progress=progress, shards=shards, engine=engine
    )
    residual, activation = forward.scored(panel)
    found = class_effects(
        loaded, panel, residual, activation, counts.counts, len(documents),
        ablation=options.ablation, seed=options.seed, progress=progress, shards=shards, engine=engine,
    )  # fmt: skip
    return Effects(found.signed.float(), found.absolute.float())
