"""Measurements on disk: format 1 written whole or not at all, read with every file checked, and a cache of them.

The format is public (data/README.md): `manifest.json`, parquet and safetensors that numpy, pandas and safetensors alone
can write.  Directories written by `save` also list their files with hashes, so that a damaged copy cannot pass for
whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from . import files, schema
from .errors import InputError
from .leases import PARTIAL, leased, sweep
from .measurements import Measurements, OnDemand
from .shards import Shards
from .validate import validate, validate_checkpoint

CACHE_VARIABLE = "NEURONULL_CACHE"
"""Environment variable that moves the cache."""

_log = logging.getLogger(__name__)


def save(measurements: Measurements, directory: str | Path) -> None:
    """Write a measurement directory: it appears whole, or not at all.

    Parameters
    ----------
    measurements
        What to write; what is ``None`` gets no file.
    directory
        A path that does not exist yet, or an empty directory.

    Raises
    ------
    InputError
        If the measurements are not valid, the directory is not empty, or the disk is full or not writable.
    """
    validate(measurements)
    directory = Path(directory).expanduser().absolute()
    work = directory.with_name(f".{directory.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        _refuse_occupied(directory)
        sweep(directory.parent, directory.name)
        work.mkdir(parents=True)
        with leased(work):
            _write(measurements, work)
            for step in measurements.checkpoints:
                folder = work / schema.CHECKPOINTS / str(step)
                folder.mkdir(parents=True)
                _write(_checkpoint(measurements, step), folder)
        _refuse_occupied(directory)  # it may have been filled in the meantime
        if directory.exists():
            directory.rmdir()  # Windows does not rename onto a directory, even an empty one
        work.rename(directory)
    except (OSError, SafetensorError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"cannot write {directory}: {said}", "", "free some space or choose another place") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def load(directory: str | Path) -> Measurements:
    """Read a measurement directory and check all of it.

    Parameters
    ----------
    directory
        Written by `save`, or by hand as data/README.md says.  float16 activations come back as float32.  Its
        checkpoints are read, and checked whole, when they are asked for.

    Raises
    ------
    InputError
        If a file is missing, cannot be read, was changed since it was written, or does not hold what it should.
    """
    directory = Path(directory).expanduser()
    _refuse_incomplete(directory)
    manifest, contents = files.read_manifest(directory)
    _check_contents(directory, contents)
    influence, activations, weights = (files.read_tensors(directory, file) for file in schema.NEURON_TENSORS)
    measurements = Measurements(
        manifest=manifest,
        documents=files.read_documents(directory),
        panel=files.read_panel(directory),
        neurons=files.read_neurons(directory),
        delta_loss=influence.get("delta_loss"),
        activation=activations.get("activation"),
        mean=activations.get("mean"),
        w_in=weights.get("w_in"),
        w_out=weights.get("w_out"),
        heads=files.read_heads(directory),
        joint_ablation=files.read_closure(directory),
        effects=files.read_effects(directory),
        neuron_list=files.read_set(directory),
        tokens=files.read_tokens(directory),
        promoted=files.read_promoted(directory),
    )
    validate(measurements)
    return replace(measurements, checkpoints=_checkpoints(directory, measurements))


def checkpoints(directory: str | Path) -> dict[int, Path]:
    """Return the directory of each training step, by step; empty where there are none.

    Measurement directories and model directories keep their checkpoints alike, in `checkpoints/STEP/`.

    Raises
    ------
    InputError
        If a folder under `checkpoints/` is not named by its step.
    """
    folder = Path(directory).expanduser() / schema.CHECKPOINTS
    if not folder.is_dir():
        return {}
    steps = {}
    for path in folder.iterdir():
        if path.name.startswith(".") or not path.is_dir():
            continue
        if not (path.name.isascii() and path.name.isdigit()):
            raise InputError(
                f"{path.name!r} is no training step", f"{schema.CHECKPOINTS}/", "name each folder by its step"
            )
        steps[int(path.name)] = path
    return dict(sorted(steps.items()))


def checkpoint_place(directory: Path) -> tuple[Path, int] | None:
    """Return whose checkpoint would lie in `directory`, and of which step; None where it is no such place."""
    directory = directory.expanduser().absolute()
    whole, name = directory.parent.parent, directory.name
    if directory.parent.name != schema.CHECKPOINTS or not (whole / schema.MANIFEST).is_file():
        return None
    return (whole, int(name)) if name.isascii() and name.isdigit() else None


def save_checkpoint(checkpoint: Measurements, directory: Path, whole: Path) -> None:
    """Write measurements as a checkpoint of the measurement directory `whole`.

    Raises
    ------
    InputError
        As `save`, and if the two are not of the same documents, measured alike.
    """
    manifest, _ = files.read_manifest(whole)
    validate_checkpoint(checkpoint, manifest, files.read_documents(whole), 0)
    save(checkpoint, directory)


def _checkpoints(directory: Path, of: Measurements) -> Mapping[int, Measurements]:
    """Checkpoints of a measurement directory, each read when it is asked for."""
    manifest, documents, neurons = of.manifest, of.documents, of.n_neurons

    def read(step: int, path: Path) -> Measurements:
        with _naming(step):
            found = load(path)
            validate_checkpoint(found, manifest, documents, neurons)
        return found

    return OnDemand({step: partial(read, step, path) for step, path in checkpoints(directory).items()})


def _checkpoint(measurements: Measurements, step: int) -> Measurements:
    """One checkpoint, checked."""
    found = measurements.checkpoints[step]
    with _naming(step):
        validate(found)
        validate_checkpoint(found, measurements.manifest, measurements.documents, measurements.n_neurons)
    return found


@contextmanager
def _naming(step: int) -> Iterator[None]:
    """Within the context, errors say which checkpoint they are about."""
    try:
        yield
    except InputError as error:
        where = f"{schema.CHECKPOINTS}/{step}" + (f", {error.where}" if error.where else "")
        raise InputError(error.what, where, error.hint) from error


def cache_directory() -> Path:
    """Return where measurements are cached: ``NEURONULL_CACHE``, else the platform's cache directory."""
    override = os.environ.get(CACHE_VARIABLE)
    if override:
        return Path(override).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("neuronull", appauthor=False)


