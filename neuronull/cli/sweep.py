"""``neuronull sweep``: many runs in one folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ..data.errors import InputError
from ..data.lengths import length
from ..data.options import MeasureOptions, TestOptions
from ..sweeps import Cell, Outcome, check, estimates, read_sweep, run_sweep, write_summary
from . import options as o
from .progress import on_stderr


def sweep(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Grid of runs (TOML; docs/sweeps.md).")],
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help="Folder of the sweep; by default named like FILE, without .toml."),
    ] = None,
    cell: Annotated[
        int | None, typer.Option("--cell", metavar="K", help="Run cell K alone, from 0: for job arrays.")
    ] = None,
    dry: Annotated[bool, typer.Option("--list", help="Check and list the cells; run nothing.")] = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what each cell will take, from a few documents; run nothing.")
    ] = False,
    device: o.Device = MeasureOptions.device,
    jobs: o.Jobs = TestOptions.jobs,
    engine: o.Engine = "local",
    as_json: Annotated[bool, typer.Option("--json", help="Print the cells, and what became of them, as JSON.")] = False,
) -> None:
    """Run every combination of a grid, and tell them side by side.

    A cell that was run before is not run again, so the same command goes on where it was stopped. A cell that fails is
    told, and the rest goes on; the exit code is then 1.
    """
    path = Path(file).expanduser()
    cells = read_sweep(path)
    check(cells)
    if cell is not None and not 0 <= cell < len(cells):
        raise InputError(f"there is no cell {cell}", "--cell", f"give 0 to {len(cells) - 1}")
    place = Path(out).expanduser() if out is not None else path.with_suffix("")
    if dry:
        _list(cells, place, as_json)
        return
    if estimate:
        _estimate(cells if cell is None else [cells[cell]], place, as_json)
        return
    # what stands here at its default leaves the file's own word alone
    usual: dict[str, object] = {"device": MeasureOptions.device, "jobs": TestOptions.jobs, "engine": "local"}
    asked: dict[str, object] = {"device": device, "jobs": jobs, "engine": engine}
    common = {name: value for name, value in asked.items() if value != usual[name]}
    finish(cells, place, common, cell, as_json)


def finish(
    cells: list[Cell], out: Path, common: dict[str, object], only: int | None = None, as_json: bool = False
) -> None:
    """Run cells and say what came of them; exit code 1 if one failed."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file", "--out", "give a folder")
    wanted = cells if only is None else [cells[only]]
    from ..reports.compare import MOST_RUNS

    with on_stderr() as progress:
        outcomes = run_sweep(wanted, out, progress, (lambda _: None) if as_json else _tell, common)
    failed = [outcome for outcome in outcomes if outcome.result is None]
    written = write_summary(outcomes, out) if only is None else []
    if as_json:
        _print([_as_json(outcome, out) for outcome in outcomes])
    elif only is None:
        for path in written:
            typer.echo(f"wrote  {path}")
        if len(outcomes) - len(failed) > MOST_RUNS:
            typer.echo(f"no report, since one takes {MOST_RUNS} runs at most; neuronull report sets some side by side")
    else:
        typer.echo("next   without --cell, when all cells are done, the same command writes the report of all of them")
    if failed:
        typer.echo(f"{len(failed)} of {len(outcomes)} cells failed; the same command tries them again", err=True)
        raise typer.Exit(1)


def _list(cells: list[Cell], out: Path, as_json: bool) -> None:
    """Print the cells, and which are done."""
    done = [(out / one.name / "results.json").is_file() for one in cells]
    if as_json:
        _print([_named(one, out) | {"done": is_done} for one, is_done in zip(cells, done, strict=True)])
        return
    for one, is_done in zip(cells, done, strict=True):
        typer.echo(f"{one.number:>4}  {one.label}{' (done)' if is_done else ''}")


def _print(rows: list[dict[str, object]]) -> None:
    typer.echo(json.dumps(rows, indent=1))


def _named(cell: Cell, out: Path) -> dict[str, object]:
    return {"cell": cell.number, "label": cell.label, "folder": str(out / cell.name)}


def _as_json(outcome: Outcome, out: Path) -> dict[str, object]:
    claims = outcome.result.claims if outcome.result is not None else []
    verdicts = [{"paper": c.paper, "claim": c.number, "verdict": c.verdict.value} for c in claims]
    said = {"failed": outcome.result is None, "why": outcome.why, "done_before": outcome.before, "claims": verdicts}
    return _named(outcome.cell, out) | said


def _estimate(cells: list[Cell], out: Path, as_json: bool) -> None:
    """Print what each cell will take, a line each."""
    rows: list[dict[str, object]] = []
    with on_stderr() as progress:
        for cell, found in estimates(cells, progress):
            if as_json:
                told = (
                    {"seconds": found.total, "memory_bytes": found.memory, "disk_bytes": found.disk}
                    if not isinstance(found, str)
                    else {"why_not": found}
                )
                rows.append(_named(cell, out) | told)
                continue
            if isinstance(found, str):
                typer.echo(f"{cell.number:>4}  {cell.label}: {found}")
                continue
            memory, disk = found.memory / 2**30, found.disk / 2**30
            time = length(found.total)
            typer.echo(f"{cell.number:>4}  {cell.label}: about {time}, {memory:.1f} GiB memory, {disk:.2f} GiB disk")
    if as_json:
        _print(rows)


def _tell(outcome: Outcome) -> None:
    cell, result = outcome.cell, outcome.result
    if result is None:
        said = f"FAILED: {outcome.why}"
    else:
        one_paper = len({claim.paper for claim in result.claims}) == 1
        verdicts = "; ".join(
            f"{'claim' if one_paper else claim.paper} {claim.number} {claim.verdict.value}" for claim in result.claims
        )
        said = (verdicts or f"{len(result.findings)} rows") + (" (done before)" if outcome.before else "")
        said += f" ({outcome.why})" if outcome.why else ""
    typer.echo(f"{cell.number:>4}  {cell.label}: {said}")
