"""Loading a language model by Hub id, directory, file or embedded name, with one clear line for what can go wrong.

Remote code is never run and nothing is unpickled: weights load from safetensors, or from a PyTorch file with
``weights_only=True``.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from . import checkpoints, offload
from .adapters import Adapter, adapter_for, require_adapter
from .devices import resolve_device
from .errors import InputError
from .gguf_files import gguf_source, quantization
from .given_model import GivenModel
from .positions import forget_lengths
from .source import Source, first_line, refuse_unreachable
from .weights import (
    fresh_weights,
    load_weights,
    refuse_adapter,
    refuse_quantized,
    settle_attention,
    settle_outputs,
)

HUB_TIMEOUT_S = 5.0
"""How long the Hub may take to answer the first question before only the local cache is looked at."""

_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
"""Fields of a configuration that say how many experts a layer has."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Origin:
    """What `load_model` was given: another process loads the same model with it."""

    name: str
    revision: str | None
    device: str
    dtype: str
    random_init: bool
    seed: int
    step: int | None
    layer: int | None
    attention: str

    def arguments(self) -> dict[str, Any]:
        """Keywords of `load_model`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to be measured.

    Parameters
    ----------
    model
        Hugging Face causal language model, in eval mode, no parameter of which needs a gradient.
    tokenizer
        Its tokenizer.
    adapter
        Where its parts are.
    id
        Hub id, embedded name, or a local directory's own name without its parents; a re-initialised model has
        ``:random_init-SEED`` behind it.
    revision
        Commit of the Hub's repository, or what the user gave.
    hash
        SHA-256 of names, types, shapes and bytes of the parameters.
    config
        The Hugging Face configuration.
    directory
        Directory that it was loaded from, or None where it came from the Hub.
    step
        Step of its training, or None where nothing says which.
    offloaded
        How many blocks are on the host and offloaded to the device while they run, because the device is too small.
    quantized
        How the weights were quantised before they were loaded (``Q4_1``), or None.
    origin
        How to load it again, or None where it was given in memory.
    """

    model: Any
    tokenizer: Any
    adapter: Adapter
    id: str
    revision: str | None
    hash: str
    config: Any
    directory: Path | None
    step: int | None = None
    offloaded: int = 0
    quantized: str | None = None
    origin: Origin | None = None

    @property
    def device(self) -> torch.device:
        """Device that the model runs on."""
        # the first parameters are the embeddings, which are never offloaded
        device: torch.device = next(iter(self.model.parameters())).device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """Type of the parameters."""
        dtype: torch.dtype = next(iter(self.model.parameters())).dtype
        return dtype


def load_model(
    name: str | GivenModel,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
    random_init: bool = False,
    seed: int = 0,
    step: int | None = None,
    layer: int | None = None,
    attention: str = "auto",
) -> LoadedModel:
    """Load a model, its tokenizer and its adapter.

    Parameters
    ----------
    name
        Embedded name, local directory, GGUF file or Hugging Face id; or a model that is in memory.
    revision
        Branch, tag or commit on the Hub.
    device
        ``auto`` (a CUDA device where there is one), ``cpu``, ``cuda``, ``cuda:N`` or ``cuda:all``.
    dtype
        ``float32``, ``bfloat16`` or ``float16``.
    random_init
        Keep the configuration but draw the weights anew, as `transformers` initialises them; files with weights are
        then not needed.
    seed
        Of those draws; the global generator is left as it was.
    step
        One of the steps of `checkpoint_steps`: with the weights of that step of the training.
    layer
        Layer whose weights must be on the device where not all of them fit; the last if None.
    attention
        ``eager`` or ``sdpa``, or ``auto`` for what the configuration asks for.

    Raises
    ------
    InputError
        If the model, its tokenizer or the device cannot be had.
    """
    if isinstance(name, GivenModel):
        return _given(name, random_init, seed, attention)
    target = resolve_device(device)
    source = _find(name, revision)
    quantized = quantization(source)  # before transformers, which fails in many ways on a damaged file
    with _quiet_transformers():
        config = _load_config(source)
        tokenizer = _load_tokenizer(source)
        # before the weights: a Hub model that cannot be measured is not worth the download
        _require_adapter(config, name)
        refuse_adapter(source)
        refuse_quantized(config, source.name)
        settle_outputs(config)
        settle_attention(config, attention, source.name)
        if random_init:
            model = fresh_weights(config, DTYPES[dtype], seed, source.name)
        elif step is not None:
            model = _load_checkpoint(source, config, DTYPES[dtype], step)
        else:
            model = load_weights(source, config, DTYPES[dtype])
    model.eval()
    model.requires_grad_(False)
    forget_lengths(model)
    weights_hash, adapter = hash_parameters(model), adapter_for(model, name)
    offloaded = _place(model, adapter, adapter.layers - 1 if layer is None else layer, target)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        adapter=adapter,
        id=f"{source.name}:random_init-{seed}" if random_init else source.name,
        revision=source.revision if step is None else f"step {step}",
        hash=weights_hash,
        config=config,
        directory=source.directory,
        step=checkpoints.training_step(source.directory) if step is None and not random_init else step,
        offloaded=offloaded,
        quantized=None if random_init else quantized,
        origin=Origin(name, revision, device, dtype, random_init, seed, step, layer, attention),
    )


