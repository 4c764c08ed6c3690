"""Corpus files that hold one text per row: JSON, JSON lines, CSV, TSV, Parquet and Arrow."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cluster_rules import OPTION as GROUP
from .cluster_rules import WITHOUT_FIELDS
from .errors import InputError
from .prose import Text
from .streams import LONGEST, OPTION, lines, open_bytes, split_suffix, too_long

FIELD = "text"
"""Field of the text, where none is named."""

MOST_JSON = 250_000_000
"""Bytes of a `.json` file at most: it cannot be read in part."""

_ROWS = 16
"""Rows of a Parquet file read at a time: each may hold `LONGEST` characters."""

_NAMES, _NAME_LENGTH = 12, 40
"""Names of fields that a message lists, and characters of each."""

_SAID = 200
"""Characters of another library's message that are repeated."""


@dataclass(frozen=True)
class Field:
    """The field that holds the text.

    Parameters
    ----------
    name
        Its name, or ``a.b`` for field ``b`` of the object in field ``a``; None where the user named none, which means
        `FIELD`, and rows that are strings.
    naming
        How the user names another, with ``{}`` where the name stands.
    group
        The field that tells what a row shares with others (`neuronull.data.clusters`), named alike; None for none.
    """

    name: str | None
    naming: str
    group: str | None = None

    @property
    def path(self) -> str:
        """The name, or the default."""
        return self.name or FIELD

    def hint(self, names: Sequence[str]) -> str:
        """Tell how to name another field, one of `names` as an example."""
        other = [name for name in names if name != self.path]
        return "name the field that holds the text: " + self.naming.format(other[0] if other else "FIELD")


def text_of(row: Any, field: Field, where: str) -> str:
    """Return the text in a row; a missing value is an empty document, which is passed over as too short.

    Raises
    ------
    InputError
        If the row has no such field, or it holds no text.
    """
    if isinstance(row, str) and field.name is None:
        value: Any = row
    elif not isinstance(row, Mapping):
        raise InputError(f"{where} holds {kind_of(row)}", OPTION, f'give objects with a field "{field.path}"')
    else:
        value = _inside(row, field, where)
    if value is not None and not isinstance(value, str):
        raise InputError(f'the field "{field.path}" of {where} holds {kind_of(value)}', OPTION, "give a string")
    text: str = value or ""
    if len(text) > LONGEST:
        raise too_long(where)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(
            f"{where} holds half of a surrogate pair, which is no character", OPTION, "leave that document out"
        ) from None
    return text


def text_in(row: Any, field: Field, source: str, where: str) -> Text:
    """Return the text in a row, and its group.

    Raises
    ------
    InputError
        If the row has no such field, or it does not hold a text, or a group that is a string, a number or nothing.
    """
    text = text_of(row, field, where)
    if field.group is None:
        return Text(source, text)
    if not isinstance(row, Mapping):
        raise InputError(f"{where} holds {kind_of(row)}, which has no fields", f"{GROUP} {field.group}", WITHOUT_FIELDS)
    try:
        value = _inside(row, Field(field.group, "{}"), where)
    except InputError as error:
        raise InputError(error.what, f"{GROUP} {field.group}", "name a field that every row has") from None
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int | float)):
        raise InputError(f'the field "{field.group}" of {where} holds {kind_of(value)}', GROUP,
                         "name a field of strings or numbers")  # fmt: skip
    return Text(source, text, group="" if value is None else str(value))


def kind_of(value: Any) -> str:
    """Return what a value is, in words."""
    if isinstance(value, Mapping):
        return "an object"
    kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null", bytes: "bytes"}
    return kinds.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)


def read_json_lines(path: Path, shown: str, field: Field) -> Iterator[Text]:
    """Yield the texts of a file of one JSON object, or string, per line."""
    for number, line in lines(path, shown):
        if not line.strip():
            continue
        where = f"{shown}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            said = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else _fault(error)
            raise InputError(f"{where} is not JSON: {said}", OPTION, "give one JSON object per line") from None
        yield text_in(row, field, f"{shown}:{number}", where)


