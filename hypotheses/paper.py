"""A paper: its claims, the rule by which its hypotheses decide each, and what it takes to test them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .hypothesis import Hypothesis
from .neuron_sets import NeuronSet
from .prepared import MOST_INFLUENTIAL
from .result import PaperCard, Verdict

if TYPE_CHECKING:
    from .calibration.scenario import Scenario
    from .controls import Control


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, and the hypotheses that decide it: it is supported only if all of them are.

    Attributes
    ----------
    title
        The claim in a few words.
    hypotheses
        The hypotheses that decide it, as objects or by id.
    headlines
        What a reader who has not read the paper is told, by verdict; by default the title with the verdict.
    number
        As the paper, or its order, has it; by default its place among the paper's claims.
    unless
        Hypotheses that do not decide it, but leave it undetermined where they find an effect (p below alpha), and what
        is then said, by id.
    """

    title: str
    hypotheses: tuple[str | Hypothesis, ...]
    headlines: Mapping[Verdict, str] = field(default_factory=dict)
    number: int = 0
    unless: Mapping[str, str] = field(default_factory=dict)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the hypotheses that decide it."""
        return tuple(h if isinstance(h, str) else h.id for h in self.hypotheses)


@dataclass(frozen=True)
class Paper:
    """A paper whose claims can be tested.

    Attributes
    ----------
    id
        What ``--paper`` calls it.
    citation, short, link, bibtex
        How it is cited: in full, in headings (by default in full), where it lies, as BibTeX entries.
    about
        What its claims are about, for the title of a report: "confidence".
    summary
        One sentence on what it claims.
    claims, hypotheses
        The claims in order, and what is declared beside the hypotheses that the claims hold as objects.
    set
        The set of neurons that its hypotheses are about unless they name another.
    conditions
        File with the two conditions that it compares, used unless the user gives some; None for those of the default.
    controls
        Checks of the pipeline that its tests call for.
    limits, terms
        What a test of it does not show; words that its claims use, explained.
    scenarios
        Makes the planted worlds on which its hypotheses are calibrated.
    record
        Where the record of their calibration lies; None where there is none.
    default
        Whether a plain run tests it.
    """

    id: str
    citation: str
    claims: tuple[Claim, ...]
    hypotheses: tuple[Hypothesis, ...] = ()
    set: NeuronSet = MOST_INFLUENTIAL
    short: str = ""
    conditions: Path | None = None
    link: str = ""
    bibtex: tuple[str, ...] = ()
    about: str = ""
    summary: str = ""
    controls: tuple[Control, ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    scenarios: Callable[[], Sequence[Scenario]] = tuple
    record: Path | None = None
    default: bool = False

    def __post_init__(self) -> None:
        numbered = tuple(replace(c, number=c.number or place) for place, c in enumerate(self.claims, 1))
        held = [h for c in numbered for h in c.hypotheses if isinstance(h, Hypothesis)]
        every = {h.id: h for h in (*self.hypotheses, *held)}
        for claim in numbered:
            unknown = sorted({*claim.ids, *claim.unless} - set(every))
            if unknown:
                raise ValueError(f"claim {claim.number} of {self.id} rests on {unknown[0]}, which is not declared")
        object.__setattr__(self, "short", self.short or self.citation)
        object.__setattr__(self, "claims", numbered)
        object.__setattr__(self, "hypotheses", tuple(every.values()))

    @property
    def card(self) -> PaperCard:
        """What a report says of it."""
        return PaperCard(
            id=self.id, short=self.short, citation=self.citation, link=self.link, about=self.about,
            summary=self.summary, bibtex=list(self.bibtex), limits=list(self.limits), terms=list(self.terms),
        )  # fmt: skip
