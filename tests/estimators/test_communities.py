"""Communities against leidenalg, igraph, enumeration of all partitions, and planted blocks."""

from __future__ import annotations

import itertools

import igraph
import leidenalg
import networkx as nx
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronull.estimators import communities as cm
from neuronull.estimators import leiden as leiden_module


def correlations(rng, count, n, observations=60, common=0.4, blocks=None, strength=0.0, opposed=0):
    """Sample correlation matrices [count, n, n] with a common factor and planted blocks.

    Factors of blocks are independent, or, where `opposed` is 1, sum to 0, so that blocks correlate negatively.
    """
    x = rng.normal(size=(count, observations, n)) + common * rng.normal(size=(count, observations, 1))
    if blocks is not None:
        factors = rng.normal(size=(count, observations, blocks.max() + 1))
        x += strength * (factors - opposed * factors.mean(axis=2, keepdims=True))[:, :, blocks]
    return np.stack([np.corrcoef(sample.T) for sample in x])


def leidenalg_layers(r):
    """The positive and the negative part of one matrix as leidenalg partitions."""
    rows, columns = np.triu_indices(len(r), 1)
    layers = []
    for part in (np.maximum(r, 0)[rows, columns], np.maximum(-r, 0)[rows, columns]):
        graph = igraph.Graph(len(r), np.column_stack([rows, columns])[part > 0].tolist())
        graph.es["weight"] = part[part > 0].tolist()
        layers.append(leidenalg.ModularityVertexPartition(graph, weights="weight"))
    return layers


def leidenalg_signed(r, seed):
    """Two-layer modularity found by leidenalg until stable."""
    positive, negative = leidenalg_layers(r)
    optimiser = leidenalg.Optimiser()
    optimiser.set_rng_seed(seed)
    optimiser.optimise_partition_multiplex([positive, negative], layer_weights=[1, -1], n_iterations=-1)
    return positive.quality() - negative.quality()


def all_partitions(n):
    """Restricted growth strings: every partition of n nodes once."""
    grown = [(0,)]
    for _ in range(n - 1):
        grown = [(*labels, new) for labels in grown for new in range(max(labels) + 2)]
    return np.array(grown)


def same_partition(a, b):
    return np.array_equal(a[:, None] == a[None, :], b[:, None] == b[None, :])


# --- the quality matrices -------------------------------------------------------------------------------------------


def test_signed_matrix_is_the_quality_of_leidenalg():
    rng = np.random.default_rng(0)
    for r in correlations(rng, 5, 17, observations=20):
        membership = rng.integers(0, 4, 17)
        positive, negative = leidenalg_layers(r)
        positive.set_membership(membership.tolist())
        negative.set_membership(membership.tolist())
        q = cm.modularity(cm.signed_modularity_matrix(r[None]), membership[None])[0]
        assert q == pytest.approx(positive.quality() - negative.quality(), abs=1e-13)


@pytest.mark.parametrize("resolution", [0.5, 1.0, 1.7])
def test_signed_matrix_at_any_resolution_is_the_sum_over_pairs(resolution):
    """Against the definition, pair by pair: A / 2m - gamma k k' / (2m)^2, the negative layer (gamma 1) subtracted."""
    rng = np.random.default_rng(6)
    r = correlations(rng, 1, 9, observations=20)[0]
    membership = rng.integers(0, 3, 9)
    expected = 0.0
    for sign, gamma in ((1, resolution), (-1, 1.0)):
        layer = np.where(np.eye(9, dtype=bool), 0.0, np.clip(sign * r, 0, None))
        total, strength = layer.sum(), layer.sum(0)
        for i, j in itertools.product(range(9), repeat=2):
            if membership[i] == membership[j]:
                chance = gamma * strength[i] * strength[j] / total**2
                expected += sign * (layer[i, j] / total - chance)
    b = cm.signed_modularity_matrix(r[None], resolution)
    assert cm.modularity(b, membership[None])[0] == pytest.approx(expected, abs=1e-13)


def test_a_higher_resolution_finds_more_modules():
    r = correlations(np.random.default_rng(7), 12, 20, observations=30)
    keys = np.arange(12)
    modules = [cm.signed_modules(r, keys, resolution=g)[0].max(1).mean() for g in (0.3, 1.0, 3.0)]
    assert modules[0] < modules[1] < modules[2]
    assert np.array_equal(cm.signed_modules(r, keys)[0], cm.signed_modules(r, keys, resolution=1.0)[0])
    contrast = cm.modular_contrast(r, r, keys, resolution=3.0)
    assert np.array_equal(contrast, cm.contrast_of(cm.signed_modules(r, keys, resolution=3.0)[0], r))
    with pytest.raises(ValueError, match="resolution is 0"):
        cm.signed_modules(r, keys, resolution=0.0)