def read_json(path: Path, shown: str, field: Field) -> Iterator[Text]:
    """Yield the texts of a JSON list, which may stand in a field; a file of JSON lines is read as what it is."""
    with open_bytes(path, shown) as stream:
        content = stream.read(MOST_JSON + 1)
    if len(content) > MOST_JSON:
        raise InputError(
            f"{shown} has more than {MOST_JSON:,} bytes, all of which must be read at once", OPTION, "save it as .jsonl"
        )
    text = content.decode("utf-8-sig")
    if "\0" in text:
        raise InputError(f"{shown} is binary: it holds NUL bytes", OPTION, "give JSON as text")
    del content
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if _more_lines(text, error):
            yield from read_json_lines(path, shown, field)
            return
        said = _fault(error)
        if isinstance(error, json.JSONDecodeError):
            said = f"{error.msg} (line {error.lineno}, column {error.colno})"
        hint = "give a JSON list, or name a file of one object per line .jsonl"
        raise InputError(f"{shown} is not JSON: {said}", OPTION, hint) from None
    rows, inner = _json_rows(value, shown, field)
    for number, row in enumerate(rows):
        yield text_in(row, inner, f"{shown}[{number}]", f"{shown}, entry {number}")


def read_csv(path: Path, shown: str, field: Field) -> Iterator[Text]:
    """Yield the texts in a column of a CSV or TSV file with a header."""
    import pyarrow as pa
    import pyarrow.csv as pc

    delimiter = "," if split_suffix(path)[0] == ".csv" else "\t"
    names = _header(path, shown, delimiter)
    if not names:
        return
    _check_columns(names, field, shown)
    read = _columns(field)
    options = {
        "read_options": pc.ReadOptions(use_threads=False, block_size=LONGEST),  # a record must fit a block
        "parse_options": pc.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        "convert_options": pc.ConvertOptions(include_columns=read, column_types=dict.fromkeys(read, pa.string())),
    }
    try:
        with open_bytes(path, shown) as stream, closing(pc.open_csv(stream, **options)) as reader:
            yield from _column_texts(reader, field, shown)
    except pa.ArrowInvalid as error:
        if "straddling" in str(error):
            raise too_long(f"a row of {shown}") from None
        raise _unreadable(shown, "CSV" if delimiter == "," else "TSV", error) from None


def read_parquet(path: Path, shown: str, field: Field) -> Iterator[Text]:
    """Yield the texts in a column of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_columns(_leaves(file.schema_arrow), field, shown)
            batches = file.iter_batches(batch_size=_ROWS, columns=_columns(field))
            yield from _column_texts(batches, field, shown)
    except pa.ArrowException as error:
        raise _unreadable(shown, "parquet", error) from None


def read_arrow(path: Path, shown: str, field: Field) -> Iterator[Text]:
    """Yield the texts in a column of an Arrow file (Feather), or of an Arrow stream as `datasets` saves it."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            try:
                file = pa.ipc.open_file(source)
            except pa.ArrowInvalid:
                source.seek(0)
                reader = pa.ipc.open_stream(source)
                schema, batches = reader.schema, iter(reader)
            else:
                schema, batches = file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
            _check_columns(_leaves(schema), field, shown)
            top = [name if name in schema.names else name.partition(".")[0] for name in _columns(field)]
            top = list(dict.fromkeys(top))
            yield from _column_texts((batch.select(top) for batch in batches), field, shown)
    except pa.ArrowException as error:
        raise _unreadable(shown, "Arrow", error) from None


def _column_texts(batches: Iterable[Any], field: Field, shown: str) -> Iterator[Text]:
    """Yield the texts of record batches of the columns that are read."""
    number = 0
    for batch in batches:
        columns = list(zip(batch.schema.names, batch.columns, strict=True))
        for row in range(batch.num_rows):
            held = {name: column[row].as_py() for name, column in columns}
            yield text_in(held, field, f"{shown}[{number}]", f"{shown}, row {number}")
            number += 1


def _header(path: Path, shown: str, delimiter: str) -> list[str]:
    """Return the names in the first line of a CSV file; none if it is empty."""
    try:
        return next(csv.reader((line for _, line in lines(path, shown)), delimiter=delimiter), [])
    except csv.Error as error:
        raise _unreadable(shown, "CSV", error) from None


