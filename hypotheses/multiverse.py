"""The multiverse: the same hypotheses under every combination of settings that could as well have been chosen.

A setting is varied by name (``--vary plateau=.01,.03``).  The run's own value is always among the values, so the first
universe is the run itself.  Settings that decide what is measured ask for another measurement; the halves and the
plateau for another data of the same one; resolution and density for the same data read by another statistic.

Steegen et al. 2016 (Perspectives on Psychological Science 11:702); Simonsohn, Simmons, Nelson 2020 (Nature Human
Behaviour 4:1208).  Universes share their data, so how many agree is a description and no p-value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any, Literal, TypeAlias

from ..data.errors import InputError, MissingInput
from ..data.measurements import Measurements
from ..data.options import MeasureOptions, Progress, Silent, TestOptions
from ..data.panel import check_panel, halves
from . import catalogue
from .engine import Assessment
from .hypothesis import Hypothesis
from .inference.permutation import enough_replicates
from .inference.verdicts import combine
from .prepared import PreparedData
from .registry import suggestion
from .result import Multiverse, Outcome, Role, Universe, Verdict
from .statistics.neuron_sets import RewiredExcess, Within
from .suite import assess_under, choose, judge

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
    """

    name: str
    decides: Literal["measurement", "data", "statistic"]
    parse: Callable[[str], Value]
    own: Callable[[MeasureOptions, TestOptions], Value]


def _switch(word: str) -> bool:
    if word.lower() not in ("on", "off", "true", "false"):
        raise InputError(f"{word!r} is not on or off", "--elbow", "give on or off")
    return word.lower() in ("on", "true")


