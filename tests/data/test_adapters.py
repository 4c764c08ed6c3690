"""Adapters point at the right parts: rebuilt from them, the numbers are those of the plain model."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_models import (
    CONFIGS,
    FAMILIES,
    HEADS,
    LAYERS,
    NEURONS,
    VOCABULARY,
    WIDTH,
    in_float64,
    inputs_of,
    logits_with,
    paths,
    texts,
    tiny,
)

import neuronull
from neuronull.data.adapters import adapter_for, adapters, require_adapter
from neuronull.data.errors import InputError
from neuronull.hypotheses.checks.model_checks import MODEL_CHECKS, ModelSubject

IDS = texts(1, seed=2)[0]
NAMES = list(CONFIGS)


@pytest.mark.parametrize("name", NAMES)
def test_norm_and_unembedding_rebuild_the_logits(name: str):
    model = in_float64(name)
    adapter, norm = adapter_for(model), adapter_for(model).final_norm()
    x = inputs_of(model, IDS, paths(name)[2])
    if norm.kind == "layer":
        x = x - x.mean(-1, keepdim=True)
    normed = norm.gain * x / (x.square().mean(-1, keepdim=True) + norm.eps).sqrt() + norm.bias
    weight, bias = adapter.unembedding()
    with torch.no_grad():
        logits = model(torch.tensor([IDS])).logits[0]
    # Llama's RMSNorm works in float32 whatever the model's type
    torch.testing.assert_close(normed @ weight.T + (0 if bias is None else bias), logits, rtol=1e-5, atol=1e-5)
    assert weight.shape == (VOCABULARY, WIDTH)
    assert adapter.vocabulary == VOCABULARY


@pytest.mark.parametrize("layer", range(LAYERS))
@pytest.mark.parametrize("name", NAMES)
def test_neurons_write_their_output_weights(name: str, layer: int):
    """One unit more of neuron i changes the MLP's output by w_out[i]."""
    model = in_float64(name)
    adapter = adapter_for(model)
    site, outputs = adapter.neuron_site(layer), []
    assert site is model.get_submodule(paths(name)[0].format(layer))
    hook = adapter.mlp(layer).register_forward_hook(lambda *arguments: outputs.append(arguments[-1]))
    unit = torch.zeros(NEURONS, dtype=torch.float64)
    unit[5] = 1
    for added in (0 * unit, unit):
        logits_with(model, IDS, paths(name)[0].format(layer), lambda a, added=added: a + added)
    hook.remove()
    torch.testing.assert_close((outputs[1] - outputs[0])[0], adapter.w_out(layer)[5].expand(len(IDS), -1))
    assert adapter.w_out(layer).shape == adapter.w_in(layer).shape == (NEURONS, WIDTH)
    assert adapter.neurons == NEURONS


@pytest.mark.parametrize("name", NAMES)
def test_input_weights_give_the_activation(name: str):
    model = in_float64(name)
    adapter = adapter_for(model)
    mlp = adapter.mlp(1)
    x = torch.randn(7, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    seen = []
    hook = adapter.neuron_site(1).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    mlp(x[None])
    hook.remove()
    linear = x @ adapter.w_in(1).T
    if hasattr(mlp, "gate_proj"):
        expected = mlp.act_fn(mlp.gate_proj(x)) * linear
    else:
        first = mlp.c_fc if hasattr(mlp, "c_fc") else mlp.dense_h_to_4h
        expected = mlp.act(linear + first.bias)
    torch.testing.assert_close(seen[0][0], expected)


@pytest.mark.parametrize("name", NAMES)
def test_head_site_takes_the_concatenated_heads(name: str):
    """The slice of a head holds what that head alone computes: it follows that head's value weights."""
    model = in_float64(name)
    adapter = adapter_for(model)
    before = inputs_of(model, IDS, paths(name)[1].format(1))
    assert adapter.head_site(1) is model.get_submodule(paths(name)[1].format(1))
    assert adapter.heads(1) == HEADS
    width = before.shape[1] // HEADS
    attention = model.get_submodule(paths(name)[1].format(1).rsplit(".", 1)[0])
    with torch.no_grad():  # silence the values of the last query head (with grouped queries, of its group)
        if hasattr(attention, "v_proj"):
            attention.v_proj.weight[-width:] = 0
            if attention.v_proj.bias is not None:
                attention.v_proj.bias[-width:] = 0
            silent = slice(-2 * width, None)
        elif hasattr(attention, "c_attn"):
            attention.c_attn.weight[:, -width:] = 0
            attention.c_attn.bias[-width:] = 0
            silent = slice(-width, None)
        else:
            attention.query_key_value.weight[-width:] = 0
            attention.query_key_value.bias[-width:] = 0
            silent = slice(-width, None)
    after = inputs_of(model, IDS, paths(name)[1].format(1))
    assert torch.count_nonzero(after[:, silent]) == 0
    rest = slice(0, before.shape[1] + silent.start)
    torch.testing.assert_close(after[:, rest], before[:, rest])


@pytest.mark.parametrize("name", NAMES)
def test_reachability_is_what_happens(name: str):
    """A head is reachable exactly where ablating it changes the neurons of the target layer."""
    model = in_float64(name)
    adapter = adapter_for(model)
    for target in range(LAYERS):
        clean = inputs_of(model, IDS, paths(name)[0].format(target))
        for layer in range(LAYERS):
            hook = adapter.head_site(layer).register_forward_pre_hook(lambda _, inputs: (inputs[0] * 0,))
            changed = bool((inputs_of(model, IDS, paths(name)[0].format(target)) != clean).any())
            hook.remove()
            assert adapter.reachable(layer, 0, target) is changed
            assert adapter.reachable(layer, -1, target) is changed


def test_every_adapter_is_tested_here():
    served = {config().model_type for config in (CONFIGS | FAMILIES).values()}
    assert served == {model_type for adapter in adapters() for model_type in adapter.model_types}


def test_the_adapter_of_the_documentation_measures_right(monkeypatch: pytest.MonkeyPatch):
    page = (Path(__file__).parents[2] / "docs" / "own-model-family.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    monkeypatch.setattr(neuronull, "adapter", lambda name: lambda family: family)  # not for the whole process
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], names)
    config = transformers.CohereConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=NEURONS, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=2, logit_scale=0.3, pad_token_id=0, eos_token_id=0,
        use_qk_norm=True,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = transformers.CohereForCausalLM(config).eval().requires_grad_(False)
    loaded = replace(tiny("llama"), model=model, adapter=names["CohereAdapter"](model), config=config)
    subject = ModelSubject(loaded, [IDS, IDS[::-1]])
    for check in MODEL_CHECKS.keys() - {"special_tokens", "counts"}:
        with torch.no_grad():
            MODEL_CHECKS[check](subject)


def test_an_unknown_type_names_the_supported_ones_and_the_way_to_add_one():
    with pytest.raises(InputError, match=r"no adapter for model type 'ctrl'.*gpt2, gpt_neo, .*own-model-family"):
        require_adapter("ctrl", "Salesforce/ctrl")
    model = transformers.CTRLLMHeadModel(transformers.CTRLConfig(vocab_size=9, n_embd=8, dff=8, n_layer=1, n_head=2))
    with pytest.raises(InputError):
        adapter_for(model)
