"""Prepare what the embedded models are trained on: ``python -m neuronull.data.training.build --out DIR``.

Models train on the docstrings of the installed distributions, but for those that text is held out from
(`neuronull.data.training.held_out`, which needs DIR) and a few more. Written to DIR: the shared tokenizer, the token
stream, the shingles of the training text, and ``corpus.json``, which records the package versions and the figures.
"""

from __future__ import annotations

import argparse
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
from .pins import read_pins

NOT_TRAINED = ("igraph", "leidenalg", "networkx", "pingouin", "powerlaw", "statsmodels")
"""Installed distributions that the models were not trained on.

Three are under the GPL. All six were the held-out text when the models were trained, and training text near theirs was
dropped, so that without them the training text would be another.
"""

VOCABULARY = 6144
END = "<|endoftext|>"
MAX_NEAR = 0.1
"""A training document with a larger share of its shingles in the text of `NOT_TRAINED` is dropped."""

_OWN = "neuronull"


def training_packages() -> list[str]:
    """Return the installed distributions that are trained on, in lower case and sorted."""
    installed = {str(distribution.metadata["Name"]).lower() for distribution in metadata.distributions()}
    return sorted(installed - {_OWN, *NOT_TRAINED, *(pin.package for pin in read_pins())})


def training_documents(
    packages: Sequence[str], not_trained: Sequence[str] = NOT_TRAINED
) -> tuple[list[Docstring], dict[str, str], set[int]]:
    """Harvest distributions and return (training documents without near-duplicates, their versions, their shingles).

    Parameters
    ----------
    packages
        Distributions to train on.
    not_trained
        Distributions near whose text nothing is trained on.
    """
    apart: set[int] = set()
    drop_near_duplicates((document for package in not_trained for document in harvest(package)), seen=apart)
    versions: dict[str, str] = {}
    training: list[Docstring] = []
    seen: set[int] = set()
    for package in packages:
        kept = drop_near_duplicates((d for d in harvest(package) if _share(d, apart) <= MAX_NEAR), seen=seen)
        if kept:
            versions[package] = kept[0].version
            training.extend(kept)
    return training, versions, seen


def _share(document: Docstring, seen: set[int]) -> float:
    """Return the share of a document's shingles that were seen elsewhere."""
    own = shingles(document.text)
    return len(own & seen) / len(own)


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


def build(out: Path, seed: int = 0) -> dict[str, Any]:
    """Write tokenizer, token stream, shingles and ``corpus.json`` to a directory; return what ``corpus.json`` says.

    The stream holds the documents in a seeded random order, each behind one `END`, as uint16; the shingles are uint64,
    sorted.
    """
    from transformers import PreTrainedTokenizerFast

    out.mkdir(parents=True, exist_ok=True)
    training, versions, seen = training_documents(training_packages())
    tokenizer = train_tokenizer([document.text for document in training])
    end = tokenizer.token_to_id(END)
    order = np.random.default_rng(seed).permutation(len(training))
    encoded = tokenizer.encode_batch([training[i].text for i in order])
    stream = np.concatenate([np.asarray([end, *e.ids], dtype=np.uint16) for e in encoded])

    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, unk_token=END, model_max_length=256
    )
    fast.save_pretrained(out)
    np.save(out / "stream.npy", stream)
    np.save(out / "shingles.npy", np.sort(np.fromiter(seen, dtype=np.uint64, count=len(seen))))
    record = {
        "training": {
            "rules": {
                "min_characters": MIN_CHARACTERS,
                "shingle_words": SHINGLE_WORDS,
                "max_seen_share": MAX_SEEN_SHARE,
                "max_near_not_trained": MAX_NEAR,
            },
            "seed": seed,
            "vocabulary": VOCABULARY,
            "documents": len(training),
            "characters": sum(len(d.text) for d in training),
            "tokens": len(stream),
            "stream_sha256": hashlib.sha256(stream.tobytes()).hexdigest(),
            "packages": versions,
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
