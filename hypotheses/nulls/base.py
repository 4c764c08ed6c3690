"""The null-model contract: what a null randomises, keeps and breaks, and two methods.

A null model answers "what would the statistic be if only this were random?".  Its author writes `prepare` (once) and
`draw` (for any range of replicate numbers, in any order, on any worker).  The engine adds the observed value as
replicate 0, so that it goes down the same path as every null draw.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ...data.errors import InputError

Randomises: TypeAlias = Literal["neurons", "labels", "heads", "graph", "activations", "influence", "weights", "corpus"]
RANDOMISES: tuple[Randomises, ...] = (
    "neurons", "labels", "heads", "graph", "activations", "influence", "weights", "corpus",
)  # fmt: skip

Draws: TypeAlias = "torch.Tensor | Iterator[torch.Tensor] | Iterator[Any]"
"""Draws for R replicates, first axis (or iteration order) = replicate:

========== ==========================================================================================
neurons     int64 [R, N] permutations (neuron i's place is taken by ``draw[r, i]``), [R, n] sets, or
            [R, 2, n] sets of the two halves
labels      bool [R, D] (documents) or [R, P] (matched pairs): True = the two classes change places
heads       int64 [R, k] rows of the heads table
influence   bool [R, N] (classes change places for a neuron) or float [R, 2, 2, N] (half, class, neuron)
graph       an iterator of [2 (set chosen on), 2 (half), n, n] correlation matrices
activations an iterator of [T, n]
weights     an iterator of [2 (input, output), n, d]
corpus      an iterator of what ``Observed.remake`` makes of token ids (Measurements)
========== ==========================================================================================
"""


@dataclass(frozen=True)
class Observed:
    """The observed object that a null randomises, and what goes with it.

    ``value`` is the object itself; ``sets`` holds the sets the statistic is about (one per half) where there are any;
    ``strata`` int64 [N] groups neurons of like covariates (for heads [H], heads of like total effect); ``score``
    float64 [2, N] is what each half's set is the top of (None for a set that was chosen elsewhere), and ``covariates``
    float64 [N, k] what neurons are alike in; ``documents``, ``positions`` and ``half`` int64, one entry per row of
    activations; ``pairs``, for labels, the number of matched pairs where swaps inside them can be scored; ``behind``,
    for graphs, the activations [T, n] whose correlations they are, with ``sets`` naming columns of it; ``noise``, for
    influence, the standard deviation [2 (class), N] that documents leave in each log influence of a half; ``remake``,
    for a corpus, measures the model again on documents of token ids.
    """

    kind: Randomises
    value: Any
    sets: tuple[torch.Tensor, ...] = ()
    strata: torch.Tensor | None = None
    score: torch.Tensor | None = None
    covariates: npt.NDArray[np.float64] | None = None
    documents: npt.NDArray[np.int64] | None = None
    positions: npt.NDArray[np.int64] | None = None
    half: npt.NDArray[np.int64] | None = None
    pairs: int | None = None
    behind: torch.Tensor | None = None
    noise: torch.Tensor | None = None
    remake: Callable[[list[npt.NDArray[np.int64]]], Any] | None = None


class NullModel(ABC):
    """A null model; subclass it, declare the class attributes, write `prepare` and `draw`.

    Attributes
    ----------
    name
        Registry id.
    randomises
        Which object the draws are of; decides which hypotheses can use it.
    preserves, breaks
        What every draw keeps and what it destroys, in words; conformance tests the invariants in `invariants`.
    exchangeable
        What must be exchangeable for the p-value to be exact.
    reference
        Where the null comes from.
    when
        Guidance: which question it answers, and when it should not be trusted.
    says
        What it puts at random, in one plain sentence for a report; by default made of `breaks`.
    caveat
        What must be said wherever its numbers stand; empty for most.
    bibtex
        Entries for the report's references, beyond `reference`.
    matches
        Whether it compares with neurons that are alike in covariates, so that nothing which is tested may be one.
    likens
        Whether its sets are meant to be like the observed ones in those covariates, so that a report must say where
        they are not.
    """

    name: ClassVar[str]
    randomises: ClassVar[Randomises]
    preserves: ClassVar[Sequence[str]]
    breaks: ClassVar[Sequence[str]]
    exchangeable: ClassVar[str]
    reference: ClassVar[str]
    when: ClassVar[str] = ""
    says: ClassVar[str] = ""
    caveat: ClassVar[str] = ""
    bibtex: ClassVar[Sequence[str]] = ()
    matches: ClassVar[bool] = False
    likens: ClassVar[bool] = False

    def refuses(self, observed: Observed) -> str:
        """Why this null model cannot serve what is offered; empty where it can."""
        return ""

    @abstractmethod
    def prepare(self, measurements: Any, observed: Observed) -> Any:
        """Whatever `draw` needs, made once; plain data."""

    @abstractmethod
    def draw(self, state: Any, replicates: range, seed: int) -> Draws:
        """Draws for the given replicate numbers (>= 1); each depends on (seed, replicate) and `state` alone."""

    @abstractmethod
    def example(self) -> Observed:
        """A small observed object on which the conformance checks run."""

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Declared invariants on one draw, as (what is preserved, whether it is)."""
        return ()

    def cost(self, state: Any) -> float:
        """Rough operations for one draw, for planning."""
        return 1.0

    def space(self, observed: Observed) -> Sequence[Hashable] | None:
        """Signatures of every possible draw, all equally likely, where `observed` is tiny enough; else None.

        Conformance tests the draws for uniformity over it.  Swaps and permutations of neurons are known by their kind
        and need no `space`; a null model whose draws follow another law overrides it all the same, and returns None.
        """
        return None

    def signature(self, draw: Any) -> Hashable:
        """What tells two draws apart in `space`; by default all its values."""
        return tuple(np.asarray(draw).ravel().tolist())

    def diagnostics(self, state: Any, draws: Any) -> dict[str, Any]:
        """Numbers by which a reader may judge the null on these data: balance of matches, mixing of a rewiring."""
        return {}


def generator(seed: int, replicate: int, stream: str = "") -> np.random.Generator:
    """Random generator of one replicate: a function of (seed, replicate, stream) alone.

    Philox is counter-based, so neighbouring replicates are independent streams whatever the batch or worker.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, replicate, salt(stream)])))


_FIRST_BYTES_ONLY = frozenset(
    {
        "signed_rewired", "correlation_cm", "erdos_renyi", "random_matrix", "document_permuted", "circular_shift",
    }
)  # fmt: skip
"""Streams of long names that were salted by their first eight bytes before whole names counted; they stay so."""


def salt(stream: str) -> int:
    """Number that sets a stream of random numbers apart: its name's bytes, or of a long name a hash of all of them."""
    name = stream.encode()
    if len(name) <= 8 or stream in _FIRST_BYTES_ONLY:
        return int.from_bytes(name[:8].ljust(8, b"\0"), "little")
    return int.from_bytes(hashlib.sha256(name).digest()[:8], "little")


def stack(rows: Callable[[int], npt.NDArray[Any]], replicates: range) -> torch.Tensor:
    """Stack one array per replicate into a tensor [R, ...]."""
    return torch.from_numpy(np.stack([rows(r) for r in replicates]))


def need(observed: Observed, kind: Randomises, null: str) -> None:
    """Refuse an observed object of another kind.

    Raises
    ------
    InputError
        If `observed` is not of `kind`.
    """
    if observed.kind != kind:
        raise InputError(f"null model {null} randomises {kind}, and this hypothesis offers {observed.kind}", "--null",
                         "choose a null that randomises the same object (neuronull ls nulls)")  # fmt: skip
