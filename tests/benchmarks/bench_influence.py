"""Influence of all last-layer neurons against hook loops and against the closed form neuron by neuron.

Peers are timed on a few neurons a round and given in seconds a neuron; ours does all neurons in every round, from the
clean pass on, and is given in seconds a neuron too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from neuronull.estimators.closed_form import ClosedForm
from neuronull.estimators.forward import run_forward
from neuronull.estimators.influence import influence
from neuronull.estimators.readout import fold

from . import peers
from .harness import Contender, Row, compete
from .shapes import Bench, embedded, gpt2_shape, prepare, random_texts

HOOK_BAR, READOUT_BAR = 300.0, 60.0
ROUNDING = 2e-5
"""Nats by which a float32 forward pass may be off on its own; added to the contract, since peers run in float32."""


def all_neurons(bench: Bench) -> tuple[torch.Tensor, float]:
    """Clean pass, folding, D of every neuron [T, N]; and the share of entries that were computed exactly."""
    residual, activation = run_forward(bench.loaded, bench.documents, bench.layer).scored(bench.panel)
    form = ClosedForm(fold(bench.loaded.adapter, bench.layer))
    change, target = activation.mean(0) - activation, torch.from_numpy(bench.panel.target_id)
    delta = torch.empty_like(activation)
    for start in range(0, len(target), form.tile):
        rows = slice(start, start + form.tile)
        delta[rows] = form.effects(residual[rows], change[rows], target[rows])
    return delta, form.exact_entries / form.entries


def with_audit(bench: Bench) -> torch.Tensor:
    """What a run does: the same through `influence`, which checks a sample by naive passes."""
    residual, activation = run_forward(bench.loaded, bench.documents, bench.layer).scored(bench.panel)
    return influence(bench.loaded, bench.documents, bench.panel, residual, activation, bench.layer).delta_loss


def bench_model(name: str, bench: Bench, sample: int, rounds: int) -> tuple[list[Row], list[str]]:
    """Rows of one model, and lines about peers that were left out."""
    neurons = bench.activation.shape[1]
    picked = torch.linspace(0, neurons - 1, sample).long().tolist()
    total = float(neurons)
    loops = {
        "Hugging Face hook loop": (peers.hook_loop, HOOK_BAR),
        "closed form, neuron by neuron": (peers.readout_loop, READOUT_BAR),
    }
    skipped = [line for module in peers.OPTIONAL if (line := peers.missing(module)) is not None]
    loops |= {f"{m} hook loop": (make, HOOK_BAR) for m, make in peers.OPTIONAL.items() if peers.missing(m) is None}
    contenders = [
        Contender("neuronull", lambda: all_neurons(bench), total),
        Contender("neuronull, with the run's audit", lambda: with_audit(bench), total),
    ]
    for title, (make, bar) in loops.items():
        peer = make(bench)
        contenders.append(Contender(title, lambda peer=peer: peer(picked), sample, bar))  # type: ignore[misc]

    def check(results: dict[str, Any]) -> dict[str, str]:
        found, exact = results["neuronull"]
        said = {"neuronull": f"{exact:.2%} of entries were computed exactly"}
        for title, other in results.items():
            if title == "neuronull":
                continue
            ours = found if other.shape == found.shape else found[:, picked]
            said[title] = agreement(ours, other)
        return said

    benchmark = f"influence, {name}, T = {len(bench.panel)}, N = {neurons}"
    return compete(benchmark, "neuron", contenders, rounds, check), skipped


def agreement(ours: torch.Tensor, other: torch.Tensor) -> str:
    """Largest difference; raises if an entry is not within the contract and float32's rounding."""
    difference = (ours - other).abs()
    worst = float((difference / (1e-4 + ROUNDING + 1e-3 * other.abs())).max())
    if not worst < 1:
        raise AssertionError(f"D is {float(difference.max()):.3g} nats off the peer's, {worst:.2f} of the contract")
    return f"largest difference {float(difference.max()):.1e} nats"


def run(rounds: int) -> tuple[list[Row], list[str]]:
    """Both models."""
    gpt2 = gpt2_shape()
    random_weights = prepare(gpt2, random_texts(50257, documents=4, length=256))
    rows, skipped = bench_model("GPT-2 small shape, random weights", random_weights, 2, rounds)
    loaded = embedded()
    trained = prepare(loaded, embedded_texts(loaded, 8))
    more, _ = bench_model("docs-gpt2", trained, 16, rounds)
    return rows + more, skipped


def embedded_texts(loaded: Any, documents: int) -> list[Sequence[int]]:
    """The first documents of the embedded corpus."""
    from neuronull.data.corpora import load_corpus

    table = load_corpus("docs", loaded.tokenizer, documents, 256).documents
    return [list(map(int, ids)) for ids in table["input_ids"]]
