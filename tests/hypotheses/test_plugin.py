"""A plug-in written outside the repository: installed with pip, listed, checked, run in the suite, in the result."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuronull.scaffold import new_null

PLUGIN = Path(__file__).parents[1] / "plugin" / "neuronull-shuffled-layers"

RUN_IT = """
import json
from neuronull.data.options import TestOptions
from neuronull.data.planted.settings import Settings
from neuronull.data.planted.measurements import planted_measurements
from neuronull.hypotheses.suite import run_suite

measured = planted_measurements(Settings(documents=24, pairs=8, spare=0, neurons=120, width=24, heads=6), 0)
options = TestOptions(only=("clusters.weights",), nulls={"clusters.weights": "shuffled_layers"}, replicates=39)
result = run_suite(measured, options)
print(json.dumps([[f.hypothesis, f.null_model, f.role.value, f.p_value, f.replicates] for f in result.findings]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which the plug-in, built from a copy, is installed."""
    room = tmp_path_factory.mktemp("plugin")
    copy, target = room / "source", room / "site"
    shutil.copytree(PLUGIN, copy)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
           "--disable-pip-version-check", "--target", str(target), str(copy)]  # fmt: skip
    subprocess.run(pip, check=True, capture_output=True, text=True)
    return {**os.environ, "PYTHONPATH": str(target)}


def called(arguments: list[str], environment: dict[str, str], cwd: Path) -> str:
    """Standard output of a call of Python that must succeed."""
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_plug_in_is_what_the_scaffold_writes(tmp_path: Path) -> None:
    written = new_null("shuffled_layers", tmp_path)
    files = {p.relative_to(written) for p in written.rglob("*") if p.is_file()}
    kept = {p.relative_to(PLUGIN) for p in PLUGIN.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert files == kept
    for path in files:
        assert (PLUGIN / path).read_text() == (written / path).read_text(), (
            f"{path}: write it anew with neuronull new null"
        )


def test_it_is_listed_with_its_package(installed: dict[str, str], tmp_path: Path) -> None:
    listed = json.loads(called(["-m", "neuronull", "ls", "nulls", "--json"], installed, tmp_path))
    (row,) = [row for row in listed if row["id"] == "shuffled_layers"]
    assert row["origin"] == "package neuronull-shuffled-layers 0.1.0"


def test_it_passes_every_check_as_written(installed: dict[str, str], tmp_path: Path) -> None:
    said = called(["-m", "neuronull", "check", "shuffled_layers", "--out", "c.json"], installed, tmp_path)
    assert "shuffled_layers: 17 of 17 checks passed" in said
    assert json.loads((tmp_path / "c.json").read_text())["passed"] is True


def test_it_decides_a_hypothesis_and_stands_in_the_result(installed: dict[str, str], tmp_path: Path) -> None:
    rows = json.loads(called(["-c", RUN_IT], installed, tmp_path))
    assert [row[:3] for row in rows] == [["clusters.weights", "shuffled_layers", "primary"]]
    assert 0 < rows[0][3] <= 1
    assert rows[0][4] == 39


@pytest.mark.slow
def test_its_own_tests_run_one_id_a_check(installed: dict[str, str], tmp_path: Path) -> None:
    tests = shutil.copytree(PLUGIN / "tests", tmp_path / "tests")
    quick = ["-k", "contract or uniform or batch"]  # all of them were run by `neuronull check`
    said = called(["-m", "pytest", "-q", "-p", "no:cacheprovider", *quick, str(tests)], installed, tmp_path)
    assert "3 passed, 14 deselected" in said
