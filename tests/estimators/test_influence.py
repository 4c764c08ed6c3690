"""Influence against naive float64 forward passes, for every architecture and ablation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_passes import influence_of_neurons
from tiny_models import (
    CONFIGS,
    LAYERS,
    NEURONS,
    in_float64,
    losses,
    panel_of,
    texts,
    tiny,
)

from neuronull.data.errors import InputError
from neuronull.estimators import audit as audit_module
from neuronull.estimators import influence as influence_module
from neuronull.estimators.ablation import draw_donors, make_ablation
from neuronull.estimators.audit import AuditError, audit
from neuronull.estimators.closed_form import ClosedForm
from neuronull.estimators.forward import Forward, run_forward
from neuronull.estimators.influence import influence

DOCUMENTS = texts()
PANEL = panel_of(DOCUMENTS)


def measured(name: str, layer: int = LAYERS - 1, ablation: str = "mean", inflation: float = 6.0):
    loaded = tiny(name, inflation)
    forward = run_forward(loaded, DOCUMENTS, layer)
    residual, activation = forward.scored(PANEL)
    return influence(loaded, DOCUMENTS, PANEL, residual, activation, layer, ablation=ablation, seed=5)


def naive(name: str, layer: int, ablation: str, inflation: float = 6.0) -> torch.Tensor:
    return influence_of_neurons(name, DOCUMENTS, PANEL, layer, ablation, inflation)


def share_of_contract(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((found.double() - expected).abs() / (1e-4 + 1e-3 * expected.abs())).max())


@pytest.mark.parametrize("ablation", ["mean", "zero", "resample"])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_last_layer_is_within_the_contract_of_naive_float64(name: str, ablation: str):
    expected = naive(name, LAYERS - 1, ablation)
    found = measured(name, ablation=ablation)
    assert float(expected.abs().max()) > 1  # the test means something only where neurons move the loss by nats
    assert share_of_contract(found.delta_loss, expected) < 1
    assert float((found.delta_loss - expected).abs().median()) < 0.01 * float(expected.abs().median())
    assert found.delta_loss.dtype == torch.float32


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_small_effects_are_settled_to_second_order_and_within_the_contract(name: str):
    """At an ordinary initialisation nearly all entries go the fast way."""
    loaded = tiny(name, 0.5)
    forward = run_forward(loaded, DOCUMENTS, LAYERS - 1)
    residual, activation = forward.scored(PANEL)
    form = ClosedForm(influence_module.fold(loaded.adapter, LAYERS - 1))
    found = form.effects(residual, activation.mean(0) - activation, torch.from_numpy(PANEL.target_id))
    assert form.exact_entries < 0.2 * form.entries
    assert share_of_contract(found, naive(name, LAYERS - 1, "mean", 0.5)) < 1


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama", "mistral"])
@pytest.mark.parametrize("ablation", ["mean", "resample"])
def test_an_earlier_layer_is_within_the_contract_of_naive_float64(name: str, ablation: str):
    expected = naive(name, 1, ablation)
    found = measured(name, layer=1, ablation=ablation)
    assert float(expected.abs().max()) > 0.5
    assert share_of_contract(found.delta_loss, expected) < 1


def test_the_audit_is_reported():
    audited = measured("gpt2").audit
    assert audited.n > 60
    assert 0 < audited.max_abs_error < 1e-2
    assert audited.max_contract_share < 1
    assert audited.median_error < 0.01 * audited.median_influence
    assert "float64" in audited.method


@pytest.mark.parametrize("layer", [1, LAYERS - 1])
def test_the_audit_finds_a_wrong_entry_among_the_largest(layer: int):
    loaded, (forward, found, replaced) = tiny("gpt2"), audit_inputs(layer)
    largest = int(found.abs().argmax())
    found.view(-1)[largest] *= 1.01
    with pytest.raises(AuditError, match="the contract allows"):
        audit(loaded, DOCUMENTS, PANEL, *forward, found, replaced, layer, 0)


def test_the_audit_finds_small_errors_everywhere():
    """5e-5 nats are within the contract of every entry, but not of their median."""
    loaded, (forward, found, replaced) = tiny("gpt2", 0.5), audit_inputs(LAYERS - 1, 0.5)
    audit(loaded, DOCUMENTS, PANEL, *forward, found, replaced, LAYERS - 1, 0)
    with pytest.raises(AuditError, match="median"):
        audit(loaded, DOCUMENTS, PANEL, *forward, found + 5e-5, replaced, LAYERS - 1, 0)


def audit_inputs(layer: int, inflation: float = 6.0):
    loaded = tiny("gpt2", inflation)
    forward = run_forward(loaded, DOCUMENTS, layer)
    scored = forward.scored(PANEL)
    replaced = make_ablation("mean", scored[1], PANEL, 0)
    found = influence(loaded, DOCUMENTS, PANEL, *scored, layer, seed=5).delta_loss
    return scored, found, replaced


def test_half_precision_is_audited_from_its_own_residual_stream(monkeypatch: pytest.MonkeyPatch):
    from dataclasses import replace

    from neuronull.data.adapters import adapter_for

    model = in_float64("llama").to(torch.bfloat16)
    loaded = replace(tiny("llama"), model=model, adapter=adapter_for(model))
    forward = run_forward(loaded, DOCUMENTS, LAYERS - 1)
    found = influence(loaded, DOCUMENTS, PANEL, *forward.scored(PANEL), LAYERS - 1)
    assert found.audit.method == "last norm and unembedding in float64"
    assert found.delta_loss.dtype == torch.float32


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_running_out_of_memory_changes_no_number_beyond_rounding(name: str, monkeypatch: pytest.MonkeyPatch):
    whole = measured(name).delta_loss
    effects = ClosedForm.effects
    sizes = []

    def short_of_memory(self, residual, change, target, activation):
        sizes.append(len(target))
        if len(target) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return effects(self, residual, change, target, activation)

    monkeypatch.setattr(ClosedForm, "effects", short_of_memory)
    torch.testing.assert_close(measured(name).delta_loss, whole, rtol=1e-4, atol=2e-6)
    assert max(sizes) > 20 >= sizes[-1]


def test_no_memory_at_all_is_one_clear_line(monkeypatch: pytest.MonkeyPatch):
    def no_memory(self, *arguments):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate ...")

    monkeypatch.setattr(ClosedForm, "effects", no_memory)
    with pytest.raises(InputError, match="out of memory with one position at a time"):
        measured("gpt2")


def test_other_errors_are_not_taken_for_lack_of_memory(monkeypatch: pytest.MonkeyPatch):
    def broken(self, *arguments):
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(ClosedForm, "effects", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        measured("gpt2")


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_the_batch_changes_no_bit_of_the_forward_pass(name: str):
    def run(batch: int | None) -> Forward:
        return run_forward(tiny(name), DOCUMENTS, LAYERS - 1, batch=batch)

    one, four, default = run(1), run(4), run(None)
    for other in (four, default):
        assert torch.equal(one.residual, other.residual)
        assert torch.equal(one.activation, other.activation)
        assert all(np.array_equal(a, b) for a, b in zip(one.losses, other.losses, strict=True))


def test_losses_are_those_of_the_plain_model():
    forward, model = run_forward(tiny("llama"), DOCUMENTS, 0), in_float64("llama")
    for ids, found in zip(DOCUMENTS, forward.losses, strict=True):
        expected = losses(model(torch.tensor([ids])).logits[0], ids)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_donors_come_from_other_documents_uniformly():
    document = np.repeat([0, 1, 2], [2, 5, 3])
    draws = np.stack([draw_donors(document, seed) for seed in range(3000)])
    assert not np.any(document[draws] == document)
    counts = np.bincount(draws[:, 0], minlength=10)  # row 0 draws from rows 2 to 9
    assert counts[:2].sum() == 0
    assert counts[2:].min() > 3000 / 8 - 5 * np.sqrt(3000 / 8)  # fails about once in 10^6
    one = draw_donors(np.zeros(5, dtype=np.int64), 0)
    assert not np.any(one == np.arange(5))


def test_the_sample_of_the_audit_holds_the_largest_entries():
    rng = np.random.default_rng(1)
    delta = torch.from_numpy(rng.standard_normal((len(PANEL), NEURONS))).float()
    for last in (True, False):
        sampled = {
            (int(row), int(neuron))
            for one in audit_module._plan(PANEL, delta, last, 0)
            for row, neuron in zip(one.rows, one.neuron, strict=True)
        }
        order = np.argsort(-delta.abs().numpy().ravel())[: audit_module.LARGEST]
        assert {divmod(int(flat), NEURONS) for flat in order} <= sampled


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_a_cuda_device_gives_the_same(name: str):
    import copy
    from dataclasses import replace

    from neuronull.data.adapters import adapter_for

    model = copy.deepcopy(tiny(name).model).cuda()
    loaded = replace(tiny(name), model=model, adapter=adapter_for(model))
    forward = run_forward(loaded, DOCUMENTS, LAYERS - 1)
    found = influence(loaded, DOCUMENTS, PANEL, *forward.scored(PANEL), LAYERS - 1, seed=5)
    torch.testing.assert_close(found.delta_loss, measured(name).delta_loss, rtol=1e-3, atol=1e-5)
