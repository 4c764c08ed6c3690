"""From assessments to findings: adjustment over the family, verdicts, and one row per hypothesis and null model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..data.options import TestOptions
from . import balance
from .calibration.record import calibration_line
from .engine import Assessment, Output, Sampled, assess_p, reported_null
from .hypothesis import Hypothesis, null_names
from .inference import intervals
from .inference.effects import DocumentEffect, document_effect
from .inference.multiplicity import adjust
from .inference.several_models import NOTHING, ClaimP
from .inference.verdicts import Absence, Decision, Evidence, Presence, decide
from .nulls.base import NullModel
from .numbers import plain_number
from .prepared import PreparedData
from .result import (
    SET_COLUMN,
    Details,
    DocumentEffectCard,
    EnoughCard,
    Finding,
    OutputRow,
    Role,
    Setup,
    Verdict,
)


@dataclass(frozen=True)
class Judged:
    """An assessment with its family-adjusted p, and the output that decides it."""

    assessment: Assessment
    p_adjusted: float
    output: Output
    decision: Decision
    rows_in_family: int
    verdicts: tuple[tuple[Output, float, Decision], ...]


def judge_family(assessments: Sequence[Assessment], alpha: float) -> list[Judged]:
    """Holm over the verdict rows of one family, then each row's verdict."""
    adjusted = adjust([a.p.value for a in assessments], "holm")
    return [_judge(a, float(p), len(assessments), alpha) for a, p in zip(assessments, adjusted, strict=True)]


def _judge(assessment: Assessment, p_adjusted: float, rows: int, alpha: float) -> Judged:
    criterion = assessment.hypothesis.criterion
    if not isinstance(criterion, (Presence, Absence)):
        raise TypeError(f"{assessment.hypothesis.id} decides nothing and has no verdict")
    factor = p_adjusted / assessment.p.value
    judged = []
    for output in assessment.outputs:
        p = min(1.0, output.p.value * factor)
        familywise = familywise_bounds(output, alpha / (rows * len(assessment.outputs)))
        evidence = Evidence(
            output.estimate, output.verdict.low, output.verdict.high, p, output.coverage_warning, familywise,
            output.rival, output.found_share,
        )  # fmt: skip
        judged.append((output, p, decide(criterion, evidence, alpha)))
    output, p, decision = _deciding(judged, criterion)
    return Judged(assessment, p_adjusted, output, decision, rows, tuple(judged))


def familywise_bounds(output: Output, alpha: float) -> tuple[float, float]:
    """Bounds of an output that each hold at level 1 - alpha, over all its per_null."""
    familywise = [
        intervals.t_interval(estimate, se, output.verdict.df, 1 - 2 * alpha)
        for estimate, se in output.per_null or ((output.estimate, output.se),)
    ]
    return min(i.low for i in familywise), max(i.high for i in familywise)


def _claim_p(a: Assessment) -> ClaimP:
    """P of what a row claims, and of its opposite, over all its outputs; no part of it is adjusted for other rows."""
    criterion, outputs = a.hypothesis.criterion, a.outputs
    if not isinstance(criterion, (Presence, Absence)):
        return NOTHING
    margin, two_sided = criterion.margin, criterion.two_sided

    def over_nulls(p: Callable[..., float], o: Output, margin: float) -> float:
        each = o.per_null or ((o.estimate, o.se),)
        return max(p(estimate, se, o.verdict.df, margin, two_sided) for estimate, se in each)

    within = max(
        1.0 if o.coverage_warning else over_nulls(intervals.equivalence_p, o, margin * o.found_share) for o in outputs
    )
    effects = [o for o in outputs if not o.rival]
    if isinstance(criterion, Presence):
        reach = [o.p.value for o in effects if (abs(o.estimate) if two_sided else o.estimate) >= margin]
        return ClaimP(min(reach, default=1.0), within)
    beyond = [max(o.p.value, len(outputs) * over_nulls(intervals.beyond_p, o, margin)) for o in effects]
    return ClaimP(within, min([1.0, *beyond]))


