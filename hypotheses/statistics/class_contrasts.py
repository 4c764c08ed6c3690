"""Statistics that compare the two classes: functions of class means, under swaps of documents, pairs or neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...estimators import regimes, routing
from ...estimators.class_means import (
    Choose,
    ClassSums,
    Score,
    influence_function,
    leave_one_out,
    scored,
    second_order,
    studentised,
)
from ..inference.effects import mixed_model
from ..nulls.base import Observed, Randomises
from ..nulls.influence_law import law_distances
from ..prepared import PreparedData
from ..tail_laws import tail_laws
from .base import BoundStatistic, Statistic, Values

ClassContrast = tuple[Choose, Score]


@dataclass(frozen=True)
class InfluenceContrast(Statistic):
    """A statistic of the classes' mean influences; `contrast` maps the plateau size to (choose, score).

    With ``covariate_lean_stays`` swaps of neurons leave in place what covariates predict of a neuron's lean.
    """

    covariate_lean_stays: bool = False
    contrast: Callable[[int], ClassContrast] = lambda n_head: (regimes.nothing_chosen, regimes.recruitment)
    descriptives: Callable[[PreparedData], dict[str, Any]] | None = None

    def bind(self, data: PreparedData) -> BoundContrast:
        """Per-document sums of abs(loss change)."""
        choose, score = self.contrast(data.n_head)
        bound = BoundContrast(
            data.influence_sums, choose, score, pairs=lambda: data.pair_sums, influence=data.influence,
            pair_document=torch.from_numpy(data.pair_document),
            lean=data.lean_prediction if self.covariate_lean_stays else None,
        )  # fmt: skip
        if self.descriptives is not None:
            bound.descriptives = partial(self.descriptives, data)
        return bound


@dataclass(frozen=True)
class HeadPreference(Statistic):
    """Routing log ratio of each reachable head, minor heads pooled."""

    def bind(self, data: PreparedData) -> BoundContrast:
        """Per-document effects on the label-blind plateau and on its strata."""
        effect = head_effects_on_sets(data)
        group = routing.pool_minor(effect.sum((1, 2, 3)))
        pooled = torch.zeros(int(group.max()) + 1, *effect.shape[1:], dtype=effect.dtype).index_add_(0, group, effect)
        sums = ClassSums(pooled.permute(1, 2, 3, 0).contiguous(), *_unit_weights(data))
        bound = BoundContrast(sums, regimes.nothing_chosen, routing.preference)
        heads = [f"{data.heads.layer[h]}.{data.heads.head[h]}" for h in data.reachable_heads]
        major = [name for name, g in zip(heads, group.tolist(), strict=True) if (group == g).sum() == 1]
        bound.outputs = (*major, "minor") if len(major) < len(heads) else tuple(heads)
        bound.groups = group
        return bound


@dataclass(frozen=True)
class HeadProfile(Statistic):
    """Distance between the rare and the common profile of head effects on the label-blind plateau.

    Where profiles are alike it is quadratic in their differences.
    """

    def bind(self, data: PreparedData) -> BoundContrast:
        """Per-document effects on the label-blind plateau."""
        effect = head_effects_on_sets(data)[..., 0]
        sums = ClassSums(effect.permute(1, 2, 0)[..., None].contiguous(), *_unit_weights(data))
        return BoundQuadratic(sums, regimes.nothing_chosen, routing.profile_distance)


def head_effects_on_sets(data: PreparedData) -> Tensor:
    """Mean effect of each reachable head on the *other* half's plateau and on its strata, float64 [H, D, 2, 2]."""
    sets = data.blind_plateau
    data.check_measured(sets)
    half = torch.from_numpy(data.half)
    out = torch.zeros(len(data.reachable_heads), len(half), 2, 2, dtype=torch.float64)
    for h in range(len(out)):
        effect = data.head_effect(h)
        for side in (0, 1):
            rows = half == side
            out[h, rows] = routing.set_and_strata(effect[None, rows].double(), data.strata, sets[1 - side])[0]
    return out


def _unit_weights(data: PreparedData) -> tuple[Tensor, Tensor]:
    return torch.ones(len(data.documents), dtype=torch.float64), torch.from_numpy(data.half)


