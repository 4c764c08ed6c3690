"""Adjustment of p-values over a family (Holm) and over the suite (Benjamini-Hochberg), by statsmodels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt


def adjust(p_values: Sequence[float], method: Literal["holm", "fdr_bh", "fdr_by"]) -> npt.NDArray[np.float64]:
    """Adjusted p-values in the order given; empty for none.

    ``holm``: Holm (1979), family-wise; ``fdr_bh``: Benjamini, Hochberg (1995); ``fdr_by``: Benjamini, Yekutieli (2001).
    """
    if len(p_values) < 2:  # statsmodels would collect garbage, half a second, to leave one p as it is
        return np.array(p_values, dtype=np.float64)
    from statsmodels.stats.multitest import multipletests

    adjusted: npt.NDArray[np.float64] = multipletests(np.asarray(p_values, dtype=np.float64), method=method)[1]
    return adjusted
