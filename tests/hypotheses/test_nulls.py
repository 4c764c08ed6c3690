"""The catalogue of null models: every check on each, uniformity by enumeration, ensembles against their targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch

from neuronull.data.errors import InputError, MissingInput
from neuronull.data.options import TestOptions
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.planted.settings import Settings
from neuronull.estimators import correlation_nulls, rewiring
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.checks.testing import parametrize_with_checks
from neuronull.hypotheses.engine import sample
from neuronull.hypotheses.nulls.base import RANDOMISES, NullModel, Observed, generator
from neuronull.hypotheses.nulls.blocks import blocks_of, document_blocks, permuted
from neuronull.hypotheses.nulls.graphs import effective_observations, example_graph, union_of
from neuronull.hypotheses.nulls.head_sets import HeadSets, distinct_sets, effect_strata
from neuronull.hypotheses.nulls.hqs import HQS, hqs_population, moments
from neuronull.hypotheses.nulls.shuffled_corpus import ShuffledCorpus
from neuronull.hypotheses.prepared import PreparedData
from tests.hypotheses.test_checks import RUN


@parametrize_with_checks(RUN)
def test_every_null_of_the_catalogue_passes_every_check(target: NullModel, check: Callable[[NullModel], None]) -> None:
    check(target)


@pytest.mark.parametrize("name", RUN)
def test_as_many_checks_apply_as_are_promised(name: str) -> None:
    """Cheap: which checks skip follows from `space` and from the state."""
    null = catalogue.nulls.get(name)
    known = null.randomises == "labels" or name in ("matched_sets", "random_sets", "neuron_swaps")
    listed = known or null.space(null.example()) is not None
    plain = name != "shuffled_corpus"
    assert RUN[name] == 15 + listed + plain
    assert null.randomises in RANDOMISES
    assert null.when


# uniformity, by full enumeration that is no code of the null's own ----------------------------------------------------


def test_matched_sets_give_every_image_of_the_set_equally_often() -> None:
    null = catalogue.nulls.get("matched_sets")
    observed = null.example()
    drawn = null.draw(null.prepare(None, observed), range(1, 4001), 5)
    members = observed.sets[0]
    counts = Counter(frozenset(d[members].tolist()) for d in drawn)
    assert set(counts) == {frozenset((a, b)) for a in (0, 1, 2) for b in (3, 4, 5)}
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 1e-4


def test_reselected_sets_begin_at_the_set_and_favour_no_neuron_that_covariates_do_not() -> None:
    rng = np.random.default_rng(1)
    covariates, score = rng.standard_normal((60, 2)), np.tile(rng.standard_normal(60), (2, 1))
    sets = tuple(torch.from_numpy(np.sort(np.argsort(-s)[:8])) for s in score)
    observed = Observed("neurons", torch.arange(60), sets=sets, strata=torch.zeros(60, dtype=torch.int64),
                        score=torch.from_numpy(score), covariates=covariates)  # fmt: skip
    null = catalogue.nulls.get("reselected_sets")
    state = null.prepare(None, observed)
    np.testing.assert_allclose(state.predicted + state.spread * state.residual, score)
    flat = replace(state, predicted=np.zeros_like(score), spread=np.ones_like(score))
    drawn = null.draw(flat, range(1, 3001), 2).numpy()
    assert (drawn[:, 0] == drawn[:, 1]).all(), "one permutation for both halves"
    counts = np.bincount(drawn[:, 0].ravel(), minlength=60)
    statistic = ((counts - 400) ** 2 / (400 * (1 - 8 / 60))).sum() * 59 / 60  # eight of sixty without replacement
    assert scipy.stats.chi2.sf(statistic, 59) > 1e-4


@pytest.mark.parametrize(("name", "width"), [("document_swaps", 4), ("label_swaps", 5), ("neuron_swaps", 4)])
def test_swaps_are_fair_and_independent(name: str, width: int) -> None:
    null = catalogue.nulls.get(name)
    drawn = null.draw(null.prepare(None, null.example()), range(1, 4001), 3)
    counts = np.bincount((drawn.numpy() @ (2 ** np.arange(width))).astype(np.int64), minlength=2**width)
    assert drawn.shape == (4000, width)
    assert scipy.stats.chisquare(counts).pvalue > 1e-4


def test_rewiring_reaches_every_graph_with_the_degrees_equally_often() -> None:
    """Degrees 2 2 2 1 1 on five nodes: a path of five in any order, or a triangle and an edge."""
    wanted = (2, 2, 2, 1, 1)
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    from itertools import combinations

    graphs = [g for g in combinations(pairs, 4) if tuple(np.bincount(np.ravel(g), minlength=5)) == wanted]
    drawn = rewiring.rewire(np.array(graphs[0]), 5, np.arange(4000, dtype=np.uint64), 20.0)
    seen = Counter(tuple(sorted((min(e), max(e)) for e in d.tolist())) for d in drawn)
    assert set(seen) == set(graphs)
    assert scipy.stats.chisquare([seen[g] for g in graphs]).pvalue > 1e-4


# ensembles against their targets -------------------------------------------------------------------------------------


def within(values: Any, wanted: float, sds: float = 4.0) -> bool:
    """Whether the mean of independent values lies within `sds` Monte-Carlo standard errors of `wanted`."""
    x = np.asarray(values, dtype=np.float64)
    return bool(abs(x.mean() - wanted) <= sds * x.std(ddof=1) / np.sqrt(len(x)))


@pytest.mark.parametrize(("mean", "variance"), [(0.1, 0.01), (0.0, 0.04), (0.3, 0.002)])
def test_hqs_populations_have_the_moments_of_the_formulae(mean: float, variance: float) -> None:
    n = 20
    off = np.triu_indices(n, 1)
    drawn = [hqs_population(n, mean, variance, generator(1, r, "test")) for r in range(1, 1501)]
    first = [c[0, 1] for c in drawn]
    assert within(first, mean)
    assert within([(c[0, 1] - mean) ** 2 for c in drawn], variance, 5.0)
    factors = max(2, int((1 - mean**2) / variance))
    assert within([np.diag(c).mean() for c in drawn], float(np.sqrt(mean**2 + factors * variance)))
    assert within([c[off].mean() for c in drawn], mean)


def test_hqs_populations_follow_the_law_of_the_generator_with_explicit_factors() -> None:
    """Same law, drawn in another way: spectra and entries agree (two-sample Kolmogorov-Smirnov)."""
    n, mean, variance = 8, 0.2, 0.03
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n * (n - 1) // 2)
    target = np.eye(n)
    off = np.triu_indices(n, 1)
    target[off] = target.T[off] = mean + np.sqrt(variance) * (x - x.mean()) / x.std()
    explicit = correlation_nulls.hqs(target, np.arange(1500, dtype=np.uint64))
    compact = np.stack([hqs_population(n, mean, variance, generator(2, r, "test")) for r in range(1, 1501)])
    for statistic in (
        lambda c: c[0, 1],
        lambda c: c[2, 2],
        lambda c: np.linalg.eigvalsh(c)[-1],
        lambda c: np.linalg.eigvalsh(c)[0],
    ):
        assert scipy.stats.ks_2samp([statistic(c) for c in explicit], [statistic(c) for c in compact]).pvalue > 1e-4


def test_hqs_draws_have_the_mean_and_the_shared_variance_of_the_data() -> None:
    null, observed = HQS(), example_graph(16, seed=1)
    state = null.prepare(None, observed)
    drawn = moments(null.draw(state, range(1, 801), 0))
    upper = np.triu_indices(16, 1)
    a, b = (observed.value[0, h].numpy()[upper] for h in (0, 1))
    assert state.mean == pytest.approx(max(0.0, (a.mean() + b.mean()) / 2))
    assert state.variance == pytest.approx(np.cov(a, b, ddof=0)[0, 1])
    assert drawn["drawn_mean"] == pytest.approx(state.mean, abs=0.01)
    assert drawn["drawn_shared_variance"] == pytest.approx(state.variance, rel=0.1)
    assert drawn["drawn_variance"] == pytest.approx((a.var() + b.var()) / 2, rel=0.12)


def test_configuration_model_draws_keep_the_strength_of_every_neuron() -> None:
    null, observed = catalogue.nulls.get("correlation_cm"), example_graph(12, seed=2)
    state = null.prepare(None, observed)
    target = observed.value[0].numpy().mean(0)
    assert np.abs(np.diag(state.population) - 1).max() < 1e-8
    assert np.abs(state.population.sum(0) - target.sum(0)).max() < 1e-7
    covariances = correlation_nulls.wishart(state.population, state.t_eff[0], np.arange(2000, dtype=np.uint64))
    strengths = covariances.sum(-1)
    for neuron in range(12):
        assert within(strengths[:, neuron], float(target.sum(0)[neuron]))
    drawn = np.stack([d[0].mean(0).sum(-1).numpy() for d in null.draw(state, range(1, 1001), 0)])
    assert np.abs(drawn.mean(0) - target.sum(0)).max() < 0.06, "normalising to correlations shrinks by about r / 2 T"


def test_random_matrix_draws_keep_the_global_mode_and_nothing_else() -> None:
    """One common factor with known loadings is found again; independent noise has none."""
    rng = np.random.default_rng(0)
    g = rng.uniform(0.3, 0.7, 20)
    x = torch.from_numpy(rng.standard_normal((4000, 1)) * g + rng.standard_normal((4000, 20)) * np.sqrt(1 - g**2))
    null = catalogue.nulls.get("random_matrix")
    r = torch.stack([torch.corrcoef(half.T) for half in (x[:2000], x[2000:])])
    state = null.prepare(None, Observed("graph", torch.stack([r, r])))
    off = ~np.eye(20, dtype=bool)
    assert np.abs(state.population - np.outer(g, g))[off].max() < 0.06
    noise = torch.from_numpy(rng.standard_normal((400, 20)))
    r = torch.stack([torch.corrcoef(half.T) for half in (noise[:200], noise[200:])])
    assert np.abs(null.prepare(None, Observed("graph", torch.stack([r, r]))).population[off]).max() < 0.25


# what the nulls need, and how they refuse ----------------------------------------------------------------------------


def test_blocks_stay_in_their_half_and_tertile_and_keep_their_length() -> None:
    rng = np.random.default_rng(0)
    document = np.sort(rng.integers(0, 12, 200))
    position, half = rng.integers(0, 60, 200), document % 2
    blocks = document_blocks(half, document, position)
    assert sorted(np.concatenate([c.rows.ravel() for c in blocks.classes]).tolist()) == list(range(200))
    cuts = np.quantile(position, [1 / 3, 2 / 3])
    for rows in (c.rows for c in blocks.classes):
        assert len(np.unique(half[rows])) == 1
        assert len(np.unique(np.searchsorted(cuts, position[rows]))) == 1
        assert all(len(np.unique(document[block])) == 1 for block in rows)
    x = rng.standard_normal((200, 3))
    out = permuted(x, blocks, np.random.default_rng(1))
    assert np.array_equal(np.sort(out, 0), np.sort(x, 0))
    assert not np.array_equal(out, x)


def test_effective_observations_are_those_of_documents_not_of_tokens() -> None:
    """Where positions of a document are copies, 40 documents of 10 positions count as 40, not 400."""
    rng = np.random.default_rng(0)
    document = np.repeat(np.arange(80), 10)
    activation = torch.from_numpy(rng.standard_normal((80, 12))[document])
    half = (document >= 40).astype(np.int64)
    r = torch.stack([torch.corrcoef(activation[half == side].T) for side in (0, 1)])
    observed = Observed("graph", torch.stack([r, r]), behind=activation, documents=document, half=half,
                        positions=np.tile(np.arange(10), 80))  # fmt: skip
    t_eff = effective_observations(observed, r.numpy())
    assert all(30 < t < 52 for t in t_eff), t_eff
    alone = Observed("graph", torch.stack([r, r]))
    assert 25 < effective_observations(alone, r.numpy())[0] < 60, "the halves' disagreement knows the documents alone"


def test_the_blocks_of_a_document_move_together_where_lengths_allow() -> None:
    """Documents of unequal length: most neighbours of a document are still neighbours after the permutation."""
    rng = np.random.default_rng(3)
    length = rng.integers(9, 30, 60)
    document = np.repeat(np.arange(60), length)
    position = np.concatenate([np.sort(rng.choice(60, k, replace=False)) for k in length])
    half = (document >= 30).astype(np.int64)
    blocks = document_blocks(half, document, position)
    assert blocks.movable > 0.95
    source = permuted(np.repeat(document[:, None].astype(np.float64), 4, 1), blocks, np.random.default_rng(0))
    kept = [[np.bincount(source[document == d, j].astype(int)).max() / length[d] for d in range(60)] for j in range(4)]
    assert np.mean(kept) > 0.6, "the largest share of a document's rows that come from one document"
    assert not np.array_equal(source[:, 0], source[:, 1]), "each neuron by itself"


def test_both_crossings_of_a_graph_draw_share_one_union() -> None:
    """Neurons in both sets have the same correlations in both crossings of every draw."""
    base = example_graph(10)
    sets = (torch.tensor([0, 1, 2, 3, 4, 5, 6]), torch.tensor([2, 3, 4, 5, 6, 8, 9]))
    r = base.value[0]
    observed = Observed("graph", torch.stack([r[:, s][:, :, s] for s in sets]), sets=sets)
    assert union_of(observed, "test").size == 9
    shared = [torch.isin(s, torch.tensor([2, 3, 4, 5, 6])).nonzero()[:, 0] for s in sets]
    for name in ("hqs", "correlation_cm", "random_matrix", "rewired", "signed_rewired", "erdos_renyi"):
        null = catalogue.nulls.get(name)
        for draw in null.draw(null.prepare(None, observed), range(1, 4), 0):
            first, second = (draw[c][:, p][:, :, p] for c, p in enumerate(shared))
            assert torch.equal(first, second), name


def test_head_sets_are_refused_where_there_are_too_few() -> None:
    observed = Observed("heads", torch.tensor([0, 4]), strata=torch.arange(8) // 4)
    with pytest.raises(InputError, match="16 sets of heads like the chosen one, 100 are needed"):
        HeadSets().prepare(None, observed)
    total = np.random.default_rng(0).gamma(1, 1, 48)
    chosen = np.argsort(-total)[:3]
    strata = effect_strata(total, chosen)
    assert distinct_sets(strata, chosen) >= 100
    assert len(np.unique(strata)) >= 2, "matched as finely as the number of sets allows"


def test_a_corpus_without_a_model_is_refused_in_one_line() -> None:
    with pytest.raises(MissingInput, match="no model is at hand"):
        ShuffledCorpus().prepare(None, Observed("corpus", [np.array([1, 2, 3])]))


# in the suite ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared() -> PreparedData:
    settings = Settings(documents=40, pairs=10, spare=0, neurons=160, width=24, heads=6, modules=0.25)
    return PreparedData(planted_measurements(settings, 1), TestOptions.set_size)


GRAPHS = ("hqs", "correlation_cm", "random_matrix", "rewired", "signed_rewired", "erdos_renyi")


@pytest.mark.parametrize(
    ("hypothesis", "null"),
    [
        *(("clusters.within", name) for name in (*GRAPHS, "document_permuted", "circular_shift", "random_sets")),
        ("specialists.selectivity", "label_swaps"), ("regimes.shape", "neuron_swaps"), ("tails.weights", "random_init"),
        ("clusters.weights", "random_init"),
    ],
)  # fmt: skip
def test_every_null_can_be_chosen_where_its_object_is_offered(
    prepared: PreparedData, hypothesis: str, null: str
) -> None:
    bound = catalogue.hypothesis(hypothesis).statistic.bind(prepared)
    model = catalogue.nulls.get(null)
    drawn = sample(bound, model, prepared, 20, 0)
    assert drawn.estimate.shape == (21, 1)
    assert drawn.estimate[1:].std() > 0
    own = sample(bound, catalogue.nulls.get(catalogue.hypothesis(hypothesis).nulls[0]), prepared, 2, 0)
    assert drawn.estimate[0] == pytest.approx(own.estimate[0], rel=1e-6), (
        "the observed value is the same under every null"
    )
    offered = bound.offers()[model.randomises]
    state = model.prepare(prepared.measurements, offered)
    assert isinstance(model.diagnostics(state, list(model.draw(state, range(1, 4), 0))), dict)


def test_blocks_of_real_activations_can_move(prepared: PreparedData) -> None:
    bound = catalogue.hypothesis("clusters.within").statistic.bind(prepared)
    assert blocks_of(bound.offers()["activations"]).movable > 0.9


def test_pair_swaps_studentise_by_document_as_the_observed_value_is() -> None:
    """The unswapped pairs give the statistic of the unswapped documents."""
    settings = Settings(documents=24, pairs=6, spare=0, neurons=120)
    small = PreparedData(planted_measurements(settings, 2, ("influence",)), TestOptions.set_size)
    bound = catalogue.hypothesis("specialists.selectivity").statistic.bind(small)
    pairs = bound.offers()["labels"].pairs
    by_pair = bound.evaluate("labels", torch.zeros(1, pairs, dtype=torch.bool), range(1), 0)
    by_document = bound.evaluate("labels", bound.identity("labels"), range(1), 0)
    assert by_pair.statistic.item() == pytest.approx(by_document.statistic.item(), rel=1e-9)
    assert by_pair.estimate.item() == pytest.approx(by_document.estimate.item(), rel=1e-9)
