"""The prepared data of a run, seen through each set under test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data import schema
from ..data.measurements import Measurements
from ..data.neuron_list import read_neuron_list
from ..data.options import TestOptions
from .choice import Choice
from .hypothesis import Hypothesis
from .neuron_sets import Listed, NeuronSet
from .prepared import MOST_INFLUENTIAL, PreparedData


@dataclass(frozen=True)
class Prepared:
    """The prepared data of a run, one view of them per set under test.

    ``own_set`` takes the place of the papers' sets where the user gave one.  ``calibrations``: what is known of a
    hypothesis's test on data like these, one line each, in place of the record that ships.
    """

    choice: Choice
    base: PreparedData
    own_set: NeuronSet | None = None
    calibrations: Mapping[str, str] = field(default_factory=dict)

    def of(self, hypothesis: Hypothesis) -> PreparedData:
        """The data with the set that a hypothesis is about."""
        named = self.choice.set_of(hypothesis) if hypothesis.set is not None or self.own_set is None else self.own_set
        found = self.base.of(named or MOST_INFLUENTIAL, hypothesis.alike or self.base.alike)
        views: dict[Any, PreparedData] = self.base.shared.setdefault("views", {})
        return views.setdefault((found.neuron_set, found.alike), found)

    @property
    def main(self) -> PreparedData:
        """The data with the set of the first hypothesis."""
        first = next(iter(self.choice.hypotheses), None)
        if first is not None:
            return self.of(first)
        named = self.own_set or next((p.set for p in self.choice.papers), MOST_INFLUENTIAL)
        return self.base.of(named)


def prepare(measurements: Measurements, choice: Choice, options: TestOptions) -> Prepared:
    """Prepared data of a run; the set is the user's, that of the measurements, or each paper's own.

    Raises
    ------
    InputError
        If the user's set cannot be read.
    """
    return Prepared(choice, PreparedData(measurements, options.set_size), own_set(measurements, options))


def own_set(measurements: Measurements, options: TestOptions) -> NeuronSet | None:
    """The set that the user, or else the measurement directory, names; None for the papers' own."""
    if options.set is not None:
        path = Path(options.set)
        return Listed.of(read_neuron_list(path), path.name)
    listed = measurements.neuron_list
    return None if listed is None else Listed.of(listed, schema.SET)


def set_unused(prepared: Prepared) -> list[str]:
    """Warning that names the hypotheses which the user's set does not touch, since each is about a set of its own."""
    if prepared.own_set is None:
        return []
    ids = [h.id for h in prepared.choice.hypotheses if h.set is not None]
    said = f"the {prepared.own_set.name} neurons are not used by {', '.join(ids)}: about sets of their own"
    return [said] if ids else []
