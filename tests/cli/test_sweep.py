"""Sweeps: the cells that a file describes, and running them, stopped and gone on with."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import neuronull as nn
from neuronull import pipeline, sweeps
from neuronull.cli import BAD_INPUT, FAILED, INTERRUPTED, OK
from neuronull.data.planted import Settings, planted_measurements
from neuronull.data.store import save

DOCS = Path(__file__).parents[2] / "docs" / "sweeps"
GRID = """
[defaults]
only = ["clusters.weights", "regimes.flatness"]
replicates = 39

[grid]
measurements = ["one", "two"]
seed = [0, 1]

[[override]]
where = { measurements = "two" }
alpha = 0.1

[[skip]]
measurements = "two"
seed = 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for number, name in enumerate(("one", "two")):
        save(planted_measurements(Settings(documents=40, pairs=8, neurons=320), number), tmp_path / name)
    (tmp_path / "grid.toml").write_text(GRID)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_cells_are_the_combinations_less_the_skipped_ones(folder: Path):
    cells = sweeps.read_sweep(folder / "grid.toml")
    assert [(cell.number, cell.grid["measurements"], cell.grid["seed"]) for cell in cells] == [
        (1, "one", 0),
        (2, "one", 1),
        (3, "two", 0),
    ]
    assert [cell.options.get("alpha") for cell in cells] == [None, None, 0.1]
    assert cells[0].label == "measurements one, seed 0"
    assert len({cell.name for cell in cells}) == 3


def test_a_name_is_that_of_the_options_alone(folder: Path):
    before = {cell.name for cell in sweeps.read_sweep(folder / "grid.toml")}
    (folder / "grid.toml").write_text(GRID.replace("seed = [0, 1]", "seed = [5, 1, 0]"))
    assert before < {cell.name for cell in sweeps.read_sweep(folder / "grid.toml")}
    (folder / "grid.toml").write_text(GRID.replace("replicates = 39", "replicates = 59"))
    assert not before & {cell.name for cell in sweeps.read_sweep(folder / "grid.toml")}


def test_a_sweep_goes_on_and_tells_all(cli, folder: Path, monkeypatch: pytest.MonkeyPatch):
    ran = cli("sweep", "grid.toml", "--list")
    assert (ran.code, ran.out.splitlines()) == (
        OK,
        ["   1  measurements one, seed 0", "   2  measurements one, seed 1", "   3  measurements two, seed 0"],
    )
    whole, started = pipeline.run, []

    def stops(request: pipeline.Request, progress: Any) -> Any:
        started.append(request)
        if len(started) == 2:
            raise KeyboardInterrupt
        return whole(request, progress)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "run", stops)
        assert cli("sweep", "grid.toml").code == INTERRUPTED
    assert len(list((folder / "grid" / "cells").iterdir())) == 1
    ran = cli("sweep", "grid.toml")
    assert ran.code == OK
    lines = ran.out.splitlines()
    assert "(done before)" in lines[0]
    assert "(done before)" not in lines[1]
    assert [line.split("wrote  ")[1] for line in lines[3:]] == [
        "grid/sweep.json",
        "grid/sweep.parquet",
        "grid/report.html",
    ]
    table = pd.read_parquet("grid/sweep.parquet")
    assert list(table.columns[:3]) == ["cell", "grid_measurements", "grid_seed"]
    assert table.groupby("cell")["grid_seed"].first().tolist() == ["0", "1", "0"]
    alone = nn.run(measurements="one", only=["clusters.weights", "regimes.flatness"], replicates=39, seed=1)
    cells = json.loads((folder / "grid" / "sweep.json").read_text())
    stored = nn.load(folder / "grid" / cells[1]["folder"]).result
    stored.provenance = alone.result.provenance = {}
    assert stored.model_dump_json() == alone.result.model_dump_json()


def test_one_cell_and_one_that_fails(cli, folder: Path):
    (folder / "grid.toml").write_text(GRID.replace('["one", "two"]', '["one", "three"]').replace('"two"', '"three"'))
    (folder / "three").mkdir()
    (folder / "three" / "manifest.json").write_text("{}")
    ran = cli("sweep", "grid.toml", "--cell", "2")
    assert ran.code == OK
    assert not (folder / "grid" / "report.html").exists()
    ran = cli("sweep", "grid.toml")
    assert ran.code == FAILED
    assert "3/3  measurements three, seed 0: FAILED: " in ran.out
    assert "1 of 3 cells failed" in ran.err
    (why,) = (folder / "grid" / "failed").iterdir()
    assert "manifest.json" in why.read_text()
    assert json.loads((folder / "grid" / "sweep.json").read_text())[2]["failed"]
    assert (folder / "grid" / "report.html").exists()


