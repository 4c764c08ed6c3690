"""The packages that text is held out from: ``held_out.txt``, requirements as pip reads them, each with its licence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PINS = Path(__file__).resolve().with_name("held_out.txt")

LICENCES = frozenset({"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT OR Apache-2.0", "PSF-2.0"})
"""What may be shipped: licences that let anybody pass the text on, under the GPL too."""

_PIN = re.compile(
    r"(?P<package>[a-z0-9-]+)==(?P<version>\S+) --hash=sha256:(?P<sha256>[0-9a-f]{64})  # (?P<licence>.+)"
)


@dataclass(frozen=True)
class Pin:
    """One wheel: name of the distribution in lower case, version, SHA-256 of the file, licence (SPDX)."""

    package: str
    version: str
    sha256: str
    licence: str


def read_pins(path: Path = PINS) -> list[Pin]:
    """Return the pinned wheels in the order of the file.

    Raises
    ------
    ValueError
        If a line is no pin, or its licence is not among `LICENCES`.
    """
    pins = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") or not line:
            continue
        match = _PIN.fullmatch(line)
        if match is None or match["licence"] not in LICENCES:
            raise ValueError(f"{path.name}: no pin of a wheel under a permissive licence: {line}")
        pins.append(Pin(**match.groupdict()))
    return pins
