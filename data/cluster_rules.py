"""What ``--cluster`` can be: found by itself, none, named by a field of the corpus, or listed in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import InputError
from .tables import SUFFIXES, read_rows

OPTION = "--cluster"
WITHOUT_FIELDS = "give auto, none, or a table with the columns source and cluster"
"""What to do where a corpus has no fields."""


@dataclass(frozen=True)
class ClusterRule:
    """How documents are clustered.

    ``by``: *auto* (what the corpus itself tells: packages, sub-folders, running text), *none* (each is its own),
    *field* (of the rows of the corpus, ``name``), *table* (a file, ``name``).  All but *none* join near-copies.
    """

    by: Literal["auto", "none", "field", "table"]
    name: str = ""

    @property
    def field(self) -> str | None:
        """The field of a row that names its cluster."""
        return self.name if self.by == "field" else None


def cluster_rule(option: str) -> ClusterRule:
    """Return what ``--cluster`` asks for: ``auto``, ``none``, a table that is there, or the name of a field.

    Raises
    ------
    InputError
        If it is empty, or looks like a table and is none.
    """
    if option == "auto":
        return ClusterRule("auto")
    if option == "none":
        return ClusterRule("none")
    if not option.strip():
        raise InputError("no rule is given", OPTION, "give auto, none, a field of the corpus, or a table")
    file = Path(option).expanduser()
    if file.suffix.lower() in SUFFIXES:
        if not file.is_file():
            raise InputError(f"{option} is not a file", OPTION, "check the path")
        return ClusterRule("table", option)
    return ClusterRule("field", option)


def listed_groups(file: str, sources: Sequence[str]) -> list[str]:
    """Return the cluster that a table gives each document; empty for one that it does not list.

    Parameters
    ----------
    file
        CSV, TSV or parquet with a column ``cluster``, and ``source`` (as `documents.parquet` and error messages name a
        document, for instance ``texts.jsonl:12``) or ``document`` (its number among those taken, from 0).
    sources
        Name of each document.

    Raises
    ------
    InputError
        If the table cannot be read, gives a document two clusters, or lists none of the documents.
    """
    columns, rows = read_rows(Path(file).expanduser(), OPTION)
    key = next((name for name in ("source", "document") if name in columns), None)
    if "cluster" not in columns or key is None:
        raise InputError(f"{Path(file).name} has the columns {', '.join(columns)}", OPTION,
                         "give a column cluster, and one of source or document")  # fmt: skip
    given: dict[str, str] = {}
    for row in rows:
        name, cluster = _told(row[key]), _told(row["cluster"])
        if given.setdefault(name, cluster) != cluster:
            raise InputError(f"{Path(file).name} gives {key} {name} two clusters", OPTION, "give each document one")
    names = list(sources) if key == "source" else [str(number) for number in range(len(sources))]
    found = [given.get(name, "") for name in names]
    if not any(found):
        raise InputError(f"{Path(file).name} lists none of the documents", OPTION,
                         f"name them as the corpus does, for instance {names[0]}")  # fmt: skip
    return found


def _told(value: object) -> str:
    return "" if value is None else str(value)
