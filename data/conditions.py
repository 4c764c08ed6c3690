"""The two classes of scored positions that are compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Condition:
    """One of the two classes: a name for tables, and how sentences speak of its tokens."""

    name: str
    phrase: str


@dataclass(frozen=True)
class Conditions:
    """Conditions a and b, and the rule that tells them apart."""

    a: Condition
    b: Condition
    rule: str


BY_FREQUENCY = Conditions(
    Condition("rare", "rare tokens"),
    Condition("common", "common tokens"),
    "by how often the token occurs in the model's training text",
)
"""The default."""
