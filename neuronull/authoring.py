"""Null models, hypotheses and model families from functions and classes: ``@nn.null_model``, ``@nn.hypothesis``.

They are registered in this process and join a run only when it asks for them.  A plug-in package (``neuronull new``)
announces the same objects as entry points.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from .data.adapters import Adapter, families
from .data.errors import InputError
from .hypotheses.catalogue import hypotheses, nulls, papers, shipped
from .hypotheses.hypothesis import Hypothesis
from .hypotheses.inference.verdicts import Absence, Criterion
from .hypotheses.neuron_sets import Need, NeuronSet
from .hypotheses.nulls.base import RANDOMISES, Draws, NullModel, Observed, Randomises, generator, stack
from .hypotheses.paper import Paper
from .hypotheses.statistics.functions import FunctionStatistic, StatisticFunction
from .hypotheses.words import Words

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


def hypothesis(
    id: str,
    *,
    claim: str,
    criterion: Criterion,
    nulls: Sequence[str | NullModel],
    set: NeuronSet | None = None,
    sensitivity: Sequence[str | NullModel] = (),
    words: Words | None = None,
    alike: Sequence[str] = (),
    reads: Sequence[Need] = (),
    mean_over: Literal["members", "pairs", "none"] = "members",
    figures: Sequence[str] = (),
    source: str = "",
) -> Callable[[StatisticFunction], Hypothesis]:
    """Declare a hypothesis whose statistic is a function ``fn(data, sets) -> [R]``.

    Parameters
    ----------
    id
        ``family.name``; p-values are adjusted over a family.
    claim
        One sentence with its full stop; ``{set}``, ``{a}`` and ``{b}`` stand for the names of set and conditions.
    criterion
        `Presence` or `Absence` with the margin declared, or `Sensitivity` for a row that decides nothing.
    nulls
        One null model or two, by id or as objects; of two, the larger p counts.
    set
        The neurons that it is about, for instance ``nn.neurons([...], name="entropy")``; without it, those of its
        paper, of ``--set``, or the most influential.
    sensitivity
        Further null models, whose rows decide nothing.
    words
        What a reader is told; by default made of the claim.
    alike
        Columns of the neurons table in which null sets must be like the set; by default all.  What the function reads
        must not be among them.
    reads
        What must be measured for it beside influence and activations: "heads", "effects".
    mean_over
        What the function is, near enough, a mean over: what null sets share with the set is taken out accordingly.
    figures
        Kinds of figures that stand with it: curves, graphs, head_map, effects, balance.
    source
        Where the claim is made; by default the function's place.

    Returns
    -------
    callable
        A decorator that turns the function into a `Hypothesis` and registers it.

    Raises
    ------
    InputError
        If the id is taken or of another form, or what is decorated is no function.
    """

    def decorate(function: StatisticFunction) -> Hypothesis:
        if not callable(function) or inspect.isclass(function):
            raise InputError(f"{function!r} is no function", id, "decorate fn(data, sets)")
        place = f"{function.__module__}.{function.__qualname__}"
        statistic = FunctionStatistic(
            function.__name__,
            centred=True,
            function=function,
            reads=tuple(reads),
            mean_over=mean_over,
        )
        measured = " ".join((inspect.getdoc(function) or "").split())
        try:
            made = Hypothesis(
                id=id, claim=claim, criterion=criterion, statistic=statistic, nulls=tuple(nulls), set=set,
                sensitivity=tuple(sensitivity), words=words or words_of(claim, criterion, measured),
                alike=tuple(alike), figures=tuple(figures), source=source or place,
            )  # fmt: skip
        except ValueError as error:
            raise InputError(str(error), place, "give family.name, and one or two null models") from None
        owner = next((p.id for p in shipped() for h in p.hypotheses if h.id == id), "")
        if owner:
            raise InputError(f"{id} is a hypothesis of {owner}", place, "give yours an id of its own")
        hypotheses.register(id, made, origin=place)
        return made

    return decorate


def words_of(claim: str, criterion: Criterion, measured: str = "") -> Words:
    """Words made of a claim, for authors who give none."""
    clause = claim.strip().rstrip(".")
    # the clause alone: "the claim holds, but only by .02" would contradict the verdict that stands beside it
    there = clause[:1].lower() + clause[1:]
    absent = isinstance(criterion, Absence)
    return Words(
        title=clause,
        asks=f"Is it so that {clause[:1].lower()}{clause[1:]}?",
        plus="the effect that the claim denies is there" if absent else there,
        minus="the effect goes the other way",
        none=there if absent else "there is no such effect of a size that would matter",
        measured=measured,
    )


def adapter(name: str) -> Callable[[type[Adapter]], type[Adapter]]:
    """Register a subclass of `Adapter` as the model family `name`.

    Raises
    ------
    InputError
        If the name is taken, or what is decorated is no adapter.
    """

    def decorate(given: type[Adapter]) -> type[Adapter]:
        if not (inspect.isclass(given) and issubclass(given, Adapter)):
            raise InputError(f"{given!r} is no Adapter", name, "derive it from neuronull.Adapter")
        families.register(name, given, origin=f"{given.__module__}.{given.__qualname__}")
        return given

    return decorate


def paper(given: Paper) -> Paper:
    """Register a paper, so that ``paper=`` can ask for it; returns it.

    Raises
    ------
    InputError
        If its id is taken.
    """
    return papers.register(given.id, given, origin=f"paper {given.id}")