def _leaves(schema: Any) -> list[str]:
    """Return the columns of an Arrow schema, those inside structs with dots."""
    import pyarrow as pa

    found, queue = list[str](), [("", column) for column in schema]
    while queue:
        prefix, column = queue.pop(0)
        if pa.types.is_struct(column.type):
            queue += [(f"{prefix}{column.name}.", column.type.field(i)) for i in range(column.type.num_fields)]
        else:
            found.append(prefix + column.name)
    return found


def _columns(field: Field) -> list[str]:
    """Return the columns that are read: the text's, and the group's if one is named."""
    return list(dict.fromkeys([field.path, *([field.group] if field.group else [])]))


def _check_columns(names: Sequence[str], field: Field, shown: str) -> None:
    _check_column(names, field, shown)
    if field.group and field.group not in names:
        raise InputError(f'{shown} has no column "{field.group}" (it has {_listed(names)})', f"{GROUP} {field.group}",
                         "name one of them")  # fmt: skip


def _check_column(names: Sequence[str], field: Field, shown: str) -> None:
    found = names.count(field.path)
    if found == 1:
        return
    if found:
        raise InputError(f'{shown} has {found} columns "{field.path}"', OPTION, "give each column a name of its own")
    raise InputError(f'{shown} has no column "{field.path}" (it has {_listed(names)})', OPTION, field.hint(names))


def _inside(row: Mapping[str, Any], field: Field, where: str) -> Any:
    """Return what stands at a field's path; None if an object on the way is missing its value."""
    value: Any = row
    rest = field.path
    while rest:
        if value is None:
            return None
        head, rest = _step(value, rest)
        if not isinstance(value, Mapping) or head not in value:
            names = _paths(row)
            what = f'{where} has no field "{field.path}" (it has {_listed(list(names))})'
            raise InputError(what, OPTION, field.hint([name for name, text in names.items() if text]))
        value = value[head]
    return value


def _step(value: Any, path: str) -> tuple[str, str]:
    """Return the first name of a path and the rest of it; a name that has dots in it is taken whole."""
    if isinstance(value, Mapping) and path in value:
        return path, ""
    head, _, rest = path.partition(".")
    return head, rest


def _paths(row: Mapping[str, Any], prefix: str = "", depth: int = 3) -> dict[str, bool]:
    """Return the fields of a row, those of objects in it with dots, each with whether it holds text."""
    found: dict[str, bool] = {}
    for name, value in row.items():
        if isinstance(value, Mapping) and value and depth > 1:
            found |= _paths(value, f"{prefix}{name}.", depth - 1)
        else:
            found[f"{prefix}{name}"] = isinstance(value, str)
    return found


def _listed(names: Sequence[str]) -> str:
    shown = [name if len(name) <= _NAME_LENGTH else f"{name[:_NAME_LENGTH]}..." for name in names[:_NAMES]]
    return (", ".join(shown) or "none") + (", ..." if len(names) > _NAMES else "")


def _json_rows(value: Any, shown: str, field: Field) -> tuple[list[Any], Field]:
    """Return the rows of a JSON file, and the field inside each: the list may be the file, or stand in a field."""
    rest = field.name
    while isinstance(value, dict) and rest:
        head, left = _step(value, rest)
        if head not in value:
            break
        value, rest = value[head], left
    if isinstance(value, list):
        return value, Field(rest or None, field.naming, field.group)
    lists = [name for name, held in value.items() if isinstance(held, list)] if isinstance(value, dict) else []
    hint = 'give a list of strings or of {"text": ...}'
    if lists:
        hint = f"name the field that holds the list: {field.naming.format(lists[0])}"
    raise InputError(f"{shown} holds {kind_of(value)}, not a list", OPTION, hint)


def _more_lines(text: str, error: Exception) -> bool:
    """Whether a JSON error is that a whole first line is followed by others."""
    if not isinstance(error, json.JSONDecodeError) or error.msg != "Extra data":
        return False
    first = text[: error.pos]
    return "\n" in first and "\n" not in first.strip()


def _fault(error: Exception) -> str:
    """Return what is wrong with JSON where no place is known: it is nested too deep, or holds a number too long."""
    return "nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())[:_SAID]


def _unreadable(shown: str, kind: str, error: Exception) -> InputError:
    said = " ".join(str(error).split())[:_SAID]
    return InputError(f"{shown} is no readable {kind} file: {said}", OPTION, "check the file")
