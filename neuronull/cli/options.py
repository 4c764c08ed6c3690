"""How the command line spells the options of the Python front door; their defaults and types are declared there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

INPUT, DESIGN, TEST, MACHINE, OUTPUT = "What is looked at", "What is measured", "What is tested", "Machine", "Output"


def option(flag: str, metavar: str | None, panel: str, text: str) -> Any:
    """One option: its flag, what stands for its value, the help's panel, and a sentence."""
    return typer.Option(flag, metavar=metavar, rich_help_panel=panel, help=text)


Model = Annotated[
    str,
    option("--model", "M", INPUT, "Hugging Face id (gpt2-xl, EleutherAI/pythia-410m), local directory, .gguf file, "
           "or embedded name (docs-gpt2, docs-pythia)."),
]  # fmt: skip
Revision = Annotated[str | None, option("--revision", "R", INPUT, "Branch, tag or commit of a Hugging Face model.")]
Corpus = Annotated[
    str,
    option("--corpus", "C", INPUT, "Embedded name (docs); a file (text, .jsonl, .json, .csv, .tsv, .parquet, .arrow; "
           "also .gz, .zst) or folder, with #FIELD behind it where the text is not in the field text; or "
           "hf:dataset\\[@revision][:config][:split][:field]."),
]  # fmt: skip
Counts = Annotated[
    str | None,
    option("--counts", "F", INPUT, "Training counts, one per token id (.npy, .npz); by default the embedded model's, "
           "else counted on the whole corpus (neuronull counts writes such a file)."),
]  # fmt: skip
MeasurementsDir = Annotated[
    str | None,
    option("--measurements", "DIR", INPUT, "Test a measurement directory (neuronull measure, or your own) instead of "
           "measuring a model."),
]  # fmt: skip
Documents = Annotated[int, option("--documents", "D", INPUT, "Use the first D documents that are long enough.")]
Context = Annotated[int, option("--context", "L", INPUT, "Cut documents to L tokens.")]
Cluster = Annotated[
    str,
    option("--cluster", "auto|none|FIELD|FILE", INPUT, "Documents that are no independent evidence: auto finds those "
           "of one package, folder or running text, and near-copies; none takes each document for itself; a field of "
           "the corpus's rows, or a table (.csv, .tsv, .parquet) with columns source and cluster, names the clusters."),
]  # fmt: skip

Layer = Annotated[
    str,
    option("--layer", "last|L", DESIGN, "Layer whose neurons are tested: last, or a number from 0. neuronull run also "
           "takes all, or several by commas: a folder with a run of each, and a report of all."),
]  # fmt: skip
Conditions = Annotated[
    str,
    option("--conditions", "rare|FILE", DESIGN, "The two kinds of positions that are compared: rare and common tokens, "
           "or what a JSON file or a table (.csv, .tsv, .parquet) lists."),
]  # fmt: skip
Conditioning = Annotated[
    str,
    option("--conditioning", "target|input", DESIGN, "Which token decides the condition of a position: the one to be "
           "predicted, or the one read."),
]  # fmt: skip
Threshold = Annotated[
    float,
    option("--threshold", "S", DESIGN, "Rare: ranked beyond this share of the tokenizer's vocabulary, or of the types "
           "that occur where the corpus itself is counted."),
]  # fmt: skip
Elbow = Annotated[
    bool, option("--elbow/--no-elbow", None, DESIGN, "Leave out the very rarest tokens, beyond the Zipf elbow.")
]
Heads = Annotated[
    str,
    option("--heads", "all|last:N|LAYERS", DESIGN, "Layers whose attention heads are measured, up to the neurons': "
           "all, the last N, or numbers by commas."),
]  # fmt: skip
HeadDocuments = Annotated[
    int | None,
    option("--head-documents", "D", DESIGN, "Measure attention heads on D of the documents; on all by default."),
]  # fmt: skip
Ablation = Annotated[str, option("--ablation", "mean|zero|resample", DESIGN, "What takes a neuron's place.")]

Suite = Annotated[
    str,
    option("--suite", "default|full", TEST, "full runs the slow hypotheses too, and measures what ablating the plateau "
           "does to predictions."),
]  # fmt: skip
Only = Annotated[
    list[str] | None,
    option("--only", "ID ...", TEST, "Test these hypotheses or families only (neuronull ls hypotheses)."),
]
Null = Annotated[
    list[str] | None,
    option("--null", "HYPOTHESIS=NULL ...", TEST, "Another null model for a hypothesis (neuronull ls nulls)."),
]
Plateau = Annotated[
    str,
    option("--plateau", "FRACTION|knot|N", TEST, "Which neurons are the plateau: a share of the layer, those up to the "
           "first knot of the influence curve, or the top N."),
]  # fmt: skip
Paper = Annotated[
    list[str] | None,
    option("--paper", "ID[,ID]|all", TEST, "Papers whose claims are tested; by default those marked so "
           "(neuronull ls papers)."),
]  # fmt: skip
Set = Annotated[
    str,
    option("--set", "influence|FILE", TEST, "Which neurons are tested: those that each paper names (--plateau says "
           "how many), or a list that was chosen elsewhere (.json, .csv, or text)."),
]  # fmt: skip
Margin = Annotated[
    list[str] | None,
    option("--margin", "HYPOTHESIS=X ...", TEST, "Another smallest effect worth the name; the report says so."),
]  # fmt: skip
Vary = Annotated[
    list[str] | None,
    option("--vary", "NAME=V1,V2 ...", TEST, "Test every combination of these values too, the run's own included: "
           "conditioning, threshold, elbow, ablation, plateau, split, resolution, algorithm, density."),
]  # fmt: skip
Replicates = Annotated[
    int, option("--replicates", "B", TEST, "Draws from each null model; 999 at most where a row decides nothing.")
]
Alpha = Annotated[float, option("--alpha", "A", TEST, "Error rate of a verdict.")]
Seed = Annotated[int, option("--seed", "S", TEST, "Everything random follows from it.")]

