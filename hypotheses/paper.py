"""A paper: its claims, the rule by which its hypotheses decide each, and what it takes to test them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .hypothesis import Hypothesis
from .neuron_sets import NeuronSet
from .result import PaperCard, Verdict

if TYPE_CHECKING:
    from .calibration.scenario import Scenario
    from .controls import Control


@dataclass(frozen=True)
class Claim:
    """A sentence of a paper, and the hypotheses that decide it: it is supported only if all of them are.

    Attributes
    ----------
    number
        As the paper, or its order, has it.
    title
        The claim in a few words.
    hypotheses
        Ids of the hypotheses that decide it.
    headlines
        What a reader who has not read the paper is told, by verdict.
    """

    number: int
    title: str
    hypotheses: tuple[str, ...]
    headlines: Mapping[Verdict, str]


@dataclass(frozen=True)
class Paper:
    """A paper whose claims can be tested.

    Attributes
    ----------
    id
        What ``--paper`` calls it.
    short, citation, link, bibtex
        How it is cited: in headings, in full, where it lies, as BibTeX entries.
    about
        What its claims are about, for the title of a report: "rare words".
    summary
        One sentence on what it claims.
    claims, hypotheses
        The claims in order, and everything that is declared for them.
    set
        The set of neurons that its hypotheses are about unless they name another.
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
    short: str
    citation: str
    claims: tuple[Claim, ...]
    hypotheses: tuple[Hypothesis, ...]
    set: NeuronSet
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
        known = {h.id for h in self.hypotheses}
        for claim in self.claims:
            unknown = sorted(set(claim.hypotheses) - known)
            if unknown:
                raise ValueError(f"claim {claim.number} of {self.id} rests on {unknown[0]}, which is not declared")

    @property
    def card(self) -> PaperCard:
        """What a report says of it."""
        return PaperCard(
            id=self.id, short=self.short, citation=self.citation, link=self.link, about=self.about,
            summary=self.summary, bibtex=list(self.bibtex), limits=list(self.limits), terms=list(self.terms),
        )  # fmt: skip
