"""The Python front door: `run` and `measure`, with the command line's options as keywords and the same defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import pipeline, planning, spelling
from .data.errors import InputError
from .data.given import CorpusLike, corpus_option
from .data.options import EMBEDDED_CORPUS, MeasureOptions, Progress, Silent, TestOptions
from .output import report_format, staged

if TYPE_CHECKING:
    import pandas as pd

    from .data.measurements import Measurements
    from .estimators.engine import Engine as Workers
    from .hypotheses.frozen_plan import FrozenPlan
    from .hypotheses.hypothesis import Hypothesis
    from .hypotheses.paper import Paper
    from .hypotheses.result import ClaimVerdict, Result
    from .notebook import ShownFinding

Conditioning = Literal["target", "input"]
Ablation = Literal["mean", "zero", "resample"]
Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["auto", "eager", "sdpa"]
Engine = Literal["local", "ray"]


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
        """One row per hypothesis and null model, with the stable columns of ``results.parquet``."""
        return self.result.table

    @property
    def claims(self) -> list[ClaimVerdict]:
        """The verdict on each claim of the papers tested."""
        return self.result.claims

    @property
    def findings(self) -> list[ShownFinding]:
        """Every row, as objects."""
        from .notebook import shown

        return [shown(finding, self.result) for finding in self.result.findings]

    def finding(self, hypothesis: str, null: str | None = None) -> ShownFinding:
        """Row of `hypothesis`: the one that decides, or the one under `null`; its ``.plot()`` draws it.

        Raises
        ------
        KeyError
            If there is no such row; the message lists those there are.
        """
        from .notebook import shown

        return shown(self.result.finding(hypothesis, null), self.result)

    def draws(self) -> pd.DataFrame:
        """Null draws, one row a hypothesis, null model, output and replicate; replicate 0 is the observed value."""
        return self._frame("draws")

    def contrasts(self) -> pd.DataFrame:
        """Contrasts of single documents, or clusters of them, whose mean is a hypothesis's estimate."""
        return self._frame("contrasts")

    def neurons(self) -> pd.DataFrame:
        """One row a neuron: covariates, influence by condition and half, and which half's sets hold it."""
        return self._frame("neurons")

    def heads(self) -> pd.DataFrame:
        """One row an attention head: mean effect on all neurons and on the set, by condition; none without heads."""
        return self._frame("heads")

    def to_xarray(self) -> Any:
        """Null draws as an `xarray.Dataset`, ``estimate`` and ``statistic`` by row (hypothesis, null, output) and draw.

        Raises
        ------
        InputError
            If xarray is not installed.
        """
        try:
            import xarray  # noqa: F401 - what pandas needs for to_xarray
        except ImportError:
            raise InputError("to_xarray needs xarray", "", "pip install 'neuronull[xarray]'") from None
        draws = self.draws()
        row = draws["hypothesis"] + " " + draws["null_model"] + " " + draws["output"]
        return draws.assign(row=row.str.strip()).set_index(["row", "replicate"])[["estimate", "statistic"]].to_xarray()

    def figures(self, folder: str | Path, suffix: str = "svg") -> list[Path]:
        """Write every figure of the report (``svg``, ``pdf`` or ``png``) and its numbers (``csv``) into a folder.

        Returns
        -------
        list of Path
            The figures' paths; the numbers of each lie beside it under the same name.

        Raises
        ------
        InputError
            If the folder cannot be written.
        """
        from .reports.figures.album import save_album

        return save_album(self.result, folder, suffix)

    def _frame(self, name: str) -> pd.DataFrame:
        if name in self.result.frames:
            return self.result.frames[name].copy()
        if self.out is None:
            raise InputError(f"this result has no {name}", "", "run with out=, or load the run's directory")
        from .reports.files import read_frame

        return read_frame(self.out, name)

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


def load(run: str | Path) -> RunResult:
    """Return the result of a run that was written: its directory, or its ``results.json``.

    Raises
    ------
    InputError
        If there is no result, or the file is of no format that this version reads.
    """
    from .reports import load_result

    place = Path(run).expanduser()
    return RunResult(load_result(place), place if place.is_dir() else place.parent)


