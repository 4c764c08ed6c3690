"""Where the files of a model are, and the error lines that more than one loader needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .errors import InputError


@dataclass(frozen=True)
class Source:
    """Where `from_pretrained` finds the files: its first argument and the keywords that go with it."""

    name: str
    location: str
    directory: Path | None
    revision: str | None
    keywords: dict[str, Any]


def refuse_unreachable(source: Source) -> NoReturn:
    """Say that nobody has the model.

    Raises
    ------
    InputError
        Always.
    """
    raise InputError(
        f"{source.name} is not a directory here, not an embedded model and not in the local cache, and the Hub cannot "
        "be reached",
        "--model",
        "check the name and the network",
    )


def first_line(error: BaseException) -> str:
    """Return the error's type and the first line of its text, at most 200 characters of it."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
