"""Rules that give scored positions their condition: by token frequency, by lists of tokens, by listed positions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from .conditions import Conditions, by_frequency
from .errors import InputError
from .matching import matches
from .measurements import NEITHER, A, B, IntArray, Panel
from .panel import Conditioning, check_panel, could_match, enough_documents

_MORE = "give more or longer documents (--documents, --context)"

_MOST_TRIED = 20
"""Thresholds that are matched in search of one that works."""


@dataclass(frozen=True)
class FrequencyRule:
    """Rare against common: a rank beyond ``threshold * types`` is rare, any other common, beyond the elbow neither.

    Parameters
    ----------
    types
        Token types that the threshold is a share of.
    threshold
        The share, between 0 and 1.
    conditioning
        Whether a position is rare by its target token or by its input token.
    elbow_rank
        Ranks above it are in neither class; ``None`` where the elbow is off.
    of_types
        What the types are, as a phrase that follows a percentage.
    """

    types: int
    threshold: float
    conditioning: Conditioning = "target"
    elbow_rank: int | None = None
    of_types: str = "of the vocabulary"

    @property
    def conditions(self) -> Conditions:
        """Rare and common."""
        return by_frequency(self.threshold, self.conditioning, self.of_types, self.elbow_rank)

    def label(self, panel: Panel) -> IntArray:
        """Return the class of each position, int64 [T]."""
        return self._label(panel, self.threshold)

    def hint(self, panel: Panel, seed: int) -> str:
        """Return the nearest threshold that would do; see `working_threshold`."""
        found = self.working_threshold(panel, seed)
        return f"{_MORE}, or another corpus" if found is None else f"{_MORE}, or --threshold {found:g}"

    def working_threshold(self, panel: Panel, seed: int) -> float | None:
        """Return the threshold, of a grid, that is nearest to this rule's and makes a panel that can be tested.

        Before the model has run (losses are NaN) one at which tokens forbid nothing: enough documents have both
        classes, and half of the rare positions could find a common one.  Afterwards one that `check_panel` accepts; of
        the nearest `_MOST_TRIED` only, since each is matched anew.  ``None`` where there is none.
        """
        grid = np.concatenate([np.arange(1, 10) / 1000, np.arange(1, 100) / 100])
        nearest = sorted(grid.tolist(), key=lambda share: abs(math.log(share / self.threshold)))
        labels = ((threshold, self._label(panel, threshold)) for threshold in nearest)
        possible = (t for t, label in labels if enough_documents(panel, label) and could_match(panel, label))
        if not np.isfinite(panel.loss).all():
            return next(possible, None)
        return next((t for t in islice(possible, _MOST_TRIED) if self._passes(panel, t, seed)), None)

    def _passes(self, panel: Panel, threshold: float, seed: int) -> bool:
        """Whether `check_panel` accepts the panel with another threshold."""
        classed = replace(panel, label=self._label(panel, threshold))
        try:
            check_panel(replace(classed, match=matches(classed, seed)))
        except InputError:
            return False
        return True

    def _label(self, panel: Panel, threshold: float) -> IntArray:
        rank = panel.target_rank if self.conditioning == "target" else panel.input_rank
        label = np.where(rank > threshold * self.types, A, B).astype(np.int64)
        if self.elbow_rank is not None:
            label[rank > self.elbow_rank] = NEITHER
        return label


@dataclass(frozen=True)
class TokenRule:
    """Classes by lists of token ids.

    Parameters
    ----------
    conditions
        Names and rule.
    a, b
        Token ids of the conditions, int64; ``b`` is ``None`` where every other scored position is in it.
    conditioning
        Whether the target token or the input token of a position decides.
    """

    conditions: Conditions
    a: IntArray = field(repr=False)
    b: IntArray | None = field(repr=False)
    conditioning: Conditioning = "target"

    def label(self, panel: Panel) -> IntArray:
        """Return the class of each position, int64 [T]."""
        token = panel.target_id if self.conditioning == "target" else panel.input_id
        label = np.full(len(panel), B if self.b is None else NEITHER, dtype=np.int64)
        if self.b is not None:
            label[np.isin(token, self.b)] = B
        label[np.isin(token, self.a)] = A
        return label

    def hint(self, panel: Panel, seed: int) -> str:
        """Return what to do where there are too few."""
        return f"{_MORE}, or more tokens in --conditions"


@dataclass(frozen=True)
class PositionRule:
    """Classes by listed positions.

    Parameters
    ----------
    conditions
        Names and rule.
    a, b
        Positions of the conditions, int64 [n, 2]: the document's number, and the position whose next token is
        predicted.
    """

    conditions: Conditions
    a: IntArray = field(repr=False)
    b: IntArray = field(repr=False)

    def label(self, panel: Panel) -> IntArray:
        """Return the class of each position, int64 [T]."""
        label = np.full(len(panel), NEITHER, dtype=np.int64)
        here = _keys(np.stack([panel.document, panel.position], axis=1), self._width(panel))
        for value, listed in ((B, self.b), (A, self.a)):
            label[np.isin(here, _keys(listed, self._width(panel)))] = value
        return label

    def hint(self, panel: Panel, seed: int) -> str:
        """Return what to do where there are too few."""
        return f"{_MORE}, or more positions in --conditions"

    def check(self, lengths: IntArray) -> None:
        """Refuse positions that no document of the corpus has.

        Parameters
        ----------
        lengths
            Token ids of each document, [D].

        Raises
        ------
        InputError
            Naming the first such position.
        """
        for document, position in np.concatenate([self.a, self.b]).tolist():
            if document >= len(lengths):
                raise InputError(
                    f"document {document} is not there: {len(lengths)} documents were taken, counted from 0",
                    "--conditions", "take more (--documents), or leave the position out",
                )  # fmt: skip
            if position >= lengths[document] - 1:
                raise InputError(
                    f"position {position} of document {document} predicts nothing: the document has "
                    f"{lengths[document]} tokens",
                    "--conditions", f"positions go from 0 to {lengths[document] - 2}",
                )  # fmt: skip

    def unscored(self, panel: Panel) -> int:
        """Return how many listed positions are not scored: a document's first three, or those at special tokens."""
        return len(self.a) + len(self.b) - int(np.count_nonzero(self.label(panel) != NEITHER))

    def _width(self, panel: Panel) -> int:
        largest = [int(column.max()) for column in (panel.position, self.a[:, 1], self.b[:, 1]) if len(column)]
        return 1 + max(largest, default=0)


def _keys(positions: IntArray, width: int) -> IntArray:
    """One number per (document, position), int64 [n]."""
    return positions[:, 0] * width + positions[:, 1]