Device = Annotated[
    str,
    option(
        "--device", "auto|cpu|cuda[:n|:all]", MACHINE, "Where the model runs; cuda:all: documents on every CUDA device."
    ),
]
Dtype = Annotated[str, option("--dtype", "float32|bfloat16|float16", MACHINE, "Precision of the model.")]
Attention = Annotated[
    str,
    option("--attention", "auto|eager|sdpa", MACHINE, "Implementation of attention; auto is what the model's "
           "config.json asks for, else sdpa."),
]  # fmt: skip
Jobs = Annotated[
    int | None, option("--jobs", "J", MACHINE, "Workers that test, by default one a core; never changes a number.")
]
Workers = Annotated[int, option("--jobs", "J", MACHINE, "Workers; never changes a number.")]
Batch = Annotated[int | None, option("--batch", "N", MACHINE, "Documents at a time; never changes a number.")]

Engine = Annotated[
    str,
    option("--engine", "local|ray", MACHINE, "Where documents are worked on: in this process, or by the workers of a "
           "Ray cluster (RAY_ADDRESS; else one on this machine); never changes a number."),
]  # fmt: skip
ShardDocuments = Annotated[
    int | None,
    option("--shard-documents", "N", MACHINE, "Keep what is finished after every N documents (tiles of positions for "
           "influence), which is also what a worker is given at a time; by default every ten seconds."),
]  # fmt: skip

RunOut = Annotated[
    str | None,
    option("--out", "DIR", OUTPUT, "New or empty directory for the results; by default "
           "./neuronull-runs/<UTC time>-<model>."),
]  # fmt: skip
CountsOut = Annotated[str, option("--out", "F", OUTPUT, "New .npy file for the counts.")]
Estimate = Annotated[
    bool, option("--estimate", None, MACHINE, "Measure a few documents, say what all of it will take, and stop.")
]
Keep = Annotated[
    bool, option("--keep-measurements", None, OUTPUT, "Write what was measured into DIR/measurements too.")
]
MeasureOut = Annotated[str, option("--out", "DIR", OUTPUT, "New or empty directory for the measurements.")]

Plan = Annotated[
    str | None,
    option("--plan", "FILE", TEST, "Run what this plan says (neuronull plan), and refuse whatever differs from it."),
]  # fmt: skip
PlanOut = Annotated[str, option("--out", "FILE", OUTPUT, "New file for the plan.")]

_CONTEXT = "typer_context"

OPTIONS: dict[str, Any] = {
    "plan": Plan, "keep_measurements": Keep, "model": Model, "revision": Revision, "corpus": Corpus, "counts": Counts,
    "measurements": MeasurementsDir, "documents": Documents, "context": Context, "cluster": Cluster, "layer": Layer,
    "conditions": Conditions,
    "conditioning": Conditioning, "threshold": Threshold, "elbow": Elbow, "ablation": Ablation, "heads": Heads,
    "head_documents": HeadDocuments, "suite": Suite, "only": Only, "null": Null, "plateau": Plateau, "paper": Paper,
    "set": Set, "margin": Margin, "vary": Vary, "replicates": Replicates, "alpha": Alpha, "seed": Seed, "device":
    Device, "dtype": Dtype, "attention": Attention, "jobs": Jobs, "batch": Batch, "engine": Engine,
    "shard_documents": ShardDocuments,
}  # fmt: skip
"""Keyword of `neuronull.run` or `neuronull.measure` -> its option."""


def command_like(
    front: Callable[..., Any],
    without: frozenset[str] = frozenset(),
    flags: Mapping[str, Any] | None = None,
    **own: Any,
) -> Callable[[Callable[[dict[str, Any], frozenset[str]], None]], Callable[..., None]]:
    """Give a command the options of a function of the Python front door, with the same defaults.

    Parameters
    ----------
    front
        `neuronull.run` or `neuronull.measure`.
    without
        Keywords that the command does not take.
    flags
        Name -> option, of flags that the command has beside the function's keywords.
    own
        Keyword -> option, where it is another than in `OPTIONS`; such options must be given if they allow no None.

    Returns
    -------
    callable
        A decorator for a function of all options by keyword, as the command line gave them, and of the names of those
        that stood there.
    """

    def decorate(work: Callable[[dict[str, Any], frozenset[str]], None]) -> Callable[..., None]:
        parameters = [inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
        for keyword in inspect.signature(front).parameters.values():
            if keyword.name in without | {"progress", "tokenizer"}:  # these are objects
                continue
            annotation: Any = own.get(keyword.name, OPTIONS.get(keyword.name))
            default = None if keyword.default == () else keyword.default
            required = keyword.name in own and annotation.__origin__ is str
            parameters.append(
                inspect.Parameter(
                    keyword.name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation,
                    default=inspect.Parameter.empty if required else default,
                )
            )  # fmt: skip

        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=False)
            for name, annotation in (flags or {}).items()
        ]

        def command(**given: Any) -> None:
            source = given.pop(_CONTEXT).get_parameter_source
            work(given, frozenset(name for name in given if source(name).name == "COMMANDLINE"))

        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        command.__name__, command.__doc__, command.__module__ = work.__name__, work.__doc__, work.__module__
        return command

    return decorate
