"""Planted effects on whole distributions: what ablating each neuron does, and the weights that go with it.

Two groups of neurons are marked, the entropy neurons and the token-frequency neurons.  Every strength is 0 by default:
then the marked neurons are like all others, in weights and in effects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ..measurements import EFFECTS, Effects
from .influence import document_effects
from .settings import Settings

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

BASE = {"loss": -5.0, "entropy": -5.3, "unigram": -5.3, "direct": -5.1, "frequency": -5.1}
"""Mean log size of each effect, log nats per position."""
OWN_SD = {"loss": 0.05, "entropy": 0.3, "unigram": 0.3, "direct": 0.15, "frequency": 0.1}
"""Sd over neurons of the part of each log effect that the others do not have."""
CONFOUNDED = {"unigram": 1.0, "direct": -1.0, "frequency": -1.0}
"""Sign with which an effect, relative to that on the loss, follows activation scale where they are confounded."""
NORM_SD = 0.3
LOGIT_SD = 0.7
"""Sd over neurons of log output norm, and about that of the logits of the two shares of it."""
BALANCE_SD = 0.5
"""Spread of how far effects of both signs cancel."""


@dataclass(frozen=True)
class Marked:
    """The neurons on which effects are planted, int64 [n_h] each; no neuron is in both."""

    entropy: IntArray
    token: IntArray


@dataclass(frozen=True)
class PlantedEffects:
    """Effects, and ``truth``, their expectation given the neurons and the documents' numbers of pairs."""

    effects: Effects
    truth: Effects


def marked(settings: Settings, rng: np.random.Generator) -> Marked:
    """Two groups of neurons at random places, each as large as the set under test."""
    drawn = rng.permutation(settings.neurons)[: 2 * settings.n_head]
    return Marked(np.sort(drawn[: settings.n_head]), np.sort(drawn[settings.n_head :]))


@dataclass(frozen=True)
class WeightShifts:
    """What is added to log output norm and, in logits, to the two shares of it, [N] each; 0 without effects."""

    log_norm: FloatArray
    weak: FloatArray
    frequency: FloatArray

    def shares(self, weak: FloatArray, frequency: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The share in weak directions and that along token frequency, shifted."""
        return _shifted(weak, self.weak), _shifted(frequency, self.frequency)


def weight_shifts(settings: Settings, groups: Marked, log_scale: FloatArray) -> WeightShifts:
    """How output weights depart from those of a world without effects: by activation scale, and on marked neurons."""
    follows = settings.effect_confounding * log_scale / log_scale.std()
    log_norm, weak, frequency = NORM_SD * follows, LOGIT_SD * follows, LOGIT_SD * follows
    log_norm[groups.entropy] += settings.entropy_norm
    weak[groups.entropy] += settings.entropy_weak
    frequency[groups.token] += settings.token_direction
    return WeightShifts(log_norm, weak, frequency)


def _shifted(share: FloatArray, by: FloatArray) -> FloatArray:
    """Shares with `by` added to their logits; exactly as they were where that is 0."""
    out: FloatArray = np.where(by == 0, share, share * np.exp(by) / (1 - share + share * np.exp(by)))
    return out


def planted_effects(
    settings: Settings, pairs: IntArray, groups: Marked, log_scale: FloatArray, scale: FloatArray,
    rng: np.random.Generator,
) -> PlantedEffects:  # fmt: skip
    """Sums of effects over the matched positions of each document.

    Parameters
    ----------
    pairs : [D]
        Matched pairs of each document.
    groups
        The marked neurons.
    log_scale, scale : [N]
        Log activation scale; standardised sum of it and log output norm, to which the size of all effects is linked.
    """
    log_effect = _true_log_effects(settings, groups, log_scale, scale, rng)
    of_class, of_neuron = document_effects(settings, rng)
    shape = (len(EFFECTS), settings.documents, 2, settings.neurons)
    noise = settings.effect_noise_sd * rng.standard_normal(shape)
    per_position = np.exp(log_effect[:, None] + of_class[..., None] + of_neuron + noise)
    count = pairs.astype(np.float64)[:, None, None]
    absolute = count * per_position
    cancels = BALANCE_SD * (
        rng.standard_normal((len(EFFECTS), 1, 1, settings.neurons)) + rng.standard_normal(shape[1:])
    )
    variance = sum(
        sd**2
        for sd in (
            settings.document_sd, settings.document_class_sd, settings.document_neuron_sd, settings.effect_noise_sd
        )
    )  # fmt: skip
    expected = count * np.exp(log_effect + variance / 2)[:, None]
    balance = np.tanh(cancels)
    return PlantedEffects(
        Effects(_tensor(balance * absolute), _tensor(absolute)),
        Effects(torch.from_numpy(balance * expected), torch.from_numpy(expected)),
    )


def _true_log_effects(
    settings: Settings, groups: Marked, log_scale: FloatArray, scale: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Log size of each effect, condition and neuron, [5, 2, N]."""
    n, link = settings.neurons, settings.covariate_link
    size = settings.influence_sd * (link * scale + np.sqrt(1 - link**2) * rng.standard_normal(n))
    lean = settings.scatter / np.sqrt(2) * rng.standard_normal((2, n)) + settings.class_shift * np.array([[1.0], [0.0]])
    follows = settings.effect_confounding * log_scale / log_scale.std()
    own = {name: OWN_SD[name] * (rng.standard_normal(n) + CONFOUNDED.get(name, 0.0) * follows) for name in EFFECTS}
    own["direct"][groups.entropy] += np.log1p(-settings.entropy_scale)
    own["frequency"][groups.entropy] += np.log1p(-settings.entropy_frequency)
    own["frequency"][groups.token] += np.log1p(-settings.token_effect)
    own["unigram"][groups.token] += settings.token_unigram
    of_loss = own["loss"]
    return np.stack([
        BASE[name] + size + lean + own[name] + (of_loss if name in ("direct", "frequency") else 0.0)
        for name in EFFECTS
    ])  # fmt: skip


def _tensor(array: FloatArray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))
