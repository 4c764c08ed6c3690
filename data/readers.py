"""What a corpus can be, as a stream of texts: files, folders, Hub data sets, the embedded corpus, texts in Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .cluster_rules import OPTION as GROUP
from .cluster_rules import WITHOUT_FIELDS
from .errors import InputError
from .options import EMBEDDED_CORPUS
from .prose import Headings, Text, find_headings, read_prose
from .rows import FIELD, Field, read_arrow, read_csv, read_json, read_json_lines, read_parquet, text_in
from .streams import FORMATS, OPTION, split_suffix

HUB_PREFIX = "hf:"
SPLITS = ("validation", "test", "train")
"""Splits of a Hub data set in the order of preference, where none is named: text that models saw least comes first."""

FIELD_MARK = "#"
"""Stands between a file or folder and the field of the text."""

_TABLES: dict[str, Callable[[Path, str, Field], Iterator[Text]]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".jsonlines": read_json_lines,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".tab": read_csv,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
}
_NOT_STREAMED = frozenset({".parquet", ".arrow", ".feather"})
"""Formats that are read from both ends, and are compressed inside."""

_REFUSED = {
    "save its text as .txt or .jsonl": ".htm .html .xhtml .xml .svg .pdf .doc .docx .odt .rtf .epub .ipynb .yaml .yml",
    "save it as .csv or .parquet": ".xls .xlsx .ods .orc .avro .h5 .hdf5 .db .sqlite .sqlite3 .duckdb .dta .sav .rds",
    "unpack it first": ".zip .tar .tgz .tbz2 .7z .rar .xz .z",
    "it holds no text": ".npy .npz .pt .pth .bin .pkl .pickle .safetensors .gguf .png .jpg .jpeg .gif .mp3 .mp4 .wav",
}
"""What to do about files that are no text, by suffix: read as prose, their markup or bytes would be measured."""

_HINTS = {suffix: hint for hint, suffixes in _REFUSED.items() for suffix in suffixes.split()}

_BESIDE_TABLES = frozenset(
    {"readme.md", "readme.txt", "license", "license.md", "license.txt", "dataset_infos.json", "dataset_info.json",
     "dataset_dict.json", "state.json"}
)  # fmt: skip
"""Files that describe a data set, left out of a folder that holds one; in lower case."""


@dataclass(frozen=True)
class Texts:
    """A corpus that is being read.

    Parameters
    ----------
    id
        The name under which results speak of it, without folders.
    texts
        Its texts, one after the other.
    where
        How the user named it, for errors.
    split
        How it is split into documents, where that is not its format's; for errors.
    warnings
        What the reader must know of how it is read.
    """

    id: str
    texts: Iterator[Text]
    where: str
    split: str = ""
    warnings: list[str] = field(default_factory=list)


def open_texts(corpus: str | Sequence[str], group: str | None = None) -> Texts:
    """Return the texts that a corpus name stands for, or those given; see `neuronull.data.corpora.load_corpus`.

    Parameters
    ----------
    corpus
        Its name, or the texts.
    group
        The field of its rows that tells what they share with others; None for sub-folders, packages, or nothing.

    Raises
    ------
    InputError
        If there is no such corpus; while reading, if a text cannot be read.
    """
    if group and (not isinstance(corpus, str) or corpus == EMBEDDED_CORPUS):
        raise InputError("this corpus has no fields", f"{GROUP} {group}", WITHOUT_FIELDS)
    if not isinstance(corpus, str):
        given = (Text(f"text {number}", text) for number, text in enumerate(corpus))
        return Texts(f"{len(corpus)} texts given in Python", given, "corpus")
    if corpus == EMBEDDED_CORPUS:
        return _embedded()
    if corpus.startswith(HUB_PREFIX):
        return _hub(corpus, group)
    path, name = _path_and_field(corpus)
    if not path.is_dir() and not path.is_file():
        raise InputError(f"{path} is neither a file nor a folder", OPTION, "save the text to a file first")
    identity = path.resolve().name
    files = _files(path) if path.is_dir() else [(path, identity)]
    prose = [file for file in files if _is_prose(file[0])]
    if name and prose:
        raise InputError(f"{prose[0][1]} is read as text and has no fields", f"{OPTION} {corpus}", f"give {FORMATS}")
    if group and prose:
        raise InputError(f"{prose[0][1]} is read as text and has no fields", f"{GROUP} {group}", WITHOUT_FIELDS)
    headings = find_headings(prose)
    return Texts(
        identity + (f"{FIELD_MARK}{name}" if name else ""),
        _read(files, Field(name, f"{OPTION} {path}{FIELD_MARK}{{}}", group), headings),
        f"{OPTION} {corpus}",
        headings.told,
        headings.warnings,
    )


def _path_and_field(corpus: str) -> tuple[Path, str | None]:
    """Return the path of ``FILE`` or ``FILE#field``, and the field; a file that has the mark in its name is a file."""
    if not corpus.strip():
        raise InputError("no corpus is named", OPTION, f"give a path, hf:dataset, or {EMBEDDED_CORPUS}")
    path = Path(corpus).expanduser()
    if path.exists():
        return path, None
    before, mark, name = corpus.rpartition(FIELD_MARK)
    if before and Path(before).expanduser().exists():
        if not name:
            raise InputError(f"no field is named behind {FIELD_MARK}", f"{OPTION} {corpus}", "name it, or take it away")
        return Path(before).expanduser(), name
    hint = f"give a path, hf:dataset, or {EMBEDDED_CORPUS} for the embedded one"
    raise InputError(f"no such file or directory: {before if mark else corpus}", OPTION, hint)


