"""The panel: which positions are scored, which half they are in, and who is matched to whom.

Which of the two conditions a position is in, a `ConditionRule` says.  All of it follows
docs/methods.md#panel.  Nothing here is
random: what looks like a draw (the halves, the order in which positions of a choose) is a hash keyed by the seed, so it
does not change with the order of work.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from .conditions import COMMON, RARE, ConditionRule, Conditions
from .corpora import MIN_DOCUMENTS
from .errors import InputError
from .matching import keyed_hash, matches
from .measurements import NEITHER, A, B, FloatArray, IntArray, Panel

FIRST_POSITION = 3
"""Positions 0-2 are not scored: a model has hardly any context there."""

MIN_HALF_DOCUMENTS = 2
"""Fewest documents with a matched pair in each half: the jackknife leaves one out."""

MAX_SMD = 0.25
"""Largest standardised mean difference of loss between matched positions of the two conditions."""

MIN_KEPT = 0.5
"""Smallest share of the positions of a that find a match."""

Conditioning = Literal["target", "input"]


def build_panel(
    documents: pd.DataFrame,
    losses: Sequence[npt.NDArray[np.floating]],
    ranks: IntArray,
    special_ids: Iterable[int],
    rule: ConditionRule,
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
        Column ``input_ids``, one row per document, D rows.
    losses
        ``losses[d][j]``: loss in nats of predicting ``input_ids[j + 1]`` from position j, [len(input_ids) - 1] each.
    ranks
        Frequency rank of each token id, int64 [V], 0 = commonest.
    special_ids
        Token ids that are never scored, neither as input nor as target.
    rule
        Gives the positions their class.
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
    panel = classed_positions(documents, ranks, special_ids, rule, seed, split=split)
    return with_losses(panel, documents, losses, seed)


def classed_positions(
    documents: pd.DataFrame,
    ranks: IntArray,
    special_ids: Iterable[int],
    rule: ConditionRule,
    seed: int,
    *,
    split: int = 0,
) -> Panel:
    """Return all of the panel that tokens decide: positions, classes and halves; losses are NaN, nothing is matched.

    Parameters and errors are those of `build_panel`.
    """
    panel = _scored(documents, ranks, special_ids)
    return replace(panel, label=rule.label(panel), half=halves(documents, seed, split)[panel.document])


def with_losses(panel: Panel, documents: pd.DataFrame, losses: Sequence[npt.NDArray[np.floating]], seed: int) -> Panel:
    """Return classed positions with the model's losses in them, matched; parameters and errors as in `build_panel`."""
    if len(documents) != len(losses):
        raise ValueError(f"{len(documents)} documents but {len(losses)} arrays of losses")
    nats = [np.asarray(loss, dtype=np.float64) for loss in losses]
    for document, (ids, loss) in enumerate(zip(documents["input_ids"], nats, strict=True)):
        _check_losses(document, len(ids), loss)
    starts = np.cumsum([0, *(len(loss) for loss in nats[:-1])])
    panel = replace(panel, loss=np.concatenate(nats)[starts[panel.document] + panel.position])
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
    rows = panel.a_rows
    far = np.abs(panel.loss[rows] - panel.loss[panel.match[rows]]) > caliper * scale
    match = panel.match.copy()
    match[rows[far]] = -1
    return replace(panel, match=match)


def halves(documents: pd.DataFrame, seed: int, split: int = 0) -> IntArray:
    """Return the half of each document, int64 [D]: sorted by keyed hash, the first ceil(D/2) are half 0.

    The hash is of the token ids alone, so that neither a document's place nor its file's name decides; documents with
    the same tokens go by their place.  Clusters of documents (column ``cluster``) stay whole: the largest goes first,
    each to the half that has fewer documents, and the hash of its first document breaks ties.
    """
    digests = [
        keyed_hash(f"half {split}", seed, np.asarray(ids, dtype="<i8").tobytes()) for ids in documents["input_ids"]
    ]
    order = sorted(range(len(digests)), key=lambda document: (digests[document], document))
    if "cluster" in documents and documents["cluster"].nunique() < len(documents):
        return _halves_of_clusters(documents["cluster"].to_numpy(dtype=np.int64), order)
    half = np.ones(len(digests), dtype=np.int64)
    half[order[: math.ceil(len(order) / 2)]] = 0
    return half


