"""Restarting a model at one block from the cached residual stream of its clean pass.

What happens before an ablated layer is the same for all ablations, so it is computed once. The model's own blocks run,
with the arguments that the clean pass gave them; a batch of ablations shares masks and position embeddings, whose first
axis is 1, by broadcasting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..data.adapters import Adapter
from ..data.models import LoadedModel


@dataclass(frozen=True)
class BlockCall:
    """How the clean pass called one block: residual stream [1, S, d] and all further arguments."""

    hidden: torch.Tensor
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]


@torch.no_grad()
def clean_calls(loaded: LoadedModel, ids: Sequence[int]) -> list[BlockCall]:
    """Run one document through the blocks, without the unembedding, and return how each block was called."""
    calls: list[BlockCall] = []

    def remember(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if arguments:
            calls.append(BlockCall(arguments[0], arguments[1:], keywords))
        else:
            rest = {name: value for name, value in keywords.items() if name != "hidden_states"}
            calls.append(BlockCall(keywords["hidden_states"], (), rest))

    with ExitStack() as stack:
        for block in loaded.adapter.blocks:
            stack.callback(block.register_forward_pre_hook(remember, with_kwargs=True).remove)
        loaded.model.base_model(torch.tensor([list(ids)], device=loaded.device), use_cache=False)
    return calls


@torch.no_grad()
def run_blocks(loaded: LoadedModel, calls: Sequence[BlockCall], first: int, last: int, rows: int = 1) -> torch.Tensor:
    """Run blocks `first` to `last` from the cached residual stream; return the stream after them, [A, S, d].

    Hooks decide what is different from the clean pass; whichever of them widens the first axis makes the batch. To a
    family whose blocks cannot be widened inside attention the batch of `rows` is fed from the start.
    """
    adapter, hidden = loaded.adapter, calls[first].hidden
    if not adapter.broadcasts:
        hidden = hidden.expand(rows, -1, -1)
    blocks = adapter.blocks
    for layer in range(first, last + 1):
        out = blocks[layer](hidden, *calls[layer].arguments, **_widened(adapter, calls[layer].keywords, len(hidden)))
        hidden = out[0] if isinstance(out, tuple) else out
    return hidden


def _widened(adapter: Adapter, keywords: dict[str, Any], rows: int) -> dict[str, Any]:
    """Return a block's keywords, with those that have a part for every row of the batch repeated."""
    here = [name for name in adapter.by_row if keywords.get(name) is not None]
    repeated = {name: torch.cat([keywords[name]] * rows) for name in here} if rows > 1 else {}
    return keywords | repeated


@contextmanager
def input_replaced(module: nn.Module, replace: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Within the context, the module's first input goes through `replace`."""

    def hook(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return replace(arguments[0]), *arguments[1:]

    handle = module.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def output_replaced(module: nn.Module, replace: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Within the context, the module's output goes through `replace`."""

    def hook(module: nn.Module, arguments: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
        return replace(output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class _Reached(Exception):
    """Raised at a site that a pass need not go beyond."""

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.value = value


def input_of(module: nn.Module, run: Callable[[], object]) -> torch.Tensor:
    """Call `run` until it comes to the module, and return the module's first input.

    Raises
    ------
    RuntimeError
        If it never comes there.
    """

    def stop(tensor: torch.Tensor) -> torch.Tensor:
        raise _Reached(tensor)

    try:
        with input_replaced(module, stop):
            run()
    except _Reached as reached:
        return reached.value
    raise RuntimeError(f"the pass never reached {type(module).__name__}")
