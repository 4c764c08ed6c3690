"""``neuronull plan``: what a run would do, frozen before it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from .. import api
from . import options as o
from .run import as_keywords


@o.command_like(api.run, frozenset({"plan", "jobs", "device", "batch"}), out=o.PlanOut)
def plan(given: dict[str, Any], explicit: frozenset[str]) -> None:
    """Freeze what a run would do: options, hypotheses, criteria and the hashes of what is measured.

    neuronull run --plan FILE runs it, and refuses whatever differs. A name that ends in .md makes a page to paste
    into a registration, beside the plan itself, which then ends in .json.
    """
    as_keywords(given)
    out = Path(given.pop("out"))
    file = out.with_suffix(".json") if out.suffix == ".md" else out
    made = api.plan(file, **given)
    if out.suffix == ".md":
        from ..hypotheses import catalogue
        from ..reports.files import write_file
        from ..reports.registration import registration

        words = {name: known.words for name, known in catalogue.known_hypotheses().items()}
        write_file(out, registration(made, words).encode())
    typer.echo(f"plan   {file}\nhash   {made.sha256}\nnext   neuronull run --plan {file}")