def _halves_of_clusters(cluster: IntArray, order: Sequence[int]) -> IntArray:
    place = {int(cluster[document]): rank for rank, document in reversed(list(enumerate(order)))}
    size = {c: int((cluster == c).sum()) for c in place}
    filled, half = [0, 0], np.empty(len(cluster), dtype=np.int64)
    for c in sorted(place, key=lambda c: (-size[c], place[c])):
        lighter = int(filled[1] < filled[0])
        half[cluster == c] = lighter
        filled[lighter] += size[c]
    return half


def balance(panel: Panel) -> list[tuple[str, float]]:
    """Return (covariate, standardised mean difference) of matched positions of a against those of b.

    The difference of means over the root of the mean of the two variances; 0 is perfect balance.
    """
    a, b = panel.a_rows, panel.b_rows
    columns = {
        "loss": panel.loss,
        "position": panel.position,
        "log input rank": np.log1p(panel.input_rank),
        "log target rank": np.log1p(panel.target_rank),
    }
    return [(name, standardised_difference(column[a], column[b])) for name, column in columns.items()]


def kept_share(panel: Panel) -> float:
    """Return the share of the positions of a that found a match; 0 where there are none."""
    of_a = int(np.count_nonzero(panel.label == A))
    return len(panel.a_rows) / of_a if of_a else 0.0


def standardised_difference(a: npt.NDArray[np.number], b: npt.NDArray[np.number]) -> float:
    """Return (mean a - mean b) / sqrt((var a + var b) / 2); 0 for equal means, whatever the variances; NaN for none."""
    if not len(a) or not len(b):
        return math.nan
    difference = float(np.mean(a) - np.mean(b))
    if difference == 0:
        return 0.0
    scale = math.sqrt((float(np.var(a)) + float(np.var(b))) / 2)
    return difference / scale if scale else math.copysign(math.inf, difference)


def both_documents(panel: Panel, label: IntArray) -> IntArray:
    """Return the documents that have positions of both classes of `label` [T], ascending."""
    return np.intersect1d(panel.document[label == A], panel.document[label == B])


def enough_documents(panel: Panel, label: IntArray) -> bool:
    """Return whether enough documents have both classes of `label` [T], in all and in each half."""
    both = both_documents(panel, label)
    halved = [len(np.intersect1d(both, panel.document[panel.half == half])) for half in (0, 1)]
    return len(both) >= MIN_DOCUMENTS and min(halved) >= MIN_HALF_DOCUMENTS


def bounded_kept_share(panel: Panel, label: IntArray) -> float:
    """Return the largest share of positions of a that can find a match, whatever the losses; 0 where there are none."""
    if not (label == A).any():
        return 0.0
    of_a, of_b = (
        np.bincount(panel.document[label == value], minlength=1 + int(panel.document[-1])) for value in (A, B)
    )
    return float(np.minimum(of_a, of_b).sum() / of_a.sum())


def could_match(panel: Panel, label: IntArray) -> bool:
    """Return whether enough positions of a could find a match for `label` [T], whatever the losses."""
    return bounded_kept_share(panel, label) >= MIN_KEPT


def check_positions(panel: Panel, rule: ConditionRule, seed: int) -> None:
    """Refuse what no losses could make a panel that can be tested: before the model runs.

    Parameters
    ----------
    panel
        From `classed_positions`.
    rule
        That classed it; says what to change.
    seed
        That the panel was made with.

    Raises
    ------
    InputError
        If too few documents have positions of both conditions, in all or in a half, or fewer than half of the positions
        of a could find one of b in their document.
    """
    conditions = rule.conditions
    both, (a, b) = both_documents(panel, panel.label), (conditions.a.phrase, conditions.b.phrase)
    if len(both) < MIN_DOCUMENTS:
        raise InputError(
            f"only {len(both)} documents have positions of {a} and of {b}, {MIN_DOCUMENTS} are needed",
            _tally(panel, conditions),
            rule.hint(panel, seed),
        )
    share = bounded_kept_share(panel, panel.label)
    if share < MIN_KEPT:
        raise InputError(
            f"at most {share:.0%} of the positions of {a} can find one of {b} in their document, at least half must",
            _tally(panel, conditions),
            rule.hint(panel, seed),
        )
    _check_halves(panel, both, f"positions of {a} and of {b}")


