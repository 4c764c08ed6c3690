"""From a run to its reports: diagnostics and certificates of null models, warnings, what would be enough."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace as Namespace

import pytest

from neuronull.data.options import MeasureOptions, Silent, TestOptions
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.planted.settings import Settings
from neuronull.data.registry import BUILT_IN
from neuronull.data.store import save
from neuronull.hypotheses.catalogue import nulls
from neuronull.hypotheses.checks import conformance
from neuronull.hypotheses.checks.certificates import COMMAND, shipped
from neuronull.hypotheses.checks.null_checks import NULL_CHECKS
from neuronull.hypotheses.choice import choose
from neuronull.hypotheses.findings import FindingBuilder
from neuronull.hypotheses.inference.intervals import coverage_warning
from neuronull.hypotheses.null_summaries import null_summaries
from neuronull.hypotheses.nulls.base import NullModel
from neuronull.hypotheses.nulls.random_sets import RandomSets
from neuronull.hypotheses.result import Verdict
from neuronull.hypotheses.suite import run_suite
from neuronull.hypotheses.views import prepare
from neuronull.pipeline import Request, run
from neuronull.reports.null_tables import null_models

WORLD = Settings(documents=24, pairs=8, spare=0, neurons=120, width=24, heads=6)
PLUGIN = Path(__file__).parents[1] / "plugin" / "neuronull-shuffled-layers" / "src"


def plain(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_every_built_in_null_has_an_up_to_date_certificate():
    built_in = [name for name in nulls.names() if nulls.origin(name) == BUILT_IN]
    assert list(shipped()) == built_in, f"write them anew: {COMMAND}"
    for name, certificate in shipped().items():
        assert certificate.failed == [], name
        assert certificate.run + len(certificate.skipped) == len(NULL_CHECKS), f"{name}: write them anew: {COMMAND}"


class Sad(RandomSets):
    """Fails to tell how it did."""

    name = "sad"

    def diagnostics(self, state, draws):
        raise RuntimeError("no mood")


class Deaf(RandomSets):
    """Ignores the seed."""

    name = "deaf"

    def draw(self, state, replicates, seed):
        return super().draw(state, replicates, 7)


class Chatty(RandomSets):
    """Tells arrays."""

    name = "chatty"

    def diagnostics(self, state, draws):
        return {"draws": len(draws), "first": draws[0, :3], "state": {"of": object}}


@pytest.fixture
def registered():
    before = set(nulls.names())
    for null in (Sad, Deaf, Chatty):
        nulls.register(null.name, null())
    yield
    for name in set(nulls.names()) - before:
        del nulls._entries[name]


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", ["sad", "chatty"])
def test_diagnostics_of_any_kind_are_kept_as_plain_values(name):
    measured = planted_measurements(WORLD, 0)
    options = TestOptions(only=("clusters.weights",), nulls={"clusters.weights": name}, replicates=39)
    result = run_suite(measured, options)
    cards = null_summaries(prepare(measured, choose(options), options), result.findings, 0, {})
    (card,) = [c for c in cards if c.name == name]
    assert card.origin.endswith(name.capitalize())
    found = card.diagnostics["clusters.weights"]
    json.dumps(found)
    if name == "sad":
        assert found == {"not to be had": "RuntimeError: no mood"}
    else:
        assert found["draws"] == 20
        assert len(found["first"]) == 3


def test_nothing_is_told_of_a_null_without_diagnostics():
    measured = planted_measurements(WORLD, 0)
    options = TestOptions(only=("clusters.index",), replicates=39)
    result = run_suite(measured, options)
    (card,) = null_summaries(prepare(measured, choose(options), options), result.findings, 0, shipped())
    assert type(nulls.get("random_sets")).diagnostics is NullModel.diagnostics
    assert (card.name, card.diagnostics, card.certificate.failed) == ("random_sets", {}, [])


RUN_IT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from neuronull_shuffled_layers import ShuffledLayers
import neuronull as nn
from neuronull.data.planted.settings import Settings
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.store import save
from neuronull.hypotheses.catalogue import nulls
from neuronull.hypotheses.choice import choose

nulls.register("shuffled_layers", ShuffledLayers(), origin="package neuronull-shuffled-layers 0.1.0")
world = Settings(documents=24, pairs=8, spare=0, neurons=120, width=24, heads=6)
save(planted_measurements(world, 0), Path("measured"))
nn.run(measurements="measured", only="clusters.weights", null={"clusters.weights": "shuffled_layers"}, replicates=39,
       out="run")
"""


def test_a_plug_in_is_checked_by_the_run_and_stands_in_its_reports(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUN_IT, str(PLUGIN)], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page, md = plain((tmp_path / "run/report.html").read_text()), (tmp_path / "run/report.md").read_text()
    for told in (page, md):
        assert re.search(r"shuffled_layers [| ]*Neurons; it breaks: which neurons form the set", told)
        assert re.search(r"package neuronull-shuffled-layers 0\.1\.0 [| ]*17 of 17", told)


@pytest.mark.usefixtures("registered")
def test_a_null_that_fails_its_checks_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(conformance, "NULL_CHECKS", {name: NULL_CHECKS[name] for name in ("declared", "seeds")})
    save(planted_measurements(WORLD, 0), tmp_path / "measured")
    tests = TestOptions(only=("clusters.weights",), nulls={"clusters.weights": "deaf"}, replicates=39)
    result = run(Request(MeasureOptions(), tests, measurements=str(tmp_path / "measured")), Silent())
    assert "null model deaf fails its conformance checks (seeds): do not trust what rests on it" in result.warnings
    assert "1 of 2; failed: seeds" in null_models(result).rows[0]


@pytest.mark.parametrize(
    ("documents", "doubt", "se", "se_documents", "needs"),
    [
        (30, coverage_warning(30, None), 0.01, 0.01, {"documents": 50, "margin": 0.05}),
        (30, f"{coverage_warning(30, None)}; null sets share 62 %", 0.01, 0.01, {}),
        (60, "document contrasts are skewed", 0.05, 0.05, {}),
        (60, "", 0.05, 0.05, {"documents": 380, "margin": 0.05}),
        (60, "", 0.01, 0.01, {}),
        (60, "", 0.05, 0.02, {"null_sd": 0.05, "smallest_margin": pytest.approx(0.124, abs=0.001)}),
    ],
)
def test_nothing_is_said_to_be_enough_that_would_not_be(documents, doubt, se, se_documents, needs):
    maker = Namespace(options=Namespace(alpha=0.05), setup=Namespace(n_documents=documents))
    judged = Namespace(
        output=Namespace(coverage_warning=doubt, se=se, se_documents=se_documents, found_share=1.0),
        assessment=Namespace(hypothesis=Namespace(margin=0.05), lacks="more heads"),
        decision=Namespace(verdict=Verdict.UNDETERMINED),
    )
    found = FindingBuilder._enough(maker, judged)
    told = {} if found is None else found.model_dump(exclude_defaults=True, exclude={"larger"})
    assert told == needs
    assert found is None or found.larger == ("more heads" if found.null_sd else "")
