"""Many runs in one folder: a grid of options, each cell a run of its own, that stops and goes on where it was."""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import planning
from .data.errors import InputError
from .data.options import Progress, Silent
from .data.regular import present
from .provenance import Timed

if TYPE_CHECKING:
    from .estimators.estimate import Estimate
    from .hypotheses.result import Result

MOST_CELLS = 10_000
FAILED, SUMMARY, TABLE, REPORT = "failed", "sweep.json", "sweep.parquet", "report.html"
_TABLES = ("defaults", "grid", "cell", "override", "skip")
_NOT_OF_A_CELL = frozenset({"out", "progress", "plan", "tokenizer"})
_LARGEST, _LONGEST = 1 << 20, 80
_WHERE = "sweep"


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Parameters
    ----------
    number
        From 0, in the order of the grid, single cells behind it.
    grid
        Keyword -> value, of what tells it from the others.
    options
        All keywords of `neuronull.run` that are given.
    """

    number: int
    grid: dict[str, Any]
    options: dict[str, Any] = field(repr=False)

    @property
    def label(self) -> str:
        """What tells the cell from the others, for people."""
        return ", ".join(_told(name, value) for name, value in self.grid.items()) or "one run"

    @property
    def name(self) -> str:
        """Name of its folder: what tells it from the others, in letters that every file system has."""
        told = "_".join(_told(name, value) for name, value in self.grid.items())
        words = re.sub(r"[^A-Za-z0-9._]+", "-", told).strip("-._") or "run"
        if len(words) > _LONGEST:
            words = f"{words[:_LONGEST]}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
        return f"{words}-run" if words in (FAILED, SUMMARY, TABLE, REPORT) else words


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: ``result`` is None where it failed, and ``why`` then says why, in one line."""

    cell: Cell
    result: Result | None
    why: str = ""
    before: bool = False


def read_sweep(file: Path) -> list[Cell]:
    """Return the cells that a TOML file describes, in the order of its grid.

    Parameters
    ----------
    file
        Tables ``[defaults]`` (options of every cell), ``[grid]`` (option -> list of values), ``[[cell]]`` (options of a
        cell beside the grid), ``[[override]]`` (options beside ``where``, for the cells that it matches) and
        ``[[skip]]`` (cells that match are left out). Options are
        spelled as on the command line, with ``-`` or ``_``.

    Raises
    ------
    InputError
        If the file says anything else.
    """
    if not present(file, _WHERE) or file.stat().st_size > _LARGEST:
        raise InputError(f"no grid of runs is in {file}", _WHERE, "check the path")
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{file.name} is no TOML: {error}", _WHERE, "see docs/sweeps.md") from None
    unknown = sorted(told.keys() - set(_TABLES))
    if unknown:
        raise InputError(f"{file.name} has {unknown[0]!r}", _WHERE, f"it may have {', '.join(_TABLES)}")
    return cells_of(
        _options(told.get("grid", {}), "grid"),
        _options(told.get("defaults", {}), "defaults"),
        [_override(one) for one in _list(told.get("override", []), "override")],
        [_options(one, "skip") for one in _list(told.get("skip", []), "skip")],
        [_options(one, "cell") for one in _list(told.get("cell", []), "cell")],
    )


