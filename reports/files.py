"""Results on disk: written whole or not at all, the same bytes for equal results, read back with one-line errors."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import ValidationError

from ..data.errors import InputError
from ..data.regular import present
from ..hypotheses.result import COLUMNS, FORMAT, Finding, Result

JSON_NAME, PARQUET_NAME, CSV_NAME, PROVENANCE_NAME = "results.json", "results.parquet", "results.csv", "provenance.json"
FIRST_FORMAT = "1"
"""Read as well, through `neuronull.hypotheses.upgrade`."""


def write_results(result: Result, directory: Path | str) -> None:
    """Write ``results.json``, ``results.parquet``, ``results.csv`` and ``provenance.json`` into `directory`.

    And the data frames of the run, where the result still has them, each as a Parquet file of its name.

    Raises
    ------
    InputError
        If the directory cannot be written.
    """
    directory = Path(directory)
    provenance = json.dumps(result.provenance, indent=1, sort_keys=True, default=str, ensure_ascii=False) + "\n"
    write_file(directory / JSON_NAME, result_json(result).encode())
    write_file(directory / PARQUET_NAME, _parquet(result))
    write_file(directory / CSV_NAME, result_csv(result).encode())
    write_file(directory / PROVENANCE_NAME, provenance.encode())
    for name, frame in result.frames.items():
        write_file(directory / f"{name}.parquet", _frame(frame))


def read_frame(directory: Path, name: str) -> Any:
    """Return a data frame that a run left.

    Raises
    ------
    InputError
        If the run left none, or it cannot be read.
    """
    import pandas as pd

    path = directory / f"{name}.parquet"
    if not present(path, str(directory)):
        raise InputError(f"this run left no {path.name}", str(directory), "run it again: older versions wrote none")
    try:
        return pd.read_parquet(path)
    except Exception as error:  # a damaged file may raise anything
        raise InputError(f"{path.name} cannot be read ({type(error).__name__})", str(directory), "run again") from None


def _frame(frame: Any) -> bytes:
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False, compression="zstd")
    return sink.getvalue()


def result_json(result: Result) -> str:
    """``results.json``: the whole result without its provenance; not-a-number and infinity become null."""
    unused = {name for name in ("multiverse", "set_effects", "members") if getattr(result, name) is None}
    return result.model_dump_json(indent=1, exclude=unused) + "\n"


def result_csv(result: Result) -> str:
    """``results.csv``: the stable columns, an empty cell where nothing was computed, floats in full.

    Text that a spreadsheet would take for a formula has an apostrophe in front.
    """
    return csv_text(COLUMNS, ([row[name] for name in COLUMNS] for row in _rows(result)))


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV under a line of column names; no cell of text is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_no_formula(name) for name in columns])
    writer.writerows([_no_formula(value) for value in row] for row in rows)
    return text.getvalue()


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _rows(result: Result) -> list[dict[str, Any]]:
    return [f.model_dump(include=set(COLUMNS), mode="json") for f in result.findings]


def column_types() -> dict[str, type]:
    """Type of each stable column, from `Finding`; the same whether or not a column holds a value."""
    kinds: dict[str, type] = {}
    for name in COLUMNS:
        annotation = Finding.model_fields[name].annotation
        options = [t for t in get_args(annotation) or (annotation,) if t is not NoneType]
        kinds[name] = next((t for t in (int, float) if t in options), str)
    return kinds


def _parquet(result: Result) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = {int: pa.int64(), float: pa.float64(), str: pa.string()}
    schema = pa.schema([pa.field(name, arrow[kind]) for name, kind in column_types().items()])
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(_rows(result), schema=schema), sink, compression="zstd")
    return bytes(sink.getvalue().to_pybytes())


def write_file(path: Path, content: bytes) -> None:
    """Write `path` through a neighbour and a rename, so that a half-written file never has its name.

    Raises
    ------
    InputError
        If the disk or the permissions do not let it.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True) if beside.parent.is_dir() else None
        raise InputError(
            f"cannot write: {error.strerror or error}", str(path), "choose another --out or free space"
        ) from error


def load_result(source: Path | str) -> Result:
    """Read a result back from a run's directory or its ``results.json``; provenance too where it lies beside.

    Raises
    ------
    InputError
        If there is no result, or the file is of no format that this version reads.
    """
    path = Path(source)
    if path.is_dir():
        path = path / JSON_NAME
    if not present(path, str(source)):
        raise InputError(f"no {JSON_NAME} there", str(source), "give a run's directory or its results.json")
    data = _read_json(path, "results")
    if not isinstance(data, dict) or "setup" not in data or "findings" not in data:
        raise InputError("not a neuronull result", str(path), "give a results.json written by neuronull run")
    written = data.get("format", FORMAT)
    if written not in (FIRST_FORMAT, FORMAT):
        raise InputError(
            f"result format {written!r}, this version reads {FIRST_FORMAT!r} and {FORMAT!r}",
            str(path),
            "upgrade neuronull",
        )
    if written == FIRST_FORMAT:
        data = _upgraded(data, path)
    result = _validated(lambda: Result.model_validate(_finite_draws(data)), path)
    beside = path.with_name(PROVENANCE_NAME)
    if beside.exists():
        provenance = _read_json(beside, "provenance")
        result.provenance = provenance if isinstance(provenance, dict) else {}
    return result


def _upgraded(data: dict[str, Any], path: Path) -> dict[str, Any]:
    from ..hypotheses.upgrade import from_format_1

    try:
        return from_format_1(data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"not a result of format {FIRST_FORMAT}: {error}", str(path), "the file is damaged") from error


def _read_json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the {what}: {error.strerror or error}", str(path)) from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits and deep nesting too
        raise InputError(
            f"the {what} are not JSON: {error}", str(path), "the file may be cut short; run again"
        ) from error


def _finite_draws(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out null draws that were written as null (not a number): the model asks for floats."""
    for finding in data["findings"] if isinstance(data["findings"], list) else []:
        if isinstance(finding, dict) and isinstance(finding.get("null_draws"), list):
            finding["null_draws"] = [v for v in finding["null_draws"] if v is not None]
    return data


def _validated(build: Callable[[], Result], path: Path) -> Result:
    try:
        return build()
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        more = f" and {error.error_count() - 1} more" if error.error_count() > 1 else ""
        raise InputError(
            f"{field}: {first['msg']}{more}", str(path), "the file is damaged or of another version"
        ) from error
