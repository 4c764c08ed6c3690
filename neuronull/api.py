"""The Python front door: `run` and `measure`, with the command line's options as keywords and the same defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from . import pipeline
from .data.options import MeasureOptions, Progress, Silent, TestOptions
from .output import report_format, staged

if TYPE_CHECKING:
    import pandas as pd

    from .data.measurements import Measurements
    from .hypotheses.result import ClaimVerdict, Result
    from .notebook import ShownFinding

Conditioning = Literal["target", "input"]
Ablation = Literal["mean", "zero", "resample"]
Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["auto", "eager", "sdpa"]


@dataclass(frozen=True, repr=False)
class RunResult:
    """What a run found.

    Attributes
    ----------
    result
        Everything, as written to ``results.json``.
    out
        The run's directory, or None where nothing was written.
    """

    result: Result
    out: Path | None = None

    @property
    def table(self) -> pd.DataFrame:
        """One row a hypothesis x null, with the stable columns of ``results.parquet``."""
        return self.result.table

    @property
    def claims(self) -> list[ClaimVerdict]:
        """The verdict on each of the paper's claims."""
        return self.result.claims

    @property
    def findings(self) -> list[ShownFinding]:
        """Every row, as objects."""
        from .notebook import shown

        return [shown(finding, self.result.findings) for finding in self.result.findings]

    def finding(self, hypothesis: str, null: str | None = None) -> ShownFinding:
        """Row of `hypothesis`: the one that decides, or the one under `null`; its ``.plot()`` draws it.

        Raises
        ------
        KeyError
            If there is no such row; the message lists those there are.
        """
        from .notebook import shown

        return shown(self.result.finding(hypothesis, null), self.result.findings)

    def report(self, path: str | Path) -> Path:
        """Write a report to `path`, in the format that its suffix names, and return the path.

        Raises
        ------
        InputError
            If no format has that suffix, or the file cannot be written.
        """
        from .reports import render

        path = Path(path)
        return render([self.result], report_format(path), path)

    def __repr__(self) -> str:
        from .reports.terminal import summary

        return summary(self.result)

    def _repr_html_(self) -> str:
        from .reports.notebook import result_html

        return result_html(self.result)


def run(
    *,
    model: str = MeasureOptions.model,
    revision: str | None = None,
    corpus: str = MeasureOptions.corpus,
    counts: str | None = None,
    layer: int | str = MeasureOptions.layer,
    suite: Literal["default", "full"] = TestOptions.suite,
    conditioning: Conditioning = MeasureOptions.conditioning,
    threshold: float = MeasureOptions.threshold,
    elbow: bool = MeasureOptions.elbow,
    ablation: Ablation = MeasureOptions.ablation,
    heads: str = MeasureOptions.heads,
    head_documents: int | None = None,
    plateau: str | float = TestOptions.plateau,
    measurements: str | Path | None = None,
    only: str | Sequence[str] = (),
    null: Mapping[str, str] | None = None,
    vary: Mapping[str, Sequence[object] | object] | None = None,
    documents: int = MeasureOptions.documents,
    context: int = MeasureOptions.context,
    replicates: int = TestOptions.replicates,
    alpha: float = TestOptions.alpha,
    seed: int = MeasureOptions.seed,
    device: str = MeasureOptions.device,
    dtype: Dtype = MeasureOptions.dtype,
    attention: Attention = MeasureOptions.attention,
    jobs: int = TestOptions.jobs,
    batch: int | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Test the claims on a model, or on measurements that are there already.

    The keywords are the options of ``neuronull run``, which ``neuronull run --help`` explains.

    Parameters
    ----------
    null
        Hypothesis -> null model, in place of its own.  One that does not ship is held to the conformance checks first,
        which takes seconds; the report says how they went.
    vary
        Setting -> other values for it, for instance ``{"plateau": [.01, .03], "split": range(1, 21)}``.  Every
        combination is tested as well, the run's own values included, and shown as a specification curve.
    out
        Directory for the run's files, which must be new or empty.  Without it nothing is written; the command line
        picks a directory.
    progress
        Told how far the run is; silent by default.

    Returns
    -------
    RunResult
        A table, findings and claims; a report on request.

    Raises
    ------
    InputError
        If any input cannot be used; the text is the command line's.
    """
    place = Path(out) if out is not None else None
    request = pipeline.Request(
        MeasureOptions(
            model=model, revision=revision, corpus=corpus, counts=counts, layer=pipeline.layer(layer),
            conditioning=conditioning, threshold=threshold, elbow=elbow, ablation=ablation, documents=documents,
            context=context, seed=seed, device=device, dtype=dtype, attention=attention, batch=batch,
            heads=heads, head_documents=head_documents,
        ),
        TestOptions(
            suite=suite, only=(only,) if isinstance(only, str) else tuple(only), nulls=dict(null or {}),
            plateau=str(plateau), replicates=replicates, alpha=alpha, seed=seed, jobs=jobs,
            varied=pipeline.varied_of(vary or {}),
        ),
        measurements=str(measurements) if measurements is not None else None,
        out=place,
    )  # fmt: skip
    return RunResult(pipeline.run(request, progress or Silent()), place)


def measure(
    *,
    model: str = MeasureOptions.model,
    revision: str | None = None,
    corpus: str = MeasureOptions.corpus,
    counts: str | None = None,
    layer: int | str = MeasureOptions.layer,
    conditioning: Conditioning = MeasureOptions.conditioning,
    threshold: float = MeasureOptions.threshold,
    elbow: bool = MeasureOptions.elbow,
    ablation: Ablation = MeasureOptions.ablation,
    heads: str = MeasureOptions.heads,
    head_documents: int | None = None,
    documents: int = MeasureOptions.documents,
    context: int = MeasureOptions.context,
    seed: int = MeasureOptions.seed,
    device: str = MeasureOptions.device,
    dtype: Dtype = MeasureOptions.dtype,
    attention: Attention = MeasureOptions.attention,
    batch: int | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Measurements:
    """Measure a model and test nothing; with `out`, write a measurement directory there.

    The keywords are the options of ``neuronull measure``.  An `out` of the form ``DIR/checkpoints/STEP``, where DIR is
    a measurement directory, makes that step of the training a part of DIR, for `emergence.trend`: of the weights that
    the model keeps of that step, or else of the model at the `revision` given.

    Raises
    ------
    InputError
        If any input cannot be used, `out` is not new or empty, or a checkpoint is not of the documents of its DIR.
    """
    options = MeasureOptions(
        model=model, revision=revision, corpus=corpus, counts=counts, layer=pipeline.layer(layer),
        conditioning=conditioning, threshold=threshold, elbow=elbow, ablation=ablation, documents=documents,
        context=context, seed=seed, device=device, dtype=dtype, attention=attention, batch=batch,
        heads=heads, head_documents=head_documents,
    )  # fmt: skip
    from .estimators import measure as measuring
    from .estimators.measure_heads import measure_heads

    if out is None:
        return measure_heads(options, measuring.measure(options, progress), progress)
    from .data.store import checkpoint_place, save, save_checkpoint

    place = checkpoint_place(Path(out))
    with staged(Path(out)) as folder:
        if place is None:
            made = measure_heads(options, measuring.measure(options, progress), progress)
            save(made, folder)
        else:
            whole, step = place
            made = measuring.measure_checkpoint(options, step, progress)
            save_checkpoint(made, folder, whole)
    return made
