"""Text files as documents: articles under headings, or else pieces of running text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .errors import InputError
from .streams import LONGEST, OPTION, first_bytes, pieces, too_long

HEADING_SEARCH = 4_000_000
"""Characters at the start of a corpus of text files in which headings are counted."""

MIN_HEADINGS = 20
"""Headings that a corpus of text files must have to be split at them.

With fewer it has fewer articles than the documents that any test needs, so that splitting helps nobody.  And lines of
this form occur by chance: 2 in the 1.3 million characters of the WikiText-2 test set are formulas broken over lines,
which makes about 6 in `HEADING_SEARCH`.
"""

_CHUNK = 250_000
"""Characters of running text handed on at a time."""

_HEADING = re.compile(r"^ ?= (?!=)(?P<title>\S.*?)(?<!=) = ?$")
"""A WikiText level-1 heading, `` = Title = ``; `` = = Sub = = `` is not one.

A formula broken over lines can look like one (twice in the WikiText-2 test set, which has 60 articles and 62 such
lines); nothing in the text tells them apart, and the usual document-level versions of WikiText split there as well.
"""

_MARKUP = re.compile(r"\s*<(!doctype|html|\?xml)\b", re.IGNORECASE)
_JSON = re.compile(r'\s*(\[\s*)?\{\s*"[^"\n]*"\s*:')


@dataclass(frozen=True)
class Text:
    """One text with its source; `running` text is not a document but a part of a longer one.

    `group`: what it shares with other texts that are not independent of it, a package or a folder; empty for nothing.
    """

    source: str
    text: str = field(repr=False)
    running: bool = False
    group: str = ""


@dataclass(frozen=True)
class Headings:
    """How many headings were found, up to `MIN_HEADINGS`, and where the first one is."""

    count: int = 0
    first: str = ""

    @property
    def enough(self) -> bool:
        """Whether the corpus is split at them."""
        return self.count >= MIN_HEADINGS

    @property
    def warnings(self) -> list[str]:
        """What the reader must know of headings that were found and not used."""
        if self.enough or not self.count:
            return []
        lines = "1 line has" if self.count == 1 else f"{self.count} lines have"
        return [
            f"{lines} the form of a heading, ` = Title = ` ({self.first}); {MIN_HEADINGS} are needed to split a text "
            "at its headings, so it is not split there"
        ]

    @property
    def told(self) -> str:
        """How the corpus is split, for the refusal of one with too few documents; empty without headings."""
        if self.enough:
            return "split at lines of the form ` = Title = `"
        return f"not split at its {self.count} headings ` = Title = `: {MIN_HEADINGS} are needed" if self.count else ""


def find_headings(files: Iterable[tuple[Path, str]]) -> Headings:
    """Count the headings at the start of a corpus, given its text files and the names they are shown by.

    A file that cannot be read ends the search: reading it will say why.
    """
    count, seen, first = 0, 0, ""
    try:
        for path, shown in files:
            for number, piece, title in _titled(path, shown):
                seen += len(piece)
                if title:
                    count, first = count + 1, first or f"line {number} of {shown}"
                if count == MIN_HEADINGS or seen > HEADING_SEARCH:
                    return Headings(count, first)
    except (InputError, UnicodeDecodeError, OSError):
        pass
    return Headings(count, first)


def read_prose(path: Path, shown: str, split: bool) -> Iterator[Text]:
    """Yield the articles of a text file if it is to be split at its headings, else pieces of running text.

    Raises
    ------
    InputError
        If it is no prose: binary, JSON or markup.
    """
    _refuse_other_formats(path, shown)
    yield from _articles(path, shown) if split else _running(path, shown)


def _titled(path: Path, shown: str) -> Iterator[tuple[int, str, str | None]]:
    """Yield (line number, piece of text, its title if it is a heading)."""
    starts = True
    for number, piece in pieces(path, shown, _CHUNK):
        heading = _HEADING.match(piece.rstrip("\n")) if starts else None
        starts = piece.endswith("\n")
        yield number, piece, heading["title"].strip() if heading else None


def _articles(path: Path, shown: str) -> Iterator[Text]:
    source, parts, size = shown, list[str](), 0
    for _, piece, title in _titled(path, shown):
        if title:
            if "".join(parts).strip():
                yield Text(source, "".join(parts))
            source, parts, size = f"{shown}: {title}", [], 0
        parts.append(piece)
        size += len(piece)
        if size > LONGEST:
            raise too_long(f"the article {source}")
    if "".join(parts).strip():
        yield Text(source, "".join(parts))


def _running(path: Path, shown: str) -> Iterator[Text]:
    """Yield a text in pieces of about `_CHUNK` characters, of whole lines or else of whole words."""
    parts, size = list[str](), 0
    for _, piece in pieces(path, shown, _CHUNK):
        parts.append(piece)
        size += len(piece)
        if size >= _CHUNK:
            text = "".join(parts)
            cut = len(text) if text.endswith("\n") else text.rfind(" ")
            cut = cut if cut > 0 else len(text)  # text without spaces is cut anywhere
            yield Text(shown, text[:cut], running=True)
            parts, size = [text[cut:]], len(text) - cut
    if "".join(parts).strip():
        yield Text(shown, "".join(parts), running=True)


def _refuse_other_formats(path: Path, shown: str) -> None:
    """Refuse a file whose name says nothing, but whose start shows that it is not prose."""
    start = first_bytes(path, shown).decode("utf-8-sig", errors="ignore")
    if _MARKUP.match(start):
        raise InputError(f"{shown} holds markup (HTML or XML), not text", OPTION, "save its text first")
    if _JSON.match(start):
        raise InputError(
            f"{shown} holds JSON objects, not text", OPTION, "name it .jsonl (one object per line) or .json"
        )
