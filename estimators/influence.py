"""Influence of neurons on the loss: D[t, i], every neuron ablated at every scored position (docs/methods.md#influence).

For the last layer by the closed form, exact to the contract. For any other layer by restarting at the layer, each
neuron ablated at all scored positions of a document at once, as a hook would: there an ablation reaches later positions
too. So for the last layer too where the model caps its logits: a capped logit has no closed form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from ..data.adapters import Adapter
from ..data.measurements import Audit, IntArray, Panel
from ..data.models import LoadedModel
from ..data.options import Progress, Silent
from ..data.shards import Shards
from .ablation import Ablation, Kind, make_ablation
from .audit import audit
from .closed_form import ClosedForm
from .engine import Engine, Workplace, placed
from .memory import host_tensor, with_back_off
from .readout import fold
from .restart import clean_calls, output_replaced, run_blocks
from .vocabulary import tile_size

LOGIT_FLOATS = 1 << 26
"""Floats of the ablated logits of one batch of neurons, when restarting."""


@dataclass(frozen=True)
class Influence:
    """Effects of single-neuron ablation.

    Parameters
    ----------
    delta_loss
        D, loss after ablation less loss before, in nats, float32 [T, N], on the host.
    mean
        Mean activation over the scored positions, float32 [N].
    audit
        A sample of D against naive forward passes.
    """

    delta_loss: torch.Tensor
    mean: torch.Tensor
    audit: Audit


@torch.no_grad()
def influence(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    residual: torch.Tensor,
    activation: torch.Tensor,
    layer: int,
    *,
    ablation: Kind = "mean",
    seed: int = 0,
    progress: Progress | None = None,
    shards: Shards | None = None,
    engine: Engine | None = None,
) -> Influence:
    """Measure D and audit it.

    Parameters
    ----------
    loaded
        The model.
    documents
        Token ids that it was fed.
    panel
        The scored positions.
    residual
        Residual stream before the final norm at the scored positions, float32 [T, d].
    activation
        Activation of the layer's neurons at the scored positions, float32 [T, N].
    layer
        Layer of the neurons.
    ablation
        ``mean``, ``zero`` or ``resample``.
    seed
        Of the resampling and of the audit's sample.
    shards
        Where finished positions are kept for a run that is cut off; nowhere if None.
    engine
        Where positions are worked on; here if None.

    Raises
    ------
    InputError
        If there is not enough memory.
    AuditError
        If an audited entry is not within the contract.
    """
    replaced = make_ablation(ablation, activation, panel, seed)
    progress = progress or Silent()
    delta_loss = host_tensor(*activation.shape)
    closed, target = has_closed_form(loaded.adapter, layer), torch.from_numpy(panel.target_id)

    def item(rows: slice) -> tuple[Any, ...]:
        change = replaced.replacement(activation, rows) - activation[rows]
        if closed:
            return residual[rows], change, target[rows], activation[rows]
        return documents[int(panel.document[rows.start])], panel.position[rows], change

    work = _TileWork(layer) if closed else _RestartWork(layer)
    parts = _tiles(panel, tile_size(fold(loaded.adapter, layer))) if closed else rows_by_document(panel)
    Workplace(progress, shards, engine).fill("influence", loaded, work, parts, item, delta_loss, unit="positions")
    with progress.stage("audit", 1) as stage:
        checked = audit(loaded, documents, panel, residual, activation, delta_loss, replaced, layer, seed)
        stage.advance()
    return Influence(delta_loss, replaced.mean, checked)


def has_closed_form(adapter: Adapter, layer: int) -> bool:
    """Return whether ablations of a layer's neurons have a closed form: in the last layer, without a cap on logits."""
    return layer == adapter.layers - 1 and adapter.logit_cap is None


@dataclass(frozen=True)
class _TileWork:
    """D of a tile of positions by the closed form.

    An item is the residual stream, the change of every neuron, the targets and the activation there.
    """

    layer: int

    @contextmanager
    def opened(self, view: LoadedModel) -> Iterator[Callable[[tuple[torch.Tensor, ...]], torch.Tensor]]:
        """Within the context, what is done with a tile."""
        readout = fold(view.adapter, self.layer)
        closed_form = ClosedForm(readout)
        tile = closed_form.tile

        def effects(item: tuple[torch.Tensor, ...]) -> torch.Tensor:
            out = torch.empty_like(item[1])

            def part(size: int) -> int:
                rows = slice(first, min(first + size, len(out)))
                residual, change, target, activation = (placed(one[rows], view.device) for one in item)
                after = None if readout.after is None else activation
                out[rows] = closed_form.effects(residual, change, target, after).cpu()
                return rows.stop

            nonlocal tile
            first = 0
            while first < len(out):
                first, tile = with_back_off(part, tile, "position")
            return out

        yield effects


