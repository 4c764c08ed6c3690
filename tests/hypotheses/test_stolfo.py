"""Stolfo et al. 2024: statistics against loops, sets that are not tested by what chose them, size, power, words."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch

from neuronull.data.errors import MissingInput
from neuronull.data.measurements import EFFECTS
from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.calibration import record, run
from neuronull.hypotheses.calibration.scenarios import scenarios
from neuronull.hypotheses.papers.stolfo2024 import paper
from neuronull.hypotheses.papers.stolfo2024.statistics import log_ratio
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.result import Verdict
from neuronull.hypotheses.suite import run_suite

HYPOTHESES = {h.id: h for h in paper.hypotheses}
OF_EFFECTS = {
    "entropy.scale": ("direct", "loss", "share"),
    "entropy.frequency": ("frequency", "loss", "share"),
    "frequency.unigram": ("unigram", "loss", "log"),
}
OF_WEIGHTS = {
    "entropy.norm": ("w_out_norm", np.log),
    "entropy.nullspace": ("weak_direction_share", np.asarray),
    "frequency.direction": ("token_frequency_share", np.asarray),
}
TESTED = {name: column for name, (column, _) in OF_WEIGHTS.items()}
WORLD = Settings(documents=24, pairs=4, neurons=240, effect_confounding=0.5)
STRONG = {
    "entropy_scale": 0.6, "token_effect": 0.5, "entropy_norm": 0.8, "entropy_weak": 2.0, "token_unigram": 1.0,
    "token_direction": 2.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def measurements():
    return planted(WORLD, 1, ["effects"]).measurements


def view(measurements, name, size="8"):
    """The data as a run prepares them for a hypothesis."""
    hypothesis = HYPOTHESES[name]
    return PreparedData(measurements, size).of(hypothesis.set or paper.set, hypothesis.alike)


def total(measurements, effect, documents, neuron):
    """Sum of absolute effects of a neuron over documents and both conditions, by loop."""
    array = measurements.effects.absolute[EFFECTS.index(effect)].double().numpy()
    return sum(array[d, side, neuron] for d in documents for side in (0, 1))


def unpredicted(measurements, values):
    """Values [N] less what follows standardised activation statistics, by the normal equations with a constant."""
    columns = [np.ones(240)]
    for name in ("mean_abs", "sd", "kurtosis", "sparsity"):
        x = measurements.neurons[name].to_numpy()
        x = np.log(x) if x.min() > 0 and abs(scipy.stats.skew(x)) > 1 else x
        columns.append(scipy.stats.zscore(x))
    design = np.column_stack(columns)
    slopes = np.linalg.solve(design.T @ design, design.T @ values)[1:]
    return values - design[:, 1:] @ slopes


def by_loop(measurements, data, name, sets, without=None):
    """The statistic of a pair of sets, without a document."""
    above, below, form = OF_EFFECTS[name]
    halves = []
    for chosen in (0, 1):
        documents = [d for d, h in enumerate(data.half) if h == 1 - chosen and d != without]
        ratios = np.array(
            [total(measurements, above, documents, n) / total(measurements, below, documents, n) for n in range(240)]
        )
        left = unpredicted(measurements, np.log(ratios) if form == "log" else 1 - ratios)
        halves.append(sum(left[neuron] for neuron in sets[chosen]) / len(sets[chosen]))
    return sum(halves) / 2


# statistics -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_EFFECTS)
def test_ratios_are_those_of_plain_loops(measurements, name):
    data = view(measurements, name)
    bound = HYPOTHESES[name].statistic.bind(data)
    rng = np.random.default_rng(0)
    drawn = np.stack([[rng.choice(240, 8, replace=False) for _ in range(2)] for _ in range(3)])
    found = bound.evaluate("neurons", torch.from_numpy(drawn), range(1, 4), 0).estimate[:, 0]
    expected = [by_loop(measurements, data, name, sets) for sets in drawn]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    observed = bound.evaluate("neurons", bound.identity("neurons"), range(1), 0).estimate[0, 0]
    assert float(observed) == pytest.approx(by_loop(measurements, data, name, [s.tolist() for s in data.set]))


@pytest.mark.parametrize("name", OF_EFFECTS)
def test_estimates_without_a_document_are_those_of_plain_loops(measurements, name):
    data = view(measurements, name)
    bound = HYPOTHESES[name].statistic.bind(data)
    own = [s.tolist() for s in data.set]
    rng = np.random.default_rng(1)
    drawn = np.stack([[rng.choice(240, 8, replace=False) for _ in range(2)] for _ in range(2)])
    left, of_draws = bound.leave_one_out(), bound.draws_without("neurons", torch.from_numpy(drawn), range(1, 3), 0)
    for document in (0, 7, 23):
        expected = by_loop(measurements, data, name, own, without=document)
        assert float(left[document, 0]) == pytest.approx(expected, rel=1e-10)
        for row, sets in enumerate(drawn):
            expected = by_loop(measurements, data, name, sets, without=document)
            assert float(of_draws[row, document, 0]) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", OF_WEIGHTS)
def test_columns_are_means_over_both_sets(measurements, name):
    column, form = OF_WEIGHTS[name]
    data = view(measurements, name)
    bound = HYPOTHESES[name].statistic.bind(data)
    table = unpredicted(measurements, form(measurements.neurons[column].to_numpy()))
    found = bound.evaluate("neurons", bound.identity("neurons"), range(1), 0).estimate[0, 0]
    assert float(found) == pytest.approx(np.mean([table[s.numpy()].mean() for s in data.set]))
    assert bound.leave_one_out() is None
    assert bound.draws_without("neurons", bound.identity("neurons"), range(1), 0) is None


@pytest.mark.parametrize("name", HYPOTHESES)
def test_the_spread_over_members_is_that_of_deleting_each(measurements, name):
    bound = HYPOTHESES[name].statistic.bind(view(measurements, name))
    neurons = sorted(set(torch.cat(bound.sets).tolist()))
    left_out = []
    for neuron in neurons:
        sets = [own[own != neuron] for own in bound.sets]
        left_out.append(np.mean([float(bound.of_neurons(1 - half)[own].mean()) for half, own in enumerate(sets)]))
    m = len(neurons)
    expected = np.sqrt((m - 1) / m * ((np.array(left_out) - np.mean(left_out)) ** 2).sum())
    assert bound.member_se() == pytest.approx(expected)


@pytest.mark.parametrize("name", HYPOTHESES)
def test_what_activations_predict_moves_no_statistic(measurements, name):
    """A multiple of an activation statistic added to what is tested changes nothing."""
    bound = HYPOTHESES[name].statistic.bind(view(measurements, name))
    numbers = torch.from_numpy(np.random.default_rng(0).standard_normal(240))
    x = torch.from_numpy(np.log(measurements.neurons["sd"].to_numpy()))
    torch.testing.assert_close(bound.less_predicted(numbers + 3 * (x - x.mean())), bound.less_predicted(numbers))


def test_neurons_without_any_effect_are_told_as_unchanged():
    above = torch.tensor([2.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    below = torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    found = log_ratio(above, below)
    assert float(found[0]) == pytest.approx(np.log(2))
    assert float(found[1]) == 0
    assert torch.isfinite(found).all()
    assert torch.equal(log_ratio(torch.zeros(3).double(), torch.zeros(3).double()), torch.zeros(3).double())


# sets -----------------------------------------------------------------------------------------------------------------


def test_the_set_by_weights_is_the_top_of_two_normal_scores(measurements):
    data = view(measurements, "entropy.scale")
    score = np.zeros(240)
    for name in ("w_out_norm", "weak_direction_share"):
        values = measurements.neurons[name].to_numpy()
        for neuron in range(240):
            below, ties = (values < values[neuron]).sum(), (values == values[neuron]).sum()
            score[neuron] += scipy.stats.norm.ppf((below + (ties + 1) / 2 - 0.5) / 240)
    np.testing.assert_allclose(data.chosen.score.numpy(), [score, score], atol=1e-12)
    assert [s.tolist() for s in data.set] == [sorted(np.argsort(-score)[:8].tolist())] * 2
    assert not data.neuron_set.cross_fitted


@pytest.mark.parametrize(("name", "frozen"), [("entropy.norm", "direct"), ("frequency.unigram", "frequency")])
def test_the_sets_by_effects_are_those_of_their_own_half(measurements, name, frozen):
    data = view(measurements, name)
    assert data.neuron_set.cross_fitted
    for half in (0, 1):
        documents = [d for d, h in enumerate(data.half) if h == half]
        score = [
            np.log(total(measurements, "loss", documents, n) / total(measurements, frozen, documents, n))
            for n in range(240)
        ]
        np.testing.assert_allclose(data.chosen.score[half].numpy(), score, rtol=1e-9)
        assert data.set[half].tolist() == sorted(np.argsort(score)[-8:].tolist())


@pytest.mark.parametrize("name", HYPOTHESES)
def test_nothing_tested_or_choosing_is_matched_on(name):
    hypothesis = HYPOTHESES[name]
    chosen = {"w_out_norm", "weak_direction_share"} if name in ("entropy.scale", "entropy.frequency") else set()
    assert hypothesis.alike
    assert not set(hypothesis.alike) & (chosen | {TESTED.get(name)})


@pytest.mark.parametrize("name", TESTED)
def test_null_sets_do_not_move_with_the_weights_that_are_tested(measurements, name):
    table = measurements.neurons.copy()
    table[TESTED[name]] = np.random.default_rng(0).random(240)
    other = replace(measurements, neurons=table)
    for null in map(catalogue.null_of, HYPOTHESES[name].nulls):
        drawn = []
        for one in (measurements, other):
            offered = HYPOTHESES[name].statistic.bind(view(one, name)).offers()["neurons"]
            drawn.append(null.draw(null.prepare(one, offered), range(1, 4), 0))
        assert torch.equal(*drawn)


@pytest.mark.parametrize("name", ["entropy.scale", "entropy.frequency"])
def test_null_sets_do_not_move_with_the_effects_that_are_tested(measurements, name):
    effects = measurements.effects
    other = replace(measurements, effects=replace(effects, absolute=effects.absolute.flip(-1)))
    for null in map(catalogue.null_of, HYPOTHESES[name].nulls):
        drawn = []
        for one in (measurements, other):
            offered = HYPOTHESES[name].statistic.bind(view(one, name)).offers()["neurons"]
            drawn.append(null.draw(null.prepare(one, offered), range(1, 4), 0))
        assert torch.equal(*drawn)


def test_a_half_that_scores_does_not_choose(measurements):
    data = view(measurements, "frequency.unigram")
    effects = measurements.effects.absolute.clone()
    effects[:, torch.from_numpy(data.half == 1)] = effects[:, torch.from_numpy(data.half == 1)].flip(-1)
    other = view(replace(measurements, effects=replace(measurements.effects, absolute=effects)), "frequency.unigram")
    assert torch.equal(data.set[0], other.set[0])
    assert not torch.equal(data.set[1], other.set[1])


# runs -----------------------------------------------------------------------------------------------------------------


def options(**given):
    return TestOptions(papers=("stolfo2024",), set_size="8", replicates=given.pop("replicates", 199), **given)


def test_strong_effects_are_found_and_all_claims_hold():
    made = planted(Settings(documents=60, pairs=8, neurons=480, **STRONG), 2, ["effects"])
    result = run_suite(made.measurements, options())
    verdicts = {f.hypothesis: f.verdict for f in result.findings if f.hypothesis in HYPOTHESES and f.verdict}
    assert verdicts == dict.fromkeys([n for n in HYPOTHESES if n != "frequency.unigram"], Verdict.SUPPORTED)
    assert (result.finding("frequency.unigram").p_value or 1) < 0.05, "it is there, and decides nothing"
    assert [(c.number, c.verdict) for c in result.claims] == [(n, Verdict.SUPPORTED) for n in (1, 2, 3)]
    assert result.set_effects
    text = " ".join(f"{card.title} {card.asks} {card.measured} {card.plus}" for card in result.hypotheses)
    assert "{" not in text
    assert "rare" in text  # the conditions that were measured, by their name


def test_entropy_neurons_that_act_through_token_frequencies_refute_the_second_claim():
    strong = {**STRONG, "entropy_frequency": 0.4}
    made = planted(Settings(documents=60, pairs=8, neurons=480, **strong), 2, ["effects"])
    result = run_suite(made.measurements, options(only=("entropy.frequency",)))
    (finding,) = (f for f in result.findings if f.hypothesis == "entropy.frequency" and f.verdict)
    assert finding.verdict is Verdict.REFUTED


def test_without_effects_nothing_is_run_and_it_is_said_why(measurements):
    result = run_suite(replace(measurements, effects=None), options())
    rows = [f for f in result.findings if f.hypothesis in HYPOTHESES]
    assert {f.verdict for f in rows if f.hypothesis != "frequency.unigram"} == {Verdict.NOT_RUN}
    assert len(rows) == len(HYPOTHESES)
    for name in HYPOTHESES:
        assert "no effects on whole distributions were measured" in result.left_out[name]
    assert all(c.verdict in (Verdict.NOT_RUN, Verdict.UNDETERMINED) for c in result.claims)


def test_without_the_neurons_table_weights_are_not_compared():
    bare = replace(planted(WORLD, 1, ["influence", "effects"]).measurements, neurons=None)
    for name in ("entropy.norm", "entropy.scale"):
        with pytest.raises(MissingInput, match="no neuron covariates were measured"):
            HYPOTHESES[name].statistic.bind(view(bare, name))


def test_a_list_takes_the_place_of_the_set_by_weights_alone(measurements, tmp_path):
    (tmp_path / "mine.txt").write_text("\n".join(map(str, range(8))))
    result = run_suite(measurements, options(set=str(tmp_path / "mine.txt")))
    of = {name: card for card in result.sets for name in card.hypotheses}
    assert {name for name, card in of.items() if card.chosen_by == "elsewhere"} == {
        "entropy.scale",
        "entropy.frequency",
    }
    assert {of[name].chosen_by for name in ("entropy.norm", "frequency.unigram")} == {"effects"}


# size -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["effects.confounded", "effects.chosen-by-effects", "effects.chosen-by-weights"])
def test_null_worlds_are_rejected_at_most_as_often_as_said(name):
    """120 data sets a world; of a 5 % test more than 14 are rejected with probability .0006."""
    scenario = scenarios()[name]
    rejected = dict.fromkeys(scenario.hypotheses, 0)
    for index in range(120):
        made = planted(scenario.settings, run.dataset_seed(name, 10_000 + index), scenario.pieces)
        data = PreparedData(made.measurements, str(scenario.settings.n_head))
        for hypothesis in scenario.hypotheses:
            row = run.test(HYPOTHESES[hypothesis], data, made, index, with_truth=False, twin=None)
            rejected[hypothesis] += row["p"] < 0.05
    assert max(rejected.values()) <= 14, rejected


def test_scenarios_cover_every_hypothesis():
    own = {s.name: s for s in paper.scenarios()}
    for name in HYPOTHESES:
        nulls = [s for s in own.values() if s.purpose == "null" and name in s.hypotheses]
        effects = [s for s in own.values() if s.purpose != "null" and name in s.hypotheses]
        assert len(nulls) >= 3
        assert len({s.strength for s in effects}) >= 4
    assert all(dataclasses.asdict(s.settings).get(s.setting, 0.0) == s.strength for s in own.values())


def test_strong_effects_leave_what_is_true_of_other_neurons_alone():
    """The truth of null sets comes from the world without the effect, so an effect must not move ordinary neurons."""
    settings = replace(WORLD, token_effect=0.5, effect_confounding=0.0)
    there, twin = (planted(replace(settings, token_unigram=s), 3, ["effects"]) for s in (1.0, 0.0))
    data = [view(replace(made.measurements, effects=made.truth.effects), "frequency.unigram") for made in (there, twin)]
    found = [HYPOTHESES["frequency.unigram"].statistic.bind(one).of_neurons(0) for one in data]
    ordinary = np.setdiff1d(np.arange(240), there.truth.marked.token)
    # eight of 240 neurons gain 1: a layer's mean would move by .033
    assert float((found[0] - found[1])[torch.from_numpy(ordinary)].mean().abs()) < 0.005


def test_the_record_shows_no_size_above_five_percent():
    """Over all null worlds together: that any of them says so of valid tests has probability .05 at most."""
    head, rows = record.read_record(paper.record)
    assert head["command"].startswith("neuronull calibrate")
    nulls = [r for r in rows if r["purpose"] == "null"]
    assert {r["hypothesis"] for r in nulls} == set(HYPOTHESES)
    too_often = [
        (r["hypothesis"], r["scenario"])
        for r in nulls
        if scipy.stats.binom.sf(r["rejected"]["count"] - 1, r["rejected"]["of"], 0.05) < 0.05 / len(nulls)
    ]
    assert too_often == []
