"""From options to a result: measure or load, the control on random weights, the suite, the files.

The command line and the Python front door both come through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .data.errors import InputError
from .data.options import MeasureOptions, Progress, TestOptions, existing
from .output import staged
from .provenance import Timed, provenance

if TYPE_CHECKING:
    from .data.measurements import Measurements
    from .hypotheses.multiverse import Design
    from .hypotheses.result import Certificate, Multiverse, Result
    from .reports import Format

RANDOM_INIT = "control.random_init"
RANDOM_INIT_DOCUMENTS = 50
"""The control asks whether anything is found where there is nothing; fifty documents are enough for that."""

REPORT_NAME = "report.html"
REPORTS: tuple[tuple[Format, str], ...] = (("html", REPORT_NAME), ("md", "report.md"))
_FREE_WITH_MEASUREMENTS = {"seed", "device", "batch"}


@dataclass(frozen=True)
class Request:
    """What a run was asked for.

    ``measurements`` is a measurement directory to test instead of measuring a model; ``out`` is where the files go,
    None for nowhere.
    """

    measure: MeasureOptions
    tests: TestOptions
    measurements: str | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        if self.measurements is None:
            return
        given = [f.name for f in fields(self.measure) if getattr(self.measure, f.name) != f.default]
        idle = [f"--{name.replace('_', '-')}" for name in given if name not in _FREE_WITH_MEASUREMENTS]
        if idle:
            raise InputError(f"{', '.join(idle)} decides what is measured, and --measurements is measured already",
                             idle[0], f"leave out {idle[0]}, or --measurements")  # fmt: skip


def run(request: Request, progress: Progress) -> Result:
    """Do all of it, and write the files where the request names a place.

    Raises
    ------
    InputError
        If any input cannot be used; whatever can be checked before measuring is.
    """
    if request.measurements is not None:
        existing(request.measurements, "--measurements")
    wanted = check_tests(request.tests)
    design = varied_design(request)
    if request.out is None:
        return _Run(request, progress, design).found(wanted)
    with staged(request.out) as folder:
        job = _Run(request, progress, design)
        result = job.found(wanted)
        job.write(result, folder)
    return result


@dataclass(frozen=True)
class Wanted:
    """What the tests need measured beside the model itself: it on random weights, at other steps of its training."""

    random_init: bool
    checkpoints: bool


def check_tests(tests: TestOptions) -> Wanted:
    """Refuse a test that cannot be run before hours of measuring; say what the others need measured.

    Raises
    ------
    InputError
        If a hypothesis or null model is unknown, or the replicates are too few for alpha.
    """
    from .hypotheses.catalogue import hypotheses, nulls
    from .hypotheses.suite import check_replicates, choose

    wanted, controls = choose(tests)
    check_replicates(wanted, tests)
    for hypothesis, null in tests.nulls.items():
        hypotheses.get(hypothesis)
        nulls.get(null)
    return Wanted(RANDOM_INIT in controls, any(h.statistic.checkpoints for h in wanted))


def varied_design(request: Request) -> Design | None:
    """What ``--vary`` asks for, checked before anything is measured; None where nothing varies.

    Raises
    ------
    InputError
        If a setting cannot be varied, or there are too many combinations.
    """
    if not request.tests.varied:
        return None
    from .hypotheses.multiverse import design

    return design(request.measure, request.tests, measured=request.measurements is not None)


class _Run:
    """One run under way: its request, its clock, and what is to vary."""

    def __init__(self, request: Request, progress: Progress, design: Design | None) -> None:
        self.request, self.timed, self.started = request, Timed(progress), datetime.now(UTC)
        self.design = design

    def found(self, wanted: Wanted) -> Result:
        """Measure or load, then test."""
        from .hypotheses.null_summaries import null_summaries
        from .hypotheses.prepared import PreparedData
        from .hypotheses.suite import run_suite

        tests = self.request.tests
        certificates = self._certificates()
        measured = self.request.measurements is not None
        measurements = self._measurements()
        if not measured:
            measurements = self._with_joint_ablation(self.request.measure, measurements)
            measurements = self._with_effects(measurements)
            if wanted.checkpoints:
                measurements = replace(measurements, checkpoints=self._checkpoints())
        random_init = self._random_init if wanted.random_init and not measured else None
        result = run_suite(measurements, tests, self.timed, random_init=random_init)
        if self.design is not None:
            result.multiverse = self._multiverse(self.design, measurements)
        with self.timed.stage("null models", 1) as stage:
            result.nulls = null_summaries(
                PreparedData(measurements, tests.plateau), result.findings, tests.seed, certificates
            )
            stage.advance()
        result.warnings += [
            f"null model {card.name} fails its conformance checks ({', '.join(card.certificate.failed)}): do not trust "
            "what rests on it"
            for card in result.nulls
            if card.certificate is not None and card.certificate.failed
        ]
        result.provenance = self._provenance()
        return result

    def write(self, result: Result, folder: Path) -> None:
        """Write everything that a run leaves: report, results, provenance."""
        from .reports import render, write_results

        with self.timed.stage("report", 2) as stage:
            for format, name in REPORTS:
                render([result], format, folder / name)
                stage.advance()
        result.provenance = self._provenance()  # with the time that the report took
        write_results(result, folder)

    def _measurements(self) -> Measurements:
        if self.request.measurements is not None:
            from .data.store import load

            return load(existing(self.request.measurements, "--measurements"))
        return self._measured(self.request.measure)

    def _measured(self, options: MeasureOptions) -> Measurements:
        """Neurons and heads of a model."""
        from .estimators.measure import measure
        from .estimators.measure_heads import measure_heads

        return measure_heads(options, measure(options, self.timed), self.timed)

    def _checkpoints(self) -> Mapping[int, Measurements]:
        """The same at every step of the training that the model keeps, each measured when a hypothesis asks for it."""
        from .data.measurements import OnDemand
        from .data.models import checkpoint_steps
        from .estimators.measure import measure_checkpoint

        def at(step: int) -> Measurements:
            with self.timed.labelled(f"step {step}: "):
                return measure_checkpoint(self.request.measure, step, self.timed)

        return OnDemand({step: partial(at, step) for step in checkpoint_steps(self.request.measure.model)})

    def _certificates(self) -> dict[str, Certificate]:
        """Outcome of the null models' checks: shipped for the built-in ones; for any other, run here and now."""
        from .hypotheses.catalogue import nulls
        from .hypotheses.checks.conformance import Report, checks_of, kind_of, name_of, resolve
        from .hypotheses.checks.outcome import ran
        from .hypotheses.registry import BUILT_IN
        from .hypotheses.suite import choose
        from .reports.certificates import certificate, shipped

        found = dict(shipped())
        wanted, _ = choose(self.request.tests)
        chosen = self.request.tests.nulls
        used = [n for h in wanted for n in (*([chosen[h.id]] if h.id in chosen else h.nulls), *h.sensitivity)]
        for name in dict.fromkeys(used):
            if name in found and nulls.origin(name) == BUILT_IN:
                continue
            null = resolve(name)
            checks = checks_of(null)
            with self.timed.stage(f"checks of {name}", len(checks)) as stage:
                done = []
                for check, work in checks.items():
                    done.append(ran(check, work))
                    stage.advance()
            found[name] = certificate(Report(name_of(null), kind_of(null), tuple(done)))
        return found

    def _multiverse(self, design: Design, measurements: Measurements) -> Multiverse:
        """The verdicts under every combination of what varies."""
        from .hypotheses.multiverse import explore

        def remeasure(options: MeasureOptions, told: str) -> Measurements:
            with self.timed.labelled(f"{told}: "):
                return self._measured(options)

        return explore(design, self.request.measure, self.request.tests, measurements, remeasure, self.timed)

    def _random_init(self) -> Measurements:
        """Measure the same model with its weights drawn anew."""
        options = self.request.measure
        documents = min(RANDOM_INIT_DOCUMENTS, options.documents)
        options = replace(options, random_init=True, documents=documents)
        with self.timed.labelled("random weights: "):
            return self._with_joint_ablation(options, self._measured(options))

    def _with_joint_ablation(self, options: MeasureOptions, measurements: Measurements) -> Measurements:
        """The measurements with the joint ablations that the hypotheses asked for will look up; as they are for none.

        A second round of measuring: which sets are needed hangs on what the first has chosen.
        """
        from .data.panel import check_panel
        from .estimators.joint_ablation import measure_joint_ablation
        from .hypotheses.joint_sets import joint_sets
        from .hypotheses.prepared import PreparedData
        from .hypotheses.suite import choose

        check_panel(measurements.panel)  # what the suite would refuse is refused before more is measured
        tests = self.request.tests
        wanted, _ = choose(tests)
        sets = joint_sets(PreparedData(measurements, tests.plateau), wanted, tests)
        return measure_joint_ablation(options, measurements, sets, self.timed) if sets else measurements

    def _with_effects(self, measurements: Measurements) -> Measurements:
        """The measurements with what ablating each neuron does to whole distributions, where the full suite runs."""
        from .estimators.effects import measure_effects

        if self.request.tests.suite != "full":
            return measurements
        return measure_effects(self.request.measure, measurements, self.timed)

    def _provenance(self) -> dict[str, Any]:
        return provenance(self.started, _told(self.request), _plan(self.request), self.timed)


