"""Estimands that compare the two classes: functions of class means, under swaps of documents, pairs or neurons."""

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
from ..study import Study
from ..tail_laws import tail_laws
from .base import Bound, Estimand, Values

Statistic = tuple[Choose, Score]


@dataclass(frozen=True)
class InfluenceContrast(Estimand):
    """A statistic of the classes' mean influences; `statistic` maps the plateau size to (choose, score).

    With ``covariate_lean_stays`` swaps of neurons leave in place what covariates predict of a neuron's lean.
    """

    covariate_lean_stays: bool = False
    statistic: Callable[[int], Statistic] = lambda n_head: (regimes.nothing_chosen, regimes.recruitment)
    beside: Callable[[Study], dict[str, Any]] | None = None

    def bind(self, study: Study) -> ContrastBound:
        """Per-document sums of abs(loss change)."""
        choose, score = self.statistic(study.n_head)
        bound = ContrastBound(
            study.influence_sums, choose, score, pairs=lambda: study.pair_sums, influence=study.influence,
            pair_document=torch.from_numpy(study.pair_document),
            lean=study.lean_prediction if self.covariate_lean_stays else None,
        )  # fmt: skip
        if self.beside is not None:
            bound.beside = partial(self.beside, study)
        return bound


@dataclass(frozen=True)
class HeadPreference(Estimand):
    """Routing log ratio of each reachable head, minor heads pooled."""

    def bind(self, study: Study) -> ContrastBound:
        """Per-document effects on the label-blind plateau and on its strata."""
        effect = head_effects_on_sets(study)
        group = routing.pool_minor(effect.sum((1, 2, 3)))
        pooled = torch.zeros(int(group.max()) + 1, *effect.shape[1:], dtype=effect.dtype).index_add_(0, group, effect)
        sums = ClassSums(pooled.permute(1, 2, 3, 0).contiguous(), *_unit_weights(study))
        bound = ContrastBound(sums, regimes.nothing_chosen, routing.preference)
        heads = [f"{study.heads.layer[h]}.{study.heads.head[h]}" for h in study.reachable_heads]
        major = [name for name, g in zip(heads, group.tolist(), strict=True) if (group == g).sum() == 1]
        bound.outputs = (*major, "minor") if len(major) < len(heads) else tuple(heads)
        bound.groups = group
        return bound


@dataclass(frozen=True)
class HeadProfile(Estimand):
    """Distance between the rare and the common profile of head effects on the label-blind plateau.

    Where profiles are alike it is quadratic in their differences.
    """

    def bind(self, study: Study) -> ContrastBound:
        """Per-document effects on the label-blind plateau."""
        effect = head_effects_on_sets(study)[..., 0]
        sums = ClassSums(effect.permute(1, 2, 0)[..., None].contiguous(), *_unit_weights(study))
        return QuadraticBound(sums, regimes.nothing_chosen, routing.profile_distance)


def head_effects_on_sets(study: Study) -> Tensor:
    """Mean effect of each reachable head on the *other* half's plateau and on its strata, float64 [H, D, 2, 2]."""
    sets = study.blind_plateau
    study.check_measured(sets)
    half = torch.from_numpy(study.half)
    out = torch.zeros(len(study.reachable_heads), len(half), 2, 2, dtype=torch.float64)
    for h in range(len(out)):
        effect = study.head_effect(h)
        for side in (0, 1):
            rows = half == side
            out[h, rows] = routing.set_and_strata(effect[None, rows].double(), study.strata, sets[1 - side])[0]
    return out


def _unit_weights(study: Study) -> tuple[Tensor, Tensor]:
    return torch.ones(len(study.documents), dtype=torch.float64), torch.from_numpy(study.half)


