"""A run's directory appears whole or not at all; progress goes to standard error; provenance names no host."""

from __future__ import annotations

import io
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress as Bars

from neuronull.cli.progress import BarProgress, LineProgress, columns, on_stderr
from neuronull.data.errors import InputError
from neuronull.data.options import MeasureOptions, Silent, TestOptions, part
from neuronull.output import default_directory, report_format, staged
from neuronull.pipeline import Request
from neuronull.provenance import Timed, provenance
from neuronull.spelling import nulls_of, varied_of

NOON = datetime(2026, 11, 22, 15, 0, 9, tzinfo=UTC)


def test_staged_appears_whole(tmp_path: Path):
    out = tmp_path / "a" / "run"
    with staged(out) as folder:
        (folder / "x").write_text("1")
        assert not out.exists()
    assert [p.name for p in out.iterdir()] == ["x"]
    assert [p.name for p in out.parent.iterdir()] == ["run"]


def test_staged_takes_an_empty_directory(tmp_path: Path):
    with staged(tmp_path) as folder:
        (folder / "x").write_text("1")
    assert (tmp_path / "x").exists()


def _fill_and_fail(out: Path, error: type[BaseException]) -> None:
    with staged(out) as folder:
        (folder / "x").write_text("1")
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_staged_leaves_nothing_after(error: type[BaseException], tmp_path: Path):
    with pytest.raises(error):
        _fill_and_fail(tmp_path / "a" / "run", error)
    assert list(tmp_path.iterdir()) == []


def test_staged_does_not_take_what_was_filled_meanwhile(tmp_path: Path):
    staging = staged(tmp_path / "run")
    (staging.__enter__() / "x").write_text("ours")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "other").write_text("theirs")
    with pytest.raises(InputError, match=r"was filled meanwhile .*; what was written is in .*run-2"):
        staging.__exit__(None, None, None)
    assert (tmp_path / "run-2" / "x").read_text() == "ours"
    assert (tmp_path / "run" / "other").read_text() == "theirs"