@pytest.mark.parametrize("weighted", [True, False])
def test_unsigned_matrix_is_the_modularity_of_igraph(weighted):
    rng = np.random.default_rng(1)
    w = np.triu(rng.random((20, 20)) * (rng.random((20, 20)) < 0.3), 1)
    w = w + w.T if weighted else (w + w.T) > 0
    graph = igraph.Graph.Weighted_Adjacency(w.astype(float).tolist(), mode="undirected")
    membership = rng.integers(0, 3, 20)
    q = cm.modularity(cm.modularity_matrix(w[None]), membership[None])[0]
    assert q == pytest.approx(graph.modularity(membership.tolist(), weights="weight"), abs=1e-13)


def test_a_layer_without_weight_counts_nothing():
    rng = np.random.default_rng(2)
    r = np.abs(correlations(rng, 2, 9))
    np.testing.assert_allclose(cm.signed_modularity_matrix(r), cm.modularity_matrix(r), atol=1e-15)
    np.testing.assert_allclose(cm.signed_modularity_matrix(-r), -cm.modularity_matrix(r), atol=1e-15)
    assert (cm.signed_modularity_matrix(np.tile(np.eye(5), (2, 1, 1))) == 0).all()


# --- Leiden ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8])
def test_leiden_against_all_partitions(n):
    rng = np.random.default_rng(3)
    a = rng.normal(size=(120, n, n))
    b = cm.signed_modularity_matrix(a + a.transpose(0, 2, 1))
    partitions = all_partitions(n)
    same = (partitions[:, :, None] == partitions[:, None, :]).reshape(len(partitions), -1)
    best = (b.reshape(len(b), -1) @ same.T.astype(float)).max(axis=1)
    membership, value = cm.leiden(b, np.arange(len(b)), restarts=20)
    assert (value <= best + 1e-12).all()
    assert (value >= best - 1e-12).mean() >= 0.9
    assert value.mean() >= 0.995 * best.mean()
    np.testing.assert_allclose(cm.modularity(b, membership), value, atol=1e-14)


def test_mean_quality_is_not_below_leidenalg():
    rng = np.random.default_rng(4)
    r = np.concatenate([correlations(rng, 30, 50), correlations(rng, 30, 50, 200, 0.0)])
    theirs = np.mean([leidenalg_signed(matrix, seed) for seed, matrix in enumerate(r)])
    once = cm.signed_modules(r, np.arange(len(r)), restarts=1)[1].mean()
    best_of_three = cm.signed_modules(r, np.arange(len(r)))[1].mean()
    assert once >= 0.99 * theirs
    assert best_of_three >= theirs


def test_mean_quality_is_not_below_igraph():
    rng = np.random.default_rng(5)
    w = np.triu(rng.random((40, 60, 60)) < 0.12, 1)
    w |= w.transpose(0, 2, 1)
    graphs = [igraph.Graph.Adjacency(adjacency.tolist(), mode="undirected") for adjacency in w]
    theirs = np.mean([g.community_leiden("modularity", n_iterations=-1).modularity for g in graphs])
    ours = cm.leiden(cm.modularity_matrix(w), np.arange(len(w)))[1].mean()
    assert ours >= 0.99 * theirs


def test_no_node_gains_by_moving_and_communities_are_connected():
    rng = np.random.default_rng(6)
    w = np.triu(rng.random((30, 60, 60)) < 0.06, 1)
    w |= w.transpose(0, 2, 1)
    b = cm.modularity_matrix(w)
    membership, _ = cm.leiden(b, np.arange(len(b)), restarts=1)
    for adjacency, matrix, labels in zip(w, b, membership, strict=True):
        off = matrix - np.diag(np.diag(matrix))
        pull = np.stack([off[:, labels == c].sum(axis=1) for c in range(labels.max() + 1)], axis=1)
        home = pull[np.arange(len(labels)), labels]
        assert (np.maximum(pull.max(axis=1), 0) <= home + 1e-12).all()
        graph = nx.from_numpy_array(adjacency)
        for c in range(labels.max() + 1):
            assert nx.is_connected(graph.subgraph(np.flatnonzero(labels == c).tolist()))


@pytest.mark.parametrize("signed", [True, False])
def test_planted_blocks_are_found(signed):
    rng = np.random.default_rng(7)
    blocks = np.repeat(np.arange(4), [16, 14, 11, 9])  # smaller ones fall under the resolution limit of modularity
    # two layers, each normalised by its own weight, take noise between independent blocks for negative structure
    r = correlations(rng, 10, 50, 400, 0.0, blocks, 1.0, opposed=int(signed))
    b = cm.signed_modularity_matrix(r) if signed else cm.modularity_matrix(np.maximum(r, 0))
    for labels in cm.leiden(b, np.arange(10))[0]:
        assert same_partition(labels, blocks)


