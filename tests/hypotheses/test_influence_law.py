"""Which law the influence of the other neurons is taken to follow."""

from __future__ import annotations

import numpy as np
import pytest

from neuronull.hypotheses.nulls.influence_law import LAWS, NEAR, fitting

NEURONS, HEAD, NOISE = 640, 11, 0.1


def fits(law: str, seed: int):
    rng = np.random.default_rng(seed)
    logs = LAWS[law].drawn(rng, NEURONS) + NOISE * rng.standard_normal(NEURONS)
    found = fitting(NEURONS, HEAD)
    return found.nearest(logs, NOISE), found.cautious(logs, NOISE)


@pytest.mark.parametrize("law", LAWS)
def test_a_doubt_about_the_tail_counts_against_flatness(law: str):
    for seed in range(20):
        nearest, taken = fits(law, seed)
        assert LAWS[taken.law].exponential <= LAWS[nearest.law].exponential
        assert taken.gap <= NEAR * nearest.gap
        assert LAWS[taken.law].gumbel is LAWS[nearest.law].gumbel


def test_lognormal_influence_is_taken_for_lognormal():
    """The nearest law has a power-law tail in about a third of the samples, whose head is steeper."""
    nearest, taken = zip(*(fits("lognormal", seed) for seed in range(100)), strict=True)
    assert sum(one.law == "lognormal" for one in nearest) < 80
    assert sum(one.law == "lognormal" for one in taken) > 80
    assert all(LAWS[one.law].exponential < 0.5 for one in taken[:50])


def test_a_clear_tail_is_seen():
    assert sum(LAWS[fits("power law", seed)[1].law].exponential >= 0.5 for seed in range(50)) > 40
