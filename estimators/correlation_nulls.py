"""Random correlation matrices and graphs: what a correlation graph without modules looks like, by several definitions.

Pure generators: a target, one uint64 key a draw, draws out.  Draw r is a function of its own key alone (a Philox stream
with that key), so it is the same in any batch.  What each generator keeps:

- `hqs`: mean and variance of the off-diagonal entries and the mean of the diagonal;
- `correlation_cm`: the expected variance and the expected strength (row sum) of every neuron;
- `random_matrix`: the global mode, as a population with one common factor; then removed;
- `erdos_renyi`: the number of edges.

All Wishart draws are second moments about a known mean of 0 (``E[draw]`` is the population exactly).  `to_correlation`
turns a draw into a correlation matrix where the statistic wants a unit diagonal.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .leiden import FloatArray, IntArray

_NEWTON_STEPS = 200
_RESIDUAL = 1e-9
"""Largest deviation from a target, in units of the mean variance, at which the configuration model is solved."""


def hqs(covariance: npt.ArrayLike, seeds: npt.ArrayLike) -> FloatArray:
    """Random covariance matrices of Hirschberger, Qi, Steuer 2007 (Eur. J. Oper. Res. 177:1610).

    C = X X^T, X [n, m] independent normal with mean mu = sqrt(e / m) and variance -mu^2 + sqrt(mu^4 + v / m),
    m = max(2, floor((d^2 - e^2) / v)), for mean diagonal d, mean e and variance v of the off-diagonal entries
    (Zalesky, Fornito, Bullmore 2012, NeuroImage 60:2096, use it for correlation graphs).

    Parameters
    ----------
    covariance
        [n, n] symmetric; a correlation matrix is one.  A negative mean off-diagonal is taken as 0: the construction
        has no other.
    seeds
        uint64 [R], one key a draw.

    Returns
    -------
    float64 [R, n, n]
        Positive semi-definite draws of rank at most m.  Expected off-diagonal mean e and variance v; expected diagonal
        sqrt(e^2 + m v), which is d up to the rounding of m.
    """
    c = _check_covariance(covariance, smallest=2)
    n = len(c)
    off = c[np.triu_indices(n, 1)]
    d, e, v = float(np.diag(c).mean()), max(0.0, float(off.mean())), float(off.var())
    if v <= 0.0:
        raise ValueError("all off-diagonal entries are equal; HQS matrices need a positive variance")
    m = max(2, int((d * d - e * e) / v))
    mu = np.sqrt(e / m)
    sigma = np.sqrt(np.sqrt(mu**4 + v / m) - mu**2)
    draws = []
    for rng in _generators(seeds):
        x = mu + sigma * rng.standard_normal((n, m))
        draws.append(x @ x.T)
    return _stack(draws, n)


def correlation_cm(covariance: npt.ArrayLike, t_eff: float, seeds: npt.ArrayLike) -> FloatArray:
    """Configuration model for correlation matrices (Masuda, Kojaku, Sano 2018, Phys. Rev. E 98:012312).

    Sample covariances of `t_eff` normal observations whose population is `configuration_covariance`.  Where many
    batches are drawn from one target, solve that once and draw with `wishart`.

    Parameters
    ----------
    covariance
        [n, n] symmetric target, n at least 3.
    t_eff
        Effective number of observations behind `covariance`.
    seeds
        uint64 [R], one key a draw.

    Returns
    -------
    float64 [R, n, n]
        Draws whose expected diagonal and expected row sums are those of the target.
    """
    return wishart(configuration_covariance(covariance), t_eff, seeds)


def configuration_covariance(covariance: npt.ArrayLike) -> FloatArray:
    """Population of largest entropy with the variances and the row sums of a given covariance.

    The maximum is a normal law with precision K_ij = b_i + b_j off the diagonal and K_ii = a_i + 2 b_i on it (Masuda,
    Kojaku, Sano 2018); a and b maximise log det K - tr(K C), which is concave, here by Newton's method with
    step halving.

    Parameters
    ----------
    covariance
        [n, n] symmetric, n at least 3, positive variances.  May be singular, as with fewer observations than neurons,
        as long as some positive definite matrix has its variances and row sums.

    Returns
    -------
    float64 [n, n]
        The population covariance.
    """
    c = _check_covariance(covariance, smallest=3)
    variance, strength = np.diag(c).copy(), c.sum(axis=1)
    scale = float(variance.mean())
    a, b = 1.0 / variance, np.zeros(len(c))
    sigma: FloatArray = np.diag(variance)
    for _ in range(_NEWTON_STEPS):
        residual = np.concatenate([np.diag(sigma) - variance, sigma.sum(axis=1) - strength])
        if np.abs(residual).max() <= _RESIDUAL * scale:
            return sigma
        try:
            step_a, step_b, slope = _newton_step(sigma, residual)
            length = _step_length(c, (a, b), (step_a, step_b), slope)
            if length == 0.0:
                break
            a, b = a + length * step_a, b + length * step_b
            inverse = np.linalg.inv(_precision(a, b))
        except np.linalg.LinAlgError:  # on the way to a target that has no solution; rounding decides where it shows
            break
        sigma = np.asarray(0.5 * (inverse + inverse.T))
    raise ValueError(
        "no positive definite matrix with these variances and row sums was found; the target is singular in a "
        "direction that they fix, so use more observations or fewer neurons"
    )


def _precision(a: FloatArray, b: FloatArray) -> FloatArray:
    """K = diag(a) + b 1^T + 1 b^T."""
    return np.asarray(np.diag(a) + b[:, None] + b[None, :])


def _newton_step(sigma: FloatArray, residual: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Newton direction (a, b) of log det K - tr(K C) at K = sigma^-1, and its slope along that direction."""
    n, s = len(sigma), sigma.sum(axis=1)
    curvature = np.empty((2 * n, 2 * n))
    curvature[:n, :n] = sigma * sigma
    curvature[:n, n:] = 2.0 * sigma * s[:, None]
    curvature[n:, :n] = curvature[:n, n:].T
    curvature[n:, n:] = 2.0 * (sigma * s.sum() + np.outer(s, s))
    gradient = np.concatenate([residual[:n], 2.0 * residual[n:]])
    step = np.linalg.solve(curvature, gradient)
    return step[:n], step[n:], float(gradient @ step)


