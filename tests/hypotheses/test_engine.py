"""The engine: one path for observed and null, the same numbers for any worker count, and the two-way rule."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from neuronull.data.errors import InputError, MissingInput
from neuronull.data.options import TestOptions
from neuronull.data.planted import JointSettings, Settings, TrainingSettings, planted, planted_joint_ablation
from neuronull.data.planted.settings import ALL_PIECES
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.choice import check_replicates, choose
from neuronull.hypotheses.engine import JACKKNIFED, TILE, Output, Sampled, assess, assess_p, reported_null, sample
from neuronull.hypotheses.findings import familywise_bounds
from neuronull.hypotheses.hypothesis import Hypothesis
from neuronull.hypotheses.inference import intervals
from neuronull.hypotheses.inference.permutation import max_t, permutation_p
from neuronull.hypotheses.inference.verdicts import Absence, Presence
from neuronull.hypotheses.joint_sets import joint_sets
from neuronull.hypotheses.nulls.base import Observed
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.statistic import BoundStatistic, Statistic, TwoSources, Values
from neuronull.hypotheses.suite import run_suite
from neuronull.hypotheses.views import prepare

ALL = tuple(catalogue.known_hypotheses())
SMALL = TrainingSettings(documents=24, pairs=5, neurons=240, width=24, heads=16)


@pytest.fixture(scope="module")
def prepared() -> PreparedData:
    """Planted measurements with checkpoints and every joint ablation that the tests below look up."""
    made = planted(SMALL, 3, ALL_PIECES)
    every = [TestOptions(only=ALL, replicates=199, seed=seed) for seed in (0, 5)]
    tables = [joint_sets(prepare(made.measurements, choose(options), options), options).table for options in every]
    sets = pd.concat(tables, ignore_index=True)
    sets = sets[~sets.assign(members=sets["members"].map(tuple)).duplicated()].reset_index(drop=True)
    return PreparedData(
        replace(made.measurements, joint_ablation=planted_joint_ablation(JointSettings(), made, sets, 0).joint_ablation)
    )


def bound_of(name: str, prepared: PreparedData) -> tuple[Hypothesis, BoundStatistic]:
    hypothesis = catalogue.hypothesis(name)
    return hypothesis, hypothesis.statistic.bind(prepared)


@pytest.mark.parametrize("name", ALL)
def test_workers_do_not_change_a_bit(name, prepared):
    hypothesis, bound = bound_of(name, prepared)
    null = catalogue.nulls.get(hypothesis.nulls[-1])
    one, three = (sample(bound, null, prepared, 2 * TILE + 7, 5, jobs) for jobs in (1, 3))
    assert np.array_equal(one.estimate, three.estimate)
    assert np.array_equal(one.statistic, three.statistic)


@pytest.mark.parametrize("name", ALL)
def test_a_replicate_is_the_same_in_any_batch(name, prepared):
    """Draws are keyed by number alone: the tenth by itself is the tenth of twelve, to rounding."""
    hypothesis, bound = bound_of(name, prepared)
    for null_name in hypothesis.nulls:
        null = catalogue.nulls.get(null_name)
        state = null.prepare(prepared.measurements, bound.offers()[null.randomises])
        whole = bound.evaluate(null.randomises, null.draw(state, range(1, 13), 5), range(1, 13), 5)
        alone = bound.evaluate(null.randomises, null.draw(state, range(10, 11), 5), range(10, 11), 5)
        torch.testing.assert_close(whole.estimate[9:10], alone.estimate, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(whole.statistic[9:10], alone.statistic, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_replicate_0_is_the_observed_one(name, prepared):
    """The identity draw is a draw like any other, and every null starts from the same observed estimate."""
    hypothesis, bound = bound_of(name, prepared)
    found = [sample(bound, catalogue.nulls.get(null), prepared, 3, 0) for null in hypothesis.nulls]
    for sampled in found:
        assert sampled.estimate[0] == pytest.approx(found[0].estimate[0], rel=1e-9)
    kinds = [catalogue.nulls.get(null).randomises for null in hypothesis.nulls]
    for kind, sampled in zip(kinds, found, strict=True):
        by_hand = bound.evaluate(kind, bound.identity(kind), range(1), 0)
        assert np.array_equal(by_hand.estimate.numpy(), sampled.estimate[:1])


@pytest.mark.parametrize("name", ALL)
def test_estimates_without_a_document_scatter_around_the_estimate(name, prepared):
    """Delete-one values come from another path; their mean must be the estimate up to the jackknife's small bias."""
    _, bound = bound_of(name, prepared)
    without = bound.leave_one_out()
    if without is None:
        return
    kind = next(iter(bound.offers()))
    observed = bound.evaluate(kind, bound.identity(kind), range(1), 0).estimate[0]
    assert without.shape == (len(prepared.documents), len(bound.outputs))
    for k in range(without.shape[1]):
        se = intervals.jackknife_se(without[:, k].numpy(), prepared.half)
        assert abs(float(without[:, k].mean() - observed[k])) < max(0.5 * se, 1e-9)