class BoundContrast(BoundStatistic):
    """A class contrast on one data."""

    kinds: ClassVar[tuple[Randomises, ...]] = ("labels", "influence")

    def __init__(
        self, sums: ClassSums, choose: Choose, score: Score, pairs: Callable[[], ClassSums] | None = None,
        influence: Tensor | None = None, pair_document: Tensor | None = None, lean: regimes.Prediction | None = None,
    ) -> None:  # fmt: skip
        self.sums, self.choose, self.score, self.pairs, self.influence = sums, choose, score, pairs, influence
        self.pair_document, self.lean = pair_document, lean
        self.groups: Tensor | None = None
        self.descriptives: Callable[[], dict[str, Any]] | None = None

    def offers(self) -> Mapping[Randomises, Observed]:
        """Labels of documents; for influence statistics also the class influences."""
        swaps = torch.zeros(self.sums.documents, dtype=torch.bool)
        pairs = None if self.pair_document is None else len(self.pair_document)
        out: dict[Randomises, Observed] = {
            "labels": Observed("labels", swaps, half=self.sums.half.numpy(), pairs=pairs)
        }
        if self.influence is not None:
            out["influence"] = Observed("influence", self.influence)
        return out

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Studentised under label swaps; plain under draws of influences."""
        if kind == "labels":
            value, derivative = self._under_swaps(draws)
            return Values(value, studentised(value, derivative))
        if self.influence is None:
            raise ValueError(f"this statistic has no {kind} to randomise")
        means = draws.double()[..., None] if draws.dtype != torch.bool else regimes.swap_neurons(
            self.influence[None, ..., None], draws, self.lean
        )  # fmt: skip
        value = scored(means, self.choose, self.score)
        return Values(value, value)

    def _under_swaps(self, swaps: Tensor) -> tuple[Tensor, Tensor]:
        """Statistic [R, K] and its derivative by each document's weight [R, D, K]; swaps of documents or pairs."""
        if swaps.shape[1] == self.sums.documents or self.pairs is None or self.pair_document is None:
            return influence_function(self.sums, swaps, self.choose, self.score)
        value, by_pair = influence_function(self.pairs(), swaps, self.choose, self.score)
        derivative = by_pair.new_zeros(len(swaps), self.sums.documents, by_pair.shape[2])
        return value, derivative.index_add_(1, self.pair_document, by_pair)

    def details(self) -> dict[str, Any]:
        """What stands beside the finding."""
        return {} if self.descriptives is None else self.descriptives()

    def leave_one_out(self) -> Tensor:
        """Delete-one-document estimates, [D, K]."""
        return leave_one_out(self.sums, self.choose, self.score)


class BoundQuadratic(BoundContrast):
    """A class contrast without first derivative where nothing is there."""

    def second_order(self) -> Tensor:
        """Variance that documents make only two at a time, [K]."""
        return second_order(self.sums, self.choose, self.score)


def selectivity(n_head: int) -> ClassContrast:
    """Of `regimes.selectivity`."""
    return regimes.choose_leaning_sets(n_head), regimes.selectivity


def selectivity_of_pairs(data: PreparedData) -> Tensor:
    """Lean to rare of each matched pair, float64 [P], relative to a neuron's own influence; both plateaus added.

    Chosen on the half that the pair is not in: the plateaus of rare and of common, each class's geometric mean over
    neurons, and each neuron's own influence, by which its abs(loss change) is divided.
    """
    rows = torch.from_numpy(data.panel.a_rows), torch.from_numpy(data.panel.b_rows)
    half = torch.from_numpy(data.half[data.pair_document])
    out = torch.zeros(len(half), dtype=torch.float64)
    for chosen in (0, 1):
        here = torch.nonzero(half == 1 - chosen)[:, 0]
        level = data.influence[chosen].clamp_min(regimes.FLOOR)
        scale = level.log().mean(1).exp()
        own = (level / scale[:, None]).log().mean(0).exp()
        for members in regimes.top(data.influence[chosen], data.n_head):
            of_class = [data.delta_loss[r[here]][:, members].double().abs() / own[members] for r in rows]
            out[here] += (of_class[0] / scale[0] - of_class[1] / scale[1]).mean(1)
    return out


def mixed_selectivity(data: PreparedData) -> dict[str, Any]:
    """Random-intercept model of `selectivity_of_pairs`: no permutation, no studentising, other assumptions.

    Documents are its only source of chance; neurons are taken as given, so its p is no substitute for the row's own.
    """
    found = mixed_model(selectivity_of_pairs(data).numpy(), data.pair_document)
    return {"mixed_model": asdict(found) | {"takes_as_given": "neurons"}}


def contrast(n_head: int) -> ClassContrast:
    """Of `regimes.contrast`."""
    return regimes.choose_order(n_head), regimes.contrast(n_head)


def shape(n_head: int) -> ClassContrast:
    """Of `regimes.shape`."""
    return regimes.choose_order(n_head), regimes.shape(n_head)


def described_shape(data: PreparedData) -> dict[str, Any]:
    """Of each class's influence curve: broken lines with 0, 1 and 2 knots, distance from smooth laws, power-law tail.

    A description beside `regimes.shape`: sorted values are not independent, and every smooth law bends too.
    """
    fits = {label: [asdict(f) for f in found] for label, found in data.curve_fits.items()}
    logs = data.influence.clamp_min(regimes.FLOOR).log().mean(0)
    laws = {f"distance_of_the_{label}_curve_from": law_distances(logs[side].numpy()) for side, label in enumerate(fits)}
    acting = (data.influence > regimes.FLOOR).all(0)  # neurons without influence are no part of a law
    curves = {f"{label} curve": logs[side][acting[side]].exp().numpy() for side, label in enumerate(fits)}
    return {"broken_lines": fits, **laws, "tail_laws": tail_laws(curves)}


def recruitment(n_head: int) -> ClassContrast:
    """Of `regimes.recruitment`."""
    return regimes.nothing_chosen, regimes.recruitment
