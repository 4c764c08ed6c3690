"""Statistical tests of what people claim about the insides of language models.

>>> import neuronull as nn
>>> result = nn.run(model="gpt2-xl", corpus="texts.jsonl")      # doctest: +SKIP
>>> print(result.finding("clusters.within"))                    # doctest: +SKIP

Everything is imported on first use, so that ``import neuronull`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import testing as testing
    from .api import RunResult as RunResult
    from .api import measure as measure
    from .api import run as run
    from .authoring import null_model as null_model
    from .data.errors import InputError as InputError
    from .data.measurements import Measurements as Measurements
    from .hypotheses.nulls.base import NullModel as NullModel
    from .hypotheses.result import Finding as Finding
    from .hypotheses.result import Result as Result

_HOMES = {
    "Finding": ".hypotheses.result",
    "InputError": ".data.errors",
    "Measurements": ".data.measurements",
    "NullModel": ".hypotheses.nulls.base",
    "Result": ".hypotheses.result",
    "RunResult": ".api",
    "measure": ".api",
    "null_model": ".authoring",
    "run": ".api",
}

__all__ = [
    "Finding",
    "InputError",
    "Measurements",
    "NullModel",
    "Result",
    "RunResult",
    "__version__",
    "measure",
    "null_model",
    "run",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("neuronull")
    if name == "testing":
        return import_module(".testing", __name__)
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module 'neuronull' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
