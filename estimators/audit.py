"""The audit: a sample of D recomputed by naive forward passes with a hook, in every run.

In the last layer an ablation at one position changes no other position's loss, so one pass over a document, with
another neuron ablated at every position, checks as many entries as it has positions. In other layers one pass checks
one neuron. The passes run in float64 where the model is small enough for a second copy, in float32 else. A model in
half precision is not run again (its own rounding is larger than the contract); there the last norm and the unembedding
are replayed in float64 from the residual stream that the run saw.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..data.adapters import Norm
from ..data.measurements import Audit, IntArray, Panel
from ..data.models import LoadedModel
from .ablation import Ablation
from .restart import input_replaced
from .second_order import ABSOLUTE, RELATIVE

LARGEST = 16
"""Entries with the largest |D| that are always in the sample."""

RANDOM_DOCUMENTS = 6
"""Documents of which every scored position is in the sample, each with a neuron drawn by the seed."""

MEDIAN_SHARE = 0.01
"""The median error may be at most this share of the median |D| (docs/methods.md#closed-form)."""

_DOUBLE_PARAMETERS = 64_000_000
_ROUNDING = 1e-6
_CHUNK = 4096


class AuditError(RuntimeError):
    """Measured effects are not what naive forward passes say: a defect of the program or of the machine."""


@dataclass(frozen=True)
class _Pass:
    """One forward pass: rows of the panel, all of one document, and the neuron ablated at each of them, [n] each.

    In a layer before the last the rows are all rows of the document and the neuron is one.
    """

    rows: IntArray
    neuron: IntArray


@torch.no_grad()
def audit(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    residual: torch.Tensor,
    activation: torch.Tensor,
    delta_loss: torch.Tensor,
    ablation: Ablation,
    layer: int,
    seed: int,
) -> Audit:
    """Compare a sample of D with naive forward passes.

    Parameters
    ----------
    delta_loss
        What is checked, float32 [T, N]; the other parameters are those of `neuronull.estimators.influence.influence`.

    Returns
    -------
    Audit
        ``n``, ``max_abs_error`` (nats), and further ``median_error``, ``median_influence`` (nats, over the drawn
        entries), ``max_contract_share`` (largest error over what the contract allows it) and ``method``.

    Raises
    ------
    AuditError
        If an entry is not within the contract, or the median error is too large.
    """
    last = layer == loaded.adapter.layers - 1
    half = loaded.dtype in (torch.float16, torch.bfloat16)
    naive = _Replay(loaded, residual, activation, layer) if half and last else _Naive(loaded, documents, layer)
    errors, influences = [], []
    for one in _plan(panel, delta_loss, last, seed):
        expected = naive.effects(panel, one, ablation.entries(activation, one.rows, one.neuron))
        found = delta_loss[torch.from_numpy(one.rows), torch.from_numpy(one.neuron)].double()
        errors.append((found - expected).abs())
        influences.append(expected.abs())
    drawn = slice(-min(RANDOM_DOCUMENTS, len(np.unique(panel.document))), None)
    return _verdict(
        torch.cat(errors), torch.cat(influences), torch.cat(errors[drawn]), torch.cat(influences[drawn]), naive.method
    )


def _verdict(
    errors: torch.Tensor, influences: torch.Tensor, drawn_errors: torch.Tensor, drawn: torch.Tensor, method: str
) -> Audit:
    share = errors / (ABSOLUTE + RELATIVE * influences)
    median_error, median = float(drawn_errors.median()), float(drawn.median())
    worst = int(share.argmax())
    if not float(share[worst]) <= 1:
        raise AuditError(
            f"an audited effect of {float(influences[worst]):.6g} nats is off by {float(errors[worst]):.3g} nats, the "
            f"contract allows {ABSOLUTE:g} + {RELATIVE:g} of the effect (naive pass: {method})"
        )
    if "float64" in method and median_error > MEDIAN_SHARE * median + _ROUNDING:
        raise AuditError(
            f"the median error of the audited effects is {median_error:.3g} nats, the contract allows "
            f"{MEDIAN_SHARE:.0%} of their median {median:.3g} (naive pass: {method})"
        )
    return Audit.model_validate(
        {
            "n": len(errors),
            "max_abs_error": float(errors.max()),
            "median_error": median_error,
            "median_influence": median,
            "max_contract_share": float(share[worst]),
            "method": method,
        }
    )


def _plan(panel: Panel, delta_loss: torch.Tensor, last: bool, seed: int) -> list[_Pass]:
    """Return the passes: first those with the largest effects, then the drawn documents."""
    random = np.random.Generator(np.random.Philox(key=[seed, 1]))
    rows, neurons = _largest(delta_loss)
    if last:
        passes = _shared(panel, rows, neurons)
    else:
        passes = [_whole(panel, int(panel.document[row]), neuron) for row, neuron in zip(rows, neurons, strict=True)]
    present = np.unique(panel.document)
    for document in random.choice(present, size=min(RANDOM_DOCUMENTS, len(present)), replace=False):
        size = int(np.count_nonzero(panel.document == document)) if last else 1
        passes.append(_whole(panel, int(document), random.integers(delta_loss.shape[1], size=size)))
    return passes


def _whole(panel: Panel, document: int, neuron: IntArray) -> _Pass:
    """Return a pass over all scored positions of a document; `neuron` is one, or one per position."""
    rows = np.flatnonzero(panel.document == document)
    return _Pass(rows, np.zeros_like(rows) + neuron)


def _largest(delta_loss: torch.Tensor) -> tuple[IntArray, IntArray]:
    """Return rows and neurons of the entries with the largest |D|; chunked, a temporary of [T, N] may not fit."""
    best: list[tuple[float, int]] = []
    for start in range(0, len(delta_loss), _CHUNK):
        part = delta_loss[start : start + _CHUNK].abs().flatten()
        values, places = part.topk(min(LARGEST, len(part)))
        best += [(-float(v), start * delta_loss.shape[1] + int(p)) for v, p in zip(values, places, strict=True)]
    flat = np.asarray([place for _, place in sorted(best)[:LARGEST]], dtype=np.int64)
    return flat // delta_loss.shape[1], flat % delta_loss.shape[1]


def _shared(panel: Panel, rows: IntArray, neurons: IntArray) -> list[_Pass]:
    """Return passes for single entries; those of one document at different positions share one."""
    pending: list[dict[int, int]] = []
    for row, neuron in zip(rows.tolist(), neurons.tolist(), strict=True):
        for one in pending:
            if row not in one and panel.document[next(iter(one))] == panel.document[row]:
                one[row] = neuron
                break
        else:
            pending.append({row: neuron})
    return [_Pass(np.asarray(list(one)), np.asarray(list(one.values()))) for one in pending]


def naive_model(loaded: LoadedModel) -> tuple[Any, str]:
    """Return the model for naive passes, in float64 where a copy of it is small enough, and the name of the method."""
    small = sum(p.numel() for p in loaded.model.parameters()) <= _DOUBLE_PARAMETERS
    if not small or loaded.offloaded:  # a copy would borrow the offloaded model's weights
        return loaded.model, f"full forward pass in {str(loaded.dtype).removeprefix('torch.')}"
    model = copy.deepcopy(loaded.model).double()
    for module in model.modules():
        # GPT-2's way around overflow in float16: the same attention, but float32 is written into it
        if getattr(module, "reorder_and_upcast_attn", False):
            module.reorder_and_upcast_attn = False
    return model, "full forward pass in float64"


class _Naive:
    """Full forward passes of the model itself, clean and with a hook that ablates."""

    def __init__(self, loaded: LoadedModel, documents: Sequence[Sequence[int]], layer: int) -> None:
        self._documents = documents
        self._model, self.method = naive_model(loaded)
        self._site = type(loaded.adapter)(self._model).neuron_site(layer)

    def effects(self, panel: Panel, one: _Pass, values: torch.Tensor) -> torch.Tensor:
        """Return D of the pass's entries, float64 [n]; `values` replace their activations."""
        device = next(self._model.parameters()).device
        ids = torch.tensor([list(self._documents[int(panel.document[one.rows[0]])])] * 2, device=device)
        position = torch.from_numpy(panel.position[one.rows]).to(device)
        neuron = torch.from_numpy(one.neuron).to(device)

        def ablate(activation: torch.Tensor) -> torch.Tensor:
            activation = activation.clone()
            activation[1, position, neuron] = values.to(activation)
            return activation

        with input_replaced(self._site, ablate):
            logits = self._model(ids, use_cache=False).logits[:, position].double()
        target = ids[0, position + 1]
        clean, ablated = (torch.nn.functional.cross_entropy(part, target, reduction="none") for part in logits)
        return (ablated - clean).cpu()


class _Replay:
    """The last norm and the unembedding in float64, from the residual stream that the run saw."""

    method = "last norm and unembedding in float64"

    def __init__(self, loaded: LoadedModel, residual: torch.Tensor, activation: torch.Tensor, layer: int) -> None:
        adapter = loaded.adapter
        self._residual, self._activation = residual, activation
        norm, after = adapter.final_norm(), adapter.mlp_norm(layer)
        self._final, self._after = _on_host(norm), None if after is None else _on_host(after)
        weight, bias = adapter.unembedding()
        self._unembedding, self._bias = weight.double().cpu(), None if bias is None else bias.double().cpu()
        self._w_out, self._scale = adapter.w_out(layer).double().cpu(), adapter.mlp_scale
        bias = getattr(adapter.neuron_site(layer), "bias", None)
        self._w_out_bias = 0.0 if bias is None else bias.double().cpu()

    def effects(self, panel: Panel, one: _Pass, values: torch.Tensor) -> torch.Tensor:
        """Return D of the pass's entries, float64 [n]; `values` replace their activations."""
        rows, neuron = torch.from_numpy(one.rows), torch.from_numpy(one.neuron)
        target = torch.from_numpy(panel.target_id[one.rows])
        clean = self._residual[rows].double()
        change = (values.double() - self._activation[rows, neuron].double())[:, None] * self._w_out[neuron]
        if self._after is not None:
            output = self._activation[rows].double() @ self._w_out + self._w_out_bias
            change = self._after.of(output + change) - self._after.of(output)
        before, after = (self._losses(x, target) for x in (clean, clean + self._scale * change))
        return after - before

    def _losses(self, stream: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        logits = torch.nn.functional.linear(self._final.of(stream), self._unembedding, self._bias)
        return torch.nn.functional.cross_entropy(logits, target, reduction="none")


def _on_host(norm: Norm) -> Norm:
    return Norm(norm.kind, norm.gain.cpu(), norm.bias.cpu(), norm.eps).double()
