"""Weights to verdict on small models with an effect by construction, and on the unedited twin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from tiny_models import measured_with_heads

from neuronull.data.measurements import Measurements
from neuronull.data.options import MeasureOptions, TestOptions
from neuronull.data.planted.model import CUES, ModelDials, write_planted_model
from neuronull.hypotheses.controls import flags_an_effect
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.result import Role
from neuronull.hypotheses.suite import run_suite


def measured(folder: Path, seed: int = 0, **planted: float) -> tuple[Measurements, set[int]]:
    """Measurements of a planted model through the loading code, and its plateau."""
    files = write_planted_model(folder, ModelDials(**planted), seed)
    options = MeasureOptions(model=str(files.model), corpus=str(files.corpus), documents=80, context=64)
    return measured_with_heads(options), set(files.plateau.tolist())


@pytest.mark.parametrize(
    ("planted", "hypothesis"),
    [
        ({"specialists": 2.0}, "specialists.selectivity"),
        ({"modules": 1.5}, "clusters.within"),
        ({"routing": 1.0}, "routing.heads"),
    ],
)
def test_the_suite_finds_what_the_weights_were_given(tmp_path, planted, hypothesis):
    measurements, plateau = measured(tmp_path, **planted)
    found = PreparedData(measurements).set
    assert min(len(plateau & set(half.tolist())) for half in found) >= 0.75 * CUES
    row = run_suite(measurements, TestOptions(replicates=199, only=(hypothesis,))).finding(hypothesis)
    assert flags_an_effect(row), str(row)
    if hypothesis == "routing.heads":
        assert row.details.deciding_output == "0.1", "and names the head that copies"


@pytest.mark.slow
def test_the_unedited_twin_is_not_flagged(tmp_path):
    measurements, plateau = measured(tmp_path)
    assert all(len(plateau & set(half.tolist())) <= 3 for half in PreparedData(measurements).set)
    rows = [f for f in run_suite(measurements, TestOptions(replicates=199)).findings if f.role is Role.PRIMARY]
    flagged = [f.hypothesis for f in rows if flags_an_effect(f)]
    assert len(flagged) <= scipy.stats.binom.ppf(0.99, len(rows), 0.05), flagged
    assert len(rows) == 11


def test_dials_change_only_what_they_plant(tmp_path):
    twin = write_planted_model(tmp_path / "twin", ModelDials(documents=20), 3)
    edited = write_planted_model(tmp_path / "edited", ModelDials(documents=20, modules=1.0), 3)
    assert twin.corpus.read_bytes() == edited.corpus.read_bytes()
    assert np.array_equal(twin.plateau, edited.plateau)
    from safetensors.numpy import load_file

    before, after = (load_file(f.model / "model.safetensors") for f in (twin, edited))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    last = "transformer.h.1.mlp"
    assert changed == {f"{last}.c_fc.weight", f"{last}.c_proj.weight"}
    columns = np.flatnonzero((before[f"{last}.c_fc.weight"] != after[f"{last}.c_fc.weight"]).any(0))
    assert set(columns.tolist()) <= set(twin.plateau.tolist())


def test_effects_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="one or the other"):
        ModelDials(specialists=1.0, routing=1.0)
