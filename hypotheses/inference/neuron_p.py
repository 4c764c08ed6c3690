"""A permutation p-value for every neuron at once: does it do more for rare tokens than for common ones?

The rows of the suite ask about sets and whole layers.  This answers the question that comes next, which neurons; many
p-values need `multiplicity.adjust`.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ...estimators.class_means import ClassSums
from ...estimators.swap_counts import class_gaps, swap_counts
from .permutation import Alternative, FloatArray


def neuron_p_values(sums: ClassSums, swaps: Tensor, alternative: Alternative = "greater") -> FloatArray:
    """P-value of each neuron's difference of class means, rare less common, both halves added, [G * K].

    Parameters
    ----------
    sums
        Per-document sums, as of `Study.influence_sums`.
    swaps : bool [R, D]
        Drawn without the observed labels, as by `DocumentSwaps.draw`.
    alternative
        ``greater``: more for rare tokens.  Two-sided p is min(1, 2 min(p+, p-)).

    Notes
    -----
    (1 + b) / (1 + R), as of `permutation_p`; that of scipy.stats.permutation_test with ``permutation_type="samples"``.
    """
    counts = swap_counts(class_gaps(sums), swaps).numpy()
    high, low = (1 + counts) / (1 + len(swaps))
    if alternative == "two-sided":
        high = np.minimum(1.0, 2 * np.minimum(high, low))
    p: FloatArray = low if alternative == "less" else high
    return p