def cached(
    key_payload: dict[str, Any], make: Callable[[Shards], Measurements], shard_documents: int | None = None
) -> Measurements:
    """Return the measurements cached under a key, or make and cache them.

    What comes back has always been through the disk if the disk allows, so a first run and a later one see the same.
    An entry that cannot be read is made again with a warning; a cache that cannot be written is a warning, no more.

    Parameters
    ----------
    key_payload
        Everything that decides the measurements, as JSON values: hashes of weights and text, options, versions.
    make
        Makes them, and keeps in the shards that it is given what it has finished, so that a run that is cut off goes on
        there.
    shard_documents
        Documents a shard; by time if None.

    Raises
    ------
    TypeError, ValueError
        If the payload is not JSON, or holds NaN.
    """
    key = cache_key(key_payload)
    entry, threads = cache_directory() / "measurements" / key, torch.get_num_threads()
    # another number of threads rounds otherwise, and what is measured must not hang on where a run was cut off
    shards = Shards(cache_directory() / "shards" / f"{key}-{threads}", shard_documents)
    if entry.exists():
        try:
            return load(entry)
        except InputError as error:
            _log.warning("the cached measurements in %s are damaged and are made again: %s", entry, error)
            shutil.rmtree(entry, ignore_errors=True)
    with shards.held():
        made = make(shards)
    try:
        save(made, entry)
    except InputError as error:
        try:
            return load(entry)  # another process has just cached the same
        except InputError:
            _log.warning("the measurements were not cached: %s", error)
            return made
    del made  # two copies of [T, N] arrays are one too many
    shards.remove()
    return load(entry)


