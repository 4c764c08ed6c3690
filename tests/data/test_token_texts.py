"""Token ids as text: spaces are kept, what cannot be decoded has no row."""

from __future__ import annotations

import pandas as pd
import pytest

from neuronull.data.errors import InputError
from neuronull.data.token_texts import LONGEST, check_token_texts, token_texts


class Pieces:
    """A SentencePiece-like tokenizer: decoding a token alone drops the space before a word."""

    PIECES = ("\u2581the", "\u2581cat", "s", "<s>", "\u2581" + "x" * 99)

    def decode(self, ids: list[int]) -> str:
        if ids == [3]:
            raise ValueError("no text")
        return "".join(self.PIECES[i] for i in ids).replace("\u2581", " ").removeprefix(" ")

    def convert_ids_to_tokens(self, token: int) -> str:
        return self.PIECES[token]


def test_texts_set_one_behind_the_other_read_like_the_document():
    table = token_texts(Pieces(), [2, 0, 1, 1])
    assert table["token"].tolist() == [0, 1, 2]
    assert table["token"].dtype == "int64"
    text = dict(zip(table["token"], table["text"], strict=True))
    assert "".join(text[i] for i in (0, 1, 2)) == " the cats"


def test_what_cannot_be_decoded_has_no_row_and_a_long_token_is_cut():
    table = token_texts(Pieces(), range(5))
    assert table["token"].tolist() == [0, 1, 2, 4]
    assert len(table["text"].iloc[-1]) == LONGEST


@pytest.mark.parametrize("ids", [[1, 0], [0, 0], [-1, 0], [0, 5]])
def test_ids_that_are_not_ascending_ids_of_the_vocabulary_are_refused(ids: list[int]):
    with pytest.raises(InputError, match="ascending ids"):
        check_token_texts(pd.DataFrame({"token": ids, "text": "x"}), 5, "tokens.parquet")