def _deciding(
    judged: list[tuple[Output, float, Decision]], criterion: Presence | Absence
) -> tuple[Output, float, Decision]:
    """The output on which a row's verdict rests.

    An absence over several outputs is refuted by any (the one furthest beyond the margin speaks) and supported only
    by all (intersection-union: the one with the highest upper bound speaks, unless another is undetermined).
    """
    if len(judged) == 1:
        return judged[0]
    refuted = [j for j in judged if j[2].verdict is Verdict.REFUTED]
    if refuted:
        return max(refuted, key=lambda j: j[0].verdict.low)
    undecided = [j for j in judged if j[2].verdict is Verdict.UNDETERMINED]
    return max(undecided or judged, key=lambda j: j[0].verdict.high)


@dataclass(frozen=True)
class FindingBuilder:
    """Makes the rows of hypotheses on one set of neurons."""

    data: PreparedData
    setup: Setup
    options: TestOptions
    calibrations: Mapping[str, str] = field(default_factory=dict)
    _imbalance: dict[str, balance.Imbalance] = field(default_factory=dict, repr=False, compare=False)

    def blank(self, hypothesis: Hypothesis, **given: Any) -> Finding:
        """Row with what is common to all rows of `hypothesis`."""
        setup, criterion = self.setup, hypothesis.criterion
        base: dict[str, Any] = {
            "hypothesis": hypothesis.id, "family": hypothesis.family, "claim": self.data.filled(hypothesis.claim),
            "kind": hypothesis.kind, "role": hypothesis.role, "estimator": hypothesis.statistic.name,
            "unit": criterion.unit, "margin": hypothesis.margin,
            "margin_means": self.data.filled(getattr(criterion, "means", "")),
            "two_sided": getattr(criterion, "two_sided", False), "null_model": "+".join(null_names(hypothesis.nulls)),
            "n_documents": setup.n_documents, "n_positions": setup.n_positions, "n_neurons": setup.n_neurons,
        }  # fmt: skip
        return Finding(**{**self.common(), **base, **given})

    def common(self) -> dict[str, Any]:
        """What is the same in every row about this set."""
        s = self.setup
        return {
            "model": s.model, "revision": s.revision, "layer": s.layer, "corpus": s.corpus,
            "conditioning": s.conditioning, "threshold": s.threshold, "elbow": s.elbow, "ablation": s.ablation,
    SET_COLUMN: set_rule(self.data), "alpha": self.options.alpha, "seed": self.options.seed,
        }  # fmt: skip

    def not_run(self, hypothesis: Hypothesis, reason: str) -> Finding:
        """Row of a hypothesis whose inputs are missing."""
        verdict = Verdict.NOT_RUN if hypothesis.role is Role.PRIMARY else None
        claim = self.data.filled(hypothesis.claim)
        return self.blank(hypothesis, verdict=verdict, notes=f"not run: {reason}", n_documents=None, n_positions=None,
                          n_neurons=None, sentence=f"{claim} Not run: {reason}.")  # fmt: skip

    def primary(self, judged: Judged, q_value: float | None = None) -> list[Finding]:
        """The verdict row, and behind it the parts of a two-way verdict."""
        a = judged.assessment
        row = self._numbers(a, judged.output, judged.rows_in_family)
        # a difference from a null's mean stands beside that null; the larger p may be another's
        null = a.nulls[reported_null(a.nulls)] if a.hypothesis.statistic.centred else a.deciding_null
        row |= {
            "null_model": "+".join(s.null for s in a.nulls),
            "p_value": a.p.value, "p_low": a.p.low, "p_high": a.p.high, "p_adjusted": judged.p_adjusted,
            "q_value": q_value, "replicates": a.p.replicates, "verdict": judged.decision.verdict,
            "sentence": _sentence(self.data.filled(a.hypothesis.claim), judged.decision),
        }  # fmt: skip
        row |= self._null(a, judged.output, null)
        rows = [self.blank(a.hypothesis, **row, details=self._details(judged), notes=self._notes(a, judged))]
        if len(a.nulls) > 1:
            rows += [self.part(a, s, judged.output) for s in a.nulls]
        return rows

    def part(self, a: Assessment, sampled: Sampled, output: Output) -> Finding:
        """Sensitivity row: the same hypothesis under one null alone."""
        p = assess_p(a.hypothesis, sampled)
        per_null = output.per_null or ((output.estimate, output.se),) * len(a.nulls)
        estimate = per_null[a.nulls.index(sampled)][0]
        row = {"role": Role.SENSITIVITY, "null_model": sampled.null, "estimate": estimate, "p_value": p.value,
               "p_low": p.low, "p_high": p.high, "replicates": p.replicates, "margin": None}  # fmt: skip
        row |= self._null(a, output, sampled)
        claim = self.data.filled(a.hypothesis.claim)
        return self.blank(a.hypothesis, **row, sentence=f"{claim} Under {sampled.null} alone.")

    def sensitivity(self, a: Assessment) -> Finding:
        """Row of a hypothesis, or of a further null, that decides nothing."""
        output = a.outputs[0]
        row = self._numbers(a, output, 1) | {
            "role": Role.SENSITIVITY, "null_model": a.nulls[0].null, "p_value": a.p.value, "p_low": a.p.low,
            "p_high": a.p.high, "replicates": a.p.replicates, "margin": None, "p_equivalence": None,
            "smallest_supportable_margin": None,
        }  # fmt: skip
        row |= self._null(a, output, a.nulls[0])
        said = f"{self.data.filled(a.hypothesis.claim)} Decides nothing."
        return self.blank(a.hypothesis, **row, details=a.details, sentence=said)

    def _numbers(self, a: Assessment, output: Output, rows: int) -> dict[str, Any]:
        criterion = a.hypothesis.criterion
        alpha = self.options.alpha
        margin = a.hypothesis.margin
        absence = isinstance(criterion, Absence)
        out: dict[str, Any] = {
            "estimate": output.estimate, "verdict_low": output.verdict.low, "verdict_high": output.verdict.high,
            "minimal_detectable_effect": intervals.minimal_detectable_effect(output.se, alpha, rows)
            if margin is None
            else intervals.effect_decided_on(output.se, alpha, rows, margin, absence),
        }  # fmt: skip
        if output.document is not None:
            out |= {"ci_low": output.document.low, "ci_high": output.document.high, "ci_level": output.document.level}
        if absence:
            supportable = intervals.smallest_supportable_margin(output.se, alpha)
            out["smallest_supportable_margin"] = supportable / output.found_share
        if margin is not None:
            two_sided = bool(getattr(criterion, "two_sided", False))
            per_null = output.per_null or ((output.estimate, output.se),)
            out["p_equivalence"] = max(
                intervals.equivalence_p(estimate, se, output.verdict.df, margin * output.found_share, two_sided)
                for estimate, se in per_null
            )
        return out | _effect_size(a, output)

    def _null(self, a: Assessment, output: Output, sampled: Sampled) -> dict[str, Any]:
        k = a.outputs.index(output)
        shift, grow = (sampled.mean[k], sampled.unshared) if a.hypothesis.statistic.centred else (0.0, 1.0)
        draws = grow * (sampled.estimate[1:, k] - shift)
        return {
            "null_mean": float(sampled.mean[k]), "null_sd": float(draws.std(ddof=1)), "null_draws": draws.tolist(),
        }  # fmt: skip

    def _details(self, judged: Judged) -> Details:
        a, output = judged.assessment, judged.output
        effect = _document_effect(a, output)
        # a row with neurons as a second source of chance has no effect over documents alone
        over_documents = effect is not None and a.kinds == ("labels",)
        chosen = self.options.nulls.get(a.hypothesis.id, "")
        measured = self.calibrations.get(a.hypothesis.id) or calibration_line(a.hypothesis.id)
        p = _claim_p(a)
        told: dict[str, Any] = {
            "why": judged.decision.why,
            "se": output.se,
            "p_holds": p.holds,
            "p_fails": p.fails,
            "coverage_warning": output.coverage_warning,
            "rival": output.rival,
            "document_effect": DocumentEffectCard(**asdict(effect)) if effect is not None and over_documents else None,
            "enough": self._enough(judged),
            "null_chosen": chosen,
            # the record is of the declared null models and of the set that they were declared for
            "calibration": "" if chosen or a.details.nulls_left_out or measured is None else measured,
        }
        if len(judged.verdicts) > 1:
            told["per_output"] = [_output_row(*one) for one in judged.verdicts]
            told["deciding_output"] = output.name
        return a.details.model_copy(update=told)

    def _notes(self, a: Assessment, judged: Judged) -> str:
        notes = []
        if len(a.outputs) > 1:
            one = a.outputs_are or "output"
            notes.append(f"{one} {judged.output.name} decides; p over all {len(a.outputs)} by maxT")
        if judged.output.coverage_warning:
            notes.append(judged.output.coverage_warning)
        notes += [f"{name} was left out: {why}" for name, why in a.details.nulls_left_out.items()]
        notes += [said for s in a.nulls if (said := self._unlike(s.model))]
        return "; ".join(notes)

    def _unlike(self, null: NullModel) -> str:
        """In what null sets that should be like the observed ones are not; empty where they are."""
        if not null.likens:
            return ""
        if null.name not in self._imbalance:
            self._imbalance[null.name] = balance.against(self.data, null, self.options.seed)
        found = self._imbalance[null.name]
        if found.p >= self.options.alpha:
            return ""
        largest = sorted(found.smd.items(), key=lambda item: -abs(item[1]))[:3]
        said = ", ".join(f"{name} {plain_number(smd, 2, sign=True)}" for name, smd in largest)
        p = plain_number(float(f"{found.p:.2g}"))
        sets = null.name.replace("_", " ")
        return f"{self.data.neuron_set.name} neurons and {sets} differ in covariates (p = {p}), most in {said} sd"

    def _enough(self, judged: Judged) -> EnoughCard | None:
        """What would decide an undetermined row, where a formula can tell; numbers, which the report puts in words."""
        output, margin = judged.output, judged.assessment.hypothesis.margin
        if judged.decision.verdict is not Verdict.UNDETERMINED or margin is None:
            return None
        had = self.setup.n_documents
        if output.coverage_warning and output.coverage_warning != intervals.coverage_warning(had, None):
            return None  # skewness, one heavy document, null sets too much like the observed: no formula tells
        reach = intervals.smallest_supportable_margin(output.se, self.options.alpha) / output.found_share
        if reach > margin and (output.se_documents is None or output.se_documents < output.se):
            return EnoughCard(null_sd=output.se, smallest_margin=reach, larger=judged.assessment.lacks)
        needed = int(np.ceil(had * (reach / margin) ** 2 / 10) * 10) if reach > margin else had
        needed = max(needed, intervals.FEWEST_DOCUMENTS)
        return EnoughCard(documents=needed, margin=margin) if needed > had else None


