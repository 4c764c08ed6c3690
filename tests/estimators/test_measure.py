"""From options to measurements, end to end on tiny models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import HEADS, LAYERS, NEURONS, VOCABULARY, options_of

from neuronull.data.errors import InputError
from neuronull.data.measurements import Measurements
from neuronull.data.options import MeasureOptions
from neuronull.data.store import load, save
from neuronull.estimators.measure import measure, resolve_layer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("measure")


@pytest.fixture(scope="module")
def options(folder: Path) -> MeasureOptions:
    return replace(options_of("gpt_neox", folder, "tiny-neox", seed=0, inflation=1.5), seed=3)


@pytest.fixture(scope="module")
def measured(options: MeasureOptions) -> Measurements:
    return measure(options, cache=False)


def same(a: Measurements, b: Measurements) -> bool:
    tensors = all(
        torch.equal(getattr(a, name), getattr(b, name))
        for name in ("delta_loss", "activation", "mean", "w_in", "w_out")
    )
    effects = torch.equal(a.heads.effect.nan_to_num(-1), b.heads.effect.nan_to_num(-1))
    return tensors and effects and a.neurons.equals(b.neurons) and a.manifest == b.manifest


def test_everything_is_there(measured: Measurements, options: MeasureOptions):
    total = len(measured.panel)
    assert measured.n_documents == 24
    assert measured.delta_loss.shape == measured.activation.shape == (total, NEURONS)
    assert measured.heads.effect.shape == (LAYERS * (HEADS + 1), 24, 2, NEURONS)
    assert len(measured.neurons) == NEURONS
    manifest = measured.manifest
    assert manifest.model.id == "tiny-neox"
    assert (manifest.architecture, manifest.layer, manifest.vocabulary) == ("gpt_neox", LAYERS - 1, VOCABULARY)
    assert manifest.audit.n > 100
    assert manifest.extra("counts_source") == "counts.npy"
    assert str(options.model) not in manifest.model_dump_json()  # no path: equal runs elsewhere give equal results


def test_the_panel_holds_the_models_losses(measured: Measurements):
    assert measured.panel.loss.std() > 0
    np.testing.assert_allclose(measured.mean, measured.activation.double().mean(0), atol=1e-6)
    special = 0  # the tokenizer's end-of-text token
    assert special not in measured.panel.input_id
    assert special not in measured.panel.target_id
    assert measured.panel.position.min() == 3


def test_the_batch_changes_no_bit(options: MeasureOptions, measured: Measurements):
    for batch in (1, 5):
        assert same(measure(replace(options, batch=batch), cache=False), measured)


def test_the_cache_gives_back_the_same(options: MeasureOptions, measured: Measurements, monkeypatch, tmp_path: Path):
    from neuronull.estimators import measure as module

    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path))
    first = measure(options)
    assert same(first, measured)
    monkeypatch.setattr(module, "run_forward", None)  # no second forward pass
    assert same(measure(options), measured)
    with pytest.raises(TypeError):
        measure(replace(options, seed=4))


def test_it_survives_the_disk(measured: Measurements, tmp_path: Path):
    save(measured, tmp_path / "m")
    assert same(load(tmp_path / "m"), measured)


def test_unreachable_heads_are_marked_and_zero(measured: Measurements):
    heads = measured.heads
    assert np.array_equal(heads.reachable, heads.layer < LAYERS - 1)
    assert torch.count_nonzero(heads.effect[torch.from_numpy(~heads.reachable)].nan_to_num(0)) == 0


@pytest.mark.parametrize(
    "change", [{"ablation": "zero"}, {"ablation": "resample"}, {"layer": 1}, {"random_init": True}]
)
def test_other_options(options: MeasureOptions, measured: Measurements, change: dict):
    found = measure(replace(options, **change), cache=False)
    assert not torch.equal(found.delta_loss[: len(measured.panel)], measured.delta_loss[: len(found.panel)])
    assert found.manifest.audit.max_contract_share < 1


def test_progress_is_told(options: MeasureOptions):
    from contextlib import contextmanager

    class Told:
        stages: dict[str, list[int]] = {}  # noqa: RUF012

        @contextmanager
        def stage(self, name, total):
            self.stages[name] = [total, 0]
            self.now = name
            yield self

        def advance(self, steps=1):
            self.stages[self.now][1] += steps

    told = Told()
    measure(options, told, cache=False)
    assert {"model", "corpus", "forward pass", "influence", "audit", "heads"} <= set(told.stages)
    assert all(done == total for name, (total, done) in told.stages.items() if name not in ("model", "corpus"))


def test_layers():
    assert resolve_layer("last", 4) == 3
    assert resolve_layer(0, 4) == 0
    with pytest.raises(InputError, match=r"no layer 4 .*give 0 to 3"):
        resolve_layer(4, 4)


def test_a_context_that_the_model_cannot_read(options: MeasureOptions):
    with pytest.raises(InputError, match="reads at most 64 tokens"):
        measure(replace(options, context=65), cache=False)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_for_the_last_layer(options: MeasureOptions, dtype: str):
    with pytest.raises(InputError, match=rf"smaller than what {dtype} rounds off \(--dtype\); use float32"):
        measure(replace(options, layer=1, dtype=dtype), cache=False)
    assert measure(replace(options, dtype=dtype), cache=False).manifest.dtype == dtype


def test_a_tokenizer_of_another_model(options: MeasureOptions, folder: Path):
    import shutil

    other = shutil.copytree(options.model, folder / "mixed-up")
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {word: i + 1 for word, i in tokenizer["model"]["vocab"].items()}
    tokenizer["added_tokens"] = []
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(InputError, match="gives token id 67, the model has 67 tokens"):
        measure(replace(options, model=str(other)), cache=False)


def test_tokens_that_tokenizer_json_marks_special_are_not_scored(
    options: MeasureOptions, measured: Measurements, folder: Path, monkeypatch, tmp_path: Path
):
    """Chat tokens are marked, but are neither bos, eos nor pad; the cache tells the two tokenizers apart."""
    import shutil

    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path))
    marked = shutil.copytree(options.model, folder / "marked" / Path(options.model).name)
    assert 2 in measured.panel.target_id
    first = measure(options)
    tokenizer = json.loads((marked / "tokenizer.json").read_text())
    flags = dict.fromkeys(("lstrip", "rstrip", "normalized"), False) | {"single_word": True}  # not the w2 of w20
    tokenizer["added_tokens"].append({"id": 2, "content": "w2", "special": True} | flags)
    (marked / "tokenizer.json").write_text(json.dumps(tokenizer))
    second = measure(replace(options, model=str(marked)))
    assert second.manifest.corpus.hash == first.manifest.corpus.hash
    assert second.manifest.model == first.manifest.model
    kept = (first.panel.input_id != 2) & (first.panel.target_id != 2)
    assert second.panel.target_id.tolist() == first.panel.target_id[kept].tolist()
    assert 2 not in second.panel.input_id
