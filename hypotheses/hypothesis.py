"""A declared hypothesis: a claim, what would decide it, what is estimated, and what chance is taken to mean."""

from __future__ import annotations

from dataclasses import dataclass

from .inference.verdicts import Absence, Criterion, Presence, Sensitivity
from .result import Kind, Role
from .statistics.base import Statistic


@dataclass(frozen=True)
class Hypothesis:
    """One claim about a model, with everything that decides it declared before the data are seen.

    Attributes
    ----------
    id
        Stable; the part before the dot is the family, over which p-values are adjusted.
    claim
        One sentence.
    criterion
        `Presence`, `Absence` (with margin and unit), or `Sensitivity` for a row that decides nothing.
    statistic
        What is estimated.
    nulls
        Ids of the null models; of two, the larger p counts (METHODS section 4, two-way rule).
    sensitivity
        Ids of further nulls whose rows stand beside it.
    source
        Where the claim is made and where the design is specified.
    default
        Whether the default suite runs it.
    """

    id: str
    claim: str
    criterion: Criterion
    statistic: Statistic
    nulls: tuple[str, ...]
    sensitivity: tuple[str, ...] = ()
    source: str = ""
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