def run(
    model: Any = MeasureOptions.model,
    *,
    tokenizer: Any = None,
    revision: str | None = None,
    corpus: CorpusLike = EMBEDDED_CORPUS,
    counts: str | None = None,
    layer: int | str = MeasureOptions.layer,
    suite: Literal["default", "full"] = TestOptions.suite,
    conditions: str | Path = MeasureOptions.conditions,
    conditioning: Conditioning = MeasureOptions.conditioning,
    threshold: float = MeasureOptions.threshold,
    elbow: bool = MeasureOptions.elbow,
    ablation: Ablation = MeasureOptions.ablation,
    heads: str = MeasureOptions.heads,
    head_documents: int | None = None,
    paper: str | Paper | Sequence[str | Paper] = (),
    plateau: str | float = TestOptions.set_size,
    measurements: str | Path | None = None,
    only: str | Hypothesis | Sequence[str | Hypothesis] = (),
    null: Mapping[str, str] | None = None,
    margin: Mapping[str, float] | None = None,
    set: str | Path = "influence",
    vary: Mapping[str, Sequence[object] | object] | None = None,
    documents: int = MeasureOptions.documents,
    context: int = MeasureOptions.context,
    cluster: str = MeasureOptions.cluster,
    replicates: int = TestOptions.replicates,
    alpha: float = TestOptions.alpha,
    seed: int = MeasureOptions.seed,
    device: str = MeasureOptions.device,
    dtype: Dtype = MeasureOptions.dtype,
    attention: Attention = MeasureOptions.attention,
    jobs: int | None = TestOptions.jobs,
    batch: int | None = None,
    shard_documents: int | None = None,
    engine: Engine = "local",
    plan: str | Path | None = None,
    keep_measurements: bool = False,
    out: str | Path | None = None,
    progress: Progress | bool | None = None,
) -> RunResult:
    """Test the claims on a model, or on measurements that are there already.

    The keywords are the options of ``neuronull run``, which ``neuronull run --help`` explains.

    Parameters
    ----------
    model
        A name as on the command line, or a causal language model of `transformers` that is in memory, with its
        `tokenizer`.  That is measured where it lies and as it is, and is left as it was.
    paper
        Id of a paper, or several; "all" for every one.  Without it, the papers that a plain run tests.
    plateau
        How many neurons the set under test has: a share of the layer, a number, or "knot".
    set
        "influence" for the neurons that each paper names, or a file that lists others (JSON, CSV or text).
    margin
        Hypothesis -> smallest effect worth the name, in place of its own.
    null
        Hypothesis -> null model, in place of its own.  One that does not ship is held to the conformance checks first,
        which takes seconds; the report says how they went.
    vary
        Setting -> other values for it, for instance ``{"plateau": [.01, .03], "split": range(1, 21)}``.  Every
        combination is tested as well, the run's own values included, and shown as a specification curve.
    plan
        File that `neuronull.plan` wrote.  Its options are run; one that is given as well and says something else is
        refused, and so is whatever else differs from what was frozen.
    shard_documents
        Documents after which what is finished is kept, for a call that is cut off; every ten seconds by default.
    engine
        Where documents are worked on: ``local`` in this process, ``ray`` by the workers of a Ray cluster.
    keep_measurements
        Write what was measured into ``out/measurements`` too, for ``run(measurements=...)``.
    out
        Directory for the run's files, which must be new or empty.  Without it nothing is written; the command line
        picks a directory.
    progress
        Told how far the run is; True for bars on standard error (in a notebook below the cell), silent by default.

    Returns
    -------
    RunResult
        A table, findings and claims; a report on request.

    Raises
    ------
    InputError
        If any input cannot be used; the text is the command line's.
    """
    given = dict(locals())  # every option by its keyword, and nothing else yet
    frozen = None
    if plan is not None:
        from .hypotheses.frozen_plan import read_plan

        frozen = read_plan(plan)
        given = planning.merged(frozen, given, planning.chosen(given))
    request = replace(request_of(given), out=Path(out) if out is not None else None, plan=frozen)
    with _told(progress) as telling:
        return RunResult(pipeline.run(request, telling), request.out)


