"""From options to a result: measure or load, the control on random weights, the suite, the files.

The command line and the Python front door both come through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import looks
from .data.errors import InputError
from .data.options import MeasureOptions, Progress, TestOptions, existing
from .output import staged
from .provenance import Timed, provenance

if TYPE_CHECKING:
    from .data.measurements import Measurements
    from .estimators.engine import Engine
    from .estimators.estimate import Estimate
    from .estimators.measure import Inputs
    from .hypotheses.choice import Choice
    from .hypotheses.frozen_plan import FrozenPlan
    from .hypotheses.multiverse import Design
    from .hypotheses.neuron_sets import Need
    from .hypotheses.result import Certificate, Multiverse, Result
    from .reports import Format

RANDOM_INIT_DOCUMENTS = 50
"""The control asks whether anything is found where there is nothing; fifty documents are enough for that."""

ENGINES = ("local", "ray")

REPORT_NAME, PLAN_NAME, MEASUREMENTS_NAME = "report.html", "plan.json", "measurements"
REPORTS: tuple[tuple[Format, str], ...] = (("html", REPORT_NAME), ("md", "report.md"))
_FREE_WITH_MEASUREMENTS = {"seed", "device", "batch", "shard_documents"}


class ReportError(InputError):
    """A report could not be written; ``result``, whose other files are there, is whole."""

    def __init__(self, what: str, where: str, hint: str, result: Result) -> None:
        super().__init__(what, where, hint)
        self.result = result


@dataclass(frozen=True)
class Request:
    """What a run was asked for.

    ``measurements`` is a measurement directory to test instead of measuring a model; ``out`` is where the files go,
    None for nowhere; ``plan`` is what was frozen beforehand, None if nothing was; ``keep`` says whether what was
    measured is written there too; ``engine`` is where documents are worked on, ``local`` or ``ray``.
    """

    measure: MeasureOptions
    tests: TestOptions
    measurements: str | None = None
    out: Path | None = None
    plan: FrozenPlan | None = None
    keep: bool = False
    engine: str = "local"

    def __post_init__(self) -> None:
        check_engine(self.engine)
        if self.measurements is None:
            return
        if self.keep:
            what = "the measurements lie in a directory already"
            raise InputError(what, "--keep-measurements", "leave it out, or --measurements")
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
    ReportError
        If a report cannot be written.  The results are, at the place that the request names.
    """
    request, choice, design = settled(request)
    if request.plan is not None:
        request.plan.refuse_others(declared_of(request), inputs_of(request))
    if request.out is None:
        with _workers(request) as engine:
            return _Run(request, progress, choice, design, engine).found()
    with staged(request.out) as folder:
        with _workers(request) as engine:
            job = _Run(request, progress, choice, design, engine)
            result = job.found()
        failed = job.write(result, folder)
    if failed:
        raise ReportError(f"{failed}; the results are in {request.out}", "report",
                          f"neuronull report {request.out} writes it again", result)  # fmt: skip
    return result


def check_engine(name: str) -> None:
    """Refuse an engine that there is not.

    Raises
    ------
    InputError
        If it is neither of the two.
    """
    if name not in ENGINES:
        raise InputError(f"{name!r} is not one of {', '.join(ENGINES)}", "--engine", f"give {' or '.join(ENGINES)}")


def _workers(request: Request) -> AbstractContextManager[Engine | None]:
    """The engine of a run; none where nothing is measured, which spares an import of half a second."""
    if request.measurements is not None:
        return nullcontext()
    from .estimators.engine import engine_of

    return engine_of(request.engine, request.measure.shard_documents, request.measure.device)


def settled(request: Request) -> tuple[Request, Choice, Design | None]:
    """Check all that can be checked before measuring: the request as it is run, what is tested, what varies.

    Raises
    ------
    InputError
        If any of it cannot be.
    """
    if request.measurements is not None:
        existing(request.measurements, "--measurements")
    choice = check_tests(request.tests)
    request = with_conditions(request, choice)
    return request, choice, varied_design(request)


