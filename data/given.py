"""Texts given in Python instead of the name of a corpus: lists of strings or rows, and `datasets.Dataset` objects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from .errors import InputError
from .rows import FIELD, Field, text_of

CorpusLike: TypeAlias = "str | os.PathLike[str] | Iterable[str | Mapping[str, Any]]"
"""What `neuronull.run(corpus=...)` takes."""

MOST_CHARACTERS = 1_000_000_000
"""Characters of all texts together: they are held in memory."""

_WHERE = "corpus"


def corpus_option(corpus: CorpusLike) -> str | tuple[str, ...]:
    """Return a corpus as `MeasureOptions` holds it: the name of one, or the texts themselves.

    Parameters
    ----------
    corpus
        A name or path as ``--corpus`` takes it; or texts: a list (or any other collection of known length) of strings
        or of mappings with the key ``text``; or a `datasets.Dataset` with a column ``text``.

    Raises
    ------
    InputError
        If it is none of these, or holds more than `MOST_CHARACTERS`.
    """
    if isinstance(corpus, str | os.PathLike):
        return os.fspath(corpus)
    texts, size = list[str](), 0
    for text in _texts(corpus):
        texts.append(text)
        size += len(text)
        if size > MOST_CHARACTERS:
            raise InputError(
                f"the texts have more than {MOST_CHARACTERS:,} characters", _WHERE, "give fewer, or a file with them"
            )
    if not texts:
        raise InputError("the corpus is empty", _WHERE, "give one with text")
    return tuple(texts)


def _texts(corpus: Any) -> Iterator[str]:
    hint = "give a name, a path, a list of strings, or a datasets.Dataset"
    if isinstance(corpus, Mapping):  # a `datasets.DatasetDict` too
        names = ", ".join(map(str, list(corpus)[:5])) or "nothing"
        raise InputError(f"a {type(corpus).__name__} is no corpus (it has {names})", _WHERE, "give one of its splits")
    if isinstance(corpus, bytes | bytearray) or not hasattr(corpus, "__iter__"):
        raise InputError(f"a {type(corpus).__name__} is no corpus", _WHERE, hint)
    if not hasattr(corpus, "__len__"):
        kind = type(corpus).__name__
        raise InputError(
            f"a {kind} has no known length", _WHERE, "give a list of its texts, for instance of the first 1,000"
        )
    columns = getattr(corpus, "column_names", getattr(corpus, "columns", None))
    if columns is not None:
        yield from _column(corpus, list(columns))
        return
    field = Field(None, 'corpus=[row["{}"] for row in ...]')
    for number, row in enumerate(corpus):
        yield text_of(row, field, f"text {number}")


def _column(corpus: Any, columns: list[Any]) -> Iterator[str]:
    """Yield the texts of a `datasets.Dataset` or a data frame."""
    if FIELD not in columns:
        names = ", ".join(map(str, columns[:12])) or "none"
        raise InputError(
            f'the {type(corpus).__name__} has no column "{FIELD}" (it has {names})',
            _WHERE,
            'give the column with the text, for instance corpus=data["content"]',
        )
    for number, value in enumerate(corpus[FIELD]):
        yield text_of({FIELD: value}, Field(FIELD, "{}"), f"row {number}")
