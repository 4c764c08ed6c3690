"""A model that is in memory already, given from Python in place of a name."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from .adapters import require_adapter
from .errors import InputError

_TYPES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


@dataclass(frozen=True, eq=False)
class GivenModel:
    """A causal language model of `transformers` with its tokenizer.

    It is measured where it lies and as it is: weights are shared and never changed, modules are copied, so that hooks
    and settings of the measurement do not meet those of its owner.

    Parameters
    ----------
    model, tokenizer
        As `transformers` makes them.
    """

    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)

    def __str__(self) -> str:
        """Name in results: that under which it was loaded, without its folders, or its class."""
        name = str(getattr(self.model.config, "_name_or_path", "") or "").rstrip("/").rsplit("/", 1)[-1]
        return name or type(self.model).__name__

    @property
    def dtype(self) -> str:
        """Type of its parameters, as ``--dtype`` calls it."""
        return _TYPES.get(next(iter(self.model.parameters())).dtype, "another type")

    @property
    def device(self) -> str:
        """Device that it lies on, as ``--device`` calls it."""
        return str(next(iter(self.model.parameters())).device)

    def shared(self) -> Any:
        """Return the model under other modules, whose parameters share the memory of the given ones."""
        memo = {id(one): nn.Parameter(one.data, requires_grad=False) for one in self.model.parameters()}
        return copy.deepcopy(self.model, memo)


def given_model(model: Any, tokenizer: Any) -> GivenModel:
    """Return a model that was given from Python, checked.

    Raises
    ------
    InputError
        If it is no language model that can be measured, or came without a tokenizer.
    """
    hint = "give an id, a directory, or a model of transformers with its tokenizer"
    if not isinstance(model, nn.Module) or not hasattr(model, "config") or not hasattr(model.config, "model_type"):
        raise InputError(f"a {type(model).__name__} is no model", "model", hint)
    if tokenizer is None:
        raise InputError(f"the {type(model).__name__} came without a tokenizer", "tokenizer", "give it as well")
    if not callable(tokenizer) or not hasattr(tokenizer, "get_vocab"):
        raise InputError(f"a {type(tokenizer).__name__} is no tokenizer", "tokenizer", hint)
    if getattr(model, "get_output_embeddings", lambda: None)() is None:
        raise InputError(f"a {type(model).__name__} has no unembedding", "model", "give the causal language model")
    require_adapter(str(model.config.model_type), type(model).__name__)
    devices = {parameter.device for parameter in model.parameters()}
    if len(devices) > 1 or "meta" in str(devices):
        raise InputError("the model lies on several devices", "model", "move it to one, or give its directory")
    if len({parameter.dtype for parameter in model.parameters()}) > 1:
        raise InputError("the model's parameters are of several types", "model", "convert it to one (model.float())")
    return GivenModel(model, tokenizer)