def test_staged_refuses_a_file(tmp_path: Path):
    (tmp_path / "f").write_text("1")
    with pytest.raises(InputError, match="is a file"), staged(tmp_path / "f"):
        pass


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_staged_refuses_what_cannot_be_written(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"), staged(tmp_path / "run"):
        pass


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("docs-gpt2", "2026-11-22T150009-docs-gpt2"),
        ("EleutherAI/pythia-410m", "2026-11-22T150009-pythia-410m"),
        ("../models/my model/", "2026-11-22T150009-my-model"),
        ("C:\\models\\m", "2026-11-22T150009-m"),
        ("..", "2026-11-22T150009-model"),
    ],
)
def test_default_directory(model: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    first = default_directory(model, NOON)
    assert first == Path("neuronull-runs") / name
    first.mkdir(parents=True)
    assert default_directory(model, NOON).name == f"{name}-2"


def test_report_format():
    assert report_format(Path("x.MD")) == "md"
    assert report_format(Path("x.txt"), "json") == "json"
    with pytest.raises(InputError, match="no report format 'doc'"):
        report_format(Path("x.doc"))


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]):
    with on_stderr() as progress, progress.stage("influence", 3) as stage:
        stage.advance(3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("influence: ")
    assert captured.err.endswith("3 steps\n")


def test_a_stage_that_fails_prints_no_line():
    stream = io.StringIO()
    with pytest.raises(InputError), LineProgress(stream).stage("heads", 2):
        raise InputError("no")
    assert stream.getvalue() == ""


def test_a_finished_bar_becomes_a_line_and_a_failed_one_stays():
    stream = io.StringIO()
    with Bars(console=Console(file=stream)) as bars:
        progress = BarProgress(bars)
        with progress.stage("done early", 10) as stage:
            stage.advance(4)
        with pytest.raises(ValueError, match="x"):
            _fail_in(progress)
        assert [(task.description, task.completed) for task in bars.tasks] == [("failed", 4)]
    assert "done early: 0.0 s, 10 steps" in stream.getvalue()


def _fail_in(progress: BarProgress) -> None:
    with progress.stage("failed", 10) as stage:
        stage.advance(4)
        raise ValueError("x")


def test_stages_are_timed_and_passed_on():
    timed = Timed(Silent())
    with timed.stage("a", 1), timed.stage("b", 1):
        pass
    with timed.labelled("random weights: "), timed.stage("a", 1):
        pass
    assert list(timed.seconds) == ["b", "a", "random weights: a"]


def test_provenance_names_versions_and_no_host():
    told = provenance(datetime.now(UTC), {"model": "m"}, {"sha256": "0"}, Timed(Silent()))
    assert {"python", "neuronull", "torch", "numpy"} <= set(told["versions"])
    assert told["peak_memory_mib"]["process"] > 10
    assert os.uname().nodename not in str(told["machine"])


def test_measurements_leave_no_room_for_what_was_measured():
    with pytest.raises(InputError, match=r"^--model, --threshold decides"):
        Request(MeasureOptions(model="x", threshold=0.3), TestOptions(), measurements="m")
    Request(MeasureOptions(seed=3, device="cpu", batch=4), TestOptions(), measurements="m")


def test_nulls_of():
    assert nulls_of(["a.b = c", "d.e=f"]) == {"a.b": "c", "d.e": "f"}
    assert nulls_of({"a.b": "c"}) == {"a.b": "c"}


def test_varied_of():
    given = ["plateau = .01, .03", "split=1", "plateau=12"]
    assert varied_of(given) == {"plateau": (".01", ".03", "12"), "split": ("1",)}
    assert varied_of({"plateau": [0.01, "knot"], "split": range(1, 3), "elbow": True}) == {
        "plateau": ("0.01", "knot"), "split": ("1", "2"), "elbow": ("True",),
    }  # fmt: skip
    for nothing in ({"plateau": []}, {"plateau": ""}):
        with pytest.raises(InputError, match="plateau is given no value"):
            varied_of(nothing)


def test_a_part_is_one_line_and_its_stages_are_told_while_they_run():
    lines = io.StringIO()
    progress = Timed(LineProgress(lines))
    with part(progress, "tests", 3):
        for name in ("one", "two"):
            with progress.stage(name, 5):
                pass
        with part(progress, "within", 1), progress.stage("three", 1):
            pass
    with progress.stage("report", 2):
        pass
    told = [line.split(":")[0] for line in lines.getvalue().splitlines()]
    assert told == ["tests", "report"]
    assert "3 stages" in lines.getvalue()
    assert list(progress.seconds) == ["one", "two", "three", "report"], "provenance keeps every stage"


def test_bars_of_a_part_fit_80_columns_and_never_pass_the_end():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    with Bars(*columns(), console=console) as bars:
        progress = BarProgress(bars)
        with part(progress, "tests", 1):
            for name in ("clusters.within a_null_model_of_a_very_long_name", "another"):
                with progress.stage(name, 21) as stage:
                    stage.advance(10)
                    bars.refresh()
        assert [task.completed for task in bars.tasks] == []
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").splitlines()
    assert any("a_null_model" in line and "10/21" in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert sum(line.startswith("tests: ") for line in lines) == 1
    assert not any("2/1" in line for line in lines)


def test_what_all_of_it_will_take_has_a_bar_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]
    monkeypatch.setattr("neuronull.cli.progress.time.perf_counter", lambda: clock[0])
    screen = io.StringIO()
    with Bars(*columns(), console=Console(file=screen, force_terminal=True, width=80)) as bars:
        progress = Timed(BarProgress(bars))
        progress.expects(100)
        with progress.stage("a stage of a name that is quite long", 200) as stage:
            clock[0] = 40
            stage.advance(100)
            assert [task.completed for task in bars.tasks if task.total == 100] == [40]
            bars.refresh()
            clock[0] = 101
            stage.advance(50)
            assert not [task for task in bars.tasks if task.total == 100]
            stage.advance(50)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).replace("\r", "\n").splitlines()
    assert any("all measuring" in line and "40/100" in line for line in lines)
    assert max(map(len, lines)) <= 80
    Timed(Silent()).expects(1)  # a progress of one's own need not know of it


def test_a_progress_without_parts_is_told_of_stages_alone():
    with part(Silent(), "tests", 3):
        pass
