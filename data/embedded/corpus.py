"""The embedded evaluation corpus: docstrings of the held-out packages, as far as they still read as they were indexed.

No text ships with neuronull. The index holds the package, the qualified name and the SHA-256 of each document; a run
harvests the installed packages and keeps, in index order, the documents whose text has the indexed hash.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from ..docstrings import harvest
from ..errors import InputError

MIN_MATCHED_SHARE = 0.8
"""Below this share of matching documents a run is warned."""

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class EmbeddedCorpus:
    """The held-out documents of this installation.

    Parameters
    ----------
    documents
        (qualified name, text) in index order: a keyed hash order, so that any first D documents mix the packages.
    matched
        Number of documents whose text has the indexed hash; the length of `documents`.
    expected
        Number of documents in the index.
    versions
        Installed version of each held-out package; empty text where it is not installed.
    warning
        One line when fewer than `MIN_MATCHED_SHARE` match, naming the versions; else None.
    """

    documents: list[tuple[str, str]] = field(repr=False)
    matched: int
    expected: int
    versions: dict[str, str]
    warning: str | None


def read_index(directory: Path = _HERE) -> list[dict[str, str]]:
    """Return the held-out index: ``package``, ``name`` and ``sha256`` of each document, in index order."""
    body = gzip.decompress((directory / "index.jsonl.gz").read_bytes()).decode()
    return [json.loads(line) for line in body.splitlines()]


def corpus_record(directory: Path = _HERE) -> dict[str, Any]:
    """Return ``corpus.json``: rules, package versions and figures of the training and the held-out text."""
    record: dict[str, Any] = json.loads((directory / "corpus.json").read_text(encoding="utf-8"))
    return record


def held_out_documents(directory: Path = _HERE) -> EmbeddedCorpus:
    """Return the held-out documents whose text still matches the index; harvesting takes a few seconds.

    Parameters
    ----------
    directory
        Where ``index.jsonl.gz`` and ``corpus.json`` lie.

    Raises
    ------
    InputError
        If not one document matches.
    """
    index = read_index(directory)
    indexed: dict[str, str] = corpus_record(directory)["held_out"]["packages"]
    texts: dict[tuple[str, str], str] = {}
    versions: dict[str, str] = {}
    for package in indexed:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = ""
            continue
        texts.update({(d.name, d.sha256): d.text for d in harvest(package)})
    keys = [(row["name"], row["sha256"]) for row in index]
    documents = [(name, texts[name, digest]) for name, digest in keys if (name, digest) in texts]
    if not documents:
        wanted = " ".join(f"{package}=={version}" for package, version in indexed.items())
        raise InputError(
            f"none of the {len(index)} documents of the embedded corpus matches the installed packages",
            hint=f"give another --corpus, or pip install {wanted}",
        )
    warning = _warning(len(documents), len(index), indexed, versions)
    return EmbeddedCorpus(documents, len(documents), len(index), versions, warning)


def _warning(matched: int, expected: int, indexed: dict[str, str], versions: dict[str, str]) -> str | None:
    """Return the line for a share below `MIN_MATCHED_SHARE`, else None."""
    if matched >= MIN_MATCHED_SHARE * expected:
        return None
    changed = [
        f"{package} {versions[package] or 'missing'} (indexed {version})"
        for package, version in indexed.items()
        if versions[package] != version
    ]
    blame = ", ".join(changed) if changed else "all packages have the indexed versions, but their sources differ"
    return f"only {matched} of {expected} documents of the embedded corpus match the installed packages: {blame}"
