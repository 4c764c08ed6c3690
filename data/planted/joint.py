"""Planted closures: loss increases of any sets of neurons or heads of a planted world, and what they scatter around.

Sets are named only once a null model has been drawn, so the world is asked for them afterwards: the same sets of the
same world always get the same numbers, whatever else was asked for.

A set's increase is a sum over its members and over its pairs of members.  A neuron adds a *net share* of its mean
abs(loss change) in that document, of either sign, which differs between the classes; a head adds an increase that
follows its effect on the layer; pairs add or take away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ..measurements import JointAblation, Measurements
from .measurements import Planted

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

PAIR_SCATTER = 0.5
"""Sd of what a pair of members adds, over its mean."""
TOP_HEADS = 0.05
"""Share of the heads that `JointSettings.routing` strengthens (at least 2): those that act most on the plateau."""
NOISE = 0.1
"""Sd of what one document adds to a head's increase by chance, in median increases of a head."""


@dataclass(frozen=True)
class JointSettings:
    """How hard the null data are, and how strong each effect (0 = absent).

    Neurons (unit: share of a neuron's influence)
        ``net``: mean net share; ``net_sd`` between neurons; ``net_class_sd`` of neuron x class; ``net_shift``, by which
        *every* neuron's share is larger on rare; ``plateau_net``, by which the plateau's is larger in *both* classes;
        ``net_document_sd`` of neuron x document x class.
    Heads (unit: log increase)
        ``head_sd`` of a head, given its effect; ``head_class_sd`` of head x class; ``head_shift`` of all heads on rare;
        ``head_document_sd`` of head x document x class.
    Both
        ``pairs``: what pairs of members add, as a share of what members add; most for large sets.
    Effects
        ``closure``: net share that the planted plateau's neurons have more on rare, in joint ablation alone.
        ``routing``: relative excess, on rare, of the increase of the heads that act most on the plateau.
    """

    net: float = 0.2
    net_sd: float = 0.3
    net_class_sd: float = 0.1
    net_shift: float = 0.1
    plateau_net: float = 0.2
    net_document_sd: float = 0.3
    head_sd: float = 0.4
    head_class_sd: float = 0.2
    head_shift: float = 0.3
    head_document_sd: float = 0.3
    pairs: float = 0.3
    closure: float = 0.0
    routing: float = 0.0


@dataclass(frozen=True)
class PlantedJoint:
    """Measured closures, and ``truth``: their expectation, the same in every document (up to a factor a class)."""

    joint_ablation: JointAblation
    truth: JointAblation


def planted_joint_ablation(settings: JointSettings, made: Planted, sets: pd.DataFrame, seed: int) -> PlantedJoint:
    """Closures of the sets of a table (`JointAblation.sets`) in a planted world.

    Parameters
    ----------
    settings
        How joint ablation acts in it.
    made
        The world, with influence; for sets of heads with heads.
    sets
        Kind and members.
    seed
        Of the world; everything random follows from it.

    Raises
    ------
    ValueError
        If the world lacks what the sets are made of.
    """
    measured, truth = _empty(made.measurements, sets), _empty(made.measurements, sets)
    for kind, increases in (("neurons", _of_neurons), ("heads", _of_heads)):
        of_kind = sets["kind"] == kind
        named = [np.asarray(one, dtype=np.int64) for one in sets.loc[of_kind, "members"]]
        if named:
            rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, len(kind)])))
            rows = np.flatnonzero(of_kind)
            measured[rows], truth[rows] = increases(settings, made, named, rng)
    return PlantedJoint(*(JointAblation(torch.from_numpy(x.astype(np.float32)), sets) for x in (measured, truth)))


def _empty(measurements: Measurements, sets: pd.DataFrame) -> FloatArray:
    return np.zeros((len(sets), measurements.n_documents, 2))


