"""Effect of ablating each attention head on the activation of each neuron (docs/methods.md#heads, E[h, d, c, i]).

No closed form: the model restarts at the head's layer from the clean residual stream, all heads of the layer in one
batch, and stops at the neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from ..data.measurements import FloatArray, Heads, IntArray, Panel, PartialHeads
from ..data.models import LoadedModel
from ..data.options import Progress
from ..data.positions import depends_on_length
from ..data.shards import Shards
from .engine import Engine, Size, Workplace
from .forward import captured_inputs
from .memory import host_tensor, with_back_off
from .restart import clean_calls, input_of, input_replaced, run_blocks

HeadAblation = Literal["mean", "zero", "first_token"]
"""What replaces a head's output: its mean over the scored positions, zero, or its value at the first token, which is
what it would write if it attended to nothing else (the pattern ablation of the authors' code)."""

BATCH_FLOATS = 1 << 27
"""Floats of the largest temporary of one batch of ablations; with the model's shape it fixes the batch."""


@torch.no_grad()
def head_effects(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    layer: int,
    sd: FloatArray,
    *,
    ablation: HeadAblation = "mean",
    part: PartialHeads | None = None,
    progress: Progress | None = None,
    shards: Shards | None = None,
    engine: Engine | None = None,
) -> Heads:
    """Measure the effect of every head of every layer up to `layer` on that layer's neurons.

    Parameters
    ----------
    loaded
        The model.
    documents
        Token ids that it was fed, D of them.
    panel
        The scored positions with their matches; only matched positions are measured.
    layer
        Layer of the neurons.
    sd
        Standard deviation of each neuron's activation over the scored positions, [N]; effects are in these units, and
        in raw units where it is 0.
    ablation
        ``mean``, ``zero`` or ``first_token``.
    part
        Measure the heads of these layers on these documents only; what is measured is the same to the bit.
    shards
        Where finished documents are kept for a run that is cut off; nowhere if None.
    engine
        Where documents are worked on; here if None.

    Returns
    -------
    Heads
        Per layer one row per head, then one with head -1: all of the layer's heads together. A head that cannot reach
        the neurons goes through the same passes; its effect is 0 because the same numbers arrive.

    Raises
    ------
    InputError
        If there is not enough memory.
    """
    adapter = loaded.adapter
    place = Workplace(progress, shards, engine)
    layers = range(layer + 1) if part is None else part.layers
    which = [(at, head) for at in layers for head in (*range(adapter.heads(at)), -1)]
    means = head_means(loaded, documents, panel, layer, place) if ablation == "mean" else None
    effect = host_tensor(len(which), len(documents), 2, len(sd))
    scale = torch.from_numpy(np.where(sd > 0, sd, 1.0)).float()
    by_document = matched_positions(panel)
    if part is not None:
        by_document = {document: by_document[document] for document in part.documents}
    read = {document: needed_ids(loaded, documents[document], at) for document, (at, _) in by_document.items()}
    effect[:, [document for document in range(len(documents)) if document not in by_document]] = torch.nan

    longest = max(map(len, read.values()), default=1)
    rows = 1 + max(adapter.heads(at) for at in range(layer + 1))
    floats = min(BATCH_FLOATS, rows * _floats_a_row(loaded, longest))
    work = _HeadWork(tuple(layers), layer, ablation, means, scale)
    place.fill(
        "heads",
        loaded,
        work,
        [slice(document, document + 1) for document in by_document],
        lambda at: (read[at.start], *by_document[at.start]),
        effect.transpose(0, 1),
        size=Size(floats, BATCH_FLOATS, len(by_document)),
    )
    return Heads(
        effect=effect,
        neuron=torch.arange(len(sd)),
        layer=np.asarray([at for at, _ in which], dtype=np.int64),
        head=np.asarray([head for _, head in which], dtype=np.int64),
        reachable=np.asarray([adapter.reachable(at, head, layer) for at, head in which]),
    )


@dataclass(frozen=True)
class _HeadWork:
    """Effects of all heads in one document; an item is its ids, its matched positions and their class index.

    ``means`` and ``scale`` are those that changes are made with and counted in, on the host.
    """

    layers: tuple[int, ...]
    target: int
    ablation: HeadAblation
    means: list[torch.Tensor] | None
    scale: torch.Tensor

    @contextmanager
    def opened(self, view: LoadedModel) -> Iterator[Callable[[tuple[Sequence[int], IntArray, IntArray]], torch.Tensor]]:
        """Within the context, what is done with a document."""
        means = None if self.means is None else [mean.to(view.device) for mean in self.means]
        scale = self.scale.to(view.device)

        def changes(item: tuple[Sequence[int], IntArray, IntArray]) -> torch.Tensor:
            one = _Document(view, *item, self.target, self.ablation)
            found = [one.changes(at, None if means is None else means[at]) for at in self.layers]
            return (torch.cat(found) / scale).cpu()

        with fused_activations(view.model):
            yield changes


def matched_positions(panel: Panel) -> dict[int, tuple[IntArray, IntArray]]:
    """Return, for each document with a matched pair, its matched positions and their class index (0 rare, 1 common)."""
    rows = np.concatenate([panel.a_rows, panel.b_rows])
    label = np.repeat([0, 1], len(panel.a_rows))
    document = panel.document[rows]
    return {int(d): (panel.position[rows[document == d]], label[document == d]) for d in np.unique(document)}


def needed_ids(loaded: LoadedModel, ids: Sequence[int], position: IntArray) -> Sequence[int]:
    """Return as much of a document as decides what the model does at some of its positions.

    A causal model does the same at a position whatever follows it, unless its position embeddings depend on how long
    the whole document is.
    """
    return ids if depends_on_length(loaded.config) else ids[: int(position.max()) + 1]


def head_means(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    layer: int,
    place: Workplace,
) -> list[torch.Tensor]:
    """Return, per layer, the mean over the scored positions of the concatenated head outputs, [heads * width]."""
    widths = [_width(loaded.adapter.head_site(at)) for at in range(layer + 1)]
    sums = torch.zeros(len(documents), sum(widths), dtype=torch.float64)
    place.fill(
        "head means",
        loaded,
        _SumWork(layer),
        [slice(document, document + 1) for document in range(len(documents))],
        lambda at: (documents[at.start], panel.position[panel.document == at.start]),
        sums,
        size=Size(_floats_a_row(loaded, max(map(len, documents))), BATCH_FLOATS, len(documents)),
    )
    total = torch.zeros_like(sums[0])
    for one in sums:  # in the order of the documents, wherever and whenever each was added up
        total += one
    return [mean.to(loaded.dtype) for mean in torch.split(total / len(panel), widths)]


def _width(site: Any) -> int:
    """Width of what a linear layer takes, of PyTorch's kind or of GPT-2's with its weights the other way round."""
    return int(site.in_features if hasattr(site, "in_features") else site.weight.shape[0])


@dataclass(frozen=True)
class _SumWork:
    """Sums of the head outputs of all layers over the scored positions of a document; an item is its ids and those."""

    layer: int

    @contextmanager
    def opened(self, view: LoadedModel) -> Iterator[Callable[[tuple[Sequence[int], IntArray]], torch.Tensor]]:
        """Within the context, what is done with a document."""

        def sums(item: tuple[Sequence[int], IntArray]) -> torch.Tensor:
            ids, position = item
            index = torch.from_numpy(position).to(view.device)
            with captured_inputs({str(at): view.adapter.head_site(at) for at in range(self.layer + 1)}) as latest:
                clean_calls(view, ids)
            return torch.cat([latest[str(at)][0, index].double().sum(0) for at in range(self.layer + 1)]).cpu()

        yield sums


def _floats_a_row(loaded: LoadedModel, length: int) -> int:
    """Floats of a pass's largest temporary: a row of the batch has `length` tokens."""
    return length * max(loaded.adapter.neurons, 4 * loaded.adapter.w_in(0).shape[1])


class _Document:
    """Ablations of one document's heads.

    Parameters
    ----------
    loaded
        The model.
    ids
        Its token ids, as many as `needed_ids` says.
    position, label
        Matched positions and their class index, [M].
    target
        Layer of the neurons.
    ablation
        What replaces a head's output.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        ids: Sequence[int],
        position: IntArray,
        label: IntArray,
        target: int,
        ablation: HeadAblation,
    ) -> None:
        self._loaded, self._target, self._ablation = loaded, target, ablation
        self._calls = clean_calls(loaded, ids)
        self._index = torch.from_numpy(position).to(loaded.device)
        one_hot = torch.nn.functional.one_hot(torch.from_numpy(label), 2).T.float().to(loaded.device)
        self._weights = one_hot / one_hot.sum(1, keepdim=True)
        self._clean = self._activation(target)

    def changes(self, at: int, mean: torch.Tensor | None) -> torch.Tensor:
        """Return mean |change of activation| per ablation of layer `at` and class, [heads + 1, 2, N]."""
        adapter, hidden = self._loaded.adapter, self._calls[at].hidden
        heads = adapter.heads(at)
        groups = [[head] for head in range(heads)] + [list(range(heads))]

        def work(size: int) -> torch.Tensor:
            batch = groups[first : first + size]
            ablate = partial(ablated_heads, batch=batch, heads=heads, mean=mean, ablation=self._ablation)
            with input_replaced(adapter.head_site(at), ablate):
                activation = self._activation(at, len(batch))
            # an ablation that does not arrive leaves one row, made by the same operations as the clean one
            change = (activation - self._clean).abs_().expand(len(batch), -1, -1)
            return self._weights @ change

        parts, first = [], 0
        tile = max(1, BATCH_FLOATS // _floats_a_row(self._loaded, hidden.shape[1]))
        while first < len(groups):
            part, tile = with_back_off(work, tile, "attention head")
            parts.append(part)
            first += len(part)
        return torch.cat(parts)

    def _activation(self, start: int, rows: int = 1) -> torch.Tensor:
        """Return the activation at the matched positions, [A, M, N], of a pass from block `start`."""
        adapter, index = self._loaded.adapter, self._index
        with input_replaced(adapter.mlp(self._target), lambda hidden: hidden[:, index]):
            run = partial(run_blocks, self._loaded, self._calls, start, self._target, rows)
            return input_of(adapter.neuron_site(self._target), run).float()


def ablated_heads(
    output: torch.Tensor, *, batch: list[list[int]], heads: int, mean: torch.Tensor | None, ablation: HeadAblation
) -> torch.Tensor:
    """Return the concatenated head outputs with one group of heads replaced in each of A rows.

    Parameters
    ----------
    output
        [1, S, heads * width], or [A, S, heads * width] where the rows differ already.
    batch
        The A groups; an empty one leaves its row as it is.
    """
    rows = output.repeat(len(batch), 1, 1) if len(output) == 1 else output.clone()
    slices = rows.view(*rows.shape[:2], heads, -1)
    value = _replacement(output, ablation, mean).view(-1, heads, slices.shape[-1]).expand(len(batch), -1, -1)
    for row, group in enumerate(batch):
        for head in group:  # one by one: slices, where a list of heads would be gathered and scattered
            slices[row, :, head] = value[row, head]
    return rows


def _replacement(output: torch.Tensor, ablation: HeadAblation, mean: torch.Tensor | None) -> torch.Tensor:
    """Return what replaces the concatenated head outputs [A, S, heads * width]: [A, heads * width], or one row."""
    if mean is not None:
        return mean[None]
    if ablation == "zero":
        return torch.zeros_like(output[0, :1])
    return output[:, 0]  # a causal head at the first token attends to that token alone


@contextmanager
def fused_activations(model: Any) -> Iterator[None]:
    """Within the context, GPT-2's GELU of eight tensor operations is PyTorch's one, the same function.

    Heads are a third faster with it. Both sides of every difference are computed inside.
    """
    from transformers.activations import NewGELUActivation

    places = [
        (module, name)
        for module in model.modules()
        for name, child in module.named_children()
        if type(child) is NewGELUActivation
    ]
    before = [getattr(module, name) for module, name in places]
    for module, name in places:
        setattr(module, name, torch.nn.GELU(approximate="tanh"))
    try:
        yield
    finally:
        for (module, name), activation in zip(places, before, strict=True):
            setattr(module, name, activation)
