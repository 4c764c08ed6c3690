"""Earlier looks at the same data: a run that only takes more documents was begun after its result was seen.

Each finished run leaves one line beside the measurements in the cache: what it declared but for the number of
documents, and that number.  A later run that differs in nothing else finds it there, and its report says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOOKS = "looks"
_SIZES = ("documents", "head_documents")
_LARGEST = 1 << 20


def earlier(declared: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the runs that differed from this one in their documents alone, in their order.

    Returns
    -------
    list
        Of each its ``documents``, ``head_documents``, and when it ended (``at``).
    """
    found = [one for one in _read(_place(declared)) if [one.get(name) for name in _SIZES] != _sizes(declared)]
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in found:
        latest.setdefault(tuple(one.get(name) for name in _SIZES), one)
    return list(latest.values())


def looked(declared: Mapping[str, Any]) -> None:
    """Leave word that a run has ended and its result can be seen; nothing where the cache cannot be written."""
    place = _place(declared)
    line = dict(zip(_SIZES, _sizes(declared), strict=True)) | {"at": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # one short write at the end: runs beside this one lose nothing
        file = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, (json.dumps(line) + "\n").encode())
        finally:
            os.close(file)
    except OSError:
        return


def _sizes(declared: Mapping[str, Any]) -> list[Any]:
    return [declared["measure"].get(name) for name in _SIZES]


def _place(declared: Mapping[str, Any]) -> Path:
    from .data.store import cache_directory
    from .hypotheses.plan import plan_hash

    measure = {name: value for name, value in declared["measure"].items() if name not in _SIZES}
    return cache_directory() / LOOKS / f"{plan_hash({**declared, 'measure': measure})}.jsonl"


def _read(place: Path) -> list[dict[str, Any]]:
    try:
        if not place.is_file() or place.stat().st_size > _LARGEST:
            return []
        lines = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, RecursionError):
        return []
    return [line for line in lines if isinstance(line, dict) and isinstance(line.get("documents"), int)]
