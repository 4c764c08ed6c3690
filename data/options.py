"""The options of a run, with the command line's defaults; validated before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from .errors import InputError

EMBEDDED_CORPUS = "docs"
"""Name of the embedded corpus: held-out docstrings of installed packages."""

_HEADS = re.compile(r"all|last:0*[1-9][0-9]*|[0-9]+(,[0-9]+)*")


@dataclass(frozen=True)
class MeasureOptions:
    """What is measured on what.  Everything here except `device` and `batch` decides the numbers."""

    model: str = "docs-gpt2"
    revision: str | None = None
    corpus: str = EMBEDDED_CORPUS
    counts: str | None = None
    layer: int | Literal["last"] = "last"
    conditioning: Literal["target", "input"] = "target"
    threshold: float = 0.15
    elbow: bool = False
    ablation: Literal["mean", "zero", "resample"] = "mean"
    documents: int = 200
    context: int = 256
    seed: int = 0
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    attention: Literal["auto", "eager", "sdpa"] = "auto"
    batch: int | None = None
    heads: str = "all"
    """Layers whose heads are measured: ``all`` up to `layer`, ``last:N`` of them, or their numbers by commas."""
    head_documents: int | None = None
    """How many documents heads are measured on; all of them if None."""
    random_init: bool = False

    def __post_init__(self) -> None:
        _within("--threshold", self.threshold, 0.0, 1.0)
        _choice("--conditioning", self.conditioning, ("target", "input"))
        _choice("--ablation", self.ablation, ("mean", "zero", "resample"))
        _choice("--dtype", self.dtype, ("float32", "bfloat16", "float16"))
        _choice("--attention", self.attention, ("auto", "eager", "sdpa"))
        _at_least("--documents", self.documents, 20)
        _at_least("--context", self.context, 16)
        _at_least("--seed", self.seed, 0)
        if self.batch is not None:
            _at_least("--batch", self.batch, 1)
        if self.head_documents is not None:
            _at_least("--head-documents", self.head_documents, 2)
        if not _HEADS.fullmatch(self.heads):
            hint = "give all, last:N, or layers from 0 by commas"
            raise InputError(f"{self.heads!r} names no heads", "--heads", hint)
        if self.layer != "last":
            _at_least("--layer", int(self.layer), 0)


@dataclass(frozen=True)
class TestOptions:
    """What is tested and how.  `jobs` never changes a number."""

    __test__ = False  # not a pytest class

    suite: Literal["default", "full"] = "default"
    only: tuple[str, ...] = ()
    nulls: dict[str, str] = field(default_factory=dict)
    plateau: str = ".017"
    replicates: int = 999
    alpha: float = 0.05
    seed: int = 0
    jobs: int = 1
    varied: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Other values of some settings, each combination of which is tested as well; checked by `multiverse.design`."""

    def __post_init__(self) -> None:
        _choice("--suite", self.suite, ("default", "full"))
        _within("--alpha", self.alpha, 0.0, 0.5)
        _at_least("--replicates", self.replicates, 1)
        _at_least("--jobs", self.jobs, 1)
        _at_least("--seed", self.seed, 0)


class Progress(Protocol):
    """Where long work reports how far it is."""

    def stage(self, name: str, total: int) -> AbstractContextManager[Stage]:
        """A stage of `total` steps, as a context manager."""


class Stage(Protocol):
    """One stage of long work."""

    def advance(self, steps: int = 1) -> None:
        """`steps` more steps are done."""


class Silent:
    """Progress that nobody sees."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Silent]:
        """A stage without a display."""
        yield self

    def advance(self, steps: int = 1) -> None:
        """Do nothing."""


def existing(path: str, option: str) -> Path:
    """`path` as a Path that exists.

    Raises
    ------
    InputError
        If there is nothing there.
    """
    found = Path(path).expanduser()
    if not found.exists():
        raise InputError(f"no such file or directory: {path}", option, "check the path")
    return found


def _within(option: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        hint = f"give a number between {low:g} and {high:g}, ends excluded"
        raise InputError(f"{value:g} is out of range", option, hint)


def _at_least(option: str, value: int, low: int) -> None:
    if value < low:
        raise InputError(f"{value} is out of range", option, f"give a whole number of at least {low}")


def _choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{value!r} is not one of {', '.join(choices)}", option, f"give one of {', '.join(choices)}")
