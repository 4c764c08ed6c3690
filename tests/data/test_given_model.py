"""A model in memory is measured as its directory is, and left as it was."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
import transformers
from tiny_models import options_of

import neuronull as nn
from neuronull.data.embedded import embedded_model_path
from neuronull.data.errors import InputError
from neuronull.data.given_model import GivenModel, given_model
from neuronull.data.models import load_model

FAMILIES = ("gpt2", "opt", "olmo2")


def loaded(directory: Path) -> tuple[torch.nn.Module, object]:
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    return model, transformers.AutoTokenizer.from_pretrained(directory)


def state(model: torch.nn.Module) -> list[object]:
    """What a measurement must leave alone."""
    return [
        (
            name,
            type(module),
            module.training,
            len(module._forward_pre_hooks),
            len(module._forward_hooks),
            "forward" in vars(module),
        )
        for name, module in model.named_modules()
    ] + [(name, one.requires_grad, one.data_ptr()) for name, one in model.named_parameters()]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_numbers_and_the_model_as_it_was(family: str, tmp_path: Path):
    options = options_of(family, tmp_path, inflation=1.5)
    model, tokenizer = loaded(Path(options.model))
    model.train()
    before, weights = state(model), copy.deepcopy(model.state_dict())
    asked = {name: getattr(options, name) for name in ("corpus", "counts", "documents", "context", "threshold")}
    given = nn.measure(model, tokenizer=tokenizer, **asked)
    named = nn.measure(options.model, device="cpu", **asked)
    assert torch.equal(given.delta_loss, named.delta_loss)
    torch.testing.assert_close(given.heads.effect, named.heads.effect, rtol=0, atol=0, equal_nan=True)
    assert given.manifest.model.hash == named.manifest.model.hash
    assert given.manifest.model.id == "model"
    assert state(model) == before
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_weights_are_shared_and_drawn_anew_for_the_control(tmp_path: Path):
    options = options_of("gpt2", tmp_path)
    model, tokenizer = loaded(Path(options.model))
    given = given_model(model, tokenizer)
    made = load_model(given)
    assert made.model is not model
    pairs = zip(made.model.parameters(), model.parameters(), strict=True)
    assert all(one.data_ptr() == other.data_ptr() and one is not other for one, other in pairs)
    assert made.model.get_output_embeddings().weight is made.model.get_input_embeddings().weight  # tied ones stay tied
    control = load_model(given, random_init=True)
    assert control.id == "model:random_init-0"
    assert control.hash != made.hash


def test_what_a_run_tells_of_it(tmp_path: Path):
    model, tokenizer = loaded(embedded_model_path("docs-gpt2"))
    run = nn.run(
        model, tokenizer=tokenizer, documents=20, context=96, only="clusters.weights", replicates=39,
        out=tmp_path / "out",
    )  # fmt: skip
    assert run.result.setup.model == "docs_gpt2"
    assert "object at" not in (tmp_path / "out" / "provenance.json").read_text()
    with pytest.raises(InputError, match="only in memory"):
        nn.plan(model=model, tokenizer=tokenizer)


def test_what_is_no_model_is_refused(tmp_path: Path):
    model, tokenizer = loaded(Path(options_of("gpt2", tmp_path).model))
    for wrong, its, message in (
        (7, tokenizer, "a int is no model"),
        (torch.nn.Linear(2, 2), tokenizer, "a Linear is no model"),
        (model, None, "came without a tokenizer"),
        (model, 7, "a int is no tokenizer"),
        (model.transformer, tokenizer, "has no unembedding"),
        ("docs-gpt2", tokenizer, "goes with a model in memory"),
    ):
        with pytest.raises(InputError, match=message):
            nn.measure(wrong, tokenizer=its)
    model.lm_head.double()
    with pytest.raises(InputError, match="of several types"):
        nn.measure(model, tokenizer=tokenizer)


def test_a_name_for_it():
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(vocab_size=9, n_embd=8, n_layer=1, n_head=2))
    assert str(GivenModel(model, None)) == "GPT2LMHeadModel"