@dataclass(frozen=True)
class Made(Statistic):
    """A statistic whose values are given: under labels and under influence."""

    values: tuple[tuple[float, ...], tuple[float, ...]] = ((0.0,), (0.0,))

    def bind(self, prepared: PreparedData) -> BoundMade:
        return BoundMade(self.values, len(prepared.documents))


class BoundMade(BoundStatistic):
    def __init__(self, values: tuple[tuple[float, ...], tuple[float, ...]], documents: int) -> None:
        self.values, self.documents = values, documents

    def offers(self):
        return {
            "labels": Observed("labels", torch.zeros(4, dtype=torch.bool)),
            "influence": Observed("influence", torch.ones(2, 2, 4, dtype=torch.float64)),
        }

    def evaluate(self, kind, draws, replicates, seed):
        given = self.values[0 if kind == "labels" else 1]
        x = torch.tensor([[given[r]] for r in replicates], dtype=torch.float64)
        return Values(x, x)

    def leave_one_out(self):
        return torch.linspace(-0.1, 0.1, self.documents, dtype=torch.float64)[:, None]


def made(first, second, centred=False):
    return Hypothesis(
        "made.up",
        "A claim.",
        Presence(0.1, "units", ""),
        Made("made", centred=centred, values=(first, second)),
        ("document_swaps", "neuron_swaps"),
    )


def assessed(hypothesis, prepared, replicates=9):
    bound = hypothesis.statistic.bind(prepared)
    sampled = tuple(sample(bound, catalogue.nulls.get(n), prepared, replicates, 0) for n in hypothesis.nulls)
    return assess(hypothesis, bound, prepared, sampled, 0.05)


@pytest.mark.parametrize("worse_first", [True, False])
def test_the_larger_of_two_ps_counts(worse_first, prepared):
    sure, unsure = (5.0, *range(-9, 0)), (5.0, 6.0, 7.0, 8.0, *range(-6, 0))
    first, second = (unsure, sure) if worse_first else (sure, unsure)
    found = assessed(made(first, second), prepared)
    assert found.p.value == pytest.approx(4 / 10)
    assert found.deciding_null.null == ("document_swaps" if worse_first else "neuron_swaps")
    assert found.outputs[0].p == found.p
    assert {assess_p(found.hypothesis, s).value for s in found.nulls} == {0.1, 0.4}


def test_the_wider_null_sets_the_verdict_interval(prepared):
    narrow, wide = (1.0, *np.linspace(-0.01, 0.01, 9)), (1.0, *np.linspace(-3, 3, 9))
    found = assessed(made(narrow, wide), prepared).outputs[0]
    assert found.se == pytest.approx(np.std(wide[1:], ddof=1))
    assert found.se_documents is not None
    assert found.se_documents < found.se
    assert found.verdict.low < found.document.low < found.document.high < found.verdict.high
    assert found.verdict.df == found.document.df == prepared.smaller_half - 1
    assert (found.verdict.level, found.document.level) == (pytest.approx(0.9), 0.95)


