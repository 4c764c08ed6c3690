"""What ablating the set under test does: a table of means and a sentence on each effect; no p-value, no verdict."""

from __future__ import annotations

from collections.abc import Mapping

from ..hypotheses.result import Result, SetCard, SetEffect
from . import subject
from .numbers import decimals_for, fixed, interval, percent
from .tables import Table, table_of

FITTED = "They are chosen on one half of the documents and read on the other."
DESCRIBES = "This describes; nothing is tested here, and no verdict rests on it."

NAMES: Mapping[str, str] = {
    "loss": "Loss",
    "entropy": "Entropy",
    "unigram": "Distance from token frequencies",
    "direct": "Loss, norm's scale frozen",
    "frequency": "Loss, token frequencies frozen",
}

MEANS: Mapping[str, str] = {
    "loss": "Above zero, the neurons help to predict the token that follows: without one of them it gets less likely.",
    "entropy": "Above zero, the neurons make predictions surer: without one of them they are more spread out.",
    "unigram": "Above zero, the neurons pull predictions towards how frequent tokens are: without one of them the KL "
    "divergence from the unigram distribution is larger.",
    "direct": "The loss when the final norm keeps the scale it had: the part that does not work through how large the "
    "residual stream is.",
    "frequency": "The loss when logits may not move along log token frequency: the part that does not work through "
    "raising or lowering all frequent tokens together.",
}

NOTE = (
    "Interval: over documents, by leaving out each in turn. Strata: neurons with like covariates. Size left: mean "
    "absolute change of the loss with that part frozen, as a share of the same with nothing frozen; more than 100 % is "
    "possible. The effects are those of Stolfo et al. 2024 (arXiv 2406.16254)."
)


def title(result: Result) -> str:
    """Heading of the section."""
    return f"What ablating the {_set(result).name} neurons does"


def intro(result: Result) -> str:
    """What was done, and that it tests nothing."""
    one = _set(result)
    return (
        f"Each neuron of the set \u201c{one.name}\u201d is ablated alone, and the whole prediction is looked at: the "
        f"mean change per position, in nats, over these neurons. {f'{FITTED} ' if one.cross_fitted else ''}{DESCRIBES}"
    )


def effects(result: Result) -> Table:
    """One row per effect and condition; no row where none were measured."""
    told = result.set_effects or []
    level = percent(told[0].level) if told else "95 %"
    name = f"{_set(result).name} neurons"
    columns = ("Effect", "Positions", f"{name[:1].upper()}{name[1:]}", f"{level} interval", "Strata", "Size left")
    return table_of(f"{title(result)} (nats per position)", columns, map(_row, told), words_in=(1,), note=NOTE)


def _set(result: Result) -> SetCard:
    """The set of the first hypothesis that effects stand with: it is the one whose effects were summed."""
    asking = next((card for card in result.hypotheses if "effects" in card.figures), None)
    return subject.set_of(result, asking)


def _row(one: SetEffect) -> tuple[str, ...]:
    d = decimals_for((one.high - one.low) / 2)
    numbers = (fixed(one.mean, d, sign=True), interval(one.low, one.high, d), fixed(one.strata, d, sign=True))
    return (NAMES.get(one.effect, one.effect), one.label, *numbers, percent(one.left))


def meanings(result: Result) -> Table:
    """What each effect says, in a sentence."""
    told = dict.fromkeys(one.effect for one in result.set_effects or [])
    rows = [(NAMES[effect], MEANS[effect]) for effect in told if effect in MEANS]
    return table_of("What each row means", ("Effect", "Meaning"), rows, words_in=(1,))
