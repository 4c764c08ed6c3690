"""The panel: which positions are scored, which are rare or common, which half they are in, and who is matched to whom.

All of it follows METHODS 2.  Nothing here is random: what looks like a draw (the halves, the order in which rare
positions choose) is a hash keyed by the seed, so it does not change with the order of work.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from .corpora import MIN_DOCUMENTS
from .errors import InputError
from .measurements import NEITHER, A, B, FloatArray, IntArray, Panel

FIRST_POSITION = 3
"""Positions 0-2 are not scored: a model has hardly any context there."""

DECILES = 10
"""Bins of baseline loss within which positions are matched."""

MIN_HALF_DOCUMENTS = 2
"""Fewest documents with a matched pair in each half: the jackknife leaves one out."""

MAX_SMD = 0.25
"""Largest standardised mean difference of loss between matched rare and common positions."""

MIN_KEPT = 0.5
"""Smallest share of rare positions that find a match."""

Conditioning = Literal["target", "input"]


def build_panel(
    documents: pd.DataFrame,
    losses: Sequence[npt.NDArray[np.floating]],
    ranks: IntArray,
    elbow_rank: int | None,
    special_ids: Iterable[int],
    conditioning: Conditioning,
    threshold: float,
    seed: int,
    *,
    split: int = 0,
) -> Panel:
    """Return the scored positions of all documents, classed, halved and matched.

    Whether they can be tested is for `check_panel` to say: early in training hardly any rare token is predicted as well
    as a common one, and few positions match.

    Parameters
    ----------
    documents
        Column ``input_ids``, one row a document, D rows.
    losses
        ``losses[d][j]``: loss in nats of predicting ``input_ids[j + 1]`` from position j, [len(input_ids) - 1] each.
    ranks
        Frequency rank of each token id, int64 [V], 0 = commonest.
    elbow_rank
        Ranks above it are in neither class; ``None`` where the elbow is off.
    special_ids
        Token ids that are never scored, neither as input nor as target.
    conditioning
        Whether a position is rare by its target token or by its input token.
    threshold
        Share of V: a rank above ``threshold * V`` is rare, any other common.
    seed
        Key of the hashes, 0 or more.
    split
        Which division into halves, 0 or more; matches are the same in all of them.

    Raises
    ------
    InputError
        If a token id is outside the vocabulary, or a loss is not finite.
    ValueError
        If documents and losses do not fit together.
    """
    panel = _scored(documents, losses, ranks, special_ids)
    panel = replace(panel, label=classes(panel, len(ranks), elbow_rank, conditioning, threshold))
    panel = replace(panel, half=halves(documents, seed, split)[panel.document])
    return replace(panel, match=matches(panel, seed))


def within_caliper(panel: Panel, caliper: float) -> Panel:
    """Return the panel without the matched pairs whose losses differ by more than `caliper`.

    Parameters
    ----------
    caliper
        In standard deviations of the loss over all classed positions.

    Notes
    -----
    A caliper on the matching variable: Rosenbaum, Rubin (1985), The American Statistician 39, 33-38.
    """
    scale = float(panel.loss[panel.label != NEITHER].std())
    rare = panel.a_rows
    far = np.abs(panel.loss[rare] - panel.loss[panel.match[rare]]) > caliper * scale
    match = panel.match.copy()
    match[rare[far]] = -1
    return replace(panel, match=match)


def classes(
    panel: Panel, vocabulary: int, elbow_rank: int | None, conditioning: Conditioning, threshold: float
) -> IntArray:
    """Return the class of each position, int64 [T]: A, B, or NEITHER beyond the elbow."""
    rank = panel.target_rank if conditioning == "target" else panel.input_rank
    label = np.where(rank > threshold * vocabulary, A, B).astype(np.int64)
    if elbow_rank is not None:
        label[rank > elbow_rank] = NEITHER
    return label


def halves(documents: pd.DataFrame, seed: int, split: int = 0) -> IntArray:
    """Return the half of each document, int64 [D]: sorted by keyed hash, the first ceil(D/2) are half 0.

    The hash is of the token ids alone, so that neither a document's place nor its file's name decides; documents with
    the same tokens go by their place.
    """
    digests = [_digest(f"half {split}", seed, np.asarray(ids, dtype="<i8").tobytes()) for ids in documents["input_ids"]]
    order = sorted(range(len(digests)), key=lambda document: (digests[document], document))
    half = np.ones(len(digests), dtype=np.int64)
    half[order[: math.ceil(len(order) / 2)]] = 0
    return half


def matches(panel: Panel, seed: int) -> IntArray:
    """Return, for each rare position, the row of its common position, int64 [T]; -1 for unmatched and all others.

    Rare positions of a document take turns in hash order.  Each takes, of the common positions of the document that are
    still free, the nearest in its own decile of baseline loss, or where none is left there the nearest in the two
    neighbouring deciles; of two equally near the earlier.
    """
    decile = loss_deciles(panel)
    match = np.full(len(panel), -1, dtype=np.int64)
    bounds = np.flatnonzero(np.diff(panel.document, prepend=-1, append=-1))
    for start, stop in pairwise(bounds.tolist()):
        _match_document(panel, decile, seed, range(start, stop), match)
    return match


def loss_deciles(panel: Panel) -> IntArray:
    """Return the decile, 0-9, of each position's loss among the losses of all classed positions, int64 [T]."""
    classed = panel.loss[panel.label != NEITHER]
    if not len(classed):
        return np.zeros(len(panel), dtype=np.int64)
    edges = np.quantile(classed, np.arange(1, DECILES) / DECILES)
    return np.searchsorted(edges, panel.loss, side="right").astype(np.int64)