def test_centred_estimates_are_taken_less_the_null_mean(prepared):
    values = (5.0, *np.linspace(1, 3, 9))
    plain, centred = (assessed(made(values, values, c), prepared) for c in (False, True))
    assert plain.outputs[0].estimate == 5
    assert centred.outputs[0].estimate == pytest.approx(3)
    assert centred.p == plain.p
    assert centred.outputs[0].verdict.low == pytest.approx(plain.outputs[0].verdict.low - 2)


def test_a_draw_without_a_value_is_an_error(prepared):
    with pytest.raises(InputError, match="1 of 10 draws of document_swaps gave no finite value"):
        assessed(made((1.0, np.nan, *range(8)), tuple(range(10))), prepared)


def test_a_null_of_another_object_is_an_error(prepared):
    _, bound = bound_of("specialists.selectivity", prepared)
    with pytest.raises(InputError, match="matched_sets randomises neurons; this hypothesis offers labels, influence"):
        sample(bound, catalogue.nulls.get("matched_sets"), prepared, 9, 0)


def test_several_outputs_share_draws_and_are_adjusted_together(prepared):
    hypothesis, bound = bound_of("routing.heads", prepared)
    sampled = sample(bound, catalogue.nulls.get("document_swaps"), prepared, 99, 0)
    found = assess(hypothesis, bound, prepared, (sampled,), 0.05)
    adjusted = max_t(sampled.statistic[0], sampled.statistic[1:])
    both = bound.two_sources()
    tail = np.minimum(1, len(adjusted) * scipy.stats.t.sf(sampled.estimate[0] / both.se, both.df))
    assert [o.p.value for o in found.outputs] == pytest.approx(np.maximum(adjusted, tail).tolist())
    assert found.p.value == min(o.p.value for o in found.outputs)
    assert len({o.se for o in found.outputs}) == len(found.outputs)


SETS = ("clusters.within", "clusters.cohesion", "coordination.dimension", "routing.concentration")


@pytest.mark.parametrize("name", SETS)
def test_null_sets_without_a_document_are_those_sets_without_it(name, prepared):
    """Against data whose sets *are* the null sets."""
    hypothesis, bound = bound_of(name, prepared)
    null = catalogue.nulls.get("matched_sets")
    draws = null.draw(null.prepare(prepared.measurements, bound.offers()["neurons"]), range(1, 4), 5)
    found = bound.draws_without("neurons", draws, range(1, 4), 0)
    assert found.shape == (3, len(prepared.documents), 1)
    for row, draw in enumerate(draws):
        there = PreparedData(prepared.measurements)
        there.__dict__["strata"] = prepared.strata
        for kind in ("chosen", "blind_chosen"):
            sets = tuple(draw[s] for s in getattr(prepared, kind).sets)
            there.__dict__[kind] = replace(getattr(prepared, kind), sets=sets)
        alone = hypothesis.statistic.bind(there)
        left = alone.draws_without("neurons", alone.identity("neurons"), range(row + 1, row + 2), 0)
        torch.testing.assert_close(found[row], left[0])


@pytest.mark.parametrize("name", SETS)
def test_a_document_moves_the_difference_from_null_sets(name, prepared):
    """Standard error of the set less the null mean against a loop over documents of that very difference."""
    hypothesis, bound = bound_of(name, prepared)
    null = catalogue.nulls.get("matched_sets")
    sampled = sample(bound, null, prepared, JACKKNIFED, 5)
    found = assess(replace(hypothesis, nulls=("matched_sets",)), bound, prepared, (sampled,), 0.05).outputs[0]
    draws = null.draw(null.prepare(prepared.measurements, bound.offers()["neurons"]), range(1, JACKKNIFED + 1), 5)
    own = bound.leave_one_out()[:, 0].numpy()
    others = np.mean([
        bound.draws_without("neurons", draw[None], range(b, b + 1), 5)[0, :, 0].numpy()
        for b, draw in enumerate(draws, 1)
    ], axis=0)  # fmt: skip
    assert found.se_documents == pytest.approx(
        sampled.unshared * intervals.jackknife_se(own - others, prepared.half), rel=1e-6
    )


