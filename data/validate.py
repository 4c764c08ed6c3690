"""Whether measurements are what format 1 says: shapes, ranges, finite where they must be, one line where they are not.

Used on everything that is read or written, so that neither a damaged file nor a fault of our own gets any further.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import ValidationError

from . import schema
from .conditions import Conditions, check_names
from .errors import InputError
from .measurements import (
    EFFECTS,
    JOINT_KINDS,
    NEITHER,
    A,
    B,
    Effects,
    Heads,
    JointAblation,
    Manifest,
    Measurements,
    Panel,
    PromotedTokens,
)
from .token_texts import check_token_texts

_ROWS = 4096
"""Rows looked at together: a mask of a whole [T, N] array would double its memory."""

_ROUNDING = 1e-5
"""By how much a ratio computed in float32 may exceed 1."""

_SEE = "the shapes are in data/README.md"


def validate(measurements: Measurements) -> None:
    """Check all of it.

    Raises
    ------
    InputError
        At the first fault; names the file of format 1 and the row or value.
    """
    _manifest(measurements.manifest)
    _documents(measurements.documents, measurements.manifest.vocabulary)
    _panel(measurements)
    _arrays(measurements)
    if measurements.neurons is not None:
        _neurons(measurements.neurons)
    if measurements.heads is not None:
        measured = paired_documents(measurements) & _with_heads(measurements)
        _heads(measurements.heads, measured, measurements.n_neurons)
    if measurements.joint_ablation is not None:
        _closure(measurements.joint_ablation, paired_documents(measurements))
        _closure_sets(measurements.joint_ablation, measurements.n_neurons, measurements.heads)
    if measurements.effects is not None:
        _effects(measurements.effects, paired_documents(measurements))
    if measurements.tokens is not None:
        check_token_texts(measurements.tokens, measurements.manifest.vocabulary, schema.TOKENS)
    if measurements.promoted is not None:
        _promoted(measurements)
    _set(measurements)


def validate_checkpoint(checkpoint: Measurements, manifest: Manifest, documents: pd.DataFrame, neurons: int) -> None:
    """Check that valid measurements are of the same documents and neurons as those they are a checkpoint of.

    Parameters
    ----------
    manifest, documents, neurons
        Of the measurements that it is a checkpoint of; 0 neurons where they hold none.

    Raises
    ------
    InputError
        If they differ in what was read, or in how it was measured.
    """
    for name in ("layer", "vocabulary", "conditioning", "threshold", "elbow_rank", "ablation", "conditions"):
        found, expected = getattr(checkpoint.manifest, name), getattr(manifest, name)
        unnamed = name == "conditions" and (found is None or expected is None)  # rare and common had no names once
        if found != expected and not unnamed:
            raise InputError(f"{name} is {found!r}, here it is {expected!r}", schema.MANIFEST, "measure both alike")
    if [list(ids) for ids in checkpoint.documents["input_ids"]] != [list(ids) for ids in documents["input_ids"]]:
        raise InputError("it was measured on other documents", schema.DOCUMENTS, "measure both on the same documents")
    if neurons and checkpoint.n_neurons not in (0, neurons):
        raise InputError(
            f"it has {checkpoint.n_neurons:,} neurons, here there are {neurons:,}", "", "measure the same layer of both"
        )


def paired_documents(measurements: Measurements) -> npt.NDArray[np.bool_]:
    """Return which documents have a matched pair, [D]."""
    panel = measurements.panel
    return np.asarray(np.bincount(panel.document[panel.a_rows], minlength=measurements.n_documents) > 0)


def _manifest(manifest: Manifest) -> None:
    step = manifest.extra("training_step")
    ranges = {
        "training_step": (step, step is None or (type(step) is int and step >= 0), "a whole number of at least 0"),
        "vocabulary": (manifest.vocabulary, manifest.vocabulary >= 1, "at least 1"),
        "layer": (manifest.layer, manifest.layer >= 0, "at least 0"),
        "threshold": (
            manifest.threshold,
            manifest.conditions is not None if manifest.threshold is None else 0 < manifest.threshold < 1,
            "between 0 and 1, or null where conditions says what the classes are",
        ),
        "conditioning": (manifest.conditioning, manifest.conditioning in ("target", "input"), "target or input"),
        "ablation": (manifest.ablation, manifest.ablation in ("mean", "zero", "resample"), "mean, zero or resample"),
        "elbow_rank": (
            manifest.elbow_rank,
            manifest.elbow_rank is None or 0 <= manifest.elbow_rank < manifest.vocabulary,
            "null or a rank below the vocabulary",
        ),
    }
    for name, (value, good, allowed) in ranges.items():
        if not good:
            raise InputError(f"{name} is {value!r}", schema.MANIFEST, f"it must be {allowed}")
    if manifest.conditions is not None:
        check_names(manifest.conditions, schema.MANIFEST, "give each condition a short name of its own")


def _set(measurements: Measurements) -> None:
    """The set under test is of the measured layer, and the manifest calls it by its name."""
    manifest, found = measurements.manifest, measurements.neuron_list
    if found is None:
        return
    found.check(measurements.n_neurons, manifest.layer, schema.NEURON_LIST)
    if manifest.set is not None and manifest.set.name != found.name:
        what = f"set is {manifest.set.name!r}, {schema.NEURON_LIST} holds {found.name!r}"
        raise InputError(what, schema.MANIFEST, "give both the same name")


def _promoted(measurements: Measurements) -> None:
    """Each neuron has its tokens, and they are of the vocabulary."""
    where, vocabulary = schema.PROMOTED, measurements.manifest.vocabulary
    for f in fields(PromotedTokens):
        tokens = getattr(measurements.promoted, f.name)
        _dimensions(f.name, tokens, 2, where)
        if measurements.n_neurons and len(tokens) != measurements.n_neurons:
            raise InputError(f"{f.name} has {len(tokens):,} rows, there are {measurements.n_neurons:,} neurons", where,
                             "write one row per neuron")  # fmt: skip
        if tokens.numel():
            _within(f.name, tokens.numpy().ravel(), vocabulary, where)


def _documents(documents: pd.DataFrame, vocabulary: int) -> None:
    where = schema.DOCUMENTS
    if not len(documents):
        raise InputError("there are no documents", where, "write one row per document")
    if not np.array_equal(documents["document"], np.arange(len(documents))):
        raise InputError(
            "the column document is not 0, 1, 2, ...", where, "number the documents in the order of the rows"
        )
    for document, ids in enumerate(documents["input_ids"]):
        if len(ids) < 2:
            raise InputError(
                f"document {document} has {len(ids)} input_ids", where, "leave it out: it predicts nothing"
            )
        if not 0 <= min(ids) <= max(ids) < vocabulary:
            raise _outside("input_ids", document, f"{min(ids)} to {max(ids)}", where, vocabulary, "document")


def _outside(what: str, row: int, value: object, where: str, below: int, unit: str = "row") -> InputError:
    return InputError(f"{what} of {unit} {row} is {value}, outside 0 to {below - 1}", where, "check how it was written")


def _panel(measurements: Measurements) -> None:
    panel, documents = measurements.panel, measurements.documents
    vocabulary, where = measurements.manifest.vocabulary, schema.PANEL
    if not len(panel):
        raise InputError("there are no positions", where, "write one row per scored position")
    _within("document", panel.document, len(documents), where)
    for name in ("input_rank", "target_rank"):
        _within(name, getattr(panel, name), vocabulary, where)
    bad = np.flatnonzero(~np.isfinite(panel.loss))
    if len(bad):
        raise InputError(
            f"loss of row {bad[0]} is {panel.loss[bad[0]]}", where, "every scored position has a finite loss"
        )
    bad = np.flatnonzero(panel.loss < -_ROUNDING)
    if len(bad):
        raise InputError(f"loss of row {bad[0]} is {panel.loss[bad[0]]:g}", where,
                         "a loss is the negative logarithm of a probability, in nats: never below 0")  # fmt: skip
    _tokens(panel, documents)
    _order(panel)
    _labels(panel, len(documents))
    _match(panel, measurements.conditions)


def _within(name: str, values: npt.NDArray[np.int64], below: int, where: str) -> None:
    bad = np.flatnonzero((values < 0) | (values >= below))
    if len(bad):
        raise _outside(name, int(bad[0]), values[bad[0]], where, below)


def _tokens(panel: Panel, documents: pd.DataFrame) -> None:
    """Positions lie inside their documents, and their token ids are those that were fed."""
    lengths = np.asarray([len(ids) for ids in documents["input_ids"]], dtype=np.int64)
    bad = np.flatnonzero((panel.position < 0) | (panel.position + 1 >= lengths[panel.document]))
    if len(bad):
        row = int(bad[0])
        raise _outside("position", row, panel.position[row], schema.PANEL, int(lengths[panel.document[row]]) - 1)
    fed = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in documents["input_ids"]])
    place = (np.cumsum(lengths) - lengths)[panel.document] + panel.position
    for name, expected in (("input_id", fed[place]), ("target_id", fed[place + 1])):
        found = getattr(panel, name)
        bad = np.flatnonzero(found != expected)
        if len(bad):
            raise InputError(
                f"{name} of row {bad[0]} is {found[bad[0]]}, the document has {expected[bad[0]]} there",
                schema.PANEL,
                f"position counts input_ids of {schema.DOCUMENTS} from 0; the target is one further",
            )


def _order(panel: Panel) -> None:
    step = np.diff(panel.document)
    bad = np.flatnonzero((step < 0) | ((step == 0) & (np.diff(panel.position) <= 0)))
    if len(bad):
        raise InputError(
            f"row {bad[0] + 1} is out of order", schema.PANEL, "sort by document and position, each position once"
        )


def _labels(panel: Panel, documents: int) -> None:
    allowed = {"half": (panel.half, (0, 1)), "class": (panel.label, (A, B, NEITHER))}
    for name, (values, choices) in allowed.items():
        bad = np.flatnonzero(~np.isin(values, choices))
        if len(bad):
            said = ", ".join(map(str, choices))
            raise InputError(f"{name} of row {bad[0]} is {values[bad[0]]}", schema.PANEL, f"it must be one of {said}")
    ones = np.bincount(panel.document, weights=panel.half, minlength=documents)
    split = np.flatnonzero((ones > 0) & (ones < np.bincount(panel.document, minlength=documents)))
    if len(split):
        raise InputError(f"document {split[0]} is in both halves", schema.PANEL, "a document is in one half as a whole")


def _match(panel: Panel, conditions: Conditions) -> None:
    where = schema.PANEL
    bad = np.flatnonzero((panel.match < -1) | (panel.match >= len(panel)))
    if len(bad):
        last = len(panel) - 1
        raise InputError(
            f"match of row {bad[0]} is {panel.match[bad[0]]}, outside -1 to {last}", where, "give a row of the panel"
        )
    rows = panel.a_rows
    partners = panel.match[rows]
    a, b = conditions.a.name, conditions.b.name
    faults = {
        f"is not {a} but has a match": (panel.label[rows] != A, f"only {a} positions have one, every other has -1"),
        f"is matched to a position that is not {b}": (panel.label[partners] != B, f"match {a} with {b}"),
        "is matched to another document": (
            panel.document[rows] != panel.document[partners],
            "match inside a document",
        ),
    }
    for fault, (wrong, hint) in faults.items():
        if wrong.any():
            raise InputError(f"row {rows[wrong][0]} {fault} (row {partners[wrong][0]})", where, hint)
    repeated = np.flatnonzero(np.bincount(partners, minlength=1) > 1)
    if len(repeated):
        raise InputError(f"row {repeated[0]} is the match of several positions", where, "match without replacement")


@dataclass(frozen=True)
class _Array:
    """An array that has an entry for each neuron along one of its axes."""

    name: str
    values: torch.Tensor
    dimensions: int
    neuron_axis: int
    file: str


def _arrays(measurements: Measurements) -> None:
    """Every array has the panel's positions and one number of neurons, and is finite."""
    arrays = _present(measurements)
    for array in arrays:
        _dimensions(array.name, array.values, array.dimensions, array.file)
    _neuron_counts(arrays, measurements.neurons)
    positions = len(measurements.panel)
    for array in arrays:
        if array.neuron_axis == 1 and len(array.values) != positions:
            raise InputError(
                f"{array.name} has {len(array.values):,} rows, {schema.PANEL} has {positions:,} positions",
                array.file,
                "write one row per position",
            )
        _finite(array)