def plan(out: str | Path | None = None, **options: Any) -> FrozenPlan:
    """Freeze what a run would do, before it is done.

    Parameters
    ----------
    out
        New file for the plan (JSON), for ``run(plan=...)``; not written without it.
    options
        Those of `run`.

    Returns
    -------
    FrozenPlan
        Its hash is ``.sha256``.

    Raises
    ------
    InputError
        If the run would be refused, or the file is there already.
    TypeError
        If an option is none of `run`.
    """
    given = planning.defaults() | options
    unknown = sorted(options.keys() - planning.defaults().keys())
    if unknown or "plan" in options:
        raise TypeError(f"plan() got an option that is none of run(): {(unknown or ['plan'])[0]}")
    return planning.freeze(request_of(given), planning.chosen(given), Path(out) if out is not None else None)


def request_of(given: Mapping[str, Any]) -> pipeline.Request:
    """What was asked for, of the keywords of `run`."""
    tests = {
        "papers": _names(given["paper"]),
        "only": _names(given["only"]),
        "nulls": dict(given["null"] or {}),
        "margins": dict(given["margin"] or {}),
        "set": None if given["set"] == "influence" else str(given["set"]),
        "set_size": str(given["plateau"]),
        "varied": spelling.varied_of(given["vary"] or {}),
    }
    measurements = given["measurements"]
    return pipeline.Request(
        _measured(given),
        TestOptions(**_of(TestOptions, given) | tests),
        measurements=str(measurements) if measurements is not None else None,
        keep=given["keep_measurements"],
        engine=given["engine"],
    )


def ls(kind: str = "") -> pd.DataFrame:
    """List what there is to choose from, as ``neuronull ls`` does: columns ``id``, ``what``, ``origin``, ``kind``.

    Parameters
    ----------
    kind
        papers, hypotheses, nulls, models or corpora; all without one.

    Raises
    ------
    InputError
        If nothing is called so.
    """
    import pandas as pd

    from . import listing

    if kind and kind not in listing.KINDS:
        raise InputError(f"{kind!r} cannot be listed", "kind", f"give {', '.join(listing.KINDS)}")
    rows = [
        vars(entry) | {"kind": one} for one in ([kind] if kind else listing.KINDS) for entry in listing.KINDS[one]()
    ]
    return pd.DataFrame(rows, columns=["id", "what", "origin", "kind"])


@contextmanager
def _told(progress: Progress | bool | None) -> Iterator[Progress]:
    """The progress that a call asks for: one of the caller's, bars, or none."""
    if not progress:
        yield Silent()
    elif progress is True:
        from .cli.progress import on_stderr

        with on_stderr() as bars:
            yield bars
    else:
        yield progress


def sweep(
    grid: Mapping[str, Sequence[Any]], out: str | Path, *, progress: Progress | bool | None = None, **options: Any
) -> list[RunResult | None]:
    """Run every combination of some options, each in a folder of its own, and go on where an earlier call stopped.

    Parameters
    ----------
    grid
        Option of `run` -> its values.
    out
        Folder for the runs; ``sweep.parquet`` and ``report.html`` in it tell all of them.
    progress
        Told how far it is; True for bars, silent by default.
    options
        Further options of `run`, the same for all.

    Returns
    -------
    list
        One result a combination, the last option of the grid varying fastest; None where a run failed.  Why stands in
        ``sweep.json`` and under ``failed``.

    Raises
    ------
    InputError
        If one of the runs would be refused; then none is started.
    """
    from .sweeps import cells_of, check, run_sweep, write_summary

    unknown = sorted((options.keys() | grid.keys()) - (planning.defaults().keys() - planning.FREE))
    if unknown:
        raise TypeError(f"sweep() got an option that is none of a run's: {unknown[0]}")
    cells, place = cells_of({name: list(values) for name, values in grid.items()}, options), Path(out)
    check(cells)
    with _told(progress) as telling:
        outcomes = run_sweep(cells, place, telling)
    write_summary(outcomes, place)
    return [
        None if outcome.result is None else RunResult(outcome.result, place / outcome.cell.name) for outcome in outcomes
    ]


