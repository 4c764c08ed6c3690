"""The plan's hash follows everything that was declared, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

import neuronull as nn
from neuronull.data.options import MeasureOptions, TestOptions
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.planted.settings import Settings
from neuronull.data.store import save
from neuronull.hypotheses import plan
from neuronull.hypotheses.choice import Choice, choose
from neuronull.hypotheses.neuron_sets import neurons
from neuronull.hypotheses.plan import canonical, declared, plan_hash

MEASURE, TESTS = MeasureOptions(), TestOptions(only=("clusters", "specialists.selectivity"))


def hash_of(measure: MeasureOptions = MEASURE, tests: TestOptions = TESTS) -> str:
    return plan_hash(declared(measure, tests))


@pytest.mark.parametrize(
    "change",
    [
        {"replicates": 1999},
        {"alpha": 0.01},
        {"seed": 1},
        {"set_size": ".03"},
        {"nulls": {"clusters.within": "hqs"}},
        {"only": ("clusters",)},
        {"margins": {"clusters.within": 0.06}},
        {"varied": {"plateau": (".03",)}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_it_follows_what_is_tested_and_how(change):
    assert hash_of(tests=replace(TESTS, **change)) != hash_of()


@pytest.mark.parametrize("change", [{"threshold": 0.2}, {"seed": 3}, {"dtype": "float16"}, {"documents": 100}], ids=str)
def test_it_follows_what_is_measured(change):
    assert hash_of(replace(MEASURE, **change)) != hash_of()


def test_files_count_by_what_is_in_them_not_by_their_place(tmp_path: Path):
    (tmp_path / "there").mkdir()
    paths = [tmp_path / "mine.json", tmp_path / "there" / "mine.json", tmp_path / "other.json"]
    for path, last in zip(paths, (9, 9, 8), strict=True):
        path.write_text(json.dumps({"name": "mine", "neurons": [1, 5, last]}))
    sets = [hash_of(tests=replace(TESTS, set=str(path))) for path in paths]
    assert sets[0] == sets[1]
    assert len({*sets, hash_of()}) == 3
    measured = [hash_of(replace(MEASURE, conditions=str(path))) for path in paths]
    assert measured[0] == measured[1]
    assert len({*measured, hash_of()}) == 3


def test_it_leaves_out_what_changes_no_number():
    assert hash_of(replace(MEASURE, batch=7, device="cuda:1"), replace(TESTS, jobs=8)) == hash_of()
    other_order = replace(TESTS, only=tuple(reversed(TESTS.only)))
    assert hash_of(tests=other_order) == hash_of(), "the order in which hypotheses are asked for"


@pytest.mark.parametrize(
    "change",
    [
        lambda h: replace(h, criterion=replace(h.criterion, margin=0.06)),
        lambda h: replace(h, nulls=h.nulls[:1]),
        lambda h: replace(h, sensitivity=()),
        lambda h: replace(h, claim="Another claim."),
        lambda h: replace(h, statistic=replace(h.statistic, resolution=2.0)),
        lambda h: replace(h, set=neurons([1, 2, 3])),
        lambda h: replace(h, set=neurons([1, 2, 4])),
        lambda h: replace(h, alike=("sd",)),
    ],
    ids=["margin", "null", "sensitivity", "claim", "statistic", "set", "another set", "alike"],
)
def test_it_follows_each_hypothesis(change, monkeypatch):
    before = hash_of()

    def changed(options: TestOptions) -> Choice:
        found = choose(options)
        with_change = tuple(change(h) if h.id == "clusters.within" else h for h in found.hypotheses)
        return replace(found, hypotheses=with_change)

    monkeypatch.setattr(plan, "choose", changed)
    assert hash_of() != before


def test_the_text_is_canonical():
    made = declared(MEASURE, TESTS)
    text = canonical(made)
    assert canonical(json.loads(text)) == text
    assert plan_hash(made) == sha256(text.encode()).hexdigest()
    assert "0x" not in text, "no address of an object"


def test_a_run_keeps_it_beside_its_results(tmp_path: Path):
    world = planted_measurements(Settings(documents=40, pairs=8, neurons=320), 1)
    plans = []
    for name, jobs in (("one", 1), ("two", 2)):
        save(world, tmp_path / f"m-{name}")  # another place, the same measurements
        out = tmp_path / name
        nn.run(measurements=tmp_path / f"m-{name}", only="clusters.weights", replicates=39, jobs=jobs, out=out)
        plans.append(json.loads((out / "provenance.json").read_text())["plan"])
    assert plans[0] == plans[1]
    assert plans[0]["frozen"] is False
    assert plan_hash(plans[0]["declared"]) == plans[0]["sha256"]
    assert plans[0]["sha256"] not in (tmp_path / "one" / "results.json").read_text()
    report = (tmp_path / "one" / "report.html").read_text()
    assert plans[0]["sha256"] in report
    assert "not frozen before this run" in report