class Shaken(BoundMade):
    """Documents move null draws as they move the observed."""

    def draws_without(self, kind, draws, replicates, seed):
        return self.leave_one_out()[None].expand(len(draws), -1, -1)


def test_what_moves_the_set_and_null_sets_alike_is_no_error_of_their_difference(prepared):
    bound = Shaken(((5.0, *np.linspace(1, 3, 9)),) * 2, len(prepared.documents))
    sampled = tuple(sample(bound, catalogue.nulls.get(n), prepared, 9, 0) for n in ("document_swaps", "neuron_swaps"))
    hypothesis = made((0.0,), (0.0,), centred=True)
    assert assess(hypothesis, bound, prepared, sampled, 0.05).outputs[0].se_documents == pytest.approx(0, abs=1e-12)


@pytest.mark.slow
def test_refuting_bounds_hold_for_all_heads_at_once():
    """Of 20 heads whose true effects lie at the margin, no lower bound is above it in nine worlds of ten and more."""
    rng, worlds, heads, documents = np.random.default_rng(1), 2000, 20, 40
    x = rng.normal(size=(worlds, heads, documents))
    mean, se = x.mean(-1), x.std(-1, ddof=1) / documents**0.5
    plain, familywise = 0, 0
    for world in range(worlds):
        outputs = [
            Output("", m, permutation_p(1.0, np.zeros(9)), s, s, None,
                   intervals.t_interval(m, s, documents - 1, 0.9), None, "")
            for m, s in zip(mean[world], se[world], strict=True)
        ]  # fmt: skip
        plain += any(o.verdict.low > 0 for o in outputs)
        familywise += any(familywise_bounds(o, 0.05 / heads)[0] > 0 for o in outputs)
    assert plain / worlds > 0.5
    assert familywise / worlds == pytest.approx(1 - (1 - 0.05 / heads) ** heads, abs=4 * (0.05 * 0.95 / worlds) ** 0.5)


def test_members_of_a_weight_cluster_are_a_source_of_error(prepared):
    """Delete-one-neuron standard error of the mean cosine, both sets averaged, against plain loops."""
    _, bound = bound_of("clusters.weights", prepared)

    def cosine(members):
        total = []
        for weights in (prepared.w_out.double(), prepared.w_in.double()):
            unit = weights[members] / weights[members].norm(dim=1, keepdim=True)
            product = unit @ unit.T
            total.append(product[~torch.eye(len(members), dtype=torch.bool)].mean().item())
        return np.mean(total)

    sets = [s.tolist() for s in prepared.set]
    union = sorted(set(sets[0]) | set(sets[1]))
    theta = np.array([np.mean([cosine([m for m in p if m != gone]) for p in sets]) for gone in union])
    wanted = np.sqrt((len(union) - 1) / len(union) * ((theta - theta.mean()) ** 2).sum())
    assert bound.member_se() == pytest.approx(wanted, rel=1e-9)
    assert bound_of("tails.weights", prepared)[1].member_se() is None


def test_the_opposite_of_a_plateau_supports_no_plateau():
    """A head that climbs is no flat one: the claim is refuted, however small a two-sided p would be."""
    settings = Settings(documents=60, neurons=640, covariate_link=0.0, flat_both=-2.0)
    measurements = planted(settings, 4, ["influence"]).measurements
    finding = run_suite(measurements, TestOptions(replicates=199, only=("regimes.flatness",))).finding(
        "regimes.flatness"
    )
    assert finding.estimate < -1
    assert finding.p_value > 0.9
    assert finding.verdict == "refuted"


