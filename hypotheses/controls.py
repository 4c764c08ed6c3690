"""Checks of the pipeline itself, in every suite: what must be there is found, and what cannot be there is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..data.errors import InputError, MissingInput
from ..estimators.class_means import ClassSums
from .engine import sample
from .findings import FindingBuilder
from .inference.permutation import permutation_p
from .nulls.base import generator
from .nulls.document_swaps import DocumentSwaps
from .result import Finding, Kind, Role, Verdict
from .statistics.class_contrasts import BoundContrast, selectivity

LARGE = 0.1
"""Sd units: ablating all heads of a layer must move the neurons it feeds by at least this much."""


@dataclass(frozen=True)
class _Declared:
    """What a control row needs of a hypothesis."""

    id: str
    claim: str
    unit: str

    @property
    def family(self) -> str:
        return "control"


def run_control(name: str, make: FindingBuilder, flagged: Callable[[], tuple[list[str], int]]) -> Finding:
    """One control as a finding; its notes begin with passed, failed or not run.

    Parameters
    ----------
    name
        Id of the control.
    flagged
        Runs the suite on the re-initialised model: names of the findings it flagged, and how many it tested.
    """
    controls = {
        "control.random_init": lambda: _random_init(make, flagged),
        "control.permuted_labels": lambda: _permuted_labels(make),
        "control.unreachable_heads": lambda: _unreachable_heads(make),
        "control.whole_layer": lambda: _whole_layer(make),
    }
    return controls[name]()


def _row(make: FindingBuilder, declared: _Declared, notes: str, **given: Any) -> Finding:
    base = {
        "hypothesis": declared.id, "family": "control", "claim": declared.claim, "kind": Kind.CONTROL,
        "role": Role.CONTROL, "estimator": declared.id.split(".")[1], "unit": declared.unit,
    }  # fmt: skip
    return Finding(
        **{
            **make.common(),
            **base,
            "notes": notes,
            "sentence": f"{declared.claim} {notes[0].upper()}{notes[1:]}.",
            **given,
        }
    )


def _random_init(make: FindingBuilder, flagged: Callable[[], tuple[list[str], int]]) -> Finding:
    declared = _Declared(
        "control.random_init", "A model with random weights shows none of the claimed effects.", "findings"
    )
    try:
        names, tested = flagged()
    except InputError as error:  # the control fails to run, the run does not
        return _row(make, declared, f"not run: {error}")
    said = (
        f"passed: none of {tested} hypotheses found an effect"
        if not names
        else f"failed: {', '.join(names)} found an effect, of {tested}"
    )
    return _row(
        make,
        declared,
        said,
        estimate=float(len(names)),
        null_model="random_init",
        details={"flagged": names, "tested": tested},
    )


def flags_an_effect(finding: Finding) -> bool:
    """Whether a verdict says that an effect is there: a supported presence or a refuted absence."""
    there = {Kind.PRESENCE: Verdict.SUPPORTED, Kind.ABSENCE: Verdict.REFUTED}
    return finding.role is Role.PRIMARY and there.get(finding.kind) is finding.verdict


def _permuted_labels(make: FindingBuilder) -> Finding:
    declared = _Declared(
        "control.permuted_labels",
        "With the two classes shuffled over documents, no specialists are found.",
        "log ratio",
    )
    data, options = make.data, make.options
    sums = data.influence_sums
    swaps = torch.from_numpy(generator(options.seed, 0, "permuted").random(sums.documents) < 0.5)
    shuffled = ClassSums(torch.where(swaps[:, None, None, None], sums.x.flip(1), sums.x), sums.weight, sums.half)
    bound = BoundContrast(shuffled, *selectivity(data.n_head))
    drawn = sample(bound, DocumentSwaps(), data, options.replicates, options.seed + 1, options.jobs)
    p = permutation_p(float(drawn.statistic[0, 0]), drawn.statistic[1:, 0])
    passed = p.value >= options.alpha
    said = (
        "passed: p is not small"
        if passed
        else f"failed: p is below {options.alpha:g}, which chance alone does in {options.alpha:.0%} of runs"
    )
    given = {"p_value": p.value, "p_low": p.low, "p_high": p.high, "replicates": p.replicates}
    given["n_documents"] = sums.documents
    estimate = float(drawn.estimate[0, 0])
    return _row(make, declared, said, estimate=estimate, null_model="document_swaps", **given)


def _unreachable_heads(make: FindingBuilder) -> Finding:
    declared = _Declared(
        "control.unreachable_heads", "Heads that cannot reach the layer have an effect of exactly zero.", "sd"
    )
    try:
        heads = make.data.heads
    except MissingInput as error:
        return _row(make, declared, f"not run: {error}")
    rows = np.flatnonzero(~heads.reachable & (heads.head >= 0))
    if len(rows) == 0:
        return _row(make, declared, "not run: every measured head can reach the layer")
    largest = max(float(heads.effect[r].nan_to_num().abs().max()) for r in rows.tolist())
    said = f"passed: exactly 0 for all {len(rows)}" if largest == 0 else f"failed: one of {len(rows)} has an effect"
    return _row(make, declared, said, estimate=largest, details={"heads": len(rows)})


def _whole_layer(make: FindingBuilder) -> Finding:
    declared = _Declared(
        "control.whole_layer", "Ablating all heads of a layer together moves the neurons it feeds.", "sd"
    )
    try:
        heads = make.data.heads
    except MissingInput as error:
        return _row(make, declared, f"not run: {error}")
    rows = np.flatnonzero(heads.reachable & (heads.head < 0))
    if len(rows) == 0:
        return _row(make, declared, "not run: no whole layer was ablated")
    mean = [float(heads.effect[r].nanmean(dtype=torch.float64)) for r in rows.tolist()]
    smallest = min(mean)
    said = (
        f"passed: at least {LARGE:g} sd in every layer"
        if smallest >= LARGE
        else f"failed: less than {LARGE:g} sd in a layer"
    )
    return _row(
        make,
        declared,
        said,
        estimate=smallest,
        details={f"layer_{heads.layer[r]}": m for r, m in zip(rows.tolist(), mean, strict=True)},
    )
