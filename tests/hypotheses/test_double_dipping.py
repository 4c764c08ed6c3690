"""Designs that use the data twice cry wolf on null data; the shipped ones do not.

Why: docs/methods.md#halves, docs/methods.md#matched-sets.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
import torch

from neuronull.data.planted import Settings, planted_measurements
from neuronull.estimators import regimes
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.engine import assess, sample
from neuronull.hypotheses.inference.permutation import permutation_p
from neuronull.hypotheses.nulls.base import Observed
from neuronull.hypotheses.nulls.document_swaps import DocumentSwaps
from neuronull.hypotheses.nulls.matched_sets import MatchedSets
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.statistics.contrasts import BoundContrast
from neuronull.hypotheses.statistics.lean import lean_of

DATASETS = 120
REPLICATES = 59
ALPHA = 0.05
BAR = ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / DATASETS)
"""Rejections that a test of exact size exceeds once in 700 runs."""


@pytest.fixture(scope="module")
def null_data() -> list[PreparedData]:
    """Classes alike in every neuron; noisy documents, so that the plateau is partly chosen by noise."""
    settings = Settings(documents=30, pairs=4, neurons=240, scatter=0.0, influence_sd=0.3, document_neuron_sd=0.4)
    return [PreparedData(planted_measurements(settings, seed, ["influence"])) for seed in range(DATASETS)]


def same_half_p(prepared: PreparedData) -> float:
    """The plateau of each half scored on that half: t-test of the documents' leanings."""
    sums = prepared.influence_sums.x[..., 0].clamp_min(1e-12).log()
    lean = sums[:, 0] - sums[:, 1]
    lean = lean - lean.mean(1, keepdim=True)
    chosen = regimes.top(prepared.influence[:, 0], prepared.n_head)
    contrast = torch.stack([lean[d, chosen[side]].mean() for d, side in enumerate(prepared.half.tolist())])
    return float(scipy.stats.ttest_1samp(contrast.numpy(), 0, alternative="greater").pvalue)


def other_half_p(prepared: PreparedData) -> float:
    """The shipped design, document null alone (there is no neuron-by-class scatter in these data)."""
    bound = catalogue.hypothesis("specialists.selectivity").statistic.bind(prepared)
    drawn = sample(bound, DocumentSwaps(), prepared, REPLICATES, 0)
    return permutation_p(float(drawn.statistic[0, 0]), drawn.statistic[1:, 0]).value


def rejected(p_values: list[float]) -> float:
    return float(np.mean(np.array(p_values) <= ALPHA))


def test_choosing_and_scoring_on_one_half_finds_specialists_in_noise(null_data):
    assert rejected([same_half_p(s) for s in null_data]) > 0.5


def test_choosing_on_the_other_half_does_not(null_data):
    assert rejected([other_half_p(s) for s in null_data]) <= BAR


def test_documents_alone_take_scatter_for_specialists_and_two_sources_do_not():
    settings = Settings(documents=24, pairs=3, neurons=240, scatter=0.5, position_sd=0.4)
    hypothesis = catalogue.hypothesis("specialists.selectivity")
    one, both = [], []
    for seed in range(1000, 1000 + DATASETS):
        prepared = PreparedData(planted_measurements(settings, seed, ["influence"]))
        bound = hypothesis.statistic.bind(prepared)
        of_documents = BoundContrast(prepared.influence_sums, *lean_of(prepared.n_head))
        drawn = sample(of_documents, catalogue.nulls.get("document_swaps"), prepared, REPLICATES, seed)
        one.append(permutation_p(float(drawn.statistic[0, 0]), drawn.statistic[1:, 0]).value)
        drawn = [sample(bound, catalogue.nulls.get(name), prepared, REPLICATES, seed) for name in hypothesis.nulls]
        both.append(max(permutation_p(float(d.statistic[0, 0]), d.statistic[1:, 0]).value for d in drawn))
    assert rejected(one) > 0.2
    assert rejected(both) <= BAR


# neuron sets ----------------------------------------------------------------------------------------------------

NEURONS, SET = 60, 15
MANY = 500