def _present(measurements: Measurements) -> list[_Array]:
    found: list[tuple[str, torch.Tensor | None, int, int, str]] = [
        ("delta_loss", measurements.delta_loss, 2, 1, schema.INFLUENCE),
        ("activation", measurements.activation, 2, 1, schema.ACTIVATIONS),
        ("mean", measurements.mean, 1, 0, schema.ACTIVATIONS),
        ("w_in", measurements.w_in, 2, 0, schema.WEIGHTS),
        ("w_out", measurements.w_out, 2, 0, schema.WEIGHTS),
    ]
    if measurements.effects is not None:
        found += [(f.name, getattr(measurements.effects, f.name), 4, 3, schema.EFFECTS) for f in fields(Effects)]
    return [
        _Array(name, values, dimensions, axis, file)
        for name, values, dimensions, axis, file in found
        if values is not None
    ]


def _neuron_counts(arrays: list[_Array], neurons: pd.DataFrame | None) -> None:
    counts = [(array.name, array.values.shape[array.neuron_axis], array.file) for array in arrays]
    if neurons is not None:
        counts.append(("the table", len(neurons), schema.NEURONS))
    for name, count, file in counts:
        if count != counts[0][1]:
            raise InputError(
                f"{name} has {count:,} neurons, {counts[0][2]} has {counts[0][1]:,}", file, "measure one layer"
            )