def estimated(request: Request, progress: Progress) -> Estimate:
    """Measure a few documents and say what the measuring of a run will take.

    Raises
    ------
    InputError
        If the run would be refused, or nothing would be measured.
    """
    from .estimators.estimate import estimate

    if request.measurements is not None:
        raise InputError("nothing is measured with --measurements", "--estimate", "leave one of them out")
    request, choice, _ = settled(request)
    control = RANDOM_INIT_DOCUMENTS if choice.random_weights else 0
    return estimate(request.measure, "heads" in choice.needs, control, progress)


def inputs_of(request: Request) -> dict[str, str]:
    """Hashes of what is measured on what; given measurements name theirs themselves."""
    from .data.fingerprints import fingerprints

    return {} if request.measurements is not None else fingerprints(request.measure)


def check_tests(tests: TestOptions) -> Choice:
    """Refuse a test that cannot be run before hours of measuring; return what is tested.

    Raises
    ------
    InputError
        If a hypothesis, null model or set cannot be had, or the replicates are too few for alpha.
    """
    from .hypotheses import catalogue
    from .hypotheses.choice import check_replicates, choose

    choice = choose(tests)
    check_replicates(choice.hypotheses, tests)
    for hypothesis, null in tests.nulls.items():
        catalogue.hypothesis(hypothesis)
        catalogue.nulls.get(null)
    if tests.set is not None:
        from .data.neuron_list import read_neuron_list

        read_neuron_list(existing(tests.set, "--set"))
    return choice


