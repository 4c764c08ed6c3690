"""The single files of a measurement directory, read into typed columns and tensors.

What is checked here is the form: readable, the right columns or tensors, the right types, nothing missing.  Values are
checked by `neuronull.data.validate`, once everything is together.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from . import schema
from .errors import InputError
from .measurements import Effects, Heads, JointAblation, Manifest, Panel, PromotedTokens
from .neuron_list import NeuronList, read_neuron_list
from .regular import present

_SEE = "the format is in data/README.md"


def read_manifest(directory: Path) -> tuple[Manifest, Any]:
    """Return the manifest, and what it says under `schema.CONTENTS` (an empty mapping where it says nothing).

    Raises
    ------
    InputError
        If it is not JSON, of another format, or lacks a key.
    """
    where = schema.MANIFEST
    try:
        payload = json.loads((directory / where).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(where, error) from None
    if not isinstance(payload, dict):
        raise InputError(f"{where} holds a {type(payload).__name__}, not an object", where, _SEE)
    found = payload.get("format")
    if found != schema.FORMAT:
        raise InputError(f"format is {found!r}, this version reads {schema.FORMAT!r}", where, "measure again")
    contents = payload.pop(schema.CONTENTS, {})
    try:
        return Manifest.model_validate(payload), contents
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"{key}: {first['msg']}", where, _SEE) from None


def read_documents(directory: Path) -> pd.DataFrame:
    """Return `documents.parquet`: document int64, source str, input_ids list of int, and cluster int64 if it is there.

    Raises
    ------
    InputError
        If it cannot be read or a column is missing or of another type.
    """
    where = schema.DOCUMENTS
    table = _table(directory, where, schema.DOCUMENT_COLUMNS)
    if not table.num_rows:
        raise InputError("there are no documents", where, "write one row per document")
    rows, source = _lists(table, "input_ids", where, "document"), _texts(table, "source", where)
    columns = {"document": _integers(table, "document", where), "source": source, "input_ids": rows}
    if schema.CLUSTER in table.column_names:
        columns[schema.CLUSTER] = _integers(table, schema.CLUSTER, where)
    return pd.DataFrame(columns)


def read_panel(directory: Path) -> Panel:
    """Return `panel.parquet`.

    Raises
    ------
    InputError
        If it cannot be read or a column is missing or of another type.
    """
    where = schema.PANEL
    table = _table(directory, where, tuple(schema.PANEL_FIELDS))
    columns: dict[str, Any] = {
        name: _integers(table, column, where) for column, name in schema.PANEL_FIELDS.items() if column != "loss"
    }
    return Panel(loss=_numbers(table, "loss", where), **columns)


def read_neurons(directory: Path) -> pd.DataFrame | None:
    """Return `neurons.parquet`, further columns included; ``None`` where there is none.

    Raises
    ------
    InputError
        If it cannot be read or a column is missing or of another type.
    """
    where = schema.NEURONS
    if not present(directory / where, where):
        return None
    table = _table(directory, where, schema.NEURON_COLUMNS)
    for column in schema.NEURON_COLUMNS:
        _numbers(table, column, where)
    return table.to_pandas(use_threads=False)


def read_tensors(directory: Path, file: schema.TensorFile) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file; none where there is no such file.  float16 becomes float32.

    Raises
    ------
    InputError
        If it cannot be read, lacks a tensor, or holds one of another type.
    """
    path = directory / file.name
    if not present(path, file.name):
        return {}
    try:
        with safe_open(path, framework="pt") as archive:
            names = set(archive.keys())
            tensors = {name: archive.get_tensor(name) for name in file.dtypes if name in names}
    except (OSError, SafetensorError, ValueError) as error:
        raise _unreadable(file.name, error) from None
    lacking = [name for name in file.dtypes if name not in names]
    if lacking and (file.whole or not tensors):
        had = ", ".join(sorted(names)) or "none"
        raise InputError(f"{file.name} has no tensor {lacking[0]} (it has {had})", file.name, _SEE)
    for name, tensor in tensors.items():
        found = str(tensor.dtype).removeprefix("torch.")
        if found not in file.dtypes[name]:
            raise InputError(f"{name} is {found}", file.name, f"store it as {' or '.join(file.dtypes[name])}")
    return {name: tensor.float() if tensor.dtype == torch.float16 else tensor for name, tensor in tensors.items()}


def read_heads(directory: Path) -> Heads | None:
    """Return `heads.safetensors`, ``None`` where there is none.

    Raises
    ------
    InputError
        If it cannot be read, lacks a tensor, or holds one of another type or number of dimensions.
    """
    tensors = read_tensors(directory, schema.HEAD_TENSORS)
    if not tensors:
        return None
    for name in ("neuron", "layer", "head", "reachable"):
        if tensors[name].dim() != 1:
            raise InputError(f"{name} has shape {list(tensors[name].shape)}, not one dimension", schema.HEADS, _SEE)
    return Heads(
        effect=tensors["effect"],
        neuron=tensors["neuron"],
        layer=tensors["layer"].numpy(),
        head=tensors["head"].numpy(),
        reachable=tensors["reachable"].bool().numpy(),
    )


