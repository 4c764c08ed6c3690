"""Weights to verdict over a training run: a model directory with checkpoints, and the same measured step by step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import neuronull as nn
from neuronull.data.errors import InputError
from neuronull.data.models import checkpoint_steps, load_model
from neuronull.data.planted.model import ModelDials, PlantedFiles, write_planted_model
from neuronull.hypotheses.result import Verdict

STRENGTHS = {10: 0.0, 40: 0.6, 160: 1.2, 640: 1.8}
SIZE = {"documents": 40, "context": 64}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> PlantedFiles:
    """A model at step 640 with specialists, and three checkpoints in which they are weaker."""
    root = tmp_path_factory.mktemp("growth")
    made = {s: write_planted_model(root / str(s), ModelDials(specialists=k), 0) for s, k in STRENGTHS.items()}
    whole = made[640]
    for step in (10, 40, 160):
        place = whole.model / "checkpoints" / str(step)
        place.mkdir(parents=True)
        shutil.copy(made[step].model / "model.safetensors", place)
    (whole.model / "training.json").write_text(json.dumps({"steps": 640}))
    return whole


@pytest.mark.slow
def test_planted_growth_is_found_from_the_weights_and_alike_step_by_step(files: PlantedFiles, tmp_path: Path):
    given = {"model": str(files.model), "corpus": str(files.corpus), **SIZE}
    tests = {"only": "emergence.trend", "replicates": 99}
    whole = nn.run(**given, **tests).result.finding("emergence.trend")
    assert whole.verdict is Verdict.SUPPORTED, str(whole)
    assert whole.details.further["steps"] == 4
    nn.measure(**given, out=tmp_path / "m")
    with pytest.raises(InputError, match=r"keeps no weights of step 20 .*it keeps: 10, 40, 160"):
        nn.measure(**given, out=tmp_path / "m" / "checkpoints" / "20")
    for step in (10, 40, 160):
        nn.measure(**given, out=tmp_path / "m" / "checkpoints" / str(step))
    again = nn.run(measurements=tmp_path / "m", **tests).result.finding("emergence.trend")
    assert (again.estimate, again.p_value, again.details) == (whole.estimate, whole.p_value, whole.details)


def test_a_checkpoint_of_other_documents_is_not_written(files: PlantedFiles, tmp_path: Path):
    given = {"model": str(files.model), "corpus": str(files.corpus), "context": 64}
    nn.measure(**given, documents=24, out=tmp_path / "m")
    with pytest.raises(InputError, match="measured on other documents"):
        nn.measure(**given, documents=25, out=tmp_path / "m" / "checkpoints" / "10")
    assert not (tmp_path / "m" / "checkpoints" / "10").exists()


def test_steps_are_those_of_the_directory_and_an_embedded_model_begins_at_0(files: PlantedFiles):
    assert checkpoint_steps("docs-pythia") == [0, 38, 153, 610]
    assert checkpoint_steps("docs-gpt2") == []
    assert checkpoint_steps("someone/on-the-hub") == []
    hashes = {load_model(str(files.model), step=step).hash for step in (10, 40, None)}
    assert len(hashes) == 3
    assert load_model(str(files.model)).step == 640
    first = load_model("docs-pythia", step=0)
    assert (first.step, first.revision) == (0, "step 0")
    assert load_model("docs-pythia", random_init=True).step is None


@pytest.mark.parametrize("text", ['{"steps": "many"}', "[]", "{"])
def test_a_training_record_that_says_nothing_is_refused(files: PlantedFiles, tmp_path: Path, text: str):
    shutil.copytree(files.model, tmp_path / "model")
    (tmp_path / "model" / "training.json").write_text(text)
    with pytest.raises(InputError, match=r"training\.json"):
        load_model(str(tmp_path / "model"))
