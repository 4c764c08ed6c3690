"""``neuronull measure``: only the measurement directory."""

from __future__ import annotations

from typing import Any

import typer

from .. import api
from . import options as o
from .progress import on_stderr


@o.command_like(api.measure, out=o.MeasureOut)
def measure(given: dict[str, Any], explicit: frozenset[str]) -> None:
    """Measure a model and test nothing.

    The directory is one that neuronull run --measurements reads. --out DIR/checkpoints/STEP adds a step of the
    training to the measurement directory DIR, for emergence.trend: say which by --revision.
    """
    with on_stderr() as progress:
        made = api.measure(**given, progress=progress)
    typer.echo(f"{made.n_documents:,} documents, {len(made.panel):,} positions, {made.n_neurons:,} neurons")
    typer.echo(f"measurements   {given['out']}")