def _dimensions(name: str, array: torch.Tensor, dimensions: int, where: str) -> None:
    if array.dim() != dimensions:
        raise InputError(f"{name} has shape {list(array.shape)}, not {dimensions} dimensions", where, _SEE)


def _finite(array: _Array) -> None:
    for start in range(0, len(array.values), _ROWS):
        wrong = ~torch.isfinite(array.values[start : start + _ROWS])
        if bool(wrong.any()):
            index = [int(i) for i in wrong.nonzero()[0]]
            index[0] += start
            value = float(array.values[tuple(index)])
            raise InputError(f"{array.name}{index} is {value}", array.file, "every entry must be finite")


def _neurons(neurons: pd.DataFrame) -> None:
    where = schema.NEURONS
    for name in schema.NEURON_COLUMNS:
        values = neurons[name].to_numpy(dtype=np.float64)
        low = 0.0 if name != "kurtosis" else -np.inf
        high = 1.0 + _ROUNDING if name in ("sparsity", "weak_direction_share", "token_frequency_share") else np.inf
        bad = np.flatnonzero(~np.isfinite(values) | (values < low) | (values > high))
        if len(bad):
            bounds = f"between {low:g} and 1" if high < np.inf else "finite" + (" and not negative" if low == 0 else "")
            raise InputError(f"{name} of neuron {bad[0]} is {values[bad[0]]}", where, f"it must be {bounds}")


