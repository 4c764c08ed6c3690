"""Data like yours, with a known answer: real measurements, resampled, in which the effect was taken out or put in.

Planted worlds have the noise that somebody thought of; these have the noise of one measurement (Franklin et al. 2014,
Computational Statistics and Data Analysis 72:219, call such data *plasmode*).  Clusters of documents are drawn with
replacement, and what ties neurons to their influence is permuted or replaced.  Neither is what a test of
`neuronull.hypotheses` does to its own data, so that size is shown here and not built in.

The worlds (docs/methods.md#plasmode):

``attached``  influence goes to other neurons of like mean activation, whole columns of it: whoever is chosen by
    influence is an ordinary neuron in activations, weights and head effects;
``attached-freely``  the same over the whole layer;
``smooth``  sorted influence on *a*, and on *b*, follows a lognormal law fitted beyond the head;
``levelled``  the same, but the head of *a* stands level, as high as its last rank;
``related``  log influence on *a* is a line in that on *b*, plus what the line left over, permuted among neurons of like
    influence: nobody specialises;
``specialised``  the same, and the neurons with the most influence on *a* gain by a factor there;
``routed``  as ``attached``, and one attention head acts on the most influential neurons more, for *a*, by a factor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
import scipy.stats
import torch
from torch import Tensor

from .errors import MissingInput
from .measurements import FloatArray, IntArray, Measurements, Panel

WorldName: TypeAlias = Literal["attached", "attached-freely", "smooth", "levelled", "related", "specialised", "routed"]
WORLDS: tuple[WorldName, ...] = get_args(WorldName)

BINS = 4
"""Groups of neurons by mean activation (or influence) inside which things are permuted; a test has more strata."""
FITTED_FROM = 2
"""Heads' worth of ranks that the smooth law is not fitted to."""