def cells_of(
    grid: Mapping[str, Any],
    defaults: Mapping[str, Any],
    overrides: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]] = (),
    skipped: Sequence[Mapping[str, Any]] = (),
    single: Sequence[Mapping[str, Any]] = (),
) -> list[Cell]:
    """Return every combination of a grid's values, and single cells.

    Parameters
    ----------
    grid
        Keyword of `neuronull.run` -> its values.
    defaults
        Keywords of every cell.
    overrides
        Pairs of a condition and the options that hold where it matches; later ones win.
    skipped
        Conditions under which a cell is left out.
    single
        Options of each cell beside the grid.

    Raises
    ------
    InputError
        If an option is none of a run's, a value is no list or empty, or there are too many cells.
    """
    for where in (*(condition for condition, _ in overrides), *skipped):
        strange = sorted(where.keys() - grid.keys() - {name for one in single for name in one})
        if strange:
            raise InputError(f"{strange[0]} is not varied", f"{_WHERE}: where", "give options of the grid")
    for name, values in grid.items():
        if not isinstance(values, list | tuple) or not values:
            raise InputError(f"{name} = {values!r} is no list of values", f"{_WHERE}: grid", "give a list")
    if not grid and not single:
        raise InputError("nothing is varied", f"{_WHERE}: grid", "give options with lists of values")
    found: list[Cell] = []
    combined = (dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()) if grid)
    for point in itertools.chain(combined, map(dict, single)):
        if any(_matches(point, condition) for condition in skipped):
            continue
        options = {**defaults, **point}
        for condition, more in overrides:
            if _matches(point, condition):
                options |= more
        found.append(Cell(len(found), point, options))
        if len(found) > MOST_CELLS:
            raise InputError(f"the grid has more than {MOST_CELLS:,} cells", f"{_WHERE}: grid", "split it")
    if not found:
        raise InputError("every cell is skipped", f"{_WHERE}: skip", "leave some")
    return found


def check(cells: Sequence[Cell]) -> None:
    """Refuse a sweep of which a cell could not be run, before the first one is.

    Raises
    ------
    InputError
        Names the cell.
    """
    from .api import request_of
    from .pipeline import settled

    names: dict[str, Cell] = {}
    for cell in cells:
        try:
            request = request_of(planning.defaults() | cell.options)
            planning.refuse_unnamed(request, "a sweep")
            settled(request)
            twin = names.setdefault(cell.name.lower(), cell)  # file systems there are that know no capitals
        except InputError as error:
            where = f"cell {cell.number} ({cell.label}){': ' + error.where if error.where else ''}"
            raise InputError(error.what, where, error.hint) from None
        if twin is not cell:
            raise InputError(f"cells {twin.number} and {cell.number} would lie in one folder, {cell.name}", _WHERE,
                             "remove one, or vary what tells them apart")  # fmt: skip