def set_rule(data: PreparedData) -> str:
    """Column of the set: how many neurons it has, as asked; for one that was chosen elsewhere, its name."""
    return data.neuron_set.name if data.neuron_set.chosen_by == "elsewhere" else data.size_rule


def _output_row(output: Output, p: float, decision: Decision) -> OutputRow:
    layer, _, head = output.name.partition(".")
    place = {"layer": int(layer), "head": int(head)} if head else {}
    return OutputRow(
        name=output.name, **place, estimate=output.estimate, low=output.verdict.low, high=output.verdict.high,
        p_adjusted=p, verdict=str(decision.verdict),
    )  # fmt: skip


def _sentence(claim: str, decision: Decision) -> str:
    word = {"supported": "Supported", "refuted": "Refuted", "undetermined": "Undetermined"}[decision.verdict.value]
    return f"{claim} {word}: {decision.why}."


def _document_effect(a: Assessment, output: Output) -> DocumentEffect | None:
    """Effect over documents, where documents are what the contrast varies over (not for sets less their null)."""
    if (
        output.contrasts is None
        or a.nulls[0].statistic.shape != a.nulls[0].estimate.shape
        or a.hypothesis.statistic.centred
    ):
        return None
    return document_effect(output.contrasts)


def _effect_size(a: Assessment, output: Output) -> dict[str, Any]:
    """Cohen's d of the document contrasts; for set statistics the distance from the null in its sds."""
    effect = _document_effect(a, output)
    if effect is not None:
        return {"effect_size": effect.cohen_d, "effect_size_name": "Cohen d over documents"}
    k, null = a.outputs.index(output), a.nulls[reported_null(a.nulls)]
    away, sd = float(null.effect[k]), float(null.effect_sd[k])
    return {"effect_size": away / sd if sd > 0 else None, "effect_size_name": "null sd"}
