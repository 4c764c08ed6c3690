"""Adapters: the parts of a language model that a measurement touches, one class per model family."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from ..errors import InputError
from ..registry import BUILT_IN, Registry
from .base import Adapter, Norm

__all__ = ["Adapter", "Norm", "adapter_for", "adapters", "families", "require_adapter"]


def _adapter(found: Any) -> type[Adapter]:
    if not (inspect.isclass(found) and issubclass(found, Adapter)):
        raise TypeError(f"a model family is a subclass of Adapter, not {found!r}")
    return found


families: Registry[type[Adapter]] = Registry(
    "model family",
    "neuronull.adapters",
    {
        "gpt2": ".gpt:GPT2Adapter",
        "gpt_neo": ".gpt:GPTNeoAdapter",
        "gptj": ".gpt:GPTJAdapter",
        "gpt_neox": ".gpt:GPTNeoXAdapter",
        "llama": ".llama:LlamaAdapter",
        "granite": ".llama:GraniteAdapter",
        "phi3": ".llama:Phi3Adapter",
        "olmo": ".llama:OlmoAdapter",
        "olmo2": ".llama:Olmo2Adapter",
        "stablelm": ".llama:StableLmAdapter",
        "gemma": ".gemma:GemmaAdapter",
        "gemma2": ".gemma:Gemma2Adapter",
        "opt": ".biased:OPTAdapter",
        "phi": ".biased:PhiAdapter",
        "bloom": ".biased:BloomAdapter",
        "falcon": ".biased:FalconAdapter",
    },
    __package__,
    _adapter,
)
"""Every adapter, by the name of its family. A new family is one more class and entry, here or in a plug-in."""


def adapters() -> Iterator[type[Adapter]]:
    """Adapters that ship, then those of plug-ins that can be loaded."""
    own = [name for name in families.names() if families.origin(name) == BUILT_IN]
    yield from map(families.get, own)
    yield from (adapter for name, adapter in families.items() if name not in own)


def require_adapter(model_type: str, where: str) -> type[Adapter]:
    """Return the adapter class that serves a ``config.model_type``; plug-ins are loaded only if none that ships does.

    Parameters
    ----------
    model_type
        As the model's configuration spells it.
    where
        The model's name or path, for the message.

    Raises
    ------
    InputError
        If no adapter serves it.
    """
    for adapter in adapters():
        if model_type in adapter.model_types:
            return adapter
    supported = ", ".join(name for adapter in adapters() for name in adapter.model_types)
    raise InputError(
        f"no adapter for model type {model_type!r}",
        where,
        f"supported are {supported}; docs/own-model-family.md shows how to add one",
    )


def adapter_for(model: Any, where: str = "") -> Adapter:
    """Return the adapter of a loaded model.

    Raises
    ------
    InputError
        If no adapter serves its type.
    """
    return require_adapter(str(model.config.model_type), where)(model)