WRONG = {
    "is no TOML": "grid = [",
    "'cells'": "[cells]\nseed = [1]",
    "seeds is no option of a run": "[grid]\nseeds = [1]",
    "out is no option of a run": "[defaults]\nout = 'x'\n[grid]\nseed = [1]",
    "seed = 1 is no list": "[grid]\nseed = 1",
    "nothing is varied": "[defaults]\nseed = 1",
    "does not say where": "[grid]\nseed = [1]\n[[override]]\nalpha = 0.1",
    "alpha is not varied": "[grid]\nseed = [1]\n[[skip]]\nalpha = 0.1",
    "every cell is skipped": "[grid]\nseed = [1]\n[[skip]]\nseed = 1",
    "write [[skip]]": "[grid]\nseed = [1]\n[skip]\nseed = 1",
    "are the same run": "[grid]\nseed = [1, 1]",
    "cell 2 (seed -1)": "[grid]\nseed = [1, -1]",
    "more than 10,000 cells": f"[grid]\nseed = {list(range(200))}\nreplicates = {list(range(1, 200))}",
}


@pytest.mark.parametrize("message", WRONG)
def test_a_file_that_is_wrong_is_refused_in_one_line(cli, message: str, tmp_path: Path):
    (tmp_path / "wrong.toml").write_text(WRONG[message])
    ran = cli("sweep", str(tmp_path / "wrong.toml"))
    assert ran.code == BAD_INPUT
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "wrong").exists()


@pytest.mark.parametrize("file", DOCS.glob("*.toml"), ids=lambda file: file.name)
def test_the_grids_that_ship_can_be_run(file: Path):
    cells = sweeps.read_sweep(file)
    sweeps.check(cells)
    assert len(cells) == {"embedded.toml": 8, "liu2025.toml": 39}[file.name]


def test_from_python(folder: Path):
    found = nn.sweep({"seed": [0, 1]}, folder / "s", measurements="one", only="clusters.weights", replicates=39)
    assert [one.result.setup.seed for one in found] == [0, 1]
    assert (folder / "s" / "report.html").is_file()
    assert found[0].out.name in {place.name for place in (folder / "s" / "cells").iterdir()}
    with pytest.raises(TypeError, match="out"):
        nn.sweep({"out": ["x"]}, folder / "t")


def test_several_layers_are_a_sweep(cli, folder: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []

    def remembers(request: pipeline.Request, progress: Any) -> Any:
        asked.append((request.measure.layer, request.tests.only, request.tests.jobs, request.keep))
        raise nn.InputError("enough")

    monkeypatch.setattr(pipeline, "run", remembers)
    ran = cli("run", "--layer", "3,0", "--only", "clusters", "--jobs", "1", "--keep-measurements", "--out", "some")
    assert ran.code == FAILED
    assert asked == [(0, ("clusters",), 1, True), (3, ("clusters",), 1, True)]
    asked.clear()
    cli("run", "--layer", "all", "--only", "clusters", "--out", "all")
    assert [layer for layer, *_ in asked] == [0, 1, 2, 3]
    assert cli("run", "--layer", "x,1").code == BAD_INPUT


def test_what_the_file_says_of_the_machine_holds(cli, folder: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []

    def remembers(request: pipeline.Request, progress: Any) -> Any:
        asked.append((request.measure.device, request.tests.jobs))
        raise nn.InputError("enough")

    monkeypatch.setattr(pipeline, "run", remembers)
    (folder / "grid.toml").write_text('[defaults]\ndevice = "cpu"\njobs = 3\n[grid]\nseed = [1]')
    cli("sweep", "grid.toml")
    cli("sweep", "grid.toml", "--jobs", "1")
    assert asked == [("cpu", 3), ("cpu", 1)]


def test_what_is_only_in_memory_is_refused(folder: Path):
    with pytest.raises(nn.InputError, match="a sweep names its corpus"):
        nn.sweep({"seed": [0, 1]}, folder / "s", corpus=["a text", "another"])


def test_a_damaged_cell_is_told_and_the_rest_goes_on(cli, folder: Path):
    cells = sweeps.read_sweep(folder / "grid.toml")
    place = folder / "grid" / "cells" / cells[0].name
    place.mkdir(parents=True)
    (place / "results.json").write_text("{")
    ran = cli("sweep", "grid.toml")
    assert ran.code == FAILED
    assert "1/3  measurements one, seed 0: FAILED: " in ran.out
    assert [path.name for path in (folder / "grid" / "cells").iterdir() if (path / "report.html").exists()]


def test_a_pipe_is_not_waited_for(cli, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.toml")
    ran = cli("sweep", str(tmp_path / "pipe.toml"))
    assert ran.code == BAD_INPUT
    assert "no regular file" in ran.err
    assert "no grid of runs is in" in cli("sweep", str(tmp_path / "missing.toml")).err
