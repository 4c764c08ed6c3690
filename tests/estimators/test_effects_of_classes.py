"""Effects on whole distributions from options to measurements: the round trip, the cache, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import LAYERS, VOCABULARY, options_of

from neuronull.data.errors import InputError
from neuronull.data.measurements import EFFECTS, Measurements
from neuronull.data.options import MeasureOptions
from neuronull.data.store import load, save
from neuronull.estimators import effects as module
from neuronull.estimators.effects import measure_effects
from neuronull.estimators.measure import measure


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> MeasureOptions:
    return options_of("gpt2", tmp_path_factory.mktemp("effects"))


@pytest.fixture(scope="module")
def measured(options: MeasureOptions) -> Measurements:
    return measure(options, cache=False)


@pytest.fixture(scope="module")
def found(options: MeasureOptions, measured: Measurements) -> Measurements:
    return measure_effects(options, measured)


def test_the_loss_is_that_of_the_first_round(measured: Measurements, found: Measurements):
    """Documents, classes and neurons stand where format 1 has them: sums of delta_loss by a loop."""
    panel, shape = measured.panel, (measured.n_documents, 2, measured.n_neurons)
    signed, absolute = np.zeros(shape), np.zeros(shape)
    for side, rows in enumerate((panel.a_rows, panel.b_rows)):
        for row in rows:
            change = measured.delta_loss[row].double().numpy()
            signed[panel.document[row], side] += change
            absolute[panel.document[row], side] += np.abs(change)
    assert found.effects.signed.shape == (len(EFFECTS), *shape)
    np.testing.assert_allclose(found.effects.signed[0].numpy(), signed, rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(found.effects.absolute[0].numpy(), absolute, rtol=2e-3, atol=1e-3)
    assert absolute.max() > 0.1, "an ablation that does nothing tests nothing"


def test_the_rest_stays_and_all_of_it_comes_back(measured: Measurements, found: Measurements, tmp_path: Path):
    assert measured.effects is None
    assert found.delta_loss is measured.delta_loss
    save(found, tmp_path / "m")
    again = load(tmp_path / "m").effects
    assert torch.equal(again.signed, found.effects.signed)
    assert torch.equal(again.absolute, found.effects.absolute)


def test_they_are_not_measured_twice(options, measured, found, monkeypatch):
    monkeypatch.setattr(module, "_measured", lambda *a: pytest.fail("measured again"))
    assert torch.equal(measure_effects(options, measured).effects.signed, found.effects.signed)


def test_a_layer_before_the_last_has_none(options):
    earlier = replace(options, layer=LAYERS - 2)
    measured = measure(earlier, cache=False)
    assert measure_effects(earlier, measured, cache=False).effects is None


def test_another_model_or_other_counts_are_refused(options, measured, tmp_path: Path):
    with pytest.raises(InputError, match="the model has changed since it was measured"):
        measure_effects(replace(options, random_init=True), measured, cache=False)
    np.save(tmp_path / "counts.npy", np.arange(VOCABULARY))
    with pytest.raises(InputError, match="the counts have changed"):
        measure_effects(replace(options, counts=str(tmp_path / "counts.npy")), measured, cache=False)


@pytest.mark.parametrize(("family", "why"), [("olmo2", "a norm follows"), ("gemma2 capped", "caps its logits")])
def test_a_model_of_which_they_cannot_be_measured_is_told(family: str, why: str, tmp_path: Path):
    options = options_of(family, tmp_path, inflation=1.5)
    measured = measure(options, cache=False)
    found = measure_effects(options, measured, cache=False)
    assert found.effects is None
    assert why in found.manifest.extra("warnings")[-1]
    assert found.delta_loss is measured.delta_loss
