"""The embedded corpus and models: what ships must be what the records say, and the models must have learned."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from neuronull.data.docstrings import Docstring, drop_near_duplicates, shingles, text_hash
from neuronull.data.embedded import embedded_checkpoints, embedded_model_path, embedded_models
from neuronull.data.embedded.corpus import EmbeddedCorpus, corpus_record, held_out_documents
from neuronull.data.errors import InputError
from neuronull.data.training import build as build_module
from neuronull.data.training import train as train_module
from neuronull.data.training.build import training_documents
from neuronull.data.training.held_out import (
    MAX_SEEN,
    MIN_TOKENS,
    MOST,
    attribution,
    choose,
    licence_texts,
    order_key,
    wheels,
)
from neuronull.data.training.pins import Pin, read_pins
from neuronull.data.training.train import Settings, fresh_model, mean_loss, sequences, train, unigram_loss

EMBEDDED = Path(__file__).resolve().parents[2] / "data" / "embedded"
NAMES = ("docs-gpt2", "docs-pythia")


@pytest.fixture(scope="module")
def corpus() -> EmbeddedCorpus:
    return held_out_documents()


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Two threads that wait for each other on a crowded machine are many times slower than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- the corpus


def test_the_text_is_the_recorded_one(corpus: EmbeddedCorpus) -> None:
    held_out = corpus_record()["held_out"]
    body = gzip.decompress((EMBEDDED / "documents.jsonl.gz").read_bytes())
    assert hashlib.sha256(body).hexdigest() == held_out["sha256"]
    assert len(corpus.documents) == len(corpus.packages) == held_out["documents"] >= 1000
    counted = {package: entry["documents"] for package, entry in held_out["packages"].items()}
    assert Counter(corpus.packages) == counted
    assert max(counted.values()) <= MOST


def test_any_first_documents_mix_at_least_30_packages_evenly(corpus: EmbeddedCorpus) -> None:
    for first in range(60, len(corpus.packages) + 1):
        shares = Counter(corpus.packages[:first])
        assert len(shares) >= 30
        assert max(shares.values()) <= 0.05 * first


def test_no_document_is_short_or_near_another_or_out_of_order(corpus: EmbeddedCorpus) -> None:
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_path("docs-gpt2"))
    assert min(len(tokenizer(text).input_ids) for _, text in corpus.documents) >= MIN_TOKENS
    by_package: dict[str, list[Docstring]] = {}
    by_turn: dict[int, list[Docstring]] = {}
    for package, (name, text) in zip(corpus.packages, corpus.documents, strict=True):
        own = by_package.setdefault(package, [])
        own.append(Docstring(package, "", name, text, text_hash(text)))
        by_turn.setdefault(len(own), []).append(own[-1])
    for documents in (*by_package.values(), *by_turn.values()):
        assert documents == sorted(documents, key=order_key)
    pins = [pin.package for pin in read_pins()]
    in_order = [document for package in pins for document in by_package[package]]
    assert drop_near_duplicates(in_order, max_seen_share=MAX_SEEN) == in_order


def test_held_out_packages_are_pinned_under_permissive_licences_and_not_trained_on() -> None:
    record = corpus_record()
    pins = {pin.package: {"version": pin.version, "licence": pin.licence} for pin in read_pins()}
    recorded = record["held_out"]["packages"]
    assert {p: {k: entry[k] for k in ("version", "licence")} for p, entry in recorded.items()} == pins
    for name in NAMES:  # what each model says of its own training, and what the corpus says of it
        assert record_of(name)["corpus"]["training"]["packages"] == record["training"]["packages"]
        assert record_of(name)["corpus"]["training"]["stream_sha256"] == record["training"]["stream_sha256"]
    assert not set(pins) & set(record["training"]["packages"])
    told = (EMBEDDED / "licences.txt").read_text(encoding="utf-8")
    assert [p for p, pin in pins.items() if f"\n{p} {pin['version']} ({pin['licence']})\n" not in told] == []


def test_a_pin_without_a_hash_or_under_the_gpl_is_refused(tmp_path: Path) -> None:
    good = f"toy==1.0 --hash=sha256:{'0' * 64}  # MIT"
    (tmp_path / "pins.txt").write_text(f"# said\n{good}\n")
    assert read_pins(tmp_path / "pins.txt") == [Pin("toy", "1.0", "0" * 64, "MIT")]
    for bad in (good.replace("MIT", "GPL-3.0-only"), good[:-6], "toy==1.0  # MIT"):
        (tmp_path / "pins.txt").write_text(bad + "\n")
        with pytest.raises(ValueError, match="no pin of a wheel under a permissive licence: toy"):
            read_pins(tmp_path / "pins.txt")


def words(tag: str) -> str:
    return " ".join(f"{tag}{'abcdefghij'[i % 10]}{'abcdefghij'[i // 10]}" for i in range(60))


def documents_of(package: str, texts: dict[str, str]) -> list[Docstring]:
    return [Docstring(package, "1", name, text, text_hash(text)) for name, text in texts.items()]


def test_training_text_keeps_away_from_what_is_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "apart": {"a.shared": words("s"), "a.part": words("m")[:120]},
        "fit": {"f.leak": words("s") + " and more", "f.own": words("f"), "f.again": words("f"), "f.mixed": words("m")},
    }
    monkeypatch.setattr(build_module, "harvest", lambda package: documents_of(package, texts[package]))
    training, versions, seen = training_documents(["fit"], ["apart"])
    assert [d.name for d in training] == ["f.own"]  # f.leak repeats a.shared, f.mixed holds a fifth of a.part
    assert versions == {"fit": "1"}
    assert seen == shingles(words("f"))


def test_packages_take_turns_and_nothing_near_training_text_is_held_out() -> None:
    found = {
        "many": documents_of("many", {f"many.{c}": words(c) for c in "abcdefgh"}),
        "few": documents_of("few", {"few.p": words("p"), "few.q": words("q"), "few.short": "too short"}),
        "near": documents_of("near", {"near.trained": words("t")[:180] + " " + words("u"), "near.copy": words("p")}),
    }
    seen = set(shingles(words("t")))
    chosen = choose(found, seen, lambda text: 200 if len(text) > 100 else 3, most=4)
    assert [d.package for d in chosen[4:]] == ["many", "many"]
    assert sorted(d.package for d in chosen[:2]) == sorted(d.package for d in chosen[2:4]) == ["few", "many"]
    of_many = [d for d in chosen if d.package == "many"]
    assert of_many == sorted(found["many"], key=order_key)[:4]
    assert {d.name for d in chosen} - {d.name for d in of_many} == {"few.p", "few.q"}


def wheel(directory: Path, files: dict[str, str]) -> Path:
    path = directory / "toy-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return path


def test_licences_are_those_of_the_package_itself(tmp_path: Path) -> None:
    info = "toy-1.0.dist-info"
    files = {
        f"{info}/licenses/LICENSE-BSD.txt": "BSD\r\n",
        f"{info}/NOTICE": "noticed",
        f"{info}/licenses/vendored/LICENSE": "of another",
        f"{info}/METADATA": "License: BSD",
        "toy/licenses.py": "code",
    }
    assert licence_texts(wheel(tmp_path, files)) == ["noticed", "BSD"]
    with pytest.raises(ValueError, match=r"toy-1\.0-py3-none-any\.whl holds no licence"):
        licence_texts(wheel(tmp_path, {f"{info}/METADATA": "License: BSD"}))
    pins = [Pin("toy", "1.0", "", "MIT"), Pin("other", "2.0", "", "MIT")]
    told = attribution(pins, {"toy": ["same"], "other": ["same", "more"]})
    assert told.count("\nsame\n") == 1
    assert "\ntoy 1.0 (MIT)\nother 2.0 (MIT)\n" in told


def test_another_wheel_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    path = wheel(tmp_path, {"toy.py": ""})
    pin = Pin("toy", "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), "MIT")
    assert wheels(tmp_path, [pin]) == {"toy": path}
    with pytest.raises(ValueError, match=r"lacks the pinned wheels of other==1\.0$"):
        wheels(tmp_path, [pin, Pin("other", "1.0", "0" * 64, "MIT")])


# --- the models


def test_unknown_and_missing_models_get_one_line() -> None:
    with pytest.raises(InputError, match="no embedded model 'docs-gtp2'; choose one of docs-gpt2, docs-pythia"):
        embedded_model_path("docs-gtp2")


def test_both_models_are_there_and_under_40_megabytes() -> None:
    assert tuple(embedded_models()) == NAMES
    weights = [file for path in embedded_models().values() for file in path.rglob("*.safetensors")]
    assert sum(file.stat().st_size for file in weights) < 40e6


def record_of(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((embedded_model_path(name) / "training.json").read_text())
    return record


def load(name: str) -> tuple[Any, Any]:
    path = embedded_model_path(name)
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32), AutoTokenizer.from_pretrained(path)


@pytest.mark.parametrize("name", NAMES)
def test_model_has_learned(name: str, corpus: EmbeddedCorpus) -> None:
    model, tokenizer = load(name)
    with np.load(embedded_model_path(name) / "counts.npz") as archive:
        counts = archive["counts"]
    documents = [tokenizer(text, truncation=True, max_length=256).input_ids for _, text in corpus.documents[60:72]]
    assert mean_loss(model, documents) < unigram_loss(counts, documents) - 2
    record = record_of(name)
    assert record["held_out_loss"] < record["held_out_unigram_loss"] - 2
    assert record["reloaded"]["held_out_loss"] == pytest.approx(record["held_out_loss"], abs=1e-3)
    assert record["tokens"] >= 4_000_000


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_of_what_was_trained_on(name: str) -> None:
    with np.load(embedded_model_path(name) / "counts.npz") as archive:
        counts = archive["counts"]
    assert counts.dtype == np.int64
    assert counts.shape == (6144,)
    assert counts.sum() == record_of(name)["tokens"]


@pytest.mark.parametrize("name", NAMES)
def test_tokenizer_is_lossless_and_adds_nothing(name: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_path(name))
    text = "Fit the model.\n\n    alpha : float, optional\n\tnaïve 統計 λ\u00a0≥ 0"
    ids = tokenizer(text).input_ids
    assert len(tokenizer) == 6144
    assert tokenizer.decode(ids) == text
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == 0
    assert 0 not in ids


def test_checkpoints_are_log_spaced_and_improve(corpus: EmbeddedCorpus) -> None:
    from safetensors.torch import load_file

    model, tokenizer = load("docs-pythia")
    documents = [tokenizer(text, truncation=True, max_length=256).input_ids for _, text in corpus.documents[:5]]
    final = mean_loss(model, documents)
    checkpoints = embedded_checkpoints("docs-pythia")
    record = record_of("docs-pythia")
    assert list(checkpoints) == record["checkpoint_steps"]
    np.testing.assert_allclose(np.diff(np.log(list(checkpoints))), np.log(4), atol=0.05)
    losses = []
    for path in checkpoints.values():
        model.load_state_dict(load_file(path), strict=False)
        losses.append(mean_loss(model, documents))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] > final
    assert embedded_checkpoints("docs-gpt2") == {}


@pytest.mark.parametrize("name", NAMES)
def test_step_0_can_be_remade_and_the_global_generator_is_left_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    first, again, other = fresh_model(name, 0), fresh_model(name, 0), fresh_model(name, 1)
    assert torch.equal(before, torch.random.get_rng_state())
    embedding = [model.get_input_embeddings().weight for model in (first, again, other)]
    assert torch.equal(embedding[0], embedding[1])
    assert not torch.equal(embedding[0], embedding[2])
    trained = AutoModelForCausalLM.from_pretrained(embedded_model_path(name), dtype=torch.float32)
    assert {k: v.shape for k, v in trained.state_dict().items()} == {k: v.shape for k, v in first.state_dict().items()}


# --- the training script


def test_sequences_pass_over_the_whole_stream_and_are_reproducible() -> None:
    stream = np.arange(256 * 8 + 255, dtype=np.uint16)
    source = sequences(stream, seed=3)
    drawn = [next(source) for _ in range(16)]
    first_pass = np.sort(np.concatenate(drawn[:8]))
    assert (np.diff(first_pass) == 1).all()
    again = sequences(stream, seed=3)
    np.testing.assert_array_equal(drawn, [next(again) for _ in range(16)])


def test_unigram_loss_in_closed_form() -> None:
    counts = np.array([0, 1, 5], dtype=np.int64)  # one added to each: 1/9, 2/9, 6/9
    assert unigram_loss(counts, [[2, 1, 2], [1, 0]]) == pytest.approx(-np.log(2 / 9 * 6 / 9 * 1 / 9) / 3)


def test_schedule_warms_up_and_ends_at_a_tenth() -> None:
    settings = Settings("docs-gpt2", 8_000_000, checkpoints=3)
    assert settings.steps == 3906
    assert settings.checkpoint_steps == (61, 244, 976)
    assert settings.rate(0) == pytest.approx(2e-3 / 150)
    assert settings.rate(150) == pytest.approx(2e-3)
    assert settings.rate(settings.steps) == pytest.approx(2e-4)


@pytest.mark.slow
def test_a_cut_off_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    rng = np.random.default_rng(0)
    np.save(corpus / "stream.npy", rng.integers(0, 6144, 4096).astype(np.uint16))
    monkeypatch.setattr(train_module, "evaluation_ids", lambda _: [[1, 2, 3]])
    monkeypatch.setattr(train_module, "_SAVE_EVERY", 2)
    settings = Settings("docs-gpt2", 4 * 256, batch=1, warmup=2, checkpoints=1)

    whole, counts, record = train(settings, corpus, _empty(tmp_path / "whole"))
    step = train_module._step
    taken = []

    def interrupted(*arguments: Any) -> float:
        taken.append(0)
        if len(taken) == 4:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(train_module, "_step", interrupted)
    partial = _empty(tmp_path / "cut")
    with pytest.raises(KeyboardInterrupt):
        train(settings, corpus, partial)
    resumed, counts_again, record_again = train(settings, corpus, partial)
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    np.testing.assert_array_equal(counts, counts_again)
    assert counts.sum() == 4 * 256
    assert record["held_out_loss"] == record_again["held_out_loss"]
    assert (partial / "checkpoints" / "1" / "model.safetensors").is_file()
    with pytest.raises(ValueError, match="holds a run with other settings"):
        train(Settings("docs-gpt2", 4 * 256, batch=1, warmup=3), corpus, partial)


def _empty(directory: Path) -> Path:
    directory.mkdir()
    return directory
