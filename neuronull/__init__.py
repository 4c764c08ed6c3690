"""Statistical tests of what people claim about the insides of language models.

>>> import neuronull as nn
>>> result = nn.run(model="gpt2-xl", corpus="texts.jsonl")      # doctest: +SKIP
>>> print(result.finding("clusters.within"))                    # doctest: +SKIP

Everything is imported on first use, so that ``import neuronull`` is quick.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import testing as testing
    from .api import RunResult as RunResult
    from .api import load as load
    from .api import ls as ls
    from .api import measure as measure
    from .api import plan as plan
    from .api import run as run
    from .api import sweep as sweep
    from .authoring import adapter as adapter
    from .authoring import hypothesis as hypothesis
    from .authoring import null_model as null_model
    from .authoring import paper as paper
    from .data.adapters import Adapter as Adapter
    from .data.errors import InputError as InputError
    from .data.measurements import Measurements as Measurements
    from .hypotheses.hypothesis import Hypothesis as Hypothesis
    from .hypotheses.inference.verdicts import Absence as Absence
    from .hypotheses.inference.verdicts import Presence as Presence
    from .hypotheses.inference.verdicts import Sensitivity as Sensitivity
    from .hypotheses.neuron_sets import neurons as neurons
    from .hypotheses.nulls.base import NullModel as NullModel
    from .hypotheses.paper import Claim as Claim
    from .hypotheses.paper import Paper as Paper
    from .hypotheses.result import Finding as Finding
    from .hypotheses.result import Result as Result
    from .hypotheses.statistic import Statistic as Statistic
    from .hypotheses.words import Words as Words

if not Path(__file__).with_name("data").is_dir():
    # A checkout without symbolic links: the rooms lie beside this folder, where their links should point.
    __path__.append(str(Path(__file__).resolve().parent.parent))

_HOMES = {
    "Absence": ".hypotheses.inference.verdicts",
    "Adapter": ".data.adapters",
    "Claim": ".hypotheses.paper",
    "Finding": ".hypotheses.result",
    "Hypothesis": ".hypotheses.hypothesis",
    "InputError": ".data.errors",
    "Measurements": ".data.measurements",
    "NullModel": ".hypotheses.nulls.base",
    "Paper": ".hypotheses.paper",
    "Presence": ".hypotheses.inference.verdicts",
    "Result": ".hypotheses.result",
    "RunResult": ".api",
    "Sensitivity": ".hypotheses.inference.verdicts",
    "Statistic": ".hypotheses.statistic",
    "Words": ".hypotheses.words",
    "adapter": ".authoring",
    "hypothesis": ".authoring",
    "load": ".api",
    "ls": ".api",
    "measure": ".api",
    "neurons": ".hypotheses.neuron_sets",
    "null_model": ".authoring",
    "paper": ".authoring",
    "plan": ".api",
    "run": ".api",
    "sweep": ".api",
}

__all__ = [
    "Absence",
    "Adapter",
    "Claim",
    "Finding",
    "Hypothesis",
    "InputError",
    "Measurements",
    "NullModel",
    "Paper",
    "Presence",
    "Result",
    "RunResult",
    "Sensitivity",
    "Statistic",
    "Words",
    "__version__",
    "adapter",
    "hypothesis",
    "load",
    "ls",
    "measure",
    "neurons",
    "null_model",
    "paper",
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
    return sorted(__all__)
