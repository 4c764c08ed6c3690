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
        (0, "one", 0),
        (1, "one", 1),
        (2, "two", 0),
    ]
    assert [cell.options.get("alpha") for cell in cells] == [None, None, 0.1]
    assert cells[0].label == "measurements one, seed 0"
    assert [cell.name for cell in cells] == [
        "measurements-one_seed-0", "measurements-one_seed-1", "measurements-two_seed-0",
    ]  # fmt: skip


def test_a_longer_grid_keeps_the_folders_and_other_options_are_refused(cli, folder: Path):
    before = [cell.name for cell in sweeps.read_sweep(folder / "grid.toml")]
    (folder / "grid.toml").write_text(GRID.replace("seed = [0, 1]", "seed = [5, 1, 0]"))
    assert set(before) < {cell.name for cell in sweeps.read_sweep(folder / "grid.toml")}
    (folder / "grid.toml").write_text(GRID)
    assert cli("sweep", "grid.toml", "--cell", "0").code == OK
    (folder / "grid.toml").write_text(GRID.replace("replicates = 39", "replicates = 59"))
    ran = cli("sweep", "grid.toml", "--cell", "0")
    assert ran.code == FAILED
    assert "its folder holds a run with other options" in ran.out


def test_single_cells_stand_behind_the_grid(folder: Path):
    (folder / "grid.toml").write_text(GRID + '[[cell]]\nmeasurements = "two"\nseed = 7\nalpha = 0.2\n')
    cells = sweeps.read_sweep(folder / "grid.toml")
    assert cells[-1].number == 3
    assert cells[-1].name == "measurements-two_seed-7_alpha-0.2"
    assert cells[-1].options["alpha"] == 0.1  # the override holds for it too
    assert cells[-1].options["replicates"] == 39
    (folder / "grid.toml").write_text('[[cell]]\nmeasurements = "two"\nseed = 7\n')
    assert [cell.number for cell in sweeps.read_sweep(folder / "grid.toml")] == [0]


@pytest.mark.parametrize(
    ("values", "name"),
    [(["failed"], "failed-run"), (["../../x"], "x"), (["sweep.json"], "sweep.json-run"), (["é" * 3], "run")],
)
def test_a_folder_is_never_another_file_of_the_sweep(values: list[str], name: str):
    assert sweeps.cells_of({"model": values}, {})[0].name == name


def test_long_names_are_cut_and_stay_apart():
    one, other = sweeps.cells_of({"model": ["m" * 200 + "a", "m" * 200 + "b"]}, {})
    assert one.name != other.name
    assert max(len(one.name), len(other.name)) < 100


def test_what_each_cell_will_take(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from neuronull.estimators.estimate import Estimate

    asked: list[Any] = []

    def measured(request: pipeline.Request, progress: Any) -> Estimate:
        asked.append(request.measure.documents)
        if request.measure.documents == 30:
            raise nn.InputError("too few")
        return Estimate({"heads": 600.0}, 2.0**31, 2.0**30, 40, 100, 10)

    monkeypatch.setattr(pipeline, "estimated", measured)
    (tmp_path / "grid.toml").write_text("[grid]\nreplicates = [99, 199]\ndocuments = [40, 30]")
    ran = cli("sweep", str(tmp_path / "grid.toml"), "--estimate")
    assert ran.code == OK
    assert ran.out.splitlines()[0] == "   0  replicates 99, documents 40: about 10 min, 2.0 GiB memory, 1.00 GiB disk"
    assert ran.out.splitlines()[1] == "   1  replicates 99, documents 30: too few"
    assert asked == [40, 30]  # cells that are measured alike share an estimate
    rows = json.loads(cli("sweep", str(tmp_path / "grid.toml"), "--estimate", "--json").out)
    assert [row["cell"] for row in rows] == [0, 1, 2, 3]
    assert (rows[0]["seconds"], rows[0]["memory_bytes"], rows[1]["why_not"]) == (600, 2**31, "too few")


def test_a_sweep_goes_on_and_tells_all(cli, folder: Path, monkeypatch: pytest.MonkeyPatch):
    ran = cli("sweep", "grid.toml", "--list")
    assert (ran.code, ran.out.splitlines()) == (
        OK,
        ["   0  measurements one, seed 0", "   1  measurements one, seed 1", "   2  measurements two, seed 0"],
    )
    rows = json.loads(cli("sweep", "grid.toml", "--list", "--json").out)
    assert [(row["cell"], row["label"], row["done"]) for row in rows][1] == (1, "measurements one, seed 1", False)
    whole, started = pipeline.run, []

    def stops(request: pipeline.Request, progress: Any) -> Any:
        started.append(request)
        if len(started) == 2:
            raise KeyboardInterrupt
        return whole(request, progress)

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "run", stops)
        assert cli("sweep", "grid.toml").code == INTERRUPTED
    assert len(list((folder / "grid").glob("*/results.json"))) == 1
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
    rows = json.loads(cli("sweep", "grid.toml", "--json").out)
    assert all(row["done_before"] and not row["failed"] and row["why"] == "" for row in rows)
    found = nn.load(folder / rows[1]["folder"]).result.claims
    assert rows[1]["claims"] == [{"paper": c.paper, "claim": c.number, "verdict": c.verdict.value} for c in found]
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
    ran = cli("sweep", "grid.toml", "--cell", "1")
    assert ran.code == OK
    assert not (folder / "grid" / "report.html").exists()
    ran = cli("sweep", "grid.toml")
    assert ran.code == FAILED
    assert "   2  measurements three, seed 0: FAILED: " in ran.out
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
    "would lie in one folder": "[grid]\nseed = [1, 1]",
    "cell 1 (seed -1)": "[grid]\nseed = [1, -1]",
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


@pytest.mark.parametrize("file", sorted(DOCS.glob("*.toml")), ids=lambda file: file.name)
def test_the_grids_that_ship_can_be_run(file: Path):
    cells = sweeps.read_sweep(file)
    sweeps.check(cells)
    assert len(cells) == {"embedded.toml": 8, "liu2025.toml": 39}[file.name]


def test_from_python(folder: Path):
    found = nn.sweep({"seed": [0, 1]}, folder / "s", measurements="one", only="clusters.weights", replicates=39)
    assert [one.result.setup.seed for one in found] == [0, 1]
    assert (folder / "s" / "report.html").is_file()
    assert found[0].out == folder / "s" / "seed-0"
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
    place = folder / "grid" / cells[0].name
    place.mkdir(parents=True)
    (place / "results.json").write_text("{")
    ran = cli("sweep", "grid.toml")
    assert ran.code == FAILED
    assert "   0  measurements one, seed 0: FAILED: " in ran.out
    assert [path.name for path in (folder / "grid").iterdir() if (path / "report.html").exists()]


def test_a_pipe_is_not_waited_for(cli, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.toml")
    ran = cli("sweep", str(tmp_path / "pipe.toml"))
    assert ran.code == BAD_INPUT
    assert "no regular file" in ran.err
    assert "no grid of runs is in" in cli("sweep", str(tmp_path / "missing.toml")).err
