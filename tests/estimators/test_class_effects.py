"""Effects on the whole distribution against naive float64 passes, one position and neuron at a time."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from tiny_models import NEURONS, VOCABULARY, in_float64, inputs_of, panel_of, paths, texts, tiny

from neuronull.data.measurements import EFFECTS, Effects
from neuronull.estimators import class_effects as module
from neuronull.estimators import vocabulary
from neuronull.estimators.class_effects import class_effects
from neuronull.estimators.forward import run_forward
from neuronull.estimators.influence import influence

DOCUMENTS = texts(3, seed=6)
PANEL = panel_of(DOCUMENTS, every=2)
PAIRS = np.bincount(PANEL.document[PANEL.a_rows], minlength=len(DOCUMENTS))
COUNTS = np.random.default_rng(0).zipf(1.3, VOCABULARY).clip(max=10**6) - 1
LAST = 2


def measured(name: str, inflation: float = 6.0, ablation: str = "mean", counts=COUNTS) -> Effects:
    loaded = tiny(name, inflation)
    residual, activation = run_forward(loaded, DOCUMENTS, LAST).scored(PANEL)
    return class_effects(loaded, PANEL, residual, activation, counts, len(DOCUMENTS), ablation=ablation, seed=5)


@functools.cache
def naive(name: str, inflation: float = 6.0, even: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Signed and absolute sums [5, D, 2, N] by definition: residual update, norm, unembedding, softmax."""
    model, (site, _, norm_path) = in_float64(name, inflation), paths(name)
    norm, head = model.get_submodule(norm_path), model.get_output_embeddings()
    centred = isinstance(norm, torch.nn.LayerNorm)
    activations = [inputs_of(model, ids, site.format(LAST)) for ids in DOCUMENTS]
    streams = [inputs_of(model, ids, norm_path) for ids in DOCUMENTS]
    mean = torch.cat([a[PANEL.position[PANEL.document == d]] for d, a in enumerate(activations)]).mean(0)
    w = tiny(name, inflation).adapter.w_out(LAST).double()
    counts = np.ones(VOCABULARY) if even else COUNTS + 1.0
    log_q = torch.from_numpy(np.log(counts / counts.sum()))
    direction = log_q - log_q.mean()
    square = float(direction @ direction)
    out = torch.zeros(2, len(EFFECTS), len(DOCUMENTS), 2, NEURONS, dtype=torch.float64)

    def frozen_norm(x: torch.Tensor, clean: torch.Tensor) -> torch.Tensor:
        centre = (lambda y: y - y.mean()) if centred else (lambda y: y)
        eps = norm.eps if centred else norm.variance_epsilon
        scale = (centre(clean).square().mean() + eps).sqrt()
        return norm.weight * centre(x) / scale + (norm.bias if centred else 0)

    for side, rows in enumerate((PANEL.a_rows, PANEL.b_rows)):
        for row in rows:
            d, t, y = PANEL.document[row], PANEL.position[row], PANEL.target_id[row]
            x = streams[d][t]
            torch.testing.assert_close(frozen_norm(x, x), norm(x))
            logits = head(norm(x))
            before = logits.log_softmax(0)
            for i in range(NEURONS):
                moved = x + (mean[i] - activations[d][t, i]) * w[i]
                ablated = head(norm(moved))
                after = ablated.log_softmax(0)
                direct = head(frozen_norm(moved, x)).log_softmax(0)
                change = ablated - logits
                along = (change @ direction) / square * direction if square > 1e-12 else 0.0
                flat = (logits + change - along).log_softmax(0)
                effects = [
                    before[y] - after[y],
                    -(after.exp() @ after) + before.exp() @ before,
                    after.exp() @ (after - log_q) - before.exp() @ (before - log_q),
                    before[y] - direct[y],
                    before[y] - flat[y],
                ]
                for k, value in enumerate(effects):
                    out[0, k, d, side, i] += value
                    out[1, k, d, side, i] += abs(value)
    return out[0], out[1]


def agree(found: Effects, expected: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A sum over a document's pairs may be off by the contract times their number."""
    pairs = torch.from_numpy(PAIRS)[None, :, None, None]
    for ours, theirs in zip((found.signed, found.absolute), expected, strict=True):
        allowed = 1e-4 * pairs + 1e-3 * expected[1]
        assert bool(((ours - theirs).abs() <= allowed).all()), float((ours - theirs).abs().max())


@pytest.mark.parametrize("inflation", [0.5, 6.0])
@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_all_five_effects_by_definition(name: str, inflation: float):
    expected = naive(name, inflation)
    agree(measured(name, inflation), expected)
    if inflation == 6.0:
        assert all(float(one.max()) > 1 for one in expected[1])
    kinds = expected[0].flatten(1)
    assert all(not torch.allclose(a, b, rtol=0.02) for k, a in enumerate(kinds) for b in kinds[:k])


def test_small_effects_keep_their_digits():
    """Sums of a thousandth of a nat, far below the contract, are right to a thousandth of themselves."""
    found, (expected, size) = measured("gpt2", 2.0), naive("gpt2", 2.0)
    for k in range(len(EFFECTS)):
        typical = float(size[k, ::2].median())
        assert typical < 0.2
        assert float((found.signed[k] - expected[k]).abs().median()) < 1e-3 * typical


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_exponents_too_large_for_a_float32_sum_go_another_way(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module._Form, "_wide", lambda self, clean, tilts: torch.ones_like(tilts.rho, dtype=torch.bool))
    agree(measured(name), naive(name))


def test_blocks_and_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch):
    whole = measured("gpt2")
    monkeypatch.setattr(vocabulary, "VOCABULARY_BLOCK", 16)
    monkeypatch.setattr(vocabulary, "_KEPT_BYTES", 0)
    monkeypatch.setattr(module, "_TILE", 7)
    torch.testing.assert_close(measured("gpt2").signed, whole.signed, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("ablation", ["zero", "resample"])
def test_the_loss_is_that_of_influence(ablation: str):
    loaded = tiny("gpt2")
    residual, activation = run_forward(loaded, DOCUMENTS, LAST).scored(PANEL)
    delta = influence(loaded, DOCUMENTS, PANEL, residual, activation, LAST, ablation=ablation, seed=5).delta_loss
    found = measured("gpt2", ablation=ablation)
    for side, rows in enumerate((PANEL.a_rows, PANEL.b_rows)):
        at = torch.from_numpy(PANEL.document[rows])
        for ours, values in ((found.signed, delta), (found.absolute, delta.abs())):
            expected = torch.zeros(len(DOCUMENTS), NEURONS).index_add_(0, at, values[rows])
            torch.testing.assert_close(ours[0, :, side].float(), expected, rtol=2e-3, atol=1e-3)


def test_without_a_difference_in_frequency_nothing_is_frozen():
    found = measured("gpt2", counts=np.zeros(VOCABULARY, dtype=np.int64))
    torch.testing.assert_close(found.signed[4], found.signed[0], rtol=1e-5, atol=1e-4)
    agree(found, naive("gpt2", even=True))


def test_a_document_without_pairs_has_none():
    found = measured("gpt2")
    assert PAIRS[1] == 0
    assert PAIRS[0] > 0
    assert torch.count_nonzero(found.signed[:, 1]) == 0
