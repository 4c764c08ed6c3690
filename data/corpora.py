"""Corpora: any text a user can name, as documents of token ids, read no further than needed.

A document is the unit of resampling, so text is cut where its source cuts it; blocks of running text are a last resort
and are reported as pseudo-documents.  `neuronull.data.readers` turns names into texts; this module tokenizes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Protocol

import numpy as np
import pandas as pd

from .errors import InputError
from .readers import Text, open_texts

MIN_LENGTH_SHARE = 0.5
"""Share of the context that a document must fill.

A document is one unit of every test whatever its length.  One with a handful of positions has hardly any rare position
to match and a contrast that is mostly noise, and equal blocks of positions (for nulls that permute documents) need
documents of comparable length.
"""

MIN_DOCUMENTS = 20
"""Fewest documents on which anything is tested: the document is the unit of every test (docs/methods.md#panel)."""

_CHARACTERS_PER_TOKEN = 16
"""Characters of a long document tokenized at first, per token wanted; more follow where that was too little."""

_MARGIN = 16
"""Tokens at the end of a cut text that the cut itself may have changed."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used here."""

    def __call__(self, text: str, **options: Any) -> Any:
        """Encode a text; the result has ``input_ids``."""


@dataclass(frozen=True)
class Corpus:
    """The documents that a model is fed.

    Parameters
    ----------
    id
        The name under which results speak of it, without folders.
    hash
        SHA-256 of the token ids fed, document by document.
    documents
        Columns ``document`` (int64, 0 to D-1), ``source`` (str), ``input_ids`` (list of int, special tokens included).
    warnings
        What the reader of a result must know about it.
    available
        Documents that were read to find these: all of the corpus where it ran out.
    """

    id: str
    hash: str
    documents: pd.DataFrame = field(repr=False)
    warnings: list[str]
    available: int


def load_corpus(name: str, tokenizer: Tokenizer, documents: int, context: int) -> Corpus:
    """Return the first documents of a corpus that are long enough, tokenized and cut to the context.

    Parameters
    ----------
    name
        The embedded corpus (`neuronull.data.options.EMBEDDED_CORPUS`); a ``.jsonl`` (field ``text``), ``.json`` (list
        of strings or of ``{"text"}``), ``.parquet`` (column ``text``) or UTF-8 text file; a folder of such files, read
        in sorted order; or ``hf:dataset[:config][:split][:field]``.
    tokenizer
        The model's.  Special tokens are added as it adds them by default.
    documents
        How many to take, D.  Fewer are taken, with a warning, where fewer are long enough.
    context
        Tokens of a document at most; one with fewer than `MIN_LENGTH_SHARE` of it is passed over.

    Raises
    ------
    InputError
        If the corpus cannot be read, or has fewer than `MIN_DOCUMENTS` documents that are long enough.
    """
    texts = open_texts(name)
    encoder = _Encoder(tokenizer, context)
    shortest = int(np.ceil(MIN_LENGTH_SHARE * context))
    sources: list[str] = []
    rows: list[list[int]] = []
    read, pseudo = 0, False
    for source, ids, is_block in _encoded(texts.texts, encoder):
        read += 1
        if len(ids) < shortest:
            continue
        pseudo |= is_block
        sources.append(source)
        rows.append(ids)
        if len(rows) == documents:
            break
    _check_enough(name, len(rows), read, documents, context, shortest)
    warnings = [*texts.warnings, *_warnings(rows, read, documents, shortest, context, pseudo)]
    table = pd.DataFrame({"document": np.arange(len(rows)), "source": sources, "input_ids": rows})
    return Corpus(texts.id, hash_ids(rows), table, warnings, read)


def hash_ids(rows: Iterable[list[int]]) -> str:
    """Return the SHA-256 over documents of token ids: of each its length, then its ids, as little-endian int64."""
    digest = hashlib.sha256()
    for ids in rows:
        digest.update(len(ids).to_bytes(8, "little"))
        digest.update(np.asarray(ids, dtype="<i8").tobytes())
    return digest.hexdigest()


class _Encoder:
    """A tokenizer with its special tokens set apart, so that a text can be cut before or after them.

    Parameters
    ----------
    tokenizer
        As it comes.
    context
        Tokens of a document at most, special tokens included.
    """

    def __init__(self, tokenizer: Tokenizer, context: int) -> None:
        self._tokenizer = tokenizer
        probe = "a b"
        inner, whole = self.plain(probe), [int(i) for i in tokenizer(probe, verbose=False)["input_ids"]]
        starts = [s for s in range(len(whole) - len(inner) + 1) if whole[s : s + len(inner)] == inner]
        if not inner or not starts:
            raise InputError(
                "the tokenizer does not put special tokens before and after a text only", "", "use another"
            )
        self._before, self._after = whole[: starts[0]], whole[starts[0] + len(inner) :]
        self.room = context - len(self._before) - len(self._after)

    def plain(self, text: str) -> list[int]:
        """Token ids of a text without special tokens."""
        return [int(i) for i in self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]

    def wrap(self, ids: list[int]) -> list[int]:
        """At most a context of token ids, with the special tokens that the tokenizer adds."""
        return [*self._before, *ids[: self.room], *self._after]

    def document(self, text: str) -> list[int]:
        """Token ids fed for a text; of a long one only as much is tokenized as can matter."""
        length = _CHARACTERS_PER_TOKEN * self.room
        while True:
            ids = self.plain(text[:length])
            if length >= len(text) or len(ids) >= self.room + _MARGIN:
                return self.wrap(ids)
            length *= 2


def _encoded(texts: Iterator[Text], encoder: _Encoder) -> Iterator[tuple[str, list[int], bool]]:
    """Yield (source, token ids, whether it is a block of running text)."""
    for (source, running), parts in groupby(texts, key=lambda text: (text.source, text.running)):
        if running:
            yield from _blocks(source, (part.text for part in parts), encoder)
        else:
            yield from ((source, encoder.document(part.text), False) for part in parts)


def _blocks(source: str, parts: Iterable[str], encoder: _Encoder) -> Iterator[tuple[str, list[int], bool]]:
    """Yield consecutive blocks of one text, each filling the context; a text that fits is the document it is."""
    pool: list[int] = []
    block = 0
    for part in parts:
        pool += encoder.plain(part)
        while len(pool) > encoder.room:
            yield f"{source} (pseudo-document {block})", encoder.wrap(pool), True
            pool, block = pool[encoder.room :], block + 1
    if pool:
        yield (f"{source} (pseudo-document {block})" if block else source), encoder.wrap(pool), block > 0


def _check_enough(name: str, found: int, read: int, documents: int, context: int, shortest: int) -> None:
    least = min(MIN_DOCUMENTS, documents)
    if not read:
        raise InputError("the corpus is empty", f"--corpus {name}", "give one with text")
    if found < least:
        raise InputError(
            f"{found} of {read:,} documents have at least {shortest} tokens (half of --context {context}), "
            f"{least} are needed",
            f"--corpus {name}",
            "give more or longer documents, or a smaller --context",
        )


def _warnings(rows: list[list[int]], read: int, documents: int, shortest: int, context: int, pseudo: bool) -> list[str]:
    found = []
    if len(rows) < documents:
        found.append(f"{len(rows)} of {read:,} documents have at least {shortest} tokens; {documents} were asked for")
    if pseudo:
        found.append(
            f"the text has no headings to split at: consecutive blocks of {context} tokens stand in for documents "
            "(pseudo-documents); neighbouring blocks are not independent, so intervals are too narrow"
        )
    repeats = len(rows) - len({tuple(ids) for ids in rows})
    if repeats:
        found.append(f"{repeats} documents repeat the tokens of another; repeats are not independent")
    return found