def _with_heads(measurements: Measurements) -> npt.NDArray[np.bool_]:
    """Whether heads were measured on each document, as far as the manifest says, [D]."""
    there = np.ones(measurements.n_documents, dtype=np.bool_)
    try:
        part = measurements.manifest.partial_heads
    except ValidationError as error:
        hint = "give two lists of whole numbers, or leave it out"
        raise InputError("heads_measured is not layers and documents", schema.MANIFEST, hint) from error
    if part is not None:
        there[:] = np.isin(np.arange(len(there)), part.documents)
    return there


def _heads(heads: Heads, paired: npt.NDArray[np.bool_], neurons: int) -> None:
    where = schema.HEADS
    _dimensions("effect", heads.effect, 4, where)
    expected = (len(heads.layer), len(paired), 2, len(heads.neuron))
    if tuple(heads.effect.shape) != expected:
        raise InputError(
            f"effect has shape {list(heads.effect.shape)}, layer, documents, classes and neuron make {list(expected)}",
            where,
            _SEE,
        )
    if not len(heads.layer) == len(heads.head) == len(heads.reachable):
        lengths = f"{len(heads.layer)}, {len(heads.head)} and {len(heads.reachable)}"
        raise InputError(f"layer, head and reachable have {lengths} entries", where, "give one of each per head")
    if len(set(zip(heads.layer.tolist(), heads.head.tolist(), strict=True))) < len(heads.layer):
        raise InputError("a head of a layer comes twice in layer and head", where, "give each once")
    if len(heads.layer) and (heads.layer.min() < 0 or heads.head.min() < -1):
        raise InputError(
            f"layer goes down to {heads.layer.min()}, head to {heads.head.min()}",
            where,
            "count from 0; -1 is a whole layer",
        )
    _neuron_indices(heads.neuron, neurons)
    for index, effect in enumerate(heads.effect):
        _by_document(f"effect of head {heads.head[index]} in layer {heads.layer[index]}", effect, paired, where)
        if bool((effect < 0).any()):
            raise InputError(f"effect[{index}] has negative entries", where, "it is a mean of absolute changes")