def check_panel(panel: Panel, conditions: Conditions | None = None, option: str = "--threshold") -> None:
    """Refuse a panel on which no test would mean anything.

    Parameters
    ----------
    conditions
        What the two classes are called; rare and common tokens if None.
    option
        The option that decides who is in a class: ``--threshold``, or ``--conditions`` where a file says it.

    Raises
    ------
    InputError
        If too few documents have a matched pair, in all or in a half; if fewer than half of the positions of a found a
        match; or if matched positions differ in loss.
    """
    told = conditions or Conditions(RARE, COMMON, "")
    a, b, tally = told.a.phrase, told.b.phrase, _tally(panel, told)
    move, up = ("move", "raise") if option == "--threshold" else ("change", "give fewer positions of a in")
    paired = np.unique(panel.document[panel.a_rows])
    if len(paired) < MIN_DOCUMENTS:
        raise InputError(
            f"only {len(paired)} documents have positions of {a} and of {b} that match, {MIN_DOCUMENTS} are needed",
            tally,
            f"give more or longer documents (--documents, --context), or {move} {option}",
        )
    if kept_share(panel) < MIN_KEPT:
        raise InputError(
            f"only {len(panel.a_rows):,} of {np.count_nonzero(panel.label == A):,} positions of {a} found a match "
            f"among those of {b}, at least half must",
            tally,
            f"{up} {option}, give longer documents (--context), or another corpus",
        )
    smd = dict(balance(panel))["loss"]
    if abs(smd) > MAX_SMD:
        raise InputError(
            f"after matching, positions of {a} and of {b} differ in loss by {smd:+.2f} sd, at most {MAX_SMD} is "
            "accepted",
            tally,
            f"{move} {option}, give more documents (--documents), or another corpus",
        )
    _check_halves(panel, paired, "a matched pair")


def _tally(panel: Panel, conditions: Conditions) -> str:
    of_a, of_b = (int(np.count_nonzero(panel.label == value)) for value in (A, B))
    documents = len(np.unique(panel.document))
    return (
        f"{of_a:,} positions of {conditions.a.phrase} and {of_b:,} of {conditions.b.phrase} in {documents:,} documents"
    )


def _check_halves(panel: Panel, documents: IntArray, what: str) -> None:
    for half in (0, 1):
        found = len(np.intersect1d(documents, panel.document[panel.half == half]))
        if found < MIN_HALF_DOCUMENTS:
            raise InputError(
                f"half {half} has {found} documents with {what}, at least {MIN_HALF_DOCUMENTS} are needed",
                "",
                "give more documents (--documents) or another --seed",
            )


def _scored(documents: pd.DataFrame, ranks: IntArray, special_ids: Iterable[int]) -> Panel:
    """Return the scored positions, not yet classed, halved or matched, their losses NaN."""
    special = np.asarray(sorted(set(special_ids)), dtype=np.int64)
    columns: list[tuple[IntArray, IntArray, IntArray, IntArray]] = []
    for document, row in enumerate(documents["input_ids"]):
        ids = np.asarray(row, dtype=np.int64)
        _check_ids(document, ids, len(ranks))
        position = np.arange(FIRST_POSITION, len(ids) - 1, dtype=np.int64)
        position = position[~(np.isin(ids[position], special) | np.isin(ids[position + 1], special))]
        columns.append((np.full(len(position), document, dtype=np.int64), position, ids[position], ids[position + 1]))
    if not columns:
        raise ValueError("no documents")
    document_, position_, input_id, target_id = (np.concatenate(column) for column in zip(*columns, strict=True))
    undecided = np.full(len(position_), -1, dtype=np.int64)
    return Panel(
        document=document_,
        position=position_,
        input_id=input_id,
        target_id=target_id,
        loss=np.full(len(position_), math.nan),
        input_rank=np.asarray(ranks[input_id], dtype=np.int64),
        target_rank=np.asarray(ranks[target_id], dtype=np.int64),
        half=undecided,
        label=undecided,
        match=undecided,
    )


def _check_ids(document: int, ids: IntArray, vocabulary: int) -> None:
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < vocabulary:
        raise InputError(
            f"document {document} has token ids {ids.min()} to {ids.max()}, the model's vocabulary is {vocabulary:,}",
            "",
            "use the tokenizer that belongs to the model",
        )


def _check_losses(document: int, tokens: int, loss: FloatArray) -> None:
    if loss.shape != (max(tokens - 1, 0),):
        raise ValueError(f"document {document} has {tokens} tokens but losses of shape {list(loss.shape)}")
    wrong = np.flatnonzero(~np.isfinite(loss))
    if len(wrong):
        raise InputError(
            f"the model's loss at document {document}, position {wrong[0]} is {loss[wrong[0]]}",
            "",
            "run in --dtype float32, and check that the weights are whole",
        )
