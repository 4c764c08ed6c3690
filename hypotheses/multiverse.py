"""The multiverse: the same hypotheses under every combination of settings that could as well have been chosen.

A setting is varied by name (``--vary split=1,2,3``).  The run's own value is always among the values, so the first
universe is the run itself.  Settings that decide what is measured ask for another measurement; the halves and the
size of the set for another view of the same one; a statistic's own settings for the same data read otherwise.

Steegen et al. 2016 (Perspectives on Psychological Science 11:702); Simonsohn, Simmons, Nelson 2020 (Nature Human
Behaviour 4:1208).  Universes share their data, so how many agree is a description and no p-value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, Literal, TypeAlias

from ..data.errors import InputError, MissingInput
from ..data.measurements import Measurements
from ..data.options import SIZE_OPTION, MeasureOptions, Progress, Silent, TestOptions
from ..data.panel import check_panel, halves
from ..data.registry import suggestion
from . import catalogue
from .choice import Choice, choose
from .claim_verdicts import held_against, verdict_on
from .engine import Assessment
from .hypothesis import Hypothesis
from .inference.permutation import enough_replicates
from .nulls.guard import blamed
from .numbers import plain_number
from .paper import Paper
from .result import Multiverse, Outcome, Role, Universe, Verdict
from .statistic import above_zero, number
from .suite import assess_under, judge
from .threads import limited_to, with_jobs
from .views import Prepared, prepare

MOST_UNIVERSES = 200
DRAWS = 199
"""Draws of each null model in a universe; more only where alpha asks for them."""

Value: TypeAlias = str | float | int | bool
Settings: TypeAlias = Mapping[str, Value]


@dataclass(frozen=True)
class Axis:
    """A setting that can vary.

    Attributes
    ----------
    decides
        What has to be made anew for another value: the measurement, the data of it, or only what is estimated.
    parse
        The value that a word names.
    own
        The run's own value.
    means
        What it is, in words.
    """

    name: str
    decides: Literal["measurement", "data", "statistic"]
    parse: Callable[[str], Value]
    own: Callable[[MeasureOptions, TestOptions], Value]
    means: str


def _switch(word: str) -> bool:
    if word.lower() not in ("on", "off", "true", "false"):
        raise InputError(f"{word!r} is not on or off", "--elbow", "give on or off")
    return word.lower() in ("on", "true")


def _size(word: str) -> Value:
    return word if word == "knot" else above_zero(word)


def _split(word: str) -> int:
    if not word.isdecimal():
        raise InputError(f"{word!r} is no split", "", "give whole numbers; 0 is the run's own halves")
    return int(word)


AXES = (
    Axis("conditioning", "measurement", str, lambda m, t: m.conditioning,
         "whether the token to be predicted or the token read decides a position's condition"),
    Axis("threshold", "measurement", number, lambda m, t: m.threshold,
         "share of the token types within which a frequency rank counts as of condition b"),
    Axis("elbow", "measurement", _switch, lambda m, t: m.elbow,
         "whether tokens beyond the Zipf elbow are left out"),
    Axis("ablation", "measurement", str, lambda m, t: m.ablation, "what takes a neuron's place"),
    Axis(SIZE_OPTION.lstrip("-"), "data", _size, lambda m, t: _size(t.set_size.strip()),
         "how many neurons the set under test has"),
    Axis("split", "data", _split, lambda m, t: 0,
         "number of the division of the documents into halves; 0 is the run's own"),
)  # fmt: skip
"""In the order in which universes are told: what is dearest to change varies slowest.  Those of statistics follow."""


def _own_field(value: Value, measure: MeasureOptions, tests: TestOptions) -> Value:
    return value


def axes_of(hypotheses: Sequence[Hypothesis]) -> dict[str, Axis]:
    """Every setting that can vary where these hypotheses are tested, by name."""
    axes = {axis.name: axis for axis in AXES}
    for hypothesis in hypotheses:
        for name, varied in type(hypothesis.statistic).varied.items():
            own = partial(_own_field, getattr(hypothesis.statistic, name))
            axes.setdefault(name, Axis(name, "statistic", varied.parse, own, varied.means))
    return axes


@dataclass(frozen=True)
class Design:
    """What is varied, the run's own value first, and what is tested in each universe."""

    values: Mapping[str, tuple[Value, ...]]
    choice: Choice
    replicates: int
    axes: Mapping[str, Axis]

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """What is tested in each universe."""
        return self.choice.hypotheses

    def universes(self) -> Iterator[dict[str, Value]]:
        """Every combination of the values, the run's own first."""
        for combination in product(*self.values.values()):
            yield dict(zip(self.values, combination, strict=True))

    @property
    def bears_on(self) -> dict[str, list[str]]:
        """The hypotheses that a setting can change, for settings that only some statistics read."""
        read = [name for name in self.values if self.axes[name].decides == "statistic"]
        return {name: [h.id for h in self.hypotheses if name in _carried(h, read)] for name in read}

    def some(self, settings: Settings, decides: str) -> dict[str, Value]:
        """Those of the settings that decide one thing."""
        return {name: value for name, value in settings.items() if self.axes[name].decides == decides}


