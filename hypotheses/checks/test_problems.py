"""Test problems, one per kind of object: data without and with an effect, and a statistic that ranks draws.

A problem can turn any draw into data (`applied`), so that a null model may be tried on data drawn from itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ...data.measurements import Measurements
from ...data.planted import JointSettings, Planted, TrainingSettings, planted, planted_joint_ablation
from ...data.planted.settings import ALL_PIECES
from ...estimators import coactivation, regimes
from ...estimators import weights as weight_space
from ...estimators.class_means import scored
from ...estimators.communities import modular_contrast
from ..nulls.base import Observed, Randomises

FloatArray = npt.NDArray[np.float64]

NEURONS, DOCUMENTS, PAIRS, HEADS = 120, 24, 3, 16


@lru_cache(maxsize=1)
def _planted() -> Planted:
    settings = TrainingSettings(documents=DOCUMENTS, pairs=8, spare=0, neurons=NEURONS, width=24, heads=HEADS)
    return planted(settings, 0, ALL_PIECES)


def measurements() -> Measurements:
    """Small planted measurements: 24 documents, 120 neurons, sets of 8, 16 reachable heads, checkpoints."""
    return _planted().measurements


def with_joint_ablation(sets: pd.DataFrame) -> Measurements:
    """The same, with the joint ablation of sets (kind and members)."""
    return replace(
        measurements(), joint_ablation=planted_joint_ablation(JointSettings(), _planted(), sets, 0).joint_ablation
    )


@dataclass(frozen=True)
class Instance:
    """What a null model is given, and what else the statistic reads."""

    observed: Observed
    data: Any = None


class Problem(ABC):
    """Worlds of one kind of object."""

    datasets = 200
    """Data sets drawn from the null itself."""

    @abstractmethod
    def world(self, planted: bool, like: Any) -> Instance:
        """A world, with or without an effect; `like` is a draw, whose form may decide which effect is meant."""

    @abstractmethod
    def applied(self, world: Instance, draw: Any) -> Instance:
        """The world in which `draw` is what was observed."""

    @abstractmethod
    def statistic(self, world: Instance, draws: Sequence[Any]) -> FloatArray:
        """Of each draw; large is evidence."""


class NeuronsProblem(Problem):
    """Two overlapping sets of 8 of 120 neurons in 4 strata; the mean score of a set."""

    def world(self, planted: bool, like: Any) -> Instance:
        """A world of this kind."""
        rng = np.random.default_rng(1)
        score, strata = rng.standard_normal(NEURONS), np.arange(NEURONS) // 30
        order = np.argsort(-score, kind="stable") if planted else rng.permutation(NEURONS)
        ranked = [order[strata[order] == s] for s in range(4)]
        sets = [np.concatenate([r[[0, 1]] for r in ranked]), np.concatenate([r[[0, 2]] for r in ranked])]
        observed_sets = tuple(torch.from_numpy(np.sort(s)) for s in sets)
        covariate = rng.standard_normal(NEURONS)
        chosen_by = covariate + rng.standard_normal((2, NEURONS))
        for half, members in enumerate(sets):
            chosen_by[half, members] += 10.0  # so that the sets are the top of it
        observed = Observed("neurons", torch.arange(NEURONS), sets=observed_sets, strata=torch.from_numpy(strata),
                            score=torch.from_numpy(chosen_by), covariates=covariate[:, None])  # fmt: skip
        return Instance(observed, score)

    def applied(self, world: Instance, draw: Any) -> Instance:
        """What was observed is the draw."""
        if draw.ndim == 2:
            sets = tuple(draw)
        else:
            sets = tuple(draw[p] if len(draw) == NEURONS else draw for p in world.observed.sets)
        return Instance(replace(world.observed, sets=sets, score=_topped(world.observed, sets)), world.data)

    def statistic(self, world: Instance, draws: Sequence[Any]) -> FloatArray:
        """Of each draw, [R]."""
        worlds = [self.applied(world, d).observed.sets for d in draws]
        return np.array([np.mean([world.data[s.numpy()].mean() for s in sets]) for sets in worlds])


class LabelsProblem(Problem):
    """Three matched pairs in each of 24 documents; the studentised sum of the pairs' differences."""

    def world(self, planted: bool, like: Any) -> Instance:
        """A world of this kind."""
        rng = np.random.default_rng(2)
        document = np.repeat(np.arange(DOCUMENTS), PAIRS)
        data = rng.standard_normal(DOCUMENTS)[document] + rng.standard_normal(len(document)) + 2.0 * planted
        observed = Observed("labels", torch.zeros(DOCUMENTS, dtype=torch.bool), documents=document,
                            half=np.arange(DOCUMENTS) % 2, pairs=len(document))  # fmt: skip
        return Instance(observed, data)

    def applied(self, world: Instance, draw: Any) -> Instance:
        """What was observed is the draw."""
        return replace(world, data=self._flipped(world, draw))

    def statistic(self, world: Instance, draws: Sequence[Any]) -> FloatArray:
        """Of each draw, [R]."""
        sums = [np.bincount(np.asarray(world.observed.documents), self._flipped(world, d)) for d in draws]
        return np.array([s.sum() / np.sqrt((s**2).sum()) for s in sums])

    @staticmethod
    def _flipped(world: Instance, draw: Any) -> FloatArray:
        swaps = np.asarray(draw)
        of_pairs = swaps if len(swaps) == len(world.data) else swaps[world.observed.documents]
        return np.asarray(np.where(of_pairs, -world.data, world.data))


