"""Coins of many replicates: bit for bit those of one generator a replicate."""

from __future__ import annotations

import numpy as np
import pytest

from neuronull.hypotheses.nulls.base import generator
from neuronull.hypotheses.nulls.coins import coins


@pytest.mark.parametrize("seed", [0, 7, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**64, 2**130 + 5])
@pytest.mark.parametrize("stream", ["", "x", "four", "fiver", "docswap", "much longer than eight"])
def test_every_bit_is_the_generators(seed, stream):
    for replicates in (range(1, 9), range(999_998, 1_000_003), range(2**32 - 2, 2**32)):
        found = coins(seed, replicates, stream, 37).numpy()
        expected = np.stack([generator(seed, r, stream).random(37) < 0.5 for r in replicates])
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 1000])
def test_any_number_of_coins(size):
    found = coins(3, range(1, 4), "docswap", size).numpy()
    assert found.shape == (3, size)
    np.testing.assert_array_equal(found[2], generator(3, 3, "docswap").random(size) < 0.5)


def test_coins_are_fair_and_differ():
    found = coins(0, range(1, 2001), "docswap", 64).numpy()
    assert len(np.unique(found, axis=0)) == 2000
    assert found.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(found.size))
    np.testing.assert_allclose(np.corrcoef(found.T) - np.eye(64), 0, atol=5 / np.sqrt(2000))
