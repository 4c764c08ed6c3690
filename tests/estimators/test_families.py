"""Every model family beyond the first ones: neurons, sets of them, and heads against naive float64 passes.

The same measurements of GPT-2, GPT-NeoX and the Llama type, more of them, are tested in the tests of each estimator.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_passes import effects_of_heads, increase_by_heads, increase_by_neurons, influence_of_neurons
from tiny_models import FAMILIES, HEADS, LAYERS, panel_of, texts, tiny

from neuronull.data.adapters import adapter_for
from neuronull.data.errors import InputError
from neuronull.estimators.closed_form import ClosedForm
from neuronull.estimators.forward import run_forward
from neuronull.estimators.heads import head_effects
from neuronull.estimators.influence import has_closed_form, influence
from neuronull.estimators.joint import joint_heads, joint_neurons
from neuronull.estimators.readout import fold

DOCUMENTS = texts(2, longest=14)
PANEL = panel_of(DOCUMENTS)
LAST = LAYERS - 1
HEAD_SETS = [[(0, 1)], [(2, 3), (1, 0)], [(1, head) for head in range(HEADS)]]
CAPPED = "gemma2 capped"
AFTER_THE_MLP = ["gemma2", "gemma3_text", "olmo2", "olmo3"]
ALL = pytest.mark.parametrize("name", FAMILIES)


def scored(name: str, layer: int = LAST, inflation: float = 6.0) -> tuple[torch.Tensor, torch.Tensor]:
    return run_forward(tiny(name, inflation), DOCUMENTS, layer).scored(PANEL)


def share_of_contract(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((found.double() - expected).abs() / (1e-4 + 1e-3 * expected.abs())).max())


@ALL
def test_the_adapter_leaves_the_logits_as_they_are(name: str):
    loaded = tiny(name)
    fresh = type(loaded.model)(loaded.config).eval()  # that no adapter has seen
    fresh.load_state_dict(loaded.model.state_dict())
    ids = torch.tensor([DOCUMENTS[0]])
    with torch.no_grad():
        assert torch.equal(fresh(ids).logits, loaded.model(ids).logits)


@ALL
def test_single_neurons(name: str):
    for layer in (LAST, 1):
        found = influence(tiny(name), DOCUMENTS, PANEL, *scored(name, layer), layer)
        expected = influence_of_neurons(name, DOCUMENTS, PANEL, layer, "mean")
        assert float(expected.abs().max()) > 0.4  # the test means something only where neurons move the loss
        assert share_of_contract(found.delta_loss, expected) < 1


@pytest.mark.parametrize("name", AFTER_THE_MLP)
@pytest.mark.parametrize("ablation", ["zero", "resample"])
def test_other_ablations_through_a_norm_after_the_mlp(name: str, ablation: str):
    found = influence(tiny(name), DOCUMENTS, PANEL, *scored(name), LAST, ablation=ablation, seed=5)
    expected = influence_of_neurons(name, DOCUMENTS, PANEL, LAST, ablation)
    assert share_of_contract(found.delta_loss, expected) < 1


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != CAPPED])
def test_small_effects_are_settled_to_second_order(name: str):
    """At an ordinary initialisation nearly all entries go the fast way, a norm after the MLP or not."""
    loaded, (residual, activation) = tiny(name, 0.4), scored(name, inflation=0.4)
    form = ClosedForm(fold(loaded.adapter, LAST))
    target = torch.from_numpy(PANEL.target_id)
    found = form.effects(residual, activation.mean(0) - activation, target, activation)
    assert form.exact_entries < 0.2 * form.entries
    expected = influence_of_neurons(name, DOCUMENTS, PANEL, LAST, "mean", 0.4)
    assert share_of_contract(found, expected) < 1
    assert float((found - expected).abs().median()) < 0.01 * float(expected.abs().median()) + 1e-6


@ALL
def test_sets_of_neurons(name: str):
    size = tiny(name).adapter.neurons
    sets = [np.asarray([3]), np.arange(1, size, 4), np.arange(size)]
    expected = increase_by_neurons(name, DOCUMENTS, PANEL, LAST, "mean", sets)
    assert float(expected.abs().max()) > 1
    found = joint_neurons(tiny(name), DOCUMENTS, PANEL, *scored(name), LAST, sets)
    assert bool(((found.total - expected).abs() <= found.pairs[:, None] * 1e-4 + 1e-3 * expected.abs()).all())


@ALL
def test_single_heads(name: str):
    sd = np.linspace(0.5, 2, tiny(name).adapter.neurons)
    found = head_effects(tiny(name), DOCUMENTS, PANEL, LAST, sd)
    expected = effects_of_heads(name, DOCUMENTS, PANEL, LAST, "mean", sd)
    np.testing.assert_allclose(found.effect.numpy(), expected, rtol=2e-3, atol=2e-5)
    assert expected.max() > 0.1
    unreachable = found.effect[~found.reachable]
    assert torch.count_nonzero(unreachable) == 0
    assert (found.effect[found.reachable].amax((1, 2, 3)) > 0).all()


@ALL
def test_sets_of_heads(name: str):
    expected = increase_by_heads(name, DOCUMENTS, PANEL, "mean", HEAD_SETS)
    assert float(expected.abs().max()) > 0.3
    found = joint_heads(tiny(name), DOCUMENTS, PANEL, HEAD_SETS)
    assert bool(((found.total - expected).abs() <= found.pairs[:, None] * 1e-4 + 1e-3 * expected.abs()).all())


def test_capped_logits_have_no_closed_form():
    assert not has_closed_form(tiny(CAPPED).adapter, LAST)
    assert all(has_closed_form(tiny(name).adapter, LAST) for name in FAMILIES if name != CAPPED)


def test_half_precision_is_audited_through_a_norm_after_the_mlp():
    from dataclasses import replace

    for name in ("olmo2", "granite"):
        model = tiny(name).model.__class__(tiny(name).config).to(torch.bfloat16).eval().requires_grad_(False)
        model.load_state_dict(tiny(name).model.state_dict())
        loaded = replace(tiny(name), model=model, adapter=adapter_for(model))
        forward = run_forward(loaded, DOCUMENTS, LAST)
        found = influence(loaded, DOCUMENTS, PANEL, *forward.scored(PANEL), LAST)
        assert found.audit.method == "last norm and unembedding in float64"


def test_falcon_does_not_add_its_positions_twice():
    config = FAMILIES["falcon alibi"]()
    config._attn_implementation = "eager"
    with pytest.raises(InputError, match=r"adds positions twice.*give --attention sdpa"):
        adapter_for(type(tiny("falcon alibi").model)(config))


@pytest.mark.parametrize(
    ("name", "flag", "value"),
    [
        ("opt", "do_layer_norm_before", False),
        ("bloom", "slow_but_exact", True),
        ("gemma3_text", "use_bidirectional_attention", True),
    ],
)
def test_what_cannot_be_followed_is_refused_by_its_name(name: str, flag: str, value: bool):
    config = FAMILIES[name]()
    setattr(config, flag, value)
    model = type(tiny(name).model)(config)
    with pytest.raises(InputError, match=f"{flag}={str(value).lower()} cannot be measured"):
        adapter_for(model)
