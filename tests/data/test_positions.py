"""Position embeddings that depend on a document's length: which they are, and that no pass hangs on those before it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tiny_models import length_dependent, saved_model, texts

from neuronull.data.models import load_model
from neuronull.data.positions import depends_on_length


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (None, False),
        ({}, False),
        ({"rope_type": "default", "rope_theta": 1e4}, False),
        ({"rope_type": "linear", "factor": 2.0}, False),
        ({"rope_type": "yarn", "factor": 2.0}, False),
        ({"rope_type": "llama3", "factor": 2.0}, False),
        ({"rope_type": "dynamic", "factor": 2.0}, True),
        ({"rope_type": "longrope"}, True),
        ({"type": "longrope"}, True),
        ({"type": "su"}, True),
        ({"rope_type": "of-tomorrow"}, True),
        ({"full_attention": {"rope_type": "default"}, "sliding_attention": {"rope_type": "default"}}, False),
        ({"full_attention": {"rope_type": "dynamic"}, "sliding_attention": {"rope_type": "default"}}, True),
    ],
)
@pytest.mark.parametrize("name", ["rope_parameters", "rope_scaling"])
def test_which_embeddings_depend_on_the_length(name: str, setting: dict | None, expected: bool):
    class Config:
        pass

    config = Config()
    setattr(config, name, setting)
    assert depends_on_length(config) is expected


@pytest.mark.parametrize("kind", ["default", "linear", "yarn", "llama3"])
def test_a_cut_document_is_the_same_under_the_others(kind: str):
    """Held against the models of `transformers` themselves."""
    settings = {"rope_type": kind, "rope_theta": 10000.0, "factor": 2.0, "original_max_position_embeddings": 16}
    if kind == "llama3":
        settings |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    config = transformers.LlamaConfig(
        vocab_size=67, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40,
        max_position_embeddings=32, rope_parameters=settings,
    )  # fmt: skip
    assert not depends_on_length(config)
    model = transformers.LlamaForCausalLM(config).double().eval()
    ids = torch.tensor([texts(1, longest=31)[0] + [1] * 10])
    with torch.no_grad():
        torch.testing.assert_close(model(ids[:, :9]).logits, model(ids).logits[:, :9])


@pytest.mark.parametrize("name", ["longrope", "dynamic", "gpt_neox dynamic"])
def test_a_pass_is_a_function_of_its_document_alone(name: str, tmp_path: Path):
    """Each document as a model reads it that has read nothing before, in whatever order they come."""
    plain = length_dependent(name).model
    loaded = load_model(str(saved_model(plain, tmp_path / "m")), device="cpu")
    documents = [torch.tensor([list(np.arange(n) % 67)]) for n in (40, 20, 33, 60, 34, 20)]
    with torch.no_grad():
        found = [loaded.model(ids).logits for ids in documents]
        alone = [copy.deepcopy(plain)(ids).logits for ids in documents]
        assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))
        cut = loaded.model(documents[0][:, :20]).logits
        assert (cut - found[0][:, :20]).abs().max() > 0.1  # the length does matter here
