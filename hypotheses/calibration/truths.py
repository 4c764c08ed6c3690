"""The number that an interval should cover: the statistic at the sets that were chosen, on the planted truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...data.planted import Truth
from ...data.planted.activations import true_correlation
from ...estimators import coactivation
from ...estimators.class_means import ClassSums, means_under
from ..engine import TILE, Sampled
from ..hypothesis import Hypothesis
from ..nulls.base import NullModel
from ..prepared import PreparedData
from ..statistics.base import BoundStatistic
from ..statistics.class_contrasts import BoundContrast
from ..statistics.joint import BoundJoint
from ..statistics.neuron_sets import BoundSet, BoundWithin, seeds_for
from ..statistics.trend import BoundTrend

FloatArray = npt.NDArray[np.float64]


def true_values(
    hypothesis: Hypothesis,
    bound: BoundStatistic,
    data: PreparedData,
    truth: Truth,
    null: NullModel,
    sampled: Sampled,
    seed: int,
    twin: Truth | None = None,
) -> FloatArray:
    """Population value of each output at the sets chosen on the data, [K]; nan where it has none.

    Selections (plateaus, ranks, modules, the global mode) stay those made on the data; what they are scored on is the
    truth.  Centred statistics are taken less the mean of the same null draws on the truth of the ``twin``, the same
    world without the effect, since null sets may hold part of the plateau; without a twin (nothing is planted) what
    they share is taken out.  For `regimes.shape`, whose null is made of the data, less the null mean that the finding
    uses.  Weights have no other truth than what was measured.
    """
    if isinstance(bound, BoundJoint):
        return _closures(hypothesis, bound, data, truth, null, sampled, seed)
    if isinstance(bound, BoundContrast):
        value = _contrast(hypothesis, bound, data, truth)
        return value - sampled.mean if hypothesis.statistic.centred else value
    if isinstance(bound, BoundTrend):
        return _trend(bound, truth)
    if hypothesis.statistic.weights_only:
        return np.full(len(bound.outputs), np.nan)
    if not isinstance(bound, BoundSet) or bound.leave_one_out() is None:
        return np.full(len(bound.outputs), np.nan)
    draws = len(sampled.estimate) - 1
    if twin is not None:
        return _sets(hypothesis, bound, data, (truth, twin), null, draws, seed)
    return sampled.unshared * _sets(hypothesis, bound, data, (truth, truth), null, draws, seed)


def true_data(data: PreparedData, truth: Truth) -> PreparedData:
    """The same data with population correlations, influences and head effects in place of the measured ones."""
    twin = PreparedData(replace(data.measurements, joint_ablation=truth.joint_ablation), data.plateau_rule)
    given: dict[str, Any] = {
        name: getattr(data, name) for name in ("documents", "half", "plateau", "blind_plateau", "n_head")
    }
    level = torch.from_numpy(np.exp(truth.log_influence))
    sums = level[None, ..., None] * data.pairs[:, None, None, None]
    given["influence_sums"] = ClassSums(sums, data.pairs, torch.from_numpy(data.half))
    given["influence"] = torch.stack([level, level])
    if truth.head_effect is not None:
        effect = torch.from_numpy(truth.head_effect)
        given["head_effect"] = lambda h: effect[h].expand(len(data.documents), -1, -1)
    if truth.circuit is not None:
        r = torch.from_numpy(true_correlation(truth.circuit))
        given["correlation"] = (r, r)
        given["residual_z"] = tuple(residual_z(r, mode) for mode in data.global_mode)
    twin.__dict__.update(given)  # where cached_property keeps what it has made, and before any method of the class
    return twin


def residual_z(r: Tensor, mode: Tensor) -> Tensor:
    """Fisher z of correlations [N, N] once the direction `mode` [N] is projected out; it was chosen on the data."""
    mode = mode.double()
    mode = mode / mode.norm()
    across = r @ mode
    residual = r - torch.outer(mode, across) - torch.outer(across, mode) + (mode @ across) * torch.outer(mode, mode)
    sd = residual.diagonal().clamp_min(0).sqrt()
    return coactivation.fisher_z(residual / torch.outer(sd, sd))


def _contrast(hypothesis: Hypothesis, bound: BoundContrast, data: PreparedData, truth: Truth) -> FloatArray:
    there = hypothesis.statistic.bind(true_data(data, truth))
    if not isinstance(there, BoundContrast) or there.sums.x.shape[2:] != bound.sums.x.shape[2:]:
        return np.full(len(bound.outputs), np.nan)  # other heads are minor in truth than on the data
    swaps = torch.zeros(1, bound.sums.documents, dtype=torch.bool)
    choice = bound.choose(means_under(bound.sums, swaps))
    value: FloatArray = bound.score(means_under(there.sums, swaps), choice)[0].numpy()
    return value


def _trend(bound: BoundTrend, truth: Truth) -> FloatArray:
    """Slope of the true contrast over log step, at the sets chosen on the data of each step."""
    values = []
    for step, part in bound.parts.items():
        level = torch.from_numpy(np.exp(truth.at_step[step]))
        choice = part.choose(means_under(part.sums, part.identity("labels")))
        values.append(part.score(level[None, None, ..., None].expand(1, 2, -1, -1, 1), choice)[0])
    value: FloatArray = bound.slope(values).numpy()
    return value


def _closures(
    hypothesis: Hypothesis,
    bound: BoundJoint[Any],
    data: PreparedData,
    truth: Truth,
    null: NullModel,
    sampled: Sampled,
    seed: int,
) -> FloatArray:
    """Value of the sets that were planned on the data, ablated in truth; for heads less the same draws' mean."""
    expected = bound.on(true_data(data, truth))
    value: FloatArray = expected.evaluate(bound.plan.kind, bound.plan.observed, range(1), seed).estimate[0].numpy()
    if not hypothesis.statistic.centred:
        return value
    state = null.prepare(data.measurements, bound.offers()[null.randomises])
    draws = null.draw(state, range(1, len(sampled.estimate)), seed)
    drawn = expected.evaluate(bound.plan.kind, draws, range(1, len(sampled.estimate)), seed).estimate
    difference: FloatArray = sampled.unshared * (value - drawn.mean(0).numpy())
    return difference


