"""The suite: all hypotheses of a choice on one set of measurements, their verdicts, and the claims' verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..data.errors import InputError, MissingInput
from ..data.measurements import Measurements
from ..data.options import Progress, Silent, TestOptions, part
from ..data.panel import check_panel
from . import catalogue, figure_data
from .cards import describe, hypothesis_cards, set_cards
from .choice import Choice, check_replicates, choose, on_random_weights
from .claim_verdicts import claim_verdicts
from .controls import STRICT, ControlRun, doubts
from .engine import Assessment, assess, sample
from .findings import FindingBuilder, Judged, judge_family
from .frames import Kept, frames
from .hypothesis import Hypothesis
from .inference.multiplicity import adjust
from .inference.permutation import enough_replicates
from .members import members_if_any
from .nulls.base import NullModel
from .nulls.guard import blamed
from .prepared import PreparedData
from .result import Finding, Result, Role, Setup, Verdict
from .statistic import BoundStatistic
from .threads import limited_to, with_jobs
from .views import Prepared, prepare, set_unused

MOST_SENSITIVITY_DRAWS = 999
"""Draws of a null whose row decides nothing, at most: graph nulls cost most, and no adjusted p needs their tail."""


def run_suite(
    measurements: Measurements,
    options: TestOptions,
    progress: Progress | None = None,
    random_init: Callable[[], Measurements] | None = None,
) -> Result:
    """Test every hypothesis asked for whose inputs are there.

    Parameters
    ----------
    random_init
        Measures the same model with re-initialised weights, for controls that ask for it; None where there is no model.

    Raises
    ------
    InputError
        For unknown ids, too few replicates or documents, and nulls that do not fit.
    """
    choice = choose(options)
    with limited_to(1) as threads:
        prepared = prepare(measurements, choice, options)
        return _tested(prepared, with_jobs(options, threads), progress or Silent(), random_init, threads)


def run_choice(
    prepared: Prepared,
    options: TestOptions,
    progress: Progress | None = None,
    random_init: Callable[[], Measurements] | None = None,
) -> Result:
    """Test a choice on prepared data; see `run_suite`."""
    with limited_to(1) as threads:
        return _tested(prepared, with_jobs(options, threads), progress or Silent(), random_init, threads)


def _tested(
    prepared: Prepared,
    options: TestOptions,
    progress: Progress,
    random_init: Callable[[], Measurements] | None,
    threads: int,
) -> Result:
    """`run_choice` on one thread a worker; `threads` are for measuring."""
    choice, main = prepared.choice, prepared.main
    check_panel(main.panel, main.measurements.conditions, main.measurements.conditions_option)
    check_replicates(choice.hypotheses, options)
    setup = describe(main, options)
    builders = Builders(prepared, setup, options)
    with part(progress, "tests", stages_of(choice.hypotheses)):
        findings, left_out = run_hypotheses(choice.hypotheses, builders, progress)

    def random_weights() -> list[Finding]:
        if random_init is None:
            raise MissingInput("there is no model to re-initialise")
        twin = on_random_weights(choice, options)
        stages = MEASURING + stages_of([replace(h, sensitivity=()) for h in twin.hypotheses])
        with part(progress, "random weights, measured and tested", stages):
            with limited_to(threads):
                measured = random_init()
            return twin_rows(twin, measured, options, progress)

    control_run = ControlRun(main, options, tuple(findings), random_weights, progress)
    common = FindingBuilder(main, setup, options).common()
    findings += [control.finding(control_run, common) for control in choice.controls]
    doubtful = doubts(choice.controls, choice.hypotheses, findings)
    caution(findings, doubtful)
    result = Result(
        setup=setup,
        papers=[paper.card for paper in choice.papers],
        sets=set_cards(prepared),
        hypotheses=[*hypothesis_cards(prepared), *(c.card(main) for c in choice.controls)],
        findings=findings,
        left_out=left_out,
        claims=claim_verdicts(prepared, findings, options.alpha, doubtful),
        warnings=[*main.measurements.manifest.extra("warnings", []), *set_unused(prepared)],
        members=members_if_any(main),
        **figure_data.collect(prepared, findings, options.seed),
    )
    result.keep_frames(frames(builders.kept, builders.views))
    return result


@dataclass
class Builders:
    """Makers of rows, one per view of the data."""

    prepared: Prepared
    setup: Setup
    options: TestOptions

    def __post_init__(self) -> None:
        self._made: dict[int, FindingBuilder] = {}
        self.kept = Kept()

    @property
    def views(self) -> list[PreparedData]:
        """The data through each set that rows were made of; the run's own where none was."""
        made = list({id(one.data.neuron_set): one.data for one in self._made.values()}.values())
        return made or [self.prepared.main]

    def of(self, hypothesis: Hypothesis) -> FindingBuilder:
        """The maker of rows for a hypothesis."""
        data = self.prepared.of(hypothesis)
        made = FindingBuilder(data, self.setup, self.options, self.prepared.calibrations)
        return self._made.setdefault(id(data), made)


MEASURING = 7
"""Stages of measuring: model, corpus, forward pass, influence, its audit, head means, heads."""


def stages_of(hypotheses: Sequence[Hypothesis]) -> int:
    """How many stages it takes to test them: one a hypothesis and null model, where all can serve."""
    return sum(len(h.nulls) + len(h.sensitivity) for h in hypotheses)


