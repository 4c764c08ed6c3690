"""Pipes, links to nothing and folders where a file is expected: refused in a line, and nothing waits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from handmade import by_hand

from neuronull.data.errors import InputError
from neuronull.data.frequencies import load_counts
from neuronull.data.readers import open_texts
from neuronull.data.regular import present
from neuronull.data.store import load
from neuronull.reports import load_result

OPTIONAL = (
    "neurons.parquet", "influence.safetensors", "activations.safetensors", "weights.safetensors", "heads.safetensors",
    "closure.safetensors", "effects.safetensors", "set.json",
)  # fmt: skip


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def folder_there(path: Path) -> None:
    path.mkdir()


MADE = [(pipe, "is no regular file"), (link_to_nothing, "is a link to a file that is not there"),
        (folder_there, "is a folder")]  # fmt: skip


@pytest.mark.parametrize(("make", "said"), MADE)
def test_what_is_no_file_is_named(tmp_path, make, said):
    make(tmp_path / "x")
    with pytest.raises(InputError, match=rf"x {said} \(--set\)"):
        present(tmp_path / "x", "--set")
    assert not present(tmp_path / "y")
    (tmp_path / "z").write_text("")
    assert present(tmp_path / "z")


@pytest.mark.parametrize(("make", "said"), MADE)
@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_measurement_files(tmp_path, name, make, said):
    by_hand(tmp_path / "m")
    (tmp_path / "m" / name).unlink(missing_ok=True)
    make(tmp_path / "m" / name)
    with pytest.raises(InputError, match=said):
        load(tmp_path / "m")


@pytest.mark.parametrize(("make", "said"), MADE)
def test_results_and_counts(tmp_path, make, said):
    make(tmp_path / "results.json")
    with pytest.raises(InputError, match=said):
        load_result(tmp_path)

    class Tokenizer:
        def get_vocab(self):
            return {"a": 0, "b": 1}

    make(tmp_path / "counts.npy")
    with pytest.raises(InputError, match=said):
        load_counts(str(tmp_path / "counts.npy"), 2, None, None, Tokenizer())


@pytest.mark.parametrize("corpus", ["", "  "])
def test_no_corpus_is_not_the_working_directory(corpus):
    with pytest.raises(InputError, match="no corpus is named"):
        open_texts(corpus)
