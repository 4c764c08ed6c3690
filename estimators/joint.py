"""Loss increase when a whole set of neurons, or of heads, is ablated together: the measurement of closures.

Neurons of the last layer by the closed form (docs/methods.md#closed-form), which is linear in what is added to the
residual stream: with c the changes of a set's activations and s' the norm's new scale, the logits change by
eps = (s/s' - 1) z + (c/s') u, and the loss by log E_p[exp(eps)] - eps_y (notation:
`neuronull.estimators.closed_form`). A set costs one product [n, k] x [k, V] and V exponentials a position, nothing is
approximated; with a norm after the MLP, what is added goes through that norm first. Neurons of other layers, of models
that cap their logits, and heads restart at the lowest layer that a set touches, a batch of sets at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numba import prange

from ..data.measurements import IntArray, Panel
from ..data.models import LoadedModel
from ..data.options import Progress, Silent, Stage
from .ablation import Ablation, Kind, make_ablation
from .compiled import compiled
from .exact import compiled_exp
from .heads import (
    BATCH_FLOATS,
    HeadAblation,
    ablated_heads,
    fused_activations,
    head_means,
    matched_positions,
    needed_ids,
)
from .influence import LOGIT_FLOATS, has_closed_form, losses_after
from .memory import with_back_off
from .readout import Readout, fold
from .restart import BlockCall, clean_calls, input_replaced, output_replaced, run_blocks
from .vocabulary import Clean, Vocabulary

_SET_FLOATS = 1 << 24
"""Floats of the changes of one batch of sets at the positions of a tile."""


@dataclass(frozen=True)
class JointIncrease:
    """Loss increase under joint ablation.

    Parameters
    ----------
    total
        Sum over a document's matched positions of a class (0 = rare, 1 = common) of loss after less loss before, in
        nats, float64 [S, D, 2]; 0 where the document has no matched pair.
    pairs
        Matched pairs of each document, int64 [D].
    """

    total: torch.Tensor
    pairs: torch.Tensor

    @property
    def mean(self) -> torch.Tensor:
        """Mean loss increase, [S, D, 2], NaN where the document has no matched pair."""
        return self.total / self.pairs[:, None]


@torch.no_grad()
def joint_neurons(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    residual: torch.Tensor,
    activation: torch.Tensor,
    layer: int,
    sets: Sequence[IntArray],
    *,
    ablation: Kind = "mean",
    seed: int = 0,
    progress: Progress | None = None,
) -> JointIncrease:
    """Ablate each set of one layer's neurons jointly.

    Parameters
    ----------
    sets
        S sets of neurons, each int64 [k] without repetition; k may differ. An array [S, k] will do.

    Other parameters are those of `neuronull.estimators.influence.influence`: a set of one neuron has the sum of that
    neuron's D. In a layer before the last a set is ablated at all scored positions of a document at once.

    Raises
    ------
    InputError
        If there is not enough memory.
    ValueError
        If a set repeats a neuron or names one that is not there.
    """
    chosen = [_checked(one, activation.shape[1]) for one in sets]
    replaced = make_ablation(ablation, activation, panel, seed)
    sums = _Sums(len(chosen), len(documents), panel)
    with (progress or Silent()).stage("joint ablation", len(panel)) as stage:
        if has_closed_form(loaded.adapter, layer):
            _last_layer(loaded, layer, panel, residual, activation, replaced, chosen, sums, stage)
        else:
            _by_restart(loaded, layer, documents, panel, activation, replaced, chosen, sums, stage)
    return sums.result()


@torch.no_grad()
def joint_heads(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    sets: Sequence[Sequence[tuple[int, int]]],
    *,
    ablation: HeadAblation = "mean",
    progress: Progress | None = None,
) -> JointIncrease:
    """Ablate each set of attention heads jointly.

    Parameters
    ----------
    sets
        S sets of heads, each a sequence of (layer, head).
    ablation
        As in `neuronull.estimators.heads.head_effects`: a head is replaced at every position of the document.

    Raises
    ------
    InputError
        If there is not enough memory.
    ValueError
        If a set repeats a head, names one that is not there, or is empty.
    """
    progress, adapter = progress or Silent(), loaded.adapter
    there = {(at, head) for at in range(adapter.layers) for head in range(adapter.heads(at))}
    for one in sets:
        if not one or len(set(one)) < len(one) or not set(one) <= there:
            raise ValueError(f"a set of heads must name heads of the model, each once: {list(one)}")
    means = head_means(loaded, documents, panel, adapter.layers - 1, progress) if ablation == "mean" else None
    sums = _Sums(len(sets), len(documents), panel)
    by_document = matched_positions(panel)
    order = sorted(range(len(sets)), key=lambda s: min(sets[s])[0])
    with progress.stage("joint ablation", len(by_document)) as stage, fused_activations(loaded.model):
        for document, (position, label) in by_document.items():
            calls = clean_calls(loaded, needed_ids(loaded, documents[document], position))
            target = torch.tensor([documents[document][p + 1] for p in position], device=loaded.device)
            at = torch.from_numpy(position).to(loaded.device)
            for batch, change in _head_batches(loaded, calls, at, target, sets, order, means, ablation):
                sums.add(torch.tensor(batch), np.full(len(label), document), label, change)
            stage.advance()
    return sums.result()


class _Sums:
    """Totals a set, document and class."""

    def __init__(self, sets: int, documents: int, panel: Panel) -> None:
        self._flat = torch.zeros(sets, 2 * documents, dtype=torch.float64)
        pairs = np.bincount(panel.document[panel.a_rows], minlength=documents)
        self._pairs = torch.from_numpy(pairs.astype(np.int64))

    def add(self, sets: torch.Tensor | slice, document: IntArray, label: IntArray, change: torch.Tensor) -> None:
        """Add loss changes [s, n] of some sets at n matched positions."""
        added = self._flat.new_zeros(len(change), self._flat.shape[1])
        added.index_add_(1, torch.from_numpy(2 * document + label), change.double().cpu())
        self._flat[sets] += added

    def result(self) -> JointIncrease:
        """What has been added up."""
        return JointIncrease(self._flat.view(len(self._flat), -1, 2), self._pairs)


def _checked(one: IntArray, neurons: int) -> torch.Tensor:
    members = np.asarray(one, dtype=np.int64)
    if members.ndim != 1 or len(np.unique(members)) < len(members) or not np.all((members >= 0) & (members < neurons)):
        raise ValueError(f"a set of neurons must name neurons 0 to {neurons - 1}, each once: {members.tolist()}")
    return torch.from_numpy(members)


def _labels(panel: Panel) -> IntArray:
    """Class of each matched position, 0 rare and 1 common, and -1 for the others, [T]."""
    label = np.full(len(panel), -1, dtype=np.int64)
    label[panel.a_rows], label[panel.b_rows] = 0, 1
    return label


def _last_layer(
    loaded: LoadedModel,
    layer: int,
    panel: Panel,
    residual: torch.Tensor,
    activation: torch.Tensor,
    ablation: Ablation,
    sets: Sequence[torch.Tensor],
    sums: _Sums,
    stage: Stage,
) -> None:
    vocabulary, label, device = Vocabulary(fold(loaded.adapter, layer)), _labels(panel), loaded.device
    sets, after = [one.to(device) for one in sets], vocabulary.readout.after

    def work(size: int) -> slice:
        rows = slice(start, min(start + size, len(panel)))
        matched = np.flatnonzero(label[rows] >= 0)
        if len(matched):
            here = torch.from_numpy(matched)
            change = (ablation.replacement(activation, rows) - activation[rows])[here].to(device)
            target = torch.from_numpy(panel.target_id[rows][matched]).to(device)
            clean = vocabulary.clean(residual[rows][here].to(device), target)
            output = None if after is None else after.output(activation[rows][here].to(device))
            batches = _batches(sets, vocabulary, len(change))
            found = torch.cat([_closed_form(vocabulary, clean, change, batch, output) for batch in batches])
            sums.add(slice(None), panel.document[rows][matched], label[rows][matched], found)
        return rows

    start, tile = 0, vocabulary.tile
    while start < len(panel):
        rows, tile = with_back_off(work, tile, "position")
        stage.advance(rows.stop - rows.start)
        start = rows.stop


def _through_u(vocabulary: Vocabulary, one: torch.Tensor) -> bool:
    """Whether a set's logits are shorter to reach through its members' u than through the residual stream.

    With a norm after the MLP a set changes the stream beyond what its members write.
    """
    readout = vocabulary.readout
    return readout.after is None and vocabulary.blocks[0].u is not None and len(one) < readout.unembedding.shape[1]


def _batches(sets: Sequence[torch.Tensor], vocabulary: Vocabulary, positions: int) -> Iterator[Sequence[torch.Tensor]]:
    """Yield the sets in batches whose changes together stay within `_SET_FLOATS`."""
    width = vocabulary.readout.unembedding.shape[1]
    largest = max((len(one) if _through_u(vocabulary, one) else width for one in sets), default=1)
    size = max(1, _SET_FLOATS // (positions * max(1, largest)))
    for start in range(0, len(sets), size):
        yield sets[start : start + size]


def _closed_form(
    vocabulary: Vocabulary,
    clean: Clean,
    change: torch.Tensor,
    sets: Sequence[torch.Tensor],
    output: torch.Tensor | None,
) -> torch.Tensor:
    """Return the loss change of each set at each position of a tile, float64 [s, n].

    `output` [n, d] is what the MLP gave to a norm that follows it, or None without one.
    """
    readout = vocabulary.readout
    g_target = readout.unembedding[clean.target]
    rho, factor, at_target = [], [], []
    for one in sets:
        part = change[:, one]
        added = _added(readout, part, one, output)
        scale = ((clean.stream * clean.scale[:, None] + added).square().mean(1) + readout.eps).sqrt()
        added /= scale[:, None]
        rho.append(clean.scale / scale - 1)
        at_target.append(rho[-1] * clean.z_target + (added * g_target).sum(1))
        factor.append(part / scale[:, None] if _through_u(vocabulary, one) else added)
    log_sums = torch.full((len(sets), len(change)), -torch.inf, dtype=torch.float64, device=change.device)
    for z, block in zip(clean.z, vocabulary.blocks, strict=True):
        log_p = vocabulary.log_probabilities(z, block, clean.log_sum)
        for s, one in enumerate(sets):
            right = block.unembedding if block.u is None or not _through_u(vocabulary, one) else block.u[one].T
            eps = vocabulary.product("eps", factor[s], right)
            torch.logaddexp(log_sums[s], _block_log_sum(log_p, z, eps, rho[s]), out=log_sums[s])
    return log_sums - torch.stack(at_target).double()


def _added(readout: Readout, change: torch.Tensor, one: torch.Tensor, output: torch.Tensor | None) -> torch.Tensor:
    """Return what changes in the residual stream, centred where the final norm centres, [n, d]."""
    if readout.after is None or output is None:
        return change @ readout.w_out[one]
    ablated = output + change @ readout.after.w_out[one]
    return readout.centre(readout.after.written(ablated) - readout.after.written(output))


def _block_log_sum(log_p: torch.Tensor, z: torch.Tensor, eps: torch.Tensor, rho: torch.Tensor) -> torch.Tensor:
    """Return log of the sum over a block of p exp(rho z + eps), float64 [n], whatever the size of the exponents."""
    if log_p.device.type == "cpu":
        out = np.empty(len(rho))
        _compiled_log_sum(log_p.numpy(), z.numpy(), eps.numpy(), rho.numpy(), out)
        return torch.from_numpy(out)
    return torch.addcmul(log_p + eps, rho[:, None], z).logsumexp(1).double()


# fastmath lets both loops run in lanes; all numbers here are finite
@compiled(parallel=True, fastmath=True, error_model="numpy", nogil=True)
def _compiled_log_sum(log_p: Any, z: Any, eps: Any, rho: Any, out: Any) -> None:  # pragma: no cover - compiled
    for t in prange(len(rho)):
        row, log_p_t, z_t, a = eps[t], log_p[t], z[t], rho[t]
        highest = row[0] + log_p_t[0] + a * z_t[0]
        for v in range(row.shape[0]):
            row[v] += log_p_t[v] + a * z_t[v]
            highest = max(highest, row[v])
        total = np.float32(0.0)
        for v in range(row.shape[0]):
            total += compiled_exp(max(row[v] - highest, np.float32(-87.0)))
        out[t] = np.float64(highest) + np.log(np.float64(total))


def _by_restart(
    loaded: LoadedModel,
    layer: int,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    activation: torch.Tensor,
    ablation: Ablation,
    sets: Sequence[torch.Tensor],
    sums: _Sums,
    stage: Stage,
) -> None:
    label = _labels(panel)
    bounds = np.flatnonzero(np.diff(panel.document, prepend=-1, append=-1))
    for start, stop in pairwise(bounds):
        rows = slice(int(start), int(stop))
        matched = np.flatnonzero(label[rows] >= 0)
        if len(matched):
            document = int(panel.document[start])
            change = ablation.replacement(activation, rows) - activation[rows]
            found = _restart_document(loaded, layer, documents[document], panel.position[rows], matched, change, sets)
            sums.add(slice(None), panel.document[rows][matched], label[rows][matched], found)
        stage.advance(rows.stop - rows.start)


def _restart_document(
    loaded: LoadedModel,
    layer: int,
    ids: Sequence[int],
    scored: IntArray,
    matched: IntArray,
    change: torch.Tensor,
    sets: Sequence[torch.Tensor],
) -> torch.Tensor:
    """Return loss changes [S, n] at `matched` of a document's scored positions; `change` [scored, N] at all of them."""
    adapter, device, calls = loaded.adapter, loaded.device, clean_calls(loaded, ids)
    w_out, ablated = adapter.w_out(layer), torch.from_numpy(scored).to(device)
    at = ablated[torch.from_numpy(matched).to(device)]
    target = torch.tensor(list(ids), device=device)[at + 1]
    change = change.to(device, w_out.dtype)

    def work(size: int) -> torch.Tensor:
        added = torch.stack([change[:, one] @ w_out[one] for one in sets[first : first + size]])

        def ablate(output: torch.Tensor) -> torch.Tensor:
            # row 0 stays clean: the difference is then taken within one batch
            batch = output.repeat(len(added) + 1, 1, 1)
            batch[1:, ablated] += added
            return batch

        with output_replaced(adapter.neuron_site(layer), ablate):
            hidden = run_blocks(loaded, calls, layer, adapter.layers - 1)
        loss = losses_after(loaded, hidden[:, at], target)
        return loss[1:] - loss[0]

    found, first, tile = [], 0, _tile(loaded, calls, len(at))
    while first < len(sets):
        part, tile = with_back_off(work, tile, "set of neurons")
        found.append(part)
        first += len(part)
    return torch.cat(found)


