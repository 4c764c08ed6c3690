"""A model's weights under its configuration: all of them and no others, in a form that can be measured.

`transformers` reports what a checkpoint lacks and what it holds beside what the configuration asks for, and then goes
on. Both mean that another model than the one on the disk would be measured, so both are refused here.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import torch

from .errors import InputError
from .source import Source, first_line, refuse_unreachable

ATTENTION = ("eager", "sdpa")
"""Implementations of attention that a measurement can restart and hook."""

HARMLESS = re.compile(
    r"(^|\.)attn\.(masked_)?bias$"  # the causal mask that GPT-2 and GPT-Neo once saved
    r"|(^|\.)attention\.(masked_)?bias$"  # and GPT-NeoX
    r"|(^|\.)rotary_emb\.(inv_freq|cos_cached|sin_cached)$"
    r"|(^|\.)position_ids$"
)
"""Buffers that old checkpoints hold although they are computed from the configuration."""

ADAPTER_FILE = "adapter_config.json"
"""What `peft` leaves beside the weights of an adapter."""

_QUANTIZED = ("quantization_config", "compression_config")


def settle_attention(config: Any, attention: str, name: str) -> None:
    """Set the implementation of attention in a configuration.

    Parameters
    ----------
    config
        The Hugging Face configuration; changed in place.
    attention
        ``eager`` or ``sdpa``, or ``auto`` for what the configuration asks for.
    name
        The model's name, for the message.

    Raises
    ------
    InputError
        If the configuration asks for an implementation that cannot be measured, and nothing overrides it.
    """
    if attention != "auto":
        config._attn_implementation = attention
        return
    asked = getattr(config, "_attn_implementation", None)
    if asked is not None and asked not in ATTENTION:
        raise InputError(
            f"config.json of {name} asks for {asked} attention; a measurement runs on eager or sdpa attention",
            "--attention auto",
            "give --attention sdpa or --attention eager",
        )


def settle_outputs(config: Any) -> None:
    """Have a model return what it returns by default, whatever its configuration asks for beside the logits."""
    config.return_dict = True
    config.output_hidden_states = False
    config.output_attentions = False


def refuse_adapter(source: Source) -> None:
    """Refuse a directory with a low-rank adapter: without `peft`, `transformers` measures the base model in its place.

    Raises
    ------
    InputError
        If there is one.
    """
    if source.directory is not None and (source.directory / ADAPTER_FILE).is_file():
        raise InputError(
            f"{source.name} holds an adapter to be added to a base model, and a measurement needs the sum",
            ADAPTER_FILE,
            "merge the two (peft: merge_and_unload) and save the result, or remove the file",
        )


def refuse_quantized(config: Any, name: str) -> None:
    """Refuse a configuration whose weights are packed: neurons and heads have no plain matrices there.

    Raises
    ------
    InputError
        If the configuration says that the weights are quantized.
    """
    for flag in _QUANTIZED:
        asked = getattr(config, flag, None)
        if asked:
            raise InputError(
                f"the weights of {name} are quantized ({_method(asked)}), and a measurement needs plain weights",
                f"{flag} in config.json",
                "give the model that it was made from, or save it dequantized (model.dequantize())",
            )


def _method(asked: Any) -> str:
    """Name of a quantization, as a configuration gives it: a mapping or an object."""
    fields = asked if isinstance(asked, dict) else vars(asked)
    named = fields.get("quant_method")
    if named is None and any(str(key).lstrip("_").startswith("load_in_") for key in fields):
        named = "bitsandbytes"
    return str(getattr(named, "value", named or "no method named"))


def load_weights(source: Source, config: Any, dtype: torch.dtype) -> Any:
    """Return the model with the weights that lie at `source`.

    Raises
    ------
    InputError
        If they cannot be read, or are not exactly those that the configuration asks for.
    """
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM  # parts of transformers are untyped
    try:
        model, report = auto.from_pretrained(
            source.location,
            config=config,
            dtype=dtype,
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
            **source.keywords,
        )
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        _refuse_unreadable(source, error)
    _refuse_mismatch(source.name, report)
    _refuse_untied(source.name, config, model)
    return model


def fresh_weights(config: Any, dtype: torch.dtype, seed: int, name: str) -> Any:
    """Return a model whose weights are drawn anew; the global generator is left as it was.

    Raises
    ------
    InputError
        If `transformers` cannot build it.
    """
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM
    # transformers initialises from the global generator; fork_rng gives it back as it was
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = auto.from_config(config, dtype=torch.float32, trust_remote_code=False)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            what = f"{name} cannot be built from its config.json ({first_line(error)})"
            raise InputError(what, "--model", _hint(error, "correct config.json")) from error
    return model.to(dtype)


def _refuse_unreadable(source: Source, error: Exception) -> NoReturn:
    if source.directory is None and not isinstance(error, ImportError):
        if source.keywords.get("local_files_only"):
            refuse_unreachable(source)
        raise InputError(f"{source.name} could not be fetched", "--model", first_line(error)) from error
    raise InputError(
        f"the weights of {source.name} cannot be read ({first_line(error)})",
        "--model",
        _hint(error, "fetch the files again"),
    ) from error


def _hint(error: Exception, otherwise: str) -> str:
    """What helps against an error of `transformers`."""
    if isinstance(error, ImportError):
        return "install the package that is named here"
    if "attention implementation" in str(error):
        return "give --attention eager"
    return otherwise


def _refuse_mismatch(name: str, report: dict[str, Any]) -> None:
    """Refuse weights of which some are missing, of another shape, or beside those that were asked for."""
    missing = sorted(str(key) for key in report["missing_keys"])
    # a mismatched key comes with its two shapes
    shapes = sorted(str(key if isinstance(key, str) else key[0]) for key in report["mismatched_keys"])
    surplus = sorted(str(key) for key in report["unexpected_keys"] if not HARMLESS.search(str(key)))
    if missing or shapes:  # transformers would go on with random numbers in their place
        wanting = [*missing, *shapes]
        also = f", and hold {len(surplus)} others ({_some(surplus)})" if surplus else ""
        raise InputError(
            f"the weights of {name} lack {len(wanting)} parameters, {wanting[0]} among them{also}",
            "--model",
            "give the config.json that belongs to them" if surplus or shapes else "fetch the files again",
        )
    if surplus:  # transformers would go on without them
        raise InputError(
            f"the weights of {name} hold {len(surplus)} tensors that config.json does not ask for: {_some(surplus)}",
            "--model",
            "correct config.json (number of layers, biases), or remove the tensors if they are no part of the model",
        )


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:2]) + (", ..." if len(keys) > 2 else "")


def _refuse_untied(name: str, config: Any, model: Any) -> None:
    """Refuse a file whose unembedding differs from the embedding that the configuration ties it to."""
    head = model.get_output_embeddings()
    if getattr(config, "tie_word_embeddings", False) and head.weight is not model.get_input_embeddings().weight:
        raise InputError(
            f"config.json of {name} ties the unembedding to the embedding, and its weights hold two different ones",
            "tie_word_embeddings in config.json",
            "set it to false, or remove the unembedding from the weights",
        )
