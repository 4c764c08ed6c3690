"""Loss increase under joint ablation of sets of one layer's neurons, by document (`neuronull.estimators.joint`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import prange

from ..data.measurements import IntArray
from ..data.models import LoadedModel
from .compiled import compiled
from .engine import placed
from .exact import compiled_exp
from .heads import BATCH_FLOATS
from .influence import LOGIT_FLOATS, losses_after
from .memory import with_back_off
from .readout import Readout, fold
from .restart import BlockCall, clean_calls, output_replaced, run_blocks
from .vocabulary import Clean, Vocabulary

_SET_FLOATS = 1 << 24
"""Floats of the changes of one batch of sets at the positions of a tile."""


@dataclass(frozen=True)
class FormWork:
    """Sums over a document by the closed form.

    An item is residual stream, change of every neuron, targets and activation at its matched positions, and their class
    index.
    """

    layer: int
    sets: list[torch.Tensor]

    @contextmanager
    def opened(self, view: LoadedModel) -> Iterator[Callable[[tuple[Any, ...]], torch.Tensor]]:
        """Within the context, what is done with a document."""
        vocabulary, device = Vocabulary(fold(view.adapter, self.layer)), view.device
        sets, after = [one.to(device) for one in self.sets], vocabulary.readout.after
        tile = vocabulary.tile

        def sums(item: tuple[Any, ...]) -> torch.Tensor:
            *tensors, label = item

            def work(size: int) -> torch.Tensor:
                rows = slice(first, first + size)
                residual, change, target, activation = (placed(one[rows], device) for one in tensors)
                clean = vocabulary.clean(residual, target)
                output = None if after is None else after.output(activation)
                batches = _batches(sets, vocabulary, len(change))
                return torch.cat([_closed_form(vocabulary, clean, change, batch, output) for batch in batches])

            nonlocal tile
            found, first = [], 0
            while first < len(label):
                part, tile = with_back_off(work, tile, "position")
                found.append(part)
                first += part.shape[1]
            return summed(torch.cat(found, 1), label)

        yield sums


@dataclass(frozen=True)
class RestartWork:
    """Sums over a document by passes that start again at the layer.

    An item is its ids, its scored positions, which of them are matched, the change of every neuron at the scored ones,
    and the class index of the matched ones.
    """

    layer: int
    sets: list[torch.Tensor]

    @contextmanager
    def opened(self, view: LoadedModel) -> Iterator[Callable[[tuple[Any, ...]], torch.Tensor]]:
        """Within the context, what is done with a document."""

        def sums(item: tuple[Any, ...]) -> torch.Tensor:
            ids, scored, matched, change, label = item
            return summed(_restart_document(view, self.layer, ids, scored, matched, change, self.sets), label)

        yield sums


def summed(found: torch.Tensor, label: IntArray) -> torch.Tensor:
    """Return sums over a document's positions of each class, float64 [s, 2], from loss changes [s, n]."""
    sums = torch.zeros(len(found), 2, dtype=torch.float64)
    return sums.index_add_(1, torch.from_numpy(label), found.double().cpu())


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

    found, first, tile = [], 0, sets_at_once(loaded, calls, len(at))
    while first < len(sets):
        part, tile = with_back_off(work, tile, "set of neurons")
        found.append(part)
        first += len(part)
    return torch.cat(found)


def sets_at_once(loaded: LoadedModel, calls: Sequence[BlockCall], positions: int) -> int:
    """Sets in one batch of a restarted pass: a function of the shapes alone."""
    adapter, shape = loaded.adapter, calls[0].hidden.shape
    blocks = BATCH_FLOATS // (shape[1] * max(adapter.neurons, 4 * shape[2]))
    return max(1, min(blocks, LOGIT_FLOATS // (adapter.vocabulary * positions)) - 1)