def _plan(request: Request) -> dict[str, Any]:
    """What was declared and its hash; measurements that were given are named by their manifest, not by their place."""
    from .hypotheses import plan

    if request.measurements is None:
        declared = plan.declared(request.measure, request.tests)
    else:
        manifest = Path(request.measurements).expanduser() / "manifest.json"
        given = {"manifest": sha256(manifest.read_bytes()).hexdigest()}
        declared = plan.declared(given, request.tests)
    return {"sha256": plan.plan_hash(declared), "frozen": False, "covers": plan.COVERS, "declared": declared}


def _told(request: Request) -> dict[str, Any]:
    """Every option that had a say, given or by default."""
    measured = request.measurements is not None
    told: dict[str, Any] = {"measurements": request.measurements} if measured else {}
    for f in fields(request.measure):
        if f.name != "random_init" and (not measured or f.name in _FREE_WITH_MEASUREMENTS):
            told[f.name] = getattr(request.measure, f.name)
    return told | {f.name: getattr(request.tests, f.name) for f in fields(request.tests)}


def layer(value: int | str) -> Any:
    """``--layer`` as options hold it: ``last`` or a number.

    Raises
    ------
    InputError
        If it is neither.
    """
    if value == "last" or isinstance(value, int):
        return value
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{value!r} is no layer", "--layer", "give last, or a layer's number from 0") from None


