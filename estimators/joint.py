"""Loss increase when a whole set of neurons, or of heads, is ablated together: the measurement of closures.

Neurons of the last layer by the closed form (docs/methods.md#closed-form), which is linear in what is added to the
residual stream: with c the changes of a set's activations and s' the norm's new scale, the logits change by
eps = (s/s' - 1) z + (c/s') u, and the loss by log E_p[exp(eps)] - eps_y (notation:
`neuronull.estimators.closed_form`). A set costs one product [n, k] x [k, V] and V exponentials a position, nothing is
approximated; with a norm after the MLP, what is added goes through that norm first. Neurons of other layers, of models
that cap their logits, and heads restart at the lowest layer that a set touches, a batch of sets at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from ..data.measurements import IntArray, Panel
from ..data.models import LoadedModel
from ..data.options import Progress
from ..data.shards import Shards
from .ablation import Kind, make_ablation
from .engine import Engine, Work, Workplace
from .heads import (
    HeadAblation,
    ablated_heads,
    fused_activations,
    head_means,
    matched_positions,
    needed_ids,
)
from .influence import has_closed_form, losses_after, matched_rows
from .joint_neurons import FormWork, RestartWork, sets_at_once, summed
from .memory import with_back_off
from .restart import BlockCall, clean_calls, input_replaced, run_blocks


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
    shards: Shards | None = None,
    engine: Engine | None = None,
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
    closed, places = has_closed_form(loaded.adapter, layer), matched_rows(panel)

    def item(document: int) -> tuple[Any, ...]:
        rows, matched, label = places[document]
        change = replaced.replacement(activation, rows) - activation[rows]
        if not closed:
            return documents[document], panel.position[rows], matched, change, label
        here, target = torch.from_numpy(matched), torch.from_numpy(panel.target_id[rows][matched])
        return residual[rows][here], change[here], target, activation[rows][here], label

    work: Work[Any, Any] = FormWork(layer, chosen) if closed else RestartWork(layer, chosen)
    totals = torch.zeros(len(documents), len(chosen), 2, dtype=torch.float64)
    _fill("joint neurons", loaded, work, places, item, totals, Workplace(progress, shards, engine))
    return _increase(totals, panel)


@torch.no_grad()
def joint_heads(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    sets: Sequence[Sequence[tuple[int, int]]],
    *,
    ablation: HeadAblation = "mean",
    progress: Progress | None = None,
    shards: Shards | None = None,
    engine: Engine | None = None,
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
    adapter, place = loaded.adapter, Workplace(progress, shards, engine)
    there = {(at, head) for at in range(adapter.layers) for head in range(adapter.heads(at))}
    for one in sets:
        if not one or len(set(one)) < len(one) or not set(one) <= there:
            raise ValueError(f"a set of heads must name heads of the model, each once: {list(one)}")
    means = head_means(loaded, documents, panel, adapter.layers - 1, place) if ablation == "mean" else None
    by_document = matched_positions(panel)

    def item(document: int) -> tuple[Any, ...]:
        position, label = by_document[document]
        target = [documents[document][p + 1] for p in position]
        return needed_ids(loaded, documents[document], position), position, target, label

    work = _HeadWork([list(one) for one in sets], means, ablation)
    totals = torch.zeros(len(documents), len(sets), 2, dtype=torch.float64)
    _fill("joint heads", loaded, work, by_document, item, totals, place)
    return _increase(totals, panel)


def _fill(
    name: str,
    loaded: LoadedModel,
    work: Work[Any, Any],
    which: Iterable[int],
    item: Callable[[int], Any],
    totals: torch.Tensor,
    place: Workplace,
) -> None:
    """Fill in the sums of each document, set and class, [D, S, 2], by a work that gives [S, 2] for a document."""
    parts = [slice(document, document + 1) for document in which]
    place.fill(name, loaded, work, parts, lambda at: item(at.start), totals)


def _increase(totals: torch.Tensor, panel: Panel) -> JointIncrease:
    pairs = np.bincount(panel.document[panel.a_rows], minlength=len(totals))
    return JointIncrease(totals.transpose(0, 1).contiguous(), torch.from_numpy(pairs.astype(np.int64)))


def _checked(one: IntArray, neurons: int) -> torch.Tensor:
    members = np.asarray(one, dtype=np.int64)
    if members.ndim != 1 or len(np.unique(members)) < len(members) or not np.all((members >= 0) & (members < neurons)):
        raise ValueError(f"a set of neurons must name neurons 0 to {neurons - 1}, each once: {members.tolist()}")
    return torch.from_numpy(members)


@dataclass(frozen=True)
class _HeadWork:
    """Sums over a document of ablating sets of heads.

    An item is its ids as far as they are needed, its matched positions, their targets and their class index.
    """

    sets: list[list[tuple[int, int]]]
    means: list[torch.Tensor] | None
    ablation: HeadAblation

    @contextmanager
    def opened(self, view: LoadedModel) -> Iterator[Callable[[tuple[Any, ...]], torch.Tensor]]:
        """Within the context, what is done with a document."""
        order = sorted(range(len(self.sets)), key=lambda s: min(self.sets[s])[0])
        means = None if self.means is None else [mean.to(view.device) for mean in self.means]

        def sums(item: tuple[Any, ...]) -> torch.Tensor:
            ids, position, target, label = item
            calls, at = clean_calls(view, ids), torch.from_numpy(position).to(view.device)
            targets = torch.tensor(target, device=view.device)
            found = torch.zeros(len(self.sets), len(position))
            for batch, change in _head_batches(view, calls, at, targets, self.sets, order, means, self.ablation):
                found[batch] = change.cpu()
            return summed(found, label)

        with fused_activations(view.model):
            yield sums


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

    first, tile = 0, sets_at_once(loaded, calls, len(at))
    while first < len(order):
        found, tile = with_back_off(work, tile, "set of attention heads")
        yield found
        first += len(found[0])