def _number(word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise InputError(f"{word!r} is no number", "", "give a number") from None
    return value


def _above_zero(word: str) -> float:
    value = _number(word)
    if not 0 < value < math.inf:
        raise InputError(f"{word} is out of range", "", "give a number above 0")
    return value


def _share(word: str) -> float:
    value = _above_zero(word)
    if value > 1:
        raise InputError(f"{word} is out of range", "", "give a share of at most 1")
    return value


def _plateau(word: str) -> Value:
    return word if word == "knot" else _above_zero(word)


def _split(word: str) -> int:
    if not word.isdecimal():
        raise InputError(f"{word!r} is no split", "", "give whole numbers; 0 is the run's own halves")
    return int(word)


AXES = (
    Axis("conditioning", "measurement", str, lambda m, t: m.conditioning),
    Axis("threshold", "measurement", _number, lambda m, t: m.threshold),
    Axis("elbow", "measurement", _switch, lambda m, t: m.elbow),
    Axis("ablation", "measurement", str, lambda m, t: m.ablation),
    Axis("plateau", "data", _plateau, lambda m, t: _plateau(t.plateau.strip())),
    Axis("split", "data", _split, lambda m, t: 0),
    Axis("resolution", "statistic", _above_zero, lambda m, t: Within.resolution),
    Axis("density", "statistic", _share, lambda m, t: RewiredExcess.density),
)
"""In the order in which universes are told: what is dearest to change varies slowest."""

_BY_NAME = {axis.name: axis for axis in AXES}


@dataclass(frozen=True)
class Design:
    """What is varied, the run's own value first, and what is tested in each universe."""

    values: Mapping[str, tuple[Value, ...]]
    hypotheses: tuple[Hypothesis, ...]
    replicates: int

    def universes(self) -> Iterator[dict[str, Value]]:
        """Every combination of the values, the run's own first."""
        for combination in product(*self.values.values()):
            yield dict(zip(self.values, combination, strict=True))

    @property
    def bears_on(self) -> dict[str, list[str]]:
        """The hypotheses that a setting can change, for settings that only some statistics read."""
        read = [name for name in self.values if _BY_NAME[name].decides == "statistic"]
        return {name: [h.id for h in self.hypotheses if name in _carried(h, self.values)] for name in read}

    def some(self, settings: Settings, decides: str) -> dict[str, Value]:
        """Those of the settings that decide one thing."""
        return {name: value for name, value in settings.items() if _BY_NAME[name].decides == decides}


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
    for name in tests.varied:
        _check_name(name, measured)
    values = {a.name: _values(a, tests.varied[a.name], measure, tests) for a in AXES if a.name in tests.varied}
    universes = math.prod(map(len, values.values()))
    if universes > MOST_UNIVERSES:
        told = " x ".join(f"{len(v)} {name}" for name, v in values.items())
        raise InputError(f"{told} make {universes:,} universes, at most {MOST_UNIVERSES} are tested", "--vary",
                         "give fewer values")  # fmt: skip
    wanted, _ = choose(tests)
    tested = tuple(replace(h, sensitivity=()) for h in wanted if h.role is Role.PRIMARY or _carried(h, values))
    _check_matters(values, tested)
    rows = max((sum(h.family == g.family and g.role is Role.PRIMARY for g in tested) for h in tested), default=1)
    least = enough_replicates(DRAWS, tests.alpha, max(rows, 1)) or DRAWS
    return Design(values, tested, min(tests.replicates, least))


def _check_name(name: str, measured: bool) -> None:
    if name not in _BY_NAME:
        hint = suggestion(name, tuple(_BY_NAME)) or f"choose {', '.join(_BY_NAME)}"
        raise InputError(f"{name!r} cannot be varied", "--vary", hint)
    if measured and _BY_NAME[name].decides == "measurement":
        free = ", ".join(a.name for a in AXES if a.decides != "measurement")
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


def _carried(hypothesis: Hypothesis, settings: Mapping[str, object]) -> list[str]:
    """Names of the settings that the hypothesis' statistic holds as fields."""
    own = {f.name for f in fields(hypothesis.statistic)}
    return [name for name in settings if _BY_NAME[name].decides == "statistic" and name in own]


def _check_matters(values: Mapping[str, object], tested: Sequence[Hypothesis]) -> None:
    if not tested:
        raise InputError("no hypothesis with a verdict is tested, so there is none to vary", "--vary",
                         "leave out --vary, or ask for a hypothesis")  # fmt: skip
    carried = {name for h in tested for name in _carried(h, values)}
    for name in values:
        if _BY_NAME[name].decides == "statistic" and name not in carried:
            raise InputError(f"nothing that is tested depends on {name}", "--vary",
                             f"leave out {name}, or ask for a hypothesis of family clusters")  # fmt: skip


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
        A universe in which nothing can be tested (a plateau that is too large, too few matched documents) says why.
    """
    options = replace(tests, replicates=design.replicates)
    combinations = list(design.universes())
    universes: list[Universe] = []
    multiverse = _Explorer(design, measure, options, measurements, remeasure)
    with (progress or Silent()).stage("multiverse", len(combinations)) as stage:
        for settings in combinations:
            told = {name: told_value(value) for name, value in settings.items()}
            universe = Universe(settings=told, own=settings == combinations[0])
            try:
                universe.outcomes = multiverse.outcomes(settings)
                universe.claims = claims_of(universe.outcomes)
            except InputError as error:
                universe.why_not = str(error)
            universes.append(universe)
            stage.advance()
    varied = {name: [told_value(v) for v in values] for name, values in design.values.items()}
    return Multiverse(varied=varied, replicates=design.replicates, bears_on=design.bears_on, universes=universes)


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
        self.data: tuple[Settings, PreparedData] | None = None
        self.assessed: dict[tuple[object, ...], Assessment | None] = {}

    def outcomes(self, settings: Settings) -> list[Outcome]:
        """Every hypothesis of the design under these settings.

        Raises
        ------
        InputError
            If they leave nothing to test.
        """
        data = self._study(settings)
        out: dict[str, Outcome] = {}
        found: list[Assessment] = []
        for hypothesis in self.design.hypotheses:
            assessment = self._assessment(hypothesis, settings, data)
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

    def _assessment(self, hypothesis: Hypothesis, settings: Settings, data: PreparedData) -> Assessment | None:
        here = with_fields(hypothesis, settings)
        key = (here.id, *(settings[name] for name in _carried(here, settings)))
        if key not in self.assessed:
            try:
                bound = here.statistic.bind(data)
                self.assessed[key] = assess_under(here, bound, data, self.options, Silent(), False)
            except MissingInput:
                self.assessed[key] = None
        return self.assessed[key]

    def _study(self, settings: Settings) -> PreparedData:
        of_study = self.design.some(settings, "measurement") | self.design.some(settings, "data")
        if self.data is None or self.data[0] != of_study:
            self.data, self.assessed = None, {}
            measurements = self._measurements(self.design.some(settings, "measurement"))
            data = PreparedData(measurements, str(settings.get("plateau", self.options.plateau)))
            split = int(settings.get("split", 0))
            if split:
                data = data.split(halves(measurements.documents, measurements.manifest.seed, split))
            check_panel(data.panel)
            self.data = (of_study, data)
        return self.data[1]

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


def claims_of(outcomes: Sequence[Outcome]) -> dict[int, Verdict]:
    """Verdict on each of the paper's claims that the outcomes bear on."""
    claims = {}
    for number, (family, _) in catalogue.CLAIMS.items():
        verdicts = [o.verdict for o in outcomes if o.hypothesis.split(".")[0] == family and o.verdict is not None]
        if verdicts:
            claims[number] = combine(verdicts)
    return claims


def told_value(value: Value) -> str:
    """A value as the reader sees it: ``.15``, ``on``, ``knot``."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return value
    return f"{value:g}".replace("0.", ".", 1) if 0 < value < 1 else f"{value:g}"