def test_two_sided_claims_have_two_sided_ps(prepared):
    hypothesis, bound = bound_of("regimes.recruitment", prepared)
    sampled = sample(bound, catalogue.nulls.get("document_swaps"), prepared, 99, 0)
    two = permutation_p(float(sampled.statistic[0, 0]), sampled.statistic[1:, 0], "two-sided")
    assert assess_p(hypothesis, sampled) == two


def test_spread_and_mean_are_of_the_null_alone():
    values = np.array([[100.0], [1.0], [2.0], [3.0]])
    sampled = Sampled(catalogue.nulls.get("matched_sets"), values, values)
    assert sampled.mean[0] == 2
    assert sampled.sd[0] == 1


def test_what_null_sets_share_of_an_effect_is_no_spread():
    """Sets that hold from none to 40 % of an effect: told with the shares, spread and effect are as without it."""
    rng = np.random.default_rng(0)
    noise, share = rng.normal(size=500), 0.4 * rng.random(500)
    chance, with_own = noise[:, None] - noise.mean(), np.concatenate([[1.0], share])
    for effect in (0.0, 50.0):
        values = np.concatenate([[[effect]], share[:, None] * effect + chance])
        sampled = Sampled(catalogue.nulls.get("matched_sets"), values, values, with_own)
        assert sampled.effect[0] == pytest.approx(effect, abs=1e-9)
        assert sampled.effect_sd[0] == pytest.approx(sampled.unshared * noise.std(ddof=1))
    assert Sampled(catalogue.nulls.get("matched_sets"), values, values).effect_sd[0] > 4, (
        "without them it grows with the effect"
    )


@pytest.mark.parametrize(("shares", "held"), [((0.1, 0.1), 0), ((0.6, 0.1), 1), ((0.1, 0.6), 0), ((0.6, 0.7), 0)])
def test_the_estimate_is_told_under_a_null_whose_sets_are_others(shares, held):
    values = np.zeros((3, 1))
    assert (
        reported_null(
            tuple(Sampled(catalogue.nulls.get("matched_sets"), values, values, np.full(3, share)) for share in shares)
        )
        == held
    )


def test_only_a_quadratic_estimate_has_its_pairs_counted(prepared):
    _, profile = bound_of("routing.profile", prepared)
    _, heads = bound_of("routing.heads", prepared)
    assert profile.second_order().shape == (1,)
    assert heads.second_order() is None
    hypothesis = replace(catalogue.hypothesis("routing.profile"), nulls=("document_swaps",))
    found = assessed_with(hypothesis, profile, prepared)
    left = profile.leave_one_out()[:, 0].numpy()
    expected = intervals.quadratic_interval(
        found.estimate, intervals.jackknife_se(left, prepared.half), float(profile.second_order()),
        prepared.smaller_half - 1,
        0.95,
    )  # fmt: skip
    assert [found.document.low, found.document.high] == pytest.approx([expected.low, expected.high])


class BoundBoth(BoundMade):
    """Documents and neurons move it: errors .3 and .4, and .2 in cells."""

    def two_sources(self):
        return TwoSources(np.array([0.3]), np.array([0.4]), np.array([0.04]), 7.0)


@dataclass(frozen=True)
class MadeOfBoth(Made):
    def bind(self, prepared: PreparedData) -> BoundBoth:
        return BoundBoth(self.values, len(prepared.documents))