def read_closure(directory: Path) -> JointAblation | None:
    """Return `closure.safetensors` with its list of sets, ``None`` where there is none.

    Raises
    ------
    InputError
        If one of the two files is missing or cannot be read.
    """
    tensors = read_tensors(directory, schema.CLOSURE_TENSORS)
    if not tensors:
        return None
    if not present(directory / schema.CLOSURE_SETS, schema.CLOSURE_SETS):
        raise InputError(f"there is {schema.CLOSURE} but no {schema.CLOSURE_SETS}", schema.CLOSURE, _SEE)
    where = schema.CLOSURE_SETS
    table = _table(directory, where, schema.CLOSURE_COLUMNS)
    sets = table.to_pandas(use_threads=False)
    sets["members"] = _lists(table, "members", where, "set")
    return JointAblation(tensors["loss"], sets)


def read_effects(directory: Path) -> Effects | None:
    """Return `effects.safetensors`, ``None`` where there is none.

    Raises
    ------
    InputError
        If it cannot be read, lacks a tensor, or holds one of another type.
    """
    tensors = read_tensors(directory, schema.EFFECT_TENSORS)
    return Effects(tensors["signed"], tensors["absolute"]) if tensors else None


def read_set(directory: Path) -> NeuronList | None:
    """Return `set.json`, ``None`` where there is none.

    Raises
    ------
    InputError
        If it cannot be read, or is no set of neurons.
    """
    if not present(directory / schema.NEURON_LIST, schema.NEURON_LIST):
        return None
    return read_neuron_list(directory / schema.NEURON_LIST, schema.NEURON_LIST)


def read_tokens(directory: Path) -> pd.DataFrame | None:
    """Return `tokens.parquet`, ``None`` where there is none.

    Raises
    ------
    InputError
        If it cannot be read or a column is missing or of another type.
    """
    where = schema.TOKENS
    if not present(directory / where, where):
        return None
    table = _table(directory, where, schema.TOKEN_COLUMNS)
    texts = pd.Series(_texts(table, "text", where), dtype=object)
    return pd.DataFrame({"token": _integers(table, "token", where), "text": texts})


def read_promoted(directory: Path) -> PromotedTokens | None:
    """Return `promoted.safetensors`, ``None`` where there is none.

    Raises
    ------
    InputError
        If it cannot be read, lacks a tensor, or holds one of another type.
    """
    tensors = read_tensors(directory, schema.PROMOTED_TENSORS)
    return PromotedTokens(tensors["raised"], tensors["lowered"]) if tensors else None


def _texts(table: pa.Table, column: str, where: str) -> list[str]:
    """Column of a table that holds text; nothing reads as empty."""
    found = table[column]
    if pa.types.is_dictionary(found.type):
        found = found.cast(found.type.value_type)
    if not (pa.types.is_string(found.type) or pa.types.is_large_string(found.type)):
        raise InputError(f"the column {column} holds {found.type}", where, "it must hold text")
    return ["" if text is None else text for text in found.to_pylist()]


def _table(directory: Path, name: str, columns: tuple[str, ...]) -> pa.Table:
    try:
        with pq.ParquetFile(directory / name) as file:  # not `read_table`: it reads columns into names of folders
            table = file.read(use_threads=False)  # the tables are small; threads would wait for each other
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(name, error) from None
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        had = ", ".join(table.column_names) or "none"
        raise InputError(f"{name} has no column {missing[0]} (it has {had})", name, _SEE)
    return table


def _integers(table: pa.Table, column: str, where: str) -> npt.NDArray[np.int64]:
    values = table[column]
    if values.null_count:
        raise InputError(f"the column {column} has {values.null_count:,} missing values", where, "write every row")
    if not pa.types.is_integer(values.type):
        raise InputError(f"the column {column} holds {values.type}", where, "it must hold whole numbers")
    return np.array(values.to_numpy(), dtype=np.int64)


def _numbers(table: pa.Table, column: str, where: str) -> npt.NDArray[np.float64]:
    values = table[column]  # a missing number is NaN, which whoever checks the values refuses or not
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        raise InputError(f"the column {column} holds {values.type}", where, "it must hold numbers")
    return np.array(values.to_numpy(), dtype=np.float64)


def _lists(table: pa.Table, column: str, where: str, unit: str) -> list[list[int]]:
    """Return a column of lists of whole numbers; `unit` is what a row is."""
    values = table[column]
    if not _is_list(values.type) or not pa.types.is_integer(values.type.value_type):
        raise InputError(f"the column {column} holds {values.type}", where, "it must hold lists of whole numbers")
    rows: list[list[int]] = values.to_pylist()
    missing = [row for row, found in enumerate(rows) if found is None or None in found]
    if missing:
        raise InputError(f"{column} of {unit} {missing[0]} has missing values", where, "write every number")
    return rows


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _unreadable(name: str, error: Exception) -> InputError:
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return InputError(f"{name} cannot be read: {said}", "", "it is damaged or not what its name says; write it again")
