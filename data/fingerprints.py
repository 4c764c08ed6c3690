"""What the inputs of a measurement are, by their content: SHA-256 of the files that options name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from .options import EMBEDDED_CORPUS, MeasureOptions
from .regular import present

_OF_A_MODEL = frozenset({".json", ".safetensors", ".bin", ".model", ".txt", ".gguf", ".npz"})
_CHUNK = 1 << 22


def fingerprints(options: MeasureOptions) -> dict[str, str]:
    """Return SHA-256 of model, corpus and counts, as far as they are files here; a Hub's are known by revision alone.

    Parameters
    ----------
    options
        Name them. Of a model's directory its own files count (configuration, tokenizer, weights), of a corpus's folder
        all regular files below it.
    """
    model = _model(options.model) if isinstance(options.model, str) else None
    found = {"model": model, "corpus": _corpus(options.corpus)}
    if options.counts is not None:
        counts = Path(options.counts).expanduser()
        found["counts"] = _digest([counts], counts.parent) if present(counts) else None
    return {name: value for name, value in found.items() if value is not None}


def _model(name: str) -> str | None:
    from .embedded import embedded_model_path, embedded_models

    place = embedded_model_path(name) if name in embedded_models() else Path(name).expanduser()
    if place is None or not place.exists():
        return None
    if not place.is_dir():
        return _digest([place], place.parent) if present(place) else None
    files = [file for file in place.iterdir() if file.suffix in _OF_A_MODEL and file.is_file()]
    return _digest(files, place) if files else None


def _corpus(corpus: str | tuple[str, ...]) -> str | None:
    if not isinstance(corpus, str):
        return None  # its hash is in what it is called
    if corpus == EMBEDDED_CORPUS:
        from .embedded import corpus as embedded

        place = Path(embedded.__file__).with_name("documents.jsonl.gz")
    else:
        place = Path(corpus.partition("#")[0]).expanduser()
    if not corpus or not place.exists():
        return None
    if place.is_dir():
        return _digest((file for file in place.rglob("*") if file.is_file()), place)
    return _digest([place], place.parent) if present(place) else None


def _digest(files: Iterable[Path], root: Path) -> str:
    """SHA-256 over files in order of their names: of each its name below the root, its length and its content."""
    whole = hashlib.sha256()
    for file in sorted(files):
        name = str(file.relative_to(root)).encode("utf-8", "surrogateescape")
        whole.update(len(name).to_bytes(8, "little") + name + file.stat().st_size.to_bytes(8, "little"))
        with file.open("rb") as handle:
            while chunk := handle.read(_CHUNK):
                whole.update(chunk)
    return whole.hexdigest()
