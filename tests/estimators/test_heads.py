"""Head effects against a loop of whole float64 forward passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_passes import GROUPS, effects_of_heads
from tiny_models import (
    CONFIGS,
    HEADS,
    LAYERS,
    NEURONS,
    in_float64,
    inputs_of,
    panel_of,
    paths,
    texts,
    tiny,
)

from neuronull.data.measurements import Heads
from neuronull.estimators import heads as heads_module
from neuronull.estimators.heads import head_effects
from neuronull.estimators.restart import clean_calls, run_blocks

DOCUMENTS = texts(5, seed=1)
PANEL = panel_of(DOCUMENTS, every=2)
SD = np.linspace(0.5, 2, NEURONS)


def measured(name: str, layer: int = LAYERS - 1, ablation: str = "mean") -> Heads:
    return head_effects(tiny(name), DOCUMENTS, PANEL, layer, SD, ablation=ablation)


def naive(name: str, layer: int, ablation: str) -> np.ndarray:
    return effects_of_heads(name, DOCUMENTS, PANEL, layer, ablation, SD)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_effects_are_those_of_whole_forward_passes(name: str):
    found, expected = measured(name), naive(name, LAYERS - 1, "mean")
    np.testing.assert_allclose(found.effect.numpy(), expected, rtol=2e-3, atol=2e-5)
    assert np.nanmax(expected) > 0.1
    assert found.layer.tolist() == [at for at in range(LAYERS) for _ in GROUPS]
    assert found.head.tolist() == [*range(HEADS), -1] * LAYERS
    assert found.neuron.tolist() == list(range(NEURONS))


@pytest.mark.parametrize("ablation", ["zero", "first_token"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_other_ablations(name: str, ablation: str):
    np.testing.assert_allclose(
        measured(name, ablation=ablation).effect.numpy(), naive(name, LAYERS - 1, ablation), rtol=2e-3, atol=2e-5
    )


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox"])
def test_an_earlier_target_layer(name: str):
    found = measured(name, layer=1)
    np.testing.assert_allclose(found.effect.numpy(), naive(name, 1, "mean"), rtol=2e-3, atol=2e-5)
    assert set(found.layer) == {0, 1}


def test_documents_without_a_matched_pair_are_nan_and_no_others():
    effect = measured("gpt2").effect
    missing = torch.isnan(effect)
    assert missing[:, 1::2].all()
    assert not missing[:, ::2].any()


def test_unreachable_heads_have_exactly_no_effect_and_the_others_have_one():
    parallel = measured("gpt_neox")
    unreachable = parallel.layer == LAYERS - 1
    assert np.array_equal(parallel.reachable, ~unreachable)
    assert torch.count_nonzero(torch.nan_to_num(parallel.effect[unreachable])) == 0
    assert np.nanmin(parallel.effect[~unreachable].numpy().mean(-1)) > 0
    for name in ("gpt_neox sequential", "gpt2", "llama"):
        sequential = measured(name)
        assert sequential.reachable.all()
        assert np.nanmin(sequential.effect.numpy().mean(-1)) > 0


def test_an_unreachable_effect_is_measured_and_not_assigned(monkeypatch: pytest.MonkeyPatch):
    """Where adapter and model disagree, the numbers follow the model."""
    loaded = tiny("gpt_neox sequential")
    monkeypatch.setattr(type(loaded.adapter), "attention_feeds_mlp", lambda self, layer: False)
    found = head_effects(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD)
    wrong = ~found.reachable
    assert wrong.sum() == len(GROUPS)
    assert np.nanmin(found.effect[wrong].numpy().mean(-1)) > 0


def test_first_token_is_the_attention_pattern_on_the_first_token():
    """Recomputed from the weights: a head that attends to token 0 alone writes that token's value vector."""
    model, ids = in_float64("gpt2"), DOCUMENTS[0]
    block = model.transformer.h[1]
    hidden = inputs_of(model, ids, "transformer.h.1.ln_1")
    value = block.attn.c_attn(block.ln_1(hidden))[0, -hidden.shape[1] :]
    torch.testing.assert_close(inputs_of(model, ids, "transformer.h.1.attn.c_proj")[0], value)


def test_a_neuron_that_never_changes_has_effects_in_raw_units():
    sd = SD.copy()
    sd[3] = 0
    found = head_effects(tiny("gpt2"), DOCUMENTS, PANEL, LAYERS - 1, sd).effect
    raw = measured("gpt2").effect[..., 3] * SD[3]
    torch.testing.assert_close(found[..., 3], raw, rtol=1e-5, atol=1e-7, equal_nan=True)


def test_running_out_of_memory_backs_off(monkeypatch: pytest.MonkeyPatch):
    whole = measured("llama").effect
    ablated, sizes = heads_module.ablated_heads, []

    def short_of_memory(output: torch.Tensor, *, batch: list, **keywords) -> torch.Tensor:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return ablated(output, batch=batch, **keywords)

    monkeypatch.setattr(heads_module, "ablated_heads", short_of_memory)
    torch.testing.assert_close(measured("llama").effect, whole, rtol=1e-4, atol=1e-6, equal_nan=True)
    assert max(sizes) == HEADS + 1


def test_the_model_is_left_as_it_was():
    loaded = tiny("gpt2")
    before = [(name, type(module), len(module._forward_pre_hooks)) for name, module in loaded.model.named_modules()]
    measured("gpt2")
    assert before == [(n, type(m), len(m._forward_pre_hooks)) for n, m in loaded.model.named_modules()]
    assert any(kind.__name__ == "NewGELUActivation" for _, kind, _ in before)


@pytest.mark.parametrize("name", list(CONFIGS))
def test_restarting_without_an_ablation_is_the_clean_pass(name: str):
    loaded, (_, _, norm) = tiny(name), paths(name)
    for first in range(LAYERS):
        calls = clean_calls(loaded, DOCUMENTS[0])
        hidden = run_blocks(loaded, calls, first, LAYERS - 1)
        expected = inputs_of(loaded.model, DOCUMENTS[0], norm)
        torch.testing.assert_close(hidden[0], expected, rtol=1e-5, atol=1e-5)
