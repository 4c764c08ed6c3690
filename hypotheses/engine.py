"""From a hypothesis and a data to numbers: draws of each null through the statistic, then p-values and intervals.

Draws are made in tiles of a fixed size whose place is given by the replicate numbers alone, so neither the number of
workers nor the order they finish in can change a bit of the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats
import torch

from ..data.errors import InputError
from ..data.options import Progress, Silent
from .hypothesis import Hypothesis
from .inference import intervals
from .inference.permutation import PermutationP, max_t, permutation_p
from .nulls.base import NullModel
from .nulls.guard import GuardedNull, blamed
from .numbers import plain_number
from .prepared import PreparedData
from .result import Details
from .statistic import BoundStatistic, TwoSources

TILE = 50
"""Replicates evaluated together."""
DOCUMENT_LEVEL = 0.95
JACKKNIFED = 10
"""Null draws whose mean is taken without each document, for the standard error of a difference from that mean."""
MOST_SHARED = 0.5
"""Share of its terms that null sets may have in common with the observed set before no equivalence is granted."""

FEWEST_CLUSTERS = 10
LARGEST_CLUSTER = 0.25
"""Effective number of clusters, and share of the documents in one, beyond which nothing may be excluded."""
LEAST_RELIABLE = 0.25
"""Agreement of the halves' sets beyond chance under which nothing may be excluded of the set that is meant."""
SMALLEST_SHARE = 1e-3

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sampled:
    """A statistic under one null: ``estimate`` and ``statistic`` [1 + B, K]; row 0 is the observed.

    ``share`` [1 + B]: what each null set has in common with the observed ones, as a share of the statistic's terms;
    ``left_out``: whether null estimates are of the rest alone.
    ``without`` [D, K]: mean of the first `JACKKNIFED` null estimates without each document; None where documents do not
    move null draws.
    """

    model: NullModel
    estimate: FloatArray
    statistic: FloatArray
    share: FloatArray | None = None
    without: FloatArray | None = None
    left_out: bool = False

    @property
    def null(self) -> str:
        """Name of the null model."""
        return self.model.name

    @property
    def shared(self) -> float:
        """Mean share of the null draws."""
        return 0.0 if self.share is None else float(self.share[1:].mean())

    @property
    def unshared(self) -> float:
        """Factor by which a difference from the null mean grows once what is shared is left out.

        With a share f of its terms the observed set's own, a null set's statistic is f x set + (1 - f) x ordinary, so
        set - ordinary = (set - null mean) / (1 - f).  Beyond `MOST_SHARED` it grows no more: `assess` doubts.
        """
        return 1.0 if self.left_out else 1 / (1 - min(self.shared, MOST_SHARED))

    @property
    def sd(self) -> FloatArray:
        """Standard deviation of the null estimates, [K]."""
        out: FloatArray = self.estimate[1:].std(0, ddof=1)
        return out

    @property
    def mean(self) -> FloatArray:
        """Mean of the null estimates, [K]."""
        out: FloatArray = self.estimate[1:].mean(0)
        return out

    @property
    def effect(self) -> FloatArray:
        """Observed value less the null mean, what is shared left out, [K]."""
        out: FloatArray = self.unshared * (self.estimate[0] - self.mean)
        return out

    @property
    def effect_sd(self) -> FloatArray:
        """Standard deviation of `effect` over sets, [K].

        A set that shares more holds more of the effect, and the effect is no chance: draws are taken less their own
        share of it.  Otherwise their spread grows with the effect, and the strongest could never be told from noise.
        """
        draws = self.estimate[1:]
        if self.share is not None and not self.left_out:
            draws = draws - (self.share[1:] - self.shared)[:, None] * self.effect
        out: FloatArray = self.unshared * draws.std(0, ddof=1)
        return out


@dataclass(frozen=True)
class Output:
    """One output of a statistic (a head, or the only one): estimate, p under each null, intervals, and doubts."""

    name: str
    estimate: float
    p: PermutationP
    se_documents: float | None
    se: float
    document: intervals.Interval | None
    verdict: intervals.Interval
    contrasts: FloatArray | None
    coverage_warning: str
    per_null: tuple[tuple[float, float], ...] = ()
    """Estimate and standard error under each null, where the estimate is a difference from the null's mean."""
    found_share: float = 1.0
    """Share of the effect on the set that is meant which the set that was found holds."""
    rival: str = ""
    """What else the effect could be (`BoundStatistic.rival`)."""


