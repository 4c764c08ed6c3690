"""All heads against all last-layer neurons: restarting at the head's layer against whole forward passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from neuronull.estimators.forward import captured_inputs
from neuronull.estimators.heads import head_effects

from .harness import Contender, Row, compete
from .shapes import Bench, gpt2_shape, prepare, random_texts

BAR = 2.5


def whole_passes(bench: Bench, every: int, sd: torch.Tensor) -> torch.Tensor:
    """E of every `every`-th head, [k, D, 2, N], from one whole forward pass with a hook for each head and document."""
    model, adapter, panel = bench.loaded.model, bench.loaded.adapter, bench.panel
    site = adapter.neuron_site(bench.layer)
    seen: list[torch.Tensor] = []
    watch = site.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0][0]))
    tokens = [torch.tensor([ids]) for ids in bench.documents]
    rows = [panel.a_rows, panel.b_rows]
    at = [[torch.from_numpy(panel.position[r[panel.document[r] == d]]) for r in rows] for d in range(len(tokens))]
    width = adapter.head_site(0).weight.shape[0] // adapter.heads(0)
    out = []
    try:
        with torch.no_grad():
            for ids in tokens:
                model(ids, use_cache=False)
            clean = list(seen)
            means = _means(bench, tokens)
            for number in range(0, (bench.layer + 1) * adapter.heads(0), every):
                layer, head = divmod(number, adapter.heads(0))
                part = slice(head * width, (head + 1) * width)

                def ablate(_: Any, arguments: tuple[Any, ...], part: slice = part, layer: int = layer) -> Any:
                    output = arguments[0].clone()
                    output[..., part] = means[layer][part]
                    return (output,)

                hook = adapter.head_site(layer).register_forward_pre_hook(ablate)
                seen.clear()
                for ids in tokens:
                    model(ids, use_cache=False)
                hook.remove()
                changes = [((after - before) / sd).abs() for after, before in zip(seen, clean, strict=True)]
                rows_means = [[c[p].mean(0) for p in places] for c, places in zip(changes, at, strict=True)]
                out.append(torch.stack([torch.stack(one) for one in rows_means]))
    finally:
        watch.remove()
    return torch.stack(out)


def _means(bench: Bench, tokens: list[torch.Tensor]) -> list[torch.Tensor]:
    """Mean output of the heads of each layer over the scored positions, [d] a layer."""
    adapter, panel = bench.loaded.adapter, bench.panel
    totals = [torch.zeros(adapter.head_site(at).weight.shape[0]) for at in range(bench.layer + 1)]
    sites = {str(at): adapter.head_site(at) for at in range(bench.layer + 1)}
    with captured_inputs(sites) as latest:
        for d, ids in enumerate(tokens):
            position = torch.from_numpy(panel.position[panel.document == d])
            bench.loaded.model(ids, use_cache=False)
            for at, total in enumerate(totals):
                total += latest[str(at)][0, position].sum(0)
    return [total / len(panel) for total in totals]


def run(rounds: int) -> tuple[list[Row], list[str]]:
    """GPT-2 small's shape: 144 heads and the 12 ablations of whole layers; the peer does every 18th head."""
    loaded, every = gpt2_shape(), 18
    bench = prepare(loaded, random_texts(50257, documents=1, length=256))
    sd = bench.activation.std(0)
    heads = 12 * 12
    contenders = [
        Contender(
            "neuronull",
            lambda: head_effects(loaded, bench.documents, bench.panel, bench.layer, sd.double().numpy()),
            heads + 12,
        ),
        Contender("Hugging Face hook loop", lambda: whole_passes(bench, every, sd), heads // every, BAR),
    ]

    def check(results: dict[str, Any]) -> dict[str, str]:
        found = results["neuronull"]
        ours = found.effect[torch.from_numpy(np.flatnonzero(found.head >= 0)[::every])]
        torch.testing.assert_close(ours, results["Hugging Face hook loop"], rtol=5e-3, atol=2e-5)
        share = float((ours - results["Hugging Face hook loop"]).abs().max() / ours.max())
        return {"Hugging Face hook loop": f"largest difference {share:.0e} of the largest effect"}

    return compete("heads, GPT-2 small shape, 1 document of 256", "head", contenders, rounds, check), []