class HeadsProblem(Problem):
    """Four of 24 heads in two strata; the mean score."""

    def world(self, planted: bool, like: Any) -> Instance:
        """A world of this kind."""
        rng = np.random.default_rng(3)
        score, strata = rng.standard_normal(24), np.arange(24) // 12
        order = np.argsort(-score, kind="stable") if planted else np.arange(24)
        chosen = np.sort(np.concatenate([order[strata[order] == s][:2] for s in (0, 1)]))
        return Instance(Observed("heads", torch.from_numpy(chosen), strata=torch.from_numpy(strata)), score)

    def applied(self, world: Instance, draw: Any) -> Instance:
        """What was observed is the draw."""
        return Instance(replace(world.observed, value=draw), world.data)

    def statistic(self, world: Instance, draws: Sequence[Any]) -> FloatArray:
        """Of each draw, [R]."""
        return np.array([world.data[np.asarray(d)].mean() for d in draws])


class InfluenceProblem(Problem):
    """Influence of 120 neurons in two halves and classes; selectivity for swaps, else flatness of the head."""

    HEAD = 8

    def world(self, planted: bool, like: Any) -> Instance:
        """A world of this kind."""
        rng = np.random.default_rng(4)
        true = rng.standard_normal(NEURONS)
        logs = true + 0.2 * rng.standard_normal((2, NEURONS)) + 0.1 * rng.standard_normal((2, 2, NEURONS))
        top = np.argsort(-true)[: self.HEAD]
        if planted and _is_swaps(like):
            logs[:, 0, top] += 1.0
        elif planted:
            logs[:, :, top] = np.sort(true)[-4 * self.HEAD] + 0.05 * rng.standard_normal((2, 2, self.HEAD)) + 0.3
        return Instance(Observed("influence", torch.from_numpy(np.exp(logs))))

    def applied(self, world: Instance, draw: Any) -> Instance:
        """What was observed is the draw."""
        return Instance(replace(world.observed, value=self._means(world, [draw])[0, ..., 0]))

    def statistic(self, world: Instance, draws: Sequence[Any]) -> FloatArray:
        """Of each draw, [R]."""
        means = self._means(world, draws)
        if _is_swaps(draws[0]):
            value = scored(means, regimes.choose_leaning_sets(self.HEAD), regimes.selectivity)
        else:
            value = scored(means, regimes.choose_order(self.HEAD), regimes.shape(self.HEAD))
        return np.asarray(value[:, 0].numpy())

    @staticmethod
    def _means(world: Instance, draws: Sequence[Any]) -> torch.Tensor:
        drawn = torch.stack(list(map(torch.as_tensor, draws)))
        if drawn.dtype == torch.bool:
            return regimes.swap_neurons(world.observed.value[None, ..., None].double(), drawn)
        return drawn.double()[..., None]


