"""A null model from a function or a class, in a script or a notebook: ``@nn.null_model(...)``.

A plug-in package (``neuronull new null NAME``) uses an entry point instead; the null model is the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .data.errors import InputError
from .hypotheses.catalogue import nulls
from .hypotheses.nulls.base import RANDOMISES, Draws, NullModel, Observed, Randomises, generator, stack

DrawOne = Callable[[Observed, Any], Any]
V = TypeVar("V", bound="DrawOne | type[NullModel]")

_STACKED = ("neurons", "labels", "heads", "influence")
"""Objects whose draws are one tensor; the others are iterated."""


def null_model(
    name: str,
    *,
    randomises: Randomises,
    preserves: Sequence[str] = (),
    breaks: Sequence[str] = (),
    exchangeable: str = "",
    reference: str = "",
    example: Observed | None = None,
) -> Callable[[V], V]:
    """Register a null model under `name`, so that ``null={"clusters.within": name}`` can choose it.

    Parameters
    ----------
    name
        Its id; one that is taken is refused.
    randomises
        Which object its draws are of (`neuronull.hypotheses.nulls.base.Draws`).
    preserves, breaks, exchangeable, reference
        What it keeps, what it destroys, what must be exchangeable, where it comes from.  The conformance check and the
        report read them; for a class, they are its attributes.
    example
        For a function: a small observed object for the conformance check; by default that of the first null model which
        randomises the same.

    Returns
    -------
    callable
        A decorator for a subclass of `NullModel`, or for a function ``draw(observed, rng)`` that gives one draw and
        takes all its randomness from the `numpy.random.Generator` it is handed.

    Raises
    ------
    InputError
        If `randomises` is none of the objects, the name is taken, or what is decorated is neither.
    """
    if randomises not in RANDOMISES:
        raise InputError(f"{randomises!r} cannot be randomised", "randomises", f"give one of {', '.join(RANDOMISES)}")
    declared = {"preserves": preserves, "breaks": breaks, "exchangeable": exchangeable, "reference": reference}

    def decorate(given: V) -> V:
        if inspect.isclass(given):
            made = _completed(given, name, randomises)
        else:
            made = _drawn_by(given, name, randomises, example)
        for attribute, value in declared.items():
            if value or not hasattr(type(made), attribute):
                setattr(type(made), attribute, value)
        nulls.register(name, made, origin=f"{given.__module__}.{given.__qualname__}")
        return given

    return decorate


def _completed(given: Any, name: str, randomises: Randomises) -> NullModel:
    if not issubclass(given, NullModel):
        raise InputError(f"{given.__qualname__} is no NullModel", name, "derive it from neuronull.NullModel")
    given.name, given.randomises = name, randomises
    made: NullModel = given()
    return made


def _drawn_by(draw_one: Any, name: str, randomises: Randomises, example: Observed | None) -> NullModel:
    """Make a null model whose every draw is a call of `draw_one` with a generator of its own."""
    if not callable(draw_one):
        raise InputError(f"{draw_one!r} is neither a function nor a class", name, "decorate draw(observed, rng)")

    class DrawnOneByOne(NullModel):
        __doc__ = inspect.getdoc(draw_one)

        def prepare(self, measurements: Any, observed: Observed) -> Observed:
            return observed

        def draw(self, state: Observed, replicates: range, seed: int) -> Draws:
            def one(replicate: int) -> Any:
                return draw_one(state, generator(seed, replicate, name))

            return stack(one, replicates) if randomises in _STACKED else map(one, replicates)

        def example(self) -> Observed:
            return example if example is not None else _example_of(randomises)

        def space(self, observed: Observed) -> None:
            """Unknown: a function does not say which draws there are, nor that they are equally likely."""

    DrawnOneByOne.name, DrawnOneByOne.randomises = name, randomises
    DrawnOneByOne.__name__ = DrawnOneByOne.__qualname__ = draw_one.__name__
    return DrawnOneByOne()


def _example_of(randomises: Randomises) -> Observed:
    for _, null in nulls.items():
        if null.randomises == randomises and type(null).__module__.startswith("neuronull."):
            found: Observed = null.example()
            return found
    raise InputError(f"no example of {randomises} is at hand", "example", "give null_model(..., example=Observed(...))")
