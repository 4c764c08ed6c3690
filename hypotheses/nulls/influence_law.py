"""Influence drawn from a smooth law, with each neuron's own noise, ranked and fitted as the data are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import ndtri

from ...estimators.regimes import FLOOR, MIDDLE
from .base import NullModel, Observed, generator, need, stack

FloatArray: TypeAlias = npt.NDArray[np.float64]

GUMBEL_SCALE = np.sqrt(6) / np.pi
"""Scale at which a Gumbel law has variance 1; its mean then lies `np.euler_gamma` scales from its mode."""
NOISE = np.array([0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0])
"""Ratios of noise to the law's spread for which quantiles are made; between them they are interpolated."""
NEAR = 1.5
"""A law fits nearly as well as the nearest if its gap is at most so many times that one's."""
_GRID, _NORMAL = 1024, 33
"""Quantiles of a law's long-tailed part and of its normal one that tables of their sum are made of."""


@dataclass(frozen=True)
class Law:
    """A law of *log* influence with mean 0 and variance 1: shares of variance of a normal and an exponential part.

    ``gumbel`` is the minimum Gumbel law instead (influence Weibull).  A normal law is lognormal influence, an
    exponential one a power law, and a sum of both the upper tail of the double Pareto-lognormal law (Reed, Jorgensen
    2004, *Commun. Stat.* 33:1733).
    """

    exponential: float = 0.0
    gumbel: bool = False

    def drawn(self, rng: np.random.Generator, n: int) -> FloatArray:
        """A sample [n]."""
        if self.gumbel:
            return np.asarray(GUMBEL_SCALE * (np.log(rng.standard_exponential(n)) + np.euler_gamma))
        tail = rng.standard_exponential(n) - 1
        return np.asarray(np.sqrt(self.exponential) * tail + np.sqrt(1 - self.exponential) * rng.standard_normal(n))

    def with_noise(self, noise: float) -> FloatArray:
        """Values, all as probable and in no order, of the law plus normal noise of this standard deviation."""
        u = (np.arange(_GRID) + 0.5) / _GRID
        few = (np.arange(_NORMAL) + 0.5) / _NORMAL
        normal = ndtri(few) / ndtri(few).std()
        if self.gumbel:
            main, rest = GUMBEL_SCALE * (np.log(-np.log1p(-u)) + np.euler_gamma), noise
        elif self.exponential > 0:
            main = np.sqrt(self.exponential) * (-np.log1p(-u) - 1)
            rest = np.sqrt(1 - self.exponential + noise**2)
        else:
            return np.asarray(np.sqrt(1 + noise**2) * ndtri(u))
        return np.asarray((main[:, None] + rest * normal).ravel())


LAWS = {
    "lognormal": Law(),
    "Weibull": Law(gumbel=True),
    "power law": Law(exponential=1.0),
    "lognormal with a power-law tail, 1/4": Law(exponential=0.25),
    "lognormal with a power-law tail, 1/2": Law(exponential=0.5),
    "lognormal with a power-law tail, 3/4": Law(exponential=0.75),
}
"""The laws that a curve may follow; the number is the power-law tail's share of the variance."""


@dataclass(frozen=True)
class Fit:
    """A law through the ranks beyond the head: its name, place and spread of true log influence, and the misfit.

    ``gap`` is the root mean square gap to the law's quantiles over all ranks of the fit, ``misfit`` that over the
    middle band, in log units.
    """

    law: str
    place: float
    spread: float
    gap: float
    misfit: float


