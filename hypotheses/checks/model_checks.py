"""The checks of a model: does its adapter point at the right parts, and are the measurements those of plain passes?

Whatever is checked is compared with the model itself, by perturbing it and by whole forward passes, in float64 where a
second copy of the model is small enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from ...data.measurements import IntArray, Panel, PartialHeads
from ...data.models import LoadedModel
from ...data.options import MeasureOptions
from ...data.tokens import token_ids
from ...estimators.audit import naive_model
from ...estimators.audit_heads import audit_heads
from ...estimators.forward import Forward, run_forward
from ...estimators.heads import head_effects
from ...estimators.influence import has_closed_form, influence
from ...estimators.joint import joint_neurons
from ...estimators.measure import token_counts
from ...estimators.restart import clean_calls, input_replaced, run_blocks
from .outcome import Skipped, require

FIRST = 3
"""First position of a document that is looked at."""

SET = 8
"""Neurons that are ablated together."""

HEAD_LAYERS = 2
"""Layers before the neurons whose heads are measured."""

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-4, torch.bfloat16: 3e-2, torch.float16: 4e-3}
"""Relative error that rounding may make of a reproduced tensor: of its root mean square, at its worst element."""


@dataclass(frozen=True)
class ModelSubject:
    """A model with a few documents.

    Parameters
    ----------
    loaded
        The model.
    documents
        Token ids, at least eight a document.
    options
        What the tokens are counted on; None to leave that out.
    """

    loaded: LoadedModel
    documents: Sequence[Sequence[int]]
    options: MeasureOptions | None = None

    @property
    def layer(self) -> int:
        """The last layer."""
        return self.loaded.adapter.layers - 1

    @cached_property
    def panel(self) -> Panel:
        """All positions from `FIRST` on; even ones are of the first kind, each matched with the one after it."""
        rows = [(d, p) for d, ids in enumerate(self.documents) for p in range(FIRST, len(ids) - 1)]
        document, position = (np.asarray(column, dtype=np.int64) for column in zip(*rows, strict=True))
        zero, first = np.zeros(len(rows), dtype=np.int64), position % 2 == 0
        after = np.append(document[1:] == document[:-1], False)
        return Panel(
            document=document,
            position=position,
            input_id=np.asarray([self.documents[d][p] for d, p in rows]),
            target_id=np.asarray([self.documents[d][p + 1] for d, p in rows]),
            loss=zero.astype(float),
            input_rank=zero,
            target_rank=zero,
            half=document % 2,
            label=first.astype(np.int64),
            match=np.where(first & after, np.arange(len(rows)) + 1, -1),
        )

    @cached_property
    def forward(self) -> Forward:
        """The clean pass."""
        return run_forward(self.loaded, self.documents, self.layer)

    @cached_property
    def scored(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Residual stream [T, d] and activation [T, N] at the scored positions."""
        rows = torch.from_numpy(self.forward.offsets[self.panel.document] + self.panel.position)
        return self.forward.residual[rows], self.forward.activation[rows]

    def logits(self, ids: Sequence[int], model: Any = None) -> torch.Tensor:
        """Logits [S, V] of the whole model."""
        model = self.loaded.model if model is None else model
        found: torch.Tensor = model(torch.tensor([list(ids)], device=self.loaded.device), use_cache=False).logits[0]
        return found

    def rounding(self) -> float:
        """What `TOLERANCE` allows the model's type."""
        return TOLERANCE[self.loaded.dtype]


def unchanged(subject: ModelSubject) -> str:
    """The model's logits are those of its own code: nothing that the adapter does changes them."""
    with _own_forward(subject.loaded.model) as replaced:
        own = subject.logits(subject.documents[0])
    found = subject.logits(subject.documents[0])
    require(torch.equal(own, found), f"logits differ by up to {_largest(own, found):.2g}")
    blocks = f"; {replaced} blocks run a forward pass of the adapter" if replaced else ""
    return f"logits of {len(own)} positions, to the bit{blocks}"