@dataclass(frozen=True)
class Plasmode:
    """What data sets are drawn from: measurements cut down to matched positions.

    Parameters
    ----------
    measurements
        With influence; whatever else is there is carried along.
    head
        Neurons in the head of the influence curve.
    """

    measurements: Measurements
    head: int

    @classmethod
    def of(cls, measurements: Measurements, head: int) -> Plasmode:
        """Cut measurements down to what tests read.

        Raises
        ------
        MissingInput
            If no influence was measured.
        """
        if measurements.delta_loss is None:
            raise MissingInput("no influence was measured", "influence.safetensors", "measure delta_loss")
        return cls(_cut(measurements), head)

    def draw(self, world: WorldName, rng: np.random.Generator, strength: float = 0.0) -> Measurements:
        """Return one data set.

        Parameters
        ----------
        world
            One of `WORLDS`.
        rng
            Everything random comes from it.
        strength
            Log factor of ``specialised`` and ``routed``.
        """
        made = _resampled(self.measurements, rng)
        if world in ("attached", "attached-freely", "routed"):
            order = self._permutation(rng, 1 if world == "attached-freely" else BINS)
            made = replace(made, delta_loss=self._influence(made)[:, torch.from_numpy(order)])
            if world == "routed":
                top = torch.from_numpy(np.argsort(-self._log_influence[0][order])[: self.head].copy())
                made = _routed(made, top, strength)
            return made
        if world in ("smooth", "levelled"):
            log_factor = self._smooth(world == "levelled")
        else:
            log_factor = self._related(rng, strength if world == "specialised" else 0.0)
        delta, factor = self._influence(made).clone(), torch.from_numpy(np.exp(log_factor)).float()
        for side, rows in enumerate((made.panel.a_rows, made.panel.b_rows)):
            delta[torch.from_numpy(rows)] *= factor[side]
        return replace(made, delta_loss=delta)

    @staticmethod
    def _influence(m: Measurements) -> Tensor:
        """What `of` has made sure is there, [T, N]."""
        if m.delta_loss is None:
            raise TypeError("influence is there, or there is no plasmode")
        return m.delta_loss

    @cached_property
    def _log_influence(self) -> FloatArray:
        """Log of the mean influence on *a* and on *b*, halves together, [2, N]."""
        delta, panel = self._influence(self.measurements), self.measurements.panel
        means = [delta[rows].abs().double().mean(0).numpy() for rows in (panel.a_rows, panel.b_rows)]
        found: FloatArray = np.log(np.maximum(np.stack(means), np.finfo(np.float32).tiny))
        return found

    def _permutation(self, rng: np.random.Generator, bins: int) -> IntArray:
        """For each neuron the one whose influence it gets, of its own bin of mean activation."""
        neurons = self.measurements.neurons
        n = self._log_influence.shape[1]
        if bins > 1 and neurons is not None:
            level = neurons["mean_abs"].to_numpy()
        else:
            level, bins = np.zeros(n), 1
        return _permuted_in_bins(level, bins, rng)

    def _smooth(self, levelled: bool) -> FloatArray:
        """Factors [2, N] that put the sorted influences on a lognormal law; *a* level up to the head where asked."""
        level = self._log_influence
        n = level.shape[1]
        normal = scipy.stats.norm.isf((np.arange(n) + 0.5) / n)
        factors = np.zeros_like(level)
        for side in (0, 1):
            order = np.argsort(-level[side])
            fitted = slice(FITTED_FROM * self.head, n - n // 10)  # the least influential are floored by noise
            slope, intercept = np.polyfit(normal[fitted], level[side][order][fitted], 1)
            target = intercept + slope * normal
            if levelled and side == 0:
                target[: self.head] = target[self.head - 1]
            factors[side][order] = target - level[side][order]
        return factors

    def _related(self, rng: np.random.Generator, strength: float) -> FloatArray:
        """Factors [2, N] that make influence on *a* a power of that on *b*, with permuted scatter."""
        a, b = self._log_influence
        slope, intercept = np.polyfit(b, a, 1)
        left = a - intercept - slope * b
        target = intercept + slope * b + left[_permuted_in_bins(b, BINS, rng)]
        if strength:
            target[np.argsort(-target)[: self.head]] += strength
        return np.stack([target - a, np.zeros_like(b)])


def _permuted_in_bins(level: FloatArray, bins: int, rng: np.random.Generator) -> IntArray:
    """A permutation inside quantile bins of `level`."""
    rank = np.argsort(np.argsort(level, kind="stable"), kind="stable")
    place = rank * bins // len(level)
    found = np.arange(len(level))
    for one in range(bins):
        members = np.flatnonzero(place == one)
        found[members] = rng.permutation(members)
    return found


def _cut(m: Measurements) -> Measurements:
    """Matched positions only, in the order they stood, with their documents; what is not tested on is left out."""
    a = m.panel.a_rows
    rows = np.unique(np.concatenate([a, m.panel.match[a]]))
    taken = np.unique(m.panel.document[rows])
    place = np.full(len(m.panel), -1)
    place[rows] = np.arange(len(rows))
    panel = _panel(m.panel, rows, np.searchsorted(taken, m.panel.document[rows]),
                   np.where(m.panel.match[rows] >= 0, place[m.panel.match[rows]], -1), m.panel.half[rows])  # fmt: skip
    documents = m.documents.iloc[taken].reset_index(drop=True)
    documents["document"] = np.arange(len(documents))
    documents["cluster"] = m.cluster[taken]
    bare = replace(m, panel=panel, documents=documents, joint_ablation=None, effects=None, checkpoints={})
    return _of(bare, rows, taken)


def _of(m: Measurements, rows: IntArray, documents: IntArray) -> Measurements:
    """Tensors at some rows and documents, each of which may be there more than once."""
    at, of = torch.from_numpy(rows), torch.from_numpy(documents)
    return replace(
        m,
        heads=None if m.heads is None else replace(m.heads, effect=m.heads.effect[:, of]),
        delta_loss=None if m.delta_loss is None else m.delta_loss[at],
        activation=None if m.activation is None else m.activation[at],
    )


def _panel(panel: Panel, rows: IntArray, document: IntArray, match: IntArray, half: IntArray) -> Panel:
    same = ("position", "input_id", "target_id", "loss", "input_rank", "target_rank", "label")
    return Panel(document=document, match=match, half=half, **{name: getattr(panel, name)[rows] for name in same})


def _resampled(m: Measurements, rng: np.random.Generator) -> Measurements:
    """Clusters drawn with replacement, each half's from that half.

    A cluster that is drawn twice counts as two: as one of double weight it would make every standard error too large
    by the root of two.  Both copies lie in the half that it came from, so that nothing is chosen and scored on the same
    documents.
    """
    panel = m.panel
    cluster = m.documents["cluster"].to_numpy()
    half = np.empty(len(cluster), dtype=np.int64)
    half[panel.document] = panel.half
    drawn: list[IntArray] = []
    numbers: list[IntArray] = []
    copy = 0
    for side in (0, 1):
        own = np.unique(cluster[half == side])
        for one in rng.choice(own, len(own)):
            members = np.flatnonzero((cluster == one) & (half == side))
            drawn.append(members)
            numbers.append(np.full(len(members), copy))
            copy += 1
    source, number = np.concatenate(drawn), np.concatenate(numbers)
    start = np.searchsorted(panel.document, np.arange(len(cluster)))
    stop = np.searchsorted(panel.document, np.arange(len(cluster)), side="right")
    rows = np.concatenate([np.arange(start[d], stop[d]) for d in source])
    sizes = stop[source] - start[source]
    shift = np.repeat(np.cumsum(sizes) - sizes - start[source], sizes)
    match = np.where(panel.match[rows] >= 0, panel.match[rows] + shift, -1)
    made = _panel(panel, rows, np.repeat(np.arange(len(source)), sizes), match, panel.half[rows])
    documents = pd.DataFrame({"document": np.arange(len(source)), "source": m.documents["source"].to_numpy()[source],
                              "input_ids": m.documents["input_ids"].to_numpy()[source], "cluster": number})  # fmt: skip
    return _of(replace(m, panel=made, documents=documents), rows, source)


def _routed(m: Measurements, neurons: Tensor, strength: float) -> Measurements:
    """The reachable head of median effect acts on some neurons more, for *a*."""
    heads = m.heads
    if heads is None:
        raise MissingInput("no head effects were measured", "heads.safetensors", "measure heads")
    effect = heads.effect.clone()
    single = np.flatnonzero(heads.reachable & (heads.head >= 0))
    mean = torch.nanmean(effect[single].flatten(1), 1)
    head = int(single[int(mean.argsort()[len(single) // 2])])
    places = torch.isin(heads.neuron, neurons)
    effect[head, :, 0, places] *= float(np.exp(strength))
    return replace(m, heads=replace(heads, effect=effect))