def design(measure: MeasureOptions, tests: TestOptions, measured: bool = False) -> Design:
    """Check what is to vary, before anything is measured.

    Parameters
    ----------
    measure, tests
        The run's own options; `tests.varied` holds the other values as words.
    measured
        Whether the measurements are given, so that nothing that decides them can vary.

    Raises
    ------
    InputError
        For a name or value that cannot be used, too many universes, or a setting that nothing tested depends on.
    """
    every = axes_of([h for paper in catalogue.shipped() for h in paper.hypotheses])
    choice = choose(tests)
    axes = every | axes_of(choice.hypotheses)
    for name in tests.varied:
        _check_name(name, axes, measured)
    values = {a.name: _values(a, tests.varied[a.name], measure, tests) for a in axes.values() if a.name in tests.varied}
    universes = math.prod(map(len, values.values()))
    if universes > MOST_UNIVERSES:
        told = " x ".join(f"{len(v)} {name}" for name, v in values.items())
        raise InputError(f"{told} make {universes:,} universes, at most {MOST_UNIVERSES} are tested", "--vary",
                         "give fewer values")  # fmt: skip
    of_statistics = [name for name in values if axes[name].decides == "statistic"]
    tested = tuple(
        replace(h, sensitivity=()) for h in choice.hypotheses if h.role is Role.PRIMARY or _carried(h, of_statistics)
    )
    _check_matters(of_statistics, tested, every)
    rows = max((sum(h.family == g.family and g.role is Role.PRIMARY for g in tested) for h in tested), default=1)
    least = enough_replicates(DRAWS, tests.alpha, max(rows, 1)) or DRAWS
    return Design(values, replace(choice, hypotheses=tested), min(tests.replicates, least), axes)


def _check_name(name: str, axes: Mapping[str, Axis], measured: bool) -> None:
    if name not in axes:
        hint = suggestion(name, tuple(axes)) or f"choose {', '.join(axes)}"
        raise InputError(f"{name!r} cannot be varied", "--vary", hint)
    if measured and axes[name].decides == "measurement":
        free = ", ".join(a.name for a in axes.values() if a.decides != "measurement")
        raise InputError(f"{name} decides what is measured, and --measurements is measured already", "--vary",
                         f"vary {free}, or give a model")  # fmt: skip


def _values(axis: Axis, words: Sequence[str], measure: MeasureOptions, tests: TestOptions) -> tuple[Value, ...]:
    try:
        values = [axis.own(measure, tests), *(axis.parse(word.strip()) for word in words)]
        if axis.decides == "measurement":
            for value in values:
                with_settings(measure, {axis.name: value})  # refuses what --threshold refuses
    except InputError as error:
        raise InputError(error.what, f"--vary {axis.name}", error.hint) from None
    return tuple(dict.fromkeys(values))


