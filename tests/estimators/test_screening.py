"""Screening by gradients: against finite differences in float64, and against the exact restart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from tiny_models import (
    CONFIGS,
    LAYERS,
    NEURONS,
    in_float64,
    logits_with,
    losses,
    panel_of,
    paths,
    texts,
    tiny,
)

from neuronull.estimators import screening
from neuronull.estimators.forward import run_forward
from neuronull.estimators.influence import influence
from neuronull.estimators.screening import Screened, screened_influence

DOCUMENTS = texts(5, seed=1)
PANEL = panel_of(DOCUMENTS)
STEP, COARSE = (1e-5, 1e-4), (3e-3, 3e-3)
"""Step of a finite difference, as a share of the ablation, and what it may be off by, as a share of the largest slope.
The norms of the second kind compute in float32 whatever the model's type, so small steps drown in their rounding."""


def scored(name: str, layer: int, inflation: float = 6.0) -> tuple[torch.Tensor, torch.Tensor]:
    return run_forward(tiny(name, inflation), DOCUMENTS, layer).scored(PANEL)


def screened(name: str, layer: int = 0, inflation: float = 6.0, **options) -> Screened:
    activation = scored(name, layer, inflation)[1]
    return screened_influence(tiny(name, inflation), DOCUMENTS, PANEL, activation, layer, **options)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("layer", [0, LAYERS - 1])
def test_the_approximation_is_the_slope_of_the_loss(name, layer):
    """The loss in float64, moved a little of the way to the ablation and as far the other way."""
    step, share = STEP if name.startswith("gpt") else COARSE
    found, model, site = screened(name, layer).approximate, in_float64(name), paths(name)[0].format(layer)
    activation = scored(name, layer)[1].double()
    change = activation.mean(0) - activation
    for d in (0, 3):
        rows = PANEL.document == d
        at = torch.from_numpy(PANEL.position[rows])
        for neuron in (0, NEURONS // 2, NEURONS - 1):

            def moved(by, at=at, rows=rows, neuron=neuron, d=d):
                def move(values):
                    values = values.clone()
                    values[0, at, neuron] += by * change[torch.from_numpy(rows), neuron]
                    return values

                return losses(logits_with(model, DOCUMENTS[d], site, move), DOCUMENTS[d])[at]

            # of fourth order
            slope = (8 * (moved(step) - moved(-step)) - moved(2 * step) + moved(-2 * step)) / (12 * step)
            expected = found[torch.from_numpy(rows), neuron].double()
            torch.testing.assert_close(expected, slope, rtol=1e-3, atol=share * float(slope.abs().max()))


@pytest.mark.parametrize("name", CONFIGS)
def test_verified_neurons_are_exact(name):
    found = screened(name, audit=5)
    exact = influence(tiny(name), DOCUMENTS, PANEL, *scored(name, 0), 0).delta_loss[:, found.neuron]
    torch.testing.assert_close(found.exact, exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_the_reported_correlation_is_that_with_the_exact_restart_and_high(name):
    found = screened(name, inflation=3.0, audit=NEURONS)
    assert found.neuron.tolist() == list(range(NEURONS))

    def level(effects: torch.Tensor) -> np.ndarray:
        parts = []
        for half in (0, 1):
            for matched in (PANEL.a_rows, PANEL.b_rows):
                parts.append(effects[matched[PANEL.half[matched] == half]].abs().double().numpy().mean(0))
        return np.mean(parts, axis=0)

    assert found.rank_correlation == pytest.approx(spearmanr(level(found.approximate), level(found.exact)).statistic)
    assert found.rank_correlation > 0.9


def test_the_tops_of_each_half_and_class_are_verified_and_the_sample_is_by_seed():
    found, other = screened("gpt2", share=0.1, audit=4), screened("gpt2", share=0.1, audit=4, seed=1)
    size = round(0.1 * NEURONS)
    tops = set()
    for half in (0, 1):
        for matched in (PANEL.a_rows, PANEL.b_rows):
            level = found.approximate[matched[PANEL.half[matched] == half]].abs().double().mean(0)
            tops |= set(level.argsort(descending=True)[:size].tolist())
    assert set(found.neuron[found.selected].tolist()) == tops
    assert set(other.neuron[other.selected].tolist()) == tops
    assert len(found.neuron) <= len(tops) + 4
    assert set(found.neuron.tolist()) != set(other.neuron.tolist())


def test_tiles_change_no_number_beyond_rounding(monkeypatch: pytest.MonkeyPatch):
    whole = screened("gpt2", audit=4).approximate
    monkeypatch.setattr(screening, "GRADIENT_FLOATS", 1)
    torch.testing.assert_close(screened("gpt2", audit=4).approximate, whole, rtol=1e-4, atol=1e-5)
