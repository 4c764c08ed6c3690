"""Which hypotheses and controls a run tests, and what must be measured for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..data.errors import InputError
from ..data.options import TestOptions
from ..data.registry import suggestion
from . import catalogue
from .controls import Control
from .hypothesis import Hypothesis
from .inference.permutation import enough_replicates
from .inference.verdicts import Sensitivity
from .neuron_sets import Need, NeuronSet
from .paper import Paper
from .result import Role


@dataclass(frozen=True)
class Choice:
    """What a run tests: hypotheses and controls in the catalogue's order, and the papers they belong to."""

    papers: tuple[Paper, ...]
    hypotheses: tuple[Hypothesis, ...]
    controls: tuple[Control, ...]

    def set_of(self, hypothesis: Hypothesis) -> NeuronSet | None:
        """The set that a hypothesis is about, if it or one of the papers names one."""
        if hypothesis.set is not None:
            return hypothesis.set
        declaring = next((p for p in self.papers if any(h.id == hypothesis.id for h in p.hypotheses)), None)
        return declaring.set if declaring is not None else None

    @property
    def tested_needs(self) -> frozenset[Need]:
        """What must be measured beside the panel for the hypotheses."""
        of_statistics = (need for h in self.hypotheses for need in h.statistic.needs)
        of_sets = (need for h in self.hypotheses if (own := self.set_of(h)) is not None for need in own.needs)
        return frozenset((*of_statistics, *of_sets))

    @property
    def needs(self) -> frozenset[Need]:
        """What must be measured beside the panel for the hypotheses and the controls."""
        return self.tested_needs | {need for control in self.controls for need in control.needs}

    @property
    def random_weights(self) -> bool:
        """Whether the model must be measured with its weights drawn anew."""
        return any(control.needs_random_weights for control in self.controls)


def choose(options: TestOptions) -> Choice:
    """Hypotheses and controls asked for.

    ``papers`` names papers; a plain run tests those of them that are marked so.  ``only`` takes ids or whole families
    from any paper; without it the default hypotheses of the papers are tested, or with ``full`` all of them.  A family
    stands for those of it that would run without ``only``, or for all where none would.

    Raises
    ------
    InputError
        For an id that is not there, or that papers mean different things by; for a margin of a hypothesis that is not
        tested or has none; for a set that nothing tested would use.
    """
    asked = catalogue.papers_asked(options.papers)
    if not options.only:
        wanted = [h for h in _of(asked) if h.default or options.suite == "full"]
        return _checked(Choice(tuple(asked), tuple(wanted), tuple(catalogue.controls(asked))), options)
    known = {h.id: h for h in _of(asked)}
    controls = {c.id: c for c in catalogue.controls([*asked, *catalogue.shipped()])}
    names: dict[str, None] = {}
    for one in options.only:
        found = _named(one, known, controls, options) or _anywhere(one, options)
        names.update(dict.fromkeys(found))
    elsewhere = {name: catalogue.hypothesis(name) for name in names if name not in known and name not in controls}
    everything = {**known, **elsewhere}
    wanted = [h for name, h in everything.items() if name in names]
    near = asked if options.papers else _all_papers(asked)
    everywhere = [*near, *(p for name in elsewhere for p in catalogue.papers_of(name))]
    belonging = {p.id: p for p in everywhere if any(everything.get(h.id) == h for h in p.hypotheses if h.id in names)}
    chosen = tuple(c for name, c in controls.items() if name in names)
    return _checked(Choice(tuple(belonging.values() or asked), tuple(wanted), chosen), options)


def _of(papers: Sequence[Paper]) -> list[Hypothesis]:
    """Hypotheses of papers; an id that two papers declare is one hypothesis.

    Raises
    ------
    InputError
        If two papers mean different hypotheses by one id.
    """
    first: dict[str, tuple[str, Hypothesis]] = {}
    for paper in papers:
        for one in paper.hypotheses:
            owner, known = first.setdefault(one.id, (paper.id, one))
            if known != one:
                raise InputError(f"{owner} and {paper.id} mean different hypotheses by {one.id}", "--paper",
                                 "run them one by one")  # fmt: skip
    return [one for _, one in first.values()]


