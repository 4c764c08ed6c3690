"""The Python front door: the command line's options, the same texts, null models from a function or a class."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import neuronull as nn
from neuronull.cli.run import run as command
from neuronull.data.options import MeasureOptions, TestOptions
from neuronull.data.planted import Settings, planted_measurements
from neuronull.data.store import save
from neuronull.hypotheses.catalogue import nulls
from neuronull.hypotheses.checks.conformance import check
from neuronull.hypotheses.nulls.base import NullModel, Observed


def test_keywords_are_the_command_lines_options_with_the_same_defaults():
    keywords = {p.name: p.default for p in inspect.signature(nn.run).parameters.values()}
    signature = inspect.signature(command).parameters.values()
    options = {p.name: p.default for p in signature if p.name not in ("typer_context", "estimate")}
    assert set(keywords) - {"progress", "tokenizer"} == set(options)
    assert {name for name in options if keywords[name] != options[name]} == {"only", "paper"}  # () and None


def test_the_defaults_are_those_of_the_options():
    keywords = {p.name: p.default for p in inspect.signature(nn.run).parameters.values()}
    for options in (MeasureOptions(), TestOptions()):
        for name in set(vars(options)) & set(keywords) - {"only", "set"}:
            assert keywords[name] == getattr(options, name)
    assert (keywords["set"], TestOptions().set) == ("influence", None), "the word for the papers' own sets"
    assert keywords["plateau"] == TestOptions().set_size


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"threshold": 2.0}, r"^2 is out of range \(--threshold\); give a number between 0 and 1, ends excluded$"),
        ({"layer": "top"}, r"^'top' is no layer \(--layer\)"),
        ({"only": "clusters.withn"}, "did you mean clusters"),
        ({"only": ["clusters.within"], "null": {"clusters.within": "nothing"}}, "unknown null model 'nothing'"),
        ({"replicates": 5}, r"\(--replicates\); give at least"),
        ({"measurements": "nowhere"}, "no such file or directory: nowhere"),
    ],
)
def test_errors_have_the_command_lines_text(call: dict[str, object], says: str):
    with pytest.raises(nn.InputError, match=says):
        nn.run(**call)


@pytest.fixture
def registered() -> Iterator[None]:
    """Forget the null models that a test registers."""
    before = set(nulls.names())
    yield
    for name in set(nulls.names()) - before:
        del nulls._entries[name]


@pytest.mark.usefixtures("registered")
def test_null_model_from_a_function():
    @nn.null_model("rolled", randomises="neurons", preserves=("gaps",), breaks=("place",), reference="circular shift")
    def rolled(observed: Observed, rng: np.random.Generator) -> np.ndarray:
        """All neurons move on by the same random number of places."""
        return np.roll(np.arange(len(observed.value)), rng.integers(len(observed.value)))

    null = nulls.get("rolled")
    assert (null.name, null.randomises, null.preserves) == ("rolled", "neurons", ("gaps",))
    state = null.prepare(None, null.example())
    whole = null.draw(state, range(1, 41), seed=1)
    assert whole.dtype == torch.int64
    assert torch.equal(whole[7:9], null.draw(state, range(8, 10), seed=1)), "a draw depends on (seed, replicate) alone"
    assert not torch.equal(whole, null.draw(state, range(1, 41), seed=2))
    assert len({tuple(row) for row in whole.tolist()}) == len(null.example().value), "every rotation comes up"
    assert rolled.__name__ == "rolled"


@pytest.mark.usefixtures("registered")
def test_null_model_from_a_function_may_be_iterated():
    @nn.null_model("doubled", randomises="activations", example=Observed("activations", torch.ones(3, 2)))
    def doubled(observed: Observed, rng: np.random.Generator) -> torch.Tensor:
        return observed.value * int(rng.integers(1, 3))

    null = nulls.get("doubled")
    draws = list(null.draw(null.prepare(None, null.example()), range(1, 4), seed=0))
    assert [tuple(draw.shape) for draw in draws] == [(3, 2)] * 3


@pytest.mark.usefixtures("registered")
def test_null_model_from_a_class():
    @nn.null_model("still", randomises="neurons", exchangeable="nothing")
    class Still(NullModel):
        """Nothing moves."""

        def prepare(self, measurements: object, observed: Observed) -> int:
            return len(observed.value)

        def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
            return torch.arange(state).repeat(len(replicates), 1)

        def example(self) -> Observed:
            return Observed("neurons", torch.arange(3))

    assert isinstance(nulls.get("still"), Still)
    assert (Still.name, Still.randomises, Still.exchangeable) == ("still", "neurons", "nothing")


def test_null_model_refuses_what_it_cannot_use():
    with pytest.raises(nn.InputError, match="'chairs' cannot be randomised"):
        nn.null_model("x", randomises="chairs")  # type: ignore[arg-type]
    with pytest.raises(nn.InputError, match="int is no NullModel"):
        nn.null_model("x", randomises="neurons")(int)  # type: ignore[type-var]
    with pytest.raises(nn.InputError, match=r"'matched_sets' is registered twice: built in and .*<lambda>"):
        nn.null_model("matched_sets", randomises="neurons")(lambda observed, rng: None)


@pytest.mark.usefixtures("registered")
def test_the_null_model_of_the_readme_passes_every_check_that_applies():
    """The block is run as it stands, up to the run of the suite itself."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "@nn.null_model(" in b]
    exec(block.split("result = nn.run")[0], {})
    report = check("nearby")
    assert not report.failures, str(report)
    assert report.run == 15


def test_a_checkout_without_symbolic_links_imports(tmp_path):
    """Git writes a link as a small text file where the system, or the clone, has none."""
    root = Path(__file__).resolve().parents[1]
    package = tmp_path / "neuronull"
    package.mkdir()
    (package / "__init__.py").write_bytes((root / "neuronull" / "__init__.py").read_bytes())
    for room in ("data", "estimators", "hypotheses", "reports"):
        (package / room).write_text(f"../{room}")
        (tmp_path / room).symlink_to(root / room)
    code = "import neuronull, neuronull.data.errors as e; print(neuronull.InputError is e.InputError, e.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["True", "neuronull.data.errors"]


def test_a_run_is_read_back(tmp_path):
    from neuronull.data.planted import Settings, planted_measurements
    from neuronull.data.store import save

    save(planted_measurements(Settings(), seed=0), tmp_path / "m")
    made = nn.run(measurements=tmp_path / "m", only="clusters.cohesion", replicates=99, out=tmp_path / "run")
    for place in (tmp_path / "run", tmp_path / "run" / "results.json"):
        again = nn.load(place)
        assert again.table.equals(made.table)
        assert again.out == tmp_path / "run"
    assert len(repr(again.result)) < 300
    assert "clusters.cohesion" in repr(again)
    with pytest.raises(KeyError, match=r"clusters.cohesion has no row under 'hqs'; its null models are matched_sets"):
        again.finding("clusters.cohesion", "hqs")
    with pytest.raises(nn.InputError, match=r"no results.json there"):
        nn.load(tmp_path / "m")


def test_ls_lists_what_the_command_lists():
    every = nn.ls()
    assert set(every.columns) == {"id", "what", "origin", "kind"}
    assert set(every.kind) == {"papers", "hypotheses", "nulls", "models", "corpora"}
    assert "clusters.within" in set(nn.ls("hypotheses").id)
    assert "matched_sets" in set(nn.ls("nulls").id)
    with pytest.raises(nn.InputError, match="'nuls' cannot be listed"):
        nn.ls("nuls")


def test_dir_shows_what_is_meant_to_be_used():
    assert "run" in dir(nn)
    assert not [name for name in dir(nn) if name.startswith("_") and name != "__version__"]


def test_progress_true_tells_stages_on_standard_error(tmp_path, capsys):
    save(planted_measurements(Settings(), 0), tmp_path / "m")
    nn.run(measurements=tmp_path / "m", only="clusters.weights", replicates=59, progress=True)
    assert "tests: " in capsys.readouterr().err
    nn.run(measurements=tmp_path / "m", only="clusters.weights", replicates=59)
    assert capsys.readouterr().err == ""
