"""Freezing a plan and running it: what decides numbers must be as it was frozen, what does not may be anything."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import neuronull as nn
from neuronull import pipeline
from neuronull.cli import BAD_INPUT, OK
from neuronull.data.planted import Settings, planted_measurements
from neuronull.data.store import save
from neuronull.hypotheses.frozen_plan import PlanError, read_plan

FEW = {"only": "clusters.weights", "replicates": 39, "documents": 40}
DECIDES: dict[str, Any] = {
    "model": "docs-pythia",
    "revision": "main",
    "corpus": "texts.json",
    "counts": "counts.npy",
    "layer": 2,
    "suite": "full",
    "conditions": "conditions.json",
    "conditioning": "input",
    "threshold": 0.2,
    "elbow": True,
    "ablation": "zero",
    "heads": "last:1",
    "head_documents": 30,
    "paper": "stolfo2024",
    "plateau": 0.03,
    "measurements": "measured",
    "only": "tails.weights",
    "null": {"clusters.weights": "random_sets"},
    "margin": {"clusters.weights": 0.1},
    "set": "neurons.json",
    "vary": {"plateau": [0.03]},
    "documents": 50,
    "context": 128,
    "cluster": "none",
    "replicates": 59,
    "alpha": 0.01,
    "seed": 3,
    "dtype": "bfloat16",
    "attention": "eager",
}
DOES_NOT: dict[str, Any] = {
    "device": "cpu", "batch": 2, "jobs": 2, "out": "out", "keep_measurements": True, "engine": "ray",
    "shard_documents": 7,
}  # fmt: skip


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    nn.plan(tmp_path / "plan.json", **FEW)
    return tmp_path / "plan.json"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[pipeline.Request]:
    """Requests that came as far as a run."""
    requests: list[pipeline.Request] = []

    class Stopped(pipeline._Run):
        def found(self) -> Any:
            requests.append(self.request)
            raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "_Run", Stopped)
    return requests


def test_every_option_is_on_one_of_the_lists():
    assert set(inspect.signature(nn.run).parameters) == {*DECIDES, *DOES_NOT, "plan", "progress", "tokenizer"}


@pytest.mark.parametrize("name", DECIDES)
def test_what_decides_numbers_is_refused(name: str, frozen: Path, started: list):
    with pytest.raises(PlanError, match=f"one thing differs from the plan: {name}: "):
        nn.run(plan=frozen, **{name: DECIDES[name]})
    assert not started


@pytest.mark.parametrize("name", DOES_NOT)
def test_what_decides_none_is_not(name: str, frozen: Path, started: list, tmp_path: Path):
    value = tmp_path / "new" if name == "out" else DOES_NOT[name]
    with pytest.raises(KeyboardInterrupt):
        nn.run(plan=frozen, **{name: value})
    (request,) = started
    assert (request.tests.only, request.tests.replicates, request.measure.documents) == (("clusters.weights",), 39, 40)


def test_the_command_line_knows_a_default_that_was_given(cli, frozen: Path, started: list):
    ran = cli("run", "--plan", str(frozen), "--documents", "200")
    assert ran.code == BAD_INPUT
    assert ran.err.startswith("error: one thing differs from the plan: documents: 40 in the plan, 200 given")
    ran = cli("run", "--plan", str(frozen), "--documents", "200", "--alpha", ".05", "--seed", "1")
    assert ran.err.splitlines()[:2] == [
        "differs: documents: 40 in the plan, 200 given",
        "differs: seed: 0 in the plan, 1 given",
    ]
    assert "error: 2 things differ from the plan" in ran.err
    assert not started


def test_an_estimate_is_of_the_plan(cli, frozen: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[pipeline.Request] = []

    def remembers(request: pipeline.Request, progress: Any) -> Any:
        asked.append(request)
        raise nn.InputError("enough")

    monkeypatch.setattr(pipeline, "estimated", remembers)
    assert cli("run", "--plan", str(frozen), "--estimate").err.startswith("error: enough")
    assert (asked[0].measure.documents, asked[0].tests.only) == (40, ("clusters.weights",))


def test_the_software_and_what_it_declares_must_be_the_same(frozen: Path, started: list, monkeypatch):
    from neuronull.hypotheses import plan as declaring

    monkeypatch.setattr(declaring, "version", lambda name: "9.9")
    with pytest.raises(PlanError, match=r'versions neuronull: "[^"]*" in the plan, "9.9" here'):
        nn.run(plan=frozen)
    assert not started


@pytest.mark.parametrize("option", ["corpus", "counts"])
def test_inputs_are_held_to_their_content(option: str, tmp_path: Path, started: list, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file.json").write_text("[]")
    nn.plan("plan.json", **{option: "file.json"})
    with pytest.raises(KeyboardInterrupt):
        nn.run(plan="plan.json")
    Path("file.json").write_text("[1]")
    with pytest.raises(PlanError, match=f"{option} has another content"):
        nn.run(plan="plan.json")
    Path("file.json").unlink()
    with pytest.raises(PlanError, match=f"{option} is another file than the plan's"):
        nn.run(plan="plan.json")
    assert len(started) == 1


def test_a_run_says_by_which_plan_and_keeps_it(cli, tmp_path: Path):
    save(planted_measurements(Settings(documents=40, pairs=8, neurons=320), 1), tmp_path / "m")
    options = ("--measurements", str(tmp_path / "m"), "--only", "clusters.weights", "--replicates", "39")
    made = cli("plan", *options, "--out", str(tmp_path / "plan.md"))
    assert made.code == OK
    plan = read_plan(tmp_path / "plan.json")
    assert plan.sha256 in made.out
    page = (tmp_path / "plan.md").read_text()
    assert page.index("## Hypotheses") < page.index("## Sample size") < page.index("## Inference criteria")
    assert plan.sha256 in page
    assert cli("run", "--plan", str(tmp_path / "plan.json"), "--out", str(tmp_path / "out")).code == OK
    told = json.loads((tmp_path / "out" / "provenance.json").read_text())["plan"]["frozen"]
    assert told == {"sha256": plan.sha256, "at": plan.frozen}
    assert (tmp_path / "out" / "plan.json").read_bytes() == (tmp_path / "plan.json").read_bytes()
    report = (tmp_path / "out" / "report.md").read_text()
    assert f"frozen at {plan.frozen} by this machine's clock" in report
    assert "No file can show that nobody had seen the data before." in report


def test_a_plan_is_not_overwritten_and_must_be_as_it_was_written(frozen: Path):
    with pytest.raises(nn.InputError, match="a frozen plan is not overwritten"):
        nn.plan(frozen, **FEW)
    told: Mapping[str, Any] = json.loads(frozen.read_text())
    declared = told["declared"] | {"tests": told["declared"]["tests"] | {"alpha": 0.5}}
    damaged = {
        "was changed after it was frozen": json.dumps(told | {"declared": declared}),
        "is no plan that this version reads": json.dumps(told | {"format": "0"}),
        "no plan is in": "{" * 5000,
        "no plan is in .* KeyError|no plan is in .*KeyError": "{}",
    }
    for message, text in damaged.items():
        frozen.write_text(text)
        with pytest.raises(nn.InputError, match=message):
            nn.run(plan=frozen)
    with pytest.raises(nn.InputError, match="no plan is in"):
        nn.run(plan=frozen.with_name("missing.json"))


def test_what_cannot_be_planned():
    with pytest.raises(nn.InputError, match="only in memory"):
        nn.plan(corpus=["a text", "another"])
    with pytest.raises(TypeError, match="none of run"):
        nn.plan(tokens=3)