def _of_neurons(
    settings: JointSettings, made: Planted, sets: list[IntArray], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    level = _mean_influence(made.measurements)
    documents, _, n = level.shape
    net = settings.net + settings.net_sd * rng.standard_normal(n) + settings.net_class_sd * rng.standard_normal((2, n))
    net[0] += settings.net_shift
    net[:, made.truth.plateau] += settings.plateau_net
    net[0, made.truth.plateau] += settings.closure
    coupling = _coupling(n, rng)
    scatter = settings.net_document_sd * rng.standard_normal((documents, 2, n))
    true_level = np.exp(made.truth.log_influence)[None]
    measured = _joint((net + scatter) * level, np.sqrt(level), coupling, settings.pairs, sets)
    truth = _joint(net * true_level, np.sqrt(true_level), coupling, settings.pairs, sets)
    return measured, truth


def _mean_influence(measurements: Measurements) -> FloatArray:
    """Mean abs(loss change) of each document, class and neuron, [D, 2, N] nats."""
    panel, changes = measurements.panel, measurements.delta_loss
    if changes is None:
        raise ValueError("joint ablation of neurons follows their influence; plant influence as well")
    out = np.zeros((measurements.n_documents, 2, changes.shape[1]))
    pairs = np.bincount(panel.document[panel.a_rows], minlength=len(out)).astype(np.float64)
    for side, rows in enumerate((panel.a_rows, panel.b_rows)):
        np.add.at(out[:, side], panel.document[rows], changes[torch.from_numpy(rows)].abs().double().numpy())
    mean: FloatArray = out / pairs[:, None, None]
    return mean


def _of_heads(
    settings: JointSettings, made: Planted, sets: list[IntArray], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    effect, heads = made.truth.head_effect, made.measurements.heads
    if effect is None or heads is None:
        raise ValueError("joint ablation of heads follows their effects; plant heads as well")
    h, documents = len(effect), made.measurements.n_documents
    increase = np.exp(settings.head_sd * rng.standard_normal(h)) * effect.mean((1, 2))
    increase = increase * np.exp(settings.head_class_sd * rng.standard_normal((2, h)))
    increase[0] *= np.exp(settings.head_shift)
    top = np.argsort(-effect[..., made.truth.plateau].mean((1, 2)), kind="stable")[: max(2, round(TOP_HEADS * h))]
    increase[0, top] *= 1 + settings.routing
    coupling = _coupling(h, rng)
    spread = settings.head_document_sd
    factor = np.exp(spread * rng.standard_normal((documents, 2, h)) - spread**2 / 2)
    common = np.exp(0.3 * rng.standard_normal((documents, 1, 1)) + 0.15 * rng.standard_normal((documents, 2, 1)))
    noise = NOISE * np.median(increase) * rng.standard_normal((documents, 2, h))
    root = np.sqrt(increase)[None]
    # rows of single heads come first in the planted table, so a row is a head
    measured = _joint(common * (factor * increase + noise), np.sqrt(common) * root, coupling, settings.pairs, sets)
    return measured, _joint(increase[None], root, coupling, settings.pairs, sets)


def _coupling(n: int, rng: np.random.Generator) -> FloatArray:
    """What each pair adds to a class in units of the root of its members' levels, symmetric, [2, n, n]; mean 1."""
    drawn = rng.standard_normal((3, n, n))
    both = 1 + PAIR_SCATTER * (drawn[:1] + drawn[1:]) / np.sqrt(2)
    made: FloatArray = (both + both.transpose(0, 2, 1)) / 2
    return made


def _joint(
    member: FloatArray, root: FloatArray, coupling: FloatArray, pairs: float, sets: list[IntArray]
) -> FloatArray:
    """Sum over members [D, 2, n] and, divided by the size of the set, over pairs of them, [S, D, 2]."""
    out = np.empty((len(sets), len(member), 2))
    for row, one in enumerate(sets):
        within = coupling[:, one[:, None], one] * (1 - np.eye(len(one)))
        r = root[..., one]
        between = np.einsum("dci,cij,dcj->dc", r, within, r) / (2 * len(one))
        out[row] = member[..., one].sum(-1) + pairs * between
    return out
