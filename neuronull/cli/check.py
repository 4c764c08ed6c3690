"""``neuronull check``: the conformance suite on a null model, a hypothesis or a language model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..data.errors import InputError
from ..data.options import EMBEDDED_CORPUS, MeasureOptions
from . import options as o

if TYPE_CHECKING:
    from ..hypotheses.checks.outcome import Check


def check(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Registered name, or module:attribute; or the word model.")
    ],
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="After the word model: Hugging Face id, directory or embedded name."),
    ] = None,
    measurements: Annotated[
        str | None,
        typer.Option("--measurements", metavar="DIR", help="Check a hypothesis on these, not on planted ones."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the certificate.")] = False,
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help="Write the certificate (JSON) too.")] = None,
    revision: o.Revision = None,
    corpus: o.Corpus = EMBEDDED_CORPUS,
    device: o.Device = MeasureOptions.device,
    dtype: o.Dtype = MeasureOptions.dtype,
    attention: o.Attention = MeasureOptions.attention,
) -> None:
    """Hold a null model, a hypothesis or a model to the conformance checks; a failed check gives exit code 1.

    Of a model it is checked that its parts are where they are looked for, and that a few measurements are those of
    plain forward passes.
    """
    from ..hypotheses.checks.outcome import Report
    from ..reports.files import write_file

    if target == "model":
        if model is None:
            raise InputError("which model is to be checked?", "neuronull check model", "give an id or a directory")
        if measurements is not None:
            raise InputError("a model is checked on text, not on measurements", "--measurements", "leave it out")
        given: dict[str, Any] = {"model": model, "revision": revision, "corpus": corpus, "device": device,
                                 "dtype": dtype, "attention": attention}  # fmt: skip
        name, kind, outcomes = _of_model(MeasureOptions(**given))
    elif model is not None:
        raise InputError(f"one target at a time, not {target} and {model}", "TARGET", "see neuronull check --help")
    else:
        name, kind, outcomes = _of_target(target, measurements)
    checks = []
    for done in outcomes:
        checks.append(done)
        if not as_json:
            typer.echo(str(done))
    report = Report(name, kind, tuple(checks))
    certificate = json.dumps(report.to_json(), indent=1)
    if out is not None:
        write_file(Path(out), (certificate + "\n").encode())
    typer.echo(certificate if as_json else report.summary)
    if not report.passed:
        raise typer.Exit(1)


def _of_model(options: MeasureOptions) -> tuple[str, str, Iterator[Check]]:
    from ..hypotheses.checks.conformance import check_model

    name, outcomes = check_model(options)
    return name, "language model", outcomes


def _of_target(target: str, measurements: str | None) -> tuple[str, str, Iterator[Check]]:
    from ..data.options import existing
    from ..data.store import load
    from ..hypotheses.checks.conformance import each_check, kind_of, name_of, resolve

    sys.path.insert(0, os.getcwd())  # module:attribute may lie where the user is, as with python -m
    found = resolve(target)
    measured = None if measurements is None else load(existing(measurements, "--measurements"))
    return name_of(found), kind_of(found), each_check(found, measured)
