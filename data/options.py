"""The options of a run, with the command line's defaults; validated before anything is loaded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .cluster_rules import cluster_rule
from .conditions import BY_FREQUENCY
from .errors import InputError

if TYPE_CHECKING:
    from .given_model import GivenModel

DEFAULT_MODEL = "docs-gpt2"
EMBEDDED_CORPUS = "docs"
"""Name of the embedded corpus: held-out docstrings."""

_HEADS = re.compile(r"all|last:0*[1-9][0-9]*|[0-9]+(,[0-9]+)*")


SIZE_OPTION = "--plateau"
"""What the command line calls the size of a set that is chosen by a score."""

DEFAULT_SIZE = ".017"


@dataclass(frozen=True)
class MeasureOptions:
    """What is measured on what.  Everything here except `device`, `batch` and `shard_documents` decides the numbers.

    ``conditions`` is ``rare``, or the path of a conditions file (`neuronull.data.condition_files`).
    """

    model: str | GivenModel = DEFAULT_MODEL
    """Its name; or a model in memory, of which `device` and `dtype` are then those that it has."""
    revision: str | None = None
    corpus: str | tuple[str, ...] = EMBEDDED_CORPUS
    """Its name, or the texts themselves; `neuronull.data.given.corpus_option` makes it of what a user gives."""
    counts: str | None = None
    layer: int | Literal["last"] = "last"
    conditions: str = BY_FREQUENCY
    conditioning: Literal["target", "input"] = "target"
    threshold: float = 0.15
    elbow: bool = False
    ablation: Literal["mean", "zero", "resample"] = "mean"
    documents: int = 200
    context: int = 256
    cluster: str = "auto"
    """``auto``, ``none``, a table, or a field of the corpus (`neuronull.data.clusters.cluster_rule`)."""
    seed: int = 0
    device: str = "auto"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    attention: Literal["auto", "eager", "sdpa"] = "auto"
    batch: int | None = None
    heads: str = "all"
    """Layers whose heads are measured: ``all`` up to `layer`, ``last:N`` of them, or their numbers by commas."""
    head_documents: int | None = None
    """How many documents heads are measured on; all of them if None."""
    shard_documents: int | None = None
    """Documents after which what is finished is kept for a run that is cut off; every ten seconds if None."""
    random_init: bool = False

    def __post_init__(self) -> None:
        _within("--threshold", self.threshold, 0.0, 1.0)
        if self.conditions != BY_FREQUENCY:
            self._refuse_frequency_options()
        _choice("--conditioning", self.conditioning, ("target", "input"))
        _choice("--ablation", self.ablation, ("mean", "zero", "resample"))
        _choice("--dtype", self.dtype, ("float32", "bfloat16", "float16"))
        _choice("--attention", self.attention, ("auto", "eager", "sdpa"))
        _at_least("--documents", self.documents, 20)
        _at_least("--context", self.context, 16)
        cluster_rule(self.cluster)
        _at_least("--seed", self.seed, 0)
        if self.batch is not None:
            _at_least("--batch", self.batch, 1)
        if self.shard_documents is not None:
            _at_least("--shard-documents", self.shard_documents, 1)
        if self.head_documents is not None:
            _at_least("--head-documents", self.head_documents, 2)
        if not _HEADS.fullmatch(self.heads):
            hint = "give all, last:N, or layers from 0 by commas"
            raise InputError(f"{self.heads!r} names no heads", "--heads", hint)
        if self.layer != "last":
            _at_least("--layer", int(self.layer), 0)

    @property
    def model_told(self) -> str:
        """The model as files tell it."""
        return str(self.model)

    def _refuse_frequency_options(self) -> None:
        """Refuse what decides who is rare where a file says who is in a condition."""
        existing(self.conditions, "--conditions")
        for option, given in (("--threshold", self.threshold != type(self).threshold), ("--elbow", self.elbow)):
            if given:
                what = f"{option} has no say where {Path(self.conditions).name} lists the conditions"
                raise InputError(what, option, f"leave out {option}, or --conditions")

    @property
    def corpus_told(self) -> str:
        """The corpus as files tell it: its name; texts given in Python by their number and hash."""
        if isinstance(self.corpus, str):
            return self.corpus
        digest = hashlib.sha256()
        for text in self.corpus:
            content = text.encode()
            digest.update(len(content).to_bytes(8, "little") + content)
        return f"{len(self.corpus)} texts given in Python, SHA-256 {digest.hexdigest()}"


@dataclass(frozen=True)
class TestOptions:
    """What is tested and how.  `jobs` (None: as many as there are threads) never changes a number."""

    __test__ = False  # not a pytest class

    papers: tuple[str, ...] = ()
    """Ids of the papers whose claims are tested; none stands for those that a plain run tests, "all" for every one."""
    suite: Literal["default", "full"] = "default"
    only: tuple[str, ...] = ()
    nulls: dict[str, str] = field(default_factory=dict)
    set_size: str = DEFAULT_SIZE
    replicates: int = 999
    alpha: float = 0.05
    seed: int = 0
    jobs: int | None = None
    set: str | None = None
    """File that lists the neurons under test; None for those that each paper names."""
    margins: dict[str, float] = field(default_factory=dict)
    """Hypothesis -> margin in place of its own."""
    varied: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Other values of some settings, each combination of which is tested as well; checked by `multiverse.design`."""

    def __post_init__(self) -> None:
        _choice("--suite", self.suite, ("default", "full"))
        _within("--alpha", self.alpha, 0.0, 0.5)
        _at_least("--replicates", self.replicates, 1)
        if self.jobs is not None:
            _at_least("--jobs", self.jobs, 1)
        if self.set is not None:
            existing(self.set, "--set")
        _at_least("--seed", self.seed, 0)


class Progress(Protocol):
    """Where long work reports how far it is."""

    def stage(self, name: str, total: int) -> AbstractContextManager[Stage]:
        """A stage of `total` steps, as a context manager."""


def part(progress: Progress, name: str, stages: int) -> AbstractContextManager[Any]:
    """A part of the work, of so many stages, for a progress that tells parts; within another part it is none."""
    tells = getattr(progress, "part", None)  # a user's own progress need not
    return nullcontext() if tells is None else tells(name, stages)


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