@pytest.mark.parametrize("centred", [False, True])
def test_what_documents_and_neurons_move_has_the_error_of_both(centred, prepared):
    """Interval and least p come from sqrt(.09 + .16 - .04) at 7 degrees of freedom, whatever the draws say."""
    hypothesis = made((1.0, *[0.0] * 9), (1.0, *[0.0] * 9), centred)
    hypothesis = replace(hypothesis, statistic=MadeOfBoth("both", centred, values=hypothesis.statistic.values))
    found = assessed(hypothesis, prepared, 9)
    (output,) = found.outputs
    se = 0.21**0.5
    reach = scipy.stats.t.ppf(0.95, 7) * se
    assert (output.verdict.low, output.verdict.high) == pytest.approx((1 - reach, 1 + reach))
    assert output.p.value == pytest.approx(max(0.1, scipy.stats.t.sf(1 / se, 7)))
    strong = replace(hypothesis, statistic=MadeOfBoth("both", centred, values=((0.1, *[0.0] * 9),) * 2))
    assert assessed(strong, prepared, 9).p.value == pytest.approx(scipy.stats.t.sf(0.1 / se, 7))


def assessed_with(hypothesis, bound, prepared):
    sampled = sample(bound, catalogue.nulls.get(hypothesis.nulls[0]), prepared, 9, 0)
    return assess(hypothesis, bound, prepared, (sampled,), 0.05, with_details=False).outputs[0]


@pytest.mark.parametrize("baselines", [2, 19])
def test_the_two_baseline_design_is_refused_and_says_why(baselines, prepared):
    wanted = [catalogue.hypothesis("clusters.within")]
    with pytest.raises(InputError, match="no p-value can be below") as refused:
        check_replicates(wanted, TestOptions(replicates=baselines))
    said = str(refused.value)
    assert f"with {baselines} null draws" in said
    assert f"{1 / (1 + baselines):.3g}" in said
    assert "give at least 20" in said
    with pytest.raises(InputError, match="give at least 40"):
        run_suite(prepared.measurements, TestOptions(replicates=baselines, only=("regimes",)))


def test_a_family_of_three_needs_three_times_the_draws():
    wanted = [
        catalogue.hypothesis(n)
        for n in ("clusters.within", "clusters.cohesion", "clusters.weights", "clusters.rewired")
    ]
    with pytest.raises(InputError, match="3 verdicts of family clusters"):
        check_replicates(wanted, TestOptions(replicates=59))
    check_replicates(wanted, TestOptions(replicates=60))


@pytest.mark.parametrize("name", ["clusters.within", "routing.heads", "clusters.weights", "coordination.dimension"])
def test_what_was_not_measured_is_said(name, prepared):
    bare = PreparedData(replace(prepared.measurements, activation=None, heads=None, w_out=None))
    with pytest.raises(MissingInput, match=r"no .* were (measured|kept)"):
        sampled_anew(name, bare)


def sampled_anew(name: str, prepared: PreparedData) -> Sampled:
    hypothesis, bound = bound_of(name, prepared)
    return sample(bound, catalogue.nulls.get(hypothesis.nulls[-1]), prepared, 3, 0)


def test_without_covariates_null_sets_that_match_are_refused_and_random_ones_are_not(prepared):
    bare = PreparedData(replace(prepared.measurements, neurons=None))
    _, bound = bound_of("clusters.within", bare)
    for null in ("matched_sets", "reselected_sets"):
        with pytest.raises(MissingInput, match="needs the neurons' covariates"):
            sample(bound, catalogue.nulls.get(null), bare, 3, 0)
    found = sample(bound, catalogue.nulls.get("random_sets"), bare, 3, 0)
    assert found.estimate[0] == sample(bound_of("clusters.within", prepared)[1],
                                       catalogue.nulls.get("random_sets"), prepared, 3, 0).estimate[0]  # fmt: skip


def test_hypotheses_declare_a_family_and_one_or_two_nulls():
    with pytest.raises(ValueError, match=r"family\.name"):
        replace(made((0.0,), (0.0,)), id="nofamily")
    with pytest.raises(ValueError, match="declares 0"):
        replace(made((0.0,), (0.0,)), nulls=())
    assert replace(made((0.0,), (0.0,)), criterion=Absence(0.1, "u", "")).kind == "absence"
