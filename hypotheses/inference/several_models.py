"""From the rows of a claim to its p in one model, and from several models to how many of them show it.

docs/methods.md#several-models.  Numbers in, numbers out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClaimP:
    """P-values of one claim in one model: that it holds as published, and that it is false."""

    holds: float
    fails: float


NOTHING = ClaimP(1.0, 1.0)
"""Of a row that was not run."""


def of_claim(rows: Sequence[ClaimP]) -> ClaimP:
    """P of a claim from those of all its rows (`NOTHING` for one that was not run).

    A claim holds where each of its rows does: the largest p (intersection-union test, Berger 1982).  It fails where any
    does: the smallest, times the number of rows (Bonferroni).
    """
    if not rows:
        return NOTHING
    return ClaimP(max(row.holds for row in rows), min(1.0, len(rows) * min(row.fails for row in rows)))


def partial_conjunction(p: Sequence[float]) -> list[float]:
    """P of "in at least u of these m models", u = 1 ... m.

    (m - u + 1) p_(u), p_(u) the u-th smallest, made monotone in u and at most 1 (Benjamini, Heller 2008, section 3): of
    any m - u + 1 of the models at least one must show it, and the largest p that Bonferroni gives to such a choice is
    this one.  It holds under any dependence.
    """
    m = len(p)
    factor = m - np.arange(m)
    found: list[float] = np.minimum(1.0, np.maximum.accumulate(factor * np.sort(p))).tolist()
    return found
