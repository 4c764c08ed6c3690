"""What a measurement will take: two documents of it are measured, and each stage is scaled to all of them.

Where that is quick eight are measured after it: what is compiled then is, and stages have work for all threads. Stages
that take the same time whatever the number of documents (audits) are taken as they are. Testing is not estimated.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import numpy as np
import torch

from ..data.errors import InputError
from ..data.lengths import length
from ..data.measurements import Panel, PartialHeads
from ..data.options import MeasureOptions, Progress, Silent, Stage
from ..data.panel import with_losses
from . import audit_heads
from .audit import LARGEST, RANDOM_DOCUMENTS
from .closed_form import ClosedForm
from .forward import run_forward
from .heads import head_effects
from .influence import has_closed_form, influence
from .measure import Inputs, load_inputs
from .measure_heads import ABLATION, asked_part
from .readout import fold

ROUNDS = (2, 8)
"""Documents that are measured, in turn."""

LONG = 1.5e13
"""Work (`is_long`) beyond which a measurement takes minutes on two cores.

docs-gpt2 with its heads is 9e12 and takes 50 s; SmolLM2-135M on 57 documents of 128 tokens is 1e13 and 70 s without
heads, 1.5e14 and half an hour with all of them.
"""

QUICK_S = 15.0
"""After a round that took longer no other follows: compiling is a small part of it."""

AUDIT_PASSES = (LARGEST + RANDOM_DOCUMENTS) * 2
"""Rows of documents that the audit of influence feeds at most."""

HEAD_PASSES = (audit_heads.LARGEST + audit_heads.DRAWN) * 2
"""Rows of documents that the audit of heads feeds, beside a pass over all documents."""

_FLOAT = 4
_GROW = frozenset({"forward pass", "influence", "head means", "heads"})
"""Stages that take longer with more documents."""


@dataclass(frozen=True)
class Estimate:
    """What a measurement will take.

    Parameters
    ----------
    seconds
        Stage -> seconds.
    memory, disk
        Bytes: the largest arrays and the weights in memory, the program itself left out; what the cache keeps.
    documents, positions, neurons
        What is measured.
    """

    seconds: dict[str, float]
    memory: float
    disk: float
    documents: int
    positions: int
    neurons: int

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())


class _Clock:
    """Progress that keeps the seconds of each stage; and how many positions a tile of the closed form has."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.tile = 1

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """A stage, timed."""
        start = time.perf_counter()
        yield Silent()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def estimate(options: MeasureOptions, with_heads: bool, control: int = 0, progress: Progress | None = None) -> Estimate:
    """Measure a few documents and say what all of them will take.

    Parameters
    ----------
    options
        What would be measured.
    with_heads
        Whether attention heads would be.
    control
        Documents that would be measured again with weights drawn anew; 0 for none.

    Raises
    ------
    InputError
        If the measurement would be refused before it begins, or no few documents have matched pairs.
    """
    loading = _Clock()
    inputs = load_inputs(options, loading)
    return estimate_of(inputs, with_heads, control, progress, loading.seconds)


def is_long(inputs: Inputs, with_heads: bool) -> bool:
    """Whether a measurement will take minutes, judged by the size of model and text alone.

    Its work is parameters times tokens, times 10 for influence, and one half more for each attention head.
    """
    tokens = sum(map(len, inputs.corpus.documents["input_ids"]))
    adapter = inputs.loaded.adapter
    parameters: int = sum(one.numel() for one in inputs.loaded.model.parameters())
    heads = sum(adapter.heads(at) for at in range(inputs.layer + 1)) if with_heads else 0
    return tokens * parameters * (10 + heads / 2) > LONG


