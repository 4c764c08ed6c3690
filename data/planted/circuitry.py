"""Planted head effects and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ..measurements import Heads
from .influence import source_of
from .settings import Settings

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

HEAD_BASE = -2.0
"""Mean log head effect, log sd."""
ANISOTROPY = 0.3
"""Sd of the log scale of weight dimensions, the same for all neurons."""


@dataclass(frozen=True)
class PlantedHeads:
    """Head effects and what they scatter around: ``truth`` [H, 2, N], mean effect of each reachable single head, sd."""

    heads: Heads
    truth: FloatArray


def planted_heads(settings: Settings, plateau: IntArray, rng: np.random.Generator) -> PlantedHeads:
    """Effects of reachable heads, of unreachable ones (exactly 0), and of the whole layer (the sum of the first)."""
    h, d, n = settings.heads, settings.documents, settings.neurons
    centre = _log_effects(settings, plateau, rng)
    of_document = 0.2 * rng.standard_normal((1, d, 1)) + 0.15 * rng.standard_normal((1, d, 2))
    of_head = settings.head_document_sd * (rng.standard_normal((h, d, 1)) + rng.standard_normal((h, d, 2)))
    noise = rng.standard_normal((h, d, 2, n), dtype=np.float32)
    noise *= np.float32(settings.head_noise_sd)
    noise += (of_document + of_head).astype(np.float32)[..., None]
    noise += centre.astype(np.float32)[:, None]
    if settings.source_head_sd > 0:
        own = settings.source_head_sd * rng.standard_normal((h, settings.sources))[:, source_of(settings)]
        noise[:, :, 0, plateau] += own[..., None].astype(np.float32)
    single = np.exp(noise, out=noise)
    effect = np.concatenate(
        [single, np.zeros((settings.unreachable, d, 2, n), np.float32), single.sum(0, keepdims=True)]
    )
    head = np.concatenate([np.arange(h), np.arange(settings.unreachable), [-1]])
    layer = np.concatenate([np.zeros(h), np.ones(settings.unreachable), [0]]).astype(np.int64)
    reachable = np.concatenate([np.ones(h, bool), np.zeros(settings.unreachable, bool), [True]])
    heads = Heads(torch.from_numpy(effect), torch.arange(n), layer, head.astype(np.int64), reachable)
    spread = 0.2**2 + 0.15**2 + 2 * settings.head_document_sd**2 + settings.head_noise_sd**2
    return PlantedHeads(heads, np.exp(centre + spread / 2))


def _log_effects(settings: Settings, plateau: IntArray, rng: np.random.Generator) -> FloatArray:
    """True log effect of each head on each neuron for each class, [H, 2, N]."""
    h, n = settings.heads, settings.neurons
    head = np.sort(settings.head_sd * rng.standard_normal(h))[::-1][:, None, None]
    out = HEAD_BASE + head + 0.3 * rng.standard_normal(n) + settings.head_neuron_sd * rng.standard_normal((h, 1, n))
    out = out + 0.2 * np.array([1.0, 0.0])[:, None] + settings.head_class_sd * rng.standard_normal((h, 2, 1))
    out = out + settings.head_scatter * rng.standard_normal((h, 2, n))
    out[..., plateau] += settings.plateau_head_scale + settings.concentrated * head
    out[..., plateau] += settings.profile * rng.standard_normal((h, 2, 1))
    out[min(settings.router, h - 1), 0, plateau] += np.log1p(settings.routing)
    out[:, 0, plateau] += np.log1p(settings.routing_all)
    made: FloatArray = out
    return made


@dataclass(frozen=True)
class PlantedWeights:
    """Input and output weights, float32 [N, d] each."""

    w_in: npt.NDArray[np.float32]
    w_out: npt.NDArray[np.float32]


def norms(settings: Settings, rng: np.random.Generator) -> FloatArray:
    """Log norm of each neuron's output weights, [N]."""
    return 0.3 * rng.standard_normal(settings.neurons)


def planted_weights(
    settings: Settings, plateau: IntArray, log_norm: FloatArray, rng: np.random.Generator
) -> PlantedWeights:
    """Gaussian rows over unequal dimensions; the plateau's share a direction, or have few strong directions."""
    w_in, w_out = (_rows(settings, plateau, rng) for _ in range(2))
    if settings.weight_tail != 0:
        w_out[plateau] = _heavier(w_out[plateau], settings.weight_tail)
    w_out *= np.exp(log_norm)[:, None] / np.linalg.norm(w_out, axis=1, keepdims=True)
    return PlantedWeights(w_in.astype(np.float32), w_out.astype(np.float32))


def _rows(settings: Settings, plateau: IntArray, rng: np.random.Generator) -> FloatArray:
    dimension = np.exp(ANISOTROPY * rng.standard_normal(settings.width))
    rows = rng.standard_normal((settings.neurons, settings.width)) * dimension
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    shared = rng.standard_normal(settings.width) * dimension
    shared /= np.linalg.norm(shared)
    cosine = settings.weight_cluster
    rows[plateau] = np.sqrt(cosine) * shared + np.sqrt(1 - cosine) * rows[plateau]
    made: FloatArray = rows
    return made


def _heavier(rows: FloatArray, exponent: float) -> FloatArray:
    """Rows whose k-th singular value is divided by k^exponent."""
    u, s, v = np.linalg.svd(rows, full_matrices=False)
    made: FloatArray = (u * (s / np.arange(1, len(s) + 1) ** exponent)) @ v
    return made
