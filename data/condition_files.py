"""A user's own conditions: read from JSON or a table, tokens looked up in the tokenizer, refused in one line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from .condition_rules import PositionRule, TokenRule
from .conditions import Condition, Conditions, check_names
from .errors import InputError
from .measurements import IntArray
from .panel import Conditioning
from .tables import SUFFIXES, read_rows

OPTION = "--conditions"

OTHER = "other tokens"
"""Name of b where only a is listed."""

Kind = Literal["tokens", "token_ids", "positions"]
KINDS: tuple[Kind, ...] = ("tokens", "token_ids", "positions")

_JSON_HINT = 'give {"a": {"name", "tokens" or "token_ids" or "positions"}, "b": {...}}'
_TABLE_HINT = "give columns condition and token_id, or token, or document and position"
_MOST_NAMED = 5


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that token lists need."""

    unk_token_id: int | None

    def __call__(self, text: str, **options: Any) -> Any:
        """Encode a text; the result has ``input_ids``."""

    def get_vocab(self) -> dict[str, int]:
        """Return every token as it is spelled, and its id."""


@dataclass(frozen=True)
class Listed:
    """One condition as a file lists it: entries are spellings, ids, or (document, position)."""

    name: str
    kind: Kind
    entries: Sequence[Any]


@dataclass(frozen=True)
class ConditionsFile:
    """A conditions file that has been read but not yet looked up.

    Parameters
    ----------
    a, b
        Its conditions; ``b`` is ``None`` where every other scored position is in it.
    rule
        How positions were given their condition, in the user's words; empty where the file does not say.
    name
        Name of the file, without folders, for errors only: results are the same whatever a file is called.
    hash
        SHA-256 of its content.
    """

    a: Listed
    b: Listed | None
    rule: str
    name: str
    hash: str

    def resolve(self, tokenizer: Tokenizer, vocabulary: int, conditioning: Conditioning) -> TokenRule | PositionRule:
        """Return the rule that the file stands for.

        Parameters
        ----------
        tokenizer
            The model's.
        vocabulary
            Token ids of the model, V.
        conditioning
            Which token of a position its lists are about; lists of positions decide themselves.

        Raises
        ------
        InputError
            If a text is not one token, an id is outside the vocabulary, something is in both conditions, or
            ``--conditioning input`` is asked of positions.
        """
        where = f"{OPTION} {self.name}"
        if self.a.kind == "positions" or (self.b is not None and self.b.kind == "positions"):
            return self._positions(where, conditioning)
        a = _token_ids(self.a, tokenizer, vocabulary, where)
        b = None if self.b is None else _token_ids(self.b, tokenizer, vocabulary, where)
        if b is not None:
            spelled = {token_id: token for token, token_id in tokenizer.get_vocab().items()}
            both = [repr(spelled.get(i, i)) for i in np.intersect1d(a, b).tolist()]
            _refuse_shared(both, "token", self, where)
        rule = self.rule or self._told(conditioning, len(a), None if b is None else len(b))
        return TokenRule(self._named(rule), a, b, conditioning)

    def _positions(self, where: str, conditioning: Conditioning) -> PositionRule:
        if self.b is None or self.a.kind != self.b.kind:
            raise InputError("only one condition lists positions", where, "list the positions of both")
        if conditioning != "target":
            what = "positions are listed one by one, and no token of them decides"
            raise InputError(what, "--conditioning", "leave out --conditioning")
        a, b = (np.unique(_pairs(listed, where), axis=0) for listed in (self.a, self.b))
        shared = sorted(set(map(tuple, a.tolist())) & set(map(tuple, b.tolist())))
        _refuse_shared([f"document {d} position {p}" for d, p in shared], "position", self, where)
        rule = self.rule or f"position by position: {len(a):,} and {len(b):,} are listed"
        return PositionRule(self._named(rule), a, b)

    def _told(self, conditioning: Conditioning, of_a: int, of_b: int | None) -> str:
        others = "all others" if of_b is None else f"{of_b:,}"
        return f"the {conditioning} token is one of {of_a:,} listed token types, against {others}"

    def _named(self, rule: str) -> Conditions:
        a, b = self.a.name, OTHER if self.b is None else self.b.name
        return Conditions(Condition(a, a), Condition(b, b), rule)


