"""Reselected neuron sets: the set is chosen again after unexplained score has changed places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ...data.errors import MissingInput
from ...estimators.strata import predicted_influence, residual_spread
from .base import NullModel, Observed, generator, need, stack

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """Log influence as covariates predict it, the spread they predict, and what they leave in units of that spread.

    [2 (half), N] each; strata [N]; sizes of the two sets.
    """

    predicted: FloatArray
    spread: FloatArray
    residual: FloatArray
    strata: npt.NDArray[np.int64]
    sizes: tuple[int, int]


class ReselectedSets(NullModel):
    """Sets chosen as the observed ones were, from a predicted score plus the residual of another neuron.

    Each half's log influence is split into what the neurons' covariates predict (least squares on covariates, squares
    and products) and a residual, which is divided by the spread that covariates predict for it.  A draw is one
    permutation of the residuals' places within strata of like predicted influence, the same for both halves, and the
    top of predicted + spread x permuted residual in each half.  So null sets are as extreme in activation and weight
    statistics as the set is, as far as that regression can tell, and overlap as the two sets do: a conditional
    randomisation test of the selection (Candes et al. 2018) by permuted residuals (Freedman and Lane 1983).

    Strata alone (`matched_sets`) cannot balance the very top, which is where such a set lies.  But where the score
    follows the covariates closely, these null sets hold much of the set itself; so the two stand together.
    """

    name = "reselected_sets"
    randomises = "neurons"
    preserves = ("size of the sets", "how influence follows the covariates", "the measurements")
    breaks = ("which neurons have more influence than their covariates predict",)
    exchangeable = "what covariates leave of log influence in a stratum, under a statistic free of a neuron's scale"
    reference = (
        "Candes, Fan, Janson, Lv (2018), JRSS B 80:551 (conditional randomisation); Freedman, Lane (1983), JBES 1:292"
    )
    when = "Are these neurons different from others that look alike? With matched_sets the default for neuron sets."
    says = (
        "Sets chosen as the {set} neurons were, after shuffling the part of their score that the neurons' "
        "activity and weight statistics do not predict."
    )
    matches = True
    likens = True

    def refuses(self, observed: Observed) -> str:
        """Why it cannot serve: the sets are not the top of a score, so that there is no choice to make again."""
        if observed.score is None:
            return "reselected_sets chooses again by the same rule, and these neurons were chosen elsewhere"
        for half, members in enumerate(observed.sets):
            others = torch.ones(observed.score.shape[1], dtype=torch.bool)
            others[members] = False
            if bool(others.any()) and observed.score[half, others].max() > observed.score[half, members].min():
                return (
                    "reselected_sets chooses again by the same rule, and these neurons are not the top of their score"
                )
        return ""

    def prepare(self, measurements: Any, observed: Observed) -> Selection:
        """Predicted and residual log score of each half."""
        need(observed, "neurons", self.name)
        refused = self.refuses(observed)
        if refused:
            raise MissingInput(refused, "--null", "choose matched_sets or random_sets")
        if observed.score is None or observed.covariates is None or observed.strata is None:
            raise MissingInput("reselected_sets needs the neurons' covariates", "neurons.parquet",
                               "measure the neuron covariates")  # fmt: skip
        score = observed.score.numpy().astype(np.float64)
        predicted = predicted_influence(observed.covariates, score)
        first, second = observed.sets
        strata = observed.strata.numpy().astype(np.int64)
        spread = residual_spread(observed.covariates, score - predicted)
        return Selection(predicted, spread, (score - predicted) / spread, strata, (len(first), len(second)))

    def draw(self, state: Selection, replicates: range, seed: int) -> torch.Tensor:
        """int64 [R, 2, n]: the sets of the two halves, sorted."""
        by_stratum = np.argsort(state.strata, kind="stable")

        def sets(replicate: int) -> npt.NDArray[np.int64]:
            keys = generator(seed, replicate, "reselect").random(len(state.strata))
            residual = np.empty_like(state.residual)
            residual[:, by_stratum] = state.residual[:, np.argsort(state.strata + keys, kind="stable")]
            score = state.predicted + state.spread * residual
            top = [np.argpartition(s, -n)[-n:] for s, n in zip(score, state.sizes, strict=True)]
            return np.sort(np.stack(top), axis=1)

        return stack(sets, replicates)

    def example(self) -> Observed:
        """Sixty neurons whose influence follows one covariate, two strata, sets of eight."""
        rng = np.random.default_rng(0)
        covariate = rng.standard_normal(60)
        score = covariate + rng.standard_normal(60) + 0.2 * rng.standard_normal((2, 60))
        sets = tuple(torch.from_numpy(np.sort(np.argsort(-s)[:8])) for s in score)
        return Observed("neurons", torch.arange(60), sets=sets,
                        strata=torch.from_numpy((covariate > np.median(covariate)).astype(np.int64)),
                        score=torch.from_numpy(score), covariates=covariate[:, None])  # fmt: skip

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """Two sets of the observed sizes, no neuron twice."""
        sizes = [len(p) for p in observed.sets]
        return (("size of the sets", [len(set(one)) for one in np.asarray(draw).tolist()] == sizes),)

    def cost(self, state: Selection) -> float:
        """Two sorts of the neurons."""
        n = state.residual.shape[1]
        return float(2 * n * np.log2(max(2, n)))

    def diagnostics(self, state: Selection, draws: Any) -> dict[str, Any]:
        """How well covariates predict log influence, and how much of the observed sets the null sets hold."""
        score = state.predicted + state.spread * state.residual
        top = [set(np.argsort(-s, kind="stable")[:n].tolist()) for s, n in zip(score, state.sizes, strict=True)]
        held = [len(top[h] & set(one[h])) / len(top[h]) for one in np.asarray(draws).tolist() for h in (0, 1)]
        return {"r_squared": float(1 - (score - state.predicted).var() / score.var()), "overlap": float(np.mean(held))}
