"""Joint ablation of 1,000 sets of 26 neurons of the embedded model against a hook loop over sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from neuronull.estimators.joint import joint_neurons

from .bench_influence import embedded_texts
from .harness import Contender, Row, compete
from .shapes import Bench, embedded, prepare

SETS, MEMBERS = 1000, 26


def hook_loop(bench: Bench, sets: np.ndarray) -> torch.Tensor:
    """Sums [S, D, 2] from one forward pass a set and document."""
    model, panel = bench.loaded.model, bench.panel
    site, mean = bench.loaded.adapter.neuron_site(bench.layer), bench.activation.mean(0)
    out = torch.zeros(len(sets), len(bench.documents), 2, dtype=torch.float64)
    rare, common = panel.a_rows, panel.b_rows

    def losses(ids: list[int]) -> torch.Tensor:
        return cross_entropy(model(torch.tensor([ids]), use_cache=False).logits[0, :-1], torch.tensor(ids[1:]), reduction="none")  # fmt: skip # noqa: E501

    with torch.no_grad():
        for d, ids in enumerate(bench.documents):
            clean = losses(ids)
            scored = torch.from_numpy(panel.position[panel.document == d])
            at = [torch.from_numpy(panel.position[rows[panel.document[rows] == d]]) for rows in (rare, common)]
            for s, one in enumerate(sets):

                def ablate(_: Any, arguments: tuple[Any, ...], one: np.ndarray = one, at: Any = scored) -> Any:
                    activation = arguments[0].clone()
                    activation[0, at[:, None], one] = mean[one]
                    return (activation,)

                hook = site.register_forward_pre_hook(ablate)
                change = losses(ids) - clean
                hook.remove()
                out[s, d] = torch.stack([change[p].double().sum() for p in at])
    return out


def run(rounds: int) -> tuple[list[Row], list[str]]:
    """Eight documents; the peer does ten sets a round."""
    loaded = embedded()
    bench = prepare(loaded, embedded_texts(loaded, 8))
    random = np.random.default_rng(0)
    neurons = bench.activation.shape[1]
    sets = np.stack([random.choice(neurons, MEMBERS, replace=False) for _ in range(SETS)])
    few = sets[:: SETS // 10]

    def ours() -> torch.Tensor:
        inputs = (bench.panel, bench.residual, bench.activation, bench.layer)
        return joint_neurons(loaded, bench.documents, *inputs, list(sets)).total

    def check(results: dict[str, Any]) -> dict[str, str]:
        found, expected = results["neuronull"][:: SETS // 10], results["Hugging Face hook loop"]
        pairs = len(bench.panel.a_rows) / len(bench.documents)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * pairs)
        off = float((found - expected).abs().max())
        return {"Hugging Face hook loop": f"largest difference of a document's sum {off:.0e} nats"}

    contenders = [
        Contender("neuronull", ours, SETS),
        Contender("Hugging Face hook loop", lambda: hook_loop(bench, few), len(few)),
    ]
    matched = 2 * len(bench.panel.a_rows)
    title = f"joint ablation, docs-gpt2, {SETS} sets of {MEMBERS}, {matched} matched positions"
    return compete(title, "set", contenders, rounds, check), []