def estimate_of(
    inputs: Inputs,
    with_heads: bool,
    control: int = 0,
    progress: Progress | None = None,
    loading: Mapping[str, float] | None = None,
    rounds: Sequence[int] = ROUNDS,
) -> Estimate:
    """Return the same as `estimate` for inputs that are loaded, which took so many seconds.

    Raises
    ------
    InputError
        If no few documents have matched pairs.
    """
    with (progress or Silent()).stage("estimate", len(rounds)) as stage:
        for documents in rounds:
            start, clock = time.perf_counter(), _Clock()
            chosen, panel = _some(inputs, documents, clock)
            _measure(inputs, chosen, panel, clock, with_heads)
            stage.advance()
            if time.perf_counter() - start > QUICK_S:
                break
    found = _scaled(inputs, panel, len(chosen), loading or {}, clock, with_heads)
    if not control:
        return found
    share = min(1.0, control / found.documents)
    again = sum(seconds * (share if name in _GROW else 1.0) for name, seconds in found.seconds.items())
    return replace(found, seconds=found.seconds | {"random weights": again})


def _some(inputs: Inputs, documents: int, clock: _Clock) -> tuple[list[list[int]], Panel]:
    """A few documents with many positions of the first condition, and their panel; the clean pass is timed."""
    whole = inputs.positions
    table = inputs.corpus.documents
    many = np.bincount(whole.document[whole.label == 1], minlength=len(table))
    kept = np.sort(np.argsort(-many, kind="stable")[:documents])
    rows = np.flatnonzero(np.isin(whole.document, kept))
    part = Panel(*(getattr(whole, field.name)[rows] for field in fields(Panel)))
    part = replace(part, document=np.searchsorted(kept, part.document))
    chosen = [table["input_ids"].iloc[place] for place in kept]
    forward = run_forward(inputs.loaded, chosen, inputs.layer, progress=clock)
    panel = with_losses(part, table.iloc[kept].reset_index(drop=True), forward.losses, inputs.options.seed)
    if not len(panel.a_rows):
        raise InputError("too few positions are matched to say", "--estimate", "measure more documents")
    return chosen, panel


def _measure(inputs: Inputs, documents: list[list[int]], panel: Panel, clock: _Clock, with_heads: bool) -> None:
    loaded, layer, options = inputs.loaded, inputs.layer, inputs.options
    forward = run_forward(loaded, documents, layer)
    residual, activation = forward.scored(panel)
    if _closed(inputs):
        _closed_form_apart(inputs, residual, activation, panel, clock)
    influence(
        loaded, documents, panel, residual, activation, layer, ablation=options.ablation, seed=options.seed,
        progress=clock,
    )  # fmt: skip
    if not with_heads:
        return
    sd = activation.double().std(0, correction=0).numpy()
    paired = np.unique(panel.document[panel.a_rows]).tolist()
    layers = _layers(inputs, panel)
    ends = {"lowest": layers[:1], "highest": layers[-1:], "both": sorted({layers[0], layers[-1]})}
    for name, several in ends.items():
        part, inner = PartialHeads(layers=several, documents=paired), _Clock()
        head_effects(loaded, documents, panel, layer, sd, ablation=ABLATION, part=part, progress=inner)
        clock.seconds[f"heads {name}"] = inner.seconds["heads"] / len(paired)
        clock.seconds["head means"] = inner.seconds["head means"]


def _closed_form_apart(
    inputs: Inputs, residual: torch.Tensor, activation: torch.Tensor, panel: Panel, clock: _Clock
) -> None:
    """Time what the closed form does once, and what it does once a tile: a tile of one position is nothing else."""
    device = inputs.loaded.device
    with clock.stage("closed form", 1):
        form = ClosedForm(fold(inputs.loaded.adapter, inputs.layer))
    clock.tile = form.tile
    one = residual[:1].to(device), (activation.mean(0) - activation[:1]).to(device)
    target, given = torch.from_numpy(panel.target_id[:1]).to(device), activation[:1].to(device)
    for name in ("first tile", "tile"):  # the first one makes the buffers
        with clock.stage(name, 1):
            form.effects(*one, target, given)


def _layers(inputs: Inputs, panel: Panel) -> list[int]:
    """Layers whose heads are asked for."""
    part = asked_part(inputs.options, panel, inputs.layer)
    return list(range(inputs.layer + 1)) if part is None else part.layers


