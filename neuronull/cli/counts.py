"""``neuronull counts``: how often each token of a model occurs in a corpus, as a file for ``--counts``."""

from __future__ import annotations

import uuid
from pathlib import Path

import typer

from ..data.errors import InputError
from ..data.options import DEFAULT_MODEL, EMBEDDED_CORPUS
from . import options as o
from .progress import on_stderr


def counts(
    out: o.CountsOut,
    model: o.Model = DEFAULT_MODEL,
    revision: o.Revision = None,
    corpus: o.Corpus = EMBEDDED_CORPUS,
) -> None:
    """Count the tokens of a corpus.

    All of the corpus is read. The file is what --counts takes: one whole number per token id. Counts of the text that
    a model was trained on are the right ones; a large text of the same kind is the next best.
    """
    import numpy as np

    from ..data.frequencies import count_corpus
    from ..data.models import load_tokenizer

    file = _new_file(out)
    with on_stderr() as progress:
        with progress.stage("model", 1):
            tokenizer = load_tokenizer(model, revision)
        with progress.stage("corpus", 1):
            found, _ = count_corpus(corpus, tokenizer, 1 + max(tokenizer.get_vocab().values()))
    work = file.with_name(f".{file.name}.{uuid.uuid4().hex}.partial")
    try:
        with work.open("wb") as handle:
            np.save(handle, found)
        work.rename(file)
    finally:
        work.unlink(missing_ok=True)
    typer.echo(f"{found.sum():,} tokens, {np.count_nonzero(found):,} of {len(found):,} types   {out}")


def _new_file(out: str) -> Path:
    """The path of a new ``.npy`` file, refused before the corpus is read where it cannot be one."""
    file = Path(out).expanduser()
    if file.suffix != ".npy":
        raise InputError(f"{out} does not end in .npy", "--out", "give a name that does")
    if file.exists():
        raise InputError(f"{out} is there already", "--out", "give another name, or remove it")
    if not file.parent.is_dir():
        raise InputError(f"there is no directory {file.parent}", "--out", "make it first")
    return file
