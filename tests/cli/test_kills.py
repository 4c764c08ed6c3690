"""Runs killed at random moments: nothing half-written is taken for whole, and every next run goes on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

DOCUMENTS = "60"
KILLS = int(os.environ.get("NEURONULL_KILLS", "6"))
"""Kills of each command; NEURONULL_KILLS asks for more."""


QUICK = "import sys; from neuronull.data import shards; shards.SECONDS = .5; from neuronull.cli import main; "
"""What the ten seconds of a run of hours are to a run of one minute."""


CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""Gives a command process ids of its own, as a container does: it is number 1 there, whoever was before it."""


def start(command, out, cache, *, within=()):
    words = [command, "--documents", DOCUMENTS, "--out", str(out)]
    words += ["--replicates", "199"] if command == "run" else []
    environment = os.environ | {"NEURONULL_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*within, sys.executable, "-c", QUICK + f"sys.exit(main({words!r}))"], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(command, out, cache, *, within=()):
    process = start(command, out, cache, within=within)
    _, said = process.communicate(timeout=900)
    assert process.returncode == 0, said
    return said


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("provenance.json", "report.html", "report.md")
    }


def children_of(group):
    return [p for p in Path("/proc").glob("[0-9]*/stat") if alive_in(p, group)]


def alive_in(stat, group):
    try:
        told = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return told[2] == str(group) and told[0] != "Z"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    for command in ("measure", "run"):
        finish(command, folder / command, folder / "cache")
    return folder, time.monotonic() - began


def killed(command, out, cache, until, *, within=()):
    """A run that is killed when `until` says so, and what it said."""
    process = start(command, out, cache, within=within)
    while process.poll() is None and not until(process):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
    _, said = process.communicate()
    time.sleep(1)
    assert children_of(process.pid) == []  # nobody lives on
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("command", ["measure", "run"])
def test_killed_at_random_moments(command, undisturbed, tmp_path):
    expected, seconds = undisturbed
    chance, cache = random.Random(len(command)), tmp_path / "cache"
    for kill in range(KILLS):
        end = time.monotonic() + chance.uniform(2, 0.8 * seconds)
        killed(command, tmp_path / "out", cache, lambda _, end=end: time.monotonic() > end)
        if (tmp_path / "out").exists():  # it was quicker, or is killed as it ends: whole, then, and begin again
            assert files(tmp_path / "out") == files(expected / command), kill
            shutil.rmtree(tmp_path / "out")
            shutil.rmtree(cache)
    finish(command, tmp_path / "out", cache)
    assert files(tmp_path / "out") == files(expected / command)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "out"]  # what dead runs left is swept away
    assert left_in(cache) == left_in(expected / "cache")


def left_in(cache):
    """What lies in a cache, but for measurements and notes of looks."""
    rooms = (room for room in cache.iterdir() if room.name not in ("measurements", "looks"))
    return sorted(path.name for room in rooms for path in room.iterdir())


@pytest.mark.parametrize("stage", ["forward", "influence", "heads"])
def test_a_killed_stage_goes_on(stage, undisturbed, tmp_path):
    """It is killed when its first shard is there; the next run says what was done before, and measures the same."""
    expected, _ = undisturbed
    cache = tmp_path / "cache"
    killed("measure", tmp_path / "out", cache, lambda _: any(cache.glob(f"shards/*/{stage}.*.shard")))
    assert any(cache.glob(f"shards/*/{stage}.*.shard"))
    said = finish("measure", tmp_path / "out", cache)
    told = "forward pass" if stage == "forward" else stage
    assert any(line.startswith(f"{told} (") and "done before" in line for line in said.splitlines()), said
    assert files(tmp_path / "out") == files(expected / "measure")


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*CONTAINER, "true"], capture_output=True).returncode != 0,
    reason="no process ids of one's own to be had here",
)
def test_killed_in_a_container(undisturbed, tmp_path):
    """Every run there is process number 1: the next must not take a dead run's leftovers for its own."""
    expected, seconds = undisturbed
    chance, cache = random.Random(1), tmp_path / "cache"
    for _ in range(max(2, KILLS // 3)):
        end = time.monotonic() + chance.uniform(4, 0.6 * seconds)
        killed("measure", tmp_path / "out", cache, lambda _, end=end: time.monotonic() > end, within=CONTAINER)
        if (tmp_path / "out").exists():
            assert files(tmp_path / "out") == files(expected / "measure")
            shutil.rmtree(tmp_path / "out")
    finish("measure", tmp_path / "out", cache, within=CONTAINER)
    assert files(tmp_path / "out") == files(expected / "measure")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "out"]
    assert left_in(cache) == left_in(expected / "cache")


def test_four_runs_at_once_on_one_cache(undisturbed, tmp_path):
    expected, _ = undisturbed
    runs = [start("measure", tmp_path / f"out{k}", tmp_path / "cache") for k in range(4)]
    for run in runs:
        _, said = run.communicate(timeout=900)
        assert run.returncode == 0, said
    for k in range(4):
        assert files(tmp_path / f"out{k}") == files(expected / "measure")
    assert left_in(tmp_path / "cache") == left_in(expected / "cache")
