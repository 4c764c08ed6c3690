"""The embedded evaluation corpus: docstrings of packages that the embedded models were not trained on."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class EmbeddedCorpus:
    """The held-out documents.

    Parameters
    ----------
    documents
        (qualified name, text), in an order in which any first D documents mix the packages evenly.
    packages
        The package that each document is from: documents of one are not independent of each other.
    """

    documents: list[tuple[str, str]] = field(repr=False)
    packages: list[str] = field(repr=False)


def corpus_record() -> dict[str, Any]:
    """Return ``corpus.json``: rules, packages with versions, and figures of the training and the held-out text."""
    record: dict[str, Any] = json.loads((_HERE / "corpus.json").read_text(encoding="utf-8"))
    return record


def held_out_documents() -> EmbeddedCorpus:
    """Return the held-out documents, which lie in ``documents.jsonl.gz`` beside this file."""
    body = gzip.decompress((_HERE / "documents.jsonl.gz").read_bytes())
    rows = [json.loads(line) for line in body.splitlines()]
    return EmbeddedCorpus([(row["name"], row["text"]) for row in rows], [row["package"] for row in rows])
