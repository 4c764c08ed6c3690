"""``neuronull new null|claim NAME``: a plug-in package to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Write a plug-in package to begin with.", no_args_is_help=False)


@app.callback()
def new() -> None:
    """Write a plug-in package to begin with."""


@app.command()
def null(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Id of the null model, for instance shuffled_layers.")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder to write the package into.")] = ".",
) -> None:
    """Write an installable package with a working null model and its test."""
    from ..scaffold import new_null

    folder = new_null(name, Path(out))
    typer.echo(f"package   {folder}")
    typer.echo(f"next      pip install -e {folder} && neuronull check {name}")


@app.command()
def claim(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Id of the claim's paper, for instance busy_neurons.")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder to write the package into.")] = ".",
) -> None:
    """Write an installable package with a working claim and its test."""
    from ..scaffold import new_claim

    folder = new_claim(name, Path(out))
    typer.echo(f"package   {folder}")
    typer.echo(f"next      pip install -e {folder} && neuronull check {name}.activity")