def _scaled(
    inputs: Inputs,
    panel: Panel,
    fed: int,
    loading: Mapping[str, float],
    clock: _Clock,
    with_heads: bool,
) -> Estimate:
    adapter, options, whole = inputs.loaded.adapter, inputs.options, inputs.positions
    documents, positions, neurons = len(inputs.corpus.documents), len(whole), adapter.neurons
    took = clock.seconds
    seconds = {
        "model": loading.get("model", 0.0),
        "corpus": loading.get("corpus", 0.0),
        "forward pass": took["forward pass"] * documents / fed,
        "influence": _influence_of_all(clock, len(panel), positions),
        "audit": max(took["audit"], took["forward pass"] * AUDIT_PASSES / fed),
    }
    effects = 0.0
    if with_heads:
        paired = np.unique(whole.document[whole.label == 1])
        part = asked_part(options, _matched(whole), inputs.layer)
        layers = _layers(inputs, _matched(whole))
        measured = len(paired) if part is None else len(part.documents)
        each = _heads_of_a_document(layers, took["heads lowest"], took["heads highest"], took["heads both"])
        seconds |= {
            "model again": loading.get("model", 0.0),
            "head means": took["head means"] * documents / fed,
            "heads": each * measured,
            "head audit": took["forward pass"] * (HEAD_PASSES + documents) / fed,
        }
        heads = sum(adapter.heads(at) + 1 for at in layers)
        effects = float(_FLOAT * heads * documents * 2 * neurons)
    width = adapter.w_out(inputs.layer).shape[1]
    model = float(sum(p.numel() * p.element_size() for p in inputs.loaded.model.parameters()))
    arrays = float(_FLOAT * positions * (2 * neurons + width))
    unembedding = float(_FLOAT * adapter.vocabulary * (width + neurons)) if _closed(inputs) else 0.0
    disk = float(_FLOAT * (2 * positions * neurons + 2 * neurons * width)) + effects
    return Estimate(seconds, model + arrays + unembedding + effects, disk, documents, positions, neurons)


def _influence_of_all(clock: _Clock, measured: int, positions: int) -> float:
    """Seconds for all positions: what is done once, what is done once a tile, and the rest by position."""
    took, tile = clock.seconds, clock.seconds.get("tile", 0.0)
    once = took.get("closed form", 0.0) + took.get("first tile", 0.0) - tile
    tiles = -(-measured // clock.tile) if tile else 0
    rest = max(took["influence"] - once - tiles * tile, 0.0)
    all_tiles = -(-positions // clock.tile) if tile else 0
    return min(once, took["influence"]) + all_tiles * tile + rest * positions / measured


def _heads_of_a_document(layers: list[int], lowest: float, highest: float, both: float) -> float:
    """Seconds for the heads of all layers, from those of the lowest, of the highest, and of both together.

    What is done once for all layers is in each of the three; layers between cost as much as lies between.
    """
    once = min(max(lowest + highest - both, 0.0), lowest, highest)
    share = (np.asarray(layers) - layers[0]) / max(layers[-1] - layers[0], 1)
    return once + float(((lowest - once) * (1 - share) + (highest - once) * share).sum())


def _closed(inputs: Inputs) -> bool:
    return has_closed_form(inputs.loaded.adapter, inputs.layer)


def _matched(whole: Panel) -> Panel:
    """The panel with every position of the first condition taken for matched: losses are not known yet."""
    return replace(whole, match=np.where(whole.label == 1, 0, -1))


def in_a_line(found: Estimate) -> str:
    """An estimate as the first line of a long run."""
    memory, disk = found.memory / 2**30 + 1.5, found.disk / 2**30
    return f"measuring takes about {length(found.total)}, {memory:.1f} GiB memory, {disk:.2f} GiB disk"


def told(found: Estimate) -> str:
    """An estimate as lines for a terminal."""
    rows = [(name, f"{seconds:,.0f} s") for name, seconds in found.seconds.items() if seconds >= 0.5]
    lines = [f"{found.documents:,} documents, {found.positions:,} positions, {found.neurons:,} neurons"]
    lines += [f"  {name:<16} {text:>10}" for name, text in rows]
    lines.append(f"measuring takes about {length(found.total)}; testing comes on top")
    memory, disk = found.memory / 2**30, found.disk / 2**30
    lines.append(f"memory about {memory:,.1f} GiB for weights and arrays, and 1 to 2 GiB for the program")
    lines.append(f"disk (cache) about {disk:,.2f} GiB")
    return "\n".join(lines)