def readout(subject: ModelSubject) -> str:
    """Norm and unembedding, as the adapter names them, make the model's logits of its last residual stream."""
    adapter, worst = subject.loaded.adapter, 0.0
    norm, (weight, bias) = adapter.final_norm(), adapter.unembedding()
    for number, ids in enumerate(subject.documents):
        rows = slice(int(subject.forward.offsets[number]), int(subject.forward.offsets[number + 1]))
        stream = subject.forward.residual[rows].to(subject.loaded.device)
        rebuilt = torch.nn.functional.linear(norm.double().of(stream.double()), weight.double())
        rebuilt = rebuilt if bias is None else rebuilt + bias.double()
        if adapter.logit_cap is not None:
            rebuilt = adapter.logit_cap * torch.tanh(rebuilt / adapter.logit_cap)
        logits = subject.logits(ids)[:-1]
        worst = max(worst, _share(rebuilt, logits))
        worst = max(worst, _share(adapter.logits(stream.to(subject.loaded.dtype)), logits))
    require(worst <= subject.rounding(), f"logits differ by up to {worst:.2g} of their root mean square")
    cap = "" if adapter.logit_cap is None else f", capped at {adapter.logit_cap:g}"
    return f"{norm.kind} norm, {len(weight):,} tokens{cap}; worst error {worst:.1g} of the logits' root mean square"


def neurons(subject: ModelSubject) -> str:
    """In every layer the activation times the output weights is what the MLP's projection gives."""
    adapter, worst = subject.loaded.adapter, 0.0
    for layer in range(adapter.layers):
        site = adapter.neuron_site(layer)
        activation, output = _through(subject, site, subject.documents[0])
        bias = getattr(site, "bias", None)
        weights, start = adapter.w_out(layer).double(), 0.0 if bias is None else bias.double()
        rebuilt = activation.double() @ weights + start
        # of the sum of the absolute products, since a few neurons may be larger than all that remains of them
        size = activation.double().abs() @ weights.abs() + abs(start)
        worst = max(worst, float(((rebuilt - output.double()).abs() / size.clamp_min(1e-30)).max()))
        require(
            adapter.w_in(layer).shape == adapter.w_out(layer).shape,
            f"layer {layer} has input weights {tuple(adapter.w_in(layer).shape)} and output weights "
            f"{tuple(adapter.w_out(layer).shape)}",
        )
    require(worst <= subject.rounding(), f"outputs differ by up to {worst:.2g} of the sum of their terms")
    return f"{adapter.layers} layers of {adapter.neurons:,}; worst error {worst:.1g} of the sum of an output's terms"


def input_weights(subject: ModelSubject) -> str:
    """A neuron whose input weights are zero no longer depends on the text; no other neuron notices."""
    adapter = subject.loaded.adapter
    site, weights = adapter.neuron_site(subject.layer), adapter.w_in(subject.layer)
    if subject.loaded.offloaded:
        raise Skipped("some of the model's weights are not on the device")
    before = _through(subject, site, subject.documents[0])[0]
    number = int(before.float().std(0).argmax())  # many neurons are never active in a short text
    kept = weights[number].clone()
    try:
        weights[number] = 0
        after = _through(subject, site, subject.documents[0])[0]
    finally:
        weights[number] = kept
    spread = float(after[:, number].max() - after[:, number].min())
    require(spread == 0, f"neuron {number} without input weights still varies by {spread:.2g}")
    others = torch.arange(before.shape[1], device=before.device) != number
    moved = _largest(before[:, others], after[:, others])
    require(moved <= 1e-5 * float(before.abs().max()), f"other neurons move by up to {moved:.2g}")
    return f"neuron {number} of layer {subject.layer} falls silent, no other moves"