def _tile(loaded: LoadedModel, calls: Sequence[BlockCall], positions: int) -> int:
    """Sets in one batch of a restarted pass: a function of the shapes alone."""
    adapter, shape = loaded.adapter, calls[0].hidden.shape
    blocks = BATCH_FLOATS // (shape[1] * max(adapter.neurons, 4 * shape[2]))
    return max(1, min(blocks, LOGIT_FLOATS // (adapter.vocabulary * positions)) - 1)


def _head_batches(
    loaded: LoadedModel,
    calls: Sequence[BlockCall],
    at: torch.Tensor,
    target: torch.Tensor,
    sets: Sequence[Sequence[tuple[int, int]]],
    order: Sequence[int],
    means: list[torch.Tensor] | None,
    ablation: HeadAblation,
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Yield numbers of sets that share their lowest layer, and their loss changes [s, n], until all were done."""
    adapter = loaded.adapter

    def work(size: int) -> tuple[list[int], torch.Tensor]:
        lowest = min(sets[order[first]])[0]
        batch = [s for s in order[first : first + size] if min(sets[s])[0] == lowest]
        with ExitStack() as stack:
            for layer in range(lowest, adapter.layers):
                # row 0 stays clean: the difference is then taken within one batch
                groups = [[], *([head for where, head in sets[s] if where == layer] for s in batch)]
                if any(groups):
                    mean = None if means is None else means[layer]
                    heads = adapter.heads(layer)
                    ablate = partial(ablated_heads, batch=groups, heads=heads, mean=mean, ablation=ablation)
                    stack.enter_context(input_replaced(adapter.head_site(layer), ablate))
            hidden = run_blocks(loaded, calls, lowest, adapter.layers - 1, len(batch) + 1)
        loss = losses_after(loaded, hidden[:, at], target)
        return batch, loss[1:] - loss[0]

    first, tile = 0, _tile(loaded, calls, len(at))
    while first < len(order):
        found, tile = with_back_off(work, tile, "set of attention heads")
        yield found
        first += len(found[0])
