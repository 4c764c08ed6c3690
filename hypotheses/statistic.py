"""The statistic contract: bind to prepared data, offer objects to null models, evaluate any draw of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..data.errors import InputError
from ..estimators.two_sources import two_way_se
from .neuron_sets import Need
from .nulls.base import Observed, Randomises
from .prepared import PreparedData
from .result import Details

if TYPE_CHECKING:
    from .truth import TrueWorld


@dataclass(frozen=True)
class Values:
    """Of R replicates: ``estimate`` [R, K] in the reader's unit and ``statistic`` [R, K], which ranks them."""

    estimate: Tensor
    statistic: Tensor


@dataclass(frozen=True)
class Varied:
    """A field of a statistic that ``--vary`` may set: what reads a value from a word, and what the field means."""

    parse: Callable[[str], float | str]
    means: str


@dataclass(frozen=True)
class Statistic(ABC):
    """What is estimated, declared once and bound to any prepared data.

    Attributes
    ----------
    name
        Short name, for the column ``estimator``.
    centred
        Whether the reported estimate is the value less its mean under the null (the claim compares with random sets).
    weights_only
        Whether no document enters the estimate.
    most_replicates
        Null draws at most, where each of them has to be measured; None for no limit.
    needs
        What must be measured for it.
    varied
        Fields that ``--vary`` may set.
    """

    needs: ClassVar[tuple[Need, ...]] = ()
    varied: ClassVar[Mapping[str, Varied]] = {}

    name: str
    centred: bool = False
    weights_only: bool = False
    most_replicates: int | None = None

    @abstractmethod
    def bind(self, data: PreparedData) -> BoundStatistic:
        """Everything that no draw changes.

        Raises
        ------
        MissingInput
            If a measurement that is needed is missing.
        """


@dataclass(frozen=True)
class TwoSources:
    """Standard errors [K] of a statistic that documents and neurons both move, and the degrees of freedom of either.

    ``documents`` and ``neurons`` are the standard errors that each makes alone, with the other taken as given;
    ``interaction`` is the variance that both hold, because it falls on single cells of document and neuron.
    """

    documents: npt.NDArray[np.float64]
    neurons: npt.NDArray[np.float64]
    interaction: npt.NDArray[np.float64]
    df: float

    @property
    def se(self) -> npt.NDArray[np.float64]:
        """Standard error over both, [K] (`estimators.two_sources.two_way_se`)."""
        found: npt.NDArray[np.float64] = two_way_se(
            torch.from_numpy(self.documents) ** 2, torch.from_numpy(self.neurons) ** 2,
            torch.from_numpy(self.interaction),
        ).numpy()  # fmt: skip
        return found


class BoundStatistic(ABC):
    """A statistic on one set of prepared data."""

    outputs: Sequence[str] = ("",)
    outputs_are: str = ""
    """What the outputs are, where there are several: "head"."""
    lacks: str = "a larger set of neurons or a wider model"
    """What there is too little of where chance in the choice of sets, not of documents, is the limit."""
    shared_left_out: ClassVar[bool] = False
    """Whether estimates of draws leave out what these have in common with the observed sets (`shared`)."""

    @abstractmethod
    def offers(self) -> Mapping[Randomises, Observed]:
        """The objects that a null model may randomise."""

    @abstractmethod
    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Values of draws; `replicates` are their numbers (0 = observed) and key a statistic's own randomness."""

    @abstractmethod
    def leave_one_out(self) -> Tensor | None:
        """Estimate without each document in turn, [D, K] (selections fixed); None for weight-only statistics."""

    def second_order(self) -> Tensor | None:
        """Variance of the estimate that documents make only two at a time, [K]; None where it is taken for nothing.

        It is the whole variance of an estimate whose first derivatives vanish where nothing is there.
        """
        return None

    def two_sources(self) -> TwoSources | None:
        """Errors of a statistic that documents and neurons both move; None where only one of them does.

        With it, the verdict interval rests on both, and a p-value is never below the t tail at the smaller degrees of
        freedom.  `evaluate` then ranks draws of either kind by the same studentised value.
        """
        return None

    def found_share(self, reliability: float) -> float:
        """Share of the effect on the set that is meant which the set that was found holds, in (0, 1].

        Parameters
        ----------
        reliability
            Agreement of the two halves' sets beyond chance (`PreparedData.reliability`).
        """
        return 1.0

    def doubt(self) -> str:
        """Why no effect may be excluded on these data, whatever the interval says; empty where it may."""
        return ""

    def rival(self) -> str:
        """What else the effect could be, in words, where the data cannot tell; then it is never called found."""
        return ""

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Tensor | None:
        """Estimate of null draws without each document in turn, [R, D, K]; None where documents do not move them.

        A centred estimate is a difference from the mean of null draws, and a document that moves both moves the
        difference less.
        """
        return None

    def member_se(self) -> float | None:
        """Standard error over the members of sets that are taken for a sample of such; None where that is not done."""
        return None

    def identity(self, kind: Randomises) -> Any:
        """Replicate 0: the draw that changes nothing, first axis of length 1."""
        value = self.offers()[kind].value
        if kind == "labels":
            return torch.zeros(1, len(value), dtype=torch.bool)
        if kind == "influence":
            return torch.zeros(1, value.shape[-1], dtype=torch.bool)
        if kind in ("neurons", "heads"):
            return value[None]
        return iter([value])

    def shared(self, kind: Randomises, draws: Any) -> Tensor | None:
        """Share of a statistic's terms that each draw has in common with the observed sets, [R]; None for no sets.

        A null set that holds part of the set under test holds part of its effect; the engine takes that out of
        estimates.
        """
        return None

    def describe(self) -> Details:
        """Further numbers for the report; they decide nothing."""
        return Details()

    def true_values(self, world: TrueWorld) -> npt.NDArray[np.float64]:
        """Population value of each output on planted truth, at the selections made on the data, [K]; nan for none."""
        return np.full(len(self.outputs), np.nan)


def above_zero(word: str) -> float:
    """A finite number above 0, for `Statistic.varied`.

    Raises
    ------
    InputError
        If `word` is none.
    """
    value = number(word)
    if not 0 < value < math.inf:
        raise InputError(f"{word} is out of range", "", "give a number above 0")
    return value


def share(word: str) -> float:
    """A number above 0 and at most 1, for `Statistic.varied`.

    Raises
    ------
    InputError
        If `word` is none.
    """
    value = above_zero(word)
    if value > 1:
        raise InputError(f"{word} is out of range", "", "give a share of at most 1")
    return value


def number(word: str) -> float:
    """A number.

    Raises
    ------
    InputError
        If `word` is none.
    """
    try:
        return float(word)
    except ValueError:
        raise InputError(f"{word!r} is no number", "", "give a number") from None
