"""One set of measurements, seen the way the hypotheses need it: sums, sets, strata, correlations; each made once.

Everything here is chosen before any null is drawn, or is a sufficient statistic that the nulls randomise.  What does
not depend on the set under test is made once per run and shared by all sets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..data.conditions import Conditions
from ..data.errors import InputError, MissingInput
from ..data.measurements import NEURON_COVARIATES, Effects, Heads, JointAblation, Measurements, Panel
from ..data.options import DEFAULT_SIZE, SIZE_OPTION
from ..estimators import coactivation, regimes
from ..estimators import strata as stratify
from ..estimators.class_means import ClassSums, absolute_sums, means_under
from .neuron_sets import ByInfluence, Chosen, Halves, NeuronSet
from .nulls.base import generator
from .words import fill

SMALLEST_SET = 8
"""Neurons that a set chosen by a share of the layer holds at least."""
FEWEST_DOCUMENTS = 20
FITTED_WITHOUT = 3
"""Sets' worth of the most influential neurons that no line through ordinary neurons is fitted to."""
STRATUM = 10
"""Sets that a stratum holds at least."""
RESAMPLES = 200
"""Of the documents, for the uncertainty of knots."""

MOST_INFLUENTIAL = ByInfluence("chosen")

T = TypeVar("T")


