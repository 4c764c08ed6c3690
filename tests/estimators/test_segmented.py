"""Broken lines against loops of ordinary least squares and curves whose knots are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from neuronull.estimators import regimes, segmented


def line_through(x, y, knots):
    """Ordinary least squares with hinges: residual sum of squares, and the slope of each band."""
    design = np.stack([np.ones_like(x), x, *(np.maximum(x - k, 0) for k in knots)], axis=1)
    found = np.linalg.lstsq(design, y, rcond=None)[0]
    return float(((design @ found - y) ** 2).sum()), np.cumsum(found[1:])


def best_of(x, y, candidates):
    """Knots, slopes and error of the best candidate, one fit after the other."""
    fits = [(*line_through(x, y, knots), knots) for knots in candidates]
    error, slopes, knots = min(fits, key=lambda f: f[0])
    return knots, slopes, error


def two_knots(n, first, second):
    """Log influence at ranks 1 to n: slopes -.1, -.8 and -3."""
    x = np.log(np.arange(1, n + 1))
    return -2 - 0.1 * x - 0.7 * np.maximum(x - math.log(first), 0) - 2.2 * np.maximum(x - math.log(second), 0)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_fits_are_the_loop_of_least_squares(k):
    rng = np.random.default_rng(k)
    x = np.sort(rng.uniform(0, 7, 25))
    curves = np.sort(rng.normal(size=(4, 25)), axis=1)[:, ::-1].copy()
    candidates = list(itertools.combinations(x[3:-3], k))
    given = torch.tensor(candidates, dtype=torch.float64).reshape(len(candidates), k)
    found = segmented.fit(torch.from_numpy(x), torch.from_numpy(curves), given)
    for i, y in enumerate(curves):
        knots, slopes, error = best_of(x, y, candidates)
        assert found.knots[i].tolist() == list(knots)
        assert found.slopes[i].tolist() == pytest.approx(slopes.tolist())
        assert float(found.error[i]) == pytest.approx(error)


def test_no_candidate_is_refused():
    x = torch.arange(9, dtype=torch.float64)
    with pytest.raises(ValueError, match="no candidate knots"):
        segmented.fit(x, x[None], torch.empty(0, 1, dtype=torch.float64))


def test_candidates_leave_every_band_room():
    ranks = segmented.thinned_ranks(1536)
    pairs = segmented.candidate_ranks(ranks, 2)
    assert ranks[0] == 1
    assert ranks[-1] == 1536
    assert (pairs[:, 1] >= 3 * pairs[:, 0]).all()
    assert int((ranks <= pairs.min()).sum()) == 4
    assert int((ranks >= pairs.max()).sum()) == 4
    every = [(a, b) for a in ranks[3:-3].tolist() for b in ranks[3:-3].tolist() if b >= 3 * a]
    assert sorted(map(tuple, pairs.tolist())) == sorted(every)


@pytest.mark.parametrize(("low", "high"), [(8, 40), (12, 90)])
def test_the_first_knot_of_a_curve_is_that_of_the_loop(low, high):
    for seed in range(3):
        influence = np.exp(np.random.default_rng(seed).normal(-3, 1 + seed / 2, 700))
        logs = np.log(np.sort(influence)[::-1])
        ranks = segmented.thinned_ranks(700).numpy()
        pairs = [(a, b) for a in ranks if low <= a <= high for b in ranks[::4] if 3 * a <= b < 700]
        knots, _, _ = best_of(np.log(ranks), logs[ranks - 1], [(math.log(a), math.log(b)) for a, b in pairs])
        assert regimes.knot_head(torch.from_numpy(influence), low, high) == round(math.exp(knots[0]))


def test_bic_prefers_the_planted_number_of_knots():
    x = np.log(segmented.thinned_ranks(1000).numpy())
    noise = np.random.default_rng(0).normal(0, 0.02, len(x))
    straight = -0.7 * x + noise
    bent = straight - 1.5 * np.maximum(x - x[60], 0)
    for curve, planted in ((straight, 0), (bent, 1)):
        found = [
            segmented.bic(best_of(x, curve, list(itertools.combinations(x[3:-3:3], k)))[2], len(x), k)
            for k in (0, 1, 2)
        ]
        assert int(np.argmin(found)) == planted


@pytest.fixture(scope="module")
def planted():
    """Sums of 40 documents [40, 900], positions, resamples: knots at ranks 30 and 300, neurons in no order."""
    rng = np.random.default_rng(5)
    order = rng.permutation(900)
    weight = rng.integers(3, 9, 40).astype(float)
    sums = np.exp(two_knots(900, 30, 300)[order] + rng.normal(0, 0.15, (40, 900))) * weight[:, None]
    counts = rng.multinomial(40, np.full(40, 1 / 40), 60).astype(float)
    return sums, weight, counts


def test_planted_knots_and_slopes_are_recovered_with_an_interval_around_them(planted):
    fits = regimes.curve_fits(*map(torch.from_numpy, planted))
    assert [len(f.knots) for f in fits] == [0, 1, 2]
    two = regimes.best_fit(fits)
    assert two is fits[2]
    assert two.knots == pytest.approx((30, 300), rel=0.12)
    assert two.slopes == pytest.approx((-0.1, -0.8, -3.0), abs=0.12)
    for knot, low, high in zip((30, 300), two.low, two.high, strict=True):
        assert low / 1.1 <= knot <= high * 1.1
        assert high < 1.6 * low
    assert two.rms < fits[1].rms < fits[0].rms


def test_intervals_are_those_of_a_loop_over_resampled_documents(planted):
    sums, weight, counts = planted
    sums = sums * np.exp(np.random.default_rng(1).normal(0, 1.5, sums.shape))  # knots that move with the documents
    ranks = segmented.thinned_ranks(900).numpy()
    x = np.log(ranks)
    places = []
    for drawn in counts:
        of_documents = [d for d, times in enumerate(drawn) for _ in range(int(times))]
        mean = sum(sums[d] for d in of_documents) / sum(weight[d] for d in of_documents)
        logs = np.log(np.sort(mean)[::-1])
        places.append(round(math.exp(best_of(x, logs[ranks - 1], [(k,) for k in x[3:-3]])[0][0])))
    one = regimes.curve_fits(*map(torch.from_numpy, (sums, weight, counts)))[1]
    places.sort()
    assert one.low == (places[math.floor(0.025 * (len(places) - 1))],)
    assert one.high == (places[math.ceil(0.975 * (len(places) - 1))],)
    assert one.sought == (ranks[3], ranks[-4])


def test_equal_input_gives_equal_bytes_wherever_it_lies_in_memory(planted):
    found = set()
    for size in range(1, 2000, 97):
        between = np.empty(size)  # kept, so that the copies below lie elsewhere
        found.add(regimes.curve_fits(*(torch.from_numpy(a.copy()) for a in planted)))
        del between
    assert len(found) == 1
