"""Token frequencies: counts over the training corpus, ranks, and the elbow of the Zipf curve.

What is rare is decided by the counts of the corpus that a model was *trained* on.  Where those cannot be had, the
tokens of the evaluation corpus are counted instead, and the report says so.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from .errors import InputError
from .measurements import FloatArray, IntArray
from .tokens import TokenIds

COUNTS_FILE = "counts.npz"
"""Name of the training counts beside an embedded model's weights."""

ELBOW_WINDOW = 2000
"""Largest window of the rolling slope, in ranks (METHODS 2)."""

ELBOW_STEEPENING = 2.0
"""Factor by which the slope must steepen at an elbow."""

MIN_WINDOW = 10
"""Ranks below which a slope is not worth fitting."""


@dataclass(frozen=True)
class Counts:
    """How often each token occurs.

    Parameters
    ----------
    counts
        int64 [V], index = token id.
    hash
        SHA-256 of the counts as little-endian int64.
    source
        Where they come from, for the report.
    warnings
        What the reader of a result must know about them.
    """

    counts: IntArray = field(repr=False)
    hash: str
    source: str
    warnings: list[str] = field(default_factory=list)


def load_counts(
    path: str | None,
    vocabulary: int,
    embedded: Path | None,
    documents: pd.DataFrame,
    *,
    tokens: TokenIds | None = None,
) -> Counts:
    """Return the counts of every token id: from a file, else the embedded model's, else of the given documents.

    Parameters
    ----------
    path
        ``.npy``, or ``.npz`` with an array ``counts`` (or one array only); ``None`` to look further.
    vocabulary
        Rows of the model's embedding, V.
    embedded
        `COUNTS_FILE` of an embedded model, or its directory; ``None`` for any other model.
    documents
        The evaluation corpus, column ``input_ids``; counted when there is nothing better.
    tokens
        Those of the tokenizer.  Counts may end where its ids end, before the padding of the embedding, or where the
        ids of its base vocabulary end, before the tokens that a fine-tune added: they are filled up with zeros.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold one non-negative whole number for each token id.
    """
    if path is not None:
        return _from_file(Path(path).expanduser(), "--counts", vocabulary, tokens)
    if embedded is not None:
        file = embedded / COUNTS_FILE if embedded.is_dir() else embedded
        return _from_file(file, "embedded model", vocabulary, tokens)
    return _counted(documents, vocabulary)


def frequency_ranks(counts: npt.ArrayLike) -> IntArray:
    """Return the frequency rank of each token id, int64 [V]: 0 = commonest, the lower id first of equal counts."""
    values = np.asarray(counts)
    order = np.argsort(-values, kind="stable")
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[order] = np.arange(len(values))
    return ranks