def _carried(hypothesis: Hypothesis, names: Iterable[str]) -> list[str]:
    """Those of the settings' names that the hypothesis' statistic holds as fields."""
    return [name for name in names if name in type(hypothesis.statistic).varied]


def _check_matters(of_statistics: Sequence[str], tested: Sequence[Hypothesis], every: Mapping[str, Axis]) -> None:
    if not tested:
        raise InputError("no hypothesis with a verdict is tested, so there is none to vary", "--vary",
                         "leave out --vary, or ask for a hypothesis")  # fmt: skip
    for name in of_statistics:
        if not any(_carried(h, [name]) for h in tested):
            who = [h.id for p in catalogue.shipped() for h in p.hypotheses if _carried(h, [name])]
            raise InputError(f"nothing that is tested depends on {name}", "--vary",
                             f"leave out {name}, or test {' or '.join(who)}")  # fmt: skip


def explore(
    design: Design,
    measure: MeasureOptions,
    tests: TestOptions,
    measurements: Measurements,
    remeasure: Callable[[MeasureOptions, str], Measurements],
    progress: Progress | None = None,
) -> Multiverse:
    """Test the design's hypotheses in every universe.

    Parameters
    ----------
    measurements
        The run's own, under `measure`.
    remeasure
        Measures under other options; told also what is other about them, in words.

    Returns
    -------
    Multiverse
        A universe in which nothing can be tested (a set that is too large, too few matched documents) says why.
    """
    with limited_to(1) as threads:

        def measured(options: MeasureOptions, told: str) -> Measurements:
            with limited_to(threads):
                return remeasure(options, told)

        options = replace(with_jobs(tests, threads), replicates=design.replicates)
        return _explored(design, measure, options, measurements, measured, progress or Silent())


def _explored(
    design: Design,
    measure: MeasureOptions,
    options: TestOptions,
    measurements: Measurements,
    remeasure: Callable[[MeasureOptions, str], Measurements],
    progress: Progress,
) -> Multiverse:
    """`explore` on one thread a worker."""
    combinations = list(design.universes())
    universes: list[Universe] = []
    multiverse = _Explorer(design, measure, options, measurements, remeasure)
    with progress.stage("multiverse", len(combinations)) as stage:
        for settings in combinations:
            told = {name: told_value(value) for name, value in settings.items()}
            universe = Universe(settings=told, own=settings == combinations[0])
            try:
                universe.outcomes = multiverse.outcomes(settings)
                universe.claims = claims_of(design.choice.papers, universe.outcomes, options.alpha)
            except InputError as error:
                universe.why_not = str(error)
            universes.append(universe)
            stage.advance()
    varied = {name: [told_value(v) for v in values] for name, values in design.values.items()}
    return Multiverse(
        varied=varied, means={name: design.axes[name].means for name in varied}, replicates=design.replicates,
        bears_on=design.bears_on, universes=universes,
    )  # fmt: skip