def written(subject: ModelSubject) -> str:
    """What a neuron adds to the residual stream is its output weights, as the closed form takes them."""
    adapter, layer, ids = subject.loaded.adapter, subject.layer, subject.documents[0]
    at, worst, site, norm = len(ids) // 2, 0.0, adapter.neuron_site(layer), adapter.mlp_norm(layer)
    calls, weights = clean_calls(subject.loaded, ids), adapter.w_out(layer).double()
    output = _through(subject, site, ids)[1][at].double()
    stream = run_blocks(subject.loaded, calls, layer, layer)[0, at].double()
    base = stream if norm is None else output
    for number in range(0, adapter.neurons, max(1, adapter.neurons // 4)):
        added = float(base.norm() / weights[number].norm().clamp_min(1e-12)) / 2  # half as large as what it is added to

        def add(activation: torch.Tensor, number: int = number, added: float = added) -> torch.Tensor:
            both = activation.repeat(2, 1, 1)
            both[1, at, number] += added
            return both

        with input_replaced(site, add):
            both = run_blocks(subject.loaded, calls, layer, layer)
        change = added * weights[number]
        if norm is not None:
            change = norm.double().of(output + change) - norm.double().of(output)
        worst = max(worst, _share((both[1, at] - both[0, at]).double(), adapter.mlp_scale * change))
    allowed = 10 * subject.rounding()
    require(worst <= allowed, f"the stream changes otherwise by up to {worst:.2g} of what was expected")
    after = "through a norm after the MLP" if adapter.mlp_norm(subject.layer) is not None else "directly"
    scale = "" if adapter.mlp_scale == 1 else f", times {adapter.mlp_scale:g}"
    return f"{after}{scale}; worst error {worst:.1g} of a change"


def reachability(subject: ModelSubject) -> str:
    """Heads change the neurons of a layer exactly where the adapter says that they reach them."""
    adapter, ids = subject.loaded.adapter, subject.documents[0]
    layers = sorted({0, subject.layer // 2, subject.layer})
    for target in layers:
        clean = _through(subject, adapter.neuron_site(target), ids)[0]
        for layer in layers:
            with input_replaced(adapter.head_site(layer), torch.zeros_like):
                moved = bool((_through(subject, adapter.neuron_site(target), ids)[0] != clean).any())
            said = adapter.reachable(layer, -1, target)
            does, does_not = ("move", "do not") if moved else ("do not move", "do")
            require(
                said is moved,
                f"heads of layer {layer} {does} neurons of layer {target}; the adapter says they {does_not}",
            )
    order = "one after the other" if adapter.attention_feeds_mlp(subject.layer) else "side by side"
    return f"{len(layers)} x {len(layers)} layers; attention and MLP {order}"


def head_slices(subject: ModelSubject) -> str:
    """The input of attention's projection is as wide as its heads together, and holds each head's own output."""
    adapter, ids = subject.loaded.adapter, subject.documents[0]
    for layer in range(adapter.layers):
        inputs = _through(subject, adapter.head_site(layer), ids)[0]
        heads = adapter.heads(layer)
        require(inputs.shape[1] % heads == 0, f"layer {layer}: {inputs.shape[1]} inputs are not {heads} heads")
        # at the first token a head attends to that token alone: heads that share values agree, others do not
        slices = inputs[0].view(heads, -1)
        distinct = len({tuple(row.tolist()) for row in slices})
        runs = 1 + sum(not torch.equal(one, other) for one, other in pairwise(slices))
        require(
            runs == distinct and heads % distinct == 0,
            f"layer {layer}: {distinct} of {heads} heads differ at the first token, in {runs} groups of neighbours",
        )
    shared = "" if distinct == heads else f", {heads // distinct} to one value"
    return f"{heads} heads of width {inputs.shape[1] // heads} in layer {subject.layer}{shared}"


def restart(subject: ModelSubject) -> str:
    """A pass that is restarted at any layer ends in the same residual stream."""
    calls, worst = clean_calls(subject.loaded, subject.documents[0]), 0.0
    whole = run_blocks(subject.loaded, calls, 0, subject.layer)[0]
    stream = _through(subject, subject.loaded.adapter.final_norm_module, subject.documents[0])[0]
    for first in range(subject.loaded.adapter.layers):
        worst = max(worst, _share(run_blocks(subject.loaded, calls, first, subject.layer)[0], stream))
    require(worst <= subject.rounding(), f"streams differ by up to {worst:.2g} of their root mean square")
    several = torch.equal(run_blocks(subject.loaded, calls, subject.layer, subject.layer)[0], whole)
    return f"{subject.loaded.adapter.layers} layers; worst error {worst:.1g}" + ("" if several else " (rounding)")


def single_neurons(subject: ModelSubject) -> str:
    """Effects of single neurons are those of naive passes."""
    residual, activation = subject.scored
    _needs_full_precision(subject, has_closed_form(subject.loaded.adapter, subject.layer))
    found = influence(subject.loaded, subject.documents, subject.panel, residual, activation, subject.layer)
    how = "closed form" if has_closed_form(subject.loaded.adapter, subject.layer) else "restarted passes"
    extra: Any = found.audit.model_extra
    return (
        f"{how} against {found.audit.n} entries of a {extra['method']}: worst error {found.audit.max_abs_error:.1g} "
        f"nats, {extra['max_contract_share']:.2f} of what is allowed; largest effect "
        f"{float(found.delta_loss.abs().max()):.2g} nats"
    )


def neurons_together(subject: ModelSubject) -> str:
    """The loss increase when several neurons are ablated together is that of naive passes."""
    residual, activation = subject.scored
    _needs_full_precision(subject, False)
    random = np.random.Generator(np.random.Philox(key=[0, 3]))
    chosen = np.sort(random.choice(activation.shape[1], size=min(SET, activation.shape[1]), replace=False))
    found = joint_neurons(
        subject.loaded, subject.documents, subject.panel, residual, activation, subject.layer, [chosen]
    )
    expected, method = _naive_increase(subject, chosen, activation.double().mean(0))
    error = (found.total[0] - expected).abs() / found.pairs[:, None]
    allowed = 1e-4 + 1e-3 * expected.abs() / found.pairs[:, None]
    worst = float((error / allowed).nan_to_num().max())
    require(worst <= 1, f"the mean increase of a document is off by {float(error.max()):.2g} nats ({method})")
    return f"{len(chosen)} neurons against a {method}: worst error {float(error.max()):.1g} nats"


def single_heads(subject: ModelSubject) -> str:
    """Effects of heads on neurons are those of naive passes."""
    sd = subject.scored[1].double().std(0, correction=0).numpy()
    layers = list(range(subject.loaded.adapter.layers))[-HEAD_LAYERS:]
    paired = np.unique(subject.panel.document[subject.panel.a_rows]).tolist()
    part = PartialHeads(layers=layers, documents=paired)
    arguments = (subject.loaded, subject.documents, subject.panel, subject.layer, sd)
    audit = audit_heads(*arguments, head_effects(*arguments, part=part))
    extra: Any = audit.model_extra
    return (
        f"layers {layers[0]} to {layers[-1]}, {audit.n:,} effects against a {extra['method']}: worst error "
        f"{audit.max_abs_error:.1g} sd, {extra['max_tolerance_share']:.2f} of what is allowed"
    )


def counts(subject: ModelSubject) -> str:
    """Token counts can be had for the tokenizer's vocabulary: from beside the model, else from the corpus."""
    if subject.options is None:
        raise Skipped("no corpus was given")
    found = token_counts(subject.options, subject.loaded)
    seen = int(np.count_nonzero(found.counts))
    return f"{found.source}: {int(found.counts.sum()):,} tokens, {seen:,} of {int(found.given.sum()):,} types seen"


def special_tokens(subject: ModelSubject) -> str:
    """The tokenizer's ids fit the embedding; which ids are special, and so never scored, is said."""
    if subject.loaded.tokenizer is None:
        raise Skipped("the model came without a tokenizer")
    ids = token_ids(subject.loaded.tokenizer)
    rows = subject.loaded.model.get_input_embeddings().weight.shape[0]
    require(ids.size <= rows, f"the tokenizer gives ids up to {ids.size - 1:,}, the embedding has {rows:,} rows")
    named = [str(subject.loaded.tokenizer.convert_ids_to_tokens(one)) for one in sorted(ids.special)[:3]]
    more = f" and {len(ids.special) - 3} more" if len(ids.special) > 3 else ""
    verb = "is" if len(ids.special) == 1 else "are"
    said = f"{', '.join(named)}{more} {verb} special" if named else "no id is special"
    padding = f"; {rows - ids.size:,} rows of the embedding are padding" if rows > ids.size else ""
    return f"{ids.size:,} ids, {said}{padding}"


MODEL_CHECKS: dict[str, Callable[[ModelSubject], str]] = {
    "unchanged": unchanged,
    "readout": readout,
    "neurons": neurons,
    "input_weights": input_weights,
    "written": written,
    "head_slices": head_slices,
    "reachability": reachability,
    "restart": restart,
    "single_neurons": single_neurons,
    "neurons_together": neurons_together,
    "single_heads": single_heads,
    "special_tokens": special_tokens,
    "counts": counts,
}
"""Check of a model by id."""


def _through(subject: ModelSubject, module: nn.Module, ids: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a module's first input and its output, [S, ...] each, in a clean pass."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def remember(module: nn.Module, arguments: tuple[Any, ...], output: torch.Tensor) -> None:
        seen.append((arguments[0][0].clone(), output[0].clone()))

    handle = module.register_forward_hook(remember)
    try:
        subject.logits(ids)
    finally:
        handle.remove()
    return seen[0]


@contextmanager
def _own_forward(model: nn.Module) -> Iterator[int]:
    """Within the context, every module runs the forward pass of its class; gives how many did not before."""
    before = [(module, vars(module).pop("forward")) for module in model.modules() if "forward" in vars(module)]
    try:
        yield len(before)
    finally:
        for module, forward in before:
            module.forward = forward


def _needs_full_precision(subject: ModelSubject, replayed: bool) -> None:
    """Skip what rounding of a half-precision model would drown, unless it is replayed from the model's own stream."""
    if subject.loaded.dtype in (torch.bfloat16, torch.float16) and not replayed:
        raise Skipped("the model's own rounding is larger than the effects; give --dtype float32")


def _naive_increase(subject: ModelSubject, chosen: IntArray, mean: torch.Tensor) -> tuple[torch.Tensor, str]:
    """Loss increase [D, 2] by whole passes, neurons at their means at all scored positions; and how it was had."""
    model, method = naive_model(subject.loaded)
    site, members = type(subject.loaded.adapter)(model).neuron_site(subject.layer), torch.from_numpy(chosen)
    total = torch.zeros(len(subject.documents), 2, dtype=torch.float64)
    rows = (subject.panel.a_rows, subject.panel.b_rows)
    for number, ids in enumerate(subject.documents):
        position = torch.from_numpy(subject.panel.position[subject.panel.document == number])

        def ablate(activation: torch.Tensor, at: torch.Tensor = position) -> torch.Tensor:
            out = activation.clone()
            out[0, at[:, None], members] = mean[members].to(out)
            return out

        clean = _losses(subject.logits(ids, model), ids)
        with input_replaced(site, ablate):
            increase = _losses(subject.logits(ids, model), ids) - clean
        for side in (0, 1):
            here = subject.panel.position[rows[side][subject.panel.document[rows[side]] == number]]
            total[number, side] = increase[torch.from_numpy(here)].sum()
    return total, method


def _losses(logits: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    target = torch.tensor(list(ids[1:]), device=logits.device)
    return nn.functional.cross_entropy(logits[:-1].double(), target, reduction="none").cpu()


def _largest(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one.double() - other.double()).abs().max())


def _share(found: torch.Tensor, right: torch.Tensor) -> float:
    """Largest error over the root mean square of what is right."""
    size = float(right.double().square().mean().sqrt())
    return _largest(found, right) / size if size else math.inf