def read_conditions(path: str | Path) -> ConditionsFile:
    """Read a conditions file.

    Parameters
    ----------
    path
        ``.json``: ``{"a": {"name", "tokens" | "token_ids" | "positions"}, "b": {...}, "rule"}``, of which ``rule`` and,
        where a lists tokens, ``b`` may be left out.  ``.csv``, ``.tsv``, ``.parquet``: a column ``condition`` (``a`` or
        ``b``, or two names of which the first to appear is a) and a column ``token_id``, or ``token``, or the columns
        ``document`` and ``position``.

    Raises
    ------
    InputError
        If it cannot be read or is not of that form.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"no such file: {path}", OPTION, "give rare, or the path of a conditions file")
    suffix, where = file.suffix.lower(), f"{OPTION} {file.name}"
    if suffix != ".json" and suffix not in SUFFIXES:
        raise InputError(f"{file.name} is of an unknown kind", OPTION, f"give .json, {', '.join(SUFFIXES)}")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file.name} cannot be read: {error.strerror or error}", OPTION, "check the file") from None
    a, b, rule = _from_json(content, where) if suffix == ".json" else _from_table(file, where)
    found = ConditionsFile(a, b, rule, file.name, hashlib.sha256(content).hexdigest())
    check_names(found._named(rule), where, "give each condition a short name of its own")
    if b is None and a.kind == "positions":
        raise InputError("there are positions of one condition only", where, "list the positions of both")
    return found


def _from_json(content: bytes, where: str) -> tuple[Listed, Listed | None, str]:
    try:
        payload = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"it is not JSON: {error}", where, _JSON_HINT) from None
    if not isinstance(payload, dict) or not isinstance(payload.get("a"), dict):
        raise InputError("there is no condition a", where, _JSON_HINT)
    _refuse_unknown(payload, ("a", "b", "rule"), where)
    rule = payload.get("rule", "")
    if not isinstance(rule, str) or not (rule == "" or rule.isprintable()):
        raise InputError(f"rule is {rule!r}", where, "say in one line of text how positions got their condition")
    b = None if payload.get("b") is None else _from_object(payload["b"], "b", where)
    return _from_object(payload["a"], "a", where), b, rule.strip()


def _from_object(entry: Any, key: str, where: str) -> Listed:
    if not isinstance(entry, dict):
        raise InputError(f"condition {key} is no object", where, _JSON_HINT)
    _refuse_unknown(entry, ("name", *KINDS), where, f"condition {key} has")
    kinds = [kind for kind in KINDS if kind in entry]
    if len(kinds) != 1:
        raise InputError(f"condition {key} has {' and '.join(kinds) or 'no list'}", where, _JSON_HINT)
    values, name = entry[kinds[0]], entry.get("name", key)
    if not isinstance(values, list) or not values:
        raise InputError(f"{kinds[0]} of condition {key} is no list, or an empty one", where, _JSON_HINT)
    return Listed(name.strip() if isinstance(name, str) else "", kinds[0], values)


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str], where: str, said: str = "it has") -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{said} {', '.join(map(repr, unknown))}", where, f"what it may have is {', '.join(known)}")


def _from_table(file: Path, where: str) -> tuple[Listed, Listed | None, str]:
    columns, rows = read_rows(file, where)
    kinds: dict[Kind, tuple[str, ...]] = {
        "token_ids": ("token_id",), "tokens": ("token",), "positions": ("document", "position"),
    }  # fmt: skip
    found = [kind for kind, names in kinds.items() if set(names) <= set(columns)]
    if "condition" not in columns or len(found) != 1:
        raise InputError(f"its columns are {', '.join(columns)}", where, _TABLE_HINT)
    kind = found[0]
    names = list(dict.fromkeys("" if row["condition"] is None else str(row["condition"]).strip() for row in rows))
    if len(names) > 2:
        raise InputError(f"there are {len(names)} conditions: {_several(map(repr, names))}", where, "give two")
    if names[0] == "b" or names[1:] == ["a"]:
        names.reverse()
    if names == ["b"]:
        raise InputError("no row is of condition a", where, "give rows of a, and of b or of none")
    entries: dict[str, list[Any]] = {name: [] for name in names}
    for row in rows:
        name = "" if row["condition"] is None else str(row["condition"]).strip()
        values = [row[column] for column in kinds[kind]]
        entries[name].append(values if kind == "positions" else values[0])
    listed = [Listed(name, kind, entries[name]) for name in names]
    return listed[0], listed[1] if len(listed) > 1 else None, ""


def _token_ids(listed: Listed, tokenizer: Tokenizer, vocabulary: int, where: str) -> IntArray:
    """Return the token ids of a condition, int64, ascending, each once."""
    if listed.kind == "token_ids":
        ids = [_whole(value, "token id", where) for value in listed.entries]
        beyond = sorted({i for i in ids if i >= vocabulary})
        if beyond:
            what = f"there is no token id {_several(f'{i:,}' for i in beyond)}"
            raise InputError(what, where, f"token ids go from 0 to {vocabulary - 1:,}")
        return np.unique(np.asarray(ids, dtype=np.int64))
    spelled = tokenizer.get_vocab()
    found = {text: _one_token(text, spelled, tokenizer) for text in listed.entries if isinstance(text, str)}
    wrong = [repr(text) for text in dict.fromkeys(map(_hashable, listed.entries)) if found.get(text) is None]
    if wrong:
        what = f"not one token of this tokenizer: {_several(wrong)}"
        hint = "leave them out, or spell them as the tokenizer does; a word within a text often starts with a blank"
        raise InputError(what, where, hint)
    return np.unique(np.asarray([i for i in found.values() if i is not None], dtype=np.int64))


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str) else repr(value)


def _one_token(text: str, spelled: Mapping[str, int], tokenizer: Tokenizer) -> int | None:
    """Return the id of a token as the tokenizer spells it, or of plain text that is one token; None if it is neither.

    The spelling goes first: in a tokenizer that marks the start of a word, ``the`` is the piece inside a word.
    """
    if text in spelled:
        return spelled[text]
    try:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    except (TypeError, ValueError, UnicodeError):
        return None
    return int(ids[0]) if len(ids) == 1 and ids[0] != tokenizer.unk_token_id else None


def _pairs(listed: Listed, where: str) -> IntArray:
    """Return the positions of a condition, int64 [n, 2]."""
    pairs = []
    for entry in listed.entries:
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise InputError(f"{entry!r} is no position", where, "give [document, position]")
        pairs.append([_whole(value, name, where) for value, name in zip(entry, ("document", "position"), strict=True)])
    return np.asarray(pairs, dtype=np.int64)


def _whole(value: Any, what: str, where: str) -> int:
    """Return a whole number of at least 0; tables may hold it as text."""
    good = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if isinstance(value, str):
        good = value.strip().isascii() and value.strip().isdigit()
    if not good or not 0 <= int(value) < 2**53:
        raise InputError(f"{what} {value!r} is not a whole number of at least 0", where, "count from 0")
    return int(value)


def _refuse_shared(shared: list[str], what: str, file: ConditionsFile, where: str) -> None:
    if shared:
        b = "" if file.b is None else file.b.name
        said = f"{len(shared):,} {what}{'s are' if len(shared) > 1 else ' is'} in both {file.a.name} and {b}"
        raise InputError(f"{said}: {_several(shared)}", where, "give each to one condition")


def _several(values: Iterable[str]) -> str:
    named = list(values)
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return ", ".join(named[:_MOST_NAMED]) + more