def balance(panel: Panel) -> list[tuple[str, float]]:
    """Return (covariate, standardised mean difference) of matched rare against matched common positions.

    The difference of means over the root of the mean of the two variances; 0 is perfect balance.
    """
    rare, common = panel.a_rows, panel.b_rows
    columns = {
        "loss": panel.loss,
        "position": panel.position,
        "log input rank": np.log1p(panel.input_rank),
        "log target rank": np.log1p(panel.target_rank),
    }
    return [(name, standardised_difference(column[rare], column[common])) for name, column in columns.items()]


def kept_share(panel: Panel) -> float:
    """Return the share of rare positions that found a match; 0 where there are none."""
    rare = int(np.count_nonzero(panel.label == A))
    return len(panel.a_rows) / rare if rare else 0.0


def standardised_difference(a: npt.NDArray[np.number], b: npt.NDArray[np.number]) -> float:
    """Return (mean a - mean b) / sqrt((var a + var b) / 2); 0 for equal means, whatever the variances; NaN for none."""
    if not len(a) or not len(b):
        return math.nan
    difference = float(np.mean(a) - np.mean(b))
    if difference == 0:
        return 0.0
    scale = math.sqrt((float(np.var(a)) + float(np.var(b))) / 2)
    return difference / scale if scale else math.copysign(math.inf, difference)


def check_panel(panel: Panel) -> None:
    """Refuse a panel on which no test would mean anything.

    Raises
    ------
    InputError
        If too few documents have a matched pair, in all or in a half; if fewer than half of the rare positions found a
        match; or if matched rare and common positions differ in loss.
    """
    rare, common = (int(np.count_nonzero(panel.label == label)) for label in (A, B))
    tally = f"{rare:,} rare and {common:,} common positions in {len(np.unique(panel.document)):,} documents"
    paired = np.unique(panel.document[panel.a_rows])
    if len(paired) < MIN_DOCUMENTS:
        raise InputError(
            f"only {len(paired)} documents have a rare and a common position that match, {MIN_DOCUMENTS} are needed",
            tally,
            "give more or longer documents (--documents, --context), or move --threshold",
        )
    if kept_share(panel) < MIN_KEPT:
        raise InputError(
            f"only {len(panel.a_rows):,} of {rare:,} rare positions found a common match, at least half must",
            tally,
            "raise --threshold, give longer documents (--context), or another corpus",
        )
    smd = dict(balance(panel))["loss"]
    if abs(smd) > MAX_SMD:
        raise InputError(
            f"after matching, rare and common positions differ in loss by {smd:+.2f} sd, at most {MAX_SMD} is accepted",
            tally,
            "move --threshold, give more documents (--documents), or another corpus",
        )
    _check_halves(panel)


def _check_halves(panel: Panel) -> None:
    for half in (0, 1):
        found = len(np.unique(panel.document[panel.a_rows][panel.half[panel.a_rows] == half]))
        if found < MIN_HALF_DOCUMENTS:
            raise InputError(
                f"half {half} has {found} documents with a matched pair, at least {MIN_HALF_DOCUMENTS} are needed",
                "",
                "give more documents (--documents) or another --seed",
            )


