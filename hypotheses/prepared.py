"""One set of measurements, seen the way the hypotheses need it: sums, plateaus, strata, correlations; each made once.

Everything here is chosen before any null is drawn, or is a sufficient statistic that the nulls randomise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..data.errors import InputError, MissingInput
from ..data.measurements import Effects, Heads, JointAblation, Measurements, Panel
from ..estimators import coactivation, regimes
from ..estimators import strata as stratify
from ..estimators.class_means import ClassSums, absolute_sums, means_under
from .nulls.base import generator

COVARIATES = (
    "mean_abs",
    "sd",
    "kurtosis",
    "sparsity",
    "w_out_norm",
    "weak_direction_share",
    "token_frequency_share",
)
SMALLEST_PLATEAU = 8
FEWEST_DOCUMENTS = 20
FITTED_WITHOUT = 3
"""Plateaus' worth of the most influential neurons that no line through ordinary neurons is fitted to."""
STRATUM = 10
"""Plateaus that a stratum holds at least."""
RESAMPLES = 200
"""Of the documents, for the uncertainty of knots."""


@dataclass(frozen=True)
class PreparedData:
    """Measurements with a plateau rule.  `half` int64 [D] splits the documents that hold matched pairs."""

    measurements: Measurements
    plateau_rule: str = ".017"

    @property
    def panel(self) -> Panel:
        """The scored positions."""
        return self.measurements.panel

    # documents -----------------------------------------------------------------------------------------------------

    @cached_property
    def documents(self) -> npt.NDArray[np.int64]:
        """Rows of the documents table that hold at least one matched pair, int64 [D].

        Raises
        ------
        InputError
            With fewer than 20, or fewer than 3 in a half.
        """
        found = np.unique(self.panel.document[self.panel.rare_rows])
        if len(found) < FEWEST_DOCUMENTS:
            raise InputError(
                f"{len(found)} documents hold matched rare and common positions, {FEWEST_DOCUMENTS} are needed",
                "corpus",
                "take more or longer documents, or another --threshold",
            )  # fmt: skip
        return found

    @cached_property
    def half(self) -> npt.NDArray[np.int64]:
        """Half of each of `documents`, int64 [D]."""
        by_document = np.full(int(self.panel.document.max()) + 1, -1, dtype=np.int64)
        by_document[self.panel.document] = self.panel.half
        half = by_document[self.documents]
        smaller = min(int((half == side).sum()) for side in (0, 1))
        if smaller < 3:
            raise InputError(f"one half has {smaller} documents with matched pairs, 3 are needed", "panel",
                             "take more documents")  # fmt: skip
        return half

    @cached_property
    def smaller_half(self) -> int:
        """Documents in the smaller half."""
        return int(min((self.half == 0).sum(), (self.half == 1).sum()))

    @cached_property
    def pair_document(self) -> npt.NDArray[np.int64]:
        """Index into `documents` of each matched pair, int64 [P]."""
        return np.searchsorted(self.documents, self.panel.document[self.panel.rare_rows])

    @cached_property
    def pairs(self) -> Tensor:
        """Matched pairs a document, float64 [D]."""
        return torch.from_numpy(np.bincount(self.pair_document, minlength=len(self.documents)).astype(np.float64))

    # influence -----------------------------------------------------------------------------------------------------

    @property
    def delta_loss(self) -> Tensor:
        """Loss change of each position under ablation of each neuron, [T, N] nats."""
        if self.measurements.delta_loss is None:
            raise MissingInput("no influence was measured", "influence.safetensors", "measure delta_loss")
        return self.measurements.delta_loss

    @cached_property
    def influence_sums(self) -> ClassSums:
        """Sums over matched positions of abs(loss change), [D, 2, N, 1]; weight = pairs."""
        rows = self.panel.rare_rows, self.panel.common_rows
        x = absolute_sums(self.delta_loss, *rows, self.pair_document, len(self.documents))
        return ClassSums(x, self.pairs, torch.from_numpy(self.half))

    @cached_property
    def pair_sums(self) -> ClassSums:
        """The same with each matched pair as a unit of its own, [P, 2, N, 1] (for label swaps inside pairs)."""
        rare, common = self.panel.rare_rows, self.panel.common_rows
        x = torch.stack([self.delta_loss[rare].abs(), self.delta_loss[common].abs()], dim=1)
        half = torch.from_numpy(self.half[self.pair_document])
        return ClassSums(x.double()[..., None], torch.ones(len(rare), dtype=torch.float64), half)

    @cached_property
    def influence(self) -> Tensor:
        """Mean influence of each half and class, float64 [2, 2, N] nats."""
        return means_under(self.influence_sums, torch.zeros(1, len(self.documents), dtype=torch.bool))[0, ..., 0]

    @cached_property
    def curve_fits(self) -> dict[str, tuple[regimes.CurveFit, ...]]:
        """Broken lines with 0, 1 and 2 knots through the influence curves of rare and common (halves together).

        The resampled documents are the same in every run: nothing is decided here, so no seed is asked for.
        """
        sums = self.influence_sums
        d = len(sums.weight)
        even = np.full(d, 1 / d)
        drawn = [generator(0, b, "knots").multinomial(d, even) for b in range(RESAMPLES)]
        counts = torch.from_numpy(np.stack(drawn).astype(np.float64))
        return {
            label: regimes.curve_fits(sums.x[:, side, :, 0], sums.weight, counts)
            for side, label in enumerate(("rare", "common"))
        }

    # sets ----------------------------------------------------------------------------------------------------------

    @cached_property
    def n_head(self) -> int:
        """Neurons in the plateau: a share of N (at least 8), a number, or the first knot of the label-blind curve."""
        n = self.influence.shape[-1]
        rule = self.plateau_rule.strip()
        if rule == "knot":
            low = max(SMALLEST_PLATEAU, round(0.003 * n))
            return regimes.knot_head(self.influence.mean((0, 1)), low, max(low + 1, round(0.05 * n)))
        try:
            number = float(rule)
        except ValueError:
            raise InputError(
                f"{rule!r} is not a plateau rule", "--plateau", "give a share below 1, 'knot', or a number of neurons"
            ) from None
        size = max(SMALLEST_PLATEAU, round(number * n)) if 0 < number < 1 else round(number)
        if not SMALLEST_PLATEAU <= size <= n // regimes.MIDDLE:
            hint = f"give a rule that yields {SMALLEST_PLATEAU} to {n // regimes.MIDDLE} neurons"
            raise InputError(f"a plateau of {size} of {n} neurons is out of range", "--plateau", hint)
        return size

    @cached_property
    def plateau(self) -> tuple[Tensor, Tensor]:
        """Plateaus by influence on rare, chosen on half 0 and on half 1, int64 [n] each (sorted)."""
        return self._sets(self.influence[:, 0])

    @cached_property
    def common_plateau(self) -> tuple[Tensor, Tensor]:
        """Plateaus by influence on common, the mirror of `plateau`."""
        return self._sets(self.influence[:, 1])

    @cached_property
    def blind_plateau(self) -> tuple[Tensor, Tensor]:
        """Plateaus by influence on both classes together, so that swapping classes leaves them as they are."""
        return self._sets(self.influence.mean(1))

    def _sets(self, influence: Tensor) -> tuple[Tensor, Tensor]:
        ranked = regimes.top(influence, self.n_head).sort(-1).values
        return ranked[0], ranked[1]

    @cached_property
    def covariates(self) -> npt.NDArray[np.float64]:
        """Covariates of the neurons, float64 [N, 7], in the order of `COVARIATES`."""
        table = self.measurements.neurons
        if table is None:
            raise MissingInput("no neuron covariates were measured", "neurons.parquet", "measure them")
        covariates: npt.NDArray[np.float64] = table[list(COVARIATES)].to_numpy(dtype=np.float64)
        return covariates

    @cached_property
    def strata(self) -> Tensor:
        """Stratum of each neuron, int64 [N]: covariates predict like influence; each holds 10 plateaus."""
        score = stratify.log_influence(self.influence.mean((0, 1)).numpy())
        predicted = stratify.predicted_influence(self.covariates, score)
        return torch.from_numpy(stratify.strata(predicted, STRATUM * self.n_head))

    @cached_property
    def lean_prediction(self) -> regimes.Prediction:
        """How covariates predict the lean of a neuron, fitted without the head of the label-blind influence curve."""
        influence = self.influence.mean((0, 1))
        ordinary = np.ones(len(influence), dtype=np.bool_)
        ordinary[regimes.top(influence, FITTED_WITHOUT * self.n_head).numpy()] = False
        first, second = stratify.covariate_prediction(self.covariates, ordinary)
        return torch.from_numpy(first), torch.from_numpy(second)

    def selection_score(self, label_blind: bool) -> Tensor:
        """Log influence by which each half's plateau is chosen, float64 [2, N]: on rare, or of both classes."""
        chosen_by = self.influence.mean(1) if label_blind else self.influence[:, 0]
        return torch.from_numpy(stratify.log_influence(chosen_by.numpy()))

    def balance(self, sets: tuple[Tensor, Tensor]) -> dict[str, float]:
        """Standardised mean difference of each covariate between the sets and their strata, halves averaged."""
        smd = [stratify.balance(self.covariates, s.numpy(), self.strata.numpy()) for s in sets]
        return {name: float(value) for name, value in zip(COVARIATES, np.mean(smd, axis=0), strict=True)}

    # activations ---------------------------------------------------------------------------------------------------

    @cached_property
    def rare_activation(self) -> tuple[Tensor, Tensor]:
        """Activations at the matched rare positions of each half, float32 [T_h, N] each."""
        if self.measurements.activation is None:
            raise MissingInput("no activations were measured", "activations.safetensors", "measure them")
        rows = self._rare_rows_by_half
        return self.measurements.activation[rows[0]].float(), self.measurements.activation[rows[1]].float()

    @cached_property
    def _rare_rows_by_half(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        rows = self.panel.rare_rows
        side = self.half[self.pair_document]
        return rows[side == 0], rows[side == 1]

    @cached_property
    def rare_document(self) -> tuple[Tensor, Tensor]:
        """Index into `documents` of each row of `rare_activation`, int64 [T_h] each."""
        side = self.half[self.pair_document]
        return torch.from_numpy(self.pair_document[side == 0]), torch.from_numpy(self.pair_document[side == 1])

    @cached_property
    def correlation(self) -> tuple[Tensor, Tensor]:
        """Correlations over the matched rare positions of each half, float32 [N, N] each."""
        first, second = self.rare_activation
        return coactivation.correlation(first), coactivation.correlation(second)

    @cached_property
    def global_mode(self) -> tuple[Tensor, Tensor]:
        """First principal component of each half's `rare_activation`, standardised: unit vectors, float32 [N] each."""
        first, second = (coactivation.global_mode(a) for a in self.rare_activation)
        return first, second

    @cached_property
    def residual_activation(self) -> tuple[Tensor, Tensor]:
        """`rare_activation`, standardised, without the layer's global mode."""
        first, second = map(coactivation.without_mode, self.rare_activation, self.global_mode)
        return first, second

    @cached_property
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

    @cached_property
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
        effect = self.heads.effect[int(self.reachable_heads[index]), torch.from_numpy(self.documents)]
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
            raise MissingInput("no effects on whole distributions were measured", "effects.safetensors",
                               "run it from the model, with --suite full")  # fmt: skip
        return self.measurements.effects

    def check_measured(self, sets: tuple[Tensor, Tensor]) -> None:
        """Refuse head statistics on neurons whose strata were not all measured."""
        missing = set(range(self.measurements.n_neurons)) - set(self.heads.neuron.tolist())
        needed = torch.isin(self.strata, self.strata[torch.cat(sets)]).nonzero()[:, 0].tolist()
        if missing & set(needed):
            raise MissingInput(f"head effects were measured on {len(self.heads.neuron)} neurons and leave "
                               "out part of the plateau's strata", "heads.safetensors",
                               "measure all neurons of those strata")  # fmt: skip

    def split(self, half: npt.NDArray[np.int64]) -> PreparedData:
        """The same measurements under another split of the documents; `half` has one entry a document of the table."""
        panel = replace(self.panel, half=half[self.panel.document])
        return PreparedData(replace(self.measurements, panel=panel), self.plateau_rule)
