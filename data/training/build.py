"""Prepare what the embedded models are trained and evaluated on: ``python -m neuronull.data.training.build --out DIR``.

Held-out packages are whole direct dependencies of neuronull, so that every installation has them; models train on all
other installed distributions. The overlap between the two is removed in both directions before anything else is done.
Written to DIR: the shared tokenizer, the token stream, the index of the held-out documents and ``corpus.json``, which
records the package versions and the figures.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..docstrings import (
    MAX_SEEN_SHARE,
    MIN_CHARACTERS,
    SHINGLE_WORDS,
    Docstring,
    drop_near_duplicates,
    harvest,
    shingles,
)

HELD_OUT = ("igraph", "leidenalg", "networkx", "pingouin", "powerlaw", "statsmodels")
"""Distributions kept for evaluation, whole."""

VOCABULARY = 6144
END = "<|endoftext|>"
MIN_HELD_OUT_TOKENS = 128
MAX_HELD_OUT_IN_TRAINING = 0.1
"""A training document with a larger share of its shingles in held-out text is dropped."""

MAX_TRAINING_IN_HELD_OUT = 0.1
"""A held-out document with a larger share of its shingles in the training text is dropped."""

_OWN = "neuronull"
_ORDER_KEY = "neuronull held-out order 1"


def training_packages(held_out: Sequence[str] = HELD_OUT) -> list[str]:
    """Return the installed distributions that are not held out, in lower case and sorted."""
    installed = {str(distribution.metadata["Name"]).lower() for distribution in metadata.distributions()}
    return sorted(installed - {*held_out, _OWN})


def split_corpus(
    held_out: Sequence[str], packages: Sequence[str]
) -> tuple[list[Docstring], list[Docstring], dict[str, str]]:
    """Harvest distributions and return (training documents, held-out documents, training versions).

    Both lists are free of near-duplicates, within themselves and of each other.

    Parameters
    ----------
    held_out
        Distributions for evaluation, whole.
    packages
        Distributions to train on.
    """
    evaluation = drop_near_duplicates(document for package in held_out for document in harvest(package))
    evaluation_shingles: set[int] = set().union(*(shingles(document.text) for document in evaluation))
    versions: dict[str, str] = {}
    training: list[Docstring] = []
    seen: set[int] = set()
    for package in packages:
        found = [d for d in harvest(package) if _share(d, evaluation_shingles) <= MAX_HELD_OUT_IN_TRAINING]
        kept = drop_near_duplicates(found, seen=seen)
        if kept:
            versions[package] = kept[0].version
            training.extend(kept)
    evaluation = [d for d in evaluation if _share(d, seen) <= MAX_TRAINING_IN_HELD_OUT]
    return training, evaluation, versions


def _share(document: Docstring, seen: set[int]) -> float:
    """Return the share of a document's shingles that were seen elsewhere."""
    own = shingles(document.text)
    return len(own & seen) / len(own)


def index_order(document: Docstring) -> str:
    """Return the key that orders the index: a keyed hash, so that any first D documents mix all packages."""
    return hashlib.sha256(f"{_ORDER_KEY}\0{document.name}\0{document.sha256}".encode()).hexdigest()


def train_tokenizer(texts: Sequence[str]) -> Any:
    """Return a byte-level BPE tokenizer (`tokenizers.Tokenizer`) of `VOCABULARY` entries trained on the texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_index(path: Path, documents: Sequence[Docstring]) -> None:
    """Write the held-out index, one JSON object a line, in index order; the bytes depend on the documents alone."""
    rows = [{"package": d.package, "name": d.name, "sha256": d.sha256} for d in sorted(documents, key=index_order)]
    body = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(body, mtime=0))


def build(out: Path, seed: int = 0) -> dict[str, Any]:
    """Write tokenizer, token stream, index and ``corpus.json`` to a directory and return what ``corpus.json`` says.

    The stream holds the documents in a seeded random order, each behind one `END`, as uint16.
    """
    from transformers import PreTrainedTokenizerFast

    out.mkdir(parents=True, exist_ok=True)
    training, evaluation, versions = split_corpus(HELD_OUT, training_packages())
    tokenizer = train_tokenizer([document.text for document in training])
    end = tokenizer.token_to_id(END)
    order = np.random.default_rng(seed).permutation(len(training))
    encoded = tokenizer.encode_batch([training[i].text for i in order])
    stream = np.concatenate([np.asarray([end, *e.ids], dtype=np.uint16) for e in encoded])
    lengths = [len(e.ids) for e in tokenizer.encode_batch([d.text for d in evaluation])]
    indexed = [d for d, n in zip(evaluation, lengths, strict=True) if n >= MIN_HELD_OUT_TOKENS]

    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END, model_max_length=256
    )
    fast.save_pretrained(out)
    np.save(out / "stream.npy", stream)
    write_index(out / "index.jsonl.gz", indexed)
    record = {
        "rules": {
            "min_characters": MIN_CHARACTERS,
            "shingle_words": SHINGLE_WORDS,
            "max_seen_share": MAX_SEEN_SHARE,
            "max_held_out_in_training": MAX_HELD_OUT_IN_TRAINING,
            "max_training_in_held_out": MAX_TRAINING_IN_HELD_OUT,
            "min_held_out_tokens": MIN_HELD_OUT_TOKENS,
        },
        "seed": seed,
        "vocabulary": VOCABULARY,
        "training": {
            "documents": len(training),
            "characters": sum(len(d.text) for d in training),
            "tokens": len(stream),
            "stream_sha256": hashlib.sha256(stream.tobytes()).hexdigest(),
            "packages": versions,
        },
        "held_out": {
            "documents": len(indexed),
            "documents_by_package": {p: sum(d.package == p for d in indexed) for p in HELD_OUT},
            "packages": {p: metadata.version(p) for p in HELD_OUT},
        },
    }
    (out / "corpus.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m neuronull.data.training.build", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    print(json.dumps(build(options.out, options.seed), indent=1))


if __name__ == "__main__":
    main()
