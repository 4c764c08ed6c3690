"""Every draw there can be, where that is known from the kind of object and small enough to list."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import permutations, product
from typing import Any

import numpy as np

from ..nulls.base import NullModel, Observed

LARGEST = 1_000
"""Longer lists would need too many draws for a chi-square test."""


def space_of(null: NullModel, observed: Observed, draw: Any) -> list[Hashable] | None:
    """Signatures of all draws, equally likely: as the null model states them, else by kind; None if not to be listed.

    By kind, swaps are fair coins and permutations of neurons are uniform within `Observed.strata`; a null model of
    another law overrides `NullModel.space`.
    """
    if type(null).space is not NullModel.space:
        stated = null.space(observed)
        found: Sequence[Hashable] | None = None if stated is None else list(stated)
    elif observed.kind == "labels" or (observed.kind == "influence" and np.asarray(draw).dtype == np.bool_):
        width = len(np.asarray(draw))
        found = list(product((False, True), repeat=width)) if 2**width <= LARGEST else None
    elif observed.kind == "neurons" and len(np.asarray(draw)) == len(observed.value):
        found = _permutations(observed)
    else:
        found = None
    return None if found is None or len(found) > LARGEST else list(found)


def _permutations(observed: Observed) -> list[Hashable] | None:
    """Permutations of the neurons within their strata."""
    n = len(observed.value)
    strata = np.zeros(n, dtype=np.int64) if observed.strata is None else np.asarray(observed.strata)
    if math.prod(math.factorial(k) for k in Counter(strata.tolist()).values()) > LARGEST:
        return None
    places = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    found: list[Hashable] = []
    for images in product(*(permutations(p.tolist()) for p in places)):
        image = np.empty(n, dtype=np.int64)
        for place, one in zip(places, images, strict=True):
            image[place] = one
        found.append(tuple(image.tolist()))
    return found


def identity_of(observed: Observed, draw: Any) -> Any:
    """Return the draw that changes nothing, in the form of `draw`."""
    if observed.kind == "labels" or (observed.kind == "influence" and np.asarray(draw).dtype == np.bool_):
        return np.zeros(np.asarray(draw).shape, dtype=np.bool_)
    if observed.kind == "neurons" and np.asarray(draw).ndim == 2:
        return np.stack([np.sort(np.asarray(p)) for p in observed.sets])
    if observed.kind == "neurons" and len(np.asarray(draw)) != len(observed.value):
        return np.sort(np.asarray(observed.sets[0]))
    return observed.value
