"""Measurement directory, format 1: names and types of its files (data/README.md), the same for reading and writing."""

from __future__ import annotations

from dataclasses import dataclass

from .measurements import NEURON_COVARIATES

FORMAT = "1"

MANIFEST = "manifest.json"
DOCUMENTS = "documents.parquet"
PANEL = "panel.parquet"
INFLUENCE = "influence.safetensors"
ACTIVATIONS = "activations.safetensors"
NEURONS = "neurons.parquet"
WEIGHTS = "weights.safetensors"
HEADS = "heads.safetensors"
CLOSURE = "closure.safetensors"
CLOSURE_SETS = "closure.parquet"
EFFECTS = "effects.safetensors"
NEURON_LIST = "set.json"
TOKENS = "tokens.parquet"
PROMOTED = "promoted.safetensors"
CHECKPOINTS = "checkpoints"
SET = "set.json"

REQUIRED = (MANIFEST, DOCUMENTS, PANEL)
"""Files without which a directory is no measurement directory; every other one may be absent."""

CONTENTS = "contents"
"""Manifest key under which `save` lists the files it wrote, with sizes and hashes; made by hand, it may be absent."""

PANEL_FIELDS = {
    "document": "document",
    "position": "position",
    "input_id": "input_id",
    "target_id": "target_id",
    "loss": "loss",
    "input_rank": "input_rank",
    "target_rank": "target_rank",
    "half": "half",
    "class": "label",
    "match": "match",
}
"""Column of `panel.parquet` -> field of `Panel`, in the order of the format."""

CLOSURE_COLUMNS = ("kind", "members")

TOKEN_COLUMNS = ("token", "text")

DOCUMENT_COLUMNS = ("document", "source", "input_ids")
CLUSTER = "cluster"
"""Further column of the documents table, int64: which documents are not independent of each other; may be absent."""

NEURON_COLUMNS = NEURON_COVARIATES


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file: its tensors with the dtypes they may have, and whether it must hold all of them."""

    name: str
    dtypes: dict[str, tuple[str, ...]]
    whole: bool = True


_FLOAT = ("float32",)
_INDEX = ("int64",)

NEURON_TENSORS = (
    TensorFile(INFLUENCE, {"delta_loss": _FLOAT}),
    TensorFile(ACTIVATIONS, {"activation": ("float32", "float16"), "mean": _FLOAT}, whole=False),
    TensorFile(WEIGHTS, {"w_in": _FLOAT, "w_out": _FLOAT}, whole=False),
)

HEAD_TENSORS = TensorFile(
    HEADS, {"effect": _FLOAT, "neuron": _INDEX, "layer": _INDEX, "head": _INDEX, "reachable": ("uint8", "bool")}
)

PROMOTED_TENSORS = TensorFile(PROMOTED, {"raised": _INDEX, "lowered": _INDEX})

CLOSURE_TENSORS = TensorFile(CLOSURE, {"loss": _FLOAT})

EFFECT_TENSORS = TensorFile(EFFECTS, dict.fromkeys(("signed", "absolute"), ("float32", "float64")))
