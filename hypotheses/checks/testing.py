"""The checks as pytest tests, one id a check, for authors of plug-ins and for the catalogue itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data.measurements import Measurements
from ...data.store import load
from .conformance import checks_of, resolve
from .outcome import ran


@dataclass(frozen=True)
class CheckCall:
    """One check; called with its target it passes, skips, or raises AssertionError with the reason."""

    id: str
    measurements: Measurements | None = None

    def __call__(self, target: Any) -> None:
        """Run the check."""
        import pytest

        outcome = ran(self.id, checks_of(resolve(target), self.measurements)[self.id])
        if outcome.passed is None:
            pytest.skip(outcome.reason)
        if not outcome.passed:
            raise AssertionError(f"{self.id}: {outcome.reason}")


def parametrize_with_checks(
    targets: Iterable[Any], measurements: str | Path | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Parametrise ``test(target, check)`` with every check of every target.

    Parameters
    ----------
    targets
        Null models and hypotheses: instances, classes, registered names or ``module:attribute``.
    measurements
        Directory of measurements that hypotheses are checked on; by default small planted ones.

    Returns
    -------
    callable
        A decorator; the test calls ``check(target)``.
    """
    import pytest

    measured = None if measurements is None else load(Path(measurements))

    cases = []
    for target in targets:
        found = resolve(target)
        name = getattr(found, "name", "") or getattr(found, "id", "")
        cases += [pytest.param(found, CheckCall(check, measured), id=f"{name}-{check}") for check in checks_of(found)]
    mark: Callable[[Callable[..., Any]], Callable[..., Any]] = pytest.mark.parametrize(("target", "check"), cases)
    return mark
