"""For authors of plug-ins: the conformance checks as tests of their own.

    from neuronull.testing import parametrize_with_checks

    @parametrize_with_checks([MyNull()])
    def test_my_null(target, check):
        check(target)

`DataView` is what a statistic function is given, for type checkers.  Names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hypotheses.checks.testing import parametrize_with_checks as parametrize_with_checks
    from .hypotheses.statistics.functions import DataView as DataView

_HOMES = {
    "DataView": ".hypotheses.statistics.functions",
    "parametrize_with_checks": ".hypotheses.checks.testing",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __package__), name)
    raise AttributeError(f"module 'neuronull.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
