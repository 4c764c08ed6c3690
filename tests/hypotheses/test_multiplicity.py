"""Adjustment over families against R's p.adjust, loops and closed testing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronull.hypotheses.inference.multiplicity import adjust

p_values = st.lists(st.floats(1e-6, 1), min_size=1, max_size=6)

P = [0.01, 0.04, 0.03, 0.005, 0.8]
IN_R = {  # p.adjust(P, method)
    "holm": [0.04, 0.09, 0.09, 0.025, 0.8],
    "fdr_bh": [0.025, 0.05, 0.05, 0.025, 0.8],
    "fdr_by": [0.05708333, 0.11416667, 0.11416667, 0.05708333, 1.0],
}


@pytest.mark.parametrize("method", IN_R)
def test_values_of_r(method):
    assert adjust(P, method).tolist() == pytest.approx(IN_R[method], abs=1e-7)


@given(p_values)
@settings(deadline=None, max_examples=8)  # statsmodels collects garbage at every call
def test_holm_is_the_closure_of_bonferroni(p):
    """Adjusted p: the largest Bonferroni p of any set that holds the row (Marcus, Peritz, Gabriel 1976)."""
    rows = range(len(p))
    sets = [s for size in range(1, len(p) + 1) for s in combinations(rows, size)]
    closed = [max(min(1, len(s) * min(p[i] for i in s)) for s in sets if k in s) for k in rows]
    assert adjust(p, "holm").tolist() == pytest.approx(closed)


@given(p_values)
@settings(deadline=None, max_examples=8)  # statsmodels collects garbage at every call
def test_false_discovery_rates_are_the_step_up_loop(p):
    for method, factor in (("fdr_bh", 1.0), ("fdr_by", sum(1 / k for k in range(1, len(p) + 1)))):
        order, q, best = np.argsort(p), [0.0] * len(p), 1.0
        for place in range(len(p) - 1, -1, -1):
            best = min(best, factor * p[order[place]] * len(p) / (place + 1))
            q[order[place]] = best
        assert adjust(p, method).tolist() == pytest.approx(q)


@given(p_values, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=8)  # statsmodels collects garbage at every call
def test_order_does_not_matter(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    for method in ("holm", "fdr_bh", "fdr_by"):
        assert adjust([p[i] for i in order], method).tolist() == pytest.approx(adjust(p, method)[order].tolist())


def test_nothing_to_adjust():
    assert adjust([], "holm").shape == (0,)