def run_hypotheses(
    wanted: Sequence[Hypothesis], builders: Builders, progress: Progress, one_family: bool = False
) -> tuple[list[Finding], dict[str, str]]:
    """Findings of all hypotheses, families (or, as `one_family`, all) adjusted together; what was left out and why."""
    assessed: dict[str, Assessment] = {}
    sensitivity_rows: dict[str, list[Finding]] = {}
    left_out: dict[str, str] = {}
    for hypothesis in wanted:
        make = builders.of(hypothesis)
        try:
            with blamed(hypothesis.statistic):
                bound = hypothesis.statistic.bind(make.data)
            assessed[hypothesis.id] = assess_under(hypothesis, bound, make.data, make.options, progress)
            builders.kept.keep(assessed[hypothesis.id])
        except MissingInput as error:
            left_out[hypothesis.id] = str(error)
            continue
        sensitivity_rows[hypothesis.id] = _sensitivity_rows(hypothesis, bound, make, progress, builders.kept)
    judged = judge(assessed.values(), builders.options.alpha, one_family)
    q_values = dict(zip(judged, adjust([j.assessment.p.value for j in judged.values()], "fdr_bh"), strict=True))
    findings: list[Finding] = []
    for hypothesis in wanted:
        make = builders.of(hypothesis)
        if hypothesis.id in left_out:
            findings.append(make.not_run(hypothesis, left_out[hypothesis.id]))
        elif hypothesis.id in judged:
            findings += make.primary(judged[hypothesis.id], float(q_values[hypothesis.id]))
        else:
            findings.append(make.sensitivity(assessed[hypothesis.id]))
        findings += sensitivity_rows.get(hypothesis.id, [])
    return findings, left_out


def assess_under(
    hypothesis: Hypothesis,
    bound: BoundStatistic,
    data: PreparedData,
    options: TestOptions,
    progress: Progress,
    with_details: bool = True,
) -> Assessment:
    """Assess a bound hypothesis under its null models, or under the one that the options choose.

    Raises
    ------
    MissingInput
        If no declared null model can serve the set.
    InputError
        If the null model that was chosen cannot.
    """
    replicates = hypothesis.replicates(options.replicates)
    if hypothesis.role is not Role.PRIMARY:
        replicates = min(replicates, MOST_SENSITIVITY_DRAWS)
    chosen = options.nulls.get(hypothesis.id)
    nulls, left_out = serving([catalogue.null_of(n) for n in ((chosen,) if chosen else hypothesis.nulls)], bound)
    if not nulls:
        why = next(iter(left_out.values()))
        raise InputError(why, "--null", "choose another") if chosen else MissingInput(why)
    drawn = tuple(
        sample(bound, null, data, replicates, options.seed, options.jobs or 1, progress, hypothesis.id)
        for null in nulls
    )
    with blamed(hypothesis.statistic):
        found = assess(hypothesis, bound, data, drawn, options.alpha, with_details)
    return replace(found, details=found.details.model_copy(update={"nulls_left_out": left_out})) if left_out else found


def serving(nulls: Sequence[NullModel], bound: BoundStatistic) -> tuple[list[NullModel], dict[str, str]]:
    """Those of the null models that can serve what a statistic offers, and why the others cannot, by name."""
    with blamed(bound):
        offered = bound.offers()
    served, left_out = [], {}
    for null in nulls:
        with blamed(null):
            why = null.refuses(offered[null.randomises]) if null.randomises in offered else ""
        if why:
            left_out[null.name] = why
        else:
            served.append(null)
    return served, left_out


def _sensitivity_rows(
    hypothesis: Hypothesis, bound: BoundStatistic, make: FindingBuilder, progress: Progress, kept: Kept
) -> list[Finding]:
    """Rows of the further nulls that a hypothesis declares."""
    rows = []
    for null in hypothesis.sensitivity:
        alone = replace(hypothesis, nulls=(null,), sensitivity=())
        options = replace(make.options, nulls={}, replicates=min(make.options.replicates, MOST_SENSITIVITY_DRAWS))
        try:
            found = assess_under(alone, bound, make.data, options, progress)
        except MissingInput:
            continue  # a further null model that cannot serve this set
        rows.append(make.sensitivity(found))
        kept.keep(found)
    return rows


def judge(assessed: Iterable[Assessment], alpha: float, one_family: bool = False) -> dict[str, Judged]:
    """Verdicts of the primary hypotheses by id, each adjusted within its family, or over all of them."""
    families: dict[str, list[Assessment]] = {}
    for assessment in assessed:
        if assessment.hypothesis.role is Role.PRIMARY:
            families.setdefault("" if one_family else assessment.hypothesis.family, []).append(assessment)
    return {j.assessment.hypothesis.id: j for rows in families.values() for j in judge_family(rows, alpha)}


def caution(findings: Sequence[Finding], doubtful: Mapping[str, Sequence[str]]) -> None:
    """Say on each verdict row what the controls leave to doubt of it, so that nobody reads it without."""
    for finding in findings:
        if finding.role is Role.PRIMARY and finding.hypothesis in doubtful:
            finding.notes = "; ".join(part for part in (finding.notes, *doubtful[finding.hypothesis]) if part)


def twin_rows(choice: Choice, measurements: Measurements, options: TestOptions, progress: Progress) -> list[Finding]:
    """Verdict rows on measurements of random weights, all as one family at `STRICT`, with draws enough for that."""
    primary = tuple(replace(h, sensitivity=()) for h in choice.hypotheses if h.role is Role.PRIMARY)
    enough = enough_replicates(options.replicates, STRICT, len(primary)) or options.replicates
    options = replace(options, alpha=STRICT, replicates=enough)
    prepared = prepare(measurements, replace(choice, hypotheses=primary), options)
    builders = Builders(prepared, describe(prepared.main, options), options)
    findings, _ = run_hypotheses(primary, builders, progress, one_family=True)
    return [f for f in findings if f.role is Role.PRIMARY and f.verdict is not Verdict.NOT_RUN]
