"""The two conditions that a run compares: what they are called, and the contract of a rule that finds them.

Types only.  `neuronull.data.condition_rules` holds the rules, `neuronull.data.condition_files` reads a user's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .errors import InputError

if TYPE_CHECKING:
    from .measurements import IntArray, Panel

BY_FREQUENCY = "rare"
"""Value of ``--conditions`` that asks for rare against common tokens; any other value is a path."""

LONGEST_NAME = 40
"""Characters of a condition's name: it stands in the heads of tables."""


@dataclass(frozen=True)
class Condition:
    """One class of scored positions.

    Parameters
    ----------
    name
        Short, for tables: ``rare``.
    phrase
        For sentences: ``rare tokens``.
    """

    name: str
    phrase: str


@dataclass(frozen=True)
class Conditions:
    """The two classes that are compared.

    Parameters
    ----------
    a, b
        Class 1 and class 0 of the panel's column ``class``.
    rule
        How a position gets its class, as a clause for readers.
    """

    a: Condition
    b: Condition
    rule: str


RARE, COMMON = Condition("rare", "rare tokens"), Condition("common", "common tokens")
DEFAULT_NAMES = RARE.name, COMMON.name
"""Names of the conditions that are compared where nobody names others."""


class ConditionRule(Protocol):
    """Gives every scored position its class."""

    @property
    def conditions(self) -> Conditions:
        """Names and rule of the two classes."""
        ...

    def label(self, panel: Panel) -> IntArray:
        """Return the class of each position, int64 [T]: 1 = a, 0 = b, -1 = neither.

        Parameters
        ----------
        panel
            The scored positions with their tokens and ranks; losses, halves and matches are not known yet.
        """
        ...

    def hint(self, panel: Panel, seed: int) -> str:
        """Return what to change where `panel`, made with this seed, cannot be tested; its losses may still be NaN."""
        ...


def by_frequency(
    threshold: float, conditioning: str, types: str = "of the vocabulary", elbow_rank: int | None = None
) -> Conditions:
    """Return rare against common, with its rule in words.

    Parameters
    ----------
    threshold
        Share of the types beyond which a rank is rare.
    conditioning
        ``target`` or ``input``: which token of a position decides.
    types
        What the threshold is a share of, as a phrase that follows a percentage.
    elbow_rank
        Rank beyond which a token is in neither class; ``None`` where there is none.
    """
    beyond = "" if elbow_rank is None else f", and in neither class beyond rank {elbow_rank:,}"
    rule = f"frequency rank of the {conditioning} token beyond {100 * threshold:.6g} % {types}{beyond}"
    return Conditions(RARE, COMMON, rule)


def check_names(conditions: Conditions, where: str, hint: str) -> None:
    """Refuse names that tables or sentences cannot hold.

    Raises
    ------
    InputError
        If a name is empty, too long or not printable, or both conditions have the same.
    """
    for key, condition in (("a", conditions.a), ("b", conditions.b)):
        for text in (condition.name, condition.phrase):
            if not text.strip() or not text.isprintable() or len(text) > LONGEST_NAME:
                raise InputError(f"the name of condition {key} is {text!r}", where, hint)
    if conditions.a.name == conditions.b.name:
        raise InputError(f"both conditions are named {conditions.a.name!r}", where, hint)