def _of(kind: type[MeasureOptions] | type[TestOptions], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the keywords that are options of a kind."""
    return {f.name: given[f.name] for f in fields(kind) if f.name in given}


def _measured(given: Mapping[str, Any]) -> MeasureOptions:
    """Options of a measurement, of keywords."""
    model, tokenizer = given["model"], given.get("tokenizer")
    if not isinstance(model, str | PathLike):
        from .data.given_model import given_model

        model = given_model(model, tokenizer)
        given = {**given, "device": model.device, "dtype": model.dtype}
    elif tokenizer is not None:
        raise InputError("a tokenizer goes with a model in memory", "tokenizer", "give the model as well, or neither")
    changed = {
        "model": model if not isinstance(model, PathLike) else str(model),
        "corpus": corpus_option(given["corpus"]), "layer": spelling.layer(given["layer"]),
        "conditions": str(given["conditions"]),
    }  # fmt: skip
    return MeasureOptions(**_of(MeasureOptions, given) | changed)


def _names(given: str | Paper | Hypothesis | Sequence[str | Paper | Hypothesis]) -> tuple[str, ...]:
    """Names of papers or hypotheses; a paper that is not registered yet is registered here."""
    from .hypotheses import catalogue
    from .hypotheses.paper import Paper

    for one in spelling.several(given):
        if isinstance(one, Paper):
            if one.id not in catalogue.papers or catalogue.papers.get(one.id) != one:
                catalogue.papers.register(one.id, one, origin=f"paper {one.id}")
        elif not isinstance(one, str) and catalogue.hypothesis(one.id) != one:
            raise InputError(f"{one.id} is the id of another hypothesis", "only", "give yours an id of its own")
    return tuple(spelling.names(given))


def measure(
    model: Any = MeasureOptions.model,
    *,
    tokenizer: Any = None,
    revision: str | None = None,
    corpus: CorpusLike = EMBEDDED_CORPUS,
    counts: str | None = None,
    layer: int | str = MeasureOptions.layer,
    conditions: str | Path = MeasureOptions.conditions,
    conditioning: Conditioning = MeasureOptions.conditioning,
    threshold: float = MeasureOptions.threshold,
    elbow: bool = MeasureOptions.elbow,
    ablation: Ablation = MeasureOptions.ablation,
    heads: str = MeasureOptions.heads,
    head_documents: int | None = None,
    documents: int = MeasureOptions.documents,
    context: int = MeasureOptions.context,
    cluster: str = MeasureOptions.cluster,
    seed: int = MeasureOptions.seed,
    device: str = MeasureOptions.device,
    dtype: Dtype = MeasureOptions.dtype,
    attention: Attention = MeasureOptions.attention,
    batch: int | None = None,
    shard_documents: int | None = None,
    engine: Engine = "local",
    out: str | Path | None = None,
    progress: Progress | bool | None = None,
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
    options = _measured(dict(locals()))
    from .data.store import checkpoint_place, save, save_checkpoint
    from .estimators import measure as measuring
    from .estimators.engine import engine_of
    from .estimators.measure_heads import measure_heads

    def measured(at: Workers, telling: Progress) -> Measurements:
        return measure_heads(options, measuring.measure(options, telling, engine=at), telling, engine=at)

    pipeline.check_engine(engine)
    with _told(progress) as telling, engine_of(engine, shard_documents, device) as workers:
        if out is None:
            return measured(workers, telling)
        place = checkpoint_place(Path(out))
        with staged(Path(out)) as folder:
            if place is None:
                made = measured(workers, telling)
                save(made, folder)
            else:
                whole, step = place
                made = measuring.measure_checkpoint(options, step, telling, engine=workers)
                save_checkpoint(made, folder, whole)
    return made
