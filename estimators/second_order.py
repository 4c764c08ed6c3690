"""Ablation effects to second order with a proven bound on the error: the entrywise part of `closed_form`.

Notation and derivation are in the docstring of `neuronull.estimators.closed_form`. The same arithmetic stands here
twice: as tensor operations, for any device, and as one compiled pass for the CPU, where the forty temporaries of the
former cost more than the matrix products before it. With a norm after the MLP only the tensor operations know how.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numba import prange

from .compiled import compiled
from .exact import LARGEST_EXPONENT, Entries, compiled_exp, picked

ABSOLUTE, RELATIVE = 1e-4, 1e-3
"""The contract: an entry D is within ABSOLUTE nats + RELATIVE |D| (docs/methods.md#closed-form)."""

PROVEN_SHARE = 0.5
"""Share of the contract that the bound on the remainder may use up; the rest is for rounding."""

VARIANCE_ROUNDING = 1e-5
"""Allowance in the bound for rounding of the variance, as a share of kappa^2 E[u^2] + rho^2 E[z^2] (+ tau^2 E[Y^2]).

The variance is a difference of these float32 sums. Where one token has nearly all probability it may come out as 0
although tokens of probability 1e-20 decide what happens after a large ablation.
"""


@dataclass(frozen=True)
class Neurons:
    """Per neuron, each [N].

    Parameters
    ----------
    w_square
        Squared norm of the centred output weights.
    u_highest, u_lowest
        Highest and lowest u over the vocabulary.
    before_square
        Squared norm of the output weights before a norm after the MLP; None without one.
    """

    w_square: torch.Tensor
    u_highest: torch.Tensor
    u_lowest: torch.Tensor
    before_square: torch.Tensor | None = None

    def __getitem__(self, columns: torch.Tensor) -> Neurons:
        return picked(self, columns)


@dataclass(frozen=True)
class BranchPositions:
    """Per position where a norm follows the MLP, each [n]; y is what the MLP wrote, centred, over s.

    Parameters
    ----------
    scale, floor
        Scale r of the norm after the MLP, and the smallest value that (r'/r)^2 can take, eps / r^2.
    inner, square
        2 / d times the inner product of the scaled stream and y, and |y|^2 / d.
    y, yy, zy
        E_p[Y], E_p[Y^2] and E_p[z Y], Y = G y.
    y_highest, y_lowest, y_target
        Highest and lowest Y over the vocabulary, and Y at the target token.
    """

    scale: torch.Tensor
    floor: torch.Tensor
    inner: torch.Tensor
    square: torch.Tensor
    y: torch.Tensor
    yy: torch.Tensor
    zy: torch.Tensor
    y_highest: torch.Tensor
    y_lowest: torch.Tensor
    y_target: torch.Tensor

    def __getitem__(self, rows: slice | torch.Tensor | tuple[slice, None]) -> BranchPositions:
        return picked(self, rows)


@dataclass(frozen=True)
class Positions:
    """Per position, each [n].

    Parameters
    ----------
    scale
        Scale s of the final norm.
    floor
        Smallest value that (s'/s)^2 can take, eps / s^2.
    z, zz
        E_p[z] and E_p[z^2], z shifted so that its maximum is 0.
    z_lowest, z_target
        Smallest z, and z at the target token.
    branch
        The same for a norm after the MLP; None without one.
    """

    scale: torch.Tensor
    floor: torch.Tensor
    z: torch.Tensor
    zz: torch.Tensor
    z_lowest: torch.Tensor
    z_target: torch.Tensor
    branch: BranchPositions | None = None

    def __getitem__(self, rows: slice | torch.Tensor | tuple[slice, None]) -> Positions:
        return picked(self, rows)


@dataclass(frozen=True)
class BranchTerms:
    """Per position and neuron where a norm follows the MLP, each [n, N].

    Parameters
    ----------
    before
        2 / d times the inner product of m and the output weights before the norm, over r^2.
    inner
        2 / d times the inner product of y and the centred output weights.
    yu
        E_p[Y u].
    """

    before: torch.Tensor
    inner: torch.Tensor
    yu: torch.Tensor

    def __getitem__(self, entries: tuple[torch.Tensor, torch.Tensor]) -> BranchTerms:
        return picked(self, entries)


@dataclass(frozen=True)
class Terms:
    """Per position and neuron, each [n, N].

    Parameters
    ----------
    change
        Replacement less activation.
    inner
        2 / d times the inner product of the scaled stream and the centred output weights.
    u, zu, uu
        E_p[u], E_p[z u], E_p[u^2].
    u_target
        u at the target token.
    """

    change: torch.Tensor
    inner: torch.Tensor
    u: torch.Tensor
    zu: torch.Tensor
    uu: torch.Tensor
    u_target: torch.Tensor
    branch: BranchTerms | None = None

    def __getitem__(self, entries: tuple[torch.Tensor, torch.Tensor]) -> Terms:
        return picked(self, entries)


@dataclass(frozen=True)
class _Perturbation:
    """eps = rho z + kappa u + tau Y; tau is None without a norm after the MLP."""

    rho: torch.Tensor
    kappa: torch.Tensor
    tau: torch.Tensor | None

    def mean(self, terms: Terms, at: Positions) -> torch.Tensor:
        """E_p[eps]."""
        found = self.kappa * terms.u + self.rho * at.z
        return found if self.tau is None or at.branch is None else found + self.tau * at.branch.y

    def first(self, terms: Terms, at: Positions) -> torch.Tensor:
        """E_p[eps] less eps at the target token."""
        found = self.kappa * (terms.u - terms.u_target) + self.rho * (at.z - at.z_target)
        return found if self.tau is None or at.branch is None else found + self.tau * (at.branch.y - at.branch.y_target)

    def variance(self, terms: Terms, at: Positions) -> torch.Tensor:
        """Var_p[eps]."""
        found = self.kappa.square() * (terms.uu - terms.u.square())
        found += 2 * self.rho * self.kappa * (terms.zu - at.z * terms.u)
        found += self.rho.square() * (at.zz - at.z.square())
        if self.tau is not None and at.branch is not None and terms.branch is not None:
            found += 2 * self.tau * self.kappa * (terms.branch.yu - at.branch.y * terms.u)
            found += 2 * self.tau * self.rho * (at.branch.zy - at.branch.y * at.z)
            found += self.tau.square() * (at.branch.yy - at.branch.y.square())
        return found.clamp_min_(0)

    def rounding(self, terms: Terms, at: Positions) -> torch.Tensor:
        """Allowance for rounding of the variance."""
        found = self.kappa.square() * terms.uu + self.rho.square() * at.zz
        if self.tau is not None and at.branch is not None:
            found += self.tau.square() * at.branch.yy
        return VARIANCE_ROUNDING * found

    def extremes(self, at: Positions, of: Neurons) -> tuple[torch.Tensor, torch.Tensor]:
        """Return an upper and a lower bound of eps over the vocabulary; rho z lies between rho z_lowest and 0."""
        a, b, from_z = self.kappa * of.u_highest, self.kappa * of.u_lowest, self.rho * at.z_lowest
        highest = torch.maximum(a, b) + from_z.clamp_min(0)
        lowest = torch.minimum(a, b) + from_z.clamp_max(0)
        if self.tau is not None and at.branch is not None:
            a, b = self.tau * at.branch.y_highest, self.tau * at.branch.y_lowest
            highest, lowest = highest + torch.maximum(a, b), lowest + torch.minimum(a, b)
        return highest, lowest


def settle(
    terms: Terms, positions: Positions, neurons: Neurons, width: int, effects: torch.Tensor
) -> tuple[Entries, torch.Tensor]:
    """Write D to second order into `effects`; return the entries that this does not settle.

    Parameters
    ----------
    terms, positions, neurons
        What the effects are made of.
    width
        Width of the residual stream, d.
    effects
        Float32 [n, N], written.

    Returns
    -------
    Entries
        Whose proven error is not within `PROVEN_SHARE` of the contract; their shift is E_p[eps].
    torch.Tensor
        shift - eps_y for each of them, [E].
    """
    method = _compiled if effects.device.type == "cpu" and terms.branch is None else _by_tensors
    row, column = method(terms, positions, neurons, width, effects).nonzero(as_tuple=True)
    picked, at, of = terms[row, column], positions[row], neurons[column]
    eps = _perturbation(picked, at, of, width)
    mean = eps.mean(picked, at)
    wide = eps.extremes(at, of)[0] - mean > LARGEST_EXPONENT
    return Entries(row, column, eps.rho, eps.kappa, mean, wide, eps.tau), eps.first(picked, at)


def _by_tensors(
    terms: Terms, positions: Positions, neurons: Neurons, width: int, effects: torch.Tensor
) -> torch.Tensor:
    """Write D to second order into `effects`; return which entries it does not settle, bool [n, N]."""
    at = _column(positions)
    eps = _perturbation(terms, at, neurons, width)
    variance = eps.variance(terms, at)
    torch.add(eps.first(terms, at), variance, alpha=0.5, out=effects)
    highest, lowest = eps.extremes(at, neurons)
    variance += eps.rounding(terms, at)
    bound = (highest - lowest) * variance * phi(highest - eps.mean(terms, at))
    allowed = PROVEN_SHARE * (ABSOLUTE + RELATIVE * (effects.abs() - bound).clamp_min(0))
    return ~(bound <= allowed)  # so that not-a-number is not settled


def _column(positions: Positions) -> Positions:
    """Return the same with a second axis, to be broadcast over neurons."""
    return positions[:, None]


def _perturbation(terms: Terms, at: Positions, of: Neurons, width: int) -> _Perturbation:
    """Return rho, kappa and tau: s'^2/s^2 = 1 + q, q from inner products."""
    if terms.branch is None or at.branch is None or of.before_square is None:
        c = terms.change / at.scale
        q, alpha = c * (terms.inner + c * of.w_square / width), None
    else:
        change = terms.change / at.branch.scale
        ratio, alpha = _ratio(
            terms.change * (terms.branch.before + change / at.branch.scale * of.before_square / width), at.branch.floor
        )
        c = change / (ratio * at.scale)
        q = c * (terms.inner + alpha * terms.branch.inner + c * of.w_square / width)
        q += alpha * (at.branch.inner + alpha * at.branch.square)
    ratio, rho = _ratio(q, at.floor)
    return _Perturbation(rho, c / ratio, None if alpha is None else alpha / ratio)


def _ratio(q: torch.Tensor, floor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x = sqrt(1 + q) and 1/x - 1, without cancellation for small q."""
    # rounding may say less than the floor where an ablation takes almost everything away
    ratio = torch.maximum(1 + q, floor).sqrt()
    return ratio, -q / (ratio * (1 + ratio))


def phi(b: torch.Tensor) -> torch.Tensor:
    """Return an upper bound of (e^b - 1 - b - b^2/2) / b^3 for b >= 0, without cancellation.

    Below 1 by the series sum of b^k/(k+3)!, each term of which is at most (b/4)^k / 6. Infinite above
    `LARGEST_EXPONENT`.
    """
    large = b.clamp(1, LARGEST_EXPONENT)
    closed = (large.expm1() - large - large.square() / 2) / large.pow(3)
    return torch.where(b < 1, 1 / (6 - 1.5 * b.clamp(0, 1)), closed.masked_fill(b > LARGEST_EXPONENT, torch.inf))


def _compiled(terms: Terms, positions: Positions, neurons: Neurons, width: int, effects: torch.Tensor) -> torch.Tensor:
    unsettled = np.empty(effects.shape, dtype=np.bool_)
    found = [getattr(part, f.name) for part in (terms, positions, neurons) for f in fields(part)]
    arrays = [one.numpy() for one in found if one is not None]  # None is what only a norm after the MLP needs
    _compiled_pass(*arrays, np.float32(1 / width), effects.numpy(), unsettled)
    return torch.from_numpy(unsettled)


# no "nnan": the last comparison is written so that not-a-number is not settled; no "contract": with it the process that
# compiles rounds otherwise than those that find the loop in the cache (tests/estimators/test_compiled.py)
@compiled(parallel=True, fastmath={"nsz", "arcp"}, error_model="numpy", nogil=True)
def _compiled_pass(
    change: Any, inner: Any, u: Any, zu: Any, uu: Any, u_target: Any,
    scale: Any, floor: Any, z: Any, zz: Any, z_lowest: Any, z_target: Any,
    w_square: Any, u_highest: Any, u_lowest: Any,
    per_width: Any, effects: Any, unsettled: Any,
) -> None:  # fmt: skip # pragma: no cover - compiled
    one, half, zero = np.float32(1.0), np.float32(0.5), np.float32(0.0)
    absolute, relative = np.float32(PROVEN_SHARE * ABSOLUTE), np.float32(PROVEN_SHARE * RELATIVE)
    largest = np.float32(LARGEST_EXPONENT)
    for t in prange(change.shape[0]):
        per_scale, z_variance, z_first = one / scale[t], zz[t] - z[t] * z[t], z[t] - z_target[t]
        for i in range(change.shape[1]):
            c = change[t, i] * per_scale
            q = c * (inner[t, i] + c * w_square[i] * per_width)
            ratio = np.sqrt(max(one + q, floor[t]))
            rho, kappa = -q / (ratio * (one + ratio)), c / ratio
            mean_u = u[t, i]
            variance = kappa * kappa * (uu[t, i] - mean_u * mean_u)
            variance += np.float32(2.0) * rho * kappa * (zu[t, i] - z[t] * mean_u)
            variance = max(variance + rho * rho * z_variance, zero)
            effect = kappa * (mean_u - u_target[t, i]) + rho * z_first + half * variance
            a, b, from_z = kappa * u_highest[i], kappa * u_lowest[i], rho * z_lowest[t]
            highest, lowest = max(a, b) + max(from_z, zero), min(a, b) + min(from_z, zero)
            room = max(highest - kappa * mean_u - rho * z[t], zero)
            large = min(max(room, one), largest)
            series = one / (np.float32(6.0) - np.float32(1.5) * min(room, one))
            closed = (compiled_exp(large) - one - large - half * large * large) / (large * large * large)
            variance += np.float32(VARIANCE_ROUNDING) * (kappa * kappa * uu[t, i] + rho * rho * zz[t])
            bound = (highest - lowest) * variance * (series if room < one else closed)
            effects[t, i] = effect
            allowed = absolute + relative * max(abs(effect) - bound, zero)
            unsettled[t, i] = not (bound <= allowed and room <= largest)
