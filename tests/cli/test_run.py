"""`neuronull run` and `report` from end to end on planted measurements, by the command and from Python."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

import neuronull as nn
from neuronull.cli import INTERRUPTED, OK, main
from neuronull.data.measurements import Effects
from neuronull.data.options import Silent
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.planted.settings import Settings
from neuronull.data.store import load, save
from neuronull.hypotheses.result import COLUMNS

FRAMES = {"draws.parquet", "contrasts.parquet", "neurons.parquet", "heads.parquet"}
FILES = {"report.html", "report.md", "results.json", "results.parquet", "results.csv", "provenance.json"} | FRAMES
ONLY = ("clusters.weights", "clusters.index", "control.unreachable_heads")
OPTIONS = ("--only", *ONLY, "--replicates", "59")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a planted world as a measurement directory."""
    directory = tmp_path_factory.mktemp("measured") / "m"
    save(planted_measurements(Settings(documents=40, pairs=8, neurons=320), 1), directory)
    return directory


@pytest.fixture(scope="module")
def ran(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the command once."""
    out = tmp_path_factory.mktemp("runs") / "one"
    assert main(["run", "--measurements", str(measured), *OPTIONS, "--out", str(out)]) == OK
    return out


def test_the_directory_holds_all_files_and_nothing_else(ran: Path):
    assert {path.name for path in ran.iterdir()} == FILES
    assert [path.name for path in ran.parent.iterdir()] == [ran.name]


def test_the_terminal_shows_table_and_report_path(cli, measured: Path):
    shown = cli("run", "--measurements", str(measured), *OPTIONS)
    assert shown.code == OK
    *table, last = shown.out.splitlines()
    assert last.startswith("report   neuronull-runs/")
    assert Path(last.split()[-1]).is_file()
    assert any(line.startswith("clusters.weights") for line in table)
    assert "tests: " in shown.err, "stages are told on standard error"


def test_equal_runs_are_equal_to_the_byte(measured: Path, ran: Path, tmp_path: Path):
    other = tmp_path / "other"
    assert main(["run", "--measurements", str(measured), *OPTIONS, "--jobs", "2", "--out", str(other)]) == OK
    for name in ("results.json", "results.csv", "results.parquet"):
        assert (ran / name).read_bytes() == (other / name).read_bytes(), name


def test_the_full_suite_alone_measures_effects(monkeypatch: pytest.MonkeyPatch):
    """Where a hypothesis that draws them is tested, and never by default."""
    made = planted_measurements(Settings(documents=40, pairs=8, neurons=320), 1, ("influence",))
    zero = torch.zeros(5, made.n_documents, 2, made.n_neurons)
    monkeypatch.setattr("neuronull.estimators.measure.measure", lambda *a, **k: made)
    monkeypatch.setattr("neuronull.estimators.measure_heads.measure_heads", lambda o, m, p, engine: m)
    monkeypatch.setattr("neuronull.estimators.joint_ablation.measure_joint_ablation", lambda o, m, s, p, engine: m)
    monkeypatch.setattr(
        "neuronull.estimators.effects.measure_effects", lambda o, m, p, engine: replace(m, effects=Effects(zero, zero))
    )
    cases = (("full", "specialists", 10), ("default", "specialists", 0), ("full", "regimes.recruitment", 0))
    for suite, only, told in cases:
        result = nn.run(suite=suite, only=only, replicates=59).result
        assert len(result.set_effects or ()) == told


@pytest.mark.slow
def test_what_ablating_the_plateau_does_from_the_model():
    few = {"documents": 24, "context": 64, "only": "specialists", "replicates": 59}
    default, full = nn.run(**few), nn.run(**few, suite="full")
    assert default.result.set_effects is None
    assert len(full.result.set_effects) == 10
    assert full.result.findings == default.result.findings
    loss = full.result.set_effects[0]
    assert loss.low < loss.plateau < loss.high


def test_a_multiverse_by_the_command_and_from_python(cli, measured: Path, ran: Path):
    vary = ("--vary", "plateau=.03,12", "split=1", "--vary", "plateau=.05")
    shown = cli("run", "--measurements", str(measured), *OPTIONS, *vary, "--out", "one")
    assert shown.code == OK
    assert "multiverse: " in shown.err, "its progress is told"
    assert re.search(r"^multiverse +8 universes: plateau .017,.03,12,.05 x split 0,1; B = 59;", shown.out, re.M)
    assert re.search(r"^Claim 2 +\w+ in \d", shown.out.partition("multiverse")[2], re.M)
    given = {"plateau": [0.03, 12, ".05"], "split": 1}
    again = nn.run(measurements=measured, only=ONLY, replicates=59, vary=given, jobs=2, out="two")
    assert Path("two/results.json").read_bytes() == Path("one/results.json").read_bytes()
    assert [u.settings["split"] for u in again.result.multiverse.universes] == ["0", "1"] * 4
    # what a run without it writes is the same but for the multiverse itself
    alone, both = (json.loads((d / "results.json").read_text()) for d in (ran, Path("one")))
    assert "multiverse" not in alone
    assert both.pop("multiverse")["replicates"] == 59
    assert both == alone


def test_what_is_volatile_lies_in_the_provenance_alone(measured: Path, ran: Path):
    told = json.loads((ran / "provenance.json").read_text())
    keys = {"started", "ended", "stages", "command", "options", "plan", "versions", "machine", "peak_memory_mib"}
    assert keys <= set(told)
    assert told["options"]["measurements"] == str(measured)
    assert "model" not in told["options"], "a default that had no say"
    assert "report" in told["stages"]
    whole = (ran / "results.json").read_text()
    assert "provenance" not in json.loads(whole)
    assert not [volatile for volatile in (str(measured), told["started"], '"jobs"') if volatile in whole]


def test_the_table_has_the_stable_columns(ran: Path):
    assert tuple(pd.read_parquet(ran / "results.parquet").columns) == COLUMNS
    assert tuple(pd.read_csv(ran / "results.csv").columns) == COLUMNS


def test_report_of_a_finished_run(cli, ran: Path):
    assert cli("report", str(ran), "--out", "again.html").code == OK
    assert "clusters.weights" in Path("again.html").read_text()
    shown = cli("report", str(ran), "--format", "json", "--out", "x.json")
    assert shown.out == "report   x.json\n"
    assert Path("x.json").read_bytes() == (ran / "results.json").read_bytes()


def test_from_python(measured: Path, ran: Path, tmp_path: Path):
    result = nn.run(measurements=measured, only=ONLY, replicates=59)
    assert result.out is None
    assert tuple(result.table.columns) == COLUMNS
    finding = result.finding("clusters.weights")
    assert finding.model_dump_json() in {f.model_dump_json() for f in result.result.findings}
    assert str(finding) in finding._repr_html_() or "<table" in finding._repr_html_()
    assert "<table" in result._repr_html_()
    assert "clusters.weights" in repr(result)
    assert result.report(tmp_path / "mine.json").read_bytes() == (ran / "results.json").read_bytes()
    with pytest.raises(KeyError, match=r"no finding 'clusters.rewired'.*clusters\.index"):
        result.finding("clusters.rewired")


def test_measure_from_python_writes_what_load_reads(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from neuronull.estimators import measure as measuring

    world = load(measured)
    monkeypatch.setattr(measuring, "measure", lambda options, progress, engine: world)
    monkeypatch.setattr("neuronull.estimators.measure_heads.measure_heads", lambda o, m, p, engine: m)
    assert nn.measure(out=tmp_path / "m", progress=Silent()) is world
    assert load(tmp_path / "m").n_neurons == world.n_neurons
    with pytest.raises(nn.InputError, match=r"is not empty \(--out\)"):
        nn.measure(out=tmp_path / "m")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_nothing(stop: signal.Signals, measured: Path, tmp_path: Path):
    words = ["run", "--measurements", str(measured), "--only", "clusters.weights", "--replicates", "20000000"]
    out = tmp_path / "runs" / "one"
    # a shell's background jobs, and so a test session started as one, ignore SIGINT and hand that down
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from neuronull.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--out", str(out)],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not out.parent.exists():  # it has begun
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(stop)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()  # a run that did not stop must not outlive its test
    assert process.returncode == INTERRUPTED
    assert err.splitlines()[-1] == "interrupted; nothing was left half-written"
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_fails_costs_no_result(tmp_path, monkeypatch, capsys):
    """Results are there, the table is printed, and one line says what to do."""
    from neuronull import reports
    from neuronull.data.planted import Settings, planted_measurements
    from neuronull.data.store import save

    def broken(results, format, path):
        raise ValueError("no such font\n\ud800")

    save(planted_measurements(Settings(), seed=0), tmp_path / "planted")
    monkeypatch.setattr(reports, "render", broken)
    words = ["run", "--measurements", str(tmp_path / "planted"), "--only", "clusters.cohesion", "--replicates", "99"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert "clusters.cohesion" in said.out
    assert said.err.splitlines()[-1].startswith("error: report.html could not be written: ValueError: no such font ?")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "results.json", "results.csv", "results.parquet", "provenance.json", *FRAMES,
    }  # fmt: skip
    monkeypatch.undo()
    assert main(["report", str(tmp_path / "out"), "--out", str(tmp_path / "again.html")]) == 0
