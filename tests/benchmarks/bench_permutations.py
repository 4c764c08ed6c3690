"""9,999 label permutations of 3,072 neurons against scipy.stats.permutation_test, with the same p-values.

The labels of a document, rare and common, change places: scipy's ``permutation_type="samples"``. It is asked in two
ways, as exchanges of two samples and as sign flips of their difference, which halves its work. Its batch is the
fastest of several. scipy does a tenth of the permutations a round (its time is linear in them). The p-values are
compared under scipy's own draws, which are read off a run on the unit vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.stats import permutation_test

from neuronull.estimators.class_means import ClassSums
from neuronull.hypotheses.neuron_p import neuron_p_values
from neuronull.hypotheses.nulls.document_swaps import DocumentSwaps

from .harness import Contender, Row, compete, timed

DOCUMENTS, NEURONS, PERMUTATIONS, SHARE = 200, 3072, 9999, 10
BAR = 100.0
SEED = 5
BATCHES = (1, 3, 10, 30)


def scipy_samples(rare: np.ndarray, common: np.ndarray, resamples: int, batch: int) -> Any:
    """Exchange the two samples of a document."""
    return permutation_test(
        (rare, common), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis), permutation_type="samples",
        n_resamples=resamples, batch=batch, vectorized=True, axis=1, alternative="greater",
        rng=np.random.default_rng(SEED),
    )  # fmt: skip


def scipy_signs(gap: np.ndarray, resamples: int, batch: int) -> Any:
    """Flip the sign of a document's difference."""
    return permutation_test(
        (gap,), lambda a, axis: a.mean(axis=axis), permutation_type="samples", n_resamples=resamples, batch=batch,
        vectorized=True, axis=1, alternative="greater", rng=np.random.default_rng(SEED),
    )  # fmt: skip


def fastest_batch(call: Callable[[int], Any]) -> int:
    """The batch that is fastest on a few permutations."""
    return min(BATCHES, key=lambda batch: min(timed(lambda: call(batch))[0] for _ in range(2)))


def run(rounds: int) -> tuple[list[Row], list[str]]:
    """Per-document means of two classes, some neurons with a true difference."""
    rng = np.random.default_rng(0)
    x = rng.lognormal(size=(DOCUMENTS, 2, NEURONS)) * rng.lognormal(size=(DOCUMENTS, 1, NEURONS))
    x[:, 0] *= np.linspace(1.0, 1.6, NEURONS)
    half = torch.arange(DOCUMENTS) % 2
    sums = ClassSums(torch.from_numpy(x)[..., None], torch.ones(DOCUMENTS, dtype=torch.float64), half)
    rare, common = np.ascontiguousarray(x[:, 0].T), np.ascontiguousarray(x[:, 1].T)
    gap = rare - common
    null, resamples = DocumentSwaps(), PERMUTATIONS // SHARE
    two = fastest_batch(lambda batch: scipy_samples(rare, common, 29, batch))
    one = fastest_batch(lambda batch: scipy_signs(gap, 29, batch))
    contenders = [
        Contender(
            "neuronull, drawing included",
            lambda: neuron_p_values(sums, null.draw(DOCUMENTS, range(1, PERMUTATIONS + 1), 0)),
            PERMUTATIONS,
        ),
        Contender(
            f"scipy, two samples, batch {two}", lambda: scipy_samples(rare, common, resamples, two), resamples, BAR
        ),
        Contender(f"scipy, signs, batch {one}", lambda: scipy_signs(gap, resamples, one), resamples, BAR),
    ]

    def check(results: dict[str, Any]) -> dict[str, str]:
        said = {}
        for name, result in results.items():
            if name.startswith("neuronull"):
                continue
            unit = np.eye(DOCUMENTS)
            if "signs" in name:
                drawn = scipy_signs(unit, resamples, one).null_distribution
            else:
                drawn = scipy_samples(unit, np.zeros_like(unit), resamples, two).null_distribution
            ours = neuron_p_values(sums, torch.from_numpy(drawn < 0))
            np.testing.assert_allclose(ours, result.pvalue, rtol=1e-12)
            said[name] = f"all {NEURONS:,} p-values equal under its draws"
        return said

    title = f"label permutations, {PERMUTATIONS:,} x {NEURONS:,} neurons, {DOCUMENTS} documents"
    return compete(title, "permutation", contenders, rounds, check), []
