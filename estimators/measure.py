"""From options to measurements: model, corpus and counts in, a measurement directory's content out."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict
from importlib import metadata
from typing import Any

import torch

from ..data.corpora import Corpus, load_corpus
from ..data.errors import InputError
from ..data.frequencies import COUNTS_FILE, Counts, frequency_ranks, load_counts, zipf_elbow
from ..data.measurements import CorpusId, Manifest, Measurements, ModelId
from ..data.models import LoadedModel, load_model
from ..data.options import MeasureOptions, Progress, Silent, Stage
from ..data.panel import build_panel
from ..data.store import cached
from .forward import run_forward
from .heads import head_effects
from .influence import influence
from .neurons import covariates

_LIBRARIES = ("neuronull", "torch", "transformers", "tokenizers", "numpy")
_NOT_IN_KEY = ("model", "revision", "corpus", "counts", "device", "batch")
"""Options that stand in the cache's key as hashes, or that decide no number."""


def measure(options: MeasureOptions, progress: Progress | None = None, cache: bool = True) -> Measurements:
    """Measure a model on a corpus, or return the same measurement from the cache.

    Parameters
    ----------
    options
        What is measured on what.
    progress
        Where stages are reported.
    cache
        Whether the cache may be read and written.

    Returns
    -------
    Measurements
        Everything that format 1 holds but for closures (`neuronull.estimators.closure`) and checkpoints. Further keys
        of the manifest: ``warnings`` (what a reader must know about text and counts), ``counts_source`` and
        ``head_ablation``.

    Raises
    ------
    InputError
        If any input cannot be used.
    AuditError
        If the audit finds a defect.
    """
    progress = progress or Silent()
    loaded = load(options, progress)
    layer = resolve_layer(options.layer, loaded.adapter.layers)
    _check_context(loaded, options.context)
    with _stage(progress, "corpus"):
        corpus = load_corpus(options.corpus, loaded.tokenizer, options.documents, options.context)
        _check_ids(loaded, corpus)
        counts = _counts(options, loaded, corpus)

    def make() -> Measurements:
        return _measure(options, loaded, layer, corpus, counts, progress)

    return cached(_key(options, loaded, layer, corpus, counts), make) if cache else make()


def load(options: MeasureOptions, progress: Progress) -> LoadedModel:
    """Return the model that the options name.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    with _stage(progress, "model"):
        return load_model(
            options.model, options.revision, options.device, options.dtype, options.random_init, options.seed
        )


def resolve_layer(layer: int | str, layers: int) -> int:
    """Return the number of the layer that ``--layer`` names.

    Raises
    ------
    InputError
        If the model has no such layer.
    """
    if layer == "last":
        return layers - 1
    if not 0 <= int(layer) < layers:
        raise InputError(f"the model has no layer {layer}", "--layer", f"give 0 to {layers - 1}, or last")
    return int(layer)


def _stage(progress: Progress, name: str) -> AbstractContextManager[Stage]:
    return progress.stage(name, 1)


def _check_context(loaded: LoadedModel, context: int) -> None:
    longest = getattr(loaded.config, "max_position_embeddings", None)
    if longest is not None and context > longest:
        raise InputError(f"the model reads at most {longest} tokens", f"--context {context}", f"give at most {longest}")


def _check_ids(loaded: LoadedModel, corpus: Corpus) -> None:
    highest = max(max(ids) for ids in corpus.documents["input_ids"])
    vocabulary = min(loaded.adapter.vocabulary, loaded.model.get_input_embeddings().weight.shape[0])
    if highest >= vocabulary:
        raise InputError(
            f"the tokenizer gives token id {highest:,}, the model has {vocabulary:,} tokens",
            "--model",
            "use the tokenizer that belongs to the model",
        )


def _counts(options: MeasureOptions, loaded: LoadedModel, corpus: Corpus) -> Counts:
    beside = None if loaded.directory is None else loaded.directory / COUNTS_FILE
    return load_counts(
        options.counts,
        loaded.adapter.vocabulary,
        beside if beside is not None and beside.is_file() else None,
        corpus.documents,
        tokenizer_size=len(loaded.tokenizer),
    )


def _key(options: MeasureOptions, loaded: LoadedModel, layer: int, corpus: Corpus, counts: Counts) -> dict[str, Any]:
    """Return everything that decides the measurements."""
    decisive = {name: value for name, value in asdict(options).items() if name not in _NOT_IN_KEY}
    return decisive | {
        "layer": layer,
        "device": loaded.device.type,
        "model": [loaded.id, loaded.revision, loaded.hash],
        "corpus": [corpus.id, corpus.hash, corpus.warnings],
        "counts": [counts.hash, counts.source],
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _LIBRARIES}


def _measure(
    options: MeasureOptions, loaded: LoadedModel, layer: int, corpus: Corpus, counts: Counts, progress: Progress
) -> Measurements:
    ranks = frequency_ranks(counts.counts)
    elbow = zipf_elbow(counts.counts) if options.elbow else None
    documents = corpus.documents["input_ids"].tolist()
    forward = run_forward(loaded, documents, layer, batch=options.batch, progress=progress)
    special = {int(i) for i in loaded.tokenizer.all_special_ids}
    panel = build_panel(
        corpus.documents,
        forward.losses,
        ranks,
        elbow,
        special,
        options.conditioning,
        options.threshold,
        options.seed,
    )
    residual, activation = forward.scored(panel)
    found = influence(
        loaded,
        documents,
        panel,
        residual,
        activation,
        layer,
        ablation=options.ablation,
        seed=options.seed,
        progress=progress,
    )
    neurons = covariates(loaded.adapter, layer, activation, counts.counts)
    heads = head_effects(loaded, documents, panel, layer, neurons["sd"].to_numpy(), progress=progress)
    warnings = [*corpus.warnings, *counts.warnings]
    if options.elbow and elbow is None:
        warnings.append("the Zipf curve of the counts has no elbow: none was applied")
    manifest = Manifest.model_validate(
        {
            "model": ModelId(id=loaded.id, revision=loaded.revision, hash=loaded.hash),
            "architecture": str(loaded.config.model_type),
            "layer": layer,
            "dtype": options.dtype,
            "device": loaded.device.type,
            "corpus": CorpusId(id=corpus.id, hash=corpus.hash),
            "counts_hash": counts.hash,
            "vocabulary": loaded.adapter.vocabulary,
            "conditioning": options.conditioning,
            "threshold": options.threshold,
            "elbow_rank": elbow,
            "ablation": options.ablation,
            "seed": options.seed,
            "versions": _versions(),
            "audit": found.audit,
            "counts_source": counts.source,
            "head_ablation": "mean",
            "warnings": warnings,
        }
    )
    return Measurements(
        manifest=manifest,
        documents=corpus.documents,
        panel=panel,
        delta_loss=found.delta_loss,
        activation=activation,
        mean=found.mean,
        neurons=neurons,
        w_in=_host(loaded.adapter.w_in(layer)),
        w_out=_host(loaded.adapter.w_out(layer)),
        heads=heads,
    )


def _host(weights: torch.Tensor) -> torch.Tensor:
    return weights.detach().float().cpu().contiguous()
