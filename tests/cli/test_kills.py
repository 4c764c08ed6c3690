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


def start(command, out, cache):
    words = [sys.executable, "-m", "neuronull", command, "--documents", DOCUMENTS, "--out", str(out)]
    words += ["--replicates", "199"] if command == "run" else []
    environment = os.environ | {"NEURONULL_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def finish(command, out, cache):
    process = start(command, out, cache)
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


@pytest.mark.parametrize("command", ["measure", "run"])
def test_killed_at_random_moments(command, undisturbed, tmp_path):
    expected, seconds = undisturbed
    chance = random.Random(len(command))
    cache, done_before = tmp_path / "cache", []
    for kill in range(KILLS):
        out = tmp_path / f"out{kill}"
        process = start(command, out, cache)
        try:
            _, said = process.communicate(timeout=chance.uniform(2, 0.8 * seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL) if chance.random() < 0.5 else process.kill()
            _, said = process.communicate()
        assert "Traceback" not in said
        assert not out.exists() or files(out)  # whole or not there
        done_before.append("done before" in said)
        time.sleep(1)
        assert children_of(process.pid) == []  # nobody lives on
        if process.returncode == 0:
            shutil.rmtree(cache)  # begin again
    last = tmp_path / "last"
    said = finish(command, last, cache)
    assert files(last) == files(expected / command)
    left = [path.name for path in tmp_path.iterdir() if path.name.endswith(".partial")]
    finish(command, tmp_path / "out0", cache) if not (tmp_path / "out0").exists() else None
    assert not (cache / "shards").exists() or list((cache / "shards").iterdir()) == []
    assert all(not name.startswith((".last.", ".out0.")) for name in left if not name.startswith(".out"))


def test_two_runs_at_once_on_one_cache(undisturbed, tmp_path):
    expected, _ = undisturbed
    runs = [start("measure", tmp_path / f"out{k}", tmp_path / "cache") for k in range(2)]
    for run in runs:
        _, said = run.communicate(timeout=900)
        assert run.returncode == 0, said
    for k in range(2):
        assert files(tmp_path / f"out{k}") == files(expected / "measure")
