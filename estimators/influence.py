"""Influence of neurons on the loss: D[t, i], every neuron ablated at every scored position (docs/methods.md#influence).

For the last layer by the closed form, exact to the contract. For any other layer by restarting at the layer, each
neuron ablated at all scored positions of a document at once, as a hook would: there an ablation reaches later positions
too. So for the last layer too where the model caps its logits: a capped logit has no closed form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from ..data.adapters import Adapter
from ..data.measurements import Audit, Panel
from ..data.models import LoadedModel
from ..data.options import Progress, Silent, Stage
from ..data.shards import Kept, Shards, told
from .ablation import Ablation, Kind, make_ablation
from .audit import audit
from .closed_form import ClosedForm
from .memory import host_tensor, with_back_off
from .readout import fold
from .restart import clean_calls, output_replaced, run_blocks

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


@dataclass(frozen=True)
class _UnderWay:
    """D while it is filled in: from which row on, and who is told of finished rows."""

    delta_loss: torch.Tensor
    start: int
    kept: Kept
    stage: Stage

    def finished(self, rows: slice) -> None:
        self.kept.add(range(rows.start, rows.stop))
        self.stage.advance(rows.stop - rows.start)


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
    with (shards or Shards()).stage("influence", delta_loss) as kept:
        before = kept.fill()
        start = next((place for place, row in enumerate(before) if place != row), len(before))  # up to the first gap
        with progress.stage(told("influence", start, len(panel), "positions"), len(panel) - start) as stage:
            under_way = _UnderWay(delta_loss, start, kept, stage)
            if has_closed_form(loaded.adapter, layer):
                target = torch.from_numpy(panel.target_id)
                _last_layer(loaded, layer, residual, activation, target, replaced, under_way)
            else:
                _by_restart(loaded, layer, documents, panel, activation, replaced, under_way)
    with progress.stage("audit", 1) as stage:
        checked = audit(loaded, documents, panel, residual, activation, delta_loss, replaced, layer, seed)
        stage.advance()
    return Influence(delta_loss, replaced.mean, checked)


def has_closed_form(adapter: Adapter, layer: int) -> bool:
    """Return whether ablations of a layer's neurons have a closed form: in the last layer, without a cap on logits."""
    return layer == adapter.layers - 1 and adapter.logit_cap is None


def _last_layer(
    loaded: LoadedModel,
    layer: int,
    residual: torch.Tensor,
    activation: torch.Tensor,
    target: torch.Tensor,
    ablation: Ablation,
    under_way: _UnderWay,
) -> None:
    readout, device = fold(loaded.adapter, layer), loaded.device
    closed_form = ClosedForm(readout)

    def work(size: int) -> slice:
        rows = slice(start, min(start + size, len(target)))
        change = ablation.replacement(activation, rows) - activation[rows]
        effects = closed_form.effects(
            residual[rows].to(device),
            change.to(device),
            target[rows].to(device),
            None if readout.after is None else activation[rows].to(device),
        )
        under_way.delta_loss[rows] = effects.cpu()
        return rows

    start, tile = under_way.start, closed_form.tile
    while start < len(target):
        rows, tile = with_back_off(work, tile, "position")
        under_way.finished(rows)
        start = rows.stop


def _by_restart(
    loaded: LoadedModel,
    layer: int,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    activation: torch.Tensor,
    ablation: Ablation,
    under_way: _UnderWay,
) -> None:
    w_out = loaded.adapter.w_out(layer)
    for rows, ids, change in changes_by_document(documents, panel, activation, ablation):
        if rows.stop > under_way.start:
            restart_document(loaded, layer, ids, panel.position[rows], change, w_out, under_way.delta_loss[rows])
            under_way.finished(rows)


def changes_by_document(
    documents: Sequence[Sequence[int]], panel: Panel, activation: torch.Tensor, ablation: Ablation
) -> Iterator[tuple[slice, Sequence[int], torch.Tensor]]:
    """Yield of each document its rows, its token ids and the change of every neuron at its scored positions, [n, N]."""
    bounds = np.flatnonzero(np.diff(panel.document, prepend=-1, append=-1))
    for start, stop in pairwise(bounds.tolist()):
        rows = slice(start, stop)
        yield rows, documents[int(panel.document[start])], ablation.replacement(activation, rows) - activation[rows]


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
