"""Conformance: what every null model and every hypothesis is held to, whoever wrote it."""

from .conformance import Check, Report, check
from .testing import parametrize_with_checks

__all__ = ["Check", "Report", "check", "parametrize_with_checks"]
