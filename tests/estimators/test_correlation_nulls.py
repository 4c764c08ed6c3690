"""Random correlation matrices against the moments that their formulae promise.

Monte-Carlo bounds are 4 to 5 standard errors with seeds fixed here: a bound that holds once holds always.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import optimize, stats

from neuronull.estimators import correlation_nulls as cn


def target(seed=0, n=20, observations=200, common=0.6):
    """A sample covariance with unequal variances and a common factor."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(observations, n)) * rng.uniform(0.5, 2.0, n) + common * rng.normal(size=(observations, 1))
    return np.cov(x.T)


def correlation(seed=0, n=20, observations=200, common=0.6):
    return cn.to_correlation(target(seed, n, observations, common))


def z_scores(draws, expected):
    """Deviation of the mean over draws [R, ...] from `expected`, in standard errors."""
    return (draws.mean(axis=0) - expected) / (draws.std(axis=0, ddof=1) / np.sqrt(len(draws)))


# --- HQS ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("common", [0.0, 0.6])
def test_hqs_has_the_targets_of_its_construction(common):
    r = correlation(common=common)
    upper = np.triu_indices(20, 1)
    off = r[upper]
    e, v = max(0.0, off.mean()), off.var()
    m = max(2, int((1 - e**2) / v))
    draws = cn.hqs(r, np.arange(3000))
    pairs = draws[:, upper[0], upper[1]]
    assert abs(z_scores(pairs.mean(axis=1), e)) < 4
    assert abs(z_scores(((pairs - e) ** 2).mean(axis=1), v)) < 4
    diagonal = np.einsum("rii->ri", draws).mean(axis=1)
    assert abs(z_scores(diagonal, np.sqrt(e**2 + m * v))) < 4
    assert diagonal.mean() == pytest.approx(1.0, abs=0.01)


def test_hqs_draws_are_positive_semi_definite_with_the_rank_of_the_formula():
    r = correlation(n=30, observations=12)
    off = r[np.triu_indices(30, 1)]
    m = max(2, int((1 - max(0.0, off.mean()) ** 2) / off.var()))
    values = np.linalg.eigvalsh(cn.hqs(r, np.arange(5)))
    assert m < 30
    assert (values > -1e-9).all()
    assert ((values > 1e-9).sum(axis=1) == m).all()


def test_hqs_takes_a_negative_mean_as_zero():
    r = np.eye(10) - 0.05 * (np.ones((10, 10)) - np.eye(10))
    r[0, 1] = r[1, 0] = 0.1
    draws = cn.hqs(r, np.arange(2000))
    upper = np.triu_indices(10, 1)
    assert abs(z_scores(draws[:, upper[0], upper[1]].mean(axis=1), 0.0)) < 4


# --- configuration model --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrix", [target(), correlation(), target(1, 30, 15), correlation(2, 8, 40, 0.0)])
def test_configuration_population_meets_its_constraints_exactly(matrix):
    population = cn.configuration_covariance(matrix)
    np.testing.assert_allclose(np.diag(population), np.diag(matrix), atol=1e-8)
    np.testing.assert_allclose(population.sum(axis=1), matrix.sum(axis=1), atol=1e-8)
    assert np.linalg.eigvalsh(population).min() > 0


def test_configuration_precision_has_the_form_of_largest_entropy():
    precision = np.linalg.inv(cn.configuration_covariance(target(3, 9)))
    # off the diagonal K_ij = b_i + b_j, so K_ij + K_kl = K_ik + K_jl for four distinct nodes
    for i, j, k, m in combinations(range(9), 4):
        assert precision[i, j] + precision[k, m] == pytest.approx(precision[i, k] + precision[j, m], abs=1e-7)


