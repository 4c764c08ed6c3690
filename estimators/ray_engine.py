"""Items of a stage on the workers of a Ray cluster, each with the model in its memory (extra ``[ray]``).

An existing cluster by ``RAY_ADDRESS``; without it one is started on this machine, and ended with the run.  Each worker
has as many threads as this process, or one GPU.  Results come back through Ray's object store, so the machines need no
folder in common but that of the model.  A worker that dies is replaced, and what it was working on is done again.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import ray
import torch

from ..data.errors import InputError
from ..data.models import LoadedModel, Origin, load_model
from .compiled import settled_threads
from .engine import Each, Local, Size, Work

_OPTION = "--engine ray"
_IN_FLIGHT = 2
"""Portions that a worker has: one that it works on, and the next."""
_RESTARTS = 4
"""How often a worker may die before the run gives up."""


@dataclass(frozen=True)
class _Told:
    """What is wrong, as a worker found it: errors of our own do not survive being sent."""

    what: str
    where: str
    hint: str


@dataclass(frozen=True)
class _Stage:
    """What a worker needs for a stage; equal numbers are the same stage."""

    number: int
    origin: Origin
    hash: str
    work: Work[Any, Any]
    size: Size


class Worker:
    """Holds a model and what the stage under way has made of it; lives in a process of its own."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        settled_threads()
        self._loaded: LoadedModel | None = None
        self._origin: Origin | None = None
        self._number, self._stack = -1, ExitStack()
        self._each: Each = iter

    def run(self, stage: _Stage, items: list[Any]) -> list[Any] | _Told:
        """What is found of some items of a stage, on the host."""
        try:
            if stage.number != self._number:
                self._open(stage)
            return [_on_host(found) for found in self._each(items)]
        except InputError as error:
            return _Told(error.what, error.where, error.hint)

    def _open(self, stage: _Stage) -> None:
        self._stack.close()
        self._stack, self._number = ExitStack(), -1
        if self._loaded is None or self._origin != stage.origin:
            self._loaded, self._origin = None, None  # two models are one too many
            self._loaded, self._origin = load_model(**stage.origin.arguments()), stage.origin
        if self._loaded.hash != stage.hash:
            raise InputError("a worker has another model under this name", _OPTION, "give all machines the same files")
        self._each = self._stack.enter_context(Local().spread(self._loaded, stage.work, stage.size))
        self._number = stage.number


class RayEngine:
    """The workers of a cluster; they start when the first stage needs them.

    Parameters
    ----------
    portion
        Items that a worker is given at a time; as many as it has threads if None.
    """

    def __init__(self, portion: int | None = None) -> None:
        self._threads = settled_threads()
        self._portion = portion or self._threads
        self._workers: list[Any] = []
        self._stages = 0
        self._started = False
        self.ahead = 1 << 20

    def close(self) -> None:
        """Let go of the workers, and of the cluster where it is ours."""
        for worker in self._workers:
            ray.kill(worker)
        self._workers = []
        if self._started:
            self._started = False
            ray.shutdown()

    @contextmanager
    def spread(self, loaded: LoadedModel, work: Work[Any, Any], size: Size) -> Iterator[Each]:
        """As `Engine.spread`."""
        if loaded.origin is None:
            raise InputError("a model in memory cannot be sent to workers", _OPTION,
                             "save it (save_pretrained) and give the folder, or use --engine local")  # fmt: skip
        workers = self._workers = self._workers or self._start(loaded)
        self._stages += 1
        origin = _everywhere(loaded.origin)
        # a portion's documents stand side by side in a worker as they would here
        stage = ray.put(_Stage(self._stages, origin, loaded.hash, work, size))

        def each(items: Iterable[Any]) -> Iterator[Any]:
            return self._each(workers, stage, iter(items))

        yield each

    def _each(self, workers: list[Any], stage: Any, items: Iterator[Any]) -> Iterator[Any]:
        under_way: deque[Any] = deque()
        turn = 0
        try:
            while portion := [_on_host(item, copied=True) for item in islice(items, self._portion)]:
                if len(under_way) >= _IN_FLIGHT * len(workers):
                    yield from _result(under_way.popleft())
                under_way.append(workers[turn % len(workers)].run.remote(stage, portion))
                turn += 1
            while under_way:
                yield from _result(under_way.popleft())
        finally:
            for reference in under_way:  # nobody wants these any more
                ray.cancel(reference)

    def _start(self, loaded: LoadedModel) -> list[Any]:
        """Workers for all that the cluster has free, once."""
        if not ray.is_initialized():
            self._started = True
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody was asked whether Ray may call home
            # results are looked at by this process alone: no dashboard, and nothing of the workers' is printed
            ray.init(
                address=os.environ.get("RAY_ADDRESS"),
                include_dashboard=None if os.environ.get("RAY_ADDRESS") else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=True,
            )
        resources: Any = ray.cluster_resources
        gpu, there = loaded.device.type == "cuda", resources()
        count = int(there.get("GPU", 0)) if gpu else int(there.get("CPU", 0)) // self._threads
        if count < 1:
            what = "the cluster has no GPU" if gpu else f"the cluster has no {self._threads} CPU cores for a worker"
            raise InputError(what, _OPTION, "set OMP_NUM_THREADS to the cores that a worker may have")
        variables = {name: str(self._threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
        remote: Any = ray.remote(Worker)
        options = remote.options(
            num_cpus=0 if gpu else self._threads,
            num_gpus=1 if gpu else 0,
            max_restarts=_RESTARTS,
            max_task_retries=_RESTARTS,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": variables},
        )
        return [options.remote(self._threads) for _ in range(count)]


def _result(reference: Any) -> list[Any]:
    try:
        found: list[Any] | _Told = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        why = " ".join(str(error.cause).split())[:300]
        raise InputError(f"a worker failed: {type(error.cause).__name__}: {why}", _OPTION,
                         "see whether --engine local does") from error  # fmt: skip
    except ray.exceptions.RayActorError as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"a worker died {_RESTARTS + 1} times: {why}", _OPTION,
                         "give workers more memory, or use --engine local") from error  # fmt: skip
    if isinstance(found, _Told):
        raise InputError(found.what, found.where, found.hint)
    return found


def _everywhere(origin: Origin) -> Origin:
    """An origin that means the same whatever a worker's working directory, and whichever GPU it has."""
    name, device = origin.name, origin.device
    here = Path(name).expanduser()
    return replace(
        origin, name=str(here.resolve()) if here.exists() else name, device="cuda" if "cuda" in device else device
    )


def _on_host(value: Any, copied: bool = False) -> Any:
    """A result, or an item, with all its tensors on the host; `copied` where they are parts of larger ones."""
    if isinstance(value, torch.Tensor):
        on_host = value.detach().cpu()
        return on_host.clone() if copied else on_host
    if isinstance(value, tuple | list):
        return type(value)(_on_host(one, copied) for one in value)
    return value