@dataclass(frozen=True)
class Assessment:
    """A hypothesis on prepared data, before any adjustment for multiplicity."""

    hypothesis: Hypothesis
    nulls: tuple[Sampled, ...]
    outputs: tuple[Output, ...]
    p: PermutationP
    deciding_null: Sampled
    details: Details = field(default_factory=Details)
    lacks: str = ""
    outputs_are: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What its null models randomise."""
        return tuple(s.model.randomises for s in self.nulls)


def sample(
    bound: BoundStatistic,
    null: NullModel,
    data: PreparedData,
    replicates: int,
    seed: int,
    jobs: int = 1,
    progress: Progress | None = None,
    label: str = "",
) -> Sampled:
    """Observed value and `replicates` null values, all through `bound.evaluate`.

    Raises
    ------
    InputError
        If the statistic does not offer what the null randomises.
    """
    offered = bound.offers()
    if null.randomises not in offered:
        raise InputError(
            f"null model {null.name} randomises {null.randomises}; this hypothesis offers {', '.join(offered)}",
            "--null",
            "choose a null that randomises one of these (neuronull ls nulls)",
        )
    kind = null.randomises
    guarded = GuardedNull(null, data.measurements, offered[kind])

    def tile(numbers: range) -> tuple[FloatArray, FloatArray, FloatArray]:
        draws = bound.identity(kind) if numbers == range(1) else guarded.draw(numbers, seed)
        with blamed(bound):
            values = bound.evaluate(kind, draws, numbers, seed)
            shared = bound.shared(kind, draws)
        share = np.zeros(len(values.estimate)) if shared is None else shared.numpy()
        return values.estimate.numpy(), values.statistic.numpy(), share

    tiles = [range(1), *(range(s, min(s + TILE, replicates + 1)) for s in range(1, replicates + 1, TILE))]
    with (progress or Silent()).stage(f"{label} {null.name}".strip(), len(tiles)) as stage:
        done = []
        for values in _in_order(tile, tiles, jobs):
            done.append(values)
            stage.advance()
        few = range(1, 1 + min(JACKKNIFED, replicates))
        again = guarded.draw(few, seed)
        with blamed(bound):
            without = bound.draws_without(kind, again, few, seed)
    estimate, statistic, share = (np.concatenate(parts) for parts in zip(*done, strict=True))
    if not np.isfinite(estimate).all():
        bad = int((~np.isfinite(estimate)).any(1).sum())
        raise InputError(
            f"{bad} of {len(estimate)} draws of {null.name} gave no finite value",
            "measurements",
            "look for constant or missing activations",
        )
    mean = None if without is None else without.mean(0).numpy()
    return Sampled(null, estimate, statistic, share, mean, bound.shared_left_out)


def _in_order(work: Any, tiles: list[range], jobs: int) -> Iterator[Any]:
    if jobs == 1:
        yield from map(work, tiles)
        return
    with ThreadPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as pool:
        yield from pool.map(work, tiles)


def assess(
    hypothesis: Hypothesis,
    bound: BoundStatistic,
    data: PreparedData,
    sampled: tuple[Sampled, ...],
    alpha: float,
    with_details: bool = True,
) -> Assessment:
    """P-values and intervals of every output of a bound hypothesis, and what stands beside them if asked for."""
    two_sided = bool(getattr(hypothesis.criterion, "two_sided", False))
    side = "two-sided" if two_sided else "greater"
    per_null = [_p_values(s, side) for s in sampled]
    without, pairs, both = bound.leave_one_out(), bound.second_order(), bound.two_sources()
    centred = hypothesis.statistic.centred
    if both is not None:
        effects = [s.effect if centred else s.estimate[0] for s in sampled]
        per_null = [_at_least_tail(ps, e, both, two_sided) for ps, e in zip(per_null, effects, strict=True)]
    outputs = []
    for k, name in enumerate(bound.outputs):
        p = max((ps[k] for ps in per_null), key=lambda one: one.value)
        left = None if without is None else without[:, k].numpy()
        in_pairs = None if pairs is None else float(pairs[k])
        if centred:
            se = bound.member_se() or 0.0
            each = [_from_null_mean(s, k, name, p, left, se, data, alpha, in_pairs) for s in sampled]
            outputs.append(_hull([_over(both, one, k, alpha) for one in each], sampled, data))
        else:
            sd_null = max(float(s.sd[k]) for s in sampled)
            estimate = float(sampled[0].estimate[0, k])
            outputs.append(_over(both, _output(name, estimate, p, sd_null, left, data, alpha, in_pairs), k, alpha))
    with blamed(bound):
        doubt, rival, found = bound.doubt(), bound.rival(), bound.found_share(data.reliability)
    doubt = "; ".join(filter(None, (too_clustered(data), doubt)))
    if found < 1 and data.reliability < LEAST_RELIABLE:
        unfound = (
            f"the {data.neuron_set.name} neurons were not found: the sets of the two halves agree by "
            f"{plain_number(data.reliability, 2)} beyond chance, {plain_number(LEAST_RELIABLE)} are needed"
        )
        doubt = "; ".join(filter(None, (unfound, doubt)))
    outputs = [replace(o, rival=rival, found_share=max(found, SMALLEST_SHARE)) for o in outputs]
    if doubt:
        outputs = [replace(o, coverage_warning="; ".join(filter(None, (doubt, o.coverage_warning)))) for o in outputs]
    totals = [min(ps, key=lambda one: one.value) for ps in per_null]
    worst = max(range(len(totals)), key=lambda i: totals[i].value)
    details = bound.describe() if with_details else Details()
    return Assessment(
        hypothesis, sampled, tuple(outputs), totals[worst], sampled[worst], details, bound.lacks, bound.outputs_are
    )


def too_clustered(data: PreparedData) -> str:
    """Why nothing may be excluded on documents of few or unequal clusters; empty where it may, or without clusters."""
    if data.n_units == len(data.documents):
        return ""
    largest = float(data.unit_sizes.max()) / len(data.documents)
    if data.effective_units < FEWEST_CLUSTERS:
        return (
            f"the documents come from {data.n_units} clusters that are worth {data.effective_units:.1f} equal ones, "
            f"{FEWEST_CLUSTERS} are needed"
        )
    if largest > LARGEST_CLUSTER:
        return f"one cluster holds {largest:.0%} of the documents, at most {LARGEST_CLUSTER:.0%} may be"
    return ""


def _at_least_tail(
    ps: list[PermutationP], estimate: FloatArray, both: TwoSources, two_sided: bool
) -> list[PermutationP]:
    """P-values of the outputs, none below the tail of t at the smaller degrees of freedom.

    With few documents or neurons their rearrangements are all alike in how far one of them pulls; the tail is not.
    Over several outputs each tail is taken times their number (Bonferroni), as their p-values are adjusted too.
    """
    t = np.divide(estimate, both.se, out=np.zeros_like(estimate), where=both.se > 0)
    tail = len(ps) * (2 * scipy.stats.t.sf(np.abs(t), both.df) if two_sided else scipy.stats.t.sf(t, both.df))
    return [replace(p, value=max(p.value, min(1.0, float(least)))) for p, least in zip(ps, tail, strict=True)]


def _over(both: TwoSources | None, output: Output, k: int, alpha: float) -> Output:
    """The output with its verdict interval over documents and neurons together, where both move it."""
    if both is None:
        return output
    se = float(both.se[k])
    return replace(output, se=se, verdict=intervals.t_interval(output.estimate, se, both.df, 1 - 2 * alpha))


def _from_null_mean(
    s: Sampled, k: int, name: str, p: PermutationP, left: FloatArray | None, se: float, data: PreparedData,
    alpha: float, in_pairs: float | None,
) -> Output:  # fmt: skip
    """Output whose estimate is the difference from one null's mean, less what its sets share with the observed.

    `se` is the standard error over the sets' members where there is one.
    """
    shift, grow = float(s.mean[k]), s.unshared
    without = None if left is None else grow * (left - (shift if s.without is None else s.without[:, k]))
    sd_null = max(float(s.effect_sd[k]), grow * se)
    return _output(name, float(s.effect[k]), p, sd_null, without, data, alpha, in_pairs)


def reported_null(sampled: tuple[Sampled, ...]) -> int:
    """Index of the null whose estimate is reported: the first, unless its sets overlap the observed by more than half.

    Such an estimate is too small; then the first whose sets overlap less is reported, if there is one.
    """
    return min(range(len(sampled)), key=lambda i: (sampled[i].shared > MOST_SHARED, i))


def _hull(outputs: list[Output], sampled: tuple[Sampled, ...], data: PreparedData) -> Output:
    """One output of several nulls: the estimate of the `reported_null`, an interval that holds every null's.

    Nulls that compare with other sets answer with other estimates; what is excluded is excluded under each.
    """
    first = outputs[reported_null(sampled)]
    se = max(o.se for o in outputs)
    verdict = replace(
        first.verdict, se=se, low=min(o.verdict.low for o in outputs), high=max(o.verdict.high for o in outputs)
    )
    of_coverage = next((o.coverage_warning for o in outputs if o.coverage_warning), "")
    coverage_warning = "; ".join(filter(None, (of_coverage, _too_much_shared(sampled, data))))
    return replace(
        first,
        se=se,
        verdict=verdict,
        coverage_warning=coverage_warning,
        per_null=tuple((o.estimate, o.se) for o in outputs),
    )


def _too_much_shared(sampled: tuple[Sampled, ...], data: PreparedData) -> str:
    """Why no equivalence can be granted where every null's sets are mostly the observed ones, or nothing."""
    least = min(s.shared for s in sampled)
    if least <= MOST_SHARED:
        return ""
    return (
        f"null sets share {100 * least:.0f} % with the {data.neuron_set.name} neurons, more than "
        f"{100 * MOST_SHARED:g} %: too few other neurons look alike"
    )