def with_conditions(request: Request, choice: Choice) -> Request:
    """The request with the conditions that the papers compare, unless the user gave some.

    Raises
    ------
    InputError
        If the papers asked for compare different conditions.
    """
    given = MeasureOptions.conditions
    if request.measurements is not None or request.measure.conditions != given:
        return request
    asked = {str(paper.conditions) if paper.conditions else given for paper in choice.papers}
    if len(asked) > 1:
        names = ", ".join(paper.id for paper in choice.papers)
        raise InputError(f"the papers {names} compare different conditions", "--paper",
                         "run them one by one, or give --conditions")  # fmt: skip
    return replace(request, measure=replace(request.measure, conditions=asked.pop())) if asked else request


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
    """One run under way: its request, its clock, what is tested, and what is to vary."""

    def __init__(
        self, request: Request, progress: Progress, choice: Choice, design: Design | None, engine: Engine | None
    ) -> None:
        self.engine = engine
        self.request, self.timed, self.started = request, Timed(progress), datetime.now(UTC)
        self.choice, self.design = choice, design
        self.measured: Measurements | None = None
        self.looks = [] if request.measurements is not None else looks.earlier(declared_of(request))

    def found(self) -> Result:
        """Measure or load, then test."""
        from .hypotheses.calibration.plasmode import local_lines
        from .hypotheses.null_summaries import null_summaries
        from .hypotheses.suite import run_choice
        from .hypotheses.views import prepare

        tests = self.request.tests
        certificates = self._certificates()
        measured = self.request.measurements is not None
        measurements = self._measurements()
        if not measured:
            measurements = self._with_joint_ablation(self.request.measure, self.choice, measurements)
            measurements = self.measured = self._with_effects(self.request.measure, measurements)
            if "checkpoints" in self.choice.needs:
                measurements = replace(measurements, checkpoints=self._checkpoints())
        random_init = self._random_init if self.choice.random_weights and not measured else None
        prepared = prepare(measurements, self.choice, tests)
        if self.request.measurements is not None:
            prepared = replace(prepared, calibrations=local_lines(self.request.measurements))
        result = run_choice(prepared, tests, self.timed, random_init=random_init)
        if self.design is not None:
            result.multiverse = self._multiverse(self.design, measurements)
        with self.timed.stage("null models", 1) as stage:
            result.nulls = null_summaries(prepared, result.findings, tests.seed, certificates)
            stage.advance()
        result.warnings += [
            f"null model {card.name} fails its conformance checks ({', '.join(card.certificate.failed)}): do not trust "
            "what rests on it"
            for card in result.nulls
            if card.certificate is not None and card.certificate.failed
        ]
        result.provenance = self._provenance()
        if self.request.measurements is None:
            looks.looked(declared_of(self.request))
        return result

    def write(self, result: Result, folder: Path) -> str:
        """Write everything that a run leaves; return why a report could not be written, or nothing.

        Results come first: what was measured and tested must not hang on how it is told.
        """
        from .data.store import save
        from .reports import render, write_results
        from .reports.files import write_file

        write_results(result, folder)
        if self.request.plan is not None:
            write_file(folder / PLAN_NAME, self.request.plan.text().encode())
        if self.request.keep and self.measured is not None:
            save(self.measured, folder / MEASUREMENTS_NAME)
        failed = ""
        with self.timed.stage("report", len(REPORTS)) as stage:
            for format, name in REPORTS:
                try:
                    render([result], format, folder / name)
                except Exception as error:  # whatever a template or a font library throws
                    failed = failed or f"{name} could not be written: {type(error).__name__}: {_one_line(error)}"
                stage.advance()
        result.provenance = self._provenance()  # with the time that the report took
        write_results(result, folder)
        return failed

    def _measurements(self) -> Measurements:
        if self.request.measurements is not None:
            from .data.store import load

            return load(existing(self.request.measurements, "--measurements"))
        return self._measured(self.request.measure, self.choice.needs, self._announce)

    def _measured(
        self, options: MeasureOptions, needs: frozenset[Need], before: Callable[[Inputs], None] | None = None
    ) -> Measurements:
        """Neurons of a model, and its heads where they are needed: they cost most."""
        from .estimators.measure import measure
        from .estimators.measure_heads import measure_heads

        measurements = measure(options, self.timed, engine=self.engine, before=before)
        if "heads" not in needs:
            return measurements
        return measure_heads(options, measurements, self.timed, engine=self.engine)

    def _announce(self, inputs: Inputs) -> None:
        """Say what a long run will take, before it begins."""
        from .estimators.estimate import ROUNDS, estimate_of, in_a_line, is_long

        heads = "heads" in self.choice.needs
        if not is_long(inputs, heads):
            return
        control = RANDOM_INIT_DOCUMENTS if self.choice.random_weights else 0
        try:
            # two documents: `run --estimate` takes more time and is nearer
            found = estimate_of(inputs, heads, control, self.timed, self.timed.seconds, ROUNDS[:1])
        except InputError as error:
            self.timed.say(f"what it will take cannot be said: {error.what}")
            return
        self.timed.say(in_a_line(found))
        self.timed.expects(found.total)

    def _checkpoints(self) -> Mapping[int, Measurements]:
        """The same at every step of the training that the model keeps, each measured when a hypothesis asks for it."""
        from .data.measurements import OnDemand
        from .data.models import checkpoint_steps
        from .estimators.measure import measure_checkpoint

        def at(step: int) -> Measurements:
            with self.timed.labelled(f"step {step}: "):
                return measure_checkpoint(self.request.measure, step, self.timed, engine=self.engine)

        return OnDemand({step: partial(at, step) for step in checkpoint_steps(self.request.measure.model)})

    def _certificates(self) -> dict[str, Certificate]:
        """Outcome of the null models' checks: shipped for the built-in ones; for any other, run here and now."""
        from .data.registry import BUILT_IN
        from .hypotheses import catalogue
        from .hypotheses.checks.certificates import certificate, shipped
        from .hypotheses.checks.conformance import Report, checks_of, kind_of, name_of
        from .hypotheses.checks.outcome import ran

        found = dict(shipped())
        chosen = self.request.tests.nulls
        used = [n for h in self.choice.hypotheses
                for n in (*([chosen[h.id]] if h.id in chosen else h.nulls), *h.sensitivity)]  # fmt: skip
        for null in {catalogue.null_of(n).name: catalogue.null_of(n) for n in used}.values():
            if null.name in found and catalogue.origin_of(null) == BUILT_IN:
                continue
            checks = checks_of(null)
            with self.timed.stage(f"checks of {null.name}", len(checks)) as stage:
                done = []
                for check, work in checks.items():
                    done.append(ran(check, work))
                    stage.advance()
            found[null.name] = certificate(Report(name_of(null), kind_of(null), tuple(done)))
        return found

    def _multiverse(self, design: Design, measurements: Measurements) -> Multiverse:
        """The verdicts under every combination of what varies."""
        from .hypotheses.multiverse import explore

        def remeasure(options: MeasureOptions, told: str) -> Measurements:
            with self.timed.labelled(f"{told}: "):
                return self._tested(options, self.choice)

        return explore(design, self.request.measure, self.request.tests, measurements, remeasure, self.timed)

    def _random_init(self) -> Measurements:
        """Measure the same model with its weights drawn anew."""
        from .hypotheses.choice import on_random_weights

        options = self.request.measure
        documents = min(RANDOM_INIT_DOCUMENTS, options.documents)
        options = replace(options, random_init=True, documents=documents)
        with self.timed.labelled("random weights: "):
            return self._tested(options, on_random_weights(self.choice, self.request.tests))

    def _tested(self, options: MeasureOptions, choice: Choice) -> Measurements:
        """All that the hypotheses of a choice need, measured with these options."""
        from .estimators.effects import measure_effects

        measured = self._with_joint_ablation(options, choice, self._measured(options, choice.tested_needs))
        return (
            measure_effects(options, measured, self.timed, engine=self.engine)
            if "effects" in choice.tested_needs
            else measured
        )

    def _with_joint_ablation(self, options: MeasureOptions, choice: Choice, measurements: Measurements) -> Measurements:
        """The measurements with the joint ablations that the hypotheses asked for will look up; as they are for none.

        A second round of measuring: which sets are needed depends on what the first has chosen.
        """
        from .data.panel import check_panel
        from .estimators.joint_ablation import measure_joint_ablation
        from .hypotheses.joint_sets import joint_sets
        from .hypotheses.views import prepare

        if "joint_ablation" not in choice.needs:
            return measurements
        # what the suite would refuse is refused before more is measured
        check_panel(measurements.panel, measurements.conditions, measurements.conditions_option)
        sets = joint_sets(prepare(measurements, choice, self.request.tests), self.request.tests)
        return (
            measure_joint_ablation(options, measurements, sets, self.timed, engine=self.engine)
            if sets
            else measurements
        )

    def _with_effects(self, options: MeasureOptions, measurements: Measurements) -> Measurements:
        """The measurements with what ablating each neuron does to whole distributions, where it is tested or drawn."""
        from .estimators.effects import measure_effects

        drawn = self.request.tests.suite == "full" and any("effects" in h.figures for h in self.choice.hypotheses)
        if "effects" not in self.choice.needs and not drawn:
            return measurements
        return measure_effects(options, measurements, self.timed, engine=self.engine)

    def _provenance(self) -> dict[str, Any]:
        plan = _plan(self.request) | {"looks": self.looks}
        return provenance(self.started, _told(self.request), plan, self.timed)


