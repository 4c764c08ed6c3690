"""``neuronull counts``: a file of counts that ``--counts`` takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from neuronull.cli import BAD_INPUT
from neuronull.data.embedded import embedded_model_path, embedded_models
from neuronull.data.frequencies import load_counts

pytestmark = pytest.mark.skipif("docs-gpt2" not in embedded_models(), reason="the embedded model is not here")

TEXTS = ["Return the number of rows.", "Raise ValueError if the name is unknown.", "short", ""]


def test_counts_of_a_corpus(cli):
    Path("c.json").write_text(json.dumps(TEXTS))
    ran = cli("counts", "--corpus", "c.json", "--out", "counts.npy")
    assert ran.code == 0
    tokenizer = AutoTokenizer.from_pretrained(embedded_model_path("docs-gpt2"))
    ids = [i for text in TEXTS for i in tokenizer(text, add_special_tokens=False)["input_ids"]]
    found = np.load("counts.npy")
    assert (found.dtype, found.shape) == (np.int64, (6144,))
    np.testing.assert_array_equal(found, np.bincount(ids, minlength=6144))
    assert ran.out == f"{len(ids)} tokens, {len(set(ids))} of 6,144 types   counts.npy\n"
    taken = load_counts("counts.npy", 6144, None, "unread", tokenizer)
    np.testing.assert_array_equal(taken.counts, found)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--corpus c.json", "missing option '--out'"),
        ("--corpus c.json --out counts.txt", "counts.txt does not end in .npy (--out)"),
        ("--corpus c.json --out there.npy", "there.npy is there already (--out)"),
        ("--corpus c.json --out no/where.npy", "there is no directory no (--out)"),
        ("--corpus none.json --out f.npy", "no such file or directory: none.json (--corpus)"),
        ("--corpus empty.json --out f.npy", "the corpus is empty (--corpus empty.json)"),
        ("--model nowhere/at/all --out f.npy", "no such directory: nowhere/at/all (--model)"),
    ],
)
def test_one_line_and_nothing_left(cli, words: str, says: str):
    Path("c.json").write_text(json.dumps(TEXTS))
    Path("empty.json").write_text("[]")
    Path("there.npy").write_text("mine")
    before = sorted(path.name for path in Path().iterdir())
    ran = cli("counts", *words.split())
    assert (ran.code, ran.out) == (BAD_INPUT, "")
    assert says in ran.err.splitlines()[-1]
    assert sorted(path.name for path in Path().iterdir()) == before
    assert Path("there.npy").read_text() == "mine"
