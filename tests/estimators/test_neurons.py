"""Covariates against numpy and scipy, straight from the definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from tiny_models import LAYERS, NEURONS, VOCABULARY, tiny

from neuronull.estimators.neurons import COLUMNS, PROMOTED, covariates, promoted_tokens

RNG = np.random.default_rng(0)
ACTIVATION = np.concatenate([RNG.standard_t(3, (5000, NEURONS - 1)), np.full((5000, 1), 0.7)], axis=1).astype("f4")
COUNTS = RNG.integers(0, 10_000, VOCABULARY) * (RNG.random(VOCABULARY) > 0.2)


def final_norm_gain(model) -> np.ndarray:
    return (model.transformer.ln_f if hasattr(model, "transformer") else model.model.norm).weight.numpy()


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_definitions(name: str):
    loaded = tiny(name)
    found = covariates(loaded.adapter, LAYERS - 1, torch.from_numpy(ACTIVATION), COUNTS)
    a = ACTIVATION.astype("f8")
    block = loaded.model.transformer.h[-1].mlp.c_proj.weight if name == "gpt2" else loaded.model.model.layers[-1]
    w = block.numpy() if name == "gpt2" else block.mlp.down_proj.weight.numpy().T
    w_u = loaded.model.lm_head.weight.numpy() * final_norm_gain(loaded.model)
    assert list(found.columns) == list(COLUMNS)
    np.testing.assert_allclose(found["mean_abs"], np.abs(a).mean(0))
    np.testing.assert_allclose(found["sd"], a.std(0), atol=1e-12)
    np.testing.assert_allclose(found["kurtosis"][:-1], stats.kurtosis(a[:, :-1], fisher=False))
    np.testing.assert_allclose(found["sparsity"], (np.abs(a) < a.std(0) / 10).mean(0))
    np.testing.assert_allclose(found["w_out_norm"], np.linalg.norm(w, axis=1), rtol=1e-5)
    _, _, right = np.linalg.svd(w_u.astype("f8"))
    weak = np.linalg.norm(w @ right[-1:].T, axis=1) / np.linalg.norm(w, axis=1)  # 5 % of 24 directions: one
    np.testing.assert_allclose(found["weak_direction_share"], weak, rtol=1e-5, atol=1e-7)
    effect, log_p = w @ w_u.T, np.log(COUNTS + 1) - np.log(COUNTS + 1).mean()
    cosine = np.abs(effect @ log_p) / np.linalg.norm(effect, axis=1) / np.linalg.norm(log_p)
    np.testing.assert_allclose(found["token_frequency_share"], cosine, rtol=1e-5)


def test_a_neuron_that_never_changes():
    row = covariates(tiny("gpt2").adapter, 0, torch.from_numpy(ACTIVATION), COUNTS).iloc[-1]
    assert np.isfinite(row).all()
    assert row["kurtosis"] == 0
    assert row["sd"] == pytest.approx(0, abs=1e-12)


def test_equal_counts_have_no_direction():
    found = covariates(tiny("gpt2").adapter, 0, torch.from_numpy(ACTIVATION), np.full(VOCABULARY, 7))
    assert (found["token_frequency_share"] == 0).all()


def test_rows_that_pad_an_embedding_have_no_say():
    """With padding taken out by hand, the same; the last ids stand for rows that no tokenizer gives."""
    adapter = tiny("llama").adapter
    given = np.arange(VOCABULARY) < VOCABULARY - 17
    found = covariates(adapter, LAYERS - 1, torch.from_numpy(ACTIVATION), COUNTS, given)
    unembedding = (adapter.unembedding()[0] * adapter.final_norm().gain).double().numpy()[:-17]
    w_out = adapter.w_out(LAYERS - 1).double().numpy()
    log_p = np.log(COUNTS[:-17] + 1.0)
    effect = w_out @ unembedding.T
    cosine = effect @ (log_p - log_p.mean()) / np.linalg.norm(effect, axis=1) / np.linalg.norm(log_p - log_p.mean())
    np.testing.assert_allclose(found["token_frequency_share"], np.abs(cosine), rtol=1e-9)
    _, _, directions = np.linalg.svd(unembedding)
    weak = max(1, round(0.05 * w_out.shape[1]))
    share = np.linalg.norm(w_out @ directions[-weak:].T, axis=1) / np.linalg.norm(w_out, axis=1)
    np.testing.assert_allclose(found["weak_direction_share"], share, rtol=1e-6)
    whole = covariates(adapter, LAYERS - 1, torch.from_numpy(ACTIVATION), COUNTS)
    assert (whole["token_frequency_share"] - found["token_frequency_share"]).abs().max() > 0.01
    same = covariates(adapter, LAYERS - 1, torch.from_numpy(ACTIVATION), COUNTS, np.ones(VOCABULARY, dtype=bool))
    assert same.equals(whole)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_promoted_tokens_are_those_whose_logits_move_most(name: str):
    """Against the model's own last norm at frozen scale: a step of one neuron's output weights on the stream."""
    loaded = tiny(name)
    norm = loaded.model.transformer.ln_f if name == "gpt2" else loaded.model.model.norm
    if name == "gpt2":
        w = loaded.model.transformer.h[-1].mlp.c_proj.weight.double()
    else:
        w = loaded.model.model.layers[-1].mlp.down_proj.weight.T.double()
    given = np.arange(VOCABULARY) % 5 != 0  # every fifth row is padding
    found = promoted_tokens(loaded.adapter, LAYERS - 1, given)
    for neuron in range(NEURONS):
        step = w[neuron] - w[neuron].mean() if name == "gpt2" else w[neuron]
        logits = (loaded.model.lm_head.weight.double() @ (step * norm.weight.double())).detach().numpy()
        order = [token for token in np.argsort(-logits) if given[token]]
        assert found.raised[neuron].tolist() == order[:PROMOTED]
        assert found.lowered[neuron].tolist() == order[::-1][:PROMOTED]
