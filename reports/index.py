"""A page over a folder of runs: each with its claims and their verdicts, the newest first.

Read from what each run left, as far as it can be read; a folder that holds no run is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..data.errors import InputError
from ..data.regular import present
from ..hypotheses.result import Verdict
from .files import JSON_NAME, PROVENANCE_NAME, write_file
from .numbers import count, printable

NAME = "index.html"
NEWEST = 200
"""Of the folder's entries that are read: the page is made again after every run."""

_REPORTS = ("report.html", "report.md")
_LARGEST = 1 << 26
"""Bytes of a run's results that are read for its line."""

_LONGEST = 200
"""Characters of a name or title."""


@dataclass(frozen=True)
class Line:
    """One run: where it lies, what was looked at, and what came out (paper, name of the claim, title, verdict)."""

    folder: str
    link: str
    started: str
    measured: str
    claims: tuple[tuple[str, str, str, Verdict], ...]


def write_index(folder: Path) -> Path:
    """Write `NAME` into a folder of runs; return its path.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from .html import environment

    runs = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime, reverse=True)[:NEWEST]
    lines = [line for path in runs if (line := line_of(path)) is not None]
    lines.sort(key=lambda line: (line.started, line.folder), reverse=True)
    page: str = environment().get_template("index.html.j2").render(lines=lines, newest=count(NEWEST))
    write_file(folder / NAME, printable(page).encode())
    return folder / NAME


def line_of(run: Path) -> Line | None:
    """What the page says of a run; None where there is none, or it cannot be read."""
    found = _read(run / JSON_NAME)
    if run.name.startswith(".") or found is None:
        return None
    setup, claims = found.get("setup"), found.get("claims")
    if not isinstance(setup, Mapping) or not isinstance(claims, list):
        return None
    report = next((name for name in _REPORTS if (run / name).is_file()), JSON_NAME)
    started = (_read(run / PROVENANCE_NAME) or {}).get("started")
    layer, corpus, documents = (_text(setup.get(name)) for name in ("layer", "corpus", "n_documents"))
    told = [claim for claim in claims if isinstance(claim, Mapping)]
    return Line(
        folder=run.name,
        link=f"{quote(run.name)}/{report}",
        started=_text(started) if started else "",
        measured=f"{_text(setup.get('model'))}, layer {layer}, {corpus}, {documents} documents",
        claims=tuple((_text(c.get("paper")), f"Claim {_text(c.get('number'))}", _text(c.get("title")), v)
                     for c in told if (v := _verdict(c.get("verdict"))) is not None),
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None: a page over many runs does not stop at one that is damaged."""
    try:
        if not present(path) or path.stat().st_size > _LARGEST:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
    except (InputError, OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(value: Any) -> str:
    return str(value)[:_LONGEST]


def _verdict(value: Any) -> Verdict | None:
    try:
        return Verdict(value)
    except ValueError:
        return None