def _sets(
    hypothesis: Hypothesis,
    bound: BoundSet,
    data: PreparedData,
    truths: tuple[Truth, Truth],
    null: NullModel,
    replicates: int,
    seed: int,
) -> FloatArray:
    """Value of the observed sets on the first truth, less the mean of the null sets' values on the second."""
    of_observed, of_draws = (hypothesis.statistic.bind(true_data(data, t)) for t in truths)
    state = null.prepare(data.measurements, bound.offers()["neurons"])
    tiles = [range(1), *(range(s, min(s + TILE, replicates + 1)) for s in range(1, replicates + 1, TILE))]
    values = []
    for numbers in tiles:
        observed = numbers == range(1)
        draws = bound.identity("neurons") if observed else null.draw(state, numbers, seed)
        there = of_observed if observed else of_draws
        if isinstance(bound, BoundWithin):
            values.append(_within(bound, there, draws, numbers, seed))
        else:
            values.append(there.evaluate("neurons", draws, numbers, seed).estimate[:, 0])
    value = torch.cat(values).numpy()
    return np.array([value[0] - value[1:].mean()])


def _within(bound: BoundWithin, there: BoundStatistic, draws: Any, numbers: range, seed: int) -> Tensor:
    """Modules found on the data, scored on the truth, [R]."""
    if not isinstance(there, BoundWithin):
        raise TypeError("the truth of modules needs the same statistic")
    seeds, images = seeds_for(numbers, seed, 1), bound.images(draws)
    scores = []
    for found in (0, 1):
        on_data = coactivation.submatrices(bound.data.correlation[found], images[found])
        scores.append(
            bound._contrast(on_data, coactivation.submatrices(there.data.correlation[0], images[found]), seeds)
        )
    return (scores[0] + scores[1]) / 2