def test_configuration_population_against_a_general_optimiser():
    c = target(4, 5)
    free = np.triu_indices(5, 1)

    def unpack(x):
        s = np.diag(np.diag(c)).astype(float)
        s[free] = x
        s.T[free] = x
        return s

    def negative_entropy(x):
        sign, value = np.linalg.slogdet(unpack(x))
        return -value if sign > 0 else 1e6

    constraint = {"type": "eq", "fun": lambda x: unpack(x).sum(axis=1) - c.sum(axis=1)}
    found = optimize.minimize(
        negative_entropy, c[free], constraints=constraint, method="SLSQP", options={"ftol": 1e-13, "maxiter": 500}
    )
    np.testing.assert_allclose(cn.configuration_covariance(c), unpack(found.x), atol=1e-4)


def test_configuration_draws_keep_expected_variances_and_strengths():
    c = target(5)
    draws = cn.correlation_cm(c, 120, np.arange(2000))
    z_strength = z_scores(draws.sum(axis=2), c.sum(axis=1))
    z_variance = z_scores(np.einsum("rii->ri", draws), np.diag(c))
    assert np.abs(z_strength).max() < 4.5
    assert np.abs(z_variance).max() < 4.5
    s = cn.configuration_covariance(c).sum(axis=1)
    population = cn.configuration_covariance(c)
    spread = (np.diag(population) * s.sum() + s**2) / 120  # Var of a row sum of a Wishart matrix
    np.testing.assert_allclose(draws.sum(axis=2).var(axis=0), spread, rtol=0.2)


def test_a_target_that_no_positive_definite_matrix_meets_is_refused():
    with pytest.raises(ValueError, match="no positive definite"):
        cn.configuration_covariance(np.eye(3) - 0.5 * (np.ones((3, 3)) - np.eye(3)))  # every row sums to 0


# --- Wishart --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("t_eff", [5, 30, 47.5])
def test_wishart_has_its_mean_and_variance(t_eff):
    """Below n = 12 observations are drawn, above it Bartlett factors: both must obey the same formulae."""
    population = cn.configuration_covariance(target(6, 12))
    draws = cn.wishart(population, t_eff, np.arange(6000))
    assert np.abs(z_scores(draws, population)).max() < 5
    variance = (population**2 + np.outer(np.diag(population), np.diag(population))) / t_eff
    np.testing.assert_allclose(draws.var(axis=0), variance, rtol=0.2)
    assert (draws.var(axis=0) / variance).mean() == pytest.approx(1.0, abs=0.03)


def test_bartlett_has_the_law_of_sampled_observations():
    rng = np.random.default_rng(7)
    direct = []
    for _ in range(1500):
        x = rng.normal(size=(25, 4))
        direct.append(np.linalg.eigvalsh(x.T @ x / 25))
    ours = np.linalg.eigvalsh(cn.wishart(np.eye(4), 25, np.arange(1500)))
    for k in range(4):
        assert stats.ks_2samp(ours[:, k], np.array(direct)[:, k]).pvalue > 1e-3


# --- random matrix theory -------------------------------------------------------------------------------------------


def test_noise_stays_in_the_marchenko_pastur_band():
    r = correlation(8, 60, 400, common=0.0)
    assert (cn.global_mode(r, 400) == 0).all()
    draws = cn.random_matrix(r, 400, np.arange(20))
    largest = np.linalg.eigvalsh(draws)[:, -1].mean()
    assert largest == pytest.approx(cn.marchenko_pastur_edge(60, 400), rel=0.05)
    upper = np.triu_indices(60, 1)
    assert draws[:, upper[0], upper[1]].var() == pytest.approx(1 / 400, rel=0.05)


def test_the_global_mode_is_found_kept_and_removed():
    rng = np.random.default_rng(9)
    loading = rng.uniform(0.4, 0.8, 50)
    population = np.outer(loading, loading) + np.diag(1 - loading**2)
    r = cn.to_correlation(cn.wishart(population, 2000, [1])[0])
    np.testing.assert_allclose(cn.global_mode(r, 2000), loading, atol=0.08)
    left = cn.without_global_mode(r, 2000)
    upper = np.triu_indices(50, 1)
    assert abs(left[upper].mean()) < 0.02
    draws = cn.random_matrix(r, 2000, np.arange(30))
    assert draws[:, upper[0], upper[1]].std() == pytest.approx(left[upper].std(), rel=0.1)


