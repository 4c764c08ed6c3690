"""Conformance certificates of the built-in null models.

``python -m neuronull.hypotheses.checks.certificates`` writes them anew.

The checks take some seconds per null model, so those of the built-in ones are run once and shipped; a run checks any
other null model itself (`neuronull.pipeline`).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..result import Certificate

if TYPE_CHECKING:
    from .outcome import Report

PATH = Path(__file__).with_name("certificates.json")
COMMAND = "python -m neuronull.hypotheses.checks.certificates"


@cache
def shipped() -> dict[str, Certificate]:
    """Name of each built-in null model -> its certificate."""
    stored = json.loads(PATH.read_text(encoding="utf-8"))["null models"]
    return {name: Certificate.model_validate(told) for name, told in stored.items()}


def certificate(report: Report) -> Certificate:
    """What the report keeps of the checks' outcome."""
    told = report.to_json()
    return Certificate(
        run=report.run, failed=list(report.failures), skipped=list(report.skipped), versions=told["versions"]
    )


def write() -> None:
    """Check every built-in null model and store what came of it."""
    from ...data.registry import BUILT_IN
    from ..catalogue import nulls
    from .conformance import check

    names = [name for name in nulls.names() if nulls.origin(name) == BUILT_IN]
    told = {name: certificate(check(name)).model_dump() for name in names}
    PATH.write_text(json.dumps({"command": COMMAND, "null models": told}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
