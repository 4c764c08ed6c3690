"""Token frequencies: counts over the training corpus, ranks, and the elbow of the Zipf curve.

What is rare is decided by the counts of the corpus that a model was *trained* on.  Where those cannot be had, the
tokens of the whole evaluation corpus are counted instead, and the report says so.

Ranks and thresholds are about the token types that can occur: an embedding is often padded to a round number of rows,
and rows that no tokenizer gives are no types.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .measurements import FloatArray, IntArray
from .readers import open_texts
from .regular import present
from .tokens import encoded, token_ids

COUNTS_FILE = "counts.npz"
"""Name of the training counts beside an embedded model's weights."""

ELBOW_WINDOW = 2000
"""Largest window of the rolling slope, in ranks (docs/methods.md#token-frequencies)."""

ELBOW_STEEPENING = 2.0
"""Factor by which the slope must steepen at an elbow."""

MIN_WINDOW = 10
"""Ranks below which a slope is not worth fitting."""

MOST_CHARACTERS = 50_000_000
"""Characters of a corpus that are counted where nobody asked for all of it: a data set on the Hub may have no end."""

_TEXTS_TOGETHER = 64

MIN_SEEN = 0.5
"""Share of the types that counts from a file should have seen; the others share the last ranks, in order of id."""


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
    types
        Token types that a threshold is a share of: those the tokenizer can give, or, where the evaluation corpus was
        counted, those that occur in it.
    of_types
        What these types are, as a phrase that follows a percentage.
    given
        Which token ids the tokenizer can give, bool [V].
    elbow
        Rank of the Zipf elbow, `zipf_elbow` of the types that the tokenizer can give.
    ranks
        Frequency rank of each token id, int64 [V]; ids that the tokenizer cannot give have the last ones.
    warnings
        What the reader of a result must know about them.
    """

    counts: IntArray = field(repr=False)
    hash: str
    source: str
    types: int
    of_types: str
    ranks: IntArray = field(repr=False)
    given: npt.NDArray[np.bool_] = field(repr=False)
    elbow: int | None
    warnings: list[str] = field(default_factory=list)


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that counting needs."""

    def __call__(self, text: list[str], **options: Any) -> Any:
        """Encode texts; the result has ``input_ids``, one list per text."""

    def get_vocab(self) -> dict[str, int]:
        """Return every token as it is spelled, and its id."""


def load_counts(path: str | None, vocabulary: int, embedded: Path | None, corpus: Any, tokenizer: Tokenizer) -> Counts:
    """Return the counts of every token id: from a file, else the embedded model's, else of the whole corpus.

    Parameters
    ----------
    path
        ``.npy``, or ``.npz`` with an array ``counts`` (or one array only); ``None`` to look further.
    vocabulary
        Rows of the model's embedding, V.
    embedded
        `COUNTS_FILE` of an embedded model, or its directory; ``None`` for any other model.
    corpus
        What ``--corpus`` names; all of it is counted when there is nothing better, up to `MOST_CHARACTERS`.
    tokenizer
        The model's.  Its ids are the types that have ranks; a file whose counts stop between the last of them and V,
        or where its base vocabulary ends, before the tokens that a fine-tune added, is filled up with zeros.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold one non-negative whole number for each token id.
    """
    given = given_ids(tokenizer, vocabulary)
    if path is not None:
        return _from_file(Path(path).expanduser(), "--counts", given, tokenizer)
    if embedded is not None:
        file = embedded / COUNTS_FILE if embedded.is_dir() else embedded
        return _from_file(file, "embedded model", given, tokenizer)
    return _of_corpus(corpus, tokenizer, given)


def given_ids(tokenizer: Tokenizer, vocabulary: int) -> npt.NDArray[np.bool_]:
    """Return which token ids of a model the tokenizer can give, bool [V]."""
    given = np.zeros(vocabulary, dtype=np.bool_)
    ids = np.fromiter(tokenizer.get_vocab().values(), dtype=np.int64)
    given[ids[ids < vocabulary]] = True
    return given


def count_corpus(corpus: Any, tokenizer: Tokenizer, vocabulary: int, most: int | None = None) -> tuple[IntArray, bool]:
    """Return how often each token id occurs in a corpus, int64 [V], and whether all of it was counted.

    Texts of every length count, whole and without the special tokens that a tokenizer adds.

    Parameters
    ----------
    corpus
        What ``--corpus`` names.
    vocabulary
        Token ids of the model, V.
    most
        Characters after which counting stops; ``None`` for no limit.

    Raises
    ------
    InputError
        If the corpus cannot be read or is empty, or the tokenizer gives an id of V or more.
    """
    counts = np.zeros(vocabulary, dtype=np.int64)
    characters, whole = 0, True
    opened = open_texts(corpus)
    texts = (text.text for text in opened.texts)
    while batch := list(islice(texts, _TEXTS_TOGETHER)):
        if most is not None and characters >= most:
            whole = False
            break
        characters += sum(map(len, batch))
        for ids in encoded(tokenizer, batch, add_special_tokens=False):
            found = np.bincount(np.asarray(ids, dtype=np.int64), minlength=vocabulary)
            if len(found) > vocabulary:
                raise InputError(
                    f"the corpus has token id {len(found) - 1:,}, the model's vocabulary has {vocabulary:,}",
                    "",
                    "use the tokenizer that belongs to the model",
                )
            counts += found
    if not counts.any():
        raise InputError("the corpus is empty", opened.where, "give one with text")
    return counts, whole


