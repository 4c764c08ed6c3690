"""From options to measurements: model, corpus and counts in, a measurement directory's content out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib import metadata
from typing import Any

import numpy as np
import torch

from ..data.adapters import Adapter
from ..data.condition_files import ConditionsFile, read_conditions
from ..data.condition_rules import FrequencyRule, PositionRule
from ..data.conditions import BY_FREQUENCY, ConditionRule
from ..data.corpora import Corpus, load_corpus
from ..data.errors import InputError
from ..data.frequencies import COUNTS_FILE, Counts, load_counts
from ..data.measurements import CorpusId, Manifest, Measurements, ModelId, Panel
from ..data.models import LoadedModel, checkpoint_steps, load_model
from ..data.options import MeasureOptions, Progress, Silent, Stage
from ..data.panel import FIRST_POSITION, check_panel, check_positions, classed_positions, with_losses
from ..data.shards import Shards
from ..data.store import cached
from ..data.token_texts import token_texts
from ..data.tokens import token_ids
from .compiled import settled_threads
from .engine import Engine, Local
from .forward import Forward, run_forward
from .influence import has_closed_form, influence
from .neurons import covariates, promoted_tokens

_LIBRARIES = ("neuronull", "torch", "transformers", "tokenizers", "numpy")
_HOLDS = 2
"""What measurements hold, for the cache: 2 since they hold the texts of tokens."""

_NOT_IN_KEY = (
    "model", "revision", "corpus", "counts", "conditions", "cluster", "device", "batch", "heads",
    "head_documents", "shard_documents",
)  # fmt: skip
"""Options that stand in the cache's key as hashes, that decide no number, or that decide a later round only."""


@dataclass(frozen=True)
class Inputs:
    """What is measured, loaded; `step` of the model's training, or None where nobody said."""

    options: MeasureOptions
    loaded: LoadedModel
    layer: int
    corpus: Corpus
    counts: Counts
    listed: ConditionsFile | None
    rule: ConditionRule
    step: int | None

    @property
    def elbow(self) -> int | None:
        """Rank of the Zipf elbow; None where it is off, or there is none."""
        return self.counts.elbow if self.options.elbow else None

    @cached_property
    def positions(self) -> Panel:
        """The panel as far as tokens decide it."""
        return classed_positions(
            self.corpus.documents,
            self.counts.ranks,
            token_ids(self.loaded.tokenizer).special,
            self.rule,
            self.options.seed,
        )

    def check(self, panel: Panel) -> None:
        """Refuse a panel on which no test would mean anything, with what to change about it."""
        option = "--threshold" if self.listed is None else "--conditions"
        try:
            check_panel(panel, self.rule.conditions, option)
        except InputError as error:
            if self.listed is not None:
                raise
            raise InputError(error.what, error.where, self.rule.hint(panel, self.options.seed)) from None


def measure(
    options: MeasureOptions,
    progress: Progress | None = None,
    cache: bool = True,
    engine: Engine | None = None,
    before: Callable[[Inputs], None] | None = None,
) -> Measurements:
    """Measure a model on a corpus, or return the same measurement from the cache.

    Parameters
    ----------
    options
        What is measured on what.
    progress
        Where stages are reported.
    cache
        Whether the cache may be read and written.
    engine
        Where documents are worked on; here if None.
    before
        Is given the inputs when they are loaded, unless the cache serves.

    Returns
    -------
    Measurements
        Everything that format 1 holds but for checkpoints and what a second round measures
        (`neuronull.estimators.measure_heads`, `neuronull.estimators.joint_ablation`, `neuronull.estimators.effects`).
        Further manifest keys: ``warnings`` (what a reader must know about text and counts), ``counts_source``,
        ``attention`` (its implementation) and, where it is known, ``training_step``.

    Raises
    ------
    InputError
        If any input cannot be used.
    AuditError
        If the audit finds a defect.
    """
    return _prepared(options, None, progress or Silent(), cache, _measure, {}, engine or Local(), before)


