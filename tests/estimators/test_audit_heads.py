"""The audit of head effects: quiet on right ones, loud on wrong ones, wherever they are."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from tiny_models import CONFIGS, HEADS, LAYERS, NEURONS, panel_of, saved, texts, tiny

from neuronull.data.adapters import adapter_for
from neuronull.data.measurements import Heads
from neuronull.data.models import LoadedModel, load_model
from neuronull.estimators import audit as audit_module
from neuronull.estimators import audit_heads as module
from neuronull.estimators.audit import AuditError
from neuronull.estimators.audit_heads import audit_heads
from neuronull.estimators.forward import run_forward
from neuronull.estimators.heads import head_effects
from neuronull.estimators.influence import influence

DOCUMENTS = texts(6, seed=1)
PANEL = panel_of(DOCUMENTS, every=2)
SD = np.linspace(0.5, 2, NEURONS)


def measured(name: str, layer: int = LAYERS - 1, ablation: str = "mean") -> tuple[LoadedModel, Heads]:
    return tiny(name), head_effects(tiny(name), DOCUMENTS, PANEL, layer, SD, ablation=ablation)


@pytest.mark.parametrize("layer", [1, LAYERS - 1])
@pytest.mark.parametrize("name", CONFIGS)
def test_right_effects_pass(name: str, layer: int):
    loaded, heads = measured(name, layer)
    found = audit_heads(loaded, DOCUMENTS, PANEL, layer, SD, heads)
    assert 0 < found.max_abs_error < 1e-4
    assert found.max_tolerance_share < 0.05
    assert found.largest_effect > 0.1
    assert found.method == "full forward pass in float64"
    assert found.n == found.passes * 2 * NEURONS
    assert found.passes >= (layer + 1) * (HEADS + 1)


@pytest.mark.parametrize("ablation", ["zero", "first_token"])
def test_other_replacements_pass_and_are_told_apart(ablation: str):
    loaded, heads = measured("llama", ablation=ablation)
    audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, heads, ablation=ablation)
    with pytest.raises(AuditError):
        audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, heads, ablation="mean")


@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_effects_that_are_wrong_by_a_hundredth_fail(factor: float):
    loaded, heads = measured("gpt2")
    heads.effect.mul_(factor)
    with pytest.raises(AuditError, match=r"(head \d|all heads) in layer \d on document \d is off by .* sd"):
        audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, heads)


def test_effects_that_are_no_numbers_fail():
    loaded, heads = measured("gpt2")
    heads.effect.fill_(torch.nan)
    with pytest.raises(AuditError, match="no effect of a head is a number"):
        audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, heads)
    _, heads = measured("gpt2")
    heads.effect[5, 2, 0, 3] = torch.nan
    with pytest.raises(AuditError, match="is off by nan sd"):
        audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, heads)


def test_one_wrong_layer_fails():
    """Every layer is in the sample, whatever the seed."""
    loaded, heads = measured("gpt_neox")
    heads.effect[torch.from_numpy(heads.layer == LAYERS - 1)] += 0.01  # unreachable: the right effect is 0
    for seed in range(3):
        with pytest.raises(AuditError, match=f"in layer {LAYERS - 1} "):
            audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, heads, seed=seed)


def test_heads_taken_for_one_another_fail():
    loaded, heads = measured("llama")
    exchanged = heads.head.copy()
    exchanged[:HEADS] = np.roll(exchanged[:HEADS], 1)
    with pytest.raises(AuditError):
        audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, replace(heads, head=exchanged))


def test_a_wrong_replacement_fails():
    """The mean is computed anew, not taken from what is audited."""
    loaded = tiny("gpt2")
    half = panel_of(DOCUMENTS[:3])
    heads = head_effects(loaded, DOCUMENTS[:3], half, LAYERS - 1, SD)
    other = panel_of(DOCUMENTS, every=10)  # the same matched positions in document 0, means over more documents
    padded = torch.cat([heads.effect, torch.full((len(heads.effect), 3, 2, NEURONS), torch.nan)], 1)
    with pytest.raises(AuditError):
        audit_heads(loaded, DOCUMENTS, other, LAYERS - 1, SD, replace(heads, effect=padded))


def test_some_neurons_alone():
    loaded, heads = measured("gpt2")
    few = torch.tensor([7, 3, 30])
    part = replace(heads, effect=heads.effect[..., few].contiguous(), neuron=few)
    assert audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, part).max_abs_error < 1e-4


def test_the_sample_holds_the_largest_rows_and_every_layer():
    _, heads = measured("gpt2")
    sample = module._sample(heads, PANEL, 0)
    present = np.unique(PANEL.document[PANEL.a_rows])
    mean = heads.effect[:, present].mean((2, 3)).max(1).values.numpy()
    assert {pair.row for pair in sample[: module.LARGEST]} == set(np.argsort(-mean)[: module.LARGEST].tolist())
    assert {pair.document for pair in sample} <= set(present.tolist())
    drawn = [pair.row for pair in sample[module.LARGEST :]]
    assert set(heads.layer[drawn]) == set(range(LAYERS))
    assert len(set(drawn)) == len(drawn) == min(module.DRAWN, len(heads.layer))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_half_precision_passes_with_its_own_error(name: str, dtype: torch.dtype):
    model = copy.deepcopy(tiny(name, 1.0).model).to(dtype)
    loaded = replace(tiny(name, 1.0), model=model, adapter=adapter_for(model))
    _, activation = run_forward(loaded, DOCUMENTS, LAYERS - 1).scored(PANEL)
    sd = activation.double().std(0).numpy()
    heads = head_effects(loaded, DOCUMENTS, PANEL, LAYERS - 1, sd)
    found = audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, sd, heads)
    assert found.max_abs_error > 1e-3
    assert found.max_tolerance_share < 0.2


def test_a_large_model_is_audited_in_its_own_type(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit_module, "_DOUBLE_PARAMETERS", 0)
    loaded, heads = measured("llama")
    found = audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, heads)
    assert found.method == "full forward pass in float32"
    assert found.max_abs_error < 1e-4


def test_attention_with_float32_written_into_it(tmp_path):
    """GPT-2 with `reorder_and_upcast_attn` and eager attention cannot run in float64 as it is."""
    directory = saved("gpt2", tmp_path / "m")
    config = transformers.GPT2Config.from_pretrained(directory, reorder_and_upcast_attn=True)
    config.save_pretrained(directory)
    loaded = load_model(str(directory), device="cpu", attention="eager")
    assert loaded.model.transformer.h[0].attn.reorder_and_upcast_attn
    forward = run_forward(loaded, DOCUMENTS, LAYERS - 1)
    residual, activation = forward.scored(PANEL)
    found = influence(loaded, DOCUMENTS, PANEL, residual, activation, LAYERS - 1)
    assert found.audit.method == "full forward pass in float64"
    heads = head_effects(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD)
    assert audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, heads).max_abs_error < 1e-4
    _, expected = measured("gpt2")
    torch.testing.assert_close(heads.effect, expected.effect, rtol=1e-3, atol=1e-5, equal_nan=True)
    assert loaded.model.transformer.h[0].attn.reorder_and_upcast_attn
