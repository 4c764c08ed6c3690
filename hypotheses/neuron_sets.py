"""The set under test: which neurons a claim is about, and how they were chosen.

A set that is chosen on the documents at hand is chosen on each half of them and scored on the other.  What it was
chosen by (its score) goes along, so that a null model can choose again by the same rule.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import torch
from torch import Tensor

from ..data.errors import InputError, MissingInput
from ..data.neuron_list import NeuronList
from ..estimators import regimes
from ..estimators import strata as stratify

if TYPE_CHECKING:
    from .prepared import PreparedData

Halves: TypeAlias = tuple[Tensor, Tensor]
"""Sets chosen on half 0 and on half 1, int64 [n] each, ascending."""

Need: TypeAlias = Literal["influence", "activations", "weights", "heads", "effects", "joint_ablation", "checkpoints"]
"""What must be measured beside the panel."""

ChosenBy: TypeAlias = Literal["influence", "effects", "weights", "elsewhere"]


@dataclass(frozen=True)
class Chosen:
    """Neurons of one choice: the sets of the two halves, and what they are the top of.

    ``score`` float64 [2, N]; None where the neurons were chosen elsewhere.
    """

    sets: Halves
    score: Tensor | None


class NeuronSet(ABC):
    """Which neurons a claim is about.

    Attributes
    ----------
    name
        An adjective for neurons: "entropy", "most active".  Sentences say "the NAME neurons".
    chosen_by
        What they were chosen by; nothing that a set was chosen by may be tested on it.
    """

    name: str
    chosen_by: ClassVar[ChosenBy]
    needs: tuple[Need, ...] = ()

    @property
    def cross_fitted(self) -> bool:
        """Whether it is chosen on one half of the documents and scored on the other."""
        return self.chosen_by in ("influence", "effects")

    @property
    @abstractmethod
    def rule(self) -> str:
        """How its neurons are chosen, as a clause behind "neurons"; ``{a}`` and ``{b}`` stand for the conditions."""

    @abstractmethod
    def choose(self, data: PreparedData) -> Chosen:
        """Return the set.

        Raises
        ------
        MissingInput
            If what it is chosen by was not measured.
        """

    def blind(self, data: PreparedData) -> Chosen:
        """The set chosen so that the two conditions could change places without changing it; by default the set."""
        return self.choose(data)

    def mirror(self, data: PreparedData) -> Halves:
        """The set that condition b would have had by the same rule.

        Raises
        ------
        MissingInput
            If its rule does not speak of the conditions.
        """
        raise MissingInput(
            f"the {self.name} neurons were not chosen by influence on one condition, so they have no mirror image for "
            "the other",
            "--set",
            "use --set influence",
        )


@dataclass(frozen=True)
class ByInfluence(NeuronSet):
    """The neurons with the most influence on condition a; its mirror image has the most on condition b."""

    name: str
    chosen_by: ClassVar[ChosenBy] = "influence"
    needs: tuple[Need, ...] = ("influence",)

    @property
    def rule(self) -> str:
        """The rule."""
        return "with the most influence on {a}"

    def choose(self, data: PreparedData) -> Chosen:
        """The top by influence on condition a."""
        return self._top(data, data.influence[:, 0])

    def blind(self, data: PreparedData) -> Chosen:
        """The top by influence on both conditions together."""
        return self._top(data, data.influence.mean(1))

    def mirror(self, data: PreparedData) -> Halves:
        """The top by influence on condition b."""
        return top(data.influence[:, 1], data.set_size)

    @staticmethod
    def _top(data: PreparedData, influence: Tensor) -> Chosen:
        score = torch.from_numpy(stratify.log_influence(influence.numpy()))
        return Chosen(top(influence, data.set_size), score)


@dataclass(frozen=True)
class ByScore(NeuronSet):
    """The neurons with the highest score, one score per half (effects) or one for both halves (weights).

    ``score`` maps prepared data to float64 [2, N].
    """

    name: str
    said: str
    score: Callable[[PreparedData], Tensor]
    by: ChosenBy
    needs: tuple[Need, ...] = ()

    @property
    def chosen_by(self) -> ChosenBy:  # type: ignore[override]
        """What the score is made of."""
        return self.by

    @property
    def rule(self) -> str:
        """The rule."""
        return self.said

    def choose(self, data: PreparedData) -> Chosen:
        """The top of the score."""
        score = self.score(data)
        return Chosen(top(score, data.set_size), score)


@dataclass(frozen=True)
class Listed(NeuronSet):
    """Neurons that were chosen elsewhere, for instance by another paper; the same set for all documents."""

    name: str
    neurons: tuple[int, ...]
    layer: int | None = None
    source: str = "a list"
    chosen_by: ClassVar[ChosenBy] = "elsewhere"

    @classmethod
    def of(cls, listed: NeuronList, source: str) -> Listed:
        """The set that a file lists; `source` names the file."""
        return neurons(listed.neurons.tolist(), listed.name, listed.layer, source)

    @property
    def rule(self) -> str:
        """The rule."""
        return f"that {self.source} lists"

    def choose(self, data: PreparedData) -> Chosen:
        """The listed neurons.

        Raises
        ------
        InputError
            If one of them is not a neuron of the measured layer.
        """
        measured = data.measurements
        members = torch.tensor(self.neurons, dtype=torch.int64)
        listed = NeuronList(self.name, members.numpy(), self.layer)
        listed.check(measured.n_neurons, measured.manifest.layer, self.source)
        return Chosen((members, members), None)


FEWEST_LISTED = 2
"""Neurons that a listed set holds at least: most statistics of a set look at pairs."""


def neurons(members: Sequence[int], name: str = "chosen", layer: int | None = None, source: str = "a list") -> Listed:
    """Return a set of neurons that was chosen elsewhere.

    Parameters
    ----------
    members
        Numbers of the neurons, from 0; at least two, each once.
    name
        An adjective for them: "entropy".
    layer
        The layer they are of; None for whichever layer is measured.
    source
        Where they come from, for messages and reports.

    Raises
    ------
    InputError
        If a number is negative, not whole, or given twice, or there are too few.
    """
    listed = list(members)
    wrong = next((m for m in listed if isinstance(m, bool) or int(m) != m or m < 0), None)
    if wrong is not None:
        raise InputError(f"{wrong!r} is no neuron", source, "give whole numbers from 0")
    ordered = tuple(sorted(int(m) for m in listed))
    twice = next((a for a, b in pairwise(ordered) if a == b), None)
    if twice is not None:
        raise InputError(f"neuron {twice} is listed twice", source, "list each neuron once")
    if len(ordered) < FEWEST_LISTED:
        raise InputError(f"{len(ordered)} neurons make no set", source, f"list at least {FEWEST_LISTED}")
    return Listed(name, ordered, layer, source)


def top(score: Tensor, size: int) -> Halves:
    """Top `size` of each half's score [2, N], ascending."""
    ranked = regimes.top(score, size).sort(-1).values
    return ranked[0], ranked[1]
