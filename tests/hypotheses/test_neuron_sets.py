"""Sets under test: chosen on these documents, by a score, or elsewhere; what each can be tested on, and what not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from neuronull.data.errors import InputError, MissingInput
from neuronull.data.neuron_list import NeuronList
from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted_measurements
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.choice import choose
from neuronull.hypotheses.neuron_sets import ByInfluence, ByScore, Listed, neurons, top
from neuronull.hypotheses.nulls.base import Observed
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.result import Result, Role, Verdict
from neuronull.hypotheses.statistics.sets import offered_neurons
from neuronull.hypotheses.suite import run_suite
from neuronull.hypotheses.views import prepare

MEMBERS = [3, 9, 17, 33, 41, 55, 60, 77, 102, 140]
RESELECTED = catalogue.nulls.get("reselected_sets")


@pytest.fixture(scope="module")
def measurements():
    return planted_measurements(Settings(documents=40, pairs=8, neurons=320), 1)


@pytest.fixture
def listed(tmp_path: Path) -> str:
    (tmp_path / "set.json").write_text(json.dumps({"name": "entropy", "neurons": MEMBERS}))
    return str(tmp_path / "set.json")


# how they are chosen -------------------------------------------------------------------------------------------------


def test_by_influence_is_the_top_of_each_half_by_a_loop(measurements):
    data = PreparedData(measurements, "12", ByInfluence("plateau"))
    for half in (0, 1):
        influence = data.influence[half].tolist()
        for members, of in ((data.set, lambda a, b: a), (data.mirror_set, lambda a, b: b),
                            (data.blind_set, lambda a, b: a + b)):  # fmt: skip
            score = [of(a, b) for a, b in zip(*influence, strict=True)]
            assert members[half].tolist() == sorted(sorted(range(320), key=lambda i: -score[i])[:12])
    assert data.neuron_set.cross_fitted


def test_by_score_is_the_top_of_the_score_and_swaps_leave_it(measurements):
    score = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 320)))
    own = ByScore("loud", "with the largest score", lambda data: score, "weights")
    data = PreparedData(measurements, "10", own)
    assert [s.tolist() for s in data.set] == [sorted(np.argsort(-row)[:10].tolist()) for row in score.numpy()]
    assert [s.tolist() for s in data.blind_set] == [s.tolist() for s in data.set]
    assert (own.chosen_by, own.cross_fitted, own.rule) == ("weights", False, "with the largest score")
    with pytest.raises(MissingInput, match="loud neurons were not chosen by influence on one condition"):
        _ = data.mirror_set


def test_a_list_is_the_same_set_for_both_halves_whatever_size_is_asked_for(measurements):
    data = PreparedData(measurements, "30", neurons(reversed(MEMBERS), "entropy"))  # type: ignore[arg-type]
    assert [s.tolist() for s in data.set] == [MEMBERS, MEMBERS]
    assert data.n_head == len(MEMBERS)
    assert data.chosen.score is None
    assert not data.neuron_set.cross_fitted


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([1], "1 neurons make no set"),
        ([], "0 neurons make no set"),
        ([1, 2, 2], "neuron 2 is listed twice"),
        ([1, -1], "-1 is no neuron"),
        ([1, 2.5], "2.5 is no neuron"),
        ([1, True], "True is no neuron"),
    ],
)
def test_what_is_no_set_is_refused(members, says):
    with pytest.raises(InputError, match=says):
        neurons(members)


def test_a_list_of_another_layer_or_model_is_refused(measurements):
    with pytest.raises(InputError, match="has neuron 320, the layer has 320 neurons"):
        _ = PreparedData(measurements, neuron_set=neurons([1, 320])).set
    layer = measurements.manifest.layer
    with pytest.raises(InputError, match=f"layer {layer} is measured .*measure --layer {layer + 1}"):
        _ = PreparedData(measurements, neuron_set=neurons([1, 2], layer=layer + 1)).set


def test_views_of_several_sets_share_what_does_not_depend_on_them(measurements):
    data = PreparedData(measurements)
    other = data.of(neurons(MEMBERS))
    assert other.influence_sums is data.influence_sums
    assert other.set[0].tolist() != data.set[0].tolist()
    assert data.of(data.neuron_set) is data
    assert data.split(1 - _halves(data)).shared is not data.shared, "another split shares nothing"


def _halves(data: PreparedData) -> np.ndarray:
    half = np.zeros(data.measurements.n_documents, dtype=np.int64)
    half[data.panel.document] = data.panel.half
    return half


# what null models say to them ----------------------------------------------------------------------------------------


def test_reselection_needs_sets_that_are_the_top_of_their_score(measurements):
    chosen = offered_neurons(PreparedData(measurements, "10"))
    assert RESELECTED.refuses(chosen) == ""
    assert "chosen elsewhere" in RESELECTED.refuses(offered_neurons(PreparedData(measurements, "10", neurons(MEMBERS))))
    first = chosen.sets[0].clone()
    best, worst = (int(f(chosen.score[0])) for f in (torch.argmax, torch.argmin))
    first[first == best] = worst
    moved = replace(chosen, sets=(first.sort().values, chosen.sets[1]))
    assert "not the top of their score" in RESELECTED.refuses(moved)
    with pytest.raises(MissingInput, match=r"not the top of their score .*choose matched_sets or random_sets"):
        RESELECTED.prepare(measurements, moved)


def test_a_set_of_all_neurons_is_the_top_of_any_score():
    whole = Observed("neurons", torch.arange(4), sets=(torch.arange(4),) * 2, score=torch.zeros(2, 4))
    assert RESELECTED.refuses(whole) == ""


@pytest.fixture(scope="module")
def result(measurements, tmp_path_factory) -> Result:
    path = tmp_path_factory.mktemp("set") / "set.json"
    path.write_text(json.dumps({"name": "entropy", "neurons": MEMBERS}))
    return run_suite(measurements, TestOptions(papers=("liu2025",), set=str(path), replicates=80))


@pytest.mark.parametrize("name", ["clusters.within", "clusters.cohesion", "clusters.weights"])
def test_a_listed_set_is_tested_under_matched_sets_alone_and_says_why(result: Result, name: str):
    row = result.finding(name)
    assert (row.role, row.null_model) == (Role.PRIMARY, "matched_sets")
    assert row.verdict is not Verdict.NOT_RUN
    assert row.details.nulls_left_out == {
        "reselected_sets": "reselected_sets chooses again by the same rule, and these neurons were chosen elsewhere"
    }
    assert "reselected_sets was left out" in row.notes
    assert (row.set_rule, row.n_neurons) == ("entropy", 320)
    assert "entropy neurons" in row.claim


@pytest.mark.parametrize("name", ["regimes.flatness", "regimes.contrast", "specialists.selectivity"])
def test_what_is_about_influence_is_not_run_on_a_list_and_says_why(measurements, listed, name: str):
    row = run_suite(measurements, TestOptions(set=listed, only=(name,), replicates=39)).finding(name)
    assert row.verdict is Verdict.NOT_RUN
    assert "about the neurons with the most influence" in row.notes
    assert "use --set influence" in row.notes
    assert row.p_value is None


def test_what_needs_the_mirror_image_is_not_run_on_a_list_and_says_why(measurements, listed):
    row = run_suite(measurements, TestOptions(set=listed, only=("specialists.closure",), replicates=39)).findings[0]
    assert row.verdict is Verdict.NOT_RUN
    assert "no mirror image for the other" in row.notes


def test_what_is_about_the_whole_layer_is_run_whatever_the_set(result: Result):
    assert result.finding("regimes.recruitment").p_value is not None


def test_a_null_model_that_was_chosen_and_cannot_serve_is_an_error(measurements, listed):
    options = TestOptions(set=listed, only=("clusters.weights",), nulls={"clusters.weights": "reselected_sets"})
    with pytest.raises(InputError, match=r"these neurons were chosen elsewhere \(--null\); choose another"):
        run_suite(measurements, options)


@pytest.mark.parametrize("null", ["matched_sets", "random_sets"])
def test_a_claim_on_weights_alone_runs_without_influence(measurements, listed, null: str):
    bare = replace(measurements, delta_loss=None, activation=None, heads=None)
    options = TestOptions(set=listed, only=("clusters.weights",), nulls={"clusters.weights": null}, replicates=39)
    row = run_suite(bare, options).finding("clusters.weights")
    assert row.verdict not in (None, Verdict.NOT_RUN)
    assert row.null_model == null
    assert row.estimate == pytest.approx(_less_its_mean(bare, null), rel=1e-9)


def _less_its_mean(measurements, null: str) -> float:
    """Mean cosine within the list less that within drawn sets, what they share left out, by loops over pairs."""
    data = PreparedData(measurements, neuron_set=neurons(MEMBERS))
    model = catalogue.nulls.get(null)
    drawn = model.draw(model.prepare(measurements, offered_neurons(data)), range(1, 40), 0)[:, MEMBERS].tolist()

    def cosine(members: list[int]) -> float:
        total = []
        for w in (measurements.w_out.double().numpy(), measurements.w_in.double().numpy()):
            total += [
                w[i] @ w[j] / np.linalg.norm(w[i]) / np.linalg.norm(w[j]) for i in members for j in members if i != j
            ]
        return float(np.mean(total))

    n = len(MEMBERS)
    common = [len(set(members) & set(MEMBERS)) for members in drawn]
    shared = np.mean([k * (k - 1) / (n * (n - 1)) for k in common])
    return float((cosine(MEMBERS) - np.mean([cosine(members) for members in drawn])) / (1 - shared))


# which set a run is about --------------------------------------------------------------------------------------------


def test_the_set_is_the_users_else_that_of_the_measurements_else_the_papers(measurements, listed):
    own = replace(measurements, neuron_list=NeuronList("kept", np.array([1, 2, 3]), None))
    hypothesis = catalogue.hypothesis("clusters.within")

    def name_of(given, **options) -> str:
        tests = TestOptions(only=("clusters.within",), **options)
        return prepare(given, choose(tests), tests).of(hypothesis).neuron_set.name

    assert name_of(measurements) == "plateau"
    assert name_of(own) == "kept"
    assert name_of(own, set=listed) == "entropy"
    tests = TestOptions(set=listed)
    declared = replace(hypothesis, set=neurons([5, 6], "two"))
    assert prepare(own, choose(tests), tests).of(declared).neuron_set.name == "two", "a hypothesis' own set stays"


def test_the_result_says_how_the_set_was_chosen(result: Result):
    (card,) = result.sets
    assert (card.name, card.chosen_by, card.cross_fitted, card.size) == ("entropy", "elsewhere", False, len(MEMBERS))
    assert "clusters.within" in card.hypotheses


def test_the_top_has_no_neuron_twice_and_ascends():
    score = torch.from_numpy(np.random.default_rng(1).integers(0, 3, size=(2, 40)).astype(float))
    for row, members in zip(score.numpy(), top(score, 9), strict=True):
        found = members.tolist()
        assert found == sorted(set(found))
        assert sorted(row[found]) == sorted(row)[-9:]


def test_a_list_keeps_its_name_and_source():
    found = Listed.of(NeuronList("entropy", np.array([4, 2]), 7), "there.csv")
    assert (found.name, found.neurons, found.layer, found.rule) == ("entropy", (2, 4), 7, "that there.csv lists")
