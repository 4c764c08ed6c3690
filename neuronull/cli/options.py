"""The options that `run` and `measure` share, each said once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

INPUT, DESIGN, TEST, MACHINE, OUTPUT = "What is looked at", "What is measured", "What is tested", "Machine", "Output"


def option(flag: str, metavar: str | None, panel: str, text: str) -> Any:
    """One option: its flag, what stands for its value, the help's panel, and a sentence."""
    return typer.Option(flag, metavar=metavar, rich_help_panel=panel, help=text)


Model = Annotated[
    str,
    option("--model", "M", INPUT, "Hugging Face id (gpt2-xl, EleutherAI/pythia-410m), local directory, or embedded "
           "name (docs-gpt2, docs-pythia)."),
]  # fmt: skip
Revision = Annotated[str | None, option("--revision", "R", INPUT, "Branch, tag or commit of a Hugging Face model.")]
Corpus = Annotated[
    str,
    option("--corpus", "C", INPUT, "Embedded name (docs); .jsonl, .json, .parquet or text file; a folder; or "
           "hf:dataset[:config][:split][:field]."),
]  # fmt: skip
Counts = Annotated[
    str | None,
    option("--counts", "F", INPUT, "Training counts, one per token id (.npy, .npz); by default the embedded model's, "
           "else counted on the corpus."),
]  # fmt: skip
MeasurementsDir = Annotated[
    str | None,
    option("--measurements", "DIR", INPUT, "Test a measurement directory (neuronull measure, or your own) instead of "
           "measuring a model."),
]  # fmt: skip
Documents = Annotated[int, option("--documents", "D", INPUT, "Use the first D documents that are long enough.")]
Context = Annotated[int, option("--context", "L", INPUT, "Cut documents to L tokens.")]

Layer = Annotated[str, option("--layer", "L", DESIGN, "Layer whose neurons are tested: last, or a number from 0.")]
Conditioning = Annotated[
    str,
    option("--conditioning", "target|input", DESIGN, "Whether a position is rare by the token to be predicted, or by "
           "the token read."),
]  # fmt: skip
Threshold = Annotated[float, option("--threshold", "S", DESIGN, "Rare: ranked beyond this share of the vocabulary.")]
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
Vary = Annotated[
    list[str] | None,
    option("--vary", "NAME=V1,V2 ...", TEST, "Test every combination of these values too, the run's own included: "
           "conditioning, threshold, elbow, ablation, plateau, split, resolution, density."),
]  # fmt: skip
Replicates = Annotated[
    int, option("--replicates", "B", TEST, "Draws from each null model; 999 at most where a row decides nothing.")
]
Alpha = Annotated[float, option("--alpha", "A", TEST, "Error rate of a verdict.")]
Seed = Annotated[int, option("--seed", "S", TEST, "Everything random follows from it.")]

Device = Annotated[str, option("--device", "auto|cpu|cuda[:n]", MACHINE, "Where the model runs.")]
Dtype = Annotated[str, option("--dtype", "float32|bfloat16|float16", MACHINE, "Precision of the model.")]
Attention = Annotated[
    str,
    option("--attention", "auto|eager|sdpa", MACHINE, "Implementation of attention; auto is what the model's "
           "config.json asks for, else sdpa."),
]  # fmt: skip
Jobs = Annotated[int, option("--jobs", "J", MACHINE, "Workers; never changes a number.")]
Batch = Annotated[int | None, option("--batch", "N", MACHINE, "Documents at a time; never changes a number.")]

RunOut = Annotated[
    str | None,
    option("--out", "DIR", OUTPUT, "New or empty directory for the results; by default "
           "./neuronull-runs/<UTC time>-<model>."),
]  # fmt: skip
MeasureOut = Annotated[str, option("--out", "DIR", OUTPUT, "New or empty directory for the measurements.")]
