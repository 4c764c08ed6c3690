"""What a run knows beyond its rows, as data frames: null draws, contrasts of documents, neurons, heads.

For whoever wants a plot or a test of their own. The columns are in docs/data-frames.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..data.errors import MissingInput
from .engine import Assessment
from .members import mean_influence, split_shares
from .prepared import PreparedData

NAMES = ("draws", "contrasts", "neurons", "heads")
"""Of the frames; a run's directory holds each as ``NAME.parquet``."""


@dataclass
class Kept:
    """Draws and contrasts of the assessments of a run, as they come."""

    draws: list[pd.DataFrame] = field(default_factory=list)
    contrasts: list[pd.DataFrame] = field(default_factory=list)

    def keep(self, assessment: Assessment) -> None:
        """Take from an assessment what the frames hold."""
        name = assessment.hypothesis.id
        outputs = [output.name for output in assessment.outputs]
        for sampled in assessment.nulls:
            count = len(sampled.estimate)
            self.draws.append(
                pd.DataFrame(
                    {
                        "hypothesis": name,
                        "null_model": sampled.null,
                        "output": np.repeat(outputs, count),
                        "replicate": np.tile(np.arange(count), len(outputs)),
                        "estimate": sampled.estimate.T.ravel(),
                        "statistic": sampled.statistic.T.ravel(),
                    }
                )
            )
        if len(assessment.nulls) == 1 and any(c["hypothesis"].iloc[0] == name for c in self.contrasts):
            return  # of a further null model: the documents are those of the first row
        for output in assessment.outputs:
            if output.contrasts is not None:
                values = {"hypothesis": name, "output": output.name, "unit": np.arange(len(output.contrasts))}
                self.contrasts.append(pd.DataFrame(values | {"contrast": output.contrasts}))


def frames(kept: Kept, views: Sequence[PreparedData]) -> dict[str, pd.DataFrame]:
    """Return the frames of a run; one that nothing was measured for has no rows.

    Parameters
    ----------
    kept
        Of its assessments.
    views
        Its data, seen through each set under test.
    """
    return {
        "draws": _joined(kept.draws, ("hypothesis", "null_model", "output", "replicate", "estimate", "statistic")),
        "contrasts": _joined(kept.contrasts, ("hypothesis", "output", "unit", "contrast")),
        "neurons": _neurons(views),
        "heads": _heads(views),
    }


def _joined(parts: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(columns))


def _neurons(views: Sequence[PreparedData]) -> pd.DataFrame:
    """One row a neuron: covariates, influence by condition and half, and the sets of each half."""
    data = views[0]
    measured = data.measurements
    table = pd.DataFrame({"neuron": np.arange(measured.n_neurons)})
    if measured.neurons is not None:
        table = table.join(measured.neurons.reset_index(drop=True))
    try:
        for half, of_half in enumerate(data.influence.numpy()):
            for name, values in zip((data.conditions.a.name, data.conditions.b.name), of_half, strict=True):
                table[f"influence_{name}_{half}"] = values
    except MissingInput:
        pass
    influence = mean_influence(data)
    for side, name in enumerate((data.conditions.a.name, data.conditions.b.name)):
        if influence is not None:
            mean, reach = influence[0][side], influence[1][side]
            table[f"influence_{name}"] = mean
            table[f"influence_{name}_low"], table[f"influence_{name}_high"] = mean - reach, mean + reach
    for view in views:
        try:
            members = view.set
        except MissingInput:
            continue
        for half in (0, 1):
            table[f"in_{view.neuron_set.name}_{half}"] = np.isin(table["neuron"], members[half].numpy())
        shares = split_shares(view)
        if shares is not None:
            table[f"in_{view.neuron_set.name}_share"] = shares
    return table


def _heads(views: Sequence[PreparedData]) -> pd.DataFrame:
    """One row a head: its mean effect on all neurons and on the first set, by condition."""
    data = views[0]
    measured = data.measurements.heads
    if measured is None:
        return pd.DataFrame(columns=["layer", "head", "reachable"])
    table = pd.DataFrame({"layer": measured.layer, "head": measured.head, "reachable": measured.reachable})
    try:
        members = np.isin(measured.neuron.numpy(), np.concatenate([half.numpy() for half in data.set]))
    except MissingInput:
        members = None
    effect = measured.effect.numpy()
    known = ~np.isnan(effect[0, :, 0, 0])
    for side, name in enumerate((data.conditions.a.name, data.conditions.b.name)):
        of_side = effect[:, known, side].mean(1, dtype=np.float64)
        table[f"effect_{name}"] = of_side.mean(1)
        if members is not None:
            table[f"effect_{name}_{data.neuron_set.name}"] = of_side[:, members].mean(1)
    return table