def frequency_ranks(counts: npt.ArrayLike, given: npt.NDArray[np.bool_] | None = None) -> IntArray:
    """Return the frequency rank of each token id, int64 [V]: 0 = commonest, the lower id first of equal counts.

    Parameters
    ----------
    given
        Which ids the tokenizer can give, bool [V]; the others come last.  All of them if None.
    """
    values = np.asarray(counts)
    last = np.zeros(len(values), dtype=np.bool_) if given is None else ~given
    order = np.lexsort((-values, last))  # stable: of equal counts the lower id goes first
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
    Window, slope and range are those of the authors' public code (docs/methods.md#token-frequencies), which takes the
    largest change from one rank to the next and asks that it exceed the mean change by 3 sd.  Among thousands of noisy
    changes one always does:
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


def _of_corpus(corpus: Any, tokenizer: Tokenizer, given: npt.NDArray[np.bool_]) -> Counts:
    counts, whole = count_corpus(corpus, tokenizer, len(given), MOST_CHARACTERS)
    seen = int(np.count_nonzero(counts))
    part = "the evaluation corpus itself" if whole else f"the first {MOST_CHARACTERS:,} characters of the corpus"
    warning = (
        f"token frequencies were counted on {part} ({counts.sum():,} tokens), not on the model's training corpus, and "
        f"--threshold is a share of the {seen:,} token types that occur there; give training counts with --counts"
    )
    return _whole(counts, "the evaluation corpus", given, [warning], seen=seen)


def _from_file(path: Path, option: str, given: npt.NDArray[np.bool_], tokenizer: Tokenizer) -> Counts:
    vocabulary = len(given)
    if not present(path, option):
        raise InputError(f"no such file: {path}", option, "check the path")
    values = _whole_numbers(_read_array(path, option), path.name, option)
    shortest, warnings = 1 + int(np.flatnonzero(given).max(initial=-1)), list[str]()
    if len(values) < shortest:
        warnings = _uncounted(len(values), path.name, option, vocabulary, tokenizer)
    elif len(values) > vocabulary:
        raise _another_length(len(values), path.name, option, vocabulary)
    if not values.any():
        raise InputError(f"all {len(values):,} counts in {path.name} are 0", option, "give the training counts")
    counts = np.concatenate([values, np.zeros(vocabulary - len(values), dtype=np.int64)])
    seen, types = int(np.count_nonzero(counts[given])), int(np.count_nonzero(given))
    if seen < MIN_SEEN * types:
        warnings.append(
            f"{path.name} has seen {seen:,} of the tokenizer's {types:,} token types; the others share the last ranks, "
            f"and --threshold is a share of all: a share of those seen is {seen / types:.2g} times as much"
        )
    return _whole(counts, path.name, given, warnings)


def _uncounted(found: int, name: str, option: str, vocabulary: int, tokenizer: Tokenizer) -> list[str]:
    """Refuse counts of another vocabulary; return a warning where added tokens that text can hold have no count.

    Counts of any length between base vocabulary and tokenizer would let those of another model pass: GPT-2's 50,257
    lie between the 50,254 and 50,277 of Pythia.
    """
    tokens = token_ids(tokenizer)
    if found < tokens.base:
        raise _another_length(found, name, option, vocabulary)
    plain = [token for i, token in tokens.added.items() if found <= i < vocabulary and i not in tokens.special]
    if not plain:  # special tokens are not scored
        return []
    shown = ", ".join(map(repr, plain[:3])) + (", ..." if len(plain) > 3 else "")
    if found != tokens.base:
        raise InputError(
            f"{name} has {found:,} entries, the tokenizer has {tokens.size:,} tokens: there is no count of the added "
            f"{'token' if len(plain) == 1 else 'tokens'} {shown}",
            option,
            f"if the training text had none of them, append zeros: numpy.pad(counts, (0, {tokens.size - found}))",
        )
    return [
        f"{name} has no count of {len(plain)} added token{'s' * (len(plain) > 1)} of the tokenizer ({shown}): the "
        "training text is taken to have had none of them"
    ]


def _another_length(found: int, name: str, option: str, vocabulary: int) -> InputError:
    what = f"{name} has {found:,} entries, the model's vocabulary has {vocabulary:,}"
    return InputError(what, option, "give one count per token id")


def _whole(
    counts: npt.NDArray[np.integer],
    source: str,
    given: npt.NDArray[np.bool_],
    warnings: list[str],
    *,
    seen: int | None = None,
) -> Counts:
    """Put counts together; `seen` is how many types occur where these are what a threshold is a share of."""
    values = np.ascontiguousarray(counts, dtype="<i8")
    types = int(np.count_nonzero(given)) if seen is None else seen
    of_types = "of the vocabulary" if seen is None else f"of the {seen:,} token types that occur in the corpus"
    if seen is None and types < len(given):
        of_types = f"of the tokenizer's {types:,} token types"
    return Counts(
        counts=values,
        hash=hashlib.sha256(values.tobytes()).hexdigest(),
        source=source,
        types=types,
        of_types=of_types,
        ranks=frequency_ranks(values, given),
        given=given,
        elbow=zipf_elbow(values[given]),
        warnings=warnings,
    )


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
