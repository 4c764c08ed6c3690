"""The embedded corpus and models: what ships must be what the records say, and the models must have learned."""

from __future__ import annotations

import gzip
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from neuronull.data.docstrings import Docstring, harvest, text_hash
from neuronull.data.embedded import embedded_checkpoints, embedded_model_path, embedded_models
from neuronull.data.embedded.corpus import EmbeddedCorpus, corpus_record, held_out_documents, read_index
from neuronull.data.errors import InputError
from neuronull.data.training import build as build_module
from neuronull.data.training import train as train_module
from neuronull.data.training.build import HELD_OUT, index_order, split_corpus, write_index
from neuronull.data.training.train import Settings, fresh_model, mean_loss, sequences, train, unigram_loss

ROOT = Path(__file__).resolve().parents[2]
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


def test_index_matches_this_installation(corpus: EmbeddedCorpus) -> None:
    indexed = corpus_record()["held_out"]["packages"]
    assert corpus.expected == len(read_index()) == corpus_record()["held_out"]["documents"] >= 1000
    assert corpus.matched == len(corpus.documents) >= 0.8 * corpus.expected
    assert corpus.warning is None
    if corpus.versions == indexed:
        assert corpus.matched == corpus.expected


def test_documents_are_the_indexed_ones_in_index_order(corpus: EmbeddedCorpus) -> None:
    texts = {(name, text_hash(text)) for name, text in corpus.documents}
    wanted = [(row["name"], row["sha256"]) for row in read_index()]
    assert [name for name, _ in corpus.documents] == [name for name, digest in wanted if (name, digest) in texts]
    keys = [index_order(Docstring(r["package"], "", r["name"], "", r["sha256"])) for r in read_index()]
    assert keys == sorted(keys)


def test_the_first_documents_mix_the_packages() -> None:
    packages = [row["package"] for row in read_index()]
    assert set(packages) == set(HELD_OUT)
    for package in ("statsmodels", "networkx"):
        share = packages.count(package) / len(packages)
        assert packages[:200].count(package) == pytest.approx(200 * share, abs=4 * (200 * share * (1 - share)) ** 0.5)


def test_held_out_packages_are_direct_dependencies_and_not_trained_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dependencies = {requirement.split(">")[0] for requirement in project["dependencies"]}
    assert set(HELD_OUT) <= dependencies
    assert not set(HELD_OUT) & set(corpus_record()["training"]["packages"])


def make_index(directory: Path, rows: list[dict[str, str]], packages: dict[str, str]) -> Path:
    (directory / "index.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows).encode()))
    (directory / "corpus.json").write_text(json.dumps({"held_out": {"packages": packages}}))
    return directory


def test_changed_texts_are_left_out_and_the_versions_named(tmp_path: Path) -> None:
    found = harvest("powerlaw")[:10]
    rows = [{"package": "powerlaw", "name": d.name, "sha256": d.sha256} for d in found]
    packages = {"powerlaw": "0.1", "no-such-distribution": "2.0"}
    assert held_out_documents(make_index(tmp_path, rows, packages)).warning is None
    for row in rows[:3]:
        row["sha256"] = "0" * 64
    changed = held_out_documents(make_index(tmp_path, rows, packages))
    assert (changed.matched, changed.expected) == (7, 10)
    assert changed.documents == [(d.name, d.text) for d in found[3:]]
    assert changed.warning is not None
    assert "\n" not in changed.warning
    assert changed.warning.startswith("only 7 of 10 documents")
    assert f"powerlaw {changed.versions['powerlaw']} (indexed 0.1)" in changed.warning
    assert "no-such-distribution missing (indexed 2.0)" in changed.warning


def test_no_match_at_all_is_an_error_with_a_mend(tmp_path: Path) -> None:
    rows = [{"package": "powerlaw", "name": "powerlaw.nothing", "sha256": "0" * 64}]
    with pytest.raises(
        InputError, match=r"none of the 1 documents .*; give another --corpus, or pip install powerlaw==9"
    ):
        held_out_documents(make_index(tmp_path, rows, {"powerlaw": "9"}))


def test_split_keeps_training_and_held_out_text_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def words(tag: str) -> str:
        return " ".join(f"{tag}{'abcdefghij'[i % 10]}{'abcdefghij'[i // 10]}" for i in range(60))

    texts = {
        "eval": {
            "e.shared": words("s"),
            "e.own": words("o"),
            "e.copied": words("o").upper(),
            "e.part": words("m")[:120],
        },
        "fit": {"f.leak": words("s") + " and more", "f.own": words("f"), "f.mixed": words("m")},
    }
    texts["eval"]["e.part"] += " " + words("p")

    def fake_harvest(package: str) -> list[Docstring]:
        return [Docstring(package, "1", name, text, text_hash(text)) for name, text in texts[package].items()]

    monkeypatch.setattr(build_module, "harvest", fake_harvest)
    training, evaluation, versions = split_corpus(["eval"], ["fit"])
    assert [d.name for d in evaluation] == ["e.shared", "e.own", "e.part"]
    assert [d.name for d in training] == ["f.own"]  # f.leak repeats e.shared, f.mixed holds a fifth of e.part
    assert versions == {"fit": "1"}


def test_index_bytes_depend_on_the_documents_alone(tmp_path: Path) -> None:
    documents = [Docstring("p", "1", f"p.f{i}", "", text_hash(str(i))) for i in range(20)]
    write_index(tmp_path / "a.gz", documents)
    write_index(tmp_path / "b.gz", documents[::-1])
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


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