def _neuron_indices(neuron: torch.Tensor, neurons: int) -> None:
    values = neuron.numpy()
    if neurons:
        _within("neuron", values, neurons, schema.HEADS)
    if len(np.unique(values)) < len(values):
        raise InputError("a neuron comes twice in neuron", schema.HEADS, "give each once")


def _by_document(name: str, values: torch.Tensor, paired: npt.NDArray[np.bool_], where: str) -> None:
    """Check numbers by document, [D, ...]: finite where there is a matched pair, NaN where there is none."""
    has_pair = torch.from_numpy(paired)
    finite, missing = torch.isfinite(values).flatten(1).all(1), torch.isnan(values).flatten(1).all(1)
    wrong = torch.where(has_pair, ~finite, ~missing).nonzero()
    if len(wrong):
        document = int(wrong[0])
        said = (
            "has a matched pair but not all is finite" if paired[document] else "has no matched pair but not all is NaN"
        )
        raise InputError(
            f"{name}: document {document} {said}", where, "NaN stands for documents without a matched pair"
        )


def _closure(joint_ablation: JointAblation, paired: npt.NDArray[np.bool_]) -> None:
    where = schema.CLOSURE
    _dimensions("loss", joint_ablation.loss, 3, where)
    expected = (len(joint_ablation.sets), len(paired), 2)
    if tuple(joint_ablation.loss.shape) != expected:
        raise InputError(
            f"loss has shape {list(joint_ablation.loss.shape)}, sets, documents and classes make {list(expected)}",
            where,
            f"give one row of {schema.CLOSURE_SETS} per set",
        )
    for index, loss in enumerate(joint_ablation.loss):
        _by_document(f"loss of set {index}", loss, paired, where)


def _closure_sets(joint_ablation: JointAblation, neurons: int, heads: Heads | None) -> None:
    """Check that sets are named as they are looked up: of a known kind, ascending, members there, each set once."""
    where = schema.CLOSURE_SETS
    there = {"neurons": neurons, "heads": 0 if heads is None else len(heads.head)}  # 0: not measured, so not known
    for row, (kind, members) in enumerate(
        zip(joint_ablation.sets["kind"], joint_ablation.sets["members"], strict=True)
    ):
        if kind not in JOINT_KINDS:
            raise InputError(f"kind of set {row} is {kind!r}", where, f"it must be {' or '.join(JOINT_KINDS)}")
        if not len(members) or bool((np.diff(members) <= 0).any()):
            raise InputError(f"members of set {row} are not ascending", where, "give each member once, in order")
        below = there[kind] or members[-1] + 1
        if members[0] < 0 or members[-1] >= below:
            raise _outside("members", row, members[0] if members[0] < 0 else members[-1], where, below, "set")
    if len(joint_ablation.rows) < len(joint_ablation.sets):
        raise InputError("a set is listed twice", where, "give each set once")


def _effects(effects: Effects, paired: npt.NDArray[np.bool_]) -> None:
    """Check sums whose form `_arrays` has seen: of the right shape, 0 where there is no pair, each within its size."""
    where, expected = schema.EFFECTS, [len(EFFECTS), len(paired), 2]
    for field in fields(Effects):
        values: torch.Tensor = getattr(effects, field.name)
        if list(values.shape[:3]) != expected:
            raise InputError(
                f"{field.name} has shape {list(values.shape)}, effects, documents and classes make {expected}",
                where,
                _SEE,
            )
        without = np.flatnonzero(~paired & (values != 0).any(0).flatten(1).any(1).numpy())
        if len(without):
            what = f"{field.name}: document {without[0]} has no matched pair but not all is 0"
            raise InputError(what, where, "a sum over no positions is 0")
    wrong = (effects.signed.abs() > effects.absolute * (1 + _ROUNDING)).nonzero()
    if len(wrong):
        hint = "they are sums of a number and of its absolute value"
        raise InputError(f"signed{wrong[0].tolist()} exceeds absolute", where, hint)