def sets_that_overlap(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Plateaus of the two halves: four fifths in common, as real ones are."""
    order = rng.permutation(NEURONS)
    return order[:SET], order[3 : SET + 3]


def shipped(rng, score, a, b, replicate_seed):
    strata = torch.zeros(NEURONS, dtype=torch.int64)
    null = MatchedSets()
    observed = Observed(
        "neurons", torch.arange(NEURONS), sets=(torch.from_numpy(a), torch.from_numpy(b)), strata=strata
    )
    images = null.draw(null.prepare(None, observed), range(1, REPLICATES + 1), replicate_seed).numpy()
    return (score[images[:, a]].mean(1) + score[images[:, b]].mean(1)) / 2


def left_out(rng, score, a, b, replicate_seed):
    """Control sets drawn from neurons outside the plateau."""
    pool = np.setdiff1d(np.arange(NEURONS), np.union1d(a, b))
    out = []
    for _ in range(REPLICATES):
        order = rng.permutation(pool)
        out.append((score[order[:SET]].mean() + score[order[3 : SET + 3]].mean()) / 2)
    return np.array(out)


def anew_for_each_half(rng, score, a, b, replicate_seed):
    """Two unrelated control sets a draw, where the plateaus overlap."""
    return np.array(
        [
            (score[rng.permutation(NEURONS)[:SET]].mean() + score[rng.permutation(NEURONS)[:SET]].mean()) / 2
            for _ in range(REPLICATES)
        ]
    )


def size(design) -> float:
    p = []
    for seed in range(MANY):
        rng = np.random.default_rng(seed)
        score = rng.normal(size=NEURONS)
        a, b = sets_that_overlap(rng)
        null = design(rng, score, a, b, seed)
        p.append(permutation_p(float((score[a].mean() + score[b].mean()) / 2), null).value)
    return rejected(p)


def test_one_permutation_of_all_neurons_for_both_halves_has_its_size():
    assert size(shipped) <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / MANY)


@pytest.mark.parametrize("design", [left_out, anew_for_each_half])
def test_other_ways_to_draw_control_sets_cry_wolf(design):
    assert size(design) > 0.08


# influence that follows the covariates ----------------------------------------------------------------------------


@pytest.mark.slow
def test_strata_take_confounded_covariates_for_an_effect_and_reselection_does_not():
    """Neurons of large scale are more influential and more correlated; the plateau is nothing beyond that."""
    settings = Settings(neurons=960, covariate_link=0.93, confounding=0.45)
    by_strata, reselected = [], []
    for seed in range(DATASETS // 2):
        prepared = PreparedData(planted_measurements(settings, seed, ["influence", "activations"]))
        bound = catalogue.hypothesis("coordination.dimension").statistic.bind(prepared)
        for null, ps in (("matched_sets", by_strata), ("reselected_sets", reselected)):
            drawn = sample(bound, catalogue.nulls.get(null), prepared, REPLICATES, seed)
            ps.append(permutation_p(float(drawn.statistic[0, 0]), drawn.statistic[1:, 0]).value)
    assert rejected(by_strata) > 0.15
    assert rejected(reselected) <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / len(reselected))


@pytest.mark.slow
def test_what_null_sets_share_with_the_set_is_taken_out_of_the_estimate():
    """Half of each null set is the set itself here; the effect is what the same sets show beyond an unplanted twin."""
    world = Settings(neurons=960, covariate_link=0.93, confounding=0.45, raised_both=1.0)
    hypothesis = catalogue.hypothesis("clusters.cohesion")
    null = catalogue.nulls.get("reselected_sets")
    found, true = [], []
    for seed in range(10):
        pieces = ["influence", "activations"]
        prepared = PreparedData(planted_measurements(dataclasses.replace(world, cohesion=0.1), seed, pieces))
        twin = PreparedData(planted_measurements(world, seed, pieces))
        bound, without = (hypothesis.statistic.bind(s) for s in (prepared, twin))
        drawn = sample(bound, null, prepared, REPLICATES, 0)
        assert 0.1 < drawn.shared < 0.4
        found.append(assess(hypothesis, bound, prepared, (drawn,), ALPHA).outputs[0].estimate)
        sets = torch.stack(prepared.set)[None]
        values = [b.evaluate("neurons", sets, range(1), 0).estimate.item() for b in (bound, without)]
        true.append(values[0] - values[1])
    assert np.mean(found) == pytest.approx(np.mean(true), rel=0.12)


def test_sets_share_all_pairs_with_themselves_and_none_with_others():
    prepared = PreparedData(planted_measurements(Settings(neurons=480), 0, ["influence", "activations", "heads"]))
    bound = catalogue.hypothesis("clusters.cohesion").statistic.bind(prepared)
    own = torch.stack(bound.sets)[None]
    others = torch.tensor([i for i in range(480) if i not in set(own.flatten().tolist())])
    half_own = own.clone()
    half_own[..., 4:] = others[:4]
    drawn = torch.cat([own, others[:8].expand(1, 2, 8), half_own])
    assert bound.shared("neurons", drawn).tolist() == pytest.approx([1.0, 0.0, 4 * 3 / (8 * 7)])
    assert bound.shared("labels", None) is None
    concentration = catalogue.hypothesis("routing.concentration").statistic.bind(prepared)
    own = torch.stack(concentration.sets)[None]
    half_own = own.clone()
    half_own[..., 4:] = others[4:8]
    assert concentration.shared("neurons", torch.cat([own, half_own])).tolist() == [1.0, 0.5], "a mean over members"
    rest = torch.tensor(others[4:8].tolist()).expand(2, 4)[None]
    found = concentration.evaluate("neurons", torch.cat([own, half_own]), range(2), 0)
    assert found.estimate[0] == found.statistic[0], "the set itself is whole"
    assert found.estimate[1] == pytest.approx(float(concentration.evaluate("neurons", rest, range(1), 0).estimate))
    assert found.statistic[1] != pytest.approx(float(found.estimate[1])), "ranked with all members"
    tails = catalogue.hypothesis("tails.weights").statistic.bind(
        PreparedData(planted_measurements(Settings(neurons=480), 0, ["influence", "weights"]))
    )
    assert tails.shared("neurons", own) is None, "no mean"


@pytest.mark.parametrize("link", [0.93, 0.98])
def test_an_effect_that_null_sets_hold_too_is_not_called_absent(link):
    """Where covariates tell who is influential, reselected sets hold the effect; matched sets do not."""
    settings = Settings(neurons=960, covariate_link=link, weight_cluster=0.1)
    hypothesis = catalogue.hypothesis("clusters.weights")
    alone, both = [], []
    for seed in range(12):
        prepared = PreparedData(planted_measurements(settings, seed, ["influence", "weights"]))
        bound = hypothesis.statistic.bind(prepared)
        drawn = tuple(sample(bound, catalogue.nulls.get(n), prepared, REPLICATES, seed) for n in hypothesis.nulls)
        alone.append(drawn[0].estimate[0, 0] - drawn[0].mean[0] + 1.645 * drawn[0].sd[0])
        both.append(assess(hypothesis, bound, prepared, drawn, ALPHA).outputs[0].verdict.high)
    assert np.mean(np.array(both) < hypothesis.margin) <= 0.1
    if link > 0.95:
        assert np.mean(np.array(alone) < hypothesis.margin) > 0.5, "what the second null guards against"


def test_a_set_of_other_heads_is_not_for_that_more_concentrated():
    """Null sets that hold part of it mix two profiles, which is less concentrated than either: .08 came out."""
    estimates, settings = [], Settings(neurons=480, pairs=8, covariate_link=0.8, raised_both=3.0)
    for seed in range(6):
        made = planted_measurements(settings, seed, ["influence", "heads"])
        heads = made.heads
        own = PreparedData(made).blind_set[0]
        single = torch.from_numpy(np.flatnonzero(heads.reachable & (heads.head >= 0)))
        effect = heads.effect.clone()
        others = single[torch.from_numpy(np.random.default_rng(seed).permutation(len(single)))]
        for head, other in zip(single.tolist(), others.tolist(), strict=True):
            effect[head][..., own] = heads.effect[other][..., own]
        prepared = PreparedData(dataclasses.replace(made, heads=dataclasses.replace(heads, effect=effect)))
        hypothesis = catalogue.hypothesis("routing.concentration")
        sampled = sample(
            hypothesis.statistic.bind(prepared), catalogue.nulls.get("reselected_sets"), prepared, 99, seed
        )
        assert sampled.shared > 0.1
        estimates.append(float(sampled.effect[0]))
    assert abs(np.mean(estimates)) < 0.02
