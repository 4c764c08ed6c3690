"""What ablating the set under test does, on planted worlds: every number against plain loops over documents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch

from neuronull.data.errors import MissingInput
from neuronull.data.measurements import EFFECTS, Effects, Measurements
from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.set_effects import set_effects
from neuronull.hypotheses.suite import run_suite
from neuronull.reports.files import load_result, write_results

SETTINGS = Settings(documents=24, pairs=6, neurons=200, loss_gap=0.0)


def with_effects(measurements: Measurements, seed: int = 0) -> Measurements:
    """Sums that differ by document, effect, class and neuron; documents without a pair have none."""
    rng = np.random.default_rng(seed)
    panel = measurements.panel
    pairs = np.bincount(panel.document[panel.a_rows], minlength=measurements.n_documents)
    shape = (len(EFFECTS), measurements.n_documents, 2, measurements.n_neurons)
    by_kind = np.arange(1, 1 + len(EFFECTS)).reshape(-1, 1, 1, 1)
    of_document = rng.normal(size=(1, shape[1], 1, 1))
    signed = pairs[None, :, None, None] * (rng.normal(size=shape) + 0.1 * by_kind + of_document)
    absolute = np.abs(signed) * rng.uniform(1, 3, size=shape)
    return replace(measurements, effects=Effects(torch.from_numpy(signed), torch.from_numpy(absolute)))


@pytest.fixture(scope="module")
def measurements() -> Measurements:
    """A planted world; every third document has half of its pairs, one has none."""
    made = planted(SETTINGS, 5, ("influence",)).measurements
    panel = made.panel
    match = panel.match.copy()
    for document in range(0, made.n_documents, 3):
        rows = panel.a_rows[panel.document[panel.a_rows] == document]
        match[rows[len(rows) // 2 if document else 0 :]] = -1
    return with_effects(replace(made, panel=replace(panel, match=match)))


@pytest.fixture(scope="module")
def prepared(measurements: Measurements) -> PreparedData:
    return PreparedData(measurements)


def loop(prepared: PreparedData, effect: int, side: int, without: int | None = None) -> tuple[float, float, float]:
    """The set, strata and size, halves averaged, one document and neuron at a time; `without` a document."""
    m, panel = prepared.measurements, prepared.panel
    strata = prepared.strata.tolist()
    totals = []
    for chosen in (0, 1):
        members, sums, pairs = prepared.set[chosen].tolist(), np.zeros(3), 0
        for document in range(m.n_documents):
            rows = panel.a_rows[panel.document[panel.a_rows] == document]
            if not len(rows) or panel.half[rows[0]] == chosen or document == without:
                continue
            pairs += len(rows)
            signed = m.effects.signed[effect, document, side].numpy()
            absolute = m.effects.absolute[effect, document, side].numpy()
            for neuron in members:
                alike = [i for i in range(m.n_neurons) if strata[i] == strata[neuron]]
                told = (signed[neuron], np.mean([signed[i] for i in alike]), absolute[neuron])
                sums += np.array(told) / len(members)
        totals.append(sums / pairs)
    return tuple(np.mean(totals, axis=0))


def test_every_number_is_that_of_a_loop(prepared: PreparedData):
    found = set_effects(prepared)
    assert [(one.effect, one.label) for one in found] == [(e, c) for e in EFFECTS for c in ("rare", "common")]
    assert len(prepared.documents) == prepared.measurements.n_documents - 1
    for one in found:
        effect, side = EFFECTS.index(one.effect), ("rare", "common").index(one.label)
        members, strata, size = loop(prepared, effect, side)
        assert one.mean == pytest.approx(members, rel=1e-9)
        assert one.strata == pytest.approx(strata, rel=1e-9)
        left = size / loop(prepared, 0, side)[2] if one.effect in ("direct", "frequency") else None
        assert one.left == (left if left is None else pytest.approx(left, rel=1e-9))


def test_the_interval_leaves_out_each_document(prepared: PreparedData):
    one = next(o for o in set_effects(prepared) if (o.effect, o.label) == ("unigram", "common"))
    variance, sizes = 0.0, []
    for half in (0, 1):
        at = prepared.documents[prepared.half == half]
        values = [loop(prepared, 2, 1, without=int(document))[0] for document in at]
        variance += (len(at) - 1) / len(at) * float(np.sum((np.array(values) - np.mean(values)) ** 2))
        sizes.append(len(at))
    reach = scipy.stats.t.ppf(0.975, min(sizes) - 1) * variance**0.5
    assert (one.low, one.high) == (pytest.approx(one.mean - reach), pytest.approx(one.mean + reach))
    assert one.level == 0.95


def test_a_neuron_without_any_effect_leaves_no_share(prepared: PreparedData):
    m = prepared.measurements
    still = Effects(torch.zeros_like(m.effects.signed), torch.zeros_like(m.effects.absolute))
    found = set_effects(PreparedData(replace(m, effects=still)))
    assert {one.left for one in found} == {None}
    assert {(one.mean, one.low, one.high) for one in found} == {(0.0, 0.0, 0.0)}


def test_they_are_told_where_they_were_measured_and_only_there(measurements: Measurements, tmp_path):
    options = TestOptions(only=("specialists.closure",), replicates=59)
    told, silent = (run_suite(m, options) for m in (measurements, replace(measurements, effects=None)))
    assert told.set_effects == set_effects(PreparedData(measurements))
    assert silent.set_effects is None
    assert silent.findings == told.findings
    for name, result in (("told", told), ("silent", silent)):
        write_results(result, tmp_path / name)
        assert load_result(tmp_path / name).set_effects == result.set_effects
    assert "set_effects" not in (tmp_path / "silent" / "results.json").read_text()
    with pytest.raises(MissingInput, match="no effects on whole distributions were measured"):
        set_effects(PreparedData(replace(measurements, effects=None)))
