"""The checks of a hypothesis: declared in words, bound to nulls that fit, and computed on planted measurements."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ...data.errors import MissingInput
from ...data.options import TestOptions
from ..engine import sample
from ..hypothesis import Hypothesis
from ..inference.permutation import permutation_p
from ..inference.verdicts import Sensitivity
from ..joint_sets import joint_sets
from ..prepared import PreparedData
from ..statistics.base import BoundStatistic
from . import test_problems
from .outcome import Skipped, require

B = 19


@dataclass(frozen=True)
class HypothesisSubject:
    """A hypothesis on small planted measurements."""

    hypothesis: Hypothesis

    @cached_property
    def data(self) -> PreparedData:
        """Planted measurements, a plateau of 8; with the joint ablations that the hypothesis looks up."""
        data = PreparedData(test_problems.measurements(), TestOptions.plateau)
        sets = joint_sets(data, [self.hypothesis], TestOptions(replicates=B))
        return PreparedData(test_problems.with_joint_ablation(sets.table), TestOptions.plateau) if sets else data

    @cached_property
    def bound(self) -> BoundStatistic:
        """The statistic on them."""
        try:
            return self.hypothesis.statistic.bind(self.data)
        except MissingInput as missing:
            raise Skipped(f"the planted measurements have not what it needs: {missing}") from missing


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
    """Every declared null is registered and randomises something that the statistic offers."""
    from .. import catalogue

    names = (*subject.hypothesis.nulls, *subject.hypothesis.sensitivity)
    offered = subject.bound.offers()
    for name in names:
        kind = catalogue.nulls.get(name).randomises
        require(kind in offered, f"{name} randomises {kind}, and the statistic offers {', '.join(offered)}")
    return ", ".join(names)


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
    null = _null(subject.hypothesis.nulls[0])
    first, second = (sample(subject.bound, null, subject.data, B, 0, jobs) for jobs in (1, 3))
    require(bool(np.array_equal(first.estimate, second.estimate)), "estimates differ between one and three workers")
    return f"{B} draws of {null.name}"


def p_value(subject: HypothesisSubject) -> str:
    """Under each declared null a p-value comes out, above 0."""
    said = []
    for name in (*subject.hypothesis.nulls, *subject.hypothesis.sensitivity):
        drawn = sample(subject.bound, _null(name), subject.data, B, 0)
        p = permutation_p(float(drawn.statistic[0, 0]), drawn.statistic[1:, 0]).value
        require(0 < p <= 1, f"p under {name} is {p}")
        said.append(f"{name} {p:.2f}")
    return ", ".join(said)


def leave_one_out(subject: HypothesisSubject) -> str:
    """Without each document in turn the estimate is finite, one row a document."""
    without = subject.bound.leave_one_out()
    if without is None:
        raise Skipped("no document enters the estimate, or none may be left out of an optimum")
    wanted = (len(subject.data.documents), len(subject.bound.outputs))
    require(tuple(without.shape) == wanted, f"leave_one_out has shape {tuple(without.shape)}, not {wanted}")
    require(bool(without.isfinite().all()), "an estimate without a document is not finite")
    return f"{wanted[0]} documents"


def round_trip(subject: HypothesisSubject) -> str:
    """What is declared survives JSON."""
    h = subject.hypothesis
    told = {name: getattr(h, name) for name in ("id", "claim", "source", "default", "margin")}
    told |= {"nulls": list(h.nulls), "sensitivity": list(h.sensitivity)}
    require(json.loads(json.dumps(told)) == told, "a declaration is no plain data")
    return f"{len(told)} declarations"


def _null(name: str) -> Any:
    from .. import catalogue

    return catalogue.nulls.get(name)


HYPOTHESIS_CHECKS: dict[str, Callable[[HypothesisSubject], str]] = {
    f.__name__: f for f in (declared, nulls, identity, repeat, p_value, leave_one_out, round_trip)
}
"""Every check of a hypothesis, by its id, in order."""
