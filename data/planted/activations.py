"""Planted activations: sparse, skewed neurons over Gaussian factors, so that their true correlations are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .influence import BLOCK
from .settings import Settings

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

SCALE_SD = 0.5
"""Standard deviation of log activation scale."""
DIFFUSE = 6
"""Diffuse factors on which all neurons load."""
FACTOR_DOCUMENT_SHARE = 0.3
"""Share of a factor's variance that lies between documents: positions of a document are not independent."""
LEAK = 0.05
"""Slope below the firing threshold."""
HERMITE = 16
"""Terms of the Hermite expansion by which the true correlations are had."""


@dataclass(frozen=True)
class Circuit:
    """How neurons load on factors.

    ``loadings`` [N, K]; ``own`` [N], standard deviation of what is a neuron's own (document and position together);
    ``document`` share of variance of each neuron's own document part; ``threshold`` [N] in latent sd; ``scale`` [N].
    """

    loadings: FloatArray
    own: FloatArray
    document: float
    threshold: FloatArray
    scale: FloatArray


def scales(settings: Settings, rng: np.random.Generator) -> FloatArray:
    """Log activation scale of each neuron, [N], mean 0 and sd `SCALE_SD`."""
    return SCALE_SD * rng.standard_normal(settings.neurons)


def circuit(settings: Settings, plateau: IntArray, log_scale: FloatArray, rng: np.random.Generator) -> Circuit:
    """Loadings on global mode, diffuse factors, blocks of neighbours, and the plateau's planted factors."""
    n = settings.neurons
    columns = [np.sqrt(settings.loading * rng.uniform(0, 2, n))[:, None]]
    strength = np.exp(settings.confounding * log_scale / SCALE_SD - settings.confounding**2)[:, None]
    diffuse = np.sqrt(settings.background / np.sqrt(DIFFUSE)) * _capped(rng.standard_normal((n, DIFFUSE)))
    columns.append(_strengthened(diffuse, strength))
    blocks = np.arange(n)[:, None] // BLOCK == np.arange(-(-n // BLOCK))
    columns.append(np.sqrt(settings.block_share) * blocks)
    columns.append(_planted(settings, plateau, rng))
    loadings = np.concatenate(columns, axis=1)
    own = np.sqrt(np.maximum(1 - (loadings**2).sum(1), 0.01))
    loadings /= np.sqrt((loadings**2).sum(1) + own**2)[:, None]
    own = np.sqrt(1 - (loadings**2).sum(1))
    low = -0.5 if np.isfinite(settings.sparsity) else -np.inf
    threshold = low + (settings.sparsity - low) * rng.random(n) if np.isfinite(low) else np.full(n, -np.inf)
    return Circuit(loadings, own, settings.document_share, threshold, np.exp(log_scale))


def _capped(x: FloatArray) -> FloatArray:
    """Normal loadings whose squares add up to at most twice their expectation: some variance stays a neuron's own."""
    total = (x**2).sum(1, keepdims=True)
    capped: FloatArray = x * np.sqrt(np.minimum(1.0, 2 * x.shape[1] / total))
    return capped


def _strengthened(loadings: FloatArray, strength: FloatArray) -> FloatArray:
    """Loadings times a strength a neuron, but never more than half of a neuron's latent variance."""
    total = (loadings**2).sum(1, keepdims=True)
    most = np.sqrt(0.5 / np.maximum(total, np.finfo(np.float64).tiny))
    stronger: FloatArray = loadings * np.minimum(strength, most)
    return stronger


def _planted(settings: Settings, plateau: IntArray, rng: np.random.Generator) -> FloatArray:
    """Loadings on planted factors: two modules of the plateau, all of it, the same with random signs, and a core."""
    out = np.zeros((settings.neurons, 5 if settings.core else 4))
    shuffled = rng.permutation(plateau)
    split = len(shuffled) // 2
    out[shuffled[:split], 0] = np.sqrt(settings.modules)
    out[shuffled[split:], 1] = np.sqrt(settings.modules)
    out[plateau, 2] = np.sqrt(settings.cohesion)
    if settings.core:
        out[shuffled[: settings.core_neurons], 4] = np.sqrt(settings.core)
    out[shuffled, 3] = np.sqrt(settings.mirrored) * np.where(np.arange(len(shuffled)) % 2, 1.0, -1.0)
    return out