def measure_checkpoint(
    options: MeasureOptions,
    step: int,
    progress: Progress | None = None,
    cache: bool = True,
    engine: Engine | None = None,
) -> Measurements:
    """Measure a model at one step of its training: panel and influence, which is what a trend needs.

    Where the model keeps weights of several steps (`checkpoint_steps`), those of `step`; else the model as `options`
    name it, for instance by a revision.  No panel is refused: what becomes of steps at which rare and common tokens
    cannot be matched in loss is for the trend to say.

    Raises
    ------
    InputError
        If any input cannot be used, or the model keeps checkpoints but not this one.
    AuditError
        If the audit finds a defect.
    """
    kept = checkpoint_steps(options.model)
    told = {"measured": "influence", "training_step": step}
    return _prepared(
        options, step if kept else None, progress or Silent(), cache, _measure_influence, told, engine or Local()
    )


def _prepared(
    options: MeasureOptions,
    step: int | None,
    progress: Progress,
    cache: bool,
    work: Callable[[Inputs, Progress, Shards, Engine], Measurements],
    told: dict[str, Any],
    engine: Engine,
    before: Callable[[Inputs], None] | None = None,
) -> Measurements:
    """Load the inputs and do the work, or find in the cache what it made; `told` is what else tells its results."""
    settled_threads()
    inputs = load_inputs(options, progress, step, told.get("training_step"))

    def make(shards: Shards) -> Measurements:
        if before is not None:
            before(inputs)
        return work(inputs, progress, shards, engine)

    return cached(_key(inputs) | told, make, options.shard_documents) if cache else make(Shards())


def load_inputs(
    options: MeasureOptions, progress: Progress, step: int | None = None, training_step: int | None = None
) -> Inputs:
    """Return model, corpus, counts and rule that the options name, as far as they can be checked before a pass.

    Raises
    ------
    InputError
        If any of it cannot be had or used.
    """
    listed = None if options.conditions == BY_FREQUENCY else read_conditions(options.conditions)
    loaded = load(options, progress, step)
    layer = resolve_layer(options.layer, loaded.adapter.layers)
    _check_context(loaded, options.context)
    _check_precision(options.dtype, layer, loaded.adapter)
    with _stage(progress, "corpus"):
        corpus = load_corpus(options.corpus, loaded.tokenizer, options.documents, options.context, options.cluster)
        _check_ids(loaded, corpus)
        counts = token_counts(options, loaded)
    rule = _rule(options, listed, loaded, corpus, counts)
    known = loaded.step if training_step is None else training_step
    return Inputs(options, loaded, layer, corpus, counts, listed, rule, known)