@dataclass(frozen=True)
class Fitting:
    """Fits laws to the curves of N neurons, of which the first ranks are left out (`fitting`).

    ``ranks`` and ``weight`` [m] of the fit, ``middle`` bool [m] those of the middle band; ``tables`` [law, ratio, m]
    quantiles of law plus noise, ``centre`` and ``square`` [law, ratio] their weighted means and variances.
    """

    ranks: npt.NDArray[np.int64]
    weight: FloatArray
    middle: npt.NDArray[np.bool_]
    tables: FloatArray
    centre: FloatArray
    square: FloatArray

    def nearest(self, logs: FloatArray, noise: float) -> Fit:
        """Law that fits log influences [N] best, which hold normal noise of this standard deviation."""
        return min(self.every(logs, noise), key=lambda one: one.gap)

    def cautious(self, logs: FloatArray, noise: float) -> Fit:
        """Law with the lightest tail among those that fit nearly as well as the nearest (`NEAR`).

        Ranks beyond the head say little about the tail. Where the nearest law has too heavy a tail, its head falls too
        steeply, and any head looks flat beside it: so a doubt about the tail counts against flatness. A Weibull law,
        whose heads are flatter than all, is taken only where it is the nearest.
        """
        fits = self.every(logs, noise)
        nearest = min(fits, key=lambda one: one.gap)
        if LAWS[nearest.law].gumbel:
            return nearest
        near = [one for one in fits if one.gap <= NEAR * nearest.gap and not LAWS[one.law].gumbel]
        return min(near, key=lambda one: LAWS[one.law].exponential)

    def every(self, logs: FloatArray, noise: float) -> list[Fit]:
        """Each law through them."""
        ordered = np.sort(logs)[::-1][self.ranks - 1]
        mean = float(ordered @ self.weight)
        spread = (self.tables - self.centre[..., None]) @ (self.weight * (ordered - mean)) / self.square
        fits = []
        for i, name in enumerate(LAWS):
            at = float(np.interp(noise, np.maximum.accumulate(NOISE * spread[i]), np.arange(len(NOISE))))
            low = min(int(at), len(NOISE) - 2)
            share = at - low
            table = (1 - share) * self.tables[i, low] + share * self.tables[i, low + 1]
            centred = table - table @ self.weight
            sd = float(centred @ (self.weight * (ordered - mean)) / (centred**2 @ self.weight))
            gap = ordered - mean - sd * centred
            misfit = float(np.sqrt((gap**2)[self.middle] @ self.weight[self.middle] / self.weight[self.middle].sum()))
            whole = float(np.sqrt(gap**2 @ self.weight))
            fits.append(Fit(name, mean - sd * float(table @ self.weight), sd, whole, misfit))
        return fits


@dataclass(frozen=True)
class State:
    """Log influence [2 (half), 2 (class), N], its noise on one half [2 (class), N], and what fits laws to it."""

    logs: FloatArray
    noise: FloatArray
    fitting: Fitting


class InfluenceLaw(NullModel):
    """Two-half parametric bootstrap of the influence curve (docs/methods.md#influence-law).

    True log influence comes from a smooth law that fits the ranks beyond the head (`Fitting.cautious`); each half adds
    noise of each neuron's own size, which goes with the rank of its shrunken level.  Every draw resamples the neurons
    and chooses and fits its law anew, so that the doubt about the law is in the null.
    """

    name = "influence_law"
    randomises = "influence"
    preserves = ("number of neurons", "the law beyond the head", "noise of each half, by rank")
    breaks = ("any bend of the head that the laws have not",)
    exchangeable = "neurons, under one smooth law of influence"
    reference = "parametric bootstrap: Efron, Tibshirani (1993), section 6.5; docs/methods.md#influence-law"
    when = "Does the curve bend more than sorted values of a smooth law bend anyway? For the shape of influence curves."
    says = "Influence drawn anew from a smooth law that fits the ranks beyond the head, with the measured noise."

    def prepare(self, measurements: Any, observed: Observed) -> State:
        """Log influence, noise, and quantiles of the laws."""
        need(observed, "influence", self.name)
        return state(observed)

    def draw(self, state: State, replicates: range, seed: int) -> torch.Tensor:
        """float64 [R, 2, 2, N]: influences."""
        return stack(lambda r: np.exp(drawn_curves(state, generator(seed, r, "inflaw"))), replicates)

    def example(self) -> Observed:
        """Sixty-four lognormal neurons."""
        rng = np.random.default_rng(0)
        true = rng.standard_normal(64)
        return Observed("influence", torch.from_numpy(np.exp(true + 0.2 * rng.standard_normal((2, 2, 64)))))

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """As many influences, all positive."""
        value = np.asarray(draw)
        whole = value.shape == tuple(observed.value.shape) and bool((value > 0).all())
        return (("number of neurons", whole),)


