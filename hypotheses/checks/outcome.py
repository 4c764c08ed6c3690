"""How a single check ends, and the report of all of them."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

PACKAGES = ("neuronull", "numpy", "torch")
"""Packages whose versions a certificate names."""


class Failed(AssertionError):
    """The check was run and what it looks for is not so; the message says what was seen."""


class Skipped(Exception):
    """The check does not apply; the message says why."""


@dataclass(frozen=True)
class Check:
    """One check: ``passed`` is None where it does not apply; ``reason`` says what was seen, or why it was skipped."""

    id: str
    passed: bool | None
    reason: str
    seconds: float

    def __str__(self) -> str:
        mark = {True: "passed ", False: "FAILED ", None: "skipped"}[self.passed]
        return f"{mark}  {self.id:<16}  {self.reason}"


@dataclass(frozen=True)
class Report:
    """All checks of one target: a certificate that a report can cite."""

    target: str
    kind: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether something was run and nothing failed."""
        return self.run > 0 and not self.failures

    @property
    def run(self) -> int:
        """Checks that were run; those that do not apply are counted apart."""
        return sum(c.passed is not None for c in self.checks)

    @property
    def failures(self) -> tuple[str, ...]:
        """Ids of the checks that failed."""
        return tuple(c.id for c in self.checks if c.passed is False)

    @property
    def skipped(self) -> tuple[str, ...]:
        """Ids of the checks that do not apply."""
        return tuple(c.id for c in self.checks if c.passed is None)

    def to_json(self) -> dict[str, Any]:
        """Certificate, ready for `json.dumps`: outcomes, counts and the versions they were had with."""
        return {
            "target": self.target, "kind": self.kind, "passed": self.passed, "run": self.run,
            "skipped": len(self.skipped), "failed": list(self.failures),
            "checks": [{"id": c.id, "passed": c.passed, "reason": c.reason} for c in self.checks],
            "versions": {"python": platform.python_version()} | {n: version(n) for n in PACKAGES},
        }  # fmt: skip

    @property
    def summary(self) -> str:
        """How many checks ran and passed, and how many do not apply, in one line."""
        do = "does" if len(self.skipped) == 1 else "do"
        apart = f", {len(self.skipped)} {do} not apply ({', '.join(self.skipped)})" if self.skipped else ""
        return f"{self.target}: {self.run - len(self.failures)} of {self.run} checks passed{apart}"

    def __str__(self) -> str:
        return "\n".join([*map(str, self.checks), self.summary])


def ran(name: str, work: Callable[[], str]) -> Check:
    """Outcome of one check; whatever else `work` raises is a failure too."""
    start = time.perf_counter()

    def done(passed: bool | None, reason: str) -> Check:
        return Check(name, passed, " ".join(reason.split()), time.perf_counter() - start)

    try:
        return done(True, work())
    except Skipped as why:
        return done(None, str(why))
    except Failed as why:
        return done(False, str(why))
    except (Exception, SystemExit) as error:  # other people's code may raise anything, and the report must name it
        return done(False, f"raised {type(error).__name__}: {error}")


def require(condition: bool, otherwise: str) -> None:
    """Fail the check with `otherwise` unless `condition`."""
    if not condition:
        raise Failed(otherwise)
