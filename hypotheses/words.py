"""What a reader is told of a hypothesis, with the names of set and conditions left open."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """What a reader is told of a hypothesis.

    In every text ``{set}`` stands for the name of the set under test (an adjective for neurons), ``{a}`` and ``{b}``
    for the conditions' tokens.

    Attributes
    ----------
    title
        A few words for headings and tables.
    asks
        The question, without jargon.
    plus, minus
        What a positive and a negative effect mean, as clauses.
    none
        The clause for an effect that was excluded, up to the margin.
    measured
        How the estimate comes about.
    """

    title: str
    asks: str = ""
    plus: str = "the effect is there"
    minus: str = "the effect goes the other way"
    none: str = "there is no effect of that size"
    measured: str = ""


def fill(text: str, set_name: str, a: str, b: str) -> str:
    """A text with the names of the set and of the conditions in place of ``{set}``, ``{a}`` and ``{b}``.

    ``{Set}``, ``{A}`` and ``{B}`` give the same with a capital letter.
    """
    for name, value in {"set": set_name, "a": a, "b": b}.items():
        text = text.replace("{" + name + "}", value)
        text = text.replace("{" + name.capitalize() + "}", value[:1].upper() + value[1:])
    return text
