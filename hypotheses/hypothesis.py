"""A declared hypothesis: a claim, its words, what would decide it, what is estimated, what chance is taken to mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .inference.verdicts import Absence, Criterion, Presence, Sensitivity
from .neuron_sets import NeuronSet
from .nulls.base import NullModel
from .result import Kind, Role
from .statistic import Statistic
from .words import Words

NO_WORDS = Words("")


@dataclass(frozen=True)
class Hypothesis:
    """One claim about a model, with everything that decides it declared before the data are seen.

    Attributes
    ----------
    id
        Stable; the part before the dot is the family, over which p-values are adjusted.
    claim
        One sentence; ``{set}``, ``{a}`` and ``{b}`` are filled in.
    criterion
        `Presence`, `Absence` (with margin and unit), or `Sensitivity` for a row that decides nothing.
    statistic
        What is estimated.
    nulls
        Null models, by id or as objects; of two, the larger p counts (docs/methods.md#p-values).
    sensitivity
        Further null models whose rows stand beside it.
    words
        What a reader is told of it.
    source
        Where the claim is made and where the design is specified.
    set
        The set it is about; None for that of its paper.
    alike
        Columns of the neurons table in which ordinary neurons must be like those of the set; empty for all.  What is
        tested must not be among them.
    figures
        Kinds of figures that stand with it: curves, graphs, head_map, effects, balance.
    bibtex
        Entries for the report's references.
    default
        Whether a plain run of its paper tests it.
    """

    id: str
    claim: str
    criterion: Criterion
    statistic: Statistic
    nulls: tuple[str | NullModel, ...]
    sensitivity: tuple[str | NullModel, ...] = ()
    words: Words = NO_WORDS
    source: str = ""
    set: NeuronSet | None = None
    alike: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    bibtex: tuple[str, ...] = ()
    default: bool = True

    def __post_init__(self) -> None:
        if "." not in self.id:
            raise ValueError(f"a hypothesis id is family.name, got {self.id!r}")
        if not 1 <= len(self.nulls) <= 2:
            raise ValueError(f"{self.id} declares {len(self.nulls)} primary nulls; one or two are meant")

    @property
    def family(self) -> str:
        """The part of the id before the dot."""
        return self.id.split(".")[0]

    @property
    def title(self) -> str:
        """Title for headings; of a hypothesis without words, its claim."""
        return self.words.title or self.claim.rstrip(".")

    def replicates(self, asked: int) -> int:
        """Null draws that it makes where `asked` are asked for."""
        most = self.statistic.most_replicates
        return asked if most is None else min(asked, most)

    @property
    def kind(self) -> Kind:
        """Presence or absence."""
        if isinstance(self.criterion, Sensitivity):
            return self.criterion.kind
        return Kind.PRESENCE if isinstance(self.criterion, Presence) else Kind.ABSENCE

    @property
    def role(self) -> Role:
        """Primary where it decides a claim."""
        return Role.SENSITIVITY if isinstance(self.criterion, Sensitivity) else Role.PRIMARY

    @property
    def margin(self) -> float | None:
        """Smallest effect worth the name, in the unit; None for sensitivity rows."""
        return self.criterion.margin if isinstance(self.criterion, (Presence, Absence)) else None


def null_names(nulls: Sequence[str | NullModel]) -> tuple[str, ...]:
    """Names of null models that were given by id or as objects."""
    return tuple(null if isinstance(null, str) else null.name for null in nulls)