def nulls_of(pairs: Mapping[str, str] | list[str] | tuple[str, ...]) -> dict[str, str]:
    """``--null HYPOTHESIS=NULL``, given several times, as a mapping.

    Raises
    ------
    InputError
        If one is not of that form, or a hypothesis is given two nulls.
    """
    if isinstance(pairs, Mapping):
        return dict(pairs)
    chosen: dict[str, str] = {}
    for pair in pairs:
        hypothesis, equals, null = (part.strip() for part in pair.partition("="))
        if not (hypothesis and equals and null):
            hint = "give HYPOTHESIS=NULL, for instance clusters.within=hqs"
            raise InputError(f"{pair!r} is not of the form HYPOTHESIS=NULL", "--null", hint)
        if hypothesis in chosen:
            raise InputError(f"{hypothesis} is given two null models, {chosen[hypothesis]} and {null}", "--null",
                             "give one for each hypothesis")  # fmt: skip
        chosen[hypothesis] = null
    return chosen


def varied_of(given: Mapping[str, object] | list[str] | tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """``--vary NAME=V1,V2``, given several times, as a mapping; from Python a mapping of names to values.

    Raises
    ------
    InputError
        If one is not of that form, or holds no value.
    """
    varied: dict[str, tuple[str, ...]] = {}
    for name, values in given.items() if isinstance(given, Mapping) else map(_named, given):
        several = values if isinstance(values, list | tuple | range) else [values]
        words = tuple(str(value).strip() for value in several)
        if not words or not all(words):
            raise InputError(f"{name} is given no value, or an empty one", "--vary", "give NAME=V1,V2")
        varied[name] = (*varied.get(name, ()), *words)
    return varied


def _named(pair: str) -> tuple[str, list[str]]:
    name, equals, values = (part.strip() for part in pair.partition("="))
    if not (name and equals and values):
        raise InputError(f"{pair!r} is not of the form NAME=V1,V2", "--vary", "for instance plateau=.01,.03")
    return name, values.split(",")
