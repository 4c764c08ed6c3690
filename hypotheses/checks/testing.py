"""The checks as pytest tests, one id a check, for authors of plug-ins and for the catalogue itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .conformance import checks_of, resolve
from .outcome import ran


@dataclass(frozen=True)
class CheckCall:
    """One check; called with its target it passes, skips, or raises AssertionError with the reason."""

    id: str

    def __call__(self, target: Any) -> None:
        """Run the check."""
        import pytest

        outcome = ran(self.id, checks_of(resolve(target))[self.id])
        if outcome.passed is None:
            pytest.skip(outcome.reason)
        if not outcome.passed:
            raise AssertionError(f"{self.id}: {outcome.reason}")


def parametrize_with_checks(nulls: Iterable[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Parametrise ``test(null, check)`` with every check of every null model.

    Parameters
    ----------
    nulls
        Null models: instances, classes, registered names or ``module:attribute``; hypotheses too.

    Returns
    -------
    callable
        A decorator; the test calls ``check(null)``.
    """
    import pytest

    cases = []
    for null in nulls:
        found = resolve(null)
        name = getattr(found, "name", "") or getattr(found, "id", "")
        cases += [pytest.param(found, CheckCall(check), id=f"{name}-{check}") for check in checks_of(found)]
    mark: Callable[[Callable[..., Any]], Callable[..., Any]] = pytest.mark.parametrize(("null", "check"), cases)
    return mark
