"""The Python examples of README and pages are run, in a folder that holds what they name: small stand-ins.

A model that an example calls `gpt2` is one of twelve layers with random weights here; documents and draws are fewer.
Whatever else an example says is run as it stands, one page after the other in a process of its own.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from test_docs import BLOCK, PAGES, ROOT

import neuronull as nn
from neuronull.data.embedded.corpus import held_out_documents
from neuronull.data.models import load_tokenizer

DRIVER = """
import json, sys
import matplotlib
matplotlib.use("Agg")
import neuronull as nn
from neuronull import api

def smaller(*model, **options):
    # fewer documents, shorter, and fewer draws than the defaults; what an example gives stays
    given = {"documents": 24, "context": 64, "replicates": 99, "device": "cpu"}
    if not model and "model" not in options:
        given["only"] = ["clusters.within"]
    return api.run(*model, **(given | options | {"documents": 24}))

vars(nn)["run"] = smaller
shown = {}
for number, text in enumerate(json.load(open(sys.argv[1]))):
    exec(compile(text, f"block {number}", "exec"), shown)
"""

SKIPPED = {"own-model-family.md": "its class needs a model of that family; tests/data/test_adapters.py runs it on one"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples name."""
    place = tmp_path_factory.mktemp("examples")
    torch.manual_seed(0)
    tokenizer = load_tokenizer("docs-gpt2")
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer), n_positions=128, n_embd=16, n_layer=12, n_head=2, n_inner=3072
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    for name in ("gpt2", "gpt2-xl"):
        model.save_pretrained(place / name)
        tokenizer.save_pretrained(place / name)
    texts = [text for _, text in held_out_documents().documents[:60]]
    (place / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    ids = np.concatenate([tokenizer(text)["input_ids"] for text in texts])
    np.save(place / "counts.npy", np.bincount(ids, minlength=len(tokenizer)))
    (place / "entropy.json").write_text(
        json.dumps({"name": "entropy", "layer": 11, "neurons": [584, 1611, 2123, 2378, 2870, 2910]})
    )
    tokens = [tokenizer.decode([i]) for i in np.argsort(-np.bincount(ids))[:40]]
    whole = [token for token in tokens if len(tokenizer(token)["input_ids"]) == 1]
    named = {
        side: {"name": name, "tokens": whole[start::2]}
        for start, (side, name) in enumerate([("a", "these"), ("b", "those")])
    }
    (place / "names.json").write_text(json.dumps(named))
    nn.run("docs-gpt2", only="clusters", documents=24, context=64, replicates=99, out=place / "my-run")
    shutil.copytree(place / "my-run", place / "neuronull-runs" / "2026-11-27T081500-docs-gpt2")
    return place


@pytest.mark.slow
@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_examples_run(page: Path, folder: Path):
    blocks = [text for language, text in BLOCK.findall(page.read_text(encoding="utf-8")) if language == "python"]
    if not blocks or page.name in SKIPPED:
        pytest.skip(SKIPPED.get(page.name, "no example"))
    (folder / "blocks.json").write_text(json.dumps(blocks))
    driver = folder / "driver.py"
    driver.write_text(DRIVER)
    ran = subprocess.run(
        [sys.executable, str(driver), "blocks.json"], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
