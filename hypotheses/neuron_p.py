"""A permutation p-value for every neuron at once: does it do more for one condition than for the other?

The rows of the suite ask about sets and whole layers.  This answers the question that comes next, which neurons; so
many p-values need `inference.multiplicity.adjust`.
"""

from __future__ import annotations

from torch import Tensor

from ..estimators.class_means import ClassSums
from ..estimators.swap_counts import class_gaps, swap_counts
from .inference.permutation import Alternative, FloatArray, p_of_counts


def neuron_p_values(sums: ClassSums, swaps: Tensor, alternative: Alternative = "greater") -> FloatArray:
    """P-value of each neuron's difference of class means, condition a less b, both halves added, [G * K].

    Parameters
    ----------
    sums
        Per-document sums, as of `PreparedData.influence_sums`.
    swaps : bool [R, D]
        Drawn without the observed labels, as by `DocumentSwaps.draw`.
    alternative
        ``greater``: more for condition a.

    Notes
    -----
    That of scipy.stats.permutation_test with ``permutation_type="samples"``.
    """
    high, low = swap_counts(class_gaps(sums), swaps).numpy()
    return p_of_counts(high, low, len(swaps), alternative)