class shared_property(Generic[T]):
    """A cached property whose value is shared by all sets of one run."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make, self.__doc__ = make, make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> shared_property[T]: ...

    @overload
    def __get__(self, instance: PreparedData, owner: type) -> T: ...

    def __get__(self, instance: PreparedData | None, owner: type) -> T | shared_property[T]:
        if instance is None:
            return self
        if self._name not in instance.shared:
            instance.shared[self._name] = self._make(instance)
        value: T = instance.shared[self._name]
        return value


def _effective(sizes: npt.NDArray[np.int64]) -> float:
    return float(sizes.sum()) ** 2 / float((sizes.astype(np.float64) ** 2).sum())


@dataclass(frozen=True)
class PreparedData:
    """Measurements with the set under test.

    Attributes
    ----------
    size_rule
        How many neurons a set has that is chosen by a score: a share of the layer, a number, or "knot".
    neuron_set
        The set under test.
    alike
        Columns of the neurons table in which ordinary neurons must be like those of the set.
    """

    measurements: Measurements
    size_rule: str = DEFAULT_SIZE
    neuron_set: NeuronSet = MOST_INFLUENTIAL
    alike: tuple[str, ...] = NEURON_COVARIATES
    shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def of(self, neuron_set: NeuronSet, alike: tuple[str, ...] | None = None) -> PreparedData:
        """The same data with another set under test; what does not depend on the set is shared."""
        alike = self.alike if alike is None else alike
        if neuron_set == self.neuron_set and alike == self.alike:
            return self
        return replace(self, neuron_set=neuron_set, alike=alike)

    @property
    def panel(self) -> Panel:
        """The scored positions."""
        return self.measurements.panel

    @property
    def conditions(self) -> Conditions:
        """The two classes of positions."""
        return self.measurements.conditions

    def filled(self, text: str) -> str:
        """A text with the names of the set and of the conditions filled in (`words.fill`)."""
        return fill(text, self.neuron_set.name, self.conditions.a.phrase, self.conditions.b.phrase)

    # documents -----------------------------------------------------------------------------------------------------

    @shared_property
    def documents(self) -> npt.NDArray[np.int64]:
        """Rows of the documents table that hold at least one matched pair, int64 [D].

        Raises
        ------
        InputError
            With fewer than 20, or fewer than 3 in a half.
        """
        found = np.unique(self.panel.document[self.panel.a_rows])
        if len(found) < FEWEST_DOCUMENTS:
            raise InputError(
                f"{len(found)} documents hold matched positions of {self.conditions.a.phrase} and "
                f"{self.conditions.b.phrase}, {FEWEST_DOCUMENTS} are needed",
                "corpus",
                "take more or longer documents, or another --threshold",
            )  # fmt: skip
        return found

    @shared_property
    def unit(self) -> npt.NDArray[np.int64]:
        """Unit of chance that each of `documents` belongs to, int64 [D], numbered 0 to U - 1.

        A unit is a cluster of documents that are not independent of each other; without clusters a document alone.
        Whatever is randomised, split, or left out over documents is so by unit.
        """
        cluster = self.measurements.cluster[self.documents]
        first = np.unique(cluster, return_index=True)[1]  # numbered in the order of their first documents
        place = {int(cluster[row]): number for number, row in enumerate(np.sort(first).tolist())}
        return np.array([place[int(c)] for c in cluster], dtype=np.int64)

    @shared_property
    def n_units(self) -> int:
        """Units of chance, U."""
        return int(self.unit.max()) + 1

    @shared_property
    def unit_sizes(self) -> npt.NDArray[np.int64]:
        """Documents of each unit, int64 [U]."""
        return np.bincount(self.unit)

    def by_unit(self, values: Tensor, dim: int = 0) -> Tensor:
        """Values of `documents` along an axis added up over each unit: [.., D, ..] -> [.., U, ..]."""
        if self.n_units == len(self.documents):
            return values
        shape = list(values.shape)
        shape[dim] = self.n_units
        return values.new_zeros(shape).index_add_(dim, torch.from_numpy(self.unit), values)

    @shared_property
    def half(self) -> npt.NDArray[np.int64]:
        """Half of each unit, int64 [U]."""
        by_document = np.full(int(self.panel.document.max()) + 1, -1, dtype=np.int64)
        by_document[self.panel.document] = self.panel.half
        of_document = by_document[self.documents]
        half = np.empty(self.n_units, dtype=np.int64)
        half[self.unit] = of_document
        torn = np.flatnonzero(half[self.unit] != of_document)
        if len(torn):
            name = int(self.measurements.cluster[self.documents[torn[0]]])
            raise InputError(f"the documents of cluster {name} lie in both halves", "panel",
                             "measure again: a cluster is in one half as a whole")  # fmt: skip
        smaller = min(int((half == side).sum()) for side in (0, 1))
        if smaller < 3:
            raise InputError(f"one half has {smaller} {self.units_are} with matched pairs, 3 are needed", "panel",
                             "take more documents, from more sources")  # fmt: skip
        return half

    @property
    def units_are(self) -> str:
        """What units are: documents, or clusters of them."""
        return "documents" if self.n_units == len(self.documents) else "clusters of documents"

    @shared_property
    def effective_units(self) -> float:
        """How many equal units would be as much: G = (sum w)^2 / sum w^2, w the documents of each."""
        return _effective(self.unit_sizes)

    @shared_property
    def smaller_half(self) -> float:
        """Effective number of units in the smaller half."""
        return min(_effective(self.unit_sizes[self.half == side]) for side in (0, 1))

    @shared_property
    def pair_document(self) -> npt.NDArray[np.int64]:
        """Index into `documents` of each matched pair, int64 [P]."""
        return np.searchsorted(self.documents, self.panel.document[self.panel.a_rows])

    @shared_property
    def pair_unit(self) -> npt.NDArray[np.int64]:
        """Unit of each matched pair, int64 [P]."""
        return self.unit[self.pair_document]

    @shared_property
    def pairs(self) -> Tensor:
        """Matched pairs per unit, float64 [U]."""
        return torch.from_numpy(np.bincount(self.pair_unit, minlength=self.n_units).astype(np.float64))

    # influence -----------------------------------------------------------------------------------------------------

    @property
    def delta_loss(self) -> Tensor:
        """Loss change of each position under ablation of each neuron, [T, N] nats."""
        if self.measurements.delta_loss is None:
            raise MissingInput("no influence was measured", "influence.safetensors", "measure delta_loss")
        return self.measurements.delta_loss

    @shared_property
    def influence_sums(self) -> ClassSums:
        """Sums over matched positions of abs(loss change), [D, 2, N, 1]; weight = pairs."""
        rows = self.panel.a_rows, self.panel.b_rows
        x = absolute_sums(self.delta_loss, *rows, self.pair_unit, self.n_units)
        return ClassSums(x, self.pairs, torch.from_numpy(self.half))

    @shared_property
    def document_values(self) -> dict[str, npt.NDArray[np.float64]]:
        """What tells how alike documents of a cluster are, float64 [D] each.

        ``loss``: mean loss of the matched positions; ``influence``: log ratio of the mean influence on them, *a* to *b*
        (not there where a document has none at all).
        """
        rows, d = (self.panel.a_rows, self.panel.b_rows), len(self.documents)
        loss = self.panel.loss[rows[0]] + self.panel.loss[rows[1]]
        pairs = np.bincount(self.pair_document, minlength=d)
        found = {"loss": np.bincount(self.pair_document, loss, d) / (2 * pairs)}
        if self.measurements.delta_loss is not None:
            sums = absolute_sums(self.delta_loss, *rows, self.pair_document, d).sum((2, 3)).numpy()
            if (sums > 0).all():
                found["influence"] = np.log(sums[:, 0] / sums[:, 1])
        return found

    @shared_property
    def pair_sums(self) -> ClassSums:
        """The same with each matched pair as a unit of its own, [P, 2, N, 1] (for label swaps inside pairs)."""
        a, b = self.panel.a_rows, self.panel.b_rows
        x = torch.stack([self.delta_loss[a].abs(), self.delta_loss[b].abs()], dim=1)
        half = torch.from_numpy(self.half[self.pair_unit])
        return ClassSums(x.double()[..., None], torch.ones(len(a), dtype=torch.float64), half)

    @shared_property
    def influence(self) -> Tensor:
        """Mean influence of each half and class, float64 [2, 2, N] nats."""
        return means_under(self.influence_sums, torch.zeros(1, self.n_units, dtype=torch.bool))[0, ..., 0]

    @shared_property
    def curve_fits(self) -> dict[str, tuple[regimes.CurveFit, ...]]:
        """Broken lines with 0, 1 and 2 knots through the influence curves of both conditions (halves together).

        The resampled documents are the same in every run: nothing is decided here, so no seed is asked for.
        """
        sums = self.influence_sums
        d = len(sums.weight)
        even = np.full(d, 1 / d)
        drawn = [generator(0, b, "knots").multinomial(d, even) for b in range(RESAMPLES)]
        counts = torch.from_numpy(np.stack(drawn).astype(np.float64))
        return {
            label: regimes.curve_fits(sums.x[:, side, :, 0], sums.weight, counts)
            for side, label in enumerate((self.conditions.a.name, self.conditions.b.name))
        }

    # sets ----------------------------------------------------------------------------------------------------------

    @cached_property
    def set_size(self) -> int:
        """Neurons in a set that is chosen by a score: a share of N (at least 8), a number, or the first knot.

        The knot is that of the influence curve of both conditions together.
        """
        n = self.measurements.n_neurons
        rule = self.size_rule.strip()
        if rule == "knot":
            low = max(SMALLEST_SET, round(0.003 * n))
            return regimes.knot_head(self.influence.mean((0, 1)), low, max(low + 1, round(0.05 * n)))
        try:
            number = float(rule)
        except ValueError:
            raise InputError(
                f"{rule!r} is no size of a set", SIZE_OPTION, "give a share below 1, 'knot', or a number of neurons"
            ) from None
        size = max(SMALLEST_SET, round(number * n)) if 0 < number < 1 else round(number)
        if not SMALLEST_SET <= size <= n // regimes.MIDDLE:
            hint = f"give a rule that yields {SMALLEST_SET} to {n // regimes.MIDDLE} neurons"
            raise InputError(f"a set of {size} of {n} neurons is out of range", SIZE_OPTION, hint)
        return size

    @cached_property
    def n_head(self) -> int:
        """Neurons in the set under test (of half 0, where the halves differ)."""
        return len(self.set[0])

    @cached_property
    def chosen(self) -> Chosen:
        """The set under test and what it was chosen by."""
        return self.neuron_set.choose(self)

    @property
    def set(self) -> Halves:
        """The set under test, chosen on half 0 and on half 1, int64 [n] each (ascending)."""
        return self.chosen.sets

    @cached_property
    def reliability(self) -> float:
        """How far the two halves' sets agree: their overlap beyond chance, 1 the same, 0 as chance has it.

        With o_0 the shared part of n of N neurons, (o_0 - n/N) / (1 - n/N), as Cohen's kappa takes out chance; 1 for
        sets that no half chose.
        """
        if not self.neuron_set.cross_fitted:
            return 1.0
        first, second = self.set
        expected = len(second) / self.measurements.n_neurons
        return max(0.0, (torch.isin(first, second).double().mean().item() - expected) / (1 - expected))

    def chosen_by_influence(self) -> None:
        """Refuse a set that was chosen otherwise, for statistics of the influence curve and its head.

        Raises
        ------
        MissingInput
            If the set under test was not chosen by influence.
        """
        if self.neuron_set.chosen_by != "influence":
            raise MissingInput(
                f"it is about the neurons with the most influence, and the {self.neuron_set.name} neurons are those "
                f"{self.filled(self.neuron_set.rule)}",
                "--set",
                "use --set influence",
            )

    @cached_property
    def blind_chosen(self) -> Chosen:
        """The set chosen so that swapping the conditions leaves it as it is, and what it was chosen by."""
        return self.neuron_set.blind(self)

    @property
    def blind_set(self) -> Halves:
        """The sets of `blind_chosen`."""
        return self.blind_chosen.sets

    @cached_property
    def mirror_set(self) -> Halves:
        """The mirror image of the set: chosen by the same rule, with condition b in the place of a."""
        return self.neuron_set.mirror(self)

    @cached_property
    def covariates(self) -> npt.NDArray[np.float64]:
        """Covariates of the neurons, float64 [N, k], in the order of `alike`."""
        table = self.measurements.neurons
        if table is None:
            raise MissingInput("no neuron covariates were measured", "neurons.parquet", "measure them")
        unknown = [name for name in self.alike if name not in table.columns]
        if unknown:
            raise InputError(f"{', '.join(unknown)}: no covariate of neurons", "alike",
                             f"choose of {', '.join(c for c in table.columns if c != 'neuron')}")  # fmt: skip
        covariates: npt.NDArray[np.float64] = table[list(self.alike)].to_numpy(dtype=np.float64)
        return covariates

    @cached_property
    def _level(self) -> npt.NDArray[np.float64]:
        """What strata are made by, [N]: what the set is the top of; of a list, influence, or the main covariate axis.

        A list has no score.  Where influence was measured, lists of influential neurons are compared with others of
        like predicted influence; without it, with others alike in the direction in which covariates vary most.
        """
        if isinstance(self.neuron_set, ByInfluence) or (
            self.neuron_set.chosen_by == "elsewhere" and self.measurements.delta_loss is not None
        ):
            return stratify.log_influence(self.influence.mean((0, 1)).numpy())
        score = self.chosen.score
        if score is not None:
            return np.asarray(score.mean(0).numpy(), dtype=np.float64)
        return stratify.main_axis(self.covariates)

    @cached_property
    def strata(self) -> Tensor:
        """Stratum of each neuron, int64 [N]: covariates predict the same level; each holds 10 sets."""
        predicted = stratify.predicted_influence(self.covariates, self._level)
        return torch.from_numpy(stratify.strata(predicted, STRATUM * self.n_head))

    @property
    def strata_if_any(self) -> Tensor | None:
        """Strata, or None where no covariates were measured."""
        return None if self.measurements.neurons is None else self.strata

    @property
    def covariates_if_any(self) -> npt.NDArray[np.float64] | None:
        """Covariates, or None where none were measured."""
        return None if self.measurements.neurons is None else self.covariates

    @cached_property
    def lean_prediction(self) -> regimes.Prediction:
        """How covariates predict the lean of a neuron, fitted without the head of the label-blind influence curve."""
        influence = self.influence.mean((0, 1))
        ordinary = np.ones(len(influence), dtype=np.bool_)
        ordinary[regimes.top(influence, FITTED_WITHOUT * self.n_head).numpy()] = False
        first, second = stratify.covariate_prediction(self.covariates, ordinary)
        return torch.from_numpy(first), torch.from_numpy(second)

    def balance(self, sets: Halves) -> dict[str, float]:
        """Standardised mean difference of each covariate between the sets and their strata, halves averaged."""
        smd = [stratify.balance(self.covariates, s.numpy(), self.strata.numpy()) for s in sets]
        return {name: float(value) for name, value in zip(self.alike, np.mean(smd, axis=0), strict=True)}

    # activations ---------------------------------------------------------------------------------------------------

    @shared_property
    def activation_a(self) -> tuple[Tensor, Tensor]:
        """Activations at the matched positions of condition a of each half, float32 [T_h, N] each."""
        if self.measurements.activation is None:
            raise MissingInput("no activations were measured", "activations.safetensors", "measure them")
        rows = self.rows_a_by_half
        return self.measurements.activation[rows[0]].float(), self.measurements.activation[rows[1]].float()

    @shared_property
    def rows_a_by_half(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows of the panel behind `activation_a`, one array per half."""
        rows = self.panel.a_rows
        side = self.half[self.pair_unit]
        return rows[side == 0], rows[side == 1]

    @shared_property
    def unit_a(self) -> tuple[Tensor, Tensor]:
        """Unit of each row of `activation_a`, int64 [T_h] each."""
        side = self.half[self.pair_unit]
        return torch.from_numpy(self.pair_unit[side == 0]), torch.from_numpy(self.pair_unit[side == 1])

    @shared_property
    def document_a(self) -> tuple[Tensor, Tensor]:
        """Index into `documents` of each row of `activation_a`, int64 [T_h] each."""
        side = self.half[self.pair_unit]
        return torch.from_numpy(self.pair_document[side == 0]), torch.from_numpy(self.pair_document[side == 1])

    @shared_property
    def correlation(self) -> tuple[Tensor, Tensor]:
        """Correlations over the matched positions of condition a of each half, float32 [N, N] each."""
        first, second = self.activation_a
        return coactivation.correlation(first), coactivation.correlation(second)

    @shared_property
    def global_mode(self) -> tuple[Tensor, Tensor]:
        """First principal component of each half's `activation_a`, standardised: unit vectors, float32 [N] each."""
        first, second = (coactivation.global_mode(a) for a in self.activation_a)
        return first, second

    @shared_property
    def residual_activation(self) -> tuple[Tensor, Tensor]:
        """`activation_a`, standardised, without the layer's global mode."""
        first, second = map(coactivation.without_mode, self.activation_a, self.global_mode)
        return first, second

    @shared_property
    def residual_z(self) -> tuple[Tensor, Tensor]:
        """Fisher z of the correlations of `residual_activation`, float32 [N, N] each."""
        first, second = (coactivation.fisher_z(coactivation.correlation(a)) for a in self.residual_activation)
        return first, second

    # weights and heads ---------------------------------------------------------------------------------------------

    @property
    def w_out(self) -> Tensor:
        """Output weights, [N, d]."""
        if self.measurements.w_out is None:
            raise MissingInput("no output weights were kept", "weights.safetensors", "measure them")
        return self.measurements.w_out

    @property
    def w_in(self) -> Tensor:
        """Input weights, [N, d]."""
        if self.measurements.w_in is None:
            raise MissingInput("no input weights were kept", "weights.safetensors", "measure them")
        return self.measurements.w_in

    @property
    def heads(self) -> Heads:
        """Head effects."""
        if self.measurements.heads is None:
            raise MissingInput("no head effects were measured", "heads.safetensors", "measure them")
        part = self.measurements.manifest.partial_heads
        if part is not None:
            layers, documents = ", ".join(map(str, part.layers)), len(part.documents)
            raise MissingInput(f"heads were measured in part only: layers {layers}, {documents} documents",
                               "heads.safetensors", "leave out --heads and --head-documents")  # fmt: skip
        return self.measurements.heads

    @shared_property
    def reachable_heads(self) -> npt.NDArray[np.int64]:
        """Rows of the heads table: single heads that can reach the layer."""
        rows = np.flatnonzero(self.heads.reachable & (self.heads.head >= 0))
        if len(rows) == 0:
            raise MissingInput(
                "no measured head can reach the layer's neurons", "heads.safetensors", "measure heads of earlier layers"
            )
        return rows

    def head_effect(self, index: int) -> Tensor:
        """Effects of the index-th reachable head on all neurons, float32 [D, 2, N] (documents with pairs).

        One head at a time: those of all heads of a large model do not fit. Neurons that were not measured hold 0;
        `check_measured` refuses sets that would read them.
        """
        effect = self.by_unit(self.heads.effect[int(self.reachable_heads[index]), torch.from_numpy(self.documents)])
        if effect.shape[-1] == self.measurements.n_neurons:
            return effect
        whole = torch.zeros(*effect.shape[:2], self.measurements.n_neurons, dtype=effect.dtype)
        whole[..., self.heads.neuron] = effect
        return whole

    @property
    def joint_ablation(self) -> JointAblation:
        """Loss increases under joint ablation."""
        if self.measurements.joint_ablation is None:
            raise MissingInput("no closures were measured", "closure.safetensors",
                               "run it from the model, without --measurements")  # fmt: skip
        return self.measurements.joint_ablation

    @property
    def effects(self) -> Effects:
        """Effects of single neurons on whole distributions."""
        if self.measurements.effects is None:
            raise MissingInput("no effects on whole distributions were measured; they are, for the last layer alone",
                               "effects.safetensors", "run it from the model, on its last layer")  # fmt: skip
        return self.measurements.effects

    def check_measured(self, sets: tuple[Tensor, Tensor]) -> None:
        """Refuse head statistics on neurons whose strata were not all measured."""
        missing = set(range(self.measurements.n_neurons)) - set(self.heads.neuron.tolist())
        needed = torch.isin(self.strata, self.strata[torch.cat(sets)]).nonzero()[:, 0].tolist()
        if missing & set(needed):
            raise MissingInput(f"head effects were measured on {len(self.heads.neuron)} neurons and leave "
                               "out part of the set's strata", "heads.safetensors",
                               "measure all neurons of those strata")  # fmt: skip

    def split(self, half: npt.NDArray[np.int64]) -> PreparedData:
        """The same measurements under another split of the documents; `half` has one entry per row of their table."""
        panel = replace(self.panel, half=half[self.panel.document])
        return replace(self, measurements=replace(self.measurements, panel=panel), shared={})
