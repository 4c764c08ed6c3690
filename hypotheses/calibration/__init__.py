"""How often each test cries wolf, what it can see, and whether its intervals cover: measured on planted truth."""

from __future__ import annotations

from .record import calibration_line

__all__ = ["calibration_line"]
