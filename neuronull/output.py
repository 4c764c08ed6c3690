"""Where results go: a directory that appears whole or not at all."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from .data.errors import InputError
from .data.leases import PARTIAL, leased, sweep

if TYPE_CHECKING:
    from .reports import Format

RUNS = Path("neuronull-runs")
"""Where the command line puts a run that was given no ``--out``."""


def default_directory(model: str, now: datetime | None = None) -> Path:
    """``neuronull-runs/<UTC time>-<model>`` in the working directory; a number is added where that is taken."""
    moment = (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H%M%S")
    last = model.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]
    stem = f"{moment}-{re.sub(r'[^A-Za-z0-9._-]+', '-', last).strip('.-') or 'model'}"
    return _free(RUNS / stem)


def report_format(path: Path, given: str | None = None) -> Format:
    """Format of a report: the one given, else the one that the file's suffix names.

    Raises
    ------
    InputError
        If there is no such format.
    """
    from .reports import FORMATS

    name = given or path.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        what = f"no report format {name!r}" if name else f"{path} has no suffix to tell the format by"
        raise InputError(what, "--format" if given else str(path), f"choose {', '.join(FORMATS)}")
    return cast("Format", name)


@contextmanager
def staged(out: Path, option: str = "--out") -> Iterator[Path]:
    """Give a fresh directory beside `out`, which takes the place of `out` at the end.

    After an error or an interrupt nothing is left.  Entering proves that `out` can be written, before the hours of work
    that fill it.

    Parameters
    ----------
    out
        A path that does not exist yet, or an empty directory.
    option
        What the user calls it, for messages.

    Raises
    ------
    InputError
        If `out` is a file, is not empty, or cannot be written.
    """
    out = out.expanduser().absolute()
    _refuse_occupied(out, option)
    made = [parent for parent in out.parents if not parent.exists()]
    work = out.with_name(f".{out.name}.{uuid.uuid4().hex}{PARTIAL}")
    sweep(out.parent, out.name)
    try:
        work.mkdir(parents=True)
    except OSError as error:
        _remove_empty(made)
        hint = "choose a directory that can be written"
        raise InputError(f"cannot write to {out}: {error.strerror or error}", option, hint) from error
    try:
        with leased(work):
            yield work
        _take_place(work, out, option)
    except BaseException:  # also on Ctrl-C
        shutil.rmtree(work, ignore_errors=True)
        _remove_empty(made)
        raise


def _free(path: Path) -> Path:
    """`path`, or where that is taken the first of ``path-2``, ``path-3``, ... that is not."""
    free, n = path, 1
    while free.exists():
        n += 1
        free = path.with_name(f"{path.name}-{n}")
    return free


def _refuse_occupied(out: Path, option: str) -> None:
    try:
        if not out.exists():
            return
        if not out.is_dir():
            raise InputError(f"{out} is a file", option, "give a directory that does not exist yet")
        if any(out.iterdir()):
            raise InputError(f"{out} is not empty", option, "give another directory, or empty this one")
    except OSError as error:
        raise InputError(f"cannot read {out}: {error.strerror or error}", option, "choose another directory") from error


def _take_place(work: Path, out: Path, option: str) -> None:
    try:
        _refuse_occupied(out, option)
    except InputError as error:  # filled in the meantime, perhaps by a second run: hours of work are not thrown away
        other = _free(out)
        work.rename(other)
        raise InputError(f"{out} was filled meanwhile", option, f"what was written is in {other}") from error
    if out.exists():
        out.rmdir()  # Windows does not rename onto a directory, even an empty one
    work.rename(out)


def _remove_empty(directories: list[Path]) -> None:
    for directory in directories:  # innermost first
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()
