"""How exact every model family is measured: a table of worst errors against whole float64 passes.

``python tests/family_table.py [NAME ...]``, about two minutes. Every family on a random configuration with unusual
flags, once with weights as they are initialised and once with weights so large that single neurons move the loss by
nats. An error is given as a share of what is allowed: 1e-4 nats + 1e-3 of the effect for a neuron and for the mean of a
set (docs/methods.md#closed-form), 1e-3 sd + 1e-3 of the effect for a head.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import torch
from naive_passes import effects_of_heads, increase_by_heads, increase_by_neurons, influence_of_neurons
from tiny_models import CONFIGS, FAMILIES, HEADS, LAYERS, panel_of, texts, tiny

from neuronull.estimators.forward import run_forward
from neuronull.estimators.heads import head_effects
from neuronull.estimators.influence import influence
from neuronull.estimators.joint import joint_heads, joint_neurons

DOCUMENTS = texts()
PANEL = panel_of(DOCUMENTS)
HEAD_SETS = [[(0, 1)], [(2, 3), (1, 0)], [(1, head) for head in range(HEADS)]]
INFLATIONS = (0.5, 6.0)
LAST = LAYERS - 1


def share(found: torch.Tensor, right: torch.Tensor, absolute: float = 1e-4) -> float:
    """Largest error over what is allowed."""
    return float(((found.double() - right).abs() / (absolute + 1e-3 * right.abs())).max())


def row(name: str, inflation: float) -> list[float]:
    """Largest effect of a neuron, nats; then shares: neurons of the last layer, of layer 1, heads, sets of both."""
    loaded = tiny(name, inflation)
    size, sd = loaded.adapter.neurons, np.linspace(0.5, 2, loaded.adapter.neurons)
    sets = [np.asarray([3]), np.arange(1, size, 4), np.arange(size)]
    shares, scored = [], {at: run_forward(loaded, DOCUMENTS, at).scored(PANEL) for at in (LAST, 1)}
    for at in (LAST, 1):
        right = influence_of_neurons(name, DOCUMENTS, PANEL, at, "mean", inflation)
        shares.append(share(influence(loaded, DOCUMENTS, PANEL, *scored[at], at).delta_loss, right))
        if at == LAST:
            largest = float(right.abs().max())
    heads = head_effects(loaded, DOCUMENTS, PANEL, LAST, sd).effect
    right = torch.from_numpy(effects_of_heads(name, DOCUMENTS, PANEL, LAST, "mean", sd, inflation))
    shares.append(share(heads, right, 1e-3))
    found = joint_neurons(loaded, DOCUMENTS, PANEL, *scored[LAST], LAST, sets)
    right = increase_by_neurons(name, DOCUMENTS, PANEL, LAST, "mean", sets, inflation)
    shares.append(share(found.mean, right / found.pairs[:, None]))
    found = joint_heads(loaded, DOCUMENTS, PANEL, HEAD_SETS)
    right = increase_by_heads(name, DOCUMENTS, PANEL, "mean", HEAD_SETS, inflation)
    shares.append(share(found.mean, right / found.pairs[:, None]))
    return [largest, *shares]


def main(names: Sequence[str]) -> None:
    """Print the table, a row as soon as it is known."""
    columns = ("family", "weights", "nats", "last layer", "layer 1", "heads", "sets of neurons", "sets of heads")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    worst = [0.0] * 5
    for name in names or [*CONFIGS, *FAMILIES]:
        for inflation in INFLATIONS:
            largest, *shares = row(name, inflation)
            cells = [f"{largest:.3g}", *(f"{one:.2g}" for one in shares)]
            print(f"| {name} | x {inflation:g} | {' | '.join(cells)} |", flush=True)
            worst = [max(pair) for pair in zip(worst, shares, strict=True)]
    print(f"| worst | | | {' | '.join(f'{one:.2g}' for one in worst)} |")


if __name__ == "__main__":
    main(sys.argv[1:])
