"""What `--corpus` can name, as a stream of texts: files, folders, Hub data sets and the embedded corpus."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import InputError
from .options import EMBEDDED_CORPUS

HUB_PREFIX = "hf:"
FIELD = "text"
SPLITS = ("validation", "test", "train")
"""Splits of a Hub data set in the order of preference, where none is named: text that models saw least comes first."""

HEADING_SEARCH = 4_000_000
"""Characters at the start of a text file in which a heading is looked for."""

_CHUNK = 250_000
"""Characters of running text handed on at a time."""

_FIRST_BYTES = 65_536

_HEADING = re.compile(r"^ ?= (?!=)(?P<title>\S.*?)(?<!=) = ?$")
"""A WikiText level-1 heading, `` = Title = ``; `` = = Sub = = `` is not one.

A formula broken over lines can look like one (twice in the WikiText-2 test set, which has 60 articles and 62 such
lines); nothing in the text tells them apart, and the usual document-level versions of WikiText split there as well.
"""

_OPTION = "--corpus"


@dataclass(frozen=True)
class Text:
    """One text with its source; `running` text is not a document but a part of a longer one."""

    source: str
    text: str = field(repr=False)
    running: bool = False


@dataclass(frozen=True)
class Texts:
    """A corpus that is being read: its id, its texts one after the other, and what to warn of."""

    id: str
    texts: Iterator[Text]
    warnings: list[str] = field(default_factory=list)


def open_texts(name: str) -> Texts:
    """Return the texts that a corpus name stands for; see `neuronull.data.corpora.load_corpus`.

    Raises
    ------
    InputError
        If there is no such corpus; while reading, if a text cannot be read.
    """
    if name == EMBEDDED_CORPUS:
        return _embedded()
    if name.startswith(HUB_PREFIX):
        return _hub(name)
    path = Path(name).expanduser()
    if not path.exists():
        hint = f"give a path, hf:dataset, or {EMBEDDED_CORPUS} for the embedded one"
        raise InputError(f"no such file or directory: {name}", _OPTION, hint)
    if not path.is_dir() and not path.is_file():
        raise InputError(f"{name} is neither a file nor a folder", _OPTION, "save the text to a file first")
    identity = path.resolve().name
    return Texts(identity, _folder(path) if path.is_dir() else _file(path, identity))


def _embedded() -> Texts:
    from .embedded.corpus import held_out_documents

    held_out = held_out_documents()
    warnings = [held_out.warning] if held_out.warning else []
    return Texts(EMBEDDED_CORPUS, (Text(source, text) for source, text in held_out.documents), warnings)


def _folder(folder: Path) -> Iterator[Text]:
    """Yield the texts of the files of a folder and those below it, by relative path; hidden ones are left out."""
    files = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    for path in sorted(files, key=lambda path: path.relative_to(folder).as_posix()):
        yield from _file(path, path.relative_to(folder).as_posix())


def _file(path: Path, shown: str) -> Iterator[Text]:
    """Yield the texts of one file, by its suffix."""
    readers = {".jsonl": _json_lines, ".json": _json, ".parquet": _parquet}
    try:
        yield from readers.get(path.suffix.lower(), _plain)(path, shown)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{shown} is not UTF-8 text: byte 0x{error.object[error.start]:02x} cannot be decoded",
            _OPTION,
            "convert it to UTF-8, or give .jsonl, .json or .parquet",
        ) from None
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror or error}", _OPTION, "check the file") from None


def _lines(path: Path, shown: str) -> Iterator[str]:
    """Yield the lines of a text file, every end a line feed; a byte-order mark is dropped."""
    hint = "give text, .jsonl, .json or .parquet"
    with path.open("rb") as file:
        if b"\0" in file.read(_FIRST_BYTES):  # before a binary file without line ends is read as one line
            raise InputError(f"{shown} is binary: there are NUL bytes near its start", _OPTION, hint)
    with path.open(encoding="utf-8-sig") as text:
        for number, line in enumerate(text, start=1):
            if "\0" in line:
                raise InputError(f"{shown} is binary: a NUL byte in line {number}", _OPTION, hint)
            yield line


def _plain(path: Path, shown: str) -> Iterator[Text]:
    """Yield the articles of a text with WikiText headings, or pieces of running text."""
    seen = 0
    for line in _lines(path, shown):
        if _HEADING.match(line.rstrip("\n")):
            return (yield from _articles(path, shown))
        seen += len(line)
        if seen > HEADING_SEARCH:
            break
    return (yield from _running(path, shown))


def _articles(path: Path, shown: str) -> Iterator[Text]:
    source, lines = shown, list[str]()
    for line in _lines(path, shown):
        heading = _HEADING.match(line.rstrip("\n"))
        if heading:
            if "".join(lines).strip():
                yield Text(source, "".join(lines))
            source, lines = f"{shown}: {heading['title'].strip()}", []
        lines.append(line)
    if "".join(lines).strip():
        yield Text(source, "".join(lines))


def _running(path: Path, shown: str) -> Iterator[Text]:
    """Yield a text in pieces of whole lines, each about `_CHUNK` characters."""
    lines, size = list[str](), 0
    for line in _lines(path, shown):
        lines.append(line)
        size += len(line)
        if size >= _CHUNK:
            yield Text(shown, "".join(lines), running=True)
            lines, size = [], 0
    if "".join(lines).strip():
        yield Text(shown, "".join(lines), running=True)


def _json_lines(path: Path, shown: str) -> Iterator[Text]:
    for number, line in enumerate(_lines(path, shown), start=1):
        if not line.strip():
            continue
        where = f"{shown}, line {number}"
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            said = (
                f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "nested too deep"
            )
            raise InputError(f"{where} is not JSON: {said}", _OPTION, "give one JSON object a line") from None
        yield Text(f"{shown}:{number}", _text_of(row, FIELD, where))


def _json(path: Path, shown: str) -> Iterator[Text]:
    try:
        rows = json.loads("".join(_lines(path, shown)))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        hint = "give a JSON list, or name a file of one object a line .jsonl"
        raise InputError(f"{shown} is not JSON: {error.msg} ({where})", _OPTION, hint) from None
    except RecursionError:
        raise InputError(f"{shown} is nested too deep", _OPTION, 'give a list of strings or of {"text": ...}') from None
    if not isinstance(rows, list):
        raise InputError(
            f"{shown} holds {_kind(rows)}, not a list", _OPTION, 'give a list of strings or of {"text": ...}'
        )
    for number, row in enumerate(rows):
        entry = {FIELD: row} if isinstance(row, str) else row
        yield Text(f"{shown}[{number}]", _text_of(entry, FIELD, f"{shown}, entry {number}"))


def _parquet(path: Path, shown: str) -> Iterator[Text]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if FIELD not in names:
                raise InputError(
                    f'{shown} has no column "{FIELD}" (it has {", ".join(names) or "none"})',
                    _OPTION,
                    "rename the column",
                )
            number = 0
            for batch in file.iter_batches(batch_size=256, columns=[FIELD]):
                for value in batch.column(0).to_pylist():
                    yield Text(f"{shown}[{number}]", _text_of({FIELD: value}, FIELD, f"{shown}, row {number}"))
                    number += 1
    except pa.ArrowException as error:
        raise InputError(f"{shown} is no readable parquet file: {error}", _OPTION, "check the file") from None


def _text_of(row: Any, name: str, where: str) -> str:
    """Return the text in a row; a missing value is an empty document, which is passed over as too short."""
    if not isinstance(row, dict):
        raise InputError(f"{where} holds {_kind(row)}", _OPTION, f'give objects with a field "{name}"')
    if name not in row:
        raise InputError(
            f'{where} has no field "{name}" (it has {", ".join(map(str, row)) or "none"})',
            _OPTION,
            f'name the field with the text "{name}"',
        )
    value = row[name]
    if value is not None and not isinstance(value, str):
        raise InputError(f'the field "{name}" of {where} holds {_kind(value)}', _OPTION, "give a string")
    text: str = value or ""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{where} holds half of a surrogate pair, which is no character", _OPTION, "leave that document out"
        ) from None
    return text


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def _hub(name: str) -> Texts:
    """Open a Hub data set as a stream: ``hf:dataset[:config][:split][:field]``, an empty part means the default."""
    parts = name.removeprefix(HUB_PREFIX).split(":")
    if not parts[0] or len(parts) > 4:
        raise InputError(f"{name} names no data set", _OPTION, "give hf:dataset[:config][:split][:field]")
    dataset, config, split, column = (*parts, "", "", "")[:4]
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"{name} needs the package datasets, which is not installed", _OPTION, "pip install 'neuronull[hub]'"
        ) from None
    try:
        stream = datasets.load_dataset(dataset, config or None, split=split or None, streaming=True)
    except Exception as error:  # the library raises anything from ConnectionError to ValueError
        raise _unreachable(name, error) from None
    warnings = []
    if not split:
        split = next((known for known in SPLITS if known in stream), next(iter(stream)))
        warnings.append(f"no split was named: {split} of {', '.join(stream)} is read")
        stream = stream[split]
    return Texts(name, _hub_texts(name, stream, f"{dataset}:{split}", column or FIELD), warnings)


def _hub_texts(name: str, stream: Any, shown: str, column: str) -> Iterator[Text]:
    rows = iter(stream)
    number = 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:  # as in `_hub`: the network may fail half-way
            raise _unreachable(name, error) from None
        yield Text(f"{shown}[{number}]", _text_of(row, column, f"{shown}, row {number}"))
        number += 1


def _unreachable(name: str, error: Exception) -> InputError:
    return InputError(
        f"{name} cannot be read: {type(error).__name__}: {error}",
        _OPTION,
        "check the name and the connection to the Hub",
    )
