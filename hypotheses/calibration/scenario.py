"""What a planted world is to the calibration."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ...data.planted import JointSettings, Piece, Settings

Purpose: TypeAlias = Literal["null", "power", "design", "claim"]

FEWER = 0.05
"""Data sets of a power or design scenario, as a share of the number asked for: a size needs more than a power."""


def number_of(asked: int, share: float) -> int:
    """A share of the data sets asked for; at least 20 where that many are."""
    return max(min(asked, 20), round(asked * share))


@dataclass(frozen=True)
class Scenario:
    """One planted world and the hypotheses that it is a test of.

    ``purpose``: *null* (nothing is there: size), *power* (an effect of a given strength), *design* (no effect or one
    at the margin, other sizes: how absence claims fare), *claim* (a claim as a whole, true or false: its hypotheses are
    judged together, as a run does).  ``claim`` names it, PAPER:NUMBER.  ``setting`` and ``strength`` name the effect;
    ``says`` is for readers; ``share``: data sets to make, as a share of the number asked for (more where they cost
    milliseconds).
    ``joint_ablation``: how joint ablation acts in it, for hypotheses that ablate sets; ``setting`` may name one of its
    fields.
    """

    name: str
    purpose: Purpose
    settings: Settings
    pieces: tuple[Piece, ...]
    hypotheses: tuple[str, ...]
    says: str
    setting: str = ""
    strength: float = 0.0
    share: float = FEWER
    joint_ablation: JointSettings | None = None
    claim: str = ""

    def datasets(self, asked: int) -> int:
        """Data sets to make when `asked` are asked for; at least 20 where that many are asked for."""
        return number_of(asked, self.share)

    @property
    def documents(self) -> int:
        """Documents of a data set."""
        return self.settings.documents

    @property
    def neurons(self) -> int:
        """Neurons of the layer."""
        return self.settings.neurons

    @property
    def fingerprint(self) -> str:
        """Hash of the world, so that results of another one are never taken for its own.

        Of the settings that are not where they stand by default: one that is added later leaves other worlds alone.
        """
        default, told = dataclasses.asdict(type(self.settings)()), dataclasses.asdict(self.settings)
        settings = {name: value for name, value in told.items() if value != default[name]}
        if self.joint_ablation is not None:
            settings["closure"] = dataclasses.asdict(self.joint_ablation)
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
