"""The models and texts that benchmarks run on: GPT-2 small's shape with random weights, and the embedded model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import transformers

from neuronull.data.adapters import adapter_for
from neuronull.data.measurements import Panel
from neuronull.data.models import LoadedModel, load_model
from neuronull.estimators.forward import run_forward

FIRST_SCORED = 3


@dataclass(frozen=True)
class Bench:
    """A model with documents, their panel, and what a clean pass found at the scored positions."""

    loaded: LoadedModel
    documents: list[list[int]]
    panel: Panel
    layer: int
    residual: torch.Tensor
    activation: torch.Tensor


def gpt2_shape(
    width: int = 768, neurons: int = 3072, vocabulary: int = 50257, layers: int = 12, seed: int = 0
) -> LoadedModel:
    """A GPT-2 of this shape (by default GPT-2 small's) with freshly drawn weights."""
    config = transformers.GPT2Config(
        n_embd=width, n_inner=neurons, vocab_size=vocabulary, n_layer=layers, n_head=max(1, width // 64),
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.eval().requires_grad_(False)
    return LoadedModel(model, None, adapter_for(model), "gpt2 shape", None, "0" * 64, config, None)


def embedded() -> LoadedModel:
    """The embedded trained model."""
    return load_model("docs-gpt2", device="cpu")


def random_texts(vocabulary: int, documents: int, length: int, seed: int = 0) -> list[list[int]]:
    """Documents of random token ids."""
    return np.random.default_rng(seed).integers(0, vocabulary, (documents, length)).tolist()


def panel_of(documents: list[list[int]]) -> Panel:
    """Every position from the fourth on is scored; even ones count as rare, each matched with the one after it."""
    rows = np.asarray([(d, p) for d, ids in enumerate(documents) for p in range(FIRST_SCORED, len(ids) - 1)])
    document, position = rows[:, 0].copy(), rows[:, 1].copy()
    target = np.asarray([documents[d][p + 1] for d, p in rows])
    rare = position % 2 == 0
    followed = np.append(document[1:] == document[:-1], False)
    match = np.where(rare & followed, np.arange(1, len(rows) + 1), -1)
    zero = np.zeros(len(rows), dtype=np.int64)
    return Panel(
        document, position, zero, target, zero.astype(float), zero, zero, document % 2, rare.astype(np.int64), match
    )


def prepare(loaded: LoadedModel, documents: list[list[int]]) -> Bench:
    """Run the clean pass."""
    panel, layer = panel_of(documents), loaded.adapter.layers - 1
    residual, activation = run_forward(loaded, documents, layer).scored(panel)
    return Bench(loaded, documents, panel, layer, residual, activation)