def _all_papers(asked: Sequence[Paper]) -> list[Paper]:
    """The papers asked for, then the others that ship."""
    return list({p.id: p for p in (*asked, *catalogue.shipped())}.values())


def _named(one: str, known: dict[str, Hypothesis], controls: dict[str, Control], options: TestOptions) -> list[str]:
    """Ids that an id or a family stands for, of these hypotheses and controls."""
    family = [h for h in known.values() if h.family == one]
    usual = [h for h in family if h.default or options.suite == "full"] or family
    ids = [h.id for h in usual]
    return ids + [name for name in (*known, *controls) if one in (name, name.split(".")[0]) and name not in
                  {h.id for h in family}]  # fmt: skip


def _anywhere(one: str, options: TestOptions) -> list[str]:
    """Ids that an id or a family stands for among everything that can be loaded."""
    everything = catalogue.known_hypotheses()
    found = _named(one, everything, {}, options)
    if not found:
        catalogue.hypothesis(one)  # raises, with the nearest id
    return found


def _checked(choice: Choice, options: TestOptions) -> Choice:
    """The choice with the margins that the options give, if its papers and the user's set fit together."""
    for one in choice.hypotheses:
        declaring = [p for p in choice.papers if any(h.id == one.id for h in p.hypotheses)]
        if one.set is None and any(p.set != declaring[0].set for p in declaring):
            names = " and ".join(p.id for p in declaring)
            raise InputError(f"{names} ask {one.id} of different neurons", "--paper", "run them one by one")
    if options.set is not None and choice.hypotheses and all(h.set is not None for h in choice.hypotheses):
        raise InputError("everything that is tested is about neurons of its own", "--set",
                         "leave it out, or ask for other hypotheses")  # fmt: skip
    return _with_margins(choice, options)


def _with_margins(choice: Choice, options: TestOptions) -> Choice:
    """The choice with other margins where the options give some."""
    if not options.margins:
        return choice
    known = {h.id: h for h in choice.hypotheses}
    for name, margin in options.margins.items():
        if name not in known:
            hint = suggestion(name, tuple(known)) or "give the id of a hypothesis that is tested"
            raise InputError(f"{name} is not tested, so it needs no margin", "--margin", hint)
        criterion = known[name].criterion
        if isinstance(criterion, Sensitivity):
            raise InputError(f"{name} decides nothing and has no margin", "--margin", "leave it out")
        if not 0 < margin < math.inf:
            raise InputError(f"{margin:g} is no margin for {name}", "--margin", "give a finite number above 0")
        known[name] = replace(known[name], criterion=replace(criterion, margin=margin))
    return replace(choice, hypotheses=tuple(known.values()))


def on_random_weights(choice: Choice, options: TestOptions) -> Choice:
    """What is tested on random weights: the same; where the control alone was asked for, what a plain run tests."""
    return choice if choice.hypotheses else choose(replace(options, only=(), margins={}))


def check_replicates(wanted: Sequence[Hypothesis], options: TestOptions) -> None:
    """Refuse a number of replicates with which no p in a family could come below alpha.

    Raises
    ------
    InputError
        Saying how many are needed and why.
    """
    for hypothesis in wanted:
        rows = sum(h.family == hypothesis.family and h.role is Role.PRIMARY for h in wanted)
        replicates = hypothesis.replicates(options.replicates)
        least = enough_replicates(replicates, options.alpha, max(rows, 1))
        if least is not None:
            limited = hypothesis.replicates(least) < least
            raise InputError(
                f"with {replicates} null draws no p-value can be below {1 / (1 + replicates):.3g}, and "
                f"{rows or 1} verdicts of family {hypothesis.family} at alpha {options.alpha:g} need more",
                "--alpha" if limited else "--replicates",
                f"{hypothesis.id} makes {replicates} at most: leave it out" if limited else f"give at least {least}",
            )  # fmt: skip
