"""Adapters: the parts of a language model that a measurement touches, one file a model family."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from .base import Adapter, FinalNorm
from .gpt2 import GPT2Adapter
from .gpt_neox import GPTNeoXAdapter
from .llama import LlamaAdapter

__all__ = ["ADAPTERS", "Adapter", "FinalNorm", "adapter_for", "require_adapter"]

ADAPTERS: tuple[type[Adapter], ...] = (GPT2Adapter, GPTNeoXAdapter, LlamaAdapter)
"""Every adapter. A new family is one new file here and one more entry in this tuple."""


def require_adapter(model_type: str, where: str) -> type[Adapter]:
    """Return the adapter class that serves a ``config.model_type``.

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
    for adapter in ADAPTERS:
        if model_type in adapter.model_types:
            return adapter
    supported = ", ".join(name for adapter in ADAPTERS for name in adapter.model_types)
    raise InputError(
        f"no adapter for model type {model_type!r}",
        where,
        f"supported are {supported}; to add one, write one file like neuronull/data/adapters/gpt2.py "
        "and name it in neuronull/data/adapters/__init__.py",
    )


def adapter_for(model: Any, where: str = "") -> Adapter:
    """Return the adapter of a loaded model.

    Raises
    ------
    InputError
        If no adapter serves its type.
    """
    return require_adapter(str(model.config.model_type), where)(model)