@dataclass(frozen=True)
class _RestartWork:
    """D of a document by passes that start again at the layer.

    An item is its ids, its scored positions and the change of every neuron there.
    """

    layer: int

    @contextmanager
    def opened(
        self, view: LoadedModel
    ) -> Iterator[Callable[[tuple[Sequence[int], IntArray, torch.Tensor]], torch.Tensor]]:
        """Within the context, what is done with a document."""
        w_out = view.adapter.w_out(self.layer)

        def effects(item: tuple[Sequence[int], IntArray, torch.Tensor]) -> torch.Tensor:
            out = torch.empty_like(item[2])
            restart_document(view, self.layer, *item, w_out, out)
            return out

        yield effects


def _tiles(panel: Panel, size: int) -> list[slice]:
    return [slice(start, min(start + size, len(panel))) for start in range(0, len(panel), size)]


def rows_by_document(panel: Panel) -> list[slice]:
    """Rows of each document that has scored positions."""
    bounds = np.flatnonzero(np.diff(panel.document, prepend=-1, append=-1)).tolist()
    return [slice(start, stop) for start, stop in pairwise(bounds)]


def matched_rows(panel: Panel) -> dict[int, tuple[slice, IntArray, IntArray]]:
    """Return, for each document with a matched pair, its rows, which of them are matched, and their class index.

    Places count from the first of the rows; class 0 is rare, 1 common.
    """
    label = np.full(len(panel), -1, dtype=np.int64)
    label[panel.a_rows], label[panel.b_rows] = 0, 1
    found = {}
    for rows in rows_by_document(panel):
        matched = np.flatnonzero(label[rows] >= 0)
        if len(matched):
            found[int(panel.document[rows.start])] = (rows, matched, label[rows][matched])
    return found


def changes_by_document(
    documents: Sequence[Sequence[int]], panel: Panel, activation: torch.Tensor, ablation: Ablation
) -> Iterator[tuple[slice, Sequence[int], torch.Tensor]]:
    """Yield of each document its rows, its token ids and the change of every neuron at its scored positions, [n, N]."""
    for rows in rows_by_document(panel):
        change = ablation.replacement(activation, rows) - activation[rows]
        yield rows, documents[int(panel.document[rows.start])], change


def restart_document(
    loaded: LoadedModel,
    layer: int,
    ids: Sequence[int],
    position: np.ndarray[tuple[int], np.dtype[np.int64]],
    change: torch.Tensor,
    w_out: torch.Tensor,
    delta_loss: torch.Tensor,
) -> None:
    """Write D of one document, [n, k], from the change of k neurons at its n scored positions.

    ``w_out`` [k, d] is what one unit of each of them adds to the output of the MLP's projection.
    """
    adapter, device = loaded.adapter, loaded.device
    at = torch.from_numpy(position).to(device)
    target = torch.tensor(list(ids), device=device)[at + 1]
    calls = clean_calls(loaded, ids)

    def work(size: int) -> int:
        stop = min(first + size, change.shape[1])
        added = change[:, first:stop].to(device, w_out.dtype).T[:, :, None] * w_out[first:stop, None, :]

        def ablate(output: torch.Tensor) -> torch.Tensor:
            # row 0 stays clean: the difference is then taken within one batch
            batch = output.repeat(stop - first + 1, 1, 1)
            batch[1:, at] += added
            return batch

        with output_replaced(adapter.neuron_site(layer), ablate):
            hidden = run_blocks(loaded, calls, layer, adapter.layers - 1)
        loss = losses_after(loaded, hidden[:, at], target)
        delta_loss[:, first:stop] = (loss[1:] - loss[0]).T.cpu()
        return stop

    first, tile = 0, max(1, LOGIT_FLOATS // (adapter.vocabulary * len(position)))
    while first < change.shape[1]:
        first, tile = with_back_off(work, tile, "neuron")


def losses_after(loaded: LoadedModel, hidden: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return losses in nats, [A, n], from the residual stream after the last block, [A, n, d], and n target ids."""
    logits = loaded.adapter.logits(hidden).float()
    losses: torch.Tensor = logits.logsumexp(-1) - logits.gather(-1, target.expand(len(hidden), -1)[:, :, None])[:, :, 0]
    return losses
