"""Joint ablation of sets against naive float64 forward passes with hooks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from naive_passes import increase_by_heads, increase_by_neurons
from tiny_models import (
    CONFIGS,
    HEADS,
    LAYERS,
    NEURONS,
    panel_of,
    texts,
    tiny,
)

from neuronull.estimators import joint, vocabulary
from neuronull.estimators import joint_neurons as joint_work
from neuronull.estimators.forward import run_forward
from neuronull.estimators.influence import influence
from neuronull.estimators.joint import JointIncrease, joint_heads, joint_neurons

DOCUMENTS = texts(5, seed=2)
PANEL = panel_of(DOCUMENTS, every=2)
RANDOM = np.random.default_rng(4)
SETS = [
    *(np.sort(RANDOM.choice(NEURONS, size, replace=False)) for size in (1, 3, 8, 8, 20)),
    np.arange(NEURONS),  # more members than the stream is wide
    np.empty(0, dtype=np.int64),
]
HEAD_SETS = [
    [(0, 1)],
    [(2, 3), (1, 0)],
    [(1, head) for head in range(HEADS)],
    [(2, 2)],
    [(at, head) for at in range(LAYERS) for head in range(HEADS)],
    [(0, 0), (2, 0), (0, 3)],
]


def neurons(name: str, layer: int = LAYERS - 1, ablation: str = "mean", sets=SETS) -> JointIncrease:
    loaded = tiny(name)
    residual, activation = run_forward(loaded, DOCUMENTS, layer).scored(PANEL)
    return joint_neurons(
        loaded, DOCUMENTS, PANEL, residual, activation, layer, sets, ablation=ablation, seed=5, progress=None
    )


def naive_neurons(name: str, layer: int, ablation: str) -> torch.Tensor:
    return increase_by_neurons(name, DOCUMENTS, PANEL, layer, ablation, SETS)


def within_the_contract(found: JointIncrease, expected: torch.Tensor) -> bool:
    """A sum over pairs of a document may be off by the contract times their number."""
    allowed = found.pairs[:, None] * 1e-4 + 1e-3 * expected.abs()
    return bool(((found.total - expected).abs() <= allowed + 1e-12).all())


@pytest.mark.parametrize("ablation", ["mean", "zero"])
@pytest.mark.parametrize("name", list(CONFIGS))
def test_sets_of_last_layer_neurons_against_naive_float64(name: str, ablation: str):
    found, expected = neurons(name, ablation=ablation), naive_neurons(name, LAYERS - 1, ablation)
    assert float(expected.abs().max()) > 3
    assert within_the_contract(found, expected)
    assert found.total.shape == (len(SETS), len(DOCUMENTS), 2)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_sets_of_an_earlier_layer_against_naive_float64(name: str):
    expected = naive_neurons(name, 1, "mean")
    assert float(expected.abs().max()) > 1
    assert within_the_contract(neurons(name, layer=1), expected)


@pytest.mark.parametrize("ablation", ["mean", "zero", "first_token"])
@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_sets_of_heads_against_naive_float64(name: str, ablation: str):
    expected = increase_by_heads(name, DOCUMENTS, PANEL, ablation, HEAD_SETS)
    assert float(expected.abs().max()) > 1
    found = joint_heads(tiny(name), DOCUMENTS, PANEL, HEAD_SETS, ablation=ablation)
    assert within_the_contract(found, expected)


@pytest.mark.parametrize("layer", [1, LAYERS - 1])
def test_a_set_of_one_is_that_neurons_influence(layer: int):
    loaded = tiny("gpt2")
    residual, activation = run_forward(loaded, DOCUMENTS, layer).scored(PANEL)
    for ablation in ("mean", "resample"):
        delta = influence(loaded, DOCUMENTS, PANEL, residual, activation, layer, ablation=ablation, seed=5).delta_loss
        found = neurons("gpt2", layer, ablation, sets=np.arange(NEURONS)[:, None])
        for side, rows in enumerate((PANEL.a_rows, PANEL.b_rows)):
            expected = torch.zeros(len(DOCUMENTS), NEURONS).index_add_(
                0, torch.from_numpy(PANEL.document[rows]), delta[rows]
            )
            torch.testing.assert_close(found.total[:, :, side].T.float(), expected, rtol=2e-3, atol=1e-3)


def test_means_are_sums_over_pairs_and_nan_without_any():
    found = neurons("gpt2")
    assert torch.isnan(found.mean[:, 1::2]).all()
    assert not torch.isnan(found.mean[:, ::2]).any()
    torch.testing.assert_close(found.mean[2, 0] * found.pairs[0], found.total[2, 0])
    assert float(found.total[-1].abs().max()) < 1e-5  # nobody ablated: rounding is all that changed
    assert torch.count_nonzero(found.total[:, 1::2]) == 0


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_blocks_batches_and_both_ways_round_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch):
    whole = neurons(name).total
    monkeypatch.setattr(vocabulary, "VOCABULARY_BLOCK", 16)
    monkeypatch.setattr(joint_work, "_SET_FLOATS", 1)
    torch.testing.assert_close(neurons(name).total, whole, rtol=1e-5, atol=1e-4)
    monkeypatch.setattr(vocabulary, "_KEPT_BYTES", 0)  # through the stream, as where u is too large to keep
    torch.testing.assert_close(neurons(name).total, whole, rtol=1e-5, atol=1e-4)
    monkeypatch.setattr(joint_work, "_compiled_log_sum", _by_tensors)
    torch.testing.assert_close(neurons(name).total, whole, rtol=1e-5, atol=1e-4)


def _by_tensors(log_p, z, eps, rho, out) -> None:
    out[:] = torch.from_numpy(log_p + eps + rho[:, None] * z).double().logsumexp(1).numpy()


def test_running_out_of_memory_backs_off(monkeypatch: pytest.MonkeyPatch):
    whole, heads = neurons("llama", layer=1).total, joint_heads(tiny("llama"), DOCUMENTS, PANEL, HEAD_SETS).total
    losses_after, sizes = joint.losses_after, []

    def short_of_memory(loaded, hidden, target):
        sizes.append(len(hidden))
        if len(hidden) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses_after(loaded, hidden, target)

    for module in (joint, joint_work):  # heads, and neurons
        monkeypatch.setattr(module, "losses_after", short_of_memory)
    torch.testing.assert_close(neurons("llama", layer=1).total, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        joint_heads(tiny("llama"), DOCUMENTS, PANEL, HEAD_SETS).total, heads, rtol=1e-4, atol=1e-5
    )
    assert max(sizes) > 3


@pytest.mark.parametrize("bad", [[0, 0], [NEURONS], [-1]])
def test_a_set_that_is_none_is_refused(bad: list[int]):
    with pytest.raises(ValueError, match="each once"):
        neurons("gpt2", sets=[bad])


@pytest.mark.parametrize("bad", [[], [(0, 0), (0, 0)], [(0, HEADS)], [(LAYERS, 0)]])
def test_a_set_of_heads_that_is_none_is_refused(bad: list):
    with pytest.raises(ValueError, match="each once"):
        joint_heads(tiny("gpt2"), DOCUMENTS, PANEL, [bad])