def activations(c: Circuit, document: IntArray, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Activations at positions of the given documents, float32 [T, N]: leaky, thresholded latents."""
    t, documents = len(document), int(document.max()) + 1
    n, k = c.loadings.shape
    share = FACTOR_DOCUMENT_SHARE
    factors = (
        np.sqrt(1 - share) * rng.standard_normal((t, k))
        + np.sqrt(share) * rng.standard_normal((documents, k))[document]
    )
    latent = rng.standard_normal((t, n), dtype=np.float32) * np.float32(np.sqrt(1 - c.document))
    latent += np.float32(np.sqrt(c.document)) * rng.standard_normal((documents, n), dtype=np.float32)[document]
    latent *= c.own.astype(np.float32)
    latent += factors.astype(np.float32) @ c.loadings.T.astype(np.float32)
    return respond(latent, c.threshold.astype(np.float32)) * c.scale.astype(np.float32)


def respond(latent: npt.NDArray[np.float32], threshold: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What a neuron makes of its latent: slope 1 above the threshold, `LEAK` below; -inf leaves it linear."""
    if not np.isfinite(threshold).all():
        return latent
    above: npt.NDArray[np.float32] = np.maximum(latent - threshold, 0) + np.float32(LEAK) * latent
    return above


def true_correlation(c: Circuit) -> FloatArray:
    """Population correlations of the activations, [N, N].

    For jointly normal latents with correlation rho, Cov(f(x), g(y)) = sum_k f_k g_k rho^k over the coefficients of
    normalised Hermite polynomials (Mehler's formula); coefficients by quadrature on a fine grid.
    """
    rho = np.clip(c.loadings @ c.loadings.T, -1, 1)
    np.fill_diagonal(rho, 1.0)
    coefficients = _hermite_coefficients(c.threshold)
    total = np.zeros_like(rho)
    power = np.ones_like(rho)
    for k in range(1, HERMITE + 1):
        power = power * rho
        total += np.outer(coefficients[k], coefficients[k]) * power
    sd = np.sqrt(_variance(c.threshold))
    correlation: FloatArray = total / np.outer(sd, sd)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def _hermite_coefficients(threshold: FloatArray) -> FloatArray:
    """Coefficients E[f(x) h_k(x)] of the response by normalised Hermite polynomials, [HERMITE + 1, N]."""
    nodes, weights = _quadrature()
    response = _response_on(nodes, threshold)
    out = np.empty((HERMITE + 1, len(threshold)))
    before, now = np.zeros_like(nodes), np.ones_like(nodes)
    for k in range(HERMITE + 1):
        out[k] = (weights * now) @ response
        before, now = now, (nodes * now - np.sqrt(k) * before) / np.sqrt(k + 1)
    return out


def _variance(threshold: FloatArray) -> FloatArray:
    nodes, weights = _quadrature()
    response = _response_on(nodes, threshold)
    variance: FloatArray = weights @ response**2 - (weights @ response) ** 2
    return variance


def _quadrature() -> tuple[FloatArray, FloatArray]:
    """Fine grid of a standard normal: kinks at thresholds make Gauss-Hermite nodes converge slowly."""
    nodes = np.linspace(-7, 7, 1401)
    weights = np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()


def _response_on(nodes: FloatArray, threshold: FloatArray) -> FloatArray:
    if not np.isfinite(threshold).all():
        return np.repeat(nodes[:, None], len(threshold), axis=1)
    response: FloatArray = np.maximum(nodes[:, None] - threshold, 0) + LEAK * nodes[:, None]
    return response
