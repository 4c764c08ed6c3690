"""Measurements and models with known truth, on which every test is calibrated."""

from __future__ import annotations

from .closures import ClosureDials, PlantedClosure, planted_closure
from .dials import LAWS, PIECES, Dials, Piece
from .measurements import Planted, Truth, planted, planted_measurements
from .training import TrainingDials

__all__ = [
    "LAWS",
    "PIECES",
    "ClosureDials",
    "Dials",
    "Piece",
    "Planted",
    "PlantedClosure",
    "TrainingDials",
    "Truth",
    "planted",
    "planted_closure",
    "planted_measurements",
]
