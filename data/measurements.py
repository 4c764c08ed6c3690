"""What one model did on one panel of positions: the object that every estimator and null model reads.

The types only; `neuronull.data.store` reads and writes them as a measurement directory (format 1), and
`neuronull.estimators.measure` makes them from a model.  A researcher's own measurements come in through the same door.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict

from .conditions import Conditions, by_frequency
from .neuron_list import NeuronList

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

A, B, NEITHER = 1, 0, -1
"""Values of the panel's ``class`` column.  (In ``[..., 2, ...]`` arrays the class *axis* is 0 = a, 1 = b.)"""

JOINT_KINDS = ("neurons", "heads")
"""What sets that are ablated jointly are made of."""

NEURON_COVARIATES = (
    "mean_abs",
    "sd",
    "kurtosis",
    "sparsity",
    "w_out_norm",
    "weak_direction_share",
    "token_frequency_share",
)
"""Columns of the neurons table that every measurement has."""

EFFECTS = ("loss", "entropy", "unigram", "direct", "frequency")
"""What ablating a neuron of the last layer changes, in the order of the first axis of `Effects`."""


class ModelId(BaseModel):
    """Which weights: id or path, revision, and a hash of the weights themselves."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    id: str
    revision: str | None = None
    hash: str


class CorpusId(BaseModel):
    """Which text: id or path, and a hash of the token ids that the model was fed."""

    model_config = ConfigDict(extra="allow")
    id: str
    hash: str


class Audit(BaseModel):
    """Entries of ``delta_loss`` recomputed by a naive forward pass; errors in nats."""

    model_config = ConfigDict(extra="allow")
    n: int
    max_abs_error: float


class SetId(BaseModel):
    """Which neurons a test on these measurements is about: what they are called, and how they were chosen."""

    model_config = ConfigDict(extra="allow")
    name: str
    rule: str


class PartialHeads(BaseModel):
    """Layers and documents on which heads were measured, where it was not all of them."""

    model_config = ConfigDict(extra="allow")
    layers: list[int]
    documents: list[int]


class Manifest(BaseModel):
    """`manifest.json`.  Unknown further keys are kept.

    ``conditions`` is None in manifests from before conditions had names: theirs are rare and common by ``threshold``,
    which is None where a file gave the conditions.
    """

    model_config = ConfigDict(extra="allow")
    format: str = "1"
    model: ModelId
    architecture: str
    layer: int
    dtype: str
    device: str
    corpus: CorpusId
    counts_hash: str
    vocabulary: int
    conditioning: str
    threshold: float | None
    elbow_rank: int | None = None
    ablation: str
    seed: int
    versions: dict[str, str]
    audit: Audit | None = None
    conditions: Conditions | None = None
    set: SetId | None = None

    @property
    def partial_heads(self) -> PartialHeads | None:
        """Which part of the heads was measured (key ``heads_measured``); None where it was all of them.

        Raises
        ------
        pydantic.ValidationError
            If the key holds something else.
        """
        part = self.extra("heads_measured")
        return None if part is None else PartialHeads.model_validate(part)

    def extra(self, key: str, default: Any = None) -> Any:
        """Value of a further key, or `default`."""
        return (self.model_extra or {}).get(key, default)


@dataclass(frozen=True)
class Panel:
    """The scored positions, in order; every array has one entry per position, [T].

    ``document`` indexes the rows of the documents table; ``position`` indexes that document's ``input_ids``; ``loss``
    is in nats for the token at ``position + 1``; ranks are 0 = commonest; ``half`` is 0 or 1 and constant in a
    document; ``label`` is the parquet column ``class`` (1 a, 0 b, -1 neither); ``match`` is, for a matched position of
    a, the row of its position of b, else -1.
    """

    document: IntArray
    position: IntArray
    input_id: IntArray
    target_id: IntArray
    loss: FloatArray
    input_rank: IntArray
    target_rank: IntArray
    half: IntArray
    label: IntArray
    match: IntArray

    def __len__(self) -> int:
        return len(self.document)

    @property
    def a_rows(self) -> IntArray:
        """Rows of the matched positions of a, [P]."""
        return np.flatnonzero(self.match >= 0)

    @property
    def b_rows(self) -> IntArray:
        """Rows of their partners of b, in the same order, [P]."""
        return self.match[self.a_rows]


@dataclass(frozen=True)
class Heads:
    """Effect of ablating each attention head on each neuron's activation.

    ``effect`` float32 [H, D, 2, M]: mean over the matched positions of a class (0 = a, 1 = b) in a document of
    abs(change of activation) / sd; NaN where the document has no matched pair, or is not among those measured
    (`Manifest.partial_heads`).  ``neuron`` int64 [M]; ``layer`` and ``head`` int64 [H] (head -1: all heads of the layer
    together); ``reachable`` bool [H].
    """

    effect: torch.Tensor
    neuron: torch.Tensor
    layer: IntArray
    head: IntArray
    reachable: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class JointAblation:
    """Mean loss increase under joint ablation of sets of neurons, or of heads.

    ``loss`` float32 [S, D, 2] (nats; 0 = a, 1 = b; NaN where a document has no matched pair).  ``sets`` has one
    row per set: ``kind``, one of `JOINT_KINDS`, and ``members``, ascending numbers of neurons or rows of the heads
    table.  A set is known by these two alone, so that whoever asks for one need not know why it was measured.
    """

    loss: torch.Tensor
    sets: pd.DataFrame

    @cached_property
    def rows(self) -> dict[tuple[str, tuple[int, ...]], int]:
        """Kind and members of each set -> its row."""
        named = zip(self.sets["kind"], self.sets["members"], strict=True)
        return {(str(kind), tuple(map(int, members))): row for row, (kind, members) in enumerate(named)}


@dataclass(frozen=True)
class Effects:
    """What ablating each neuron of the last layer does to the next-token distribution.

    ``signed`` and ``absolute`` float [5, D, 2, N]: sums of the `EFFECTS`, and of their absolute values, over the
    matched positions of a class (0 = a, 1 = b) in a document, nats; 0 where the document has no matched pair.
    """

    signed: torch.Tensor
    absolute: torch.Tensor


@dataclass(frozen=True)
class PromotedTokens:
    """The tokens that each neuron speaks for: int64 [N, k] each, those it moves most first.

    ``raised``: tokens whose logits rise most with the neuron's activation, through the last norm and the unembedding
    alone; ``lowered``: tokens whose logits fall most.
    """

    raised: torch.Tensor
    lowered: torch.Tensor


@dataclass(frozen=True)
class Measurements:
    """A measurement directory in memory.  What is ``None`` was not measured.

    ``delta_loss`` and ``activation`` are [T, N]; ``mean`` is [N]; ``neurons`` has one row per neuron with the columns
    ``mean_abs sd kurtosis sparsity w_out_norm weak_direction_share token_frequency_share``; ``w_in``, ``w_out`` [N, d].
    ``neuron_list`` is a set of neurons to test that was chosen elsewhere.  ``tokens`` has the text of each token id
    that documents and ``promoted`` name: columns ``token`` and ``text``; no test reads either, a report shows them.
    ``checkpoints`` holds the same documents under the same model at other steps of its training, by step.
    """

    manifest: Manifest
    documents: pd.DataFrame
    panel: Panel
    delta_loss: torch.Tensor | None = None
    activation: torch.Tensor | None = None
    mean: torch.Tensor | None = None
    neurons: pd.DataFrame | None = None
    w_in: torch.Tensor | None = None
    w_out: torch.Tensor | None = None
    heads: Heads | None = None
    joint_ablation: JointAblation | None = None
    effects: Effects | None = None
    neuron_list: NeuronList | None = None
    tokens: pd.DataFrame | None = None
    promoted: PromotedTokens | None = None
    checkpoints: Mapping[int, Measurements] = field(default_factory=dict)

    @property
    def conditions(self) -> Conditions:
        """The two classes of positions that are compared."""
        manifest = self.manifest
        if manifest.conditions is not None:
            return manifest.conditions
        return by_frequency(manifest.threshold or math.nan, manifest.conditioning, elbow_rank=manifest.elbow_rank)

    @property
    def conditions_option(self) -> str:
        """The option that decides who is in a condition: ``--threshold``, or ``--conditions`` where a file says it."""
        return "--threshold" if self.manifest.threshold is not None else "--conditions"

    @property
    def training_step(self) -> int | None:
        """Step of its training that the model is at; None where nobody said."""
        step: int | None = self.manifest.extra("training_step")
        return step

    @property
    def cluster(self) -> IntArray:
        """Cluster of each row of the documents table, int64 [D]; without the column each document is its own."""
        if "cluster" not in self.documents:
            return np.arange(len(self.documents), dtype=np.int64)
        found: IntArray = self.documents["cluster"].to_numpy(dtype=np.int64)
        return found

    @property
    def n_documents(self) -> int:
        """Documents fed, D."""
        return len(self.documents)

    @property
    def n_neurons(self) -> int:
        """Neurons of the measured layer, N."""
        for array in (self.delta_loss, self.activation):
            if array is not None:
                return int(array.shape[1])
        if self.neurons is not None:
            return len(self.neurons)
        return 0 if self.w_out is None else len(self.w_out)


class OnDemand(Mapping[int, Measurements]):
    """Measurements by training step, read or made when they are asked for and not kept: each holds [T, N] floats.

    Parameters
    ----------
    make
        Reads or makes the measurements of each step.
    """

    def __init__(self, make: Mapping[int, Callable[[], Measurements]]) -> None:
        self._make = dict(sorted(make.items()))

    def __getitem__(self, step: int) -> Measurements:
        return self._make[step]()

    def __iter__(self) -> Iterator[int]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)
