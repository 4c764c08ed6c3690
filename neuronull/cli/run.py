"""``neuronull run``: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from ..data.options import MeasureOptions, TestOptions
from . import options as o
from .progress import on_stderr


def run(
    model: o.Model = MeasureOptions.model,
    revision: o.Revision = None,
    corpus: o.Corpus = MeasureOptions.corpus,
    counts: o.Counts = None,
    measurements: o.MeasurementsDir = None,
    documents: o.Documents = MeasureOptions.documents,
    context: o.Context = MeasureOptions.context,
    layer: o.Layer = "last",
    conditioning: o.Conditioning = MeasureOptions.conditioning,
    threshold: o.Threshold = MeasureOptions.threshold,
    elbow: o.Elbow = MeasureOptions.elbow,
    ablation: o.Ablation = MeasureOptions.ablation,
    heads: o.Heads = MeasureOptions.heads,
    head_documents: o.HeadDocuments = None,
    suite: o.Suite = TestOptions.suite,
    only: o.Only = None,
    null: o.Null = None,
    vary: o.Vary = None,
    plateau: o.Plateau = TestOptions.plateau,
    replicates: o.Replicates = TestOptions.replicates,
    alpha: o.Alpha = TestOptions.alpha,
    seed: o.Seed = MeasureOptions.seed,
    device: o.Device = MeasureOptions.device,
    dtype: o.Dtype = MeasureOptions.dtype,
    attention: o.Attention = MeasureOptions.attention,
    jobs: o.Jobs = TestOptions.jobs,
    batch: o.Batch = None,
    out: o.RunOut = None,
) -> None:
    """Test the claims on a model and write the report.

    Without options: the embedded model on the embedded corpus; no network is needed.
    """
    call = dict(locals())  # first line: the parameters, by the names that neuronull.run gives them
    from .. import api, pipeline
    from ..output import default_directory

    call["null"] = pipeline.nulls_of(null or ())
    call["vary"] = pipeline.varied_of(vary or ())
    call["only"] = [name for given in only or () for name in given.split(",")]
    call["out"] = Path(out) if out else default_directory(measurements or model)
    with on_stderr() as progress:
        result = api.run(**call, progress=progress)
    _show(result.result, call["out"] / pipeline.REPORT_NAME)


def _show(result: Any, report: Path) -> None:
    """Print the closing table, in colour on a terminal; its last line is the report's path."""
    from ..reports import terminal

    if not sys.stdout.isatty():
        typer.echo(terminal.summary(result, report))
        return
    from rich.console import Console

    console = Console()
    console.print(terminal.styled(result, report, width=min(console.width, terminal.WIDTH)), soft_wrap=True)
