"""The checks of a hypothesis: declared in words, null sets that fit, computed with and without an effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.stats

from ...data.errors import MissingInput
from ...data.measurements import Measurements
from ...data.options import TestOptions
from .. import catalogue
from ..choice import Choice
from ..engine import sample
from ..hypothesis import Hypothesis, null_names
from ..inference.permutation import permutation_p
from ..inference.verdicts import Sensitivity
from ..joint_sets import joint_sets
from ..neuron_sets import Listed
from ..nulls.base import NullModel
from ..nulls.guard import GuardedNull
from ..prepared import MOST_INFLUENTIAL, PreparedData
from ..statistic import BoundStatistic
from ..statistics.functions import BoundFunction
from ..suite import serving
from ..views import prepare
from . import test_problems
from .null_checks import ALPHA, UNLIKELY
from .outcome import Skipped, require

B = 19
DATA_SETS = 60
"""Null data sets of the check on size: in each a drawn set is taken for the observed one."""
MOST_LISTED = 0.25
"""Share of the planted neurons that a listed set may have; a longer list is cut for the check."""


@dataclass(frozen=True)
class HypothesisSubject:
    """A hypothesis on small planted measurements, or on measurements that are given."""

    hypothesis: Hypothesis
    measurements: Measurements | None = None

    @cached_property
    def declared(self) -> Hypothesis:
        """The hypothesis with a set of its own, which lies within the measured neurons."""
        own = catalogue.set_of(self.hypothesis) or MOST_INFLUENTIAL
        if self.measurements is None and isinstance(own, Listed):
            n = test_problems.NEURONS
            size = min(len(own.neurons), int(MOST_LISTED * n))
            places = np.linspace(0, n - 1, size).astype(np.int64)
            own = replace(own, neurons=tuple(np.unique(places).tolist()), layer=None)
        return replace(self.hypothesis, set=own)

    @cached_property
    def data(self) -> PreparedData:
        """The measurements, with the joint ablations that the hypothesis looks up."""
        options = TestOptions(replicates=B)
        choice = Choice((), (self.declared,), ())
        prepared = prepare(self.measurements or test_problems.measurements(), choice, options)
        if self.measurements is None:
            sets = joint_sets(prepared, options)
            if sets:
                prepared = prepare(test_problems.with_joint_ablation(sets.table), choice, options)
        return prepared.of(self.declared)

    @cached_property
    def bound(self) -> BoundStatistic:
        """The statistic on them."""
        try:
            return self.hypothesis.statistic.bind(self.data)
        except MissingInput as missing:
            raise Skipped(f"the measurements do not have what it needs: {missing}") from missing

    @cached_property
    def serving(self) -> list[NullModel]:
        """Declared null models, primary ones first, that can serve the set."""
        every = [catalogue.null_of(null) for null in (*self.hypothesis.nulls, *self.hypothesis.sensitivity)]
        served, why = serving(every, self.bound)
        require(bool(served), f"no declared null model can serve the set: {'; '.join(why.values())}")
        return served


def declared(subject: HypothesisSubject) -> str:
    """Claim, criterion and source are said."""
    h = subject.hypothesis
    require(h.claim.strip().endswith("."), f"claim is {h.claim!r}; give one sentence with its full stop")
    require(bool(h.source.strip()), "source is empty; say where the claim is made")
    if not isinstance(h.criterion, Sensitivity):
        require(h.criterion.margin > 0, f"margin is {h.criterion.margin}; declare the smallest effect worth the name")
        require(bool(h.criterion.means.strip()), "the criterion does not say what its margin means")
    require(bool(h.criterion.unit.strip()), "the criterion has no unit")
    return f"{h.kind.value}, {h.role.value}, unit {h.criterion.unit}"


def nulls(subject: HypothesisSubject) -> str:
    """Every declared null model randomises something that the statistic offers."""
    offered = subject.bound.offers()
    for null in map(catalogue.null_of, (*subject.hypothesis.nulls, *subject.hypothesis.sensitivity)):
        kind = null.randomises
        require(kind in offered, f"{null.name} randomises {kind}, and the statistic offers {', '.join(offered)}")
    return ", ".join(null_names((*subject.hypothesis.nulls, *subject.hypothesis.sensitivity)))


def null_sets(subject: HypothesisSubject) -> str:
    """Draws of every null model have the size and kind of what is observed."""
    offered = subject.bound.offers()
    for null in subject.serving:
        drawn = GuardedNull(null, subject.data.measurements, offered[null.randomises]).draw(range(1, 4), 0)
        require(len(list(drawn)) == 3, f"{null.name} gave no three draws")
    return f"3 draws of each of {len(subject.serving)}"


def not_matched_on(subject: HypothesisSubject) -> str:
    """No null model compares with neurons that are alike in what is tested."""
    matching = [null.name for null in subject.serving if null.matches]
    if not isinstance(subject.bound, BoundFunction) or not matching:
        raise Skipped("no null model matches, or what the statistic reads is not recorded")
    read = subject.bound.columns_read & set(subject.data.alike)
    said = f"{', '.join(sorted(read))} is tested, and {matching[0]} compares with neurons that are alike in it"
    require(not read, f"{said}; leave it out of alike, or choose random_sets")
    return f"{', '.join(matching)} match on nothing that is read"


def identity(subject: HypothesisSubject) -> str:
    """The observed value is finite, and the same through every kind of object."""
    bound = subject.bound
    values = {}
    for kind in bound.offers():
        found = bound.evaluate(kind, bound.identity(kind), range(1), 0)
        require(bool(found.estimate.isfinite().all()), f"the observed value through {kind} is not finite")
        require(
            found.estimate.shape == (1, len(bound.outputs)),
            f"estimate has shape {tuple(found.estimate.shape)} through {kind}",
        )
        values[kind] = found.estimate.double().numpy()
    first = next(iter(values.values()))
    for kind, value in values.items():
        require(
            bool(np.allclose(first, value, rtol=1e-5, atol=1e-6)),
            f"the observed value through {kind} differs: {value} not {first}",
        )
    return ", ".join(values)


def repeat(subject: HypothesisSubject) -> str:
    """The same seed gives the same numbers, alone and with three workers."""
    null = subject.serving[0]
    first, second = (sample(subject.bound, null, subject.data, B, 0, jobs) for jobs in (1, 3))
    require(bool(np.array_equal(first.estimate, second.estimate)), "estimates differ between one and three workers")
    return f"{B} draws of {null.name}"


def p_value(subject: HypothesisSubject) -> str:
    """Under each declared null model a p-value comes out, above 0."""
    said = []
    for null in subject.serving:
        drawn = sample(subject.bound, null, subject.data, B, 0)
        p = permutation_p(float(drawn.statistic[0, 0]), drawn.statistic[1:, 0]).value
        require(0 < p <= 1, f"p under {null.name} is {p}")
        said.append(f"{null.name} {p:.2f}")
    return ", ".join(said)


def size(subject: HypothesisSubject) -> str:
    """Where a drawn set is taken for the observed one, it rejects no more often than alpha."""
    values = _drawn_values(subject, DATA_SETS * (B + 1)).reshape(DATA_SETS, B + 1)
    low = sum(permutation_p(float(row[0]), row[1:]).value <= ALPHA + 1e-12 for row in values)
    most = int(scipy.stats.binom.ppf(1 - UNLIKELY, DATA_SETS, ALPHA))
    said = f"{low} of {DATA_SETS} null data sets rejected at {ALPHA:g}"
    require(low <= most, f"{said}; more than {most} is too many: draws are not treated alike")
    return f"{said} ({most} allowed)"


def power(subject: HypothesisSubject) -> str:
    """A set with an effect is found: of 199 drawn sets the most extreme, against others."""
    values = _drawn_values(subject, 398)
    require(float(np.ptp(values)) > 0, "the statistic is the same for every drawn set")
    p = permutation_p(float(values[:199].max()), values[199:]).value
    require(p <= ALPHA, f"the most extreme of 199 sets has p = {p:.2f}")
    return f"p = {p:.3f}"


def _drawn_values(subject: HypothesisSubject, count: int) -> Any:
    """Statistic of null sets, [count]."""
    null = next((null for null in subject.serving if null.randomises == "neurons"), None)
    if null is None or subject.hypothesis.statistic.most_replicates is not None:
        raise Skipped("no null model draws sets of neurons; neuronull calibrate measures size and power")
    guarded = GuardedNull(null, subject.data.measurements, subject.bound.offers()["neurons"])
    values = []
    for start in range(1, count + 1, 50):
        numbers = range(start, min(start + 50, count + 1))
        values.append(subject.bound.evaluate("neurons", guarded.draw(numbers, 7), numbers, 7).statistic[:, 0])
    return np.concatenate([v.double().numpy() for v in values])


def sentences(subject: HypothesisSubject) -> str:
    """The words fit every verdict: clauses without a full stop, names filled in, nothing left in braces."""
    words, filled = subject.hypothesis.words, subject.data.filled
    for name in ("plus", "minus", "none"):
        clause = filled(getattr(words, name))
        require(bool(clause.strip()), f"words.{name} is empty")
        require(not clause.rstrip().endswith("."), f"words.{name} is a clause, and {clause!r} ends in a full stop")
    told = [filled(text) for text in (words.title, words.asks, words.measured, words.plus, words.minus, words.none,
                                      subject.hypothesis.claim)]  # fmt: skip
    left = next((text for text in told if "{" in text or "}" in text), "")
    require(not left, f"{left!r} keeps a brace; only {{set}}, {{a}} and {{b}} are filled in")
    return "3 clauses"


def leave_one_out(subject: HypothesisSubject) -> str:
    """Without each document in turn the estimate is finite, one row per document."""
    without = subject.bound.leave_one_out()
    if without is None:
        raise Skipped("no document enters the estimate, or none may be left out of an optimum")
    wanted = (subject.data.n_units, len(subject.bound.outputs))
    require(tuple(without.shape) == wanted, f"leave_one_out has shape {tuple(without.shape)}, not {wanted}")
    require(bool(without.isfinite().all()), "an estimate without a document is not finite")
    return f"{wanted[0]} documents"


def round_trip(subject: HypothesisSubject) -> str:
    """What is declared survives JSON."""
    h = subject.hypothesis
    told = {name: getattr(h, name) for name in ("id", "claim", "source", "default", "margin")}
    told |= {"nulls": list(null_names(h.nulls)), "sensitivity": list(null_names(h.sensitivity))}
    require(json.loads(json.dumps(told)) == told, "a declaration is no plain data")
    return f"{len(told)} declarations"


HYPOTHESIS_CHECKS: dict[str, Callable[[HypothesisSubject], str]] = {
    f.__name__: f
    for f in (
        declared, sentences, nulls, null_sets, not_matched_on, identity, repeat, p_value, leave_one_out, size, power,
        round_trip,
    )
}  # fmt: skip
"""Every check of a hypothesis, by its id, in order."""
