"""For authors of plug-ins: the conformance checks as tests of their own.

    from neuronull.testing import parametrize_with_checks

    @parametrize_with_checks([MyNull()])
    def test_my_null(null, check):
        check(null)

The names come from `neuronull.hypotheses.checks.testing` and are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_LAZY = ("parametrize_with_checks",)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(".hypotheses.checks.testing", __package__), name)
    raise AttributeError(f"module 'neuronull.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