def _given(given: GivenModel, random_init: bool, seed: int, attention: str) -> LoadedModel:
    """A model that is in memory, or one with its configuration and weights drawn anew."""
    config, name = copy.deepcopy(given.model.config), str(given)
    refuse_quantized(config, name)
    settle_attention(config, attention, name)
    if random_init:
        parameter = next(iter(given.model.parameters()))
        model = fresh_weights(config, parameter.dtype, seed, name).to(parameter.device)
    else:
        model = given.shared()
        model.set_attn_implementation(config._attn_implementation or "sdpa")
    settle_outputs(model.config)
    model.eval()
    model.requires_grad_(False)
    forget_lengths(model)
    return LoadedModel(
        model=model,
        tokenizer=given.tokenizer,
        adapter=adapter_for(model, name),
        id=f"{name}:random_init-{seed}" if random_init else name,
        revision=None,
        hash=hash_parameters(model),
        config=model.config,
        directory=None,
    )


def copied(loaded: LoadedModel, device: torch.device) -> LoadedModel:
    """Return the same model on another device: loaded again, or copied where it was given in memory.

    Raises
    ------
    InputError
        If it cannot be loaded there, or is another one by now.
    """
    if loaded.origin is not None:
        again = load_model(**(loaded.origin.arguments() | {"device": str(device)}))
        if again.hash != loaded.hash:
            raise InputError("the model has changed since it was loaded", "--model", "measure again")
        return again
    model = copy.deepcopy(loaded.model).to(device)
    return replace(loaded, model=model, adapter=adapter_for(model, loaded.id), config=model.config)


def count_layers(name: str, revision: str | None = None) -> int:
    """Return how many layers a model has, by its configuration.

    Raises
    ------
    InputError
        If it cannot be had, or does not say.
    """
    source = _find(name, revision)
    with _quiet_transformers():
        layers = getattr(_load_config(source), "num_hidden_layers", None)
    if not isinstance(layers, int) or layers < 1:
        raise InputError(f"the configuration of {name} does not say how many layers it has", "--layer", "name them")
    return layers


def load_tokenizer(name: str, revision: str | None = None) -> Any:
    """Return the tokenizer of a model alone.

    Raises
    ------
    InputError
        If it cannot be had.
    """
    source = _find(name, revision)
    with _quiet_transformers():
        return _load_tokenizer(source)


def checkpoint_steps(name: str | GivenModel) -> list[int]:
    """Return the steps of its training that a local or embedded model keeps weights of; none for any other model.

    Raises
    ------
    InputError
        If a folder under `checkpoints/` is not named by its step.
    """
    if isinstance(name, GivenModel):
        return []
    directory = _embedded_directory(name) or Path(name).expanduser()
    return list(checkpoints.checkpoint_weights(directory))


def hash_parameters(model: Any) -> str:
    """Return the SHA-256 of a model's parameters: names, types, shapes and bytes, tied ones once."""
    digest = hashlib.sha256()
    for name, value in sorted(model.named_parameters()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


def _find(name: str, revision: str | None) -> Source:
    embedded = _embedded_directory(name)
    if embedded is not None:
        return Source(name, str(embedded), embedded, revision, {"local_files_only": True})
    directory = Path(name).expanduser()
    if directory.exists():
        if not directory.is_dir():
            return gguf_source(directory, name)
        if not (directory / "config.json").is_file():
            raise InputError(f"no config.json in {name}", "--model", "give the directory of a Hugging Face model")
        return Source(directory.resolve().name, str(directory), directory, revision, {"local_files_only": True})
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"no such directory: {name}", "--model", "check the path")
    return _find_on_hub(name, revision)


def _embedded_directory(name: str) -> Path | None:
    from .embedded import embedded_model_path, embedded_models

    # the second question is for its error: an embedded model whose files are missing is not to be sought on the Hub
    return embedded_model_path(name) if name in embedded_models() or name.startswith("docs-") else None


