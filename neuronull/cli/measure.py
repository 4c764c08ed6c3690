"""``neuronull measure``: only the measurement directory."""

from __future__ import annotations

import typer

from ..data.options import MeasureOptions
from . import options as o
from .progress import on_stderr


def measure(
    out: o.MeasureOut,
    model: o.Model = MeasureOptions.model,
    revision: o.Revision = None,
    corpus: o.Corpus = MeasureOptions.corpus,
    counts: o.Counts = None,
    documents: o.Documents = MeasureOptions.documents,
    context: o.Context = MeasureOptions.context,
    layer: o.Layer = "last",
    conditioning: o.Conditioning = MeasureOptions.conditioning,
    threshold: o.Threshold = MeasureOptions.threshold,
    elbow: o.Elbow = MeasureOptions.elbow,
    ablation: o.Ablation = MeasureOptions.ablation,
    heads: o.Heads = MeasureOptions.heads,
    head_documents: o.HeadDocuments = None,
    seed: o.Seed = MeasureOptions.seed,
    device: o.Device = MeasureOptions.device,
    dtype: o.Dtype = MeasureOptions.dtype,
    attention: o.Attention = MeasureOptions.attention,
    batch: o.Batch = None,
) -> None:
    """Measure a model and test nothing.

    The directory is one that neuronull run --measurements reads. --out DIR/checkpoints/STEP adds a step of the
    training to the measurement directory DIR, for emergence.trend: say which by --revision.
    """
    call = dict(locals())  # first line: the parameters, by the names that neuronull.measure gives them
    from .. import api

    with on_stderr() as progress:
        made = api.measure(**call, progress=progress)
    typer.echo(f"{made.n_documents:,} documents, {len(made.panel):,} positions, {made.n_neurons:,} neurons")
    typer.echo(f"measurements   {out}")