def assess_p(hypothesis: Hypothesis, sampled: Sampled) -> PermutationP:
    """P-value of a hypothesis under one null alone (the smallest of its outputs', each adjusted by maxT)."""
    two_sided = bool(getattr(hypothesis.criterion, "two_sided", False))
    return min(_p_values(sampled, "two-sided" if two_sided else "greater"), key=lambda one: one.value)


def _p_values(sampled: Sampled, side: Any) -> list[PermutationP]:
    """P-value of each output; several outputs share joint draws and are adjusted by maxT."""
    observed, null = sampled.statistic[0], sampled.statistic[1:]
    if null.shape[1] == 1:
        return [permutation_p(float(observed[0]), null[:, 0], side)]
    adjusted = max_t(observed, null)
    width = len(null)
    return [PermutationP(float(p), *_spread(p, width), width) for p in adjusted]


def _spread(p: float, replicates: int) -> tuple[float, float]:
    from .inference.permutation import clopper_pearson

    return clopper_pearson(round(p * (1 + replicates)) - 1, replicates)


def _output(
    name: str, estimate: float, p: PermutationP, sd_null: float, without: FloatArray | None, data: PreparedData,
    alpha: float, in_pairs: float | None = None,
) -> Output:  # fmt: skip
    """`in_pairs`: variance that documents make only two at a time, where that is a good part of the whole."""
    if without is None:
        verdict = intervals.t_interval(estimate, sd_null, np.inf, 1 - 2 * alpha)
        return Output(name, estimate, p, None, sd_null, None, verdict, None, "")
    df = data.smaller_half - 1
    se_documents = intervals.jackknife_se(without, data.half)
    se = max(se_documents, sd_null)
    contrasts = intervals.pseudo_values(estimate, without)
    document = intervals.t_interval(estimate, se_documents, df, DOCUMENT_LEVEL)
    if in_pairs is not None:
        document = intervals.quadratic_interval(estimate, se_documents, in_pairs, df, DOCUMENT_LEVEL)
    return Output(
        name, estimate, p, se_documents, se, document,
        intervals.t_interval(estimate, se, df, 1 - 2 * alpha),
        contrasts, intervals.coverage_warning(len(contrasts), contrasts, se_documents / se if se > 0 else 0.0),
    )  # fmt: skip
