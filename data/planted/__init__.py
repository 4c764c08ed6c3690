"""Measurements and models with known truth, on which every test is calibrated."""

from __future__ import annotations

from .dials import LAWS, PIECES, Dials, Piece
from .measurements import Planted, Truth, planted, planted_measurements
from .training import TrainingDials

__all__ = ["LAWS", "PIECES", "Dials", "Piece", "Planted", "TrainingDials", "Truth", "planted", "planted_measurements"]