def _step_length(
    c: FloatArray, at: tuple[FloatArray, FloatArray], step: tuple[FloatArray, FloatArray], slope: float
) -> float:
    """Largest of 1, 1/2, 1/4, ... that keeps K positive definite and gains a quarter of the slope; 0 if none does."""
    start = _objective(c, _precision(*at))
    length = 1.0
    while length > 1e-12:
        value = _objective(c, _precision(at[0] + length * step[0], at[1] + length * step[1]))
        # near the optimum the gain drowns in rounding, and the full step is right
        if value >= start + 0.25 * length * slope - 1e-12 * abs(start):
            return length
        length *= 0.5
    return 0.0


def _objective(c: FloatArray, precision: FloatArray) -> float:
    """Return log det K - tr(K C), or -inf where K is not positive definite."""
    try:
        factor = np.linalg.cholesky(precision)
    except np.linalg.LinAlgError:
        return -np.inf
    return float(2.0 * np.log(np.diag(factor)).sum() - (precision * c).sum())


def wishart(covariance: npt.ArrayLike, t_eff: float, seeds: npt.ArrayLike) -> FloatArray:
    """Sample covariances (second moments about 0) of `t_eff` normal observations.

    From n observations on by Bartlett's decomposition, which takes a `t_eff` that is no whole number; below that from
    the observations themselves, their number rounded.

    Parameters
    ----------
    covariance
        [n, n] positive definite population.
    t_eff
        Effective number of observations, at least 1.
    seeds
        uint64 [R], one key a draw.

    Returns
    -------
    float64 [R, n, n]
        Draws with mean `covariance` and Var(C_ij) = (S_ij^2 + S_ii S_jj) / t_eff.
    """
    population = _check_covariance(covariance, smallest=1)
    _check_observations(t_eff)
    try:
        factor = np.linalg.cholesky(population)
    except np.linalg.LinAlgError:
        raise ValueError("the population covariance is not positive definite") from None
    draws = []
    for rng in _generators(seeds):
        root = factor @ _standard_root(len(population), t_eff, rng)
        draws.append(root @ root.T)
    return _stack(draws, len(population))


def _standard_root(n: int, t_eff: float, rng: np.random.Generator) -> FloatArray:
    """Random A with E[A A^T] = 1 and A A^T t_eff a standard Wishart matrix."""
    if t_eff < n:
        observations = round(t_eff)
        return np.asarray(rng.standard_normal((n, observations)) / np.sqrt(observations))
    root = np.tril(rng.standard_normal((n, n)), -1)
    root[np.arange(n), np.arange(n)] = np.sqrt(rng.chisquare(t_eff - np.arange(n)))
    return np.asarray(root / np.sqrt(t_eff))


def marchenko_pastur_edge(n: int, t_eff: float) -> float:
    """Edge of the spectrum of the correlations of n independent neurons, (1 + sqrt(n / t_eff))^2.

    Marchenko, Pastur 1967 (Math. USSR Sb. 1:457), for n and `t_eff` large.
    """
    return float((1.0 + np.sqrt(n / t_eff)) ** 2)


def global_mode(r: npt.ArrayLike, t_eff: float) -> FloatArray:
    """Leading eigen-component of a correlation matrix if it stands out of the noise band, else zeros.

    Parameters
    ----------
    r
        [n, n] correlations.
    t_eff
        Effective number of observations; 1 / var(r) under document permutation
        (docs/methods.md#effective-observations).

    Returns
    -------
    float64 [n]
        g with g g^T = lambda_1 v_1 v_1^T where lambda_1 exceeds `marchenko_pastur_edge`; its sum is not negative.
    """
    c = _check_covariance(r, smallest=2)
    _check_observations(t_eff)
    values, vectors = np.linalg.eigh(c)
    if values[-1] <= marchenko_pastur_edge(len(c), t_eff):
        return np.zeros(len(c))
    g = np.sqrt(values[-1]) * vectors[:, -1]
    return np.asarray(g if g.sum() >= 0 else -g)