def _find_on_hub(name: str, revision: str | None) -> Source:
    """Ask the Hub once, with a time limit, for the commit; without an answer only the local cache is used."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        commit = HfApi().model_info(name, revision=revision, timeout=HUB_TIMEOUT_S).sha
    except HFValidationError:
        raise InputError(f"{name!r} is neither a directory nor a Hub id", "--model", "check the spelling") from None
    except GatedRepoError:
        raise InputError(f"{name} is gated on the Hub", "--model", "ask for access, then `hf auth login`") from None
    except RevisionNotFoundError:
        raise InputError(f"{name} has no revision {revision}", "--revision", "check the spelling") from None
    except RepositoryNotFoundError:
        raise InputError(f"no model {name} on the Hub", "--model", "check the spelling, or `hf auth login`") from None
    except Exception:  # no network, offline mode, a proxy's error page: all of them leave the local cache
        return Source(name, name, None, revision, {"revision": revision or "main", "local_files_only": True})
    return Source(name, name, None, commit, {"revision": commit})


def _load_config(source: Source) -> Any:
    from transformers import AutoConfig

    auto: Any = AutoConfig  # here and below: parts of transformers are untyped
    try:
        return auto.from_pretrained(source.location, trust_remote_code=False, **source.keywords)
    except Exception as error:
        if source.directory is None and source.keywords.get("local_files_only"):
            refuse_unreachable(source)
        _refuse_unknown_type(source.directory, source.name)
        what = "config.json of " if "gguf_file" not in source.keywords else "the file "
        raise InputError(f"{what}{source.name} cannot be read", "--model", first_line(error)) from error


def _refuse_unknown_type(directory: Path | None, name: str) -> None:
    """Say which model type it is where `transformers` itself does not know it."""
    if directory is None:
        return
    try:
        model_type = json.loads((directory / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (ValueError, KeyError, TypeError, OSError):
        return
    require_adapter(str(model_type), name)


def _require_adapter(config: Any, name: str) -> None:
    try:
        require_adapter(str(config.model_type), name)
    except InputError:
        if any(getattr(config, field, None) for field in _EXPERTS) or "moe" in str(config.model_type):
            raise InputError(
                f"{name} is a mixture of experts ({config.model_type}): its neurons are there only for the tokens that "
                "their expert is given, and nothing here measures that",
                "--model",
                "choose a model without experts",
            ) from None
        raise


def _load_tokenizer(source: Source) -> Any:
    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer
    hint = "put tokenizer.json and tokenizer_config.json beside config.json"
    if "gguf_file" in source.keywords:
        hint = "give a directory with tokenizer.json in place of the file"
    try:
        tokenizer = auto.from_pretrained(source.location, trust_remote_code=False, **source.keywords)
        # without its files, transformers makes up an empty tokenizer for some model types
        if tokenizer("the", add_special_tokens=False)["input_ids"]:
            return tokenizer
    except Exception as error:
        raise InputError(f"no usable tokenizer with {source.name}", "--model", hint) from error
    raise InputError(f"no usable tokenizer with {source.name}", "--model", hint)


def _load_checkpoint(source: Source, config: Any, dtype: torch.dtype, step: int) -> Any:
    known = {} if source.directory is None else checkpoints.checkpoint_weights(source.directory)
    if source.directory is None or step not in known:
        said = ", ".join(map(str, known)) or "none"
        raise InputError(f"{source.name} keeps no weights of step {step}", "checkpoints/", f"it keeps: {said}")
    weights = known[step]
    if weights is None:
        model = checkpoints.untrained(source.directory).to(dtype)
        if config._attn_implementation is not None:
            model.set_attn_implementation(config._attn_implementation)
        return model
    from transformers import GenerationConfig

    unused: Any = GenerationConfig
    # nothing is generated, but unless it is given, transformers looks for config.json beside the weights
    keywords = source.keywords | {"generation_config": unused()}
    name = f"{source.name} at step {step}"
    return load_weights(Source(name, str(weights), weights, None, keywords), config, dtype)


def _place(model: Any, adapter: Adapter, layer: int, device: torch.device) -> int:
    try:
        return offload.place(model, adapter, layer, device)
    except torch.OutOfMemoryError as error:
        raise InputError(f"the model does not fit on {device}", "--device", offload.MEND) from error


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Without the library's progress bars and remarks: what matters in them is turned into errors above."""
    from transformers.utils import logging as library_logging

    logging: Any = library_logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
