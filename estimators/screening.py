"""Influence of neurons of any layer by gradients, approximate, with exact restarts of the neurons that matter.

In a layer before the last the exact D needs a restart of the model for each neuron and document. To first order it is
what a gradient says: D[t, i] ~ sum over t' of change[t', i] x d loss[t] / d activation[t', i], the attribution of
Nanda 2023, "Attribution Patching". One backward pass a scored position serves all neurons. What it leaves out is the
curvature of the loss, so it ranks and is not reported: the neurons it puts on top in any half and class are measured
again exactly, and so is a random sample, which says how well it ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..data.errors import InputError
from ..data.measurements import IntArray, Panel
from ..data.models import LoadedModel
from ..data.options import Progress, Silent
from .ablation import Kind, make_ablation
from .influence import changes_by_document, restart_document
from .memory import host_tensor, with_back_off
from .restart import output_replaced

GRADIENT_FLOATS = 1 << 25
"""Floats of the gradients by all activations of one batch of scored positions."""


@dataclass(frozen=True)
class Screened:
    """Approximate effects of all neurons, exact ones of those that were verified.

    Parameters
    ----------
    approximate
        D to first order, nats, float32 [T, N].
    neuron
        Verified neurons, increasing, int64 [M].
    selected
        Which of them were verified for their screened influence, bool [M]; the others are in the audit's sample alone.
    exact
        D of the verified neurons, nats, float32 [T, M].
    rank_correlation
        Spearman's, between screened and exact mean abs(D) over the matched positions, in the audit's random sample.
    """

    approximate: torch.Tensor
    neuron: IntArray
    selected: np.ndarray[tuple[int], np.dtype[np.bool_]]
    exact: torch.Tensor
    rank_correlation: float


def screened_influence(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    activation: torch.Tensor,
    layer: int,
    *,
    share: float = 0.1,
    audit: int = 64,
    ablation: Kind = "mean",
    seed: int = 0,
    progress: Progress | None = None,
) -> Screened:
    """Screen the neurons of a layer by gradients, and measure again what comes out on top.

    Parameters
    ----------
    loaded, documents, panel, activation, layer, ablation
        As of `neuronull.estimators.influence.influence`.
    share
        Share of the neurons that are verified for each half and class; several times a plateau.
    audit
        Neurons of the random sample, at most N.
    seed
        Of the resampling and of the audit's sample.

    Raises
    ------
    InputError
        If there is not enough memory, or not all of the model is on its device.
    """
    if loaded.offloaded:
        raise InputError(
            f"gradients need the whole model on the device, {loaded.offloaded} blocks are not",
            "",
            "measure the influence",
        )
    progress = progress or Silent()
    replaced = make_ablation(ablation, activation, panel, seed)
    approximate = host_tensor(*activation.shape)
    with progress.stage("screening", len(panel)) as stage:
        for rows, ids, change in changes_by_document(documents, panel, activation, replaced):
            approximate[rows] = _first_order(loaded, layer, ids, panel.position[rows], change)
            stage.advance(len(change))
    size = activation.shape[1]
    chosen = np.unique(_tops(approximate, panel, max(1, round(share * size))))
    sample = np.random.Generator(np.random.Philox(key=[seed, 2])).choice(size, size=min(audit, size), replace=False)
    neuron = np.union1d(chosen, sample)
    exact, w_out = torch.empty(len(panel), len(neuron)), loaded.adapter.w_out(layer)[torch.from_numpy(neuron)]
    with progress.stage("exact influence", len(panel)) as stage:
        for rows, ids, change in changes_by_document(documents, panel, activation, replaced):
            part = change[:, torch.from_numpy(neuron)]
            restart_document(loaded, layer, ids, panel.position[rows], part, w_out, exact[rows])
            stage.advance(len(change))
    drawn = np.isin(neuron, sample)
    correlation = _rank_correlation(approximate[:, torch.from_numpy(neuron[drawn])], exact[:, drawn], panel)
    return Screened(approximate, neuron, np.isin(neuron, chosen), exact, correlation)


def _first_order(
    loaded: LoadedModel, layer: int, ids: Sequence[int], position: IntArray, change: torch.Tensor
) -> torch.Tensor:
    """Return D to first order of one document, [n, N], from the change of every neuron at its n scored positions."""
    adapter, device = loaded.adapter, loaded.device
    at, tokens = torch.from_numpy(position).to(device), torch.tensor([list(ids)], device=device)
    w_out = adapter.w_out(layer).detach()
    change = change.to(device)
    # the math kernel of attention is the one that backward passes can share
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        added = torch.zeros(1, len(ids), w_out.shape[1], device=device, dtype=w_out.dtype, requires_grad=True)
        with output_replaced(adapter.neuron_site(layer), lambda output: output + added):
            logits = loaded.model(tokens, use_cache=False).logits[0, at].float()
        losses = torch.nn.functional.cross_entropy(logits, tokens[0, at + 1], reduction="none")

    def work(size: int) -> torch.Tensor:
        rows = slice(first, min(first + size, len(position)))
        seeds = torch.eye(len(position), device=device)[rows]
        (gradient,) = torch.autograd.grad(losses, added, seeds, retain_graph=True, is_grads_batched=True)
        # ablated at the scored positions, all at once: what is added at t' moves the losses from t' on
        by_activation = gradient[:, 0, at] @ w_out.T
        return (by_activation.float() * change).sum(1).cpu()

    parts, first, tile = [], 0, max(1, GRADIENT_FLOATS // (len(position) * change.shape[1]))
    while first < len(position):
        part, tile = with_back_off(work, tile, "position")
        parts.append(part)
        first += len(part)
    return torch.cat(parts)


def _class_means(effects: torch.Tensor, panel: Panel) -> torch.Tensor:
    """Return mean abs(D) by half and class over the matched positions, float64 [2, 2, k]; 0 where there is none."""
    out = torch.zeros(2, 2, effects.shape[1], dtype=torch.float64)
    for half in (0, 1):
        for label, rows in enumerate((panel.a_rows, panel.b_rows)):
            here = rows[panel.half[rows] == half]
            if len(here):
                out[half, label] = effects[torch.from_numpy(here)].abs().double().mean(0)
    return out


def _tops(effects: torch.Tensor, panel: Panel, size: int) -> IntArray:
    return _class_means(effects, panel).topk(size, -1).indices.numpy().ravel()


def _rank_correlation(approximate: torch.Tensor, exact: torch.Tensor, panel: Panel) -> float:
    from scipy.stats import spearmanr

    pooled = (_class_means(effects, panel).mean((0, 1)).numpy() for effects in (approximate, exact))
    return float(spearmanr(*pooled).statistic)
