"""Models, corpora and counts that cannot be used: one line each, through the whole command, nothing left behind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from neuronull.cli import BAD_INPUT
from neuronull.data.embedded import embedded_model_path, embedded_models

pytestmark = pytest.mark.skipif("docs-gpt2" not in embedded_models(), reason="the embedded model is not here")

LONG = " ".join(f"word{i}" for i in range(400))


def empty() -> None:
    Path("c.txt").write_text("")


def binary() -> None:
    Path("c.txt").write_bytes(bytes(range(256)) * 64)


def short() -> None:
    Path("c.json").write_text(json.dumps(["a few words"] * 30))


def few() -> None:
    Path("c.json").write_text(json.dumps([LONG] * 5))


def no_list() -> None:
    Path("c.json").write_text('{"text": ')


def no_field() -> None:
    Path("c.jsonl").write_text('{"body": "x"}\n')


def counts() -> None:
    np.save("f.npy", np.ones(7, dtype=np.int64))


def unknown_type() -> None:
    Path("m").mkdir()
    Path("m/config.json").write_text(json.dumps({"model_type": "bert", "architectures": ["BertForMaskedLM"]}))


def truncated() -> None:
    source = embedded_model_path("docs-gpt2")
    Path("m").mkdir()
    for file in source.glob("*.json"):
        Path("m", file.name).write_bytes(file.read_bytes())
    Path("m/model.safetensors").write_bytes((source / "model.safetensors").read_bytes()[:100_000])


def nothing() -> None:
    pass


CASES = {
    "no corpus": (nothing, "--corpus nowhere.txt", r"nowhere\.txt"),
    "empty corpus": (empty, "--corpus c.txt", r"empty|no text"),
    "binary corpus": (binary, "--corpus c.txt", r"UTF-8|text|binary"),
    "documents too short": (short, "--corpus c.json", r"c\.json"),
    "too few documents": (few, "--corpus c.json", r"5 "),
    "broken JSON": (no_list, "--corpus c.json", r"JSON"),
    "no text field": (no_field, "--corpus c.jsonl", r"text"),
    "no counts": (nothing, "--counts nowhere.npy", r"nowhere\.npy"),
    "counts of another model": (counts, "--counts f.npy", r"f\.npy.* 7 .*6,144.*\(--counts"),
    "no model": (nothing, "--model nowhere/at/all", r"nowhere/at/all"),
    "model of an unknown type": (unknown_type, "--model m", r"bert.*supported are gpt2"),
    "truncated weights": (truncated, "--model m", r"\(.*m.*\)|m/model\.safetensors"),
    "no such layer": (nothing, "--layer 99", r"no layer 99 \(--layer\)"),
    "context too long": (nothing, "--context 100000", r"at most 256"),
    "no such device": (nothing, "--device tpu", r"'tpu' is not a device \(--device\)"),
}


@pytest.mark.parametrize(("prepare", "words", "says"), CASES.values(), ids=CASES.keys())
def test_one_line_and_nothing_left(cli, prepare, words: str, says: str):
    prepare()
    before = sorted(path.name for path in Path().iterdir())
    ran = cli("run", *words.split())
    assert (ran.code, ran.out) == (BAD_INPUT, "")
    error = ran.err.splitlines()[-1]  # lines of stages may stand before it
    assert error.startswith("error: ")
    assert re.search(says, error)
    assert "Traceback" not in ran.err
    assert sorted(path.name for path in Path().iterdir()) == before
