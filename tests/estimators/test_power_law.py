"""Power-law tails against `powerlaw.Fit` and a plain scan, and samples that have them against their law."""

from __future__ import annotations

import warnings

import numpy as np
import powerlaw
import pytest
import scipy.stats

from neuronull.estimators.power_law import Tails, resampled, tails


def by_powerlaw(sample: np.ndarray) -> tuple[float, float, float, int]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Standard error for the MLE")
        # the library would leave out exponents above 3
        fit = powerlaw.Fit(sample, parameter_ranges={"alpha": [1, None]}, verbose=0)
    return fit.alpha, fit.xmin, fit.D, int(fit.n_tail)


def samples_of(law: str, n: int, count: int = 4) -> np.ndarray:
    rng = np.random.default_rng(n)
    draw = {
        "lognormal": lambda: rng.lognormal(size=n),
        "Pareto": lambda: 1 + rng.pareto(1.5, size=n),
        "Weibull": lambda: rng.weibull(0.6, size=n),
        "shifted": lambda: np.concatenate([rng.uniform(0.01, 1, n // 2), 1 + rng.pareto(2, size=n - n // 2)]),
    }[law]
    return np.stack([draw() for _ in range(count)])


@pytest.mark.parametrize("n", [5, 40, 301])
@pytest.mark.parametrize("law", ["lognormal", "Pareto", "Weibull", "shifted"])
def test_the_fit_is_that_of_powerlaw(law: str, n: int):
    samples = samples_of(law, n)
    found = tails(samples)
    for row, sample in enumerate(samples):
        alpha, start, distance, size = by_powerlaw(sample)
        assert found.alpha[row] == pytest.approx(alpha, rel=1e-9)
        assert found.start[row] == start
        assert found.distance[row] == pytest.approx(distance, rel=1e-9)
        assert found.size[row] == size


def test_equal_values_are_one_step():
    sample = np.repeat([1.0, 1.5, 2.0, 4.0, 9.0], [7, 5, 3, 2, 1])
    found = tails(sample[None])
    best = (np.inf, 0.0)
    for start in np.unique(sample)[:-1]:
        tail = sample[sample >= start]
        alpha = 1 + len(tail) / np.log(tail / start).sum()
        steps = np.unique(tail)
        of_law = 1 - (steps / start) ** (1 - alpha)
        below = np.array([(tail < step).mean() for step in steps])
        at = np.array([(tail <= step).mean() if (tail == step).sum() > 1 else (tail < step).mean() for step in steps])
        if np.flatnonzero(np.sort(sample) == start)[0] < len(sample) - 2:
            best = min(best, (max(np.abs(of_law - below).max(), np.abs(of_law - at).max()), start))
    assert (found.distance[0], found.start[0]) == pytest.approx(best)


def test_a_mass_at_one_value_is_no_power_law():
    sample = np.concatenate([np.full(790, 1e-12), np.random.default_rng(4).lognormal(size=10)])
    found = tails(sample[None])
    assert found.start[0] > 1e-12
    assert found.size[0] <= 10


def test_a_planted_exponent_is_found():
    rng = np.random.default_rng(1)
    found = tails(3 * (1 + rng.pareto(1.4, size=(200, 2000))))
    # the start is chosen, so the exponent scatters more than with a start that is known
    assert found.alpha.mean() == pytest.approx(2.4, abs=0.03)


def test_units_and_order_change_nothing():
    sample = samples_of("lognormal", 200, 1)
    one, other = tails(sample), tails(1e-6 * sample[:, ::-1])
    np.testing.assert_allclose(one.alpha, other.alpha, rtol=1e-9)
    np.testing.assert_allclose(1e-6 * one.start, other.start, rtol=1e-12)
    assert one.size == other.size


def test_samples_are_fitted_alone_and_together_alike():
    samples = samples_of("Weibull", 400, 7)
    together = tails(samples)
    for row, sample in enumerate(samples):
        alone = tails(sample[None])
        for name in ("alpha", "start", "distance", "size"):
            assert getattr(alone, name)[0] == getattr(together, name)[row]


def test_what_is_drawn_has_the_fitted_tail_and_the_samples_body():
    rng = np.random.default_rng(2)
    sample = samples_of("shifted", 4000, 1)[0]
    law = Tails(np.array([3.0]), np.array([1.0]), np.array([0.0]), np.array([2000]))
    drawn = np.concatenate([resampled(sample, law, rng) for _ in range(5)])
    tail = drawn[drawn >= 1]
    assert abs(len(tail) - 10_000) < 5 * np.sqrt(20_000 / 4)
    assert scipy.stats.kstest(tail, scipy.stats.pareto(2).cdf).pvalue > 1e-4
    assert set(drawn[drawn < 1]) <= set(sample)


def test_a_law_that_holds_for_all_values_is_drawn_from_alone():
    sample = 1 + np.random.default_rng(3).pareto(2, size=50)
    law = Tails(np.array([3.0]), np.array([sample.min()]), np.array([0.0]), np.array([50]))
    assert (resampled(sample, law, np.random.default_rng(0)) >= sample.min()).all()


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.ones(9), "must be"),
        (np.ones((2, 3)), "at least 4"),
        (np.array([[1.0, 2.0, 0.0, 3.0]]), "above 0"),
        (np.array([[1.0, 2.0, np.nan, 3.0]]), "finite"),
        (np.ones((1, 9)), "equal"),
        (np.array([[1.0] * 9 + [2.0, 3.0]]), "equal"),
        (np.array([[1e-3] * 10 + [np.nextafter(1e-3, 1)] * 10]), "equal"),
    ],
)
def test_what_has_no_tail_is_refused(samples: np.ndarray, said: str):
    with pytest.raises(ValueError, match=said):
        tails(samples)
