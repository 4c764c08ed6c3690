"""The control of this paper's contrasts: with shuffled labels they find an effect as often as chance has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import scipy.stats
import torch

from ....data.errors import MissingInput
from ....estimators.class_means import ClassSums
from ...controls import Control, ControlRun, Outcome
from ...engine import assess, sample
from ...hypothesis import null_names
from ...inference.permutation import clopper_pearson
from ...nulls.base import generator
from ...nulls.document_swaps import DocumentSwaps
from ...numbers import plain_number
from ...prepared import MOST_INFLUENTIAL
from .regimes import contrast

SHUFFLES = 100
DRAWS = 49
"""At each shuffle: p is below .05 with probability .04, as with 99."""
LEVEL = 0.99
"""Of the one-sided lower bound that must lie above alpha for the control to fail."""
NULL = DocumentSwaps()


def _permuted_labels(run: ControlRun) -> Outcome:
    data, options = run.data, run.options
    p = np.array(list(_shuffled_p(run)))
    if len(p) == 0:
        raise MissingInput("no shuffle left a curve with a law to test")
    n, small = len(p), int((p < options.alpha).sum())
    low, high = clopper_pearson(small, n, 2 * LEVEL - 1)
    numbers = {
        "estimate": small / n, "ci_low": low, "ci_high": high, "ci_level": 2 * LEVEL - 1, "replicates": n,
        "null_model": NULL.name, "n_documents": data.influence_sums.documents,
    }  # fmt: skip
    at, bound = plain_number(options.alpha), plain_number(low, 3)
    seen = f"p is below {at} in {small} of {n} shuffles (at least {bound} of all, {100 * LEVEL:g} % sure)"
    if low > options.alpha:
        return Outcome("failed", seen, numbers)
    return Outcome("passed", f"{seen}; a rate of {plain_number(_seen_rate(n, options.alpha), 2)} would show", numbers)


def _shuffled_p(run: ControlRun) -> Iterator[float]:
    """P-value of `regimes.contrast` on each shuffle of the conditions over documents.

    Under the null model that such a shuffle obeys alone: the larger p of two would hide what is wrong with one.
    """
    options, sums = run.options, run.data.influence_sums
    with run.progress.stage("shuffled labels", SHUFFLES) as stage:
        for r in range(SHUFFLES):
            swaps = torch.from_numpy(generator(options.seed, r, "permuted").random(sums.documents) < 0.5)
            x = torch.where(swaps[:, None, None, None], sums.x.flip(1), sums.x)
            shared = {"influence_sums": ClassSums(x, sums.weight, sums.half)}
            view = replace(run.data, neuron_set=MOST_INFLUENTIAL, shared=shared)
            stage.advance()
            try:
                bound = contrast.statistic.bind(view)
            except MissingInput:  # no law to leave in this one
                continue
            drawn = sample(bound, NULL, view, DRAWS, options.seed + 1 + r, options.jobs or 1)
            yield assess(contrast, bound, view, (drawn,), options.alpha, with_details=False).p.value


def _seen_rate(n: int, alpha: float) -> float:
    """Rate of false alarms at which the control would fail with probability .8 (in steps of .01)."""
    fewest = next(k for k in range(n + 1) if k == n or clopper_pearson(k, n, 2 * LEVEL - 1)[0] > alpha)
    rates = np.arange(1, 101) / 100
    return float(rates[np.argmax(scipy.stats.binom.sf(fewest - 1, n, rates) >= 0.8)])


PERMUTED_LABELS = Control(
    "control.permuted_labels",
    "With the two conditions shuffled over documents, a contrast of them is found no more often than chance has it.",
    "Shuffled labels",
    "share",
    _permuted_labels,
    needs=("influence",),
    bears_on=lambda hypothesis: "document_swaps" in null_names(hypothesis.nulls),
)
