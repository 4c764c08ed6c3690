"""The suite: which hypotheses run, all of them on one data, their verdicts, and the claims' verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..data.errors import InputError, MissingInput
from ..data.measurements import Measurements
from ..data.options import Progress, Silent, TestOptions
from ..data.panel import check_panel
from . import catalogue, figure_data
from .controls import flags_an_effect, run_control
from .engine import Assessment, assess, sample
from .findings import FindingBuilder, Judged, judge_family
from .hypothesis import Hypothesis
from .inference.multiplicity import adjust
from .inference.permutation import enough_replicates
from .inference.verdicts import combine
from .prepared import PreparedData
from .result import ClaimVerdict, Finding, Result, Role, Setup, Verdict
from .statistics.base import BoundStatistic

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
        Measures the same model with re-initialised weights, for `control.random_init`; None where there is no model.

    Raises
    ------
    InputError
        For unknown ids, too few replicates or documents, and nulls that do not fit.
    """
    progress = progress or Silent()
    check_panel(measurements.panel)
    wanted, controls = choose(options)
    data = PreparedData(measurements, options.plateau)
    check_replicates(wanted, options)
    make = FindingBuilder(data, describe(data, options), options)
    findings, left_out = run_hypotheses(wanted, make, progress)

    def flagged() -> tuple[list[str], int]:
        if random_init is None:
            raise MissingInput("there is no model to re-initialise")
        asked = wanted or choose(replace(options, only=()))[0]  # the control alone means the default suite
        return flags(asked, random_init(), options, progress)

    findings += [run_control(name, make, flagged) for name in controls]
    caution(findings)
    return Result(
        setup=make.setup, findings=findings, left_out=left_out, claims=claim_verdicts(findings, options),
        warnings=list(measurements.manifest.extra("warnings", [])), **figure_data.collect(data, findings, options.seed),
    )  # fmt: skip


def choose(options: TestOptions) -> tuple[list[Hypothesis], list[str]]:
    """Hypotheses and controls asked for, in the catalogue's order.

    ``--only`` takes ids or whole families; without it the default suite runs, or with ``full`` everything.  A family
    stands for those of it that would run without ``--only``, or for all where none would.

    Raises
    ------
    InputError
        For an id that is not there.
    """
    known = list(catalogue.hypotheses.names())

    def usual(names: list[str]) -> list[str]:
        every = ((name, catalogue.hypotheses.get(name)) for name in names)
        return [name for name, h in every if h.default or options.suite == "full"]

    if not options.only:
        return [catalogue.hypotheses.get(name) for name in usual(known)], list(catalogue.CONTROLS)
    names: set[str] = set()
    for asked in options.only:
        family = [n for n in known if n.split(".")[0] == asked]
        members = usual(family) or family
        members += [n for n in (*known, *catalogue.CONTROLS) if asked in (n, n.split(".")[0]) and n not in family]
        if not members:
            catalogue.hypotheses.get(asked)  # raises, with a did-you-mean
        names.update(members)
    return [catalogue.hypotheses.get(n) for n in known if n in names], [c for c in catalogue.CONTROLS if c in names]


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


def run_hypotheses(
    wanted: Sequence[Hypothesis], make: FindingBuilder, progress: Progress
) -> tuple[list[Finding], dict[str, str]]:
    """Findings of all hypotheses, families adjusted together, and what was left out and why."""
    assessed: dict[str, Assessment] = {}
    sensitivity_rows: dict[str, list[Finding]] = {}
    left_out: dict[str, str] = {}
    for hypothesis in wanted:
        try:
            bound = hypothesis.statistic.bind(make.data)
            assessed[hypothesis.id] = assess_under(hypothesis, bound, make.data, make.options, progress)
        except MissingInput as error:
            left_out[hypothesis.id] = str(error)
            continue
        sensitivity_rows[hypothesis.id] = _sensitivity_rows(hypothesis, bound, make, progress)
    judged = judge(assessed.values(), make.options.alpha)
    q_values = dict(zip(judged, adjust([j.assessment.p.value for j in judged.values()], "fdr_bh"), strict=True))
    findings: list[Finding] = []
    for hypothesis in wanted:
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
    """Assess a bound hypothesis under its null models, or under the one that the options choose."""
    replicates = hypothesis.replicates(options.replicates)
    if hypothesis.role is not Role.PRIMARY:
        replicates = min(replicates, MOST_SENSITIVITY_DRAWS)
    chosen = options.nulls.get(hypothesis.id)
    nulls = [catalogue.nulls.get(name) for name in ((chosen,) if chosen else hypothesis.nulls)]
    drawn = []
    for null in nulls:
        drawn.append(sample(bound, null, data, replicates, options.seed, options.jobs, progress, hypothesis.id))
    return assess(hypothesis, bound, data, tuple(drawn), options.alpha, with_details)


