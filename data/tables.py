"""Small tables that a user gives: CSV, TSV or parquet, as rows of named values."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from .errors import InputError

SUFFIXES = (".csv", ".tsv", ".parquet")


def read_rows(file: Path, where: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the column names of a table, and its rows.

    Parameters
    ----------
    file
        One of `SUFFIXES`; anything that is not ``.parquet`` is read as text with a line of names at its top.  Values of
        text tables are text, and nothing in them means "missing": a token may be spelled ``NA``.
    where
        The option that errors name.

    Raises
    ------
    InputError
        If it cannot be read, has no rows, or a row has other columns than the first line.
    """
    import pyarrow as pa  # options are checked where nothing heavy may be imported yet

    try:
        columns, rows = _parquet(file) if file.suffix.lower() == ".parquet" else _delimited(file, where)
    except UnicodeDecodeError:
        raise InputError(f"{file.name} is not UTF-8 text", where, "save it as UTF-8") from None
    except (OSError, pa.ArrowException, csv.Error) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{file.name} cannot be read: {said}", where, "check the file") from None
    if not rows:
        raise InputError(f"{file.name} has no rows", where, "give a line of column names, then one row per entry")
    return columns, rows


def _parquet(file: Path) -> tuple[list[str], list[dict[str, Any]]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as opened:
        table = opened.read(use_threads=False)
    return list(table.column_names), table.to_pylist()


def _delimited(file: Path, where: str) -> tuple[list[str], list[dict[str, Any]]]:
    delimiter = "\t" if file.suffix.lower() == ".tsv" else ","
    with file.open(encoding="utf-8-sig", newline="") as text:
        lines = csv.reader(text, delimiter=delimiter, strict=True)
        columns = [name.strip() for name in next(lines, [])]
        rows = []
        for line in lines:
            if not line:
                continue
            if len(line) != len(columns):
                what = f"line {lines.line_num} of {file.name} has {len(line)} values, its first line {len(columns)}"
                raise InputError(what, where, "give one value per column")
            rows.append(dict(zip(columns, line, strict=True)))
    return columns, rows