def declared_of(request: Request) -> dict[str, Any]:
    """What is declared; measurements that were given are named by their manifest, not by their place."""
    from .hypotheses import plan

    if request.measurements is None:
        return plan.declared(request.measure, request.tests)
    manifest = Path(request.measurements).expanduser() / "manifest.json"
    given = {"manifest": sha256(manifest.read_bytes()).hexdigest()}
    return plan.declared(given, request.tests)


def _plan(request: Request) -> dict[str, Any]:
    """What was declared, its hash, and by which frozen plan, if any."""
    from .hypotheses import plan

    declared, frozen = declared_of(request), request.plan
    by = False if frozen is None else {"sha256": frozen.sha256, "at": frozen.frozen}
    return {"sha256": plan.plan_hash(declared), "frozen": by, "covers": plan.COVERS, "declared": declared}


def _told(request: Request) -> dict[str, Any]:
    """Every option that had a say, given or by default."""
    measured = request.measurements is not None
    told: dict[str, Any] = {"measurements": request.measurements} if measured else {}
    for f in fields(request.measure):
        if f.name != "random_init" and (not measured or f.name in _FREE_WITH_MEASUREMENTS):
            told[f.name] = getattr(request.measure, f"{f.name}_told", getattr(request.measure, f.name))
    return told | {f.name: getattr(request.tests, f.name) for f in fields(request.tests)}


def _one_line(error: Exception) -> str:
    """What an error says, in one printable line."""
    return " ".join(str(error).encode("utf-8", "replace").decode().split())[:300]