def without_global_mode(r: npt.ArrayLike, t_eff: float) -> FloatArray:
    """Correlations [n, n] less their `global_mode`: what is compared with draws of `random_matrix`."""
    g = global_mode(r, t_eff)
    return np.asarray(np.asarray(r, dtype=np.float64) - np.outer(g, g))


def random_matrix(r: npt.ArrayLike, t_eff: float, seeds: npt.ArrayLike) -> FloatArray:
    """Noise of a correlation matrix with at most a global mode, that mode removed.

    MacMahon, Garlaschelli 2015 (Phys. Rev. X 5:021006) write C = C_noise + C_global + C_group.  A draw is a sample
    correlation matrix of `t_eff` observations from a population with one common factor, the `global_mode` of `r`, and
    nothing else; then `without_global_mode` is applied to it.  Apply the same to the observed matrix before comparing.

    Parameters
    ----------
    r
        [n, n] correlations.
    t_eff
        Effective number of observations.
    seeds
        uint64 [R], one key a draw.

    Returns
    -------
    float64 [R, n, n]
        C_noise of each draw.  Without a global mode in `r`: correlations of independent neurons, variance 1 / t_eff.
    """
    g = global_mode(r, t_eff)
    population = np.outer(g, g)
    np.fill_diagonal(population, 1.0)
    samples = to_correlation(wishart(population, t_eff, seeds))
    return _stack([without_global_mode(sample, t_eff) for sample in samples], len(g))


def to_correlation(covariance: npt.ArrayLike) -> FloatArray:
    """Divide covariances [..., n, n] by both standard deviations; the diagonal becomes exactly 1."""
    c = np.array(covariance, dtype=np.float64)
    variance = np.diagonal(c, axis1=-2, axis2=-1)
    if (variance <= 0).any():
        raise ValueError("a variance is not positive; leave out constant neurons")
    sd = np.sqrt(variance)
    c /= sd[..., :, None] * sd[..., None, :]
    index = np.arange(c.shape[-1])
    c[..., index, index] = 1.0
    return c


def erdos_renyi(n: int, m: int, seeds: npt.ArrayLike) -> IntArray:
    """Uniform simple graphs with `n` nodes and `m` edges (Erdos, Renyi 1959).

    Parameters
    ----------
    n, m
        Numbers of nodes and of edges.
    seeds
        uint64 [R], one key a draw.

    Returns
    -------
    int64 [R, m, 2]
        Edges i < j in row order.
    """
    pairs = n * (n - 1) // 2
    if not 0 <= m <= pairs:
        raise ValueError(f"m is {m}; a simple graph of {n} nodes has 0 to {pairs} edges")
    draws = [np.sort(rng.choice(pairs, m, replace=False, shuffle=False)) for rng in _generators(seeds)]
    index = np.array(draws, dtype=np.int64).reshape(len(draws), m)
    # pairs counted from the last row: row n-2-k holds k+1 of them, so sqrt inverts k (k+1) / 2
    from_end = pairs - 1 - index
    k = ((np.sqrt(8.0 * from_end + 1.0) - 1.0) / 2.0).astype(np.int64)
    i = n - 2 - k
    j = n - 1 - (from_end - k * (k + 1) // 2)
    return np.stack([i, j], axis=2)


def _generators(seeds: npt.ArrayLike) -> list[np.random.Generator]:
    """One counter-based generator for each key."""
    keys = np.atleast_1d(np.asarray(seeds)).astype(np.uint64)
    return [np.random.Generator(np.random.Philox(key=int(key))) for key in keys]


def _stack(draws: list[FloatArray], n: int) -> FloatArray:
    """Draws as [R, n, n], also for R = 0."""
    return np.array(draws, dtype=np.float64).reshape(len(draws), n, n)


def _check_observations(t_eff: float) -> None:
    if not 1 <= t_eff < np.inf:
        raise ValueError(f"t_eff is {t_eff}; expected a finite number of observations, at least 1")


def _check_covariance(covariance: npt.ArrayLike, smallest: int) -> FloatArray:
    """The matrix as float64 [n, n], or a ValueError that says what is wrong."""
    c = np.array(covariance, dtype=np.float64)
    if c.ndim != 2 or c.shape[0] != c.shape[1] or len(c) < smallest:
        raise ValueError(f"the matrix has shape {c.shape}; expected [n, n] with n at least {smallest}")
    if not np.isfinite(c).all():
        raise ValueError("the matrix has entries that are not finite; leave out constant neurons")
    if not np.allclose(c, c.T, rtol=1e-8, atol=1e-10 * np.abs(c).max()):
        raise ValueError("the matrix is not symmetric")
    if (np.diag(c) <= 0).any():
        raise ValueError("a variance is not positive; leave out constant neurons")
    return c
