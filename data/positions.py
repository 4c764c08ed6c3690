"""Position embeddings that depend on a sequence's length.

Under most rotary embeddings a causal model does the same at a position whatever follows it. Under ``longrope`` (Ding et
al. 2024) and ``dynamic`` scaling (NTK-aware, bloc97 2023) the frequencies change with the length of the whole sequence,
so a document that is cut is another document. `transformers` keeps the ``dynamic`` ones from one pass to the next, too:
a document's numbers would depend on which longer documents the model read before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

LENGTH_FREE = frozenset({"default", "linear", "yarn", "llama3", "proportional"})
"""Kinds of rotary embedding whose frequencies follow from the configuration alone."""

_ORIGINAL, _CACHED = "original_inv_freq", "max_seq_len_cached"


def depends_on_length(config: Any) -> bool:
    """Return whether what a model does at a position may depend on how many tokens follow it.

    Parameters
    ----------
    config
        A Hugging Face configuration. A kind of rotary embedding that is not known to be free of the length counts as
        dependent on it.
    """
    settings = [getattr(config, name, None) for name in ("rope_parameters", "rope_scaling")]
    return any(kind not in LENGTH_FREE for setting in settings for kind in _kinds(setting))


def _kinds(setting: Any) -> Iterator[str]:
    """Yield the kinds of rotary embedding that a setting names; some families have one setting per layer type."""
    if isinstance(setting, dict):
        for key in ("rope_type", "type"):
            if isinstance(setting.get(key), str):
                yield setting[key]
        for inner in setting.values():
            yield from _kinds(inner)


def forget_lengths(model: nn.Module) -> None:
    """Make every pass of a model start from the rotary frequencies of its configuration.

    A hook on each rotary embedding whose frequencies grow with the longest sequence seen undoes that before each pass.
    So a pass is a function of its document alone, in any order and on any thread.
    """
    for module in model.modules():
        if hasattr(module, _ORIGINAL) and "dynamic" in str(getattr(module, "rope_type", "")):
            module.register_forward_pre_hook(_forget)


def _forget(module: nn.Module, arguments: tuple[Any, ...]) -> None:
    state: Any = module
    state.inv_freq = state.original_inv_freq.to(state.inv_freq.device)
    setattr(state, _CACHED, state.original_max_seq_len)