def _embedded() -> Texts:
    from .embedded.corpus import held_out_documents

    held_out = held_out_documents()
    pairs = zip(held_out.documents, held_out.packages, strict=True)
    texts = (Text(source, text, group=package) for (source, text), package in pairs)
    return Texts(EMBEDDED_CORPUS, texts, f"{OPTION} {EMBEDDED_CORPUS}")


def _files(folder: Path) -> list[tuple[Path, str]]:
    """Return the files of a folder and those below it with their relative paths, sorted; hidden ones are left out."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    if any(split_suffix(path)[0] in _TABLES and path.name.lower() not in _BESIDE_TABLES for path in found):
        found = [path for path in found if path.name.lower() not in _BESIDE_TABLES]
    shown = [(path, path.relative_to(folder).as_posix()) for path in found]
    return sorted(shown, key=lambda file: file[1])


def _is_prose(path: Path) -> bool:
    suffix, _ = split_suffix(path)
    return path.is_file() and suffix not in _TABLES and suffix not in _HINTS


def _read(files: list[tuple[Path, str]], wanted: Field, headings: Headings) -> Iterator[Text]:
    """Yield the texts of files; where no field tells the group, it is the sub-folder, if there are sub-folders."""
    nested = wanted.group is None and any("/" in shown for _, shown in files)
    for path, shown in files:
        folder = shown.rpartition("/")[0]
        for text in _file(path, shown, wanted, headings):
            yield replace(text, group=folder) if nested else text


def _file(path: Path, shown: str, wanted: Field, headings: Headings) -> Iterator[Text]:
    """Yield the texts of one file, by its suffix."""
    suffix, codec = split_suffix(path)
    if not path.is_file():
        raise InputError(f"{shown} is no regular file", OPTION, "leave it out")
    if suffix in _HINTS:
        raise InputError(f"{shown} is a {suffix} file, which is not read as text", OPTION, _HINTS[suffix])
    if codec and suffix in _NOT_STREAMED:
        raise InputError(f"{shown} is compressed as a whole", OPTION, f"unpack it: {suffix} compresses inside")
    try:
        reader = _TABLES.get(suffix)
        yield from reader(path, shown, wanted) if reader else read_prose(path, shown, headings.enough)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{shown} is not UTF-8 text: byte 0x{error.object[error.start]:02x} cannot be decoded",
            OPTION,
            f"convert it to UTF-8, or give {FORMATS}",
        ) from None
    except OSError as error:
        said = error.strerror or f"it is damaged or not {codec or 'what its name says'}"
        raise InputError(f"{shown} cannot be read: {said}", OPTION, "check the file") from None


def _hub(name: str, group: str | None) -> Texts:
    """Open a Hub data set as a stream: ``hf:dataset[@revision][:config][:split][:field]``; empty parts are defaults.

    The revision (branch, tag or commit) may also stand at the end.
    """
    rest, mark, behind = name.removeprefix(HUB_PREFIX).partition("@")
    revision, colon, more = behind.partition(":")
    parts = (rest + colon + more).split(":")
    if not parts[0] or len(parts) > 4 or "@" in behind or (mark and not revision):
        form = "give hf:dataset[@revision][:config][:split][:field]"
        raise InputError(f"{name} names no data set", OPTION, form)
    dataset, config, split, column = (*parts, "", "", "")[:4]
    pinned = {"revision": revision} if revision else {}
    try:
        import datasets
    except ImportError:
        raise InputError(
            f"{name} needs the package datasets, which is not installed", OPTION, "pip install 'neuronull[hub]'"
        ) from None
    try:
        stream = datasets.load_dataset(dataset, config or None, split=split or None, streaming=True, **pinned)
    except Exception as error:  # the library raises anything from ConnectionError to ValueError
        raise _unreachable(name, error) from None
    warnings = []
    if not split:
        split = next((known for known in SPLITS if known in stream), next(iter(stream)))
        warnings.append(f"no split was named: {split} of {', '.join(stream)} is read")
        stream = stream[split]
    at = f"@{revision}" if revision else ""
    wanted = Field(column or FIELD, f"{HUB_PREFIX}{dataset}{at}:{config}:{split}:{{}}", group)
    texts = _hub_texts(name, stream, f"{dataset}:{split}", wanted)
    return Texts(name, texts, f"{OPTION} {name}", warnings=warnings)


def _hub_texts(name: str, stream: Any, shown: str, wanted: Field) -> Iterator[Text]:
    rows = iter(stream)
    number = 0
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except Exception as error:  # as in `_hub`: the network may fail half-way
            raise _unreachable(name, error) from None
        yield text_in(row, wanted, f"{shown}[{number}]", f"{shown}, row {number}")
        number += 1


def _unreachable(name: str, error: Exception) -> InputError:
    return InputError(
        f"{name} cannot be read: {type(error).__name__}: {error}",
        OPTION,
        "check the name and the connection to the Hub",
    )