def test_value_does_not_depend_on_the_order_of_nodes():
    rng = np.random.default_rng(8)
    r = correlations(rng, 20, 40, 300, 0.2, np.repeat(np.arange(4), 10), 0.8)
    order = rng.permutation(40)
    membership, q = cm.signed_modules(r, np.arange(20))
    permuted, q_permuted = cm.signed_modules(r[:, order][:, :, order], np.arange(20) + 100)
    np.testing.assert_allclose(q, q_permuted, atol=1e-12)
    for labels, again in zip(membership, permuted, strict=True):
        assert same_partition(labels[order], again)


def test_results_do_not_depend_on_batch_threads_or_layout():
    rng = np.random.default_rng(9)
    r = correlations(rng, 40, 30)
    seeds = rng.integers(0, 2**63, 40).astype(np.uint64)
    whole = cm.signed_modules(r, seeds, threads=3)
    alone = [cm.signed_modules(r[i : i + 1], seeds[i : i + 1], threads=1) for i in range(40)]
    assert np.array_equal(whole[0], np.concatenate([labels for labels, _ in alone]))
    assert np.array_equal(whole[1], np.concatenate([q for _, q in alone]))
    backwards = cm.signed_modules(r[::-1], seeds[::-1])
    assert np.array_equal(whole[1], backwards[1][::-1])
    assert not np.array_equal(whole[0], cm.signed_modules(r, seeds + np.uint64(1))[0])
    assert (cm.signed_modules(r, seeds, restarts=6)[1] >= whole[1]).all()


def test_only_the_symmetric_part_matters_and_the_diagonal_is_a_constant():
    rng = np.random.default_rng(10)
    b = cm.signed_modularity_matrix(correlations(rng, 5, 20))
    membership, value = cm.leiden(b, np.arange(5))
    skew = rng.normal(size=b.shape) * 0.01
    lopsided = b + skew - skew.transpose(0, 2, 1)
    np.testing.assert_allclose(cm.leiden(lopsided, np.arange(5))[1], value, atol=1e-12)
    shifted = b + np.eye(20)
    assert np.array_equal(cm.leiden(shifted, np.arange(5))[0], membership)
    np.testing.assert_allclose(cm.leiden(shifted, np.arange(5))[1], value + 20, atol=1e-12)


def test_input_is_not_changed_and_labels_are_numbered_by_first_appearance():
    r = correlations(np.random.default_rng(11), 6, 25)
    before = r.copy()
    membership, _ = cm.signed_modules(r, np.arange(6))
    assert np.array_equal(r, before)
    for labels in membership:
        first = [labels.tolist().index(c) for c in range(labels.max() + 1)]
        assert first == sorted(first)


def test_kernels_compile_without_a_writable_cache(monkeypatch):
    compile_ = numba.njit

    def refuse(*args, **options):
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return compile_(*args, **options)

    monkeypatch.setattr(leiden_module.numba, "njit", refuse)
    assert leiden_module.kernel(lambda x: x + 1)(1) == 2


def test_random_integers_are_uniform():
    state = leiden_module.stream(np.uint64(1), 0)
    counts = np.bincount([leiden_module.below(state, 7) for _ in range(14_000)], minlength=7)
    assert ((counts - 2000) ** 2 / 2000).sum() < 22.5  # chi-square, 6 df: p > .001


# --- the cross-fit contrast -----------------------------------------------------------------------------------------


