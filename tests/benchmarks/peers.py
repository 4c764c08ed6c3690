"""What a researcher does today: loops of forward passes with a hook, and libraries that run such loops.

Every peer returns D, loss after ablation less loss before, [T, k] nats, for k neurons of the last layer replaced by
their means. None of them batches; TransformerLens and nnsight are used when they are installed.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from .shapes import Bench

Peer = Callable[[Sequence[int]], torch.Tensor]
"""Neurons -> D [T, k]."""


def missing(module: str) -> str | None:
    """Return one plain line if an optional peer is not installed."""
    if importlib.util.find_spec(module) is None:
        return f"{module} is not installed: its hook loop was left out (pip install '.[bench]')"
    return None


def per_document(bench: Bench) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Input ids [1, S], scored positions [n] and targets [n] of each document."""
    out = []
    for d, ids in enumerate(bench.documents):
        at = torch.from_numpy(bench.panel.position[bench.panel.document == d])
        tokens = torch.tensor([ids])
        out.append((tokens, at, tokens[0, at + 1]))
    return out


def _loop(bench: Bench, run: Callable[[torch.Tensor, torch.Tensor, int | None], torch.Tensor]) -> Peer:
    """Return a peer from ``run(tokens, scored positions, neuron or None) -> logits [1, S, V]``."""
    documents = per_document(bench)

    @torch.no_grad()
    def losses(neuron: int | None) -> torch.Tensor:
        parts = [
            cross_entropy(run(tokens, at, neuron)[0, at], target, reduction="none") for tokens, at, target in documents
        ]
        return torch.cat(parts)

    clean = losses(None)
    return lambda neurons: torch.stack([losses(neuron) - clean for neuron in neurons], 1)


def hook_loop(bench: Bench) -> Peer:
    """A Hugging Face model and a PyTorch hook."""
    mean = bench.activation.mean(0)
    site = bench.loaded.adapter.neuron_site(bench.layer)

    def run(tokens: torch.Tensor, at: torch.Tensor, neuron: int | None) -> torch.Tensor:
        def ablate(module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
            activation = arguments[0].clone()
            activation[0, at, neuron] = mean[neuron]
            return (activation,)

        if neuron is None:
            return bench.loaded.model(tokens, use_cache=False).logits
        handle = site.register_forward_pre_hook(ablate)
        try:
            return bench.loaded.model(tokens, use_cache=False).logits
        finally:
            handle.remove()

    return _loop(bench, run)


def readout_loop(bench: Bench) -> Peer:
    """The closed form neuron by neuron: residual update, norm, unembedding."""
    adapter, model = bench.loaded.adapter, bench.loaded.model
    mean, w_out = bench.activation.mean(0), adapter.w_out(bench.layer)
    target = torch.from_numpy(bench.panel.target_id)

    @torch.no_grad()
    def losses(stream: torch.Tensor) -> torch.Tensor:
        logits = model.get_output_embeddings()(adapter.final_norm_module(stream))
        return cross_entropy(logits, target, reduction="none")

    clean = losses(bench.residual)

    def effects(neurons: Sequence[int]) -> torch.Tensor:
        changes = ((mean[i] - bench.activation[:, i])[:, None] * w_out[i] for i in neurons)
        return torch.stack([losses(bench.residual + change) - clean for change in changes], 1)

    return effects


def nnsight_loop(bench: Bench) -> Peer:
    """The intervention of nnsight's tutorials."""
    from nnsight import NNsight

    wrapped, mean = NNsight(bench.loaded.model), bench.activation.mean(0)

    def run(tokens: torch.Tensor, at: torch.Tensor, neuron: int | None) -> torch.Tensor:
        with wrapped.trace(tokens):
            if neuron is not None:
                wrapped.transformer.h[bench.layer].mlp.c_proj.input[:, at, neuron] = mean[neuron]
            logits = wrapped.output.logits.save()
        return logits  # noqa: RET504 - bound when the trace ends

    return _loop(bench, run)


def transformer_lens_loop(bench: Bench) -> Peer:
    """`run_with_hooks` of TransformerLens 4's TransformerBridge."""
    bridge, mean = _bridge(bench), bench.activation.mean(0)
    name = f"blocks.{bench.layer}.mlp.hook_post"

    def run(tokens: torch.Tensor, at: torch.Tensor, neuron: int | None) -> torch.Tensor:
        def ablate(activation: torch.Tensor, hook: Any) -> torch.Tensor:
            activation[0, at, neuron] = mean[neuron]
            return activation

        hooks = [] if neuron is None else [(name, ablate)]
        return bridge.run_with_hooks(tokens, fwd_hooks=hooks, return_type="logits")

    return _loop(bench, run)


def _bridge(bench: Bench) -> Any:
    """Hand the model over on disk, with a tokenizer of plain words: TransformerLens loads by name."""
    from tokenizers import Tokenizer, models
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    os.environ["HF_HUB_OFFLINE"] = "1"
    words = {f"w{i}": i for i in range(bench.loaded.adapter.vocabulary)}
    with tempfile.TemporaryDirectory() as directory:
        bench.loaded.model.save_pretrained(directory)
        plain = Tokenizer(models.WordLevel(words, unk_token="w0"))
        special = dict.fromkeys(("bos_token", "eos_token", "pad_token", "unk_token"), "w0")
        PreTrainedTokenizerFast(tokenizer_object=plain, **special).save_pretrained(Path(directory))
        tokenizer = AutoTokenizer.from_pretrained(directory)
        return TransformerBridge.boot_transformers(directory, device="cpu", dtype=torch.float32, tokenizer=tokenizer)


OPTIONAL: dict[str, Callable[[Bench], Peer]] = {"transformer_lens": transformer_lens_loop, "nnsight": nnsight_loop}