def _sensitivity_rows(
    hypothesis: Hypothesis, bound: BoundStatistic, make: FindingBuilder, progress: Progress
) -> list[Finding]:
    """Rows of the further nulls that a hypothesis declares."""
    rows = []
    for name in hypothesis.sensitivity:
        alone = replace(hypothesis, nulls=(name,), sensitivity=())
        options = replace(make.options, nulls={}, replicates=min(make.options.replicates, MOST_SENSITIVITY_DRAWS))
        rows.append(make.sensitivity(assess_under(alone, bound, make.data, options, progress)))
    return rows


def judge(assessed: Iterable[Assessment], alpha: float) -> dict[str, Judged]:
    """Verdicts of the primary hypotheses by id, each adjusted within its family."""
    families: dict[str, list[Assessment]] = {}
    for assessment in assessed:
        if assessment.hypothesis.role is Role.PRIMARY:
            families.setdefault(assessment.hypothesis.family, []).append(assessment)
    return {j.assessment.hypothesis.id: j for rows in families.values() for j in judge_family(rows, alpha)}


def caution(findings: Sequence[Finding]) -> None:
    """Say on each finding that `control.random_init` made too, so that nobody credits training with it."""
    control = next((f for f in findings if f.hypothesis == "control.random_init"), None)
    flagged = control.details.get("flagged", []) if control else []
    for finding in findings:
        if finding.role is Role.PRIMARY and finding.hypothesis in flagged and flags_an_effect(finding):
            said = "found with random weights too, so training need not be its cause"
            finding.notes = "; ".join(part for part in (finding.notes, said) if part)


def flags(
    wanted: Sequence[Hypothesis], measurements: Measurements, options: TestOptions, progress: Progress
) -> tuple[list[str], int]:
    """Names of the verdict rows that find an effect in `measurements`, and how many rows were tested."""
    data = PreparedData(measurements, options.plateau)
    make = FindingBuilder(data, describe(data, options), options)
    primary = [replace(h, sensitivity=()) for h in wanted if h.role is Role.PRIMARY]
    findings, _ = run_hypotheses(primary, make, progress)
    rows = [f for f in findings if f.role is Role.PRIMARY and f.verdict is not Verdict.NOT_RUN]
    return [f.hypothesis for f in rows if flags_an_effect(f)], len(rows)


def claim_verdicts(findings: Sequence[Finding], options: TestOptions) -> list[ClaimVerdict]:
    """Verdict on each of the paper's claims whose family was asked for."""
    out = []
    for number, (family, title) in catalogue.CLAIMS.items():
        rows = [f for f in findings if f.family == family and f.role is Role.PRIMARY and f.verdict is not None]
        if not rows:
            continue
        verdict = combine([f.verdict for f in rows if f.verdict is not None])
        out.append(ClaimVerdict(number=number, title=title, verdict=verdict, sentence=_claim_sentence(rows, verdict),
                                hypotheses=[f.hypothesis for f in rows]))  # fmt: skip
    return out


def _claim_sentence(rows: Sequence[Finding], verdict: Verdict) -> str:
    def ids(wanted: Verdict) -> str:
        return ", ".join(f.hypothesis for f in rows if f.verdict is wanted)

    if verdict is Verdict.SUPPORTED:
        return f"all {len(rows)} hypotheses are supported"
    if verdict is Verdict.REFUTED:
        return f"refuted by {ids(Verdict.REFUTED)}"
    undecided = sum(f.verdict is Verdict.UNDETERMINED for f in rows)
    missing = sum(f.verdict is Verdict.NOT_RUN for f in rows)
    parts = [f"{undecided} of {len(rows)} hypotheses could not decide"] if undecided else []
    parts += [f"{missing} could not be run"] if missing else []
    return ", ".join(parts)


def describe(data: PreparedData, options: TestOptions) -> Setup:
    """What was measured on what."""
    m = data.measurements.manifest
    audit = (m.audit.model_extra or {}) if m.audit else {}
    given: dict[str, Any] = {
        "model": m.model.id, "revision": m.model.revision, "architecture": m.architecture, "layer": m.layer,
        "corpus": m.corpus.id, "conditioning": m.conditioning, "threshold": m.threshold, "elbow": m.elbow_rank,
        "ablation": m.ablation, "plateau": options.plateau, "n_head": data.n_head, "dtype": m.dtype,
        "model_hash": m.model.hash, "corpus_hash": m.corpus.hash, "counts_hash": m.counts_hash,
        "n_documents": len(data.documents), "n_positions": len(data.panel), "n_pairs": len(data.panel.a_rows),
        "n_neurons": data.measurements.n_neurons, "replicates": options.replicates, "alpha": options.alpha,
        "seed": options.seed, "audit_entries": m.audit.n if m.audit else None,
        "audit_max_abs_error": m.audit.max_abs_error if m.audit else None, "versions": dict(sorted(m.versions.items())),
        "suite": "only " + " ".join(options.only) if options.only else options.suite, "audit": audit,
        "counts": m.extra("counts"), "kept_share": m.extra("kept_share"),
    }  # fmt: skip
    return Setup(**given)
