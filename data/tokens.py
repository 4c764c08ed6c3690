"""What a tokenizer is: how a text becomes token ids, and which ids are special, unknown or added to the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .errors import InputError

_CHARACTERS_PER_TOKEN = 16
"""Characters of a long document tokenized at first, per token wanted; more follow where that was too little."""

_MARGIN = 16
"""Tokens at the end of a cut text that the cut itself may have changed."""

_PROBES = 256
"""Tokens of the vocabulary that are tried as a text, before a tokenizer is said to encode none of them."""

_SAID = 200
"""Characters of another library's message that are repeated."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that every use here needs."""

    def __call__(self, text: str, **options: Any) -> Any:
        """Encode a text; the result has ``input_ids``."""


@dataclass(frozen=True)
class TokenIds:
    """The token ids of a tokenizer.

    Parameters
    ----------
    size
        Ids that the tokenizer can give: the highest one, plus 1.
    base
        The same for the vocabulary that its model was trained with, before tokens were added.
    special
        Ids that stand for no text: they are never scored, neither as input nor as target.
    added
        Added tokens by id, special or not.
    """

    size: int
    base: int
    special: frozenset[int]
    added: Mapping[int, str] = field(repr=False)


def token_ids(tokenizer: Any) -> TokenIds:
    """Return the token ids of a Hugging Face tokenizer.

    An id is special if the tokenizer names it (``bos_token``, ``eos_token``, ..., ``additional_special_tokens``), if
    one of its files (``tokenizer.json``, ``tokenizer_config.json``) marks the token ``"special": true``, if the
    tokenizer puts it before or after every text, or if it stands for unknown text.  Chat and reserved tokens such as
    ``<|eot_id|>`` are often marked and not named.
    """
    added = {int(i): token for i, token in getattr(tokenizer, "added_tokens_decoder", {}).items()}
    marked = {i for i, token in added.items() if getattr(token, "special", False)}  # in any of the tokenizer's files
    named = {int(i) for i in getattr(tokenizer, "all_special_ids", ())}
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    # some tokenizers turn the empty text into a token of its own, which is then not put around other texts
    around = set(_ids(tokenizer, "")) - set(_ids(tokenizer, "", add_special_tokens=False))
    return TokenIds(
        size=max((*vocabulary.values(), *added), default=-1) + 1,
        base=_base(tokenizer),
        special=frozenset(marked | named | _unknown(tokenizer) | around),
        added={i: str(token) for i, token in sorted(added.items())},
    )


def unknown_ids(tokenizer: Any) -> frozenset[int]:
    """Return the ids that stand for text that a tokenizer does not know.

    One that also begins, ends or fills texts is none of them: tokenizers that know every byte often call their end of
    text unknown.
    """
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return frozenset(_unknown(tokenizer) - {getattr(tokenizer, name, None) for name in names})


def encoded(tokenizer: Any, text: str | list[str], **options: Any) -> Any:
    """Return the ``input_ids`` of a text, or of each of several.

    Raises
    ------
    InputError
        If the tokenizer fails on it.
    """
    try:
        # not verbose: a text that is longer than the model reads is cut later, and no matter for a warning
        return tokenizer(text, verbose=False, **options)["input_ids"]
    except Exception as error:  # the Rust library raises bare exceptions
        said = " ".join(str(error).split())[:_SAID]
        raise InputError(
            f"the tokenizer cannot encode the text: {said or type(error).__name__}",
            "--corpus",
            "give text that is written in the tokenizer's alphabet",
        ) from None


class Encoder:
    """A tokenizer with the special tokens that it adds set apart, so that a text can be cut before or after them.

    Parameters
    ----------
    tokenizer
        As it comes.
    context
        Tokens of a document at most, special tokens included.

    Raises
    ------
    InputError
        If the tokenizer encodes no text, or changes a text otherwise than before and after it.
    """

    def __init__(self, tokenizer: Tokenizer, context: int) -> None:
        self._tokenizer = tokenizer
        self._before, self._after = _surroundings(tokenizer)
        self.room = context - len(self._before) - len(self._after)

    def plain(self, text: str) -> list[int]:
        """Token ids of a text without special tokens.

        Raises
        ------
        InputError
            If the tokenizer fails on it.
        """
        return _ids(self._tokenizer, text, add_special_tokens=False)

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


def _surroundings(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the ids that a tokenizer puts before and after every text, from the first text that shows them."""
    encoded = False
    for probe in _probes(tokenizer):
        try:
            inner, whole = _ids(tokenizer, probe, add_special_tokens=False), _ids(tokenizer, probe)
        except InputError:  # a text outside its alphabet; the next one may be inside
            continue
        if not inner:
            continue
        encoded = True
        starts = [s for s in range(len(whole) - len(inner) + 1) if whole[s : s + len(inner)] == inner]
        if len(starts) == 1:
            return whole[: starts[0]], whole[starts[0] + len(inner) :]
    if encoded:
        what, hint = "the tokenizer does not put special tokens before and after a text only", "use another"
    else:
        what, hint = "the tokenizer encodes none of the tokens of its own vocabulary", "check its files"
    raise InputError(what, "--model", hint)


def _probes(tokenizer: Any) -> Iterator[str]:
    """Yield short texts: first one that most tokenizers know, then tokens of its own vocabulary (DNA has no spaces)."""
    yield "a b"
    if hasattr(tokenizer, "get_vocab"):
        special = token_ids(tokenizer).special
        ids = sorted(i for i in tokenizer.get_vocab().values() if i not in special)
        yield from (tokenizer.decode([i]) for i in ids[:_PROBES])


def _ids(tokenizer: Tokenizer, text: str, **options: Any) -> list[int]:
    return [int(i) for i in encoded(tokenizer, text, **options)]


def _base(tokenizer: Any) -> int:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return int(getattr(tokenizer, "vocab_size", None) or 1 + max(tokenizer.get_vocab().values(), default=-1))
    # not the vocabulary less the added tokens: an end-of-text token is often in both
    return int(max(backend.get_vocab(with_added_tokens=False).values(), default=-1)) + 1


def _unknown(tokenizer: Any) -> set[int]:
    """Return the ids given for text that is not known; the tokenizer's model may have one that nothing else names."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    model: Any = getattr(backend, "model", None)
    found = {getattr(tokenizer, "unk_token_id", None)}
    if getattr(model, "unk_token", None) is not None:
        found.add(backend.token_to_id(model.unk_token))
    if type(model).__name__ == "Unigram":  # it shows its unknown token nowhere but in its file
        found.add(json.loads(backend.to_str())["model"].get("unk_id"))
    return {int(i) for i in found if i is not None}
