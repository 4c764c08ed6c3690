"""``neuronull calibrate``: size, power and coverage of the tests on planted truth."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from . import options as o
from .progress import on_stderr

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID ...]", help="Hypotheses or families; all without one.")]
Scenario = Annotated[
    list[str] | None,
    o.option("--scenario", "NAME", o.TEST, "Only scenarios whose name is, or begins with, this; may be given again."),
]
Datasets = Annotated[int, o.option("--datasets", "R", o.TEST, "Planted data sets a null scenario; a tenth for others.")]
Measured = Annotated[
    str | None,
    o.option("--measurements", "DIR", o.INPUT, "Make the data from this measurement directory (neuronull measure): "
             "documents resampled, the effect taken out or put in. The record is left in DIR too."),
]  # fmt: skip
Out = Annotated[
    str, o.option("--out", "DIR", o.OUTPUT, "Directory for journal, summary and figure; goes on where it stopped.")
]


def calibrate(
    ids: Ids = None,
    scenario: Scenario = None,
    datasets: Datasets = 200,
    jobs: o.Workers = 1,
    measurements: Measured = None,
    out: Out = "neuronull-calibration",
    as_json: Annotated[bool, o.option("--json", None, o.OUTPUT, "Print the rows as JSON.")] = False,
) -> None:
    """Measure how often each test cries wolf, what it can see, and whether its intervals cover.

    Null data and effects of known strength are planted, and every test is run on thousands of them. With
    --measurements they are made from a measurement of yours; reports of runs on it then tell the outcome.
    """
    from ..data.errors import InputError
    from ..data.options import existing
    from ..hypotheses.calibration import figure, plasmode, record, run, scenarios
    from ..hypotheses.calibration.scenario import Scenario as PlantedWorld

    for option, value in (("--datasets", datasets), ("--jobs", jobs)):
        if value < 1:
            raise InputError(f"{value} is out of range", option, "give a whole number of at least 1")
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError("not a directory", "--out", "give another")
    chosen: Sequence[plasmode.PlasmodeScenario | PlantedWorld]
    if measurements is None:
        chosen = scenarios.choose(ids or (), scenario or ())
    else:
        directory = str(existing(measurements, "--measurements").resolve())
        chosen = plasmode.plasmode_scenarios(directory, ids or (), scenario or ())
    with on_stderr() as progress:
        lines = run.calibrate(chosen, datasets, jobs, folder / "journal.jsonl", progress)
    if not lines:
        raise InputError("no data set was finished", "--datasets", "let it run longer; it goes on where it stopped")
    rows, claims = record.summarise(lines, run.ALPHA, chosen), record.summarise_claims(lines, chosen)
    left = len(run.chunks(chosen, datasets)) - len(lines)
    head = _provenance(ids, scenario, datasets) | {"chunks_left": left}
    record.write_record(folder / "calibration.json", [*rows, *claims], head)
    figure.draw(rows, folder / "calibration.png")
    if measurements is not None:
        plasmode.leave_record(directory, rows, head)
    if left:
        typer.echo(f"stopped with {left:,} chunks to go; the same command goes on from here", err=True)
    if as_json:
        typer.echo(json.dumps({"record": str(folder / "calibration.json"), "rows": rows, "claims": claims}, indent=1))
        return
    if rows:
        _print(rows)
    if claims:
        _print_claims(claims)
    typer.echo(str(folder / "calibration.json"))


def _provenance(ids: list[str] | None, scenario: list[str] | None, datasets: int) -> dict[str, Any]:
    from ..hypotheses.calibration.run import ALPHA, REPLICATES

    words = [
        "neuronull calibrate",
        *(ids or ()),
        *(f"--scenario {s}" for s in scenario or ()),
        f"--datasets {datasets}",
    ]
    return {
        "command": " ".join(words),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "alpha": ALPHA,
        "replicates": REPLICATES,
        "versions": {name: version(name) for name in ("neuronull", "torch", "numpy")},
    }


def _print_claims(claims: list[dict[str, Any]]) -> None:
    """One line a claim and scenario."""
    from ..hypotheses.calibration.record import percent

    for row in claims:
        verdicts = (f"{word} {percent(row[word])}" for word in ("supported", "refuted"))
        head = f"{row['claim']}  {row['scenario']:<22} {row['datasets']:>5,}"
        typer.echo(f"{head}  {', '.join(verdicts)}   {row['says']}")


def _print(rows: list[dict[str, Any]]) -> None:
    """One line a hypothesis and scenario; whole lines where the output is no terminal."""
    from rich.console import Console
    from rich.table import Table

    from ..hypotheses.calibration.record import percent

    table = Table(box=None, pad_edge=False)
    for name in ("hypothesis", "scenario"):
        table.add_column(name, no_wrap=True)
    for name in ("R", "rejected at .05", "effect found", "95 % covers", "90 % covers", "mean estimate"):
        table.add_column(name, justify="right")
    for row in rows:
        shares = [row["rejected"], row["found"], row["document"], row["verdict"]]
        told = [percent(share) if share else "-" for share in shares]
        estimate = f"{row['mean_estimate']:.3g} {row['unit']}"
        table.add_row(row["hypothesis"], row["scenario"], f"{row['datasets']:,}", *told, estimate)
    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(table)
