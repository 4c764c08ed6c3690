"""The clean forward pass: what every later step of a measurement starts from.

Documents are fed one by one, unpadded. So no number depends on which documents share a batch: a float32 matrix product
over a batch of 1 or of 7 sequences differs in its last digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from ..data.measurements import FloatArray, IntArray, Panel
from ..data.models import LoadedModel
from ..data.options import Progress, Silent
from ..data.shards import Shards, told
from .engine import Engine, Local, Size
from .memory import host_tensor, with_back_off

QUEUE = 16
"""Documents whose results wait on the device before they are copied to the host together."""

LOGIT_FLOATS = 1 << 26
"""Floats of the logits of all documents that are under way side by side."""

_CHUNK = 4096


@dataclass(frozen=True)
class Forward:
    """What the clean model did at every position that predicts a token.

    Parameters
    ----------
    losses
        Per document the loss (nats) of token j + 1 at position j, float64 [S - 1].
    offsets
        Row of each document's position 0 in the flat arrays, and their length at the end, [D + 1].
    residual
        Residual stream before the final norm, float32 [R, d], on the host.
    activation
        Activation at the neuron site, float32 [R, N], on the host.
    """

    losses: list[FloatArray]
    offsets: IntArray
    residual: torch.Tensor
    activation: torch.Tensor

    def scored(self, panel: Panel) -> tuple[torch.Tensor, torch.Tensor]:
        """Return residual [T, d] and activation [T, N] at the scored positions; the rest of both is overwritten."""
        rows = torch.from_numpy(self.offsets[panel.document] + panel.position)
        return _compact(self.residual, rows), _compact(self.activation, rows)


def _compact(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return ``values[rows]`` for increasing rows, in place: a copy of [T, N] may not fit."""
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK]
        values[start : start + len(part)] = values[part]
    return values[: len(rows)]


@contextmanager
def captured_inputs(modules: dict[str, nn.Module]) -> Iterator[dict[str, torch.Tensor]]:
    """Within the context, the latest first input of each module under its name."""
    latest: dict[str, torch.Tensor] = {}

    def remember(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
            latest[name] = arguments[0]

        return hook

    with ExitStack() as stack:
        for name, module in modules.items():
            handle = module.register_forward_pre_hook(remember(name))
            stack.callback(handle.remove)
        yield latest


@torch.no_grad()
def run_forward(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    layer: int,
    *,
    batch: int | None = None,
    progress: Progress | None = None,
    shards: Shards | None = None,
    engine: Engine | None = None,
) -> Forward:
    """Run the model over the documents and keep what the measurements start from.

    Parameters
    ----------
    loaded
        The model.
    documents
        Token ids, at least two a document.
    layer
        Layer of the neurons.
    batch
        Documents in flight before results are copied to the host; changes no number.
    shards
        Where finished documents are kept for a run that is cut off; nowhere if None.
    engine
        Where documents are worked on; here if None.

    Raises
    ------
    InputError
        If there is not enough memory.
    """
    lengths = [len(ids) - 1 for ids in documents]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    adapter = loaded.adapter
    residual = host_tensor(int(offsets[-1]), adapter.w_out(layer).shape[1])
    activation = host_tensor(int(offsets[-1]), adapter.w_out(layer).shape[0])
    losses = torch.empty(int(offsets[-1]))
    engine, filled = engine or Local(), (losses, residual, activation)

    def several(size: int) -> list[_Found]:
        return list(each([documents[document] for document in left[first : first + size]]))

    with (shards or Shards()).stage("forward", *filled) as kept:
        before = set(kept.fill())
        left = [document for document in range(len(documents)) if int(offsets[document]) not in before]
        name = told("forward pass", len(documents) - len(left), len(documents), "documents")
        size = Size(max(lengths, default=1) * adapter.vocabulary, LOGIT_FLOATS, max(1, len(left)))
        first, tile = 0, batch or max(QUEUE, engine.ahead)
        with (
            (progress or Silent()).stage(name, len(left)) as stage,
            engine.spread(loaded, _DocumentWork(layer), size) as each,
        ):
            while first < len(left):
                results, tile = with_back_off(several, tile, "document")
                for document, found in zip(left[first : first + tile], results, strict=True):
                    rows = slice(int(offsets[document]), int(offsets[document + 1]))
                    for whole, part in zip(filled, found, strict=True):
                        whole[rows] = part
                    kept.add(range(rows.start, rows.stop))
                    stage.advance()
                first += len(results)
    by_document = torch.split(losses.double(), lengths)
    return Forward([one.numpy() for one in by_document], offsets, residual, activation)


_Found: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class _DocumentWork:
    """Loss, residual stream and activation of a document; an item is its ids."""

    layer: int

    @contextmanager
    def opened(self, view: LoadedModel) -> Iterator[Callable[[Sequence[int]], _Found]]:
        """Within the context, what is done with a document."""
        yield partial(_one, view, layer=self.layer)


def _one(loaded: LoadedModel, ids: Sequence[int], layer: int) -> _Found:
    """Return loss [S - 1], residual [S - 1, d] and activation [S - 1, N] of one document."""
    tokens = torch.tensor([list(ids)], device=loaded.device)
    sites = {"residual": loaded.adapter.final_norm_module, "activation": loaded.adapter.neuron_site(layer)}
    with captured_inputs(sites) as latest:
        logits = loaded.model(tokens, use_cache=False).logits[0, :-1].float()
    loss = nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="none")
    return loss, latest["residual"][0, :-1].float(), latest["activation"][0, :-1].float()
