"""The statistic contract: bind to a data, offer objects to null models, evaluate any draw of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..nulls.base import Observed, Randomises
from ..prepared import PreparedData


@dataclass(frozen=True)
class Values:
    """Of R replicates: ``estimate`` [R, K] in the reader's unit and ``statistic`` [R, K], which ranks them."""

    estimate: Tensor
    statistic: Tensor


@dataclass(frozen=True)
class Statistic(ABC):
    """What is estimated, declared once and bound to any data.

    Attributes
    ----------
    name
        Registry id of the estimator.
    centred
        Whether the reported estimate is the value less its mean under the null (the claim compares with random sets).
    checkpoints
        Whether it reads measurements at several steps of the training, which cost as much again each.
    most_replicates
        Null draws at most, where each of them has to be measured; None for no limit.
    """

    checkpoints: ClassVar[bool] = False

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
            If the data lacks a measurement that is needed.
        """


class BoundStatistic(ABC):
    """An statistic on one data."""

    outputs: Sequence[str] = ("",)
    shared_left_out: ClassVar[bool] = False
    """Whether estimates of draws leave out what these have in common with the observed sets (`shared`)."""

    @abstractmethod
    def offers(self) -> Mapping[Randomises, Observed]:
        """The objects that a null model may randomise."""

    @abstractmethod
    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Values of draws; `replicates` are their numbers (0 = observed) and key an estimator's own randomness."""

    @abstractmethod
    def leave_one_out(self) -> Tensor | None:
        """Estimate without each document in turn, [D, K] (selections fixed); None for weight-only statistics."""

    def second_order(self) -> Tensor | None:
        """Variance of the estimate that documents make only two at a time, [K]; None where it is taken for nothing.

        It is the whole variance of an estimate whose first derivatives vanish where nothing is there.
        """
        return None

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

        A null set that holds part of the plateau holds part of its effect; the engine takes that out of estimates.
        """
        return None

    def details(self) -> dict[str, Any]:
        """Further numbers for the report."""
        return {}


@dataclass(frozen=True)
class DrawBatch:
    """Draws of one kind, with the numbers of their replicates."""

    kind: Randomises
    replicates: range
    draws: Any
    extra: Mapping[str, Any] = field(default_factory=dict)