def run_sweep(
    cells: Sequence[Cell],
    out: Path,
    progress: Progress | None = None,
    told: Callable[[Outcome], None] = lambda outcome: None,
    common: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Run the cells that are not there yet; a cell that fails is told, and the rest goes on.

    Parameters
    ----------
    out
        Folder of the sweep: each cell's run lies in a folder named by what varies, why one failed under ``failed``.
    told
        Is told of every cell as it ends.
    common
        Further keywords of every run that change no number (``jobs``, ``device``).

    Returns
    -------
    list
        One outcome a cell, in order.
    """
    outcomes = []
    for cell in cells:
        outcome = _run_cell(cell, out, len(cells), progress or Silent(), common or {})
        if outcome.result is not None:
            outcome.result.keep_frames({})  # they are in the cell's folder, and there may be thousands of cells
        outcomes.append(outcome)
        told(outcome)
        gc.collect()  # the model of the last cell
    return outcomes


def _run_cell(cell: Cell, out: Path, cells: int, progress: Progress, common: Mapping[str, Any]) -> Outcome:
    from . import api
    from .pipeline import ReportError
    from .reports import load_result

    place, failure = out / cell.name, out / FAILED / f"{cell.name}.txt"
    timed = Timed(progress)
    try:
        if (place / "results.json").is_file():
            before = load_result(place)
            if before.provenance.get("plan", {}).get("sha256") != _plan_hash(cell):
                raise InputError("its folder holds a run with other options", str(place), "give another --out")
            return Outcome(cell, before, before=True)
        failure.unlink(missing_ok=True)
        with timed.labelled(f"[{cell.number}: {cell.name}] " if cells > 1 else ""):
            result = api.run(**{**cell.options, **common}, out=place, progress=timed).result
    except ReportError as error:
        return Outcome(cell, error.result, str(error))
    except (InputError, OSError, MemoryError, RuntimeError) as error:  # a failed audit is a RuntimeError
        why = " ".join(str(error).split()) or type(error).__name__
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(f"{cell.label}\n{type(error).__name__}: {why}\n", encoding="utf-8")
        return Outcome(cell, None, why)
    return Outcome(cell, result)


def _plan_hash(cell: Cell) -> str:
    """SHA-256 of all that a cell's options declare, which its run leaves beside its results."""
    from .api import request_of
    from .hypotheses.plan import plan_hash
    from .pipeline import declared_of, settled

    return plan_hash(declared_of(settled(request_of(planning.defaults() | cell.options))[0]))


def estimates(cells: Sequence[Cell], progress: Progress) -> Iterator[tuple[Cell, Estimate | str]]:
    """Yield what each cell will take, from a few documents of its model on this machine; or why that cannot be said.

    Cells that are measured alike share one estimate; the second of them will find the first's in the cache.
    """
    from .api import request_of
    from .pipeline import estimated, settled

    known: dict[str, Estimate | str] = {}
    for cell in cells:
        request = settled(request_of(planning.defaults() | cell.options))[0]
        key = repr((request.measure, request.tests.papers, request.tests.only, request.tests.suite))
        if key not in known:
            try:
                known[key] = estimated(request, progress)
            except InputError as error:
                known[key] = " ".join(str(error).split())
        yield cell, known[key]


def write_summary(outcomes: Sequence[Outcome], out: Path) -> list[Path]:
    """Write what a sweep says as a whole, and return the files: a table of all rows, and a report of all runs.

    ``sweep.parquet`` has the columns of ``results.parquet`` behind ``cell`` and what the grid varies. The report is
    written for two runs or more, up to as many as one report takes.
    """
    import pandas as pd

    from .reports import render
    from .reports.compare import MOST_RUNS
    from .reports.files import write_file

    done = [(outcome.cell, outcome.result) for outcome in outcomes if outcome.result is not None]
    listed = [
        {
            "cell": outcome.cell.number,
            "folder": outcome.cell.name,
            "grid": outcome.cell.grid,
            "failed": outcome.why if outcome.result is None else None,
        }
        for outcome in outcomes
    ]
    written = [out / SUMMARY]
    write_file(written[0], (json.dumps(listed, indent=1, default=str) + "\n").encode())
    if not done:
        return written
    parts = []
    for cell, result in done:
        grid = {f"grid_{name}": _told_value(value) for name, value in cell.grid.items()}
        parts.append(result.table.assign(cell=cell.number, **grid))
    whole = pd.concat(parts, ignore_index=True)
    first = ["cell", *(name for name in whole if name.startswith("grid_"))]
    whole = whole[[*first, *(name for name in whole if name not in first)]]
    written.append(out / TABLE)
    whole.to_parquet(written[-1], index=False)
    if 1 < len(done) <= MOST_RUNS:
        written.append(render([result for _, result in done], "html", out / REPORT))
    return written


def _matches(point: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    def one(name: str, wanted: Any) -> bool:
        here = point.get(name)
        return here in wanted if isinstance(wanted, list) else here == wanted

    return all(one(name, wanted) for name, wanted in condition.items())


def _told(name: str, value: Any) -> str:
    return str(value) if name in ("model", "paper") else f"{name} {_told_value(value)}"


def _told_value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _options(told: Any, table: str) -> dict[str, Any]:
    """Options of a table, by the keywords of `neuronull.run`."""
    if not isinstance(told, dict):
        raise InputError(f"{table} is no table", _WHERE, f"write [{table}] and options under it")
    known = planning.defaults().keys() - _NOT_OF_A_CELL
    found: dict[str, Any] = {}
    for name, value in told.items():
        keyword = name.replace("-", "_")
        if keyword not in known:
            raise InputError(f"{name} is no option of a run", f"{_WHERE}: {table}", "see neuronull run --help")
        found[keyword] = value
    return found


def _override(told: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(told, dict) or "where" not in told:
        hint = "for instance where = { model = 'gpt2-xl' }"
        raise InputError("an override does not say where", f"{_WHERE}: override", hint)
    more = {name: value for name, value in told.items() if name != "where"}
    return _options(told["where"], "where"), _options(more, "override")


def _list(told: Any, table: str) -> Iterator[Any]:
    if not isinstance(told, list):
        raise InputError(f"{table} is one table", _WHERE, f"write [[{table}]], with two brackets")
    yield from told