class ActivationsProblem(Problem):
    """Ten neurons at six positions in each of 24 documents; the cross-fit modular contrast."""

    datasets = 60

    def world(self, planted: bool, like: Any) -> Instance:
        """A world of this kind."""
        rng = np.random.default_rng(5)
        rows, n = DOCUMENTS * 6, 10
        document = np.repeat(np.arange(DOCUMENTS), 6)
        x = rng.standard_normal((rows, n)) + 0.5 * rng.standard_normal((DOCUMENTS, n))[document]
        if planted:
            x += rng.standard_normal((rows, 2))[:, np.arange(n) % 2]
        sets, half = (torch.arange(n), torch.arange(n)), (document >= DOCUMENTS // 2).astype(np.int64)
        return Instance(Observed("activations", torch.from_numpy(x), sets=sets, documents=document,
                              positions=np.tile(np.arange(6), DOCUMENTS), half=half))  # fmt: skip

    def applied(self, world: Instance, draw: Any) -> Instance:
        """What was observed is the draw."""
        return Instance(replace(world.observed, value=draw))

    def statistic(self, world: Instance, draws: Sequence[Any]) -> FloatArray:
        """Of each draw, [R]."""
        half = torch.from_numpy(np.asarray(world.observed.half))
        graphs = [torch.stack([coactivation.correlation(d[half == side].double()) for side in (0, 1)]) for d in draws]
        return _contrast(torch.stack([torch.stack([g, g]) for g in graphs]))


class GraphProblem(Problem):
    """Correlations of twelve neurons on three diffuse factors, 80 positions a half; the cross-fit modular contrast."""

    datasets = 60

    def world(self, planted: bool, like: Any) -> Instance:
        """A world of this kind."""
        rng = np.random.default_rng(6)
        n = 12
        x = rng.standard_normal((160, n)) + 0.3 * rng.standard_normal((160, 3)) @ rng.standard_normal((3, n))
        if planted:
            x += 1.2 * rng.standard_normal((160, 2))[:, np.arange(n) % 2]
        t = torch.from_numpy(x)
        r = torch.stack([coactivation.correlation(t[:80]), coactivation.correlation(t[80:])])
        return Instance(Observed("graph", torch.stack([r, r]), sets=(torch.arange(n), torch.arange(n))))

    def applied(self, world: Instance, draw: Any) -> Instance:
        """What was observed is the draw."""
        return Instance(replace(world.observed, value=draw))

    def statistic(self, world: Instance, draws: Sequence[Any]) -> FloatArray:
        """Of each draw, [R]."""
        return _contrast(torch.stack(list(draws)))


class WeightsProblem(Problem):
    """Weights of 24 neurons of width 16, sets of 8; the mean cosine of the output rows."""

    def world(self, planted: bool, like: Any) -> Instance:
        """A world of this kind."""
        rng = np.random.default_rng(7)
        weights = rng.standard_normal((2, 24, 16))
        if planted:
            weights[:, :8] += 0.8
        return Instance(Observed("weights", torch.from_numpy(weights.astype(np.float32)), sets=(torch.arange(8),) * 2))

    def applied(self, world: Instance, draw: Any) -> Instance:
        """What was observed is the draw."""
        return Instance(replace(world.observed, value=draw))

    def statistic(self, world: Instance, draws: Sequence[Any]) -> FloatArray:
        """Of each draw, [R]."""
        rows = world.observed.sets[0][None]
        return np.array([float(weight_space.mean_cosine(weight_space.unit_rows(d[1]), rows)[0]) for d in draws])


class CorpusProblem(Problem):
    """Twenty documents of twelve tokens of eight; the share of tokens that follow their predecessor in the alphabet."""

    def world(self, planted: bool, like: Any) -> Instance:
        """A world of this kind."""
        rng = np.random.default_rng(8)
        documents = [rng.integers(8, size=12) for _ in range(20)]
        if planted:
            documents = [np.sort(d) for d in documents]
        return Instance(Observed("corpus", documents, remake=lambda shuffled: [d.copy() for d in shuffled]))

    def applied(self, world: Instance, draw: Any) -> Instance:
        """What was observed is the draw."""
        return Instance(replace(world.observed, value=draw))

    def statistic(self, world: Instance, draws: Sequence[Any]) -> FloatArray:
        """Of each draw, [R]."""
        return np.array([np.mean([(np.diff(d) == 1).mean() for d in documents]) for documents in draws])


PROBLEMS: dict[Randomises, Problem] = {
    "neurons": NeuronsProblem(), "labels": LabelsProblem(), "heads": HeadsProblem(), "influence": InfluenceProblem(),
    "activations": ActivationsProblem(), "graph": GraphProblem(),
    "weights": WeightsProblem(), "corpus": CorpusProblem(),
}  # fmt: skip
"""The problem of each kind of object."""


def _topped(observed: Observed, sets: tuple[torch.Tensor, ...]) -> torch.Tensor | None:
    """The score with the given sets at its top, in place of the observed ones."""
    if observed.score is None:
        return None
    score = observed.score.clone()
    for half, (before, after) in enumerate(zip(observed.sets, sets, strict=True)):
        score[half, before] -= 10.0
        score[half, after] += 10.0
    return score


def _is_swaps(draw: Any) -> bool:
    return bool(torch.as_tensor(draw).dtype == torch.bool)


def _contrast(graphs: torch.Tensor) -> FloatArray:
    """Cross-fit modular contrast of graphs [R, 2 (set chosen on), 2 (half), n, n], as in clusters.within."""
    r, seeds = graphs.double().numpy(), np.arange(len(graphs), dtype=np.uint64)
    straight = modular_contrast(r[:, 0, 0], r[:, 0, 1], seeds, threads=1)
    return np.asarray((straight + modular_contrast(r[:, 1, 1], r[:, 1, 0], seeds, threads=1)) / 2)
