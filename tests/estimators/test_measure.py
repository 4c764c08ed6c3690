"""From options to measurements, end to end on tiny models."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import HEADS, LAYERS, NEURONS, VOCABULARY, options_of

from neuronull.data.errors import InputError, MissingInput
from neuronull.data.measurements import Measurements
from neuronull.data.options import MeasureOptions
from neuronull.data.store import load, save
from neuronull.estimators import measure_heads as measure_heads_module
from neuronull.estimators.audit import AuditError
from neuronull.estimators.measure import measure, resolve_layer
from neuronull.estimators.measure_heads import measure_heads
from neuronull.hypotheses.prepared import PreparedData


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("measure")


@pytest.fixture(scope="module")
def options(folder: Path) -> MeasureOptions:
    return replace(options_of("gpt_neox", folder, "tiny-neox", seed=0, inflation=1.5), seed=3)


@pytest.fixture(scope="module")
def measured(options: MeasureOptions) -> Measurements:
    return whole(options)


def whole(options: MeasureOptions, progress=None, cache: bool = False) -> Measurements:
    """Neurons and heads."""
    return measure_heads(options, measure(options, progress, cache), progress, cache)


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
        assert same(whole(replace(options, batch=batch)), measured)


def test_the_cache_gives_back_the_same(options: MeasureOptions, measured: Measurements, monkeypatch, tmp_path: Path):
    from neuronull.estimators import measure as module

    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path))
    first = whole(options, cache=True)
    assert same(first, measured)
    monkeypatch.setattr(module, "run_forward", None)  # no second forward pass
    monkeypatch.setattr(measure_heads_module, "head_effects", None)
    assert same(whole(options, cache=True), measured)
    with pytest.raises(TypeError):
        measure(replace(options, seed=4))


def test_what_the_cache_holds_of_heads_needs_no_model(options: MeasureOptions, monkeypatch, tmp_path: Path):
    from neuronull.estimators import measure as module

    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path))
    neurons = measure(options)
    first = measure_heads(options, neurons)
    monkeypatch.setattr(module, "load_model", None)
    assert same(measure_heads(options, neurons), first)


def test_heads_are_a_round_of_their_own(options: MeasureOptions, measured: Measurements, monkeypatch):
    neurons = measure(options, cache=False)
    assert neurons.heads is None
    assert neurons.manifest.extra("audit_heads") is None
    assert neurons.manifest.extra("head_ablation") is None
    assert neurons.neurons.equals(measured.neurons)
    assert measured.manifest.extra("head_ablation") == "mean"
    audit = measured.manifest.extra("audit_heads")
    assert audit["n"] == audit["passes"] * 2 * NEURONS
    assert 0 < audit["max_abs_error"] < 1e-4
    assert audit["method"] == "full forward pass in float64"
    with pytest.raises(ValueError, match="measure the neurons first"):
        measure_heads(options, replace(neurons, neurons=None), cache=False)


def test_heads_of_another_model_are_refused(options: MeasureOptions, measured: Measurements):
    with pytest.raises(InputError, match="the model has changed since it was measured"):
        measure_heads(replace(options, random_init=True), measured, cache=False)


@pytest.mark.parametrize(("heads", "layers"), [("last:2", [1, 2]), ("0", [0]), ("2,0,2", [0, 2]), ("last:9", None)])
@pytest.mark.parametrize("head_documents", [None, 7])
def test_a_part_of_the_heads_is_the_same_to_the_bit(
    options: MeasureOptions, measured: Measurements, heads: str, layers: list[int] | None, head_documents: int | None
):
    found = measure_heads(replace(options, heads=heads, head_documents=head_documents), measured, cache=False)
    part = found.manifest.partial_heads
    if layers is None and head_documents is None:
        assert part is None
        assert same(found, measured)
        return
    assert part.layers == (layers or [0, 1, 2])
    assert found.heads.layer.tolist() == [at for at in part.layers for _ in range(HEADS + 1)]
    rows = np.isin(measured.heads.layer, part.layers)
    assert torch.equal(
        found.heads.effect[:, part.documents], measured.heads.effect[torch.from_numpy(rows)][:, part.documents]
    )
    paired = np.unique(measured.panel.document[measured.panel.rare_rows]).tolist()
    assert len(part.documents) == (head_documents or len(paired))
    assert set(part.documents) <= set(paired)
    assert torch.isnan(found.heads.effect[:, np.setdiff1d(np.arange(24), part.documents)]).all()
    assert found.manifest.extra("audit_heads")["max_tolerance_share"] < 1


def test_documents_of_a_part_are_from_both_halves_and_nested(options: MeasureOptions, measured: Measurements):
    panel, chosen = measured.panel, []
    for count in range(2, 9):
        part = measure_heads_module.asked_part(replace(options, head_documents=count), panel, LAYERS - 1)
        halves = [int(panel.half[panel.document == document][0]) for document in part.documents]
        assert abs(halves.count(0) - halves.count(1)) <= 1
        assert len(part.documents) == len(set(part.documents)) == count
        chosen.append(set(part.documents))
    assert all(fewer < more for fewer, more in pairwise(chosen))


def test_what_was_not_measured_is_said(options: MeasureOptions, measured: Measurements, tmp_path: Path):
    found = measure_heads(replace(options, heads="last:1", head_documents=5), measured, cache=False)
    save(found, tmp_path / "m")
    again = load(tmp_path / "m")
    assert again.manifest.partial_heads == found.manifest.partial_heads
    with pytest.raises(MissingInput, match=r"measured in part only: layers 2, 5 documents .*leave out --heads"):
        _ = PreparedData(again).heads
    whole_says = measured.manifest.model_copy(update={"heads_measured": None})
    with pytest.raises(InputError, match="has a matched pair but not all is finite"):
        save(replace(found, manifest=whole_says), tmp_path / "other")
    wrong = found.manifest.model_copy(update={"heads_measured": {"layers": "all"}})
    with pytest.raises(InputError, match="heads_measured is not layers and documents"):
        save(replace(found, manifest=wrong), tmp_path / "other")


def test_heads_that_are_not_there(options: MeasureOptions, measured: Measurements):
    for wrong in ("first", "last:0", "last:", "1,", "-1", "1;2", "", "\u0663"):
        with pytest.raises(InputError, match=r"names no heads \(--heads\); give all, last:N"):
            replace(options, heads=wrong)
    with pytest.raises(InputError, match=r"1 is out of range \(--head-documents\)"):
        replace(options, head_documents=1)
    with pytest.raises(InputError, match=r"layer 3 come after the neurons of layer 2 \(--heads 0,3\); give"):
        measure_heads(replace(options, heads="0,3"), measured, cache=False)


def test_how_many_heads_are_asked_for_leaves_the_neurons_in_the_cache(options: MeasureOptions, monkeypatch, tmp_path):
    from neuronull.estimators import measure as module

    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path))
    measure(options)
    monkeypatch.setattr(module, "run_forward", None)
    assert measure(replace(options, heads="last:1", head_documents=9)).heads is None


def test_wrong_head_effects_end_the_run(options: MeasureOptions, monkeypatch):
    right = measure_heads_module.head_effects

    def wrong(*arguments, **keywords):
        heads = right(*arguments, **keywords)
        heads.effect.mul_(1.02)
        return heads

    monkeypatch.setattr(measure_heads_module, "head_effects", wrong)
    with pytest.raises(AuditError, match=r"off by .* sd, .* sd is allowed \(naive pass: .* float64\)"):
        whole(options)


def test_the_implementation_of_attention_is_told_and_in_the_key(options: MeasureOptions, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path))
    sdpa, eager = (whole(replace(options, attention=a), cache=True) for a in ("sdpa", "eager"))
    assert [m.manifest.extra("attention") for m in (sdpa, eager)] == ["sdpa", "eager"]
    torch.testing.assert_close(sdpa.heads.effect, eager.heads.effect, rtol=1e-3, atol=1e-4, equal_nan=True)
    assert len(list((tmp_path / "measurements").iterdir())) == 4


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
    whole(options, told)
    assert {"model", "corpus", "forward pass", "influence", "audit", "heads", "head audit"} <= set(told.stages)
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