def load(options: MeasureOptions, progress: Progress, step: int | None = None) -> LoadedModel:
    """Return the model that the options name, or its weights at a step of its training.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    layer = None if options.layer == "last" else int(options.layer)
    with _stage(progress, "model"):
        return load_model(
            options.model,
            options.revision,
            options.device,
            options.dtype,
            random_init=options.random_init,
            seed=options.seed,
            step=step,
            layer=layer,
            attention=options.attention,
        )


def measure_more(
    options: MeasureOptions,
    measurements: Measurements,
    told: dict[str, Any],
    work: Callable[[LoadedModel, Measurements, Shards], Measurements],
    progress: Progress,
    cache: bool,
) -> Measurements:
    """Measure more on a model that was measured before, or return the same from the cache.

    Parameters
    ----------
    options
        Those that `measurements` were made with: they name the model, which is loaded again unless the cache serves.
    told
        What, beside all that decided `measurements`, decides this.
    work
        Measures: given the model, and the measurements with nothing but documents and panel, those with more in them.
        What it has finished it may keep in the shards.

    Raises
    ------
    InputError
        If the model is no longer the one that was measured.
    """
    bare = Measurements(measurements.manifest, measurements.documents, measurements.panel)

    def make(shards: Shards) -> Measurements:
        # only now: the manifest, which is in the key, names the weights, so what the cache holds needs no model
        loaded = load(options, progress)
        if loaded.hash != measurements.manifest.model.hash:
            raise InputError("the model has changed since it was measured", "--model", "measure again")
        return work(loaded, bare, shards)

    settled_threads()
    key = told | {"measurements": measurements.manifest.model_dump(mode="json")}
    return cached(key, make, options.shard_documents) if cache else make(Shards())


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


def _check_precision(dtype: str, layer: int, adapter: Adapter) -> None:
    """Refuse what no audit would let pass: there blocks of the model run again, and their rounding exceeds most D."""
    if dtype != "float32" and not has_closed_form(adapter, layer):
        where = "under a cap on the logits" if layer == adapter.layers - 1 else "before the last layer"
        raise InputError(
            f"effects of single neurons {where} are smaller than what {dtype} rounds off",
            "--dtype",
            "use float32",
        )


def _check_ids(loaded: LoadedModel, corpus: Corpus) -> None:
    highest = max(max(ids) for ids in corpus.documents["input_ids"])
    vocabulary = min(loaded.adapter.vocabulary, loaded.model.get_input_embeddings().weight.shape[0])
    if highest >= vocabulary:
        raise InputError(
            f"the tokenizer gives token id {highest:,}, the model has {vocabulary:,} tokens",
            "--model",
            "use the tokenizer that belongs to the model",
        )


def _rule(
    options: MeasureOptions, listed: ConditionsFile | None, loaded: LoadedModel, corpus: Corpus, counts: Counts
) -> ConditionRule:
    """What gives the positions their condition, checked against tokenizer and documents."""
    if listed is None:
        elbow = counts.elbow if options.elbow else None
        return FrequencyRule(counts.types, options.threshold, options.conditioning, elbow, counts.of_types)
    rule = listed.resolve(loaded.tokenizer, loaded.adapter.vocabulary, options.conditioning)
    if isinstance(rule, PositionRule) and not options.random_init:  # that control takes the first documents only
        rule.check(np.asarray([len(ids) for ids in corpus.documents["input_ids"]], dtype=np.int64))
    return rule


def token_counts(options: MeasureOptions, loaded: LoadedModel) -> Counts:
    """Return how often each token occurs, as `load_counts` does, with those that lie beside the model.

    Raises
    ------
    InputError
        If they cannot be used.
    """
    beside = None if loaded.directory is None else loaded.directory / COUNTS_FILE
    return load_counts(
        options.counts,
        loaded.adapter.vocabulary,
        beside if beside is not None and beside.is_file() else None,
        options.corpus,
        loaded.tokenizer,
    )


def _key(inputs: Inputs) -> dict[str, Any]:
    """Return everything that decides the measurements."""
    loaded, corpus, counts = inputs.loaded, inputs.corpus, inputs.counts
    decisive = {f.name: getattr(inputs.options, f.name) for f in fields(MeasureOptions) if f.name not in _NOT_IN_KEY}
    return decisive | {
        "holds": _HOLDS,
        "layer": inputs.layer,
        "training_step": inputs.step,
        "device": loaded.device.type,
        "model": [loaded.id, loaded.revision, loaded.hash],
        "corpus": [corpus.id, corpus.hash, corpus.warnings],
        "clusters": _clusters_hash(corpus),
        "counts": [counts.hash, counts.source, counts.types, counts.warnings],
        "conditions": BY_FREQUENCY if inputs.listed is None else inputs.listed.hash,
        "positions": _positions_hash(inputs.positions),
        "versions": _versions(),
    }


def _clusters_hash(corpus: Corpus) -> str | None:
    """SHA-256 of the clusters; a rule that finds the same ones measures the same."""
    if "cluster" not in corpus.documents:
        return None
    return hashlib.sha256(corpus.documents["cluster"].to_numpy("<i8").tobytes()).hexdigest()


def _positions_hash(panel: Panel) -> str:
    """SHA-256 of which positions are scored and how they are classed: neither file nor weights tell the tokenizer."""
    columns = (panel.document, panel.position, panel.label, panel.half)
    return hashlib.sha256(b"".join(column.astype("<i8").tobytes() for column in columns)).hexdigest()


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _LIBRARIES}


def _measure(inputs: Inputs, progress: Progress, shards: Shards, engine: Engine) -> Measurements:
    """All of the neurons, on a panel that can be tested."""
    loaded, layer = inputs.loaded, inputs.layer
    check_positions(inputs.positions, inputs.rule, inputs.options.seed)  # before the model runs
    forward, panel = _panel(inputs, progress, shards, engine)
    inputs.check(panel)  # what no test could use is refused before the long part
    found = _influence(inputs, forward, panel, progress, shards, engine)
    if found.activation is None:
        raise TypeError("activations are measured with the influence")
    neurons = covariates(loaded.adapter, layer, found.activation, inputs.counts.counts, inputs.counts.given)
    w_in, w_out = _host(loaded.adapter.w_in(layer)), _host(loaded.adapter.written(layer))
    found = replace(found, neurons=neurons, w_in=w_in, w_out=w_out)
    return found if inputs.options.random_init else _with_texts(inputs, found)  # no report shows who that control's are


def _with_texts(inputs: Inputs, found: Measurements) -> Measurements:
    """The measurements with the tokens that each neuron speaks for, and these and the documents' tokens as text."""
    promoted = promoted_tokens(inputs.loaded.adapter, inputs.layer, inputs.counts.given)
    read = {token for ids in inputs.corpus.documents["input_ids"] for token in ids}
    tokens = token_texts(inputs.loaded.tokenizer, read.union(*(t.unique().tolist() for t in vars(promoted).values())))
    return replace(found, tokens=tokens, promoted=promoted)


