"""``neuronull sweep``: many runs in one folder."""

from __future__ import annotations

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
        for one in cells:
            done = " (done)" if (place / one.name / "results.json").is_file() else ""
            typer.echo(f"{one.number:>4}  {one.label}{done}")
        return
    if estimate:
        _estimate(cells if cell is None else [cells[cell]])
        return
    # what stands here at its default leaves the file's own word alone
    usual: dict[str, object] = {"device": MeasureOptions.device, "jobs": TestOptions.jobs, "engine": "local"}
    asked: dict[str, object] = {"device": device, "jobs": jobs, "engine": engine}
    common = {name: value for name, value in asked.items() if value != usual[name]}
    finish(cells, place, common, cell)


def finish(cells: list[Cell], out: Path, common: dict[str, object], only: int | None = None) -> None:
    """Run cells and say what came of them; exit code 1 if one failed."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file", "--out", "give a folder")
    wanted = cells if only is None else [cells[only]]
    from ..reports.compare import MOST_RUNS

    with on_stderr() as progress:
        outcomes = run_sweep(wanted, out, progress, _tell, common)
    failed = [outcome for outcome in outcomes if outcome.result is None]
    if only is None:
        for path in write_summary(outcomes, out):
            typer.echo(f"wrote  {path}")
        if len(outcomes) - len(failed) > MOST_RUNS:
            typer.echo(f"no report, since one takes {MOST_RUNS} runs at most; neuronull report sets some side by side")
    else:
        typer.echo("next   without --cell, when all cells are done, the same command writes the report of all of them")
    if failed:
        typer.echo(f"{len(failed)} of {len(outcomes)} cells failed; the same command tries them again", err=True)
        raise typer.Exit(1)


def _estimate(cells: list[Cell]) -> None:
    """Print what each cell will take, a line each."""
    with on_stderr() as progress:
        for cell, found in estimates(cells, progress):
            if isinstance(found, str):
                typer.echo(f"{cell.number:>4}  {cell.label}: {found}")
                continue
            memory, disk = found.memory / 2**30, found.disk / 2**30
            time = length(found.total)
            typer.echo(f"{cell.number:>4}  {cell.label}: about {time}, {memory:.1f} GiB memory, {disk:.2f} GiB disk")


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
