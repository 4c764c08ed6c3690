"""Statistics of neuron sets: the set of each half, and its images under draws of a null model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..nulls.base import Observed, Randomises
from ..prepared import PreparedData
from ..statistic import BoundStatistic, Values

if TYPE_CHECKING:
    from ..truth import TrueWorld

FloatArray: TypeAlias = npt.NDArray[np.float64]

Sets: TypeAlias = tuple[Tensor, Tensor]
"""Sets of the two halves, int64 [R, n] each: chosen on half 0 and on half 1."""


def offered_neurons(data: PreparedData, blind: bool = False) -> Observed:
    """The neurons' places, the sets among them, and what these were chosen by.

    Parameters
    ----------
    blind
        Whether the sets are those that swapping the conditions leaves as they are.
    """
    chosen = data.blind_chosen if blind else data.chosen
    return Observed(
        "neurons", torch.arange(data.measurements.n_neurons), sets=chosen.sets, strata=data.strata_if_any,
        score=chosen.score, covariates=data.covariates_if_any,
    )  # fmt: skip


class BoundSet(BoundStatistic):
    """A statistic of neuron sets on one data.

    Subclasses write `scored_on` and `without`; or, where halves are not crossed, `value` and `draws_without`.
    """

    label_blind = False
    terms: Literal["pairs", "members", "none"] = "pairs"
    """What the statistic is, near enough, a mean over, so that what null sets share of it can be taken out."""

    def __init__(self, data: PreparedData) -> None:
        self.data = data
        self.sets: Sets = data.blind_set if self.label_blind else data.set

    def found_share(self, reliability: float) -> float:
        """Of pairs the reliability, of members its root: each half holds that share of the set that is meant."""
        return reliability if self.terms == "pairs" else reliability**0.5

    def offers(self) -> Mapping[Randomises, Observed]:
        """The neurons' places, and what the sets were chosen by."""
        return {"neurons": offered_neurons(self.data, self.label_blind)}

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Statistic of the sets' images."""
        images = self.images(draws)
        value = self.value(images, replicates, seed)[:, None].double()
        return Values(value, value)

    @property
    def _columns(self) -> tuple[Tensor, Sets]:
        """Neurons of either set, and the places of the two sets among them."""
        columns, places = torch.unique(torch.cat(self.sets), return_inverse=True)
        first, second = places.split([len(s) for s in self.sets])
        return columns, (first, second)

    def images(self, draws: Tensor) -> Sets:
        """Images of the two sets under permutations [R, N]; drawn sets [R, 2, n], or [R, n] for both halves.

        `neuronull.hypotheses.nulls.guard` has refused draws of any other size.
        """
        return images_of(self.sets, draws, self.data.measurements.n_neurons)

    def shared(self, kind: Randomises, draws: Any) -> Tensor | None:
        """Share of the members, or pairs, of each draw's sets that are the observed sets' own, halves averaged, [R]."""
        if kind != "neurons" or self.terms == "none":
            return None
        shares = []
        for image, own in zip(self.images(draws), self.sets, strict=True):
            common, size = torch.isin(image, own).sum(1).double(), len(own)
            members = common / size
            shares.append(members if self.terms == "members" else members * (common - 1) / (size - 1))
        return (shares[0] + shares[1]) / 2

    def true_values(self, world: TrueWorld) -> FloatArray:
        """Value of the observed sets on the truth, less the mean of null sets' values on the truth of the twin.

        Null sets may hold part of the effect, so that they are evaluated in the world without it; where nothing is
        planted there is no twin, and what they share is taken out.
        """
        if world.statistic.weights_only or self.leave_one_out() is None:
            return np.full(len(self.outputs), np.nan)
        there, twin = world.bound, world.twin_bound
        values = []
        for numbers, draws in world.draws("neurons"):
            on = there if numbers == range(1) else twin
            values.append(self.on_truth(on, draws, numbers, world.seed))
        value = torch.cat(values).numpy()
        difference: FloatArray = np.array([value[0] - value[1:].mean()])
        return difference if world.twin is not None else world.sampled.unshared * difference

    def on_truth(self, there: BoundStatistic, draws: Any, replicates: range, seed: int) -> Tensor:
        """Values [R] of draws on the truth; whatever else is chosen on the data must be taken from this object."""
        return there.evaluate("neurons", draws, replicates, seed).estimate[:, 0]

    def without(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """The statistic of sets [R, n] of a half, scored on the other without each of its documents, [R, D_other]."""
        raise NotImplementedError

    def scored_on(self, chosen: int, sets: Tensor, replicates: range, seed: int) -> Tensor:
        """The statistic of sets [R, n] of a half, scored on all of the other, [R]."""
        raise NotImplementedError

    def value(self, sets: Sets, replicates: range, seed: int) -> Tensor:
        """Statistic of each replicate's pair of sets, halves averaged, [R]."""
        return (self.scored_on(0, sets[0], replicates, seed) + self.scored_on(1, sets[1], replicates, seed)) / 2

    def leave_one_out(self) -> Tensor | None:
        """Estimate without each document, [D, 1], by the path that null draws take."""
        draws = self.identity("neurons")
        without = self.draws_without("neurons", draws, range(1), 0)
        return None if without is None else without[0]

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Tensor | None:
        """Estimate of each draw's sets without each document, [R, D, 1]: it moves only the crossing it is scored in."""
        if kind != "neurons":
            return None
        data, images = self.data, self.images(draws)
        out = torch.zeros(len(draws), data.n_units, 1, dtype=torch.float64)
        for chosen in (0, 1):
            rows = torch.from_numpy(np.flatnonzero(data.half == 1 - chosen))
            other = self.scored_on(1 - chosen, images[1 - chosen], replicates, seed).double()
            out[:, rows, 0] = (self.without(chosen, images[chosen], replicates, seed).double() + other[:, None]) / 2
        return out


def images_of(sets: Sets, draws: Tensor, neurons: int) -> Sets:
    """Images of two sets under permutations [R, N]; drawn sets [R, 2, n], or [R, n] for both halves."""
    if draws.ndim == 3:
        return draws[:, 0], draws[:, 1]
    if draws.shape[1] == neurons:
        return draws[:, sets[0]], draws[:, sets[1]]
    return draws, draws


def seeds_for(replicates: Iterable[int], seed: int, stream: int) -> Tensor:
    """One seed per replicate, for estimators that are random themselves; a function of (seed, replicate, stream)."""
    words = [np.random.SeedSequence([seed, r, stream]).generate_state(1, np.uint64)[0] for r in replicates]
    return torch.from_numpy(np.asarray(words, dtype=np.uint64).view(np.int64))
