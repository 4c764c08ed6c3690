"""Effect of ablating each attention head on the activation of each neuron (METHODS 2, E[h, d, c, i]).

No closed form: the model restarts at the head's layer from the clean residual stream, all heads of the layer in one
batch with the clean pass, and stops at the neurons.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from ..data.measurements import FloatArray, Heads, IntArray, Panel
from ..data.models import LoadedModel
from ..data.options import Progress, Silent
from .forward import captured_inputs
from .memory import with_back_off
from .restart import BlockCall, clean_calls, input_of, input_replaced, run_blocks

HeadAblation = Literal["mean", "zero", "first_token"]
"""What replaces a head's output: its mean over the scored positions, zero, or its value at the first token, which is
what it would write if it attended to nothing else (the pattern ablation of the authors' code)."""

_BATCH_FLOATS = 1 << 27
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
    progress: Progress | None = None,
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

    Returns
    -------
    Heads
        Per layer one row a head, then one with head -1: all of the layer's heads together. A head that cannot reach
        the neurons goes through the same passes; its effect is 0 because the same numbers arrive.

    Raises
    ------
    InputError
        If there is not enough memory.
    """
    adapter = loaded.adapter
    progress = progress or Silent()
    which = [(at, head) for at in range(layer + 1) for head in (*range(adapter.heads(at)), -1)]
    means = _head_means(loaded, documents, panel, layer, progress) if ablation == "mean" else None
    effect = torch.full((len(which), len(documents), 2, len(sd)), torch.nan)
    scale = torch.from_numpy(np.where(sd > 0, sd, 1.0)).float().to(loaded.device)
    by_document = _matched(panel)
    with progress.stage("heads", len(by_document)) as stage:
        for document, (position, label) in by_document.items():
            ids = documents[document][: int(position.max()) + 1]  # causal: what follows changes nothing
            calls = clean_calls(loaded, ids)
            first = 0
            for at in range(layer + 1):
                replaced = None if means is None else means[at]
                changes = _layer_changes(loaded, calls, at, layer, position, label, ablation, replaced)
                effect[first : first + len(changes), document] = (changes / scale).cpu()
                first += len(changes)
            stage.advance()
    return Heads(
        effect=effect,
        neuron=torch.arange(len(sd)),
        layer=np.asarray([at for at, _ in which], dtype=np.int64),
        head=np.asarray([head for _, head in which], dtype=np.int64),
        reachable=np.asarray([adapter.reachable(at, head, layer) for at, head in which]),
    )


def _matched(panel: Panel) -> dict[int, tuple[IntArray, IntArray]]:
    """Return, for each document with a matched pair, its matched positions and their class index (0 rare, 1 common)."""
    rows = np.concatenate([panel.rare_rows, panel.common_rows])
    label = np.repeat([0, 1], len(panel.rare_rows))
    document = panel.document[rows]
    return {int(d): (panel.position[rows[document == d]], label[document == d]) for d in np.unique(document)}


def _head_means(
    loaded: LoadedModel, documents: Sequence[Sequence[int]], panel: Panel, layer: int, progress: Progress
) -> list[torch.Tensor]:
    """Return, per layer, the mean over the scored positions of the concatenated head outputs, [heads * width]."""
    adapter = loaded.adapter
    sites = {str(at): adapter.head_site(at) for at in range(layer + 1)}
    sums: dict[str, torch.Tensor] = {}
    with progress.stage("head means", len(documents)) as stage, captured_inputs(sites) as latest:
        for document, ids in enumerate(documents):
            position = torch.from_numpy(panel.position[panel.document == document]).to(loaded.device)
            clean_calls(loaded, ids)
            for name, output in latest.items():
                total = output[0, position].double().sum(0)
                sums[name] = sums[name] + total if name in sums else total
            stage.advance()
    return [(sums[str(at)] / len(panel)).to(loaded.dtype) for at in range(layer + 1)]


def _layer_changes(
    loaded: LoadedModel,
    calls: Sequence[BlockCall],
    at: int,
    target: int,
    position: IntArray,
    label: IntArray,
    ablation: HeadAblation,
    mean: torch.Tensor | None,
) -> torch.Tensor:
    """Return mean |change of activation| per ablation of layer `at` and class, [heads + 1, 2, N]."""
    adapter, heads = loaded.adapter, loaded.adapter.heads(at)
    groups = [[head] for head in range(heads)] + [list(range(heads))]
    index = torch.from_numpy(position).to(loaded.device)
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(label), 2).T.float().to(loaded.device)
    weights = one_hot / one_hot.sum(1, keepdim=True)

    def activation(batch: list[list[int]], start: int) -> torch.Tensor:
        """Activation at the matched positions, [1 + A, M, N], from a pass through blocks `start` to `target`.

        Its first row is clean. Where an ablation does not arrive there is no other: [1, M, N].
        """

        def ablate(output: torch.Tensor) -> torch.Tensor:
            rows = output.repeat(len(batch) + 1, 1, 1)
            slices = rows.view(*rows.shape[:2], heads, -1)
            value = _replacement(output, ablation, mean).view(-1, heads, slices.shape[-1])
            for row, group in enumerate(batch, start=1):
                slices[row, :, group] = value[:, group]
            return rows

        with ExitStack() as stack:
            if batch:
                stack.enter_context(input_replaced(adapter.head_site(at), ablate))
            stack.enter_context(input_replaced(adapter.mlp(target), lambda hidden: hidden[:, index]))
            return input_of(adapter.neuron_site(target), lambda: run_blocks(loaded, calls, start, target)).float()

    def work(size: int) -> torch.Tensor:
        batch = groups[first : first + size]
        found = activation(batch, at)
        changes = (found[1:] if len(found) > 1 else found.expand(len(batch), -1, -1)) - found[:1]
        return weights @ changes.abs_()

    parts, first = [], 0
    widest = max(adapter.neurons, calls[at].hidden.shape[-1] * 4)
    tile = max(1, _BATCH_FLOATS // (calls[at].hidden.shape[1] * widest))
    while first < len(groups):
        part, tile = with_back_off(work, tile, "attention head")
        parts.append(part)
        first += len(part)
    return torch.cat(parts)


def _replacement(output: torch.Tensor, ablation: HeadAblation, mean: torch.Tensor | None) -> torch.Tensor:
    """Return what replaces the concatenated head outputs [1, S, heads * width]: [1, heads * width]."""
    if mean is not None:
        return mean[None]
    if ablation == "zero":
        return torch.zeros_like(output[0, :1])
    return output[0, :1]  # a causal head at the first token attends to that token alone
