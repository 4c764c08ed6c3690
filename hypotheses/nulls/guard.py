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
import pandas as pd
import torch

from ...data.errors import InputError
from .base import NullModel, Observed
from .form import form_fault

OWN = "neuronull.hypotheses."
"""Modules whose null models and statistics are our own; what `nn.null_model` makes of a function is its author's."""
SMALL = 1 << 24
"""Bytes up to which an array is copied for a null model; a checksum of all is taken before and after."""


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
        given = _copied(measurements), _copied(observed)
        before = _checksum(given)
        with blamed(null):
            self._state = null.prepare(*given)
        if _checksum(given) != before:
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
            self._check_same(drawn[0], again[0] if isinstance(again, torch.Tensor) and len(again) else None)
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
            if not self.own and self.null.randomises != "corpus" and number == replicates.start:
                with blamed(self.null):
                    again = next(iter(self.null.draw(self._state, replicates[:1], seed)), None)
                self._check_same(draw, again)
            yield draw

    def _check_same(self, draw: Any, again: Any) -> None:
        """Refuse a draw that is not a function of seed and replicate (of a corpus this would cost a measurement)."""
        if not (isinstance(again, torch.Tensor) and torch.equal(draw, again)):
            raise self._fault("the same seed and replicate gave another draw", "draw from generator(seed, replicate)")

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
        raise NullFault(f"{name} failed: {what}", _home(author), "repair or uninstall that plug-in") from error


def _module(author: Any) -> str:
    return str(author.__module__ if hasattr(author, "__qualname__") else type(author).__module__)


def _home(author: Any) -> str:
    kind = author if hasattr(author, "__qualname__") else type(author)
    return f"{kind.__module__}.{kind.__qualname__}"


def _copied(value: Any) -> Any:
    """The offered object, or measurements, with small arrays and tables copied, however deep they lie."""
    if isinstance(value, torch.Tensor):
        return value.clone() if value.nbytes <= SMALL else value
    if isinstance(value, np.ndarray):
        return value.copy() if value.nbytes <= SMALL else value
    if isinstance(value, pd.DataFrame):
        return value.copy() if value.memory_usage().sum() <= SMALL else value
    if type(value) in (tuple, list):
        return type(value)(map(_copied, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _copied(getattr(value, f.name)) for f in fields(value) if f.init})
    return value


def _checksum(value: Any) -> int:
    """Checksum of every array that a dataclass holds, however deep."""
    total = 0
    for array in _arrays(value):
        total = zlib.crc32(memoryview(array).cast("B"), total) if array.nbytes else total
    return total


def _arrays(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    elif isinstance(value, np.ndarray):
        if value.dtype != object:
            yield np.ascontiguousarray(value)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _arrays(item)
    elif isinstance(value, pd.DataFrame):
        for name in value.columns:
            yield from _arrays(value[name].to_numpy())
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            yield from _arrays(getattr(value, f.name))