def test_a_group_mode_is_not_in_the_random_matrices():
    rng = np.random.default_rng(10)
    x = (
        rng.normal(size=(500, 40))
        + 0.6 * rng.normal(size=(500, 1))
        + 0.8 * rng.normal(size=(500, 2))[:, np.arange(40) % 2]
    )
    r = np.corrcoef(x.T)
    draws = cn.random_matrix(r, 500, np.arange(50))
    observed = np.linalg.eigvalsh(cn.without_global_mode(r, 500))[-1]
    assert observed > 3 * np.linalg.eigvalsh(draws)[:, -1].max()


# --- Erdos-Renyi ----------------------------------------------------------------------------------------------------


def test_erdos_renyi_is_uniform_over_all_graphs():
    space = list(combinations(list(combinations(range(5), 2)), 3))
    place = {graph: i for i, graph in enumerate(space)}
    draws = cn.erdos_renyi(5, 3, np.arange(100 * len(space)))
    counts = np.bincount([place[tuple(map(tuple, edges.tolist()))] for edges in draws], minlength=len(space))
    assert stats.chisquare(counts).pvalue > 1e-3


def test_erdos_renyi_numbers_every_pair_once():
    for n in (2, 3, 50, 3000):
        pairs = n * (n - 1) // 2
        edges = cn.erdos_renyi(n, min(pairs, 2000), [3])[0]
        assert (edges[:, 0] < edges[:, 1]).all()
        assert edges.min() >= 0
        assert edges.max() < n
        assert len(np.unique(edges, axis=0)) == min(pairs, 2000)
    assert cn.erdos_renyi(4, 6, [0])[0].tolist() == [list(pair) for pair in combinations(range(4), 2)]


# --- contracts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "draw",
    [
        lambda seeds: cn.hqs(correlation(), seeds),
        lambda seeds: cn.correlation_cm(target(), 100, seeds),
        lambda seeds: cn.random_matrix(correlation(), 100, seeds),
        lambda seeds: cn.erdos_renyi(30, 60, seeds),
    ],
)
def test_draws_are_keyed(draw):
    seeds = np.array([5, 2**63 + 1, 9], dtype=np.uint64)
    whole = draw(seeds)
    assert np.array_equal(whole[::-1], draw(seeds[::-1]))
    assert np.array_equal(whole[1:2], draw(seeds[1:2]))
    assert not np.array_equal(whole[0], whole[1])
    assert len(draw(seeds[:0])) == 0


def test_to_correlation():
    c = target(11)
    r = cn.to_correlation(np.stack([c, 4 * c]))
    np.testing.assert_allclose(r[0], r[1])
    np.testing.assert_allclose(r[0], c / np.sqrt(np.outer(np.diag(c), np.diag(c))))
    assert (np.einsum("rii->ri", r) == 1).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cn.hqs(np.eye(4), [0]), "positive variance"),
        (lambda: cn.hqs(np.ones((2, 3)), [0]), "shape"),
        (lambda: cn.hqs(np.full((3, 3), np.nan), [0]), "not finite"),
        (lambda: cn.wishart(np.ones((3, 3)), 10, [0]), "not positive definite"),
        (lambda: cn.wishart(np.eye(3), 0.5, [0]), "t_eff is 0.5"),
        (lambda: cn.wishart(np.array([[1, 0.5], [0.1, 1]]), 9, [0]), "not symmetric"),
        (lambda: cn.to_correlation(np.zeros((2, 2))), "not positive"),
        (lambda: cn.erdos_renyi(4, 7, [0]), "0 to 6 edges"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