class ContrastBound(Bound):
    """A class contrast on one study."""

    kinds: ClassVar[tuple[Randomises, ...]] = ("labels", "influence")

    def __init__(
        self, sums: ClassSums, choose: Choose, score: Score, pairs: Callable[[], ClassSums] | None = None,
        influence: Tensor | None = None, pair_document: Tensor | None = None, lean: regimes.Prediction | None = None,
    ) -> None:  # fmt: skip
        self.sums, self.choose, self.score, self.pairs, self.influence = sums, choose, score, pairs, influence
        self.pair_document, self.lean = pair_document, lean
        self.groups: Tensor | None = None
        self.beside: Callable[[], dict[str, Any]] | None = None

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
            raise ValueError(f"this estimand has no {kind} to randomise")
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
        return {} if self.beside is None else self.beside()

    def leave_one_out(self) -> Tensor:
        """Delete-one-document estimates, [D, K]."""
        return leave_one_out(self.sums, self.choose, self.score)


class QuadraticBound(ContrastBound):
    """A class contrast without first derivative where nothing is there."""

    def second_order(self) -> Tensor:
        """Variance that documents make only two at a time, [K]."""
        return second_order(self.sums, self.choose, self.score)


def selectivity(n_head: int) -> Statistic:
    """Of `regimes.selectivity`."""
    return regimes.choose_leaning_sets(n_head), regimes.selectivity


def selectivity_of_pairs(study: Study) -> Tensor:
    """Lean to rare of each matched pair, float64 [P], relative to a neuron's own influence; both plateaus added.

    Chosen on the half that the pair is not in: the plateaus of rare and of common, each class's geometric mean over
    neurons, and each neuron's own influence, by which its abs(loss change) is divided.
    """
    rows = torch.from_numpy(study.panel.rare_rows), torch.from_numpy(study.panel.common_rows)
    half = torch.from_numpy(study.half[study.pair_document])
    out = torch.zeros(len(half), dtype=torch.float64)
    for chosen in (0, 1):
        here = torch.nonzero(half == 1 - chosen)[:, 0]
        level = study.influence[chosen].clamp_min(regimes.FLOOR)
        scale = level.log().mean(1).exp()
        own = (level / scale[:, None]).log().mean(0).exp()
        for members in regimes.top(study.influence[chosen], study.n_head):
            of_class = [study.delta_loss[r[here]][:, members].double().abs() / own[members] for r in rows]
            out[here] += (of_class[0] / scale[0] - of_class[1] / scale[1]).mean(1)
    return out


def mixed_selectivity(study: Study) -> dict[str, Any]:
    """Random-intercept model of `selectivity_of_pairs`: no permutation, no studentising, other assumptions.

    Documents are its only source of chance; neurons are taken as given, so its p is no substitute for the row's own.
    """
    found = mixed_model(selectivity_of_pairs(study).numpy(), study.pair_document)
    return {"mixed_model": asdict(found) | {"takes_as_given": "neurons"}}


def contrast(n_head: int) -> Statistic:
    """Of `regimes.contrast`."""
    return regimes.choose_order(n_head), regimes.contrast(n_head)


def shape(n_head: int) -> Statistic:
    """Of `regimes.shape`."""
    return regimes.choose_order(n_head), regimes.shape(n_head)


def described_shape(study: Study) -> dict[str, Any]:
    """Of each class's influence curve: broken lines with 0, 1 and 2 knots, distance from smooth laws, power-law tail.

    A description beside `regimes.shape`: sorted values are not independent, and every smooth law bends too.
    """
    fits = {label: [asdict(f) for f in found] for label, found in study.curve_fits.items()}
    logs = study.influence.clamp_min(regimes.FLOOR).log().mean(0)
    laws = {f"distance_of_the_{label}_curve_from": law_distances(logs[side].numpy()) for side, label in enumerate(fits)}
    acting = (study.influence > regimes.FLOOR).all(0)  # neurons without influence are no part of a law
    curves = {f"{label} curve": logs[side][acting[side]].exp().numpy() for side, label in enumerate(fits)}
    return {"broken_lines": fits, **laws, "tail_laws": tail_laws(curves)}


def recruitment(n_head: int) -> Statistic:
    """Of `regimes.recruitment`."""
    return regimes.nothing_chosen, regimes.recruitment
