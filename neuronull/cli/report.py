"""``neuronull report``: tell a finished run again, or several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN ...", help="Directories of runs, or their results.json.")],
    format: Annotated[
        str | None,
        typer.Option("--format", metavar="F", help="html, md, json, ...; by default what --out ends in, else html."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="By default report.F in the run's directory; for several, here."),
    ] = None,
) -> None:
    """Write a report of one run, or of several side by side."""
    from ..output import report_format
    from ..reports import load_result, render

    path = Path(out) if out else _beside(runs) / f"report.{format or 'html'}"
    chosen = report_format(path, format)
    render([load_result(run) for run in runs], chosen, path)
    typer.echo(f"report   {path}")


def _beside(runs: list[str]) -> Path:
    if len(runs) > 1:
        return Path()
    run = Path(runs[0])
    return run if run.is_dir() else run.parent
