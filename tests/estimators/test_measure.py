"""From options to measurements, end to end on tiny models."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import HEADS, LAYERS, NEURONS, VOCABULARY, options_of

from neuronull.data import shards as shards_module
from neuronull.data.errors import InputError, MissingInput
from neuronull.data.measurements import Measurements
from neuronull.data.models import load_model
from neuronull.data.options import MeasureOptions, Silent
from neuronull.data.store import load, save
from neuronull.estimators import influence as influence_module
from neuronull.estimators import measure_heads as measure_heads_module
from neuronull.estimators.audit import AuditError
from neuronull.estimators.closed_form import ClosedForm
from neuronull.estimators.measure import measure, resolve_layer
from neuronull.estimators.measure_heads import measure_heads
from neuronull.estimators.neurons import covariates
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
    paired = np.unique(measured.panel.document[measured.panel.a_rows]).tolist()
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


def test_texts_are_kept_of_the_model_that_is_reported_alone(options: MeasureOptions, measured: Measurements):
    """The control with weights drawn anew is told in its verdicts; nobody reads who its neurons are."""
    read = {token for ids in measured.documents["input_ids"] for token in ids}
    assert read <= set(measured.tokens["token"])
    assert len(measured.promoted.raised) == NEURONS
    control = measure(replace(options, random_init=True), cache=False)
    assert control.tokens is None
    assert control.promoted is None


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


def given(folder: Path, content: dict, name: str = "conditions.json") -> str:
    (folder / name).write_text(json.dumps(content))
    return str(folder / name)


LISTED = {"a": {"name": "even", "tokens": [f"w{i}" for i in range(2, 40, 2)]},
          "b": {"name": "odd", "token_ids": list(range(1, 41, 2))}}  # fmt: skip


@pytest.fixture(scope="module")
def by_tokens(options: MeasureOptions, folder: Path) -> Measurements:
    return measure(replace(options, conditions=given(folder, LISTED), threshold=MeasureOptions.threshold), cache=False)


def test_conditions_of_a_file(by_tokens: Measurements):
    panel, manifest = by_tokens.panel, by_tokens.manifest
    target = panel.target_id
    expected = [(1 if i % 2 == 0 else 0) if i < 40 else -1 for i in target.tolist()]
    assert panel.label.tolist() == expected
    assert (manifest.threshold, manifest.elbow_rank) == (None, None)
    assert (by_tokens.conditions.a.name, by_tokens.conditions.b.phrase) == ("even", "odd")
    assert manifest.conditions.rule == "the target token is one of 19 listed token types, against 20"
    assert len(panel.a_rows) > 100


def test_conditions_by_position_are_the_same_panel(options: MeasureOptions, by_tokens: Measurements, folder: Path):
    panel = by_tokens.panel
    listed = {
        key: {
            "name": name,
            "positions": np.stack([panel.document, panel.position], 1)[panel.label == label].tolist(),
        }
        for key, name, label in (("a", "even", 1), ("b", "odd", 0))
    }
    listed["a"]["positions"].append([0, 1])  # not scored
    placed = replace(options, conditions=given(folder, listed, "places.json"), threshold=MeasureOptions.threshold)
    found = measure(placed, cache=False)
    for name, values in vars(panel).items():
        np.testing.assert_array_equal(getattr(found.panel, name), values)
    assert torch.equal(found.delta_loss, by_tokens.delta_loss)
    assert found.manifest.extra("warnings")[-1].startswith("1 listed positions are not scored: ")
    listed["a"]["positions"].append([24, 5])
    with pytest.raises(InputError, match="document 24 is not there: 24 documents were taken"):
        measure(replace(placed, conditions=given(folder, listed, "beyond.json")), cache=False)
    assert len(measure(replace(placed, documents=20, random_init=True), cache=False).panel) < len(panel)


def test_the_cache_knows_conditions_by_content(options: MeasureOptions, folder: Path, monkeypatch, tmp_path: Path):
    from neuronull.estimators import measure as module

    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path))
    base = replace(options, threshold=MeasureOptions.threshold)
    first = measure(replace(base, conditions=given(folder, LISTED)))
    monkeypatch.setattr(module, "run_forward", None)  # no second forward pass
    again = measure(replace(base, conditions=given(folder, LISTED, "renamed.json")))
    assert (again.manifest, again.panel.label.tolist()) == (first.manifest, first.panel.label.tolist())
    assert torch.equal(again.delta_loss, first.delta_loss)
    renamed = LISTED | {"rule": "another rule"}
    with pytest.raises(TypeError):
        measure(replace(base, conditions=given(folder, renamed)))


def test_what_tokens_forbid_is_refused_before_the_model_runs(options: MeasureOptions, folder: Path, monkeypatch):
    from neuronull.estimators import measure as module

    monkeypatch.setattr(module, "run_forward", None)
    says = r"^only \d+ documents have positions of rare .*, or --threshold 0?\.\d+$"
    with pytest.raises(InputError, match=says) as caught:
        measure(replace(options, threshold=0.99), cache=False)
    works = float(str(caught.value).split()[-1])
    with pytest.raises(TypeError):  # the forward pass is reached
        measure(replace(options, threshold=works), cache=False)
    few = {"a": {"name": "one word", "tokens": ["w66"]}}
    with pytest.raises(InputError, match=r"positions of one word and of other tokens.* or more tokens in --conditions"):
        measure(replace(options, threshold=0.15, conditions=given(folder, few)), cache=False)


def test_a_file_is_read_before_the_model_is_loaded(options: MeasureOptions, folder: Path):
    base = replace(options, model="nowhere", threshold=0.15)
    with pytest.raises(InputError, match="there is no condition a"):
        measure(replace(base, conditions=given(folder, {})), cache=False)


def test_options_that_decide_who_is_rare_do_not_go_with_a_file(options: MeasureOptions, folder: Path):
    path = given(folder, LISTED)
    with pytest.raises(InputError, match=r"--threshold has no say where conditions.json lists the conditions"):
        replace(options, conditions=path)
    with pytest.raises(InputError, match=r"--elbow has no say"):
        replace(options, conditions=path, threshold=0.15, elbow=True)
    with pytest.raises(InputError, match=r"no such file or directory: nowhere.json \(--conditions\)"):
        replace(options, conditions="nowhere.json", threshold=0.15)


def test_padding_moves_no_class(options: MeasureOptions, folder: Path):
    """A tokenizer that gives 60 of the 67 embedded ids: the threshold is a share of 60."""
    import shutil

    model = shutil.copytree(options.model, folder / "padded")
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {word: i for word, i in tokenizer["model"]["vocab"].items() if i < 60}
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    texts = json.loads((folder / "corpus.json").read_text())
    (folder / "short.json").write_text(json.dumps([" ".join(w for w in t.split() if int(w[1:]) < 60) for t in texts]))
    found = measure(replace(options, model=str(model), corpus=str(folder / "short.json"), context=24), cache=False)
    np.testing.assert_array_equal(found.panel.label == 1, found.panel.target_id > 0.35 * 60)  # ids are ranks
    assert found.manifest.vocabulary == VOCABULARY
    assert found.manifest.conditions.rule.endswith("beyond 35 % of the tokenizer's 60 token types")
    loaded = load_model(str(model), device="cpu")
    counts = np.load(folder / "counts.npy")
    for rows, alike in ((np.arange(VOCABULARY) < 60, True), (None, False)):  # nor do these rows count in a direction
        expected = covariates(loaded.adapter, LAYERS - 1, found.activation, counts, rows)
        assert found.neurons["token_frequency_share"].equals(expected["token_frequency_share"]) == alike


def test_without_counts_the_whole_corpus_and_its_types_decide(options: MeasureOptions, folder: Path):
    """Documents that were not taken, and the ends that were cut, are counted too."""
    texts = json.loads((folder / "corpus.json").read_text())
    seen = [" ".join(word for word in text.split() if int(word[1:]) < 61) for text in texts]
    more = [*seen, *["w50 w51 " * 30] * 5]
    (folder / "more.json").write_text(json.dumps(more))
    base = replace(options, counts=None, corpus=str(folder / "more.json"), context=24, threshold=0.2)
    found = measure(base, cache=False)
    words = [int(word[1:]) for text in more for word in text.split()]
    counts = np.bincount(words, minlength=VOCABULARY)
    order = sorted(range(VOCABULARY), key=lambda i: (-counts[i], i))
    rank = {token: place for place, token in enumerate(order)}
    assert found.panel.target_rank.tolist() == [rank[i] for i in found.panel.target_id.tolist()]
    types = len(set(words))
    assert types < 62
    np.testing.assert_array_equal(found.panel.label == 1, found.panel.target_rank > 0.2 * types)
    assert f"a share of the {types} token types" in found.manifest.extra("warnings")[-1]
    fewer = measure(replace(base, documents=20), cache=False)
    assert fewer.manifest.counts_hash == found.manifest.counts_hash


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


class SmallTiles(ClosedForm):
    """The closed form, twenty positions at a time."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.tile = 20


