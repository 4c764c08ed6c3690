"""Measurements and models with known truth, on which every test is calibrated."""

from __future__ import annotations

from .joint import JointSettings, PlantedJoint, planted_joint_ablation
from .measurements import Planted, Truth, planted, planted_measurements
from .settings import ALL_PIECES, LAWS, PIECES, Piece, Settings
from .training import TrainingSettings

__all__ = [
    "ALL_PIECES",
    "LAWS",
    "PIECES",
    "JointSettings",
    "Piece",
    "Planted",
    "PlantedJoint",
    "Settings",
    "TrainingSettings",
    "Truth",
    "planted",
    "planted_joint_ablation",
    "planted_measurements",
]