def _scored(
    documents: pd.DataFrame, losses: Sequence[npt.NDArray[np.floating]], ranks: IntArray, special_ids: Iterable[int]
) -> Panel:
    """Return the scored positions, not yet classed, halved or matched."""
    if len(documents) != len(losses):
        raise ValueError(f"{len(documents)} documents but {len(losses)} arrays of losses")
    special = np.asarray(sorted(set(special_ids)), dtype=np.int64)
    columns: list[tuple[IntArray, IntArray, IntArray, IntArray, FloatArray]] = []
    for document, (row, loss) in enumerate(zip(documents["input_ids"], losses, strict=True)):
        ids, nats = np.asarray(row, dtype=np.int64), np.asarray(loss, dtype=np.float64)
        _check_document(document, ids, nats, len(ranks))
        position = np.arange(FIRST_POSITION, len(ids) - 1, dtype=np.int64)
        position = position[~(np.isin(ids[position], special) | np.isin(ids[position + 1], special))]
        columns.append(
            (
                np.full(len(position), document, dtype=np.int64),
                position,
                ids[position],
                ids[position + 1],
                nats[position],
            )
        )
    if not columns:
        raise ValueError("no documents")
    document_, position_, input_id, target_id, loss_ = (np.concatenate(column) for column in zip(*columns, strict=True))
    undecided = np.full(len(position_), -1, dtype=np.int64)
    return Panel(
        document=document_,
        position=position_,
        input_id=input_id,
        target_id=target_id,
        loss=loss_,
        input_rank=np.asarray(ranks[input_id], dtype=np.int64),
        target_rank=np.asarray(ranks[target_id], dtype=np.int64),
        half=undecided,
        label=undecided,
        match=undecided,
    )


def _check_document(document: int, ids: IntArray, loss: FloatArray, vocabulary: int) -> None:
    if loss.shape != (max(len(ids) - 1, 0),):
        raise ValueError(f"document {document} has {len(ids)} tokens but losses of shape {list(loss.shape)}")
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < vocabulary:
        raise InputError(
            f"document {document} has token ids {ids.min()} to {ids.max()}, the model's vocabulary is {vocabulary:,}",
            "",
            "use the tokenizer that belongs to the model",
        )
    wrong = np.flatnonzero(~np.isfinite(loss))
    if len(wrong):
        raise InputError(
            f"the model's loss at document {document}, position {wrong[0]} is {loss[wrong[0]]}",
            "",
            "run in --dtype float32, and check that the weights are whole",
        )


def _match_document(panel: Panel, decile: IntArray, seed: int, rows: range, match: IntArray) -> None:
    """Match the rare positions of one document, writing into `match`."""
    label = panel.label[rows.start : rows.stop]
    free: list[list[tuple[int, int]]] = [[] for _ in range(DECILES)]
    for row in (rows.start + np.flatnonzero(label == B)).tolist():
        insort(free[decile[row]], (int(panel.position[row]), row))
    rare = (rows.start + np.flatnonzero(label == A)).tolist()
    document = int(panel.document[rows.start]) if len(rows) else 0
    for row in sorted(rare, key=lambda row: _turn(seed, document, int(panel.position[row]))):
        own, position = int(decile[row]), int(panel.position[row])
        chosen = _nearest(free, (own,), position) or _nearest(free, (own - 1, own + 1), position)
        if chosen is not None:
            bin_, place = chosen
            match[row] = free[bin_].pop(place)[1]


def _nearest(free: list[list[tuple[int, int]]], bins: tuple[int, ...], position: int) -> tuple[int, int] | None:
    """Return (bin, place in it) of the free position nearest to `position`; the earlier of two equally near."""
    best: tuple[int, int, int, int] | None = None
    for bin_ in bins:
        if not 0 <= bin_ < DECILES:
            continue
        after = bisect_left(free[bin_], (position, -1))
        for place in (after - 1, after):
            if 0 <= place < len(free[bin_]):
                found = free[bin_][place][0]
                candidate = (abs(found - position), found, bin_, place)
                best = candidate if best is None else min(best, candidate)
    return None if best is None else best[2:]


def _turn(seed: int, document: int, position: int) -> bytes:
    """Hash that orders the rare positions of a document."""
    return _digest("turn", seed, document.to_bytes(8, "little") + position.to_bytes(8, "little"))


def _digest(purpose: str, seed: int, content: bytes) -> bytes:
    """Return a hash of the content, keyed by purpose and seed so that no two uses of it are related."""
    return hashlib.blake2b(content, digest_size=16, key=f"{purpose} {seed}".encode()).digest()
