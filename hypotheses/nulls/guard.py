"""Null models at work on real data: what they are given cannot be spoilt, and what they draw is looked at.

A null model is often somebody else's.  Whatever it does wrong would end up in a p-value, its own or another's, so that
every draw is held to its form here, and every fault names the null model it came from.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch

from ...data.errors import InputError
from .base import NullModel, Observed
from .form import form_fault

OWN = "neuronull."
SMALL = 1 << 24
"""Bytes up to which an array is copied for a null model; of larger ones a checksum is taken before and after."""


class NullFault(InputError):
    """A null model that breaks its contract."""


class GuardedNull:
    """A null model with what it is offered, prepared once; draws are checked.

    Parameters
    ----------
    null
        The null model.
    measurements, observed
        What `NullModel.prepare` is given.

    Raises
    ------
    MissingInput
        If the null model cannot serve what is offered.
    NullFault
        If preparing fails or changes its input.
    """

    def __init__(self, null: NullModel, measurements: Any, observed: Observed) -> None:
        self.null, self._observed = null, observed
        self.own = _module(null).startswith(OWN)
        if self.own:
            self._state = null.prepare(measurements, observed)
            return
        before = _checksum(measurements)
        given = _copied(observed)
        sums = _checksum(given)
        with blamed(null):
            self._state = null.prepare(measurements, given)
        if _checksum(measurements) != before or _checksum(given) != sums:
            raise self._fault("its prepare() changes what it is given", "work on a copy")

    def draw(self, replicates: range, seed: int) -> Any:
        """Draws of these replicates: one tensor, or an iterator of draws.

        Raises
        ------
        NullFault
            If a draw has another number, shape, type or range than its kind of object asks for.
        """
        if self.null.randomises in ("neurons", "labels", "heads", "influence"):
            return self._stacked(replicates, seed)
        return self._each(replicates, seed)

    def _stacked(self, replicates: range, seed: int) -> torch.Tensor:
        with blamed(self.null):
            drawn = self.null.draw(self._state, replicates, seed)
        if not isinstance(drawn, torch.Tensor) or drawn.ndim < 2 or len(drawn) != len(replicates):
            raise self._fault(
                f"{len(replicates)} replicates were asked for and "
                f"{len(drawn) if isinstance(drawn, torch.Tensor) and drawn.ndim else type(drawn).__name__} came",
                "give one draw per replicate, stacked into one tensor",
            )
        for draw in drawn if not self.own else drawn[:1]:
            self._check(draw)
        if not self.own and len(drawn) > 1:
            with blamed(self.null):
                again: Any = self.null.draw(self._state, replicates[:1], seed)
            if not torch.equal(again[0], drawn[0]):
                said = "the same seed and replicate gave another draw"
                raise self._fault(said, "draw from generator(seed, replicate)")
        return drawn

    def _each(self, replicates: range, seed: int) -> Iterator[Any]:
        with blamed(self.null):
            drawn = iter(self.null.draw(self._state, replicates, seed))
        for number in replicates:
            with blamed(self.null):
                draw = next(drawn, None)
            if draw is None:
                raise self._fault(f"no draw came for replicate {number}", "give one draw per replicate")
            self._check(draw)
            yield draw

    def _check(self, draw: Any) -> None:
        fault = form_fault(self._observed, draw)
        if fault:
            raise self._fault(fault, "see neuronull check")

    def _fault(self, what: str, hint: str) -> NullFault:
        return NullFault(f"null model {self.null.name}: {what}", _home(self.null), hint)


@contextmanager
def blamed(author: Any) -> Iterator[None]:
    """Turn whatever somebody else's code raises into one line that names it; our own faults stay as they are.

    Raises
    ------
    NullFault
        If the code raises, or tries to end the process.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # other people's code may raise anything
        if _module(author).startswith(OWN):
            raise
        name = getattr(author, "name", None) or getattr(author, "__name__", None) or type(author).__name__
        what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise NullFault(f"{name} failed: {what}", _home(author), "mend or uninstall that plug-in") from error


def _module(author: Any) -> str:
    return str(author.__module__ if hasattr(author, "__qualname__") else type(author).__module__)


def _home(author: Any) -> str:
    kind = author if hasattr(author, "__qualname__") else type(author)
    return f"{kind.__module__}.{kind.__qualname__}"


def _copied(observed: Observed) -> Observed:
    """The offered object with small arrays copied."""

    def copy(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.nbytes <= SMALL:
            return value.clone()
        if isinstance(value, np.ndarray) and value.nbytes <= SMALL:
            return value.copy()
        return tuple(map(copy, value)) if isinstance(value, tuple) else value

    return replace(observed, **{f.name: copy(getattr(observed, f.name)) for f in fields(observed)})


def _checksum(value: Any) -> int:
    """Checksum of every array that a dataclass holds, however deep."""
    total = 0
    for array in _arrays(value):
        total = zlib.crc32(memoryview(array).cast("B"), total) if array.nbytes else total
    return total


def _arrays(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield np.ascontiguousarray(value.detach().cpu().view(torch.uint8).numpy() if value.ndim else value.numpy())
    elif isinstance(value, np.ndarray):
        if value.dtype != object:
            yield np.ascontiguousarray(value)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _arrays(item)
    elif hasattr(value, "to_numpy") and hasattr(value, "columns"):
        for name in value.columns:
            yield from _arrays(value[name].to_numpy())
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            yield from _arrays(getattr(value, f.name))
