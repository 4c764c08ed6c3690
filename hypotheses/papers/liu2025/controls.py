"""The control of this paper's contrasts: shuffled labels show no specialists."""

from __future__ import annotations

import torch

from ....estimators.class_means import ClassSums
from ...controls import Control, ControlRun, Outcome
from ...engine import sample
from ...inference.permutation import permutation_p
from ...nulls.base import generator
from ...nulls.document_swaps import DocumentSwaps
from ...statistics.contrasts import BoundContrast, selectivity_of


def _permuted_labels(run: ControlRun) -> Outcome:
    data, options = run.data, run.options
    sums = data.influence_sums
    swaps = torch.from_numpy(generator(options.seed, 0, "permuted").random(sums.documents) < 0.5)
    shuffled = ClassSums(torch.where(swaps[:, None, None, None], sums.x.flip(1), sums.x), sums.weight, sums.half)
    bound = BoundContrast(shuffled, *selectivity_of(data.set_size))
    drawn = sample(bound, DocumentSwaps(), data, options.replicates, options.seed + 1, options.jobs or 1)
    p = permutation_p(float(drawn.statistic[0, 0]), drawn.statistic[1:, 0])
    numbers = {
        "estimate": float(drawn.estimate[0, 0]), "null_model": "document_swaps", "p_value": p.value, "p_low": p.low,
        "p_high": p.high, "replicates": p.replicates, "n_documents": sums.documents,
    }  # fmt: skip
    if p.value >= options.alpha:
        return Outcome("passed", "p is not small", numbers)
    seen = f"p is below {options.alpha:g}, which chance alone does in {options.alpha:.0%} of runs"
    return Outcome("failed", seen, numbers)


PERMUTED_LABELS = Control(
    "control.permuted_labels",
    "With the two conditions shuffled over documents, no specialists are found.",
    "Shuffled labels",
    "log ratio",
    _permuted_labels,
)