def cache_key(payload: dict[str, Any]) -> str:
    """Return the SHA-256 of the payload as canonical JSON, together with the format."""
    text = json.dumps({"format": schema.FORMAT, "key": payload}, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_occupied(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        kind = "is not empty" if directory.is_dir() else "is a file"
        raise InputError(f"{directory} {kind}", "", "give a directory that does not exist yet")


def _write(measurements: Measurements, folder: Path) -> None:
    _write_tables(measurements, folder)
    for name, tensors in _tensors(measurements).items():
        present = {key: value.detach().cpu().contiguous() for key, value in tensors.items() if value is not None}
        if present:
            save_file(present, folder / name)
    if measurements.neuron_list is not None:
        text = json.dumps(measurements.neuron_list.payload(), ensure_ascii=False)
        (folder / schema.NEURON_LIST).write_text(text + "\n", encoding="utf-8")
    contents = {
        path.name: {"bytes": path.stat().st_size, "sha256": _file_hash(path)} for path in sorted(folder.iterdir())
    }
    manifest = measurements.manifest.model_dump(mode="json") | {schema.CONTENTS: contents}
    text = json.dumps(manifest, indent=1, allow_nan=False, ensure_ascii=False)
    (folder / schema.MANIFEST).write_text(text + "\n", encoding="utf-8")


def _write_tables(measurements: Measurements, folder: Path) -> None:
    documents = measurements.documents
    table = pa.table(
        {
            "document": pa.array(documents["document"], pa.int64()),
            "source": pa.array(list(documents["source"]), pa.string()),
            "input_ids": pa.array([list(ids) for ids in documents["input_ids"]], pa.list_(pa.int64())),
        }
    )
    if schema.CLUSTER in documents:
        table = table.append_column(schema.CLUSTER, pa.array(documents[schema.CLUSTER], pa.int64()))
    pq.write_table(table, folder / schema.DOCUMENTS)
    columns = {column: getattr(measurements.panel, name) for column, name in schema.PANEL_FIELDS.items()}
    types = {"class": pa.int8(), "loss": pa.float64()}
    arrays = {name: pa.array(values, types.get(name, pa.int64())) for name, values in columns.items()}
    pq.write_table(pa.table(arrays), folder / schema.PANEL)
    if measurements.neurons is not None:
        pq.write_table(pa.Table.from_pandas(measurements.neurons, preserve_index=False), folder / schema.NEURONS)
    if measurements.tokens is not None:
        texts = {"token": pa.array(measurements.tokens["token"], pa.int64()),
                 "text": pa.array(list(measurements.tokens["text"]), pa.string())}  # fmt: skip
        pq.write_table(pa.table(texts), folder / schema.TOKENS)
    if measurements.joint_ablation is not None:
        table = pa.Table.from_pandas(measurements.joint_ablation.sets, preserve_index=False)
        pq.write_table(table, folder / schema.CLOSURE_SETS)


def _tensors(measurements: Measurements) -> dict[str, dict[str, torch.Tensor | None]]:
    """Return what each safetensors file holds."""
    found: dict[str, dict[str, torch.Tensor | None]] = {
        schema.INFLUENCE: {"delta_loss": measurements.delta_loss},
        schema.ACTIVATIONS: {"activation": measurements.activation, "mean": measurements.mean},
        schema.WEIGHTS: {"w_in": measurements.w_in, "w_out": measurements.w_out},
    }
    heads = measurements.heads
    if heads is not None:
        found[schema.HEADS] = {
            "effect": heads.effect,
            "neuron": heads.neuron,
            "layer": torch.from_numpy(heads.layer),
            "head": torch.from_numpy(heads.head),
            "reachable": torch.from_numpy(heads.reachable.astype(np.uint8)),
        }
    if measurements.joint_ablation is not None:
        found[schema.CLOSURE] = {"loss": measurements.joint_ablation.loss}
    if measurements.effects is not None:
        found[schema.EFFECTS] = {"signed": measurements.effects.signed, "absolute": measurements.effects.absolute}
    if measurements.promoted is not None:
        found[schema.PROMOTED] = {"raised": measurements.promoted.raised, "lowered": measurements.promoted.lowered}
    return found


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_incomplete(directory: Path) -> None:
    if not directory.is_dir():
        kind = "is a file" if directory.exists() else "does not exist"
        raise InputError(f"{directory} {kind}", "measurement directory", "give a directory")
    missing = [name for name in schema.REQUIRED if not (directory / name).is_file()]
    if missing:
        raise InputError(
            f"{directory} has no {' and no '.join(missing)}",
            "measurement directory",
            f"every measurement directory has {', '.join(schema.REQUIRED)}",
        )


def _check_contents(directory: Path, contents: Any) -> None:
    """Compare the files with the list that `save` left; a directory made by hand has none."""
    hint = f"copy or measure it again, or take `{schema.CONTENTS}` out of {schema.MANIFEST} if you meant to change it"
    if not isinstance(contents, dict) or not all(isinstance(entry, dict) for entry in contents.values()):
        raise InputError(f"{schema.CONTENTS} is not a list of files", schema.MANIFEST, hint)
    for name, entry in contents.items():
        path = directory / Path(name).name
        if not path.is_file():
            raise InputError(f"{name} is listed in {schema.MANIFEST} but is not there", str(directory), hint)
        if path.stat().st_size != entry.get("bytes"):
            raise InputError(f"{name} has {path.stat().st_size:,} bytes, {entry.get('bytes')} were written", name, hint)
        if _file_hash(path) != entry.get("sha256"):
            raise InputError(f"{name} is not as it was written: its hash differs", name, hint)
