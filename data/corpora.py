"""Corpora: any text a user can name, as documents of token ids, read no further than needed.

A document is the unit of resampling, so text is cut where its source cuts it; blocks of running text are a last resort
and are reported as pseudo-documents.  `neuronull.data.readers` turns names into texts; this module tokenizes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import pandas as pd

from .cluster_rules import OPTION, ClusterRule, cluster_rule, listed_groups
from .clusters import clusters
from .errors import InputError
from .prose import Text
from .readers import Texts, open_texts
from .tokens import Encoder, Tokenizer, unknown_ids

MIN_LENGTH_SHARE = 0.5
"""Share of the context that a document must fill.

A document is one unit of every test whatever its length.  One with a handful of positions has hardly any rare position
to match and a contrast that is mostly noise, and equal blocks of positions (for nulls that permute documents) need
documents of comparable length.
"""

MIN_DOCUMENTS = 20
"""Fewest documents on which anything is tested: the document is the unit of every test (docs/methods.md#panel)."""


MOST_READ = 1_000_000
"""Documents that are read to find long enough ones; a stream of short messages would else be read for days."""

MAX_UNKNOWN, FEW_UNKNOWN = 0.5, 0.05
"""Shares of tokens that stand for unknown text: above the first the corpus is refused, above the second it is said."""


@dataclass(frozen=True)
class Corpus:
    """The documents that a model is fed.

    Parameters
    ----------
    id
        The name under which results speak of it, without folders.
    hash
        SHA-256 of the token ids fed, document by document.
    documents
        Columns ``document`` (int64, 0 to D-1), ``source`` (str), ``input_ids`` (list of int, special tokens included),
        and ``cluster`` (int64) where documents were clustered.
    warnings
        What the reader of a result must know about it.
    available
        Documents that were read to find these: all of the corpus where it ran out.
    """

    id: str
    hash: str
    documents: pd.DataFrame = field(repr=False)
    warnings: list[str]
    available: int


def load_corpus(
    corpus: str | Sequence[str], tokenizer: Tokenizer, documents: int, context: int, cluster: str = "auto"
) -> Corpus:
    """Return the first documents of a corpus that are long enough, tokenized and cut to the context.

    Parameters
    ----------
    corpus
        The texts themselves; or the name of a corpus: the embedded one (`neuronull.data.options.EMBEDDED_CORPUS`); a
        file, compressed (``.gz``, ``.bz2``, ``.zst``, ``.lz4``) or not: JSON lines (``.jsonl``, ``.ndjson``,
        ``.jsonlines``), ``.json`` (list of strings or of objects), ``.csv``, ``.tsv``, ``.parquet``, ``.arrow``, or
        UTF-8 text; a folder of such files, read in sorted order; or ``hf:dataset[@revision][:config][:split][:field]``.
        Rows hold their text in the field ``text``; ``FILE#field`` names another, ``FILE#a.b`` one inside an object.
    tokenizer
        The model's.  Special tokens are added as it adds them by default.
    documents
        How many to take, D.  Fewer are taken, with a warning, where fewer are long enough.
    context
        Tokens of a document at most; one with fewer than `MIN_LENGTH_SHARE` of it is passed over.
    cluster
        *auto*: documents of one package of the embedded corpus, of one sub-folder, blocks of one running text, and
        near-copies are a cluster; *none*: each document is its own; a table (`listed_groups`) or a field of the
        corpus's rows names the cluster of each document, and near-copies are joined as well.

    Raises
    ------
    InputError
        If the corpus cannot be read, or has fewer than `MIN_DOCUMENTS` documents that are long enough.
    """
    rule = cluster_rule(cluster)
    texts = open_texts(corpus, rule.field)
    encoder = Encoder(tokenizer, context)
    shortest = int(np.ceil(MIN_LENGTH_SHARE * context))
    sources: list[str] = []
    groups: list[str] = []
    rows: list[list[int]] = []
    read, pseudo = 0, False
    for source, group, ids, is_block in _encoded(texts.texts, encoder):
        read += 1
        if len(ids) >= shortest:
            pseudo |= is_block
            sources.append(source)
            groups.append(group)
            rows.append(ids)
        if len(rows) == documents or read == MOST_READ:
            break
    _check_enough(texts, len(rows), read, documents, context, shortest)
    warnings = [*texts.warnings, *_warnings(rows, read, documents, shortest, context, pseudo)]
    warnings += _check_known(rows, tokenizer, texts.where)
    table = pd.DataFrame({"document": np.arange(len(rows)), "source": sources, "input_ids": rows})
    if rule.by != "none":
        table["cluster"] = clusters(_told_apart(groups, rule, sources), rows)
    return Corpus(texts.id, hash_ids(rows), table, warnings, read)


def hash_ids(rows: Iterable[list[int]]) -> str:
    """Return the SHA-256 over documents of token ids: of each its length, then its ids, as little-endian int64."""
    digest = hashlib.sha256()
    for ids in rows:
        digest.update(len(ids).to_bytes(8, "little"))
        digest.update(np.asarray(ids, dtype="<i8").tobytes())
    return digest.hexdigest()


def _encoded(texts: Iterator[Text], encoder: Encoder) -> Iterator[tuple[str, str, list[int], bool]]:
    """Yield (source, group, token ids, whether it is a block of running text)."""
    for (source, running, group), parts in groupby(texts, key=lambda text: (text.source, text.running, text.group)):
        if running:
            blocks = _blocks(source, (part.text for part in parts), encoder)
            yield from ((name, group or source, ids, is_block) for name, ids, is_block in blocks)
        else:
            yield from ((source, group, encoder.document(part.text), False) for part in parts)


def _told_apart(groups: list[str], rule: ClusterRule, sources: list[str]) -> list[str]:
    """The groups; found ones are none where all documents are of one: then there is nothing to tell apart."""
    if rule.by == "table":
        groups = listed_groups(rule.name, sources)
    if len(set(groups)) > 1:
        return groups
    if rule.by != "auto":
        said = f"all documents are of the cluster {groups[0][:80]!r}" if groups[0] else "no document has a value there"
        hint = "give documents of several clusters, or --cluster auto"
        raise InputError(said, f"{OPTION} {rule.name}", hint)
    return [""] * len(groups)


def _blocks(source: str, parts: Iterable[str], encoder: Encoder) -> Iterator[tuple[str, list[int], bool]]:
    """Yield consecutive blocks of one text, each filling the context; a text that fits is the document it is."""
    pool: list[int] = []
    block = 0
    for part in parts:
        pool += encoder.plain(part)
        while len(pool) > encoder.room:
            yield f"{source} (pseudo-document {block})", encoder.wrap(pool), True
            pool, block = pool[encoder.room :], block + 1
    if pool:
        yield (f"{source} (pseudo-document {block})" if block else source), encoder.wrap(pool), block > 0


def _check_enough(texts: Texts, found: int, read: int, documents: int, context: int, shortest: int) -> None:
    least = min(MIN_DOCUMENTS, documents)
    if not read:
        raise InputError("the corpus is empty", texts.where, "give one with text")
    if found < least:
        read_as = f" ({texts.split})" if texts.split else ""
        first = "the first " if read == MOST_READ else ""
        raise InputError(
            f"{found} of {first}{read:,} documents{read_as} have at least {shortest} tokens "
            f"(half of --context {context}), {least} are needed",
            texts.where,
            "give more or longer documents, or a smaller --context",
        )


def _check_known(rows: list[list[int]], tokenizer: Tokenizer, where: str) -> list[str]:
    """Refuse a corpus that the tokenizer mostly does not know; return a warning where that is a part of it."""
    unknown = np.asarray(sorted(unknown_ids(tokenizer)), dtype=np.int64)
    share = float(np.mean(np.isin(np.concatenate(rows), unknown)))
    if share > MAX_UNKNOWN:
        raise InputError(
            f"{share:.0%} of the tokens stand for text that the tokenizer does not know",
            where,
            "give text that is written in the tokenizer's alphabet",
        )
    if share > FEW_UNKNOWN:
        return [f"{share:.0%} of the tokens stand for text that the tokenizer does not know; they are not scored"]
    return []


def _warnings(rows: list[list[int]], read: int, documents: int, shortest: int, context: int, pseudo: bool) -> list[str]:
    found = []
    if len(rows) < documents:
        found.append(f"{len(rows)} of {read:,} documents have at least {shortest} tokens; {documents} were asked for")
    if pseudo:
        found.append(
            f"the text is not split into documents: consecutive blocks of {context} tokens stand in for documents "
            "(pseudo-documents); neighbouring blocks are not independent, so intervals are too narrow"
        )
    repeats = len(rows) - len({tuple(ids) for ids in rows})
    if repeats:
        found.append(f"{repeats} documents repeat the tokens of another; repeats are not independent")
    return found
