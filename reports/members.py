"""Who the neurons of the set are: tables and text snippets; no p-value, no verdict."""

from __future__ import annotations

import re

from ..hypotheses.member_cards import Members, NeuronCard, Snippet
from ..hypotheses.result import Result
from .numbers import count, decimals_for, fixed, interval, percent
from .tables import Table, table_of

TOKENS = 6
"""Tokens told of a neuron, on each side."""

NOTE = (
    "Influence: mean absolute change of the loss at a position when the neuron is ablated, in nats, over all "
    "documents; its interval is over documents, for this neuron alone. These documents chose the neurons too, so the "
    "largest values are a little too large. Chosen: share of the random halves of the documents that choose the "
    "neuron; well under 100 %, it depends on which documents were read. Nothing is tested here."
)

LENS = (
    "Raises and lowers: the tokens whose logits move most with the neuron's activation, through the last norm and the "
    "unembedding alone."
)


def title(result: Result) -> str:
    """Heading of the section."""
    return f"Who the {result.members.set} neurons are" if result.members else ""


def intro(members: Members) -> str:
    """How many there are, and how many of them are shown."""
    shown = len(members.neurons)
    size, both = count(members.size), count(members.both)
    chosen = (
        f"The two halves of the documents choose {size} neurons in all, {both} of them by both halves."
        if members.splits
        else f"The set holds {size} neurons."
    )
    first = "All are shown" if shown == members.size else f"The {shown} with the most influence are shown"
    return f"{chosen} {first}; every neuron's numbers are in neurons.parquet of the run's directory."


def neurons(result: Result) -> Table:
    """One row a neuron: influence on each condition, and how surely it belongs."""
    if result.members is None:
        return table_of("", ("Neuron",), ())
    names = _names(result.members)
    columns = ["Neuron", *(c for name in names for c in (_positions(name), "95 % interval")), "Chosen"]
    rows = [_row(card, names) for card in result.members.neurons]
    return table_of("The neurons, those with the most influence first", columns, rows, note=NOTE)


def tokens(result: Result) -> Table:
    """The tokens that each neuron speaks for; no row where they were not measured."""
    cards = [card for card in (result.members.neurons if result.members else []) if card.raised or card.lowered]
    rows = [(str(card.neuron), quoted(card.raised), quoted(card.lowered)) for card in cards]
    columns = ("Neuron", "Raises", "Lowers")
    return table_of("The tokens they speak for", columns, rows, words_in=(1, 2), note=LENS if rows else "")


def _positions(name: str) -> str:
    return f"{name[:1].upper()}{name[1:]} positions"


def _names(members: Members) -> list[str]:
    return list(members.neurons[0].influence) if members.neurons else []


def _row(card: NeuronCard, names: list[str]) -> list[str]:
    numbers = []
    for name in names:
        one = card.influence[name]
        d = decimals_for(None if one.low is None else one.mean - one.low)
        numbers += [fixed(one.mean, d), interval(one.low, one.high, d)]
    return [str(card.neuron), *numbers, percent(card.splits)]


def quoted(tokens: list[str]) -> str:
    """The first `TOKENS` tokens in quotation marks; those that look alike are told once."""
    return ", ".join(f"\u201c{text}\u201d" for text in list(dict.fromkeys(map(visible, tokens)))[:TOKENS])


def heads(result: Result) -> Table:
    """The attention heads that act most on the set; no row where heads were not measured."""
    cards = result.members.heads if result.members else []
    names = list(cards[0].effect) if cards else []
    rows = [
        [f"L{card.layer}H{card.head}", *(fixed(card.effect[name], decimals_for(card.effect[name])) for name in names)]
        for card in cards
    ]
    note = "Mean absolute change of the neurons' activations when the head is ablated, in standard deviations."
    caption = "The attention heads that act most on these neurons"
    return table_of(caption, ("Head", *map(_positions, names)), rows, note=note if rows else "")


def loss_text(snippet: Snippet) -> str:
    """Loss of predicting the token of a snippet, as words."""
    return f"loss {fixed(snippet.value, 2)}"


def context_text(snippet: Snippet) -> str:
    """Activation and place of a snippet as words."""
    return f"activation {fixed(snippet.value, 2)}, document {snippet.document}, position {snippet.position}"


def visible(text: str) -> str:
    """Text on one line, with line breaks and tabs as signs, and runs of spaces as one."""
    return re.sub(" +", " ", text.replace("\r", "").replace("\n", "\u21b5").replace("\t", "\u21e5"))