class _Explorer:
    """Goes from universe to universe and makes anew only what the settings have changed since the last one."""

    def __init__(
        self,
        design: Design,
        measure: MeasureOptions,
        options: TestOptions,
        measurements: Measurements,
        remeasure: Callable[[MeasureOptions, str], Measurements],
    ) -> None:
        self.design, self.measure, self.options, self.remeasure = design, measure, options, remeasure
        self.own, self.first = measurements, next(design.universes())
        self.measured: tuple[Settings, Measurements] | None = None
        self.prepared: tuple[Settings, Prepared] | None = None
        self.assessed: dict[tuple[object, ...], Assessment | None] = {}

    def outcomes(self, settings: Settings) -> list[Outcome]:
        """Every hypothesis of the design under these settings.

        Raises
        ------
        InputError
            If they leave nothing to test.
        """
        prepared = self._prepared(settings)
        out: dict[str, Outcome] = {}
        found: list[Assessment] = []
        for hypothesis in self.design.hypotheses:
            assessment = self._assessment(hypothesis, settings, prepared)
            if assessment is None:
                verdict = Verdict.NOT_RUN if hypothesis.role is Role.PRIMARY else None
                out[hypothesis.id] = Outcome(hypothesis=hypothesis.id, verdict=verdict)
                continue
            found.append(assessment)
            output = assessment.outputs[0]
            out[hypothesis.id] = Outcome(
                hypothesis=hypothesis.id, estimate=output.estimate, verdict_low=output.verdict.low,
                verdict_high=output.verdict.high, p_value=assessment.p.value,
            )  # fmt: skip
        for name, judged in judge(found, self.options.alpha).items():
            out[name] = Outcome(
                hypothesis=name, estimate=judged.output.estimate, verdict_low=judged.output.verdict.low,
                verdict_high=judged.output.verdict.high, p_value=judged.assessment.p.value,
                p_adjusted=judged.p_adjusted, verdict=judged.decision.verdict,
            )  # fmt: skip
        return list(out.values())

    def _assessment(self, hypothesis: Hypothesis, settings: Settings, prepared: Prepared) -> Assessment | None:
        here = with_fields(hypothesis, settings)
        key = (here.id, *(settings[name] for name in _carried(here, settings)))
        if key not in self.assessed:
            data = prepared.of(here)
            try:
                with blamed(here.statistic):
                    bound = here.statistic.bind(data)
                self.assessed[key] = assess_under(here, bound, data, self.options, Silent(), False)
            except MissingInput:
                self.assessed[key] = None
        return self.assessed[key]

    def _prepared(self, settings: Settings) -> Prepared:
        of_data = self.design.some(settings, "measurement") | self.design.some(settings, "data")
        if self.prepared is None or self.prepared[0] != of_data:
            self.prepared, self.assessed = None, {}
            measurements = self._measurements(self.design.some(settings, "measurement"))
            size = str(settings.get(SIZE_OPTION.lstrip("-"), self.options.set_size))
            prepared = prepare(measurements, self.design.choice, replace(self.options, set_size=size))
            split = int(settings.get("split", 0))
            if split:
                half = halves(measurements.documents, measurements.manifest.seed, split)
                prepared = replace(prepared, base=prepared.base.split(half))
            check_panel(prepared.base.panel, measurements.conditions, measurements.conditions_option)
            self.prepared = (of_data, prepared)
        return self.prepared[1]

    def _measurements(self, settings: Settings) -> Measurements:
        if settings == self.design.some(self.first, "measurement"):
            return self.own
        if self.measured is None or self.measured[0] != settings:
            self.measured = None  # two at a time would not fit where one just does
            told = ", ".join(f"{name} {told_value(value)}" for name, value in settings.items())
            self.measured = (settings, self.remeasure(with_settings(self.measure, settings), told))
        return self.measured[1]


def with_settings(measure: MeasureOptions, settings: Settings) -> MeasureOptions:
    """The options with these settings in place of their own.

    Raises
    ------
    InputError
        If a value is out of range.
    """
    given: dict[str, Any] = dict(settings)
    return replace(measure, **given)


def with_fields(hypothesis: Hypothesis, settings: Settings) -> Hypothesis:
    """The hypothesis with those of the settings that its statistic holds as fields."""
    carried: dict[str, Any] = {name: settings[name] for name in _carried(hypothesis, settings)}
    return replace(hypothesis, statistic=replace(hypothesis.statistic, **carried)) if carried else hypothesis


def claims_of(papers: Sequence[Paper], outcomes: Sequence[Outcome], alpha: float) -> dict[str, Verdict]:
    """Verdict on each claim of the papers that the outcomes bear on, by ``PAPER:NUMBER``."""
    by_id = {o.hypothesis: o.verdict for o in outcomes if o.verdict is not None}
    every = (
        (f"{p.id}:{claim.number}", verdict_on(claim, p, by_id, held_against(claim, outcomes, alpha)))
        for p in papers
        for claim in p.claims
    )
    return {name: verdict for name, verdict in every if verdict is not None}


def told_value(value: Value) -> str:
    """A value as the reader sees it: ``.15``, ``on``, ``knot``."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    return plain_number(value)
