"""Calibration on a measurement of one's own: which worlds test what, the record it leaves, and the report's line."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import neuronull as nn
from neuronull.cli import main
from neuronull.data.errors import InputError
from neuronull.data.planted import Settings, planted_measurements
from neuronull.data.store import save
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.calibration import plasmode


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plasmode") / "measured"
    save(planted_measurements(Settings(documents=40, neurons=320), seed=1), folder)
    return folder


def calibrated(directory, out, *words):
    return main(["calibrate", *words, "--measurements", str(directory), "--out", str(out)])


EXPECTED = {
    "regimes.flatness": {"law"},
    "regimes.contrast": {"relation", "contrast"},
    "specialists.selectivity": {"relation", "lean"},
    "clusters.within": {"set"},
    "clusters.weights": {"set"},
    "tails.weights": {"set"},
    "coordination.dimension": {"set"},
    "routing.heads": {"set", "heads"},
    "routing.profile": {"set", "heads"},
    "routing.concentration": {"set"},
    "routing.closure": set(),
    "specialists.closure": set(),
    "emergence.trend": set(),
    "entropy.norm": set(),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_which_worlds_test_a_hypothesis(name):
    assert plasmode.kinds(catalogue.hypothesis(name)) == EXPECTED[name]


def test_a_hypothesis_of_somebody_else_gets_worlds_too():
    index = catalogue.hypothesis("clusters.index")
    mine = nn.Hypothesis("mine.index", "x", index.criterion, index.statistic, ("random_sets",))
    assert plasmode.kinds(mine) == {"set"}


def test_a_record_is_made_goes_on_and_is_told(directory, tmp_path, capsys):
    words = ("clusters.cohesion", "regimes.flatness")
    assert calibrated(directory, tmp_path / "out", *words, "--datasets", "2") == 0
    said = capsys.readouterr().out
    assert {"plasmode.attached", "plasmode.smooth", "plasmode.levelled"} <= set(said.split())
    journal = (tmp_path / "out" / "journal.jsonl").read_text()
    assert calibrated(directory, tmp_path / "out", *words, "--datasets", "2") == 0
    assert (tmp_path / "out" / "journal.jsonl").read_text() == journal
    lines = plasmode.local_lines(directory)
    assert set(lines) == set(words)
    assert lines["regimes.flatness"].startswith("on null data made from this measurement this test rejected")
    assert "where an effect was put in, it was found in" in lines["regimes.flatness"]
    assert calibrated(directory, tmp_path / "more", "clusters.within", "--datasets", "1") == 0
    assert set(plasmode.local_lines(directory)) == {*words, "clusters.within"}  # what lay there stays
    capsys.readouterr()
    result = nn.run(measurements=directory, only="clusters.cohesion", replicates=99)
    assert result.finding("clusters.cohesion").details.calibration == lines["clusters.cohesion"]
    other = tmp_path / "other"
    shutil.copytree(directory, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"note": "another"}))
    assert plasmode.local_lines(other) == {}  # a record of another measurement says nothing
    (other / plasmode.NAME).write_text("{")
    with pytest.raises(InputError, match="not a calibration record"):
        plasmode.local_lines(other)
    assert plasmode.local_lines(tmp_path) == {}


def test_data_sets_do_not_depend_on_where_a_run_stopped(directory, tmp_path, capsys, monkeypatch):
    from neuronull.hypotheses.calibration import run

    words = ("clusters.cohesion", "--datasets", "3", "--scenario", "plasmode.attached-f")
    calibrated(directory, tmp_path / "whole", *words)
    monkeypatch.setattr(run, "CHUNK", 1)
    calibrated(directory, tmp_path / "parts", *words)
    rows = [
        [row for line in (tmp_path / name / "journal.jsonl").read_text().splitlines()
         for row in json.loads(line)["rows"]["clusters.cohesion"]]
        for name in ("whole", "parts")
    ]  # fmt: skip
    assert rows[0] == rows[1]
    assert len({row["p"] for row in rows[0]}) > 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.there",), "no hypothesis 'nothing.there'"),
        (("routing.closure",), "no world that can be made from this measurement"),
        (("clusters", "--scenario", "elsewhere"), "no scenario 'elsewhere'"),
        (("clusters", "--scenario", "plasmode.smooth"), "no world that can be made from this measurement"),
    ],
)
def test_what_cannot_be_made_is_said(directory, tmp_path, capsys, words, said):
    assert calibrated(directory, tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_sets_are_found_in_no_more_than_alpha_of_their_null_worlds(directory):
    """60 worlds of each kind: more than 8 rejections happen in fewer than 1 of 200 tries of an exact test."""
    from neuronull.hypotheses.calibration.run import Chunk, run_chunk

    directory = str(directory)
    for world in plasmode.plasmode_scenarios(directory, ("clusters", "routing", "regimes")):
        if world.purpose == "null":
            rows = run_chunk(Chunk(world.name, world.hypotheses, 0, 60, directory))["rows"]
            for name, found in rows.items():
                assert np.sum([row["p"] < 0.05 for row in found]) <= 8, (world.name, name)
