"""Token ids as text, kept with what was measured: a report is written where there is no tokenizer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from .errors import InputError

LONGEST = 40
"""Characters of a token's text that are kept."""

_WORD_START = "\u2581"
"""SentencePiece's mark of a space; decoding a token alone drops that space."""


def token_texts(tokenizer: Any, ids: Iterable[int]) -> pd.DataFrame:
    """Return the text of each token id: columns ``token`` (int64, ascending) and ``text``.

    Set one behind the other, the texts of a document's tokens read like the document; what is a part of a character
    alone becomes U+FFFD. An id that the tokenizer cannot decode has no row.
    """
    rows = [(i, text) for i in sorted(set(ids)) if (text := _text(tokenizer, i)) is not None]
    return pd.DataFrame(
        {"token": pd.Series([i for i, _ in rows], dtype="int64"), "text": pd.Series([t for _, t in rows], dtype=object)}
    )


def check_token_texts(table: pd.DataFrame, vocabulary: int, where: str) -> None:
    """Refuse a table of token texts whose ids are not ascending ids of the vocabulary.

    Raises
    ------
    InputError
        Saying the first fault.
    """
    ids = table["token"].to_numpy()
    if len(ids) and not (ids[0] >= 0 and ids[-1] < vocabulary and (ids[1:] > ids[:-1]).all()):
        raise InputError("the column token is not ascending ids of the vocabulary", where, "sort it; each id once")


def _text(tokenizer: Any, token: int) -> str | None:
    try:
        text = str(tokenizer.decode([token]))
        piece = tokenizer.convert_ids_to_tokens(token)
    except Exception:  # a tokenizer of whatever library; a report can do without the text of a token
        return None
    spaced = isinstance(piece, str) and piece.startswith(_WORD_START) and not text.startswith(" ")
    return (f" {text}" if spaced else text)[:LONGEST]
