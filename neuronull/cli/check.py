"""``neuronull check``: the conformance suite on a null model or a hypothesis."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def check(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Registered name, or module:attribute.")],
    measurements: Annotated[
        str | None,
        typer.Option("--measurements", metavar="DIR", help="Check a hypothesis on these, not on planted ones."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate.")] = False,
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="Write the certificate (JSON) too.")] = None,
) -> None:
    """Hold a null model or a hypothesis to the conformance checks; a failed check gives exit code 1."""
    from ..data.options import existing
    from ..data.store import load
    from ..hypotheses.checks.conformance import Report, each_check, kind_of, name_of, resolve
    from ..reports.files import write_file

    sys.path.insert(0, os.getcwd())  # module:attribute may lie where the user is, as with python -m
    found = resolve(target)
    measured = None if measurements is None else load(existing(measurements, "--measurements"))
    checks = []
    for done in each_check(found, measured):
        checks.append(done)
        if not as_json:
            typer.echo(str(done))
    report = Report(name_of(found), kind_of(found), tuple(checks))
    certificate = json.dumps(report.to_json(), indent=1)
    if out is not None:
        write_file(Path(out), (certificate + "\n").encode())
    typer.echo(certificate if as_json else report.summary)
    if not report.passed:
        raise typer.Exit(1)
