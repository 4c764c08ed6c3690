"""What a report calls its subject: papers, claims, conditions and sets of neurons, all by the names in the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..hypotheses.result import ClaimVerdict, HypothesisCard, PaperCard, Result, SetCard
from .numbers import count, number, percent

_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def papers(results: Iterable[Result]) -> list[PaperCard]:
    """Papers whose claims were tested, each once; of one without a card, its id."""
    found: dict[str, PaperCard] = {}
    for result in results:
        cards = {card.id: card for card in result.papers}
        for id in dict.fromkeys([*(c.paper for c in result.claims if c.paper), *cards]):
            found.setdefault(id, cards.get(id) or PaperCard(id=id, short=id, citation=id))
    return list(found.values())


def several(results: Iterable[Result]) -> bool:
    """Whether the claims are those of more than one paper, so that a number alone does not name a claim."""
    return len({claim.paper for result in results for claim in result.claims}) > 1


def claim_name(claim: ClaimVerdict, several: bool) -> str:
    """``Claim 2``, or ``Claim 2 (smith2024)`` where there are `several` papers."""
    return f"Claim {claim.number} ({claim.paper or 'no paper'})" if several else f"Claim {claim.number}"


def claim_key(claim: ClaimVerdict) -> str:
    """Name of a claim among the verdicts of a universe."""
    return f"{claim.paper}:{claim.number}"


def title(results: Sequence[Result], rest: str) -> str:
    """``Three claims about rivers, tested on docs-gpt2``; without the subject where papers do not share it."""
    claims = {(c.paper, c.number) for r in results for c in r.claims}
    if not claims:
        return f"Hypotheses{rest}"
    about = {paper.about for paper in papers(results)}
    what = about.pop() if len(about) == 1 else ""
    n = _NUMBERS[len(claims)] if len(claims) < len(_NUMBERS) else count(len(claims))
    return f"{n} claim{'s' * (len(claims) != 1)}{f' about {what}' if what else ''}{rest}"


def kicker(results: Sequence[Result]) -> str:
    """What kind of report it is: on which papers."""
    names = [paper.short for paper in papers(results)]
    return f"neuronull report on the claims of {joined(names)}" if names else "neuronull report"


def joined(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def set_of(result: Result, card: HypothesisCard | None = None) -> SetCard:
    """Set under test of a hypothesis; without one, the run's first."""
    if card is not None:
        for one in result.sets:
            if card.id in one.hypotheses:
                return one
    rule = f"chosen by the rule {result.setup.set_rule}"
    fallback = SetCard(name="set under test", rule=rule, chosen_by="", cross_fitted=False, size=result.setup.n_head)
    return next(iter(result.sets), fallback)


def sets_of(result: Result) -> list[SetCard]:
    """Sets under test; where the result names none, the one that its set-up has."""
    return list(result.sets) or [set_of(result)]


def set_terms(result: Result) -> list[tuple[str, str]]:
    """Name of each set under test, and what it is."""
    return [(f"{_capital(s.name)} neurons", f"{_capital(_described(s))}.") for s in sets_of(result)]


def held_against(result: Result) -> str:
    """Sentence on the sets under test, and what they are compared with."""
    told = [f"the {count(s.size)} {s.name} neurons (those {s.rule})" for s in sets_of(result) if s.size]
    return f"{_capital(joined(told))} are held against ordinary ones." if told else ""


def condition_terms(result: Result) -> list[tuple[str, str]]:
    """Names of the two conditions, and the rule that tells them apart."""
    c = result.setup.conditions
    return [
        (f"{_capital(c.a.name)}, {c.b.name}", f"The two classes of positions that are compared: {c.rule.rstrip('.')}.")
    ]


def condition_rows(result: Result) -> list[tuple[str, str]]:
    """Conditions and sets, for the table of the set-up."""
    s = result.setup
    rows = [("Conditions", f"{s.conditions.a.name} and {s.conditions.b.name}: {s.conditions.rule}")]
    if s.threshold is not None:
        elbow = "off" if s.elbow is None else f"rank {count(s.elbow)}"
        by = f"{percent(s.threshold)} of the vocabulary by frequency rank, by the {s.conditioning} token"
        rows.append(("Threshold", f"{by}; Zipf elbow {elbow}"))
    rows += [(f"Set under test: {one.name}", _described(one)) for one in sets_of(result)]
    return [*rows, ("Rule for the set", s.set_rule)]


def _described(one: SetCard) -> str:
    if not one.size:
        return f"neurons {one.rule}; they could not be chosen from what was measured"
    fitted = ", chosen on one half of the documents and read on the other" if one.cross_fitted else ""
    agree = ""
    if one.reliability is not None:
        agree = f"; the two halves' sets agree by {number(one.reliability, 2)} beyond chance"
    return f"{count(one.size)} neurons {one.rule}{fitted}{agree}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
