"""Planted influence: the panel, true log influence of each neuron on each class, and loss changes around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.stats

from ..measurements import A, B, Panel
from .settings import Settings

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

VOCABULARY = 1000
THRESHOLD = 0.15
FIRST = 3
"""First scored position of a document."""
LEAST_LOSS = 6.0
"""Added to every planted loss, so that none is below 0; only differences of losses count."""
BASE = -5.0
"""Mean true log influence, log nats."""
BLOCK = 10
"""Neighbouring neurons that share noise."""
MIDDLE = 6
"""The middle band of the influence curve ends at rank 6 n_h (docs/methods.md#regimes-shape)."""
_SIGNS = np.array([-1, 1], dtype=np.float32)


@dataclass(frozen=True)
class Text:
    """Planted documents: the panel and, for each document, the token ids that it is made of."""

    panel: Panel
    input_ids: list[list[int]]


def planted_text(settings: Settings, rng: np.random.Generator) -> Text:
    """Documents of matched pairs in random order, with a loss that is higher on rare positions; ranks are token ids."""
    spread = settings.pairs_spread
    pairs = np.maximum(1, np.rint(settings.pairs * (1 + spread * rng.uniform(-1, 1, settings.documents)))).astype(
        np.int64
    )
    half = np.empty(settings.documents, dtype=np.int64)
    half[rng.permutation(settings.documents)] = (np.arange(settings.documents) >= (settings.documents + 1) // 2).astype(
        np.int64
    )
    if settings.sources:  # a source is in one half as a whole
        of_source = rng.permutation(settings.sources) % 2
        half = of_source[source_of(settings)].astype(np.int64)
    parts, input_ids, start = [], [], 0
    for d, count in enumerate(pairs.tolist()):
        length = 2 * count + settings.spare
        place = rng.permutation(length)
        label, match = np.full(length, B), np.full(length, -1)
        label[place[:count]] = A
        match[place[:count]] = start + place[count : 2 * count]
        ids = _tokens(label, rng)
        parts.append(
            (np.full(length, d), np.arange(FIRST, FIRST + length), ids[FIRST:-1], ids[FIRST + 1 :], label, match)
        )
        input_ids.append(ids.tolist())
        start += length
    document, position, given, target, label, match = (np.concatenate(column) for column in zip(*parts, strict=True))
    mood = 0.3 * rng.standard_normal(settings.documents)
    loss = LEAST_LOSS + rng.gamma(3.0, 1.0, len(document)) + mood[document] + settings.loss_gap * (label == A)
    panel = Panel(document, position, given, target, loss, given, target, half[document], label, match)
    return Text(panel, input_ids)


def source_of(settings: Settings) -> IntArray:
    """Source of each document, int64 [D]; without sources each has its own."""
    return np.arange(settings.documents, dtype=np.int64) % (settings.sources or settings.documents)


def _tokens(label: IntArray, rng: np.random.Generator) -> IntArray:
    """Token ids of one document whose targets belong to the classes of `label`, [FIRST + length + 1]."""
    common = round(THRESHOLD * VOCABULARY)
    target = np.where(label == A, rng.integers(common, VOCABULARY, len(label)), rng.integers(common, size=len(label)))
    return np.concatenate([rng.integers(common, size=FIRST + 1), target])


def true_log_influence(settings: Settings, scale: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """True log influence [2 (rare, common), N] and the planted plateau (largest on both classes), int64 [n_h].

    Parameters
    ----------
    scale : [N]
        Standardised covariate to which influence is linked.
    """
    link = settings.covariate_link
    free = _standard_law(settings.law, rng.random(settings.neurons))
    base = settings.influence_sd * (link * scale + np.sqrt(1 - link**2) * free)
    base = _gathered(base, settings, rng)
    order = np.argsort(-base, kind="stable")
    plateau = np.sort(order[: settings.n_head])
    base[plateau] = _bent(base[order], settings.flat_both, settings.raised_both, settings.n_head)[
        np.argsort(order[: settings.n_head])
    ]
    away = base - base.mean()
    related = base.mean() + settings.exponent * away + settings.curvature * (away**2 - away.var())
    out = np.stack([related, base]) + settings.scatter / np.sqrt(2) * rng.standard_normal((2, settings.neurons))
    out += settings.covariate_lean / 2 * np.outer([1, -1], scale)
    out[0] = out[0].mean() + (1 - settings.recruited) * (out[0] - out[0].mean()) + settings.class_shift
    out[0, plateau] += np.log1p(settings.specialists)
    own = np.argsort(-out[0], kind="stable")
    out[0, own[: settings.n_head]] = _bent(out[0, own], settings.flat_rare, settings.raised_rare, settings.n_head)
    return BASE + out, plateau.astype(np.int64)


def _standard_law(law: str, uniform: FloatArray) -> FloatArray:
    """Log influence of mean 0 and variance 1: normal, minimum Gumbel (Weibull), exponential (Pareto)."""
    euler, sd = np.euler_gamma, np.pi / np.sqrt(6)
    made: dict[str, FloatArray] = {
        "lognormal": scipy.stats.norm.ppf(uniform),
        "Weibull": (np.log(-np.log1p(-uniform)) + euler) / sd,
        "Pareto": -np.log1p(-uniform) - 1,
    }
    return made[law]


def _gathered(base: FloatArray, settings: Settings, rng: np.random.Generator) -> FloatArray:
    """The same values with a share of the largest moved to neighbouring indices."""
    count = round(settings.index_cluster * settings.n_head)
    if count == 0:
        return base
    start = int(rng.integers(settings.neurons - count))
    out = base.copy()
    for place, neuron in zip(
        range(start, start + count), np.argsort(-base, kind="stable")[:count].tolist(), strict=True
    ):
        at = int(np.flatnonzero(out == base[neuron])[0])
        out[place], out[at] = out[at], out[place]
    return out


def _bent(ordered: FloatArray, flat: float, raised: float, n_head: int) -> FloatArray:
    """Head of a sorted curve, [n_h], drawn to its last value by the share `flat` and lifted by `raised` log ranks."""
    head = ordered[:n_head]
    bent: FloatArray = head[-1] + (1 - flat) * (head - head[-1]) + raised * _middle_slope(ordered, n_head)
    return bent


def _middle_slope(ordered: FloatArray, n_head: int) -> float:
    """Absolute least-squares slope of log influence on log rank over the middle band."""
    ranks = np.arange(n_head + 1, min(MIDDLE * n_head, len(ordered)) + 1)
    return abs(float(np.polyfit(np.log(ranks), ordered[ranks - 1], 1)[0]))


def document_effects(settings: Settings, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Log effects of a document on a class, [D, 2], and of a document on a class and neuron, [D, 2, N]."""
    d = settings.documents
    of_class = settings.document_class_sd * rng.standard_normal((d, 2)) + settings.document_sd * rng.standard_normal(
        (d, 1)
    )
    of_neuron = settings.document_neuron_sd * rng.standard_normal((d, 2, settings.neurons))
    of_neuron[:, 0] *= settings.rare_noise
    if settings.source_neuron_sd > 0:
        own = settings.source_neuron_sd * rng.standard_normal((settings.sources, settings.neurons))
        of_neuron[:, 0] += own[source_of(settings)]
    return of_class, of_neuron


def loss_changes(
    settings: Settings, panel: Panel, truth: FloatArray, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Loss change of every position under ablation of every neuron, float32 [T, N] nats.

    |D| is lognormal around the true influence of its neuron on its class, up to one factor a class that all
    neurons share.
    """
    of_class, of_neuron = document_effects(settings, rng)
    return changes_around(settings, panel, truth[None] + of_class[..., None] + of_neuron, rng)


def changes_around(
    settings: Settings, panel: Panel, cell: FloatArray, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Loss changes whose logarithms scatter around `cell` [D, 2 (rare, common), N], float32 [T, N] nats."""
    t, n = len(panel), settings.neurons
    side = (panel.label != A).astype(np.int64)
    of_position = settings.loss_slope * (panel.loss - panel.loss.mean())
    noise = rng.standard_normal((t, n), dtype=np.float32)
    if settings.neighbours > 0:
        shared = rng.standard_normal((t, -(-n // BLOCK)), dtype=np.float32)
        noise *= np.float32(np.sqrt(1 - settings.neighbours))
        noise += np.float32(np.sqrt(settings.neighbours)) * np.repeat(shared, BLOCK, axis=1)[:, :n]
    sd = settings.position_sd * np.where(side == 0, settings.rare_noise, 1.0)
    noise *= sd[:, None].astype(np.float32)
    if settings.noise_spread > 0:  # each neuron's own noise, its mean influence as before
        own = np.exp(settings.noise_spread * rng.standard_normal(n))
        noise *= own.astype(np.float32)
        noise += (sd[:, None] ** 2 * (1 - own**2) / 2).astype(np.float32)
    if settings.rare_bursts > 0:
        burst = rng.random((t, n), dtype=np.float32) < 0.02
        high, low = np.log(settings.rare_bursts / 0.02), np.log((1 - settings.rare_bursts) / 0.98)
        noise[side == 0] += np.where(burst[side == 0], np.float32(high), np.float32(low))
    noise += cell.astype(np.float32)[panel.document, side]
    noise += of_position.astype(np.float32)[:, None]
    np.exp(noise, out=noise)
    noise *= _SIGNS[rng.integers(2, size=(t, 1))] * _SIGNS[rng.integers(2, size=n)]
    return noise