def _measure_influence(inputs: Inputs, progress: Progress, shards: Shards, engine: Engine) -> Measurements:
    """Panel and influence alone, whatever the panel."""
    forward, panel = _panel(inputs, progress, shards, engine)
    return replace(_influence(inputs, forward, panel, progress, shards, engine), activation=None, mean=None)


def _panel(inputs: Inputs, progress: Progress, shards: Shards, engine: Engine) -> tuple[Forward, Panel]:
    """The clean pass, and the positions that are scored in it."""
    options, loaded, table = inputs.options, inputs.loaded, inputs.corpus.documents
    documents = table["input_ids"].tolist()
    forward = run_forward(
        loaded, documents, inputs.layer, batch=options.batch, progress=progress, shards=shards, engine=engine
    )
    return forward, with_losses(inputs.positions, table, forward.losses, options.seed)


def _influence(
    inputs: Inputs, forward: Forward, panel: Panel, progress: Progress, shards: Shards, engine: Engine
) -> Measurements:
    """Activations and influence at the scored positions."""
    options, loaded, layer = inputs.options, inputs.loaded, inputs.layer
    corpus, counts = inputs.corpus, inputs.counts
    documents = corpus.documents["input_ids"].tolist()
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
        shards=shards,
        engine=engine,
    )
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
            "conditions": inputs.rule.conditions,
            "threshold": options.threshold if inputs.listed is None else None,
            "elbow_rank": inputs.elbow,
            "ablation": options.ablation,
            "seed": options.seed,
            "versions": _versions(),
            "audit": found.audit,
            "counts_source": counts.source,
            "attention": str(loaded.model.config._attn_implementation),
            "warnings": _warnings(inputs),
        }
        | ({} if inputs.step is None else {"training_step": inputs.step})
    )
    return Measurements(
        manifest=manifest,
        documents=corpus.documents,
        panel=panel,
        delta_loss=found.delta_loss,
        activation=activation,
        mean=found.mean,
    )


def _warnings(inputs: Inputs) -> list[str]:
    """What a reader must know about text, counts and conditions."""
    found = [*inputs.corpus.warnings, *inputs.counts.warnings]
    if inputs.loaded.quantized is not None:
        found.append(f"the weights were dequantised from {inputs.loaded.quantized}: what is measured is that model")
    if inputs.options.elbow and inputs.elbow is None:
        found.append("the Zipf curve of the counts has no elbow: none was applied")
    unscored = inputs.rule.unscored(inputs.positions) if isinstance(inputs.rule, PositionRule) else 0
    if unscored:
        found.append(
            f"{unscored:,} listed positions are not scored: they are among the first {FIRST_POSITION} of a document or "
            "beside a special token"
        )
    return found


def _host(weights: torch.Tensor) -> torch.Tensor:
    return weights.detach().float().cpu().contiguous()
