"""``neuronull run``: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from .. import api, pipeline, spelling
from ..output import default_directory
from . import options as o
from .progress import on_stderr


@o.command_like(api.run, flags={"estimate": o.Estimate}, out=o.RunOut)
def run(given: dict[str, Any], explicit: frozenset[str]) -> None:
    """Test the claims on a model and write the report.

    Without options: the embedded model on the embedded corpus; no network is needed.
    """
    as_keywords(given)
    estimate = given.pop("estimate")
    if given["plan"] is not None:
        from .. import planning
        from ..hypotheses.frozen_plan import read_plan

        asked = {name: given[name] for name in explicit - {"estimate"}}
        given = planning.merged(read_plan(given["plan"]), given, asked)
    if estimate:
        _estimate(given)
        return
    layers = _several_layers(given)
    if layers:
        _run_each(given, explicit, layers)
        return
    own = bool(given["out"])
    given["out"] = Path(given["out"]) if own else default_directory(given["measurements"] or given["model"])
    try:
        with on_stderr() as progress:
            result = api.run(**given, progress=progress)
    except pipeline.ReportError as error:
        _show(error.result, given["out"])
        raise
    _show(result.result, given["out"] / pipeline.REPORT_NAME)
    if not own:
        from ..reports.index import write_index

        typer.echo(f"all runs {write_index(given['out'].parent)}", err=True)


def _estimate(given: dict[str, Any]) -> None:
    """Print what measuring will take."""
    from ..estimators.estimate import told

    with on_stderr() as progress:
        found = pipeline.estimated(api.request_of(given), progress)
    typer.echo(told(found))


def _several_layers(given: dict[str, Any]) -> list[int]:
    """Layers that ``--layer all`` or ``--layer 3,7,11`` names; none where it names one."""
    told = str(given["layer"])
    if told == "all":
        from ..data.models import count_layers

        return list(range(count_layers(given["model"], given["revision"])))
    return sorted({int(spelling.layer(one.strip())) for one in told.split(",")}) if "," in told else []


def _run_each(given: dict[str, Any], explicit: frozenset[str], layers: list[int]) -> None:
    """Run each layer: a sweep of one option."""
    from ..planning import FREE
    from ..sweeps import cells_of, check
    from .sweep import finish

    out = Path(given["out"]) if given["out"] else default_directory(given["model"])
    options = {name: given[name] for name in explicit - FREE if name != "layer"}
    cells = cells_of({"layer": layers}, options)
    check(cells)
    finish(
        cells,
        out,
        {name: given[name] for name in ("device", "batch", "shard_documents", "engine", "jobs", "keep_measurements")},
    )


def as_keywords(given: dict[str, Any]) -> None:
    """Turn what the command line gave into keywords of `neuronull.run`, in place."""
    given["null"] = spelling.nulls_of(given["null"] or ())
    given["vary"] = spelling.varied_of(given["vary"] or ())
    given["margin"] = spelling.margins_of(given["margin"] or ())
    for name in ("paper", "only"):
        given[name] = [one for several in given[name] or () for one in several.split(",")]


def _show(result: Any, report: Path) -> None:
    """Print the closing table, in colour on a terminal; its last line is the report's path."""
    from ..reports import terminal

    if not sys.stdout.isatty():
        typer.echo(terminal.summary(result, report))
        return
    from rich.console import Console

    console = Console()
    console.print(terminal.styled(result, report, width=min(console.width, terminal.WIDTH)), soft_wrap=True)