@given(st.integers(2, 12), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_contrast_is_a_difference_of_two_means(n, modules, seed):
    rng = np.random.default_rng(seed)
    r = correlations(rng, 1, n, observations=15)[0]
    labels = rng.integers(0, modules, n)
    pairs = [(labels[i] == labels[j], r[i, j]) for i in range(n) for j in range(i)]
    within, between = ([x for same, x in pairs if same == which] for which in (True, False))
    expected = np.mean(within) - np.mean(between) if within and between else 0.0
    assert cm.contrast_of(labels[None], r[None])[0] == pytest.approx(expected, abs=1e-12)


def test_one_module_and_only_singletons_score_zero():
    r = correlations(np.random.default_rng(12), 2, 6)
    assert cm.contrast_of(np.array([[3] * 6, list(range(6))]), r).tolist() == [0.0, 0.0]
    everything = np.ones((1, 4, 4))
    assert cm.modular_contrast(everything, r[:1, :4, :4], [0])[0] == 0.0


def test_modular_contrast_is_unbiased_on_noise_and_finds_blocks():
    rng = np.random.default_rng(13)
    noise = cm.modular_contrast(correlations(rng, 600, 20), correlations(rng, 600, 20), np.arange(600))
    assert abs(noise.mean()) < 4 * noise.std() / np.sqrt(600)
    blocks = np.repeat([0, 1], 10)
    halves = [correlations(rng, 20, 20, 300, 0.0, blocks, 0.7) for _ in range(2)]
    expected = 0.7**2 / (1 + 0.7**2)
    assert cm.modular_contrast(*halves, np.arange(20)).mean() == pytest.approx(expected, abs=0.03)


def test_contrast_does_not_depend_on_the_batch():
    rng = np.random.default_rng(14)
    found, scored = correlations(rng, 12, 33), correlations(rng, 12, 33)
    whole = cm.modular_contrast(found, scored, np.arange(12))
    alone = [cm.modular_contrast(found[i : i + 1], scored[i : i + 1], [i])[0] for i in range(12)]
    assert whole.tolist() == alone


# --- thresholded graphs and their rewirings -------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.05, 0.1, 0.5, 1.0])
def test_threshold_graph_keeps_the_strongest_at_matched_density(density):
    r = correlations(np.random.default_rng(15), 8, 25)
    graph = cm.threshold_graph(r, density)
    assert (graph == graph.transpose(0, 2, 1)).all()
    assert not np.einsum("rii->ri", graph).any()
    assert (graph.sum(axis=(1, 2)) == 2 * round(density * 300)).all()
    pairs = ~np.eye(25, dtype=bool)
    for matrix, edges in zip(r, graph, strict=True):
        if density < 1:
            assert matrix[edges].min() > matrix[pairs & ~edges].max()


def test_threshold_graph_breaks_ties_in_row_order():
    r = np.full((1, 4, 4), 0.5)
    r[0, 2, 3] = r[0, 3, 2] = 0.9
    assert np.argwhere(np.triu(cm.threshold_graph(r, 0.5)[0])).tolist() == [[0, 1], [0, 2], [2, 3]]


def test_rewired_excess_is_null_on_random_graphs():
    rng = np.random.default_rng(16)
    graph = np.triu(rng.random((100, 30, 30)) < 0.15, 1)
    result = cm.rewired_excess(graph | graph.transpose(0, 2, 1), np.arange(100), rewirings=19)
    assert abs(result.excess.mean()) < 4 * result.excess.std() / 10
    assert result.p.mean() == pytest.approx(0.525, abs=0.12)  # uniform on 1/20 .. 1; sd of the mean .029
    assert result.p.min() >= 1 / 20
    assert (result.p <= 0.1).mean() < 0.2


def test_rewired_excess_sees_planted_blocks_and_the_transitivity_of_plain_correlations():
    rng = np.random.default_rng(17)
    blocks = np.repeat(np.arange(3), 12)
    planted = cm.threshold_graph(correlations(rng, 10, 36, 300, 0.0, blocks, 0.7), 0.2)
    assert cm.rewired_excess(planted, np.arange(10)).z.min() > 3
    module_free = cm.threshold_graph(correlations(rng, 40, 60, 40), 0.1)
    assert (cm.rewired_excess(module_free, np.arange(40)).p < 0.05).mean() > 0.5  # why it never decides a verdict


def test_rewired_excess_does_not_depend_on_batch_or_threads():
    graph = cm.threshold_graph(correlations(np.random.default_rng(18), 10, 24), 0.2)
    whole = cm.rewired_excess(graph, np.arange(10), threads=2)
    one = cm.rewired_excess(graph[4:5], [4], threads=1)
    for field in ("excess", "observed", "z", "p"):
        assert getattr(one, field)[0] == getattr(whole, field)[4]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cm.leiden(np.zeros((3, 3)), [0]), r"expected \[R, n, n\]"),
        (lambda: cm.leiden(np.zeros((2, 3, 3)), [0]), "seeds has shape"),
        (lambda: cm.leiden(np.zeros((1, 3, 3)), [0], restarts=0), "restarts is 0"),
        (lambda: cm.signed_modules(np.full((1, 3, 3), np.nan), [0]), "not finite"),
        (lambda: cm.modularity_matrix(-np.ones((1, 3, 3))), "negative weights"),
        (lambda: cm.contrast_of(np.zeros((1, 2)), np.zeros((1, 3, 3))), "membership has shape"),
        (lambda: cm.threshold_graph(np.zeros((1, 3, 3)), 0.0), "density is 0"),
        (lambda: cm.rewired_excess(np.zeros((1, 3, 3), bool), [0], rewirings=1), "rewirings is 1"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
