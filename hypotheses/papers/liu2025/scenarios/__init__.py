"""Planted worlds on which the hypotheses of Liu 2025 are calibrated."""

from __future__ import annotations

from ....calibration.scenario import Scenario
from .claims import claims
from .designs import designs
from .joint import joint
from .nulls import nulls
from .powers import powers


def scenarios() -> list[Scenario]:
    """Null worlds, effects of rising strength, other designs, whole claims."""
    return [*nulls(), *powers(), *designs(), *joint("routing.closure"), *claims()]
