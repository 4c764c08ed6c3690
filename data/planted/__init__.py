"""Measurements and models with known truth, on which every test is calibrated."""

from __future__ import annotations

from .dials import LAWS, PIECES, Dials, Piece
from .measurements import Planted, Truth, planted, planted_measurements

__all__ = ["LAWS", "PIECES", "Dials", "Piece", "Planted", "Truth", "planted", "planted_measurements"]