@lru_cache(maxsize=8)
def fitting(n: int, n_head: int) -> Fitting:
    """What fits laws to curves of N neurons whose head has n_head.

    Notes
    -----
    Least squares of the ordered values of rank n_h + 1 to 3 N / 4 on the quantiles of law plus noise, evenly weighted
    in log rank.  The head takes no part, so that a flat one cannot bend the law that it is compared with; the lowest
    quarter takes none: no claim is about it, and dead neurons lie there.  The noise is known, so of the quantile tables
    for several ratios of noise to spread the fit uses the one (interpolated) at which ratio times spread is the noise.
    """
    last = min(n, max(3 * n // 4, MIDDLE * n_head, n_head + 3))
    ranks = np.arange(n_head + 1, last + 1)
    weight = 1 / ranks / (1 / ranks).sum()
    p = (n - ranks + 0.5) / n
    tables = np.array([[np.quantile(law.with_noise(ratio), p) for ratio in NOISE] for law in LAWS.values()])
    centre = tables @ weight
    square = ((tables - centre[..., None]) ** 2) @ weight
    return Fitting(ranks, weight, ranks <= MIDDLE * n_head, tables, centre, square)


def state(observed: Observed) -> State:
    """What draws are made of.

    Without measured noise, each class's neurons have the same: what the halves differ by.
    """
    logs: FloatArray = np.log(np.maximum(observed.value.numpy(), FLOOR))
    n = logs.shape[-1]
    if observed.noise is None:
        noise = np.repeat((logs[0] - logs[1]).std(-1, keepdims=True) / np.sqrt(2), n, axis=-1)
    else:
        noise = observed.noise.numpy()
    n_head = len(observed.sets[0]) if observed.sets else max(1, n // 8)
    return State(logs, noise, fitting(n, n_head))


def drawn_curves(state: State, rng: np.random.Generator) -> FloatArray:
    """Log influences of one draw, [2, 2, N]."""
    n = state.logs.shape[-1]
    out = np.empty_like(state.logs)
    for side in (0, 1):
        chosen = rng.integers(n, size=n)
        level, noise = state.logs[:, side, chosen].mean(0), state.noise[side, chosen]
        fit = state.fitting.cautious(level, float(np.sqrt((noise**2).mean() / 2)))
        true = np.sort(fit.place + fit.spread * LAWS[fit.law].drawn(rng, n))
        kept = fit.spread**2 / (fit.spread**2 + noise**2 / 2 + FLOOR)
        own = noise[np.argsort(fit.place + kept * (level - fit.place), kind="stable")]
        out[:, side] = (true + own * rng.standard_normal((2, n)))[:, rng.permutation(n)]
    return out


def misfit_p(state: State, side: int, draws: int, seed: int = 0) -> tuple[Fit, float]:
    """The law through one class's curve, and how probable so bad a fit to its middle band is if the law holds."""

    def fitted(logs: FloatArray) -> Fit:
        return state.fitting.nearest(logs[:, side].mean(0), float(np.sqrt((state.noise[side] ** 2).mean() / 2)))

    found = fitted(state.logs)
    worse = sum(
        fitted(drawn_curves(state, generator(seed, r, "misfit"))).misfit >= found.misfit for r in range(1, draws + 1)
    )
    return found, (1 + worse) / (1 + draws)