class CutOff(Silent):
    """Progress under which a run dies in the middle of a stage, and which says what was told of the others."""

    def __init__(self, stage: str, after: int) -> None:
        self.dies, self.after, self.told = stage, after, []

    @contextmanager
    def stage(self, name: str, total: int):
        self.told.append(name)
        self.left = self.after if name == self.dies else -1
        yield self

    def advance(self, steps: int = 1) -> None:
        self.left -= steps
        if -steps < self.left <= 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("layer", ["last", 1])
@pytest.mark.parametrize(("stage", "after"), [("influence", 1), ("influence", 150), ("heads", 1), ("heads", 11)])
def test_a_run_that_was_cut_off_goes_on_and_measures_the_same(
    options: MeasureOptions, tmp_path: Path, monkeypatch, layer: int | str, stage: str, after: int
):
    options = replace(options, layer=layer)
    monkeypatch.setattr(influence_module, "ClosedForm", SmallTiles)
    undisturbed = measure_heads(options, measure(options, cache=False), cache=False)
    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path))
    monkeypatch.setattr(shards_module, "SECONDS", 0.0)
    dies = CutOff(stage, after)
    with pytest.raises(KeyboardInterrupt):
        measure_heads(options, measure(options, dies), dies)
    assert list((tmp_path / "shards").rglob("*.shard"))
    again = CutOff("", 0)
    assert same(measure_heads(options, measure(options, again), again), undisturbed)
    assert any(name.startswith(f"{stage} (") and "done before" in name for name in again.told)
    assert list((tmp_path / "shards").iterdir()) == []