def zipf_elbow(counts: npt.ArrayLike) -> int | None:
    """Return the rank at which the Zipf curve breaks off; ``None`` where it does not.

    Tokens of a higher rank are in neither class.  The rule: tokens that occur at all are sorted by count, commonest
    first, and w = min(`ELBOW_WINDOW`, V // 10).  At every rank k of the rarer half (k >= V // 2) with w ranks to either
    side, the OLS slope of log p on log rank over [k, k + w) is compared with that over [k - w, k).  The elbow is the k
    at which the slope falls most, provided that it at least doubles there (`ELBOW_STEEPENING`) and is steeper than
    Zipf's own, -1.

    Parameters
    ----------
    counts
        Count of each token id, [V].

    Notes
    -----
    Window, slope and range are those of the authors' public code (METHODS 2), which takes the largest change from one
    rank to the next and asks that it exceed the mean change by 3 sd.  Among thousands of noisy changes one always does:
    on counts drawn from an exact Zipf law of 6,144 types that rule finds an "elbow" even at 1e9 tokens.  This one does
    not, and it finds a break put at .85 V within 2 %.  On the published counts of GPT-2 (48,091; theirs, types without
    counts left out, 48,070) and Pythia (48,063; the same) they agree.  Counts so low that many types share each are
    another matter: sampling alone bends the end of such a curve, and either rule takes that for an elbow.
    """
    values = np.sort(np.asarray(counts, dtype=np.float64))[::-1]
    window = min(ELBOW_WINDOW, len(values) // 10)
    positive = values[values > 0]
    candidates = np.arange(max(len(values) // 2, window), len(positive) - window + 1)
    if window < MIN_WINDOW or not len(candidates):
        return None
    slopes = _rolling_slopes(np.log(np.arange(1, len(positive) + 1)), np.log(positive), window)
    before, after = slopes[candidates - window], slopes[candidates]
    steepest = int(np.argmax(before - after))
    if after[steepest] > min(ELBOW_STEEPENING * before[steepest], -1.0):
        return None
    return int(candidates[steepest])


def _rolling_slopes(x: FloatArray, y: FloatArray, window: int) -> FloatArray:
    """Return the OLS slope of y on x over ``[i, i + window)`` for every i, [len(x) - window + 1]."""
    # Sums of products by differences of cumulative sums; centred first, so that the differences keep their digits.
    x, y = x - x.mean(), y - y.mean()
    sums = [np.concatenate([[0.0], np.cumsum(term)]) for term in (x, y, x * x, x * y)]
    sx, sy, sxx, sxy = (total[window:] - total[:-window] for total in sums)
    return np.asarray((window * sxy - sx * sy) / (window * sxx - sx * sx))


def _counted(documents: pd.DataFrame, vocabulary: int) -> Counts:
    ids = np.concatenate([np.asarray(row, dtype=np.int64) for row in documents["input_ids"]])
    if len(ids) and int(ids.max()) >= vocabulary:
        raise InputError(
            f"the corpus has token id {int(ids.max()):,}, the model's vocabulary has {vocabulary:,}",
            "",
            "use the tokenizer that belongs to the model",
        )
    warning = (
        f"token frequencies were counted on the evaluation corpus itself ({len(ids):,} tokens), not on the model's "
        "training corpus; give training counts with --counts"
    )
    return _whole(np.bincount(ids, minlength=vocabulary), "the evaluation corpus", [warning])


def _from_file(path: Path, option: str, vocabulary: int, tokens: TokenIds | None) -> Counts:
    values = _whole_numbers(_read_array(path, option), path.name, option)
    warnings = _check_length(len(values), path.name, option, vocabulary, tokens)
    if not values.any():
        raise InputError(f"all {len(values):,} counts in {path.name} are 0", option, "give the training counts")
    return _whole(np.concatenate([values, np.zeros(vocabulary - len(values), dtype=np.int64)]), path.name, warnings)


def _check_length(found: int, name: str, option: str, vocabulary: int, tokens: TokenIds | None) -> list[str]:
    """Refuse counts of another vocabulary; return a warning where added tokens that text can hold have none.

    Counts of any length between base vocabulary and tokenizer would let those of another model pass: GPT-2's 50,257
    lie between the 50,254 and 50,277 of Pythia.
    """
    if found == vocabulary or (tokens is not None and tokens.size <= found < vocabulary):
        return []
    what, hint = (
        f"{name} has {found:,} entries, the model's vocabulary has {vocabulary:,}",
        "give one count per token id",
    )
    lacking = [] if tokens is None or found < tokens.base else [i for i in tokens.added if found <= i < vocabulary]
    if tokens is None or not lacking:
        raise InputError(what, option, hint)
    plain = [i for i in lacking if i not in tokens.special]
    shown = ", ".join(f"{tokens.added[i]!r}" for i in (plain or lacking)[:3]) + (", ..." if len(plain) > 3 else "")
    if plain and found != tokens.base:
        raise InputError(
            f"{name} has {found:,} entries, the tokenizer has {tokens.size:,} tokens: there is no count of {shown}, "
            f"which {'was' if len(plain) == 1 else 'were'} added to its vocabulary",
            option,
            f"if the training text did not hold {'it' if len(plain) == 1 else 'them'}, append zeros: "
            f"numpy.pad(counts, (0, {tokens.size - found}))",
        )
    if not plain:  # special tokens are not scored
        return []
    return [
        f"{name} has no counts of {len(plain)} tokens that were added to the tokenizer's vocabulary ({shown}): "
        "they are taken as tokens that the training text never held"
    ]


def _whole(counts: npt.NDArray[np.integer], source: str, warnings: list[str]) -> Counts:
    values = np.ascontiguousarray(counts, dtype="<i8")
    return Counts(values, hashlib.sha256(values.tobytes()).hexdigest(), source, warnings)


def _read_array(path: Path, option: str) -> npt.NDArray[np.generic]:
    """Read the one array of a file; nothing is unpickled."""
    try:
        loaded = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"no such file: {path}", option, "check the path") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, option, error) from None
    if isinstance(loaded, np.ndarray):
        return loaded
    with loaded as archive:
        names = list(archive.files)
        if "counts" not in names and len(names) != 1:
            raise InputError(
                f"{path.name} has the arrays {', '.join(names) or 'none'}",
                option,
                "name the one with the counts `counts`",
            )
        try:
            return np.asarray(archive["counts" if "counts" in names else names[0]])
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise _unreadable(path, option, error) from None


def _unreadable(path: Path, option: str, error: Exception) -> InputError:
    return InputError(
        f"{path.name} cannot be read as .npy or .npz: {error}",
        option,
        "save it with numpy.save, without pickled objects",
    )


def _whole_numbers(array: npt.NDArray[np.generic], name: str, option: str) -> IntArray:
    """Return an array as int64 [n] once it is sure that it holds counts."""
    hint = "give one non-negative whole number per token id"
    if array.ndim != 1:
        raise InputError(f"{name} has shape {list(array.shape)}, not one dimension", option, hint)
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} holds {array.dtype}, not numbers", option, hint)
    with np.errstate(invalid="ignore"):  # NaN and infinity are reported just below
        whole = array.astype(np.int64)
        wrong = np.flatnonzero((array != whole) | (whole < 0))
    if len(wrong):
        raise InputError(f"{name} has {array[wrong[0]]} at token id {wrong[0]:,}", option, hint)
    return np.asarray(whole, dtype=np.int64)
