"""Community algorithms of leidenalg and igraph: planted modules, noise, the library called by hand, and seeds."""

from __future__ import annotations

import random

import igraph
import leidenalg
import numpy as np
import pytest
import scipy.stats

from neuronull.estimators import algorithms
from neuronull.estimators.communities import contrast_of, signed_modules
from tests.estimators.test_communities import correlations, same_partition

BLOCKS = np.repeat([0, 1, 2, 3], 6)  # 22 % of the pairs are inside, fewer than a thresholded graph has edges


def halves(count, strength, seed=0):
    """Correlations of two halves, with four planted modules of six neurons where strength is above 0."""
    rng = np.random.default_rng(seed)
    return [correlations(rng, count, 24, 200, 0.0, BLOCKS, strength) for _ in range(2)]


@pytest.mark.parametrize("algorithm", algorithms.ALGORITHMS)
def test_planted_modules_are_found(algorithm):
    found, scored = halves(4, 1.5)
    memberships = algorithms.modules(algorithm, found, np.arange(4))
    for membership in memberships:
        assert all(len(set(membership[block == BLOCKS].tolist())) == 1 for block in range(4))  # none is cut
        # the signed modularity may take two of four for one: beside negative layers it has a resolution limit
        assert algorithm == "leiden" or same_partition(membership, BLOCKS)
    assert contrast_of(memberships, scored).min() > 0.4


@pytest.mark.parametrize("algorithm", algorithms.ALGORITHMS)
def test_modules_of_noise_score_nothing_on_other_documents(algorithm):
    found, scored = halves(150, 0.0, 1)
    k = contrast_of(algorithms.modules(algorithm, found, np.arange(150)), scored)
    assert abs(k.mean()) < 4 * k.std(ddof=1) / np.sqrt(len(k)) + 1e-12


@pytest.mark.parametrize("algorithm", algorithms.ALGORITHMS)
def test_a_graph_answers_alike_alone_and_in_a_batch(algorithm):
    found, _ = halves(5, 0.5, 2)
    together = algorithms.modules(algorithm, found, np.arange(10, 15))
    alone = algorithms.modules(algorithm, found[3:4], [13])
    assert np.array_equal(together[3], alone[0])


def test_leiden_is_the_one_that_decides():
    found, _ = halves(3, 0.7, 3)
    assert np.array_equal(algorithms.modules("leiden", found, np.arange(3)), signed_modules(found, np.arange(3))[0])


def test_modularity_and_cpm_by_hand():
    """The same graph built pair by pair, handed to leidenalg."""
    r = halves(1, 0.7, 4)[0][0]
    pairs = [(i, j) for i in range(24) for j in range(i + 1, 24)]
    positive = [(i, j) for i, j in pairs if r[i, j] > 0]
    graph = igraph.Graph(24, positive)
    by_hand = leidenalg.find_partition(
        graph, leidenalg.ModularityVertexPartition, weights=[r[i, j] for i, j in positive], n_iterations=-1, seed=7
    )
    ours = algorithms.modules("modularity", r[None], [7])[0]
    assert by_hand.quality() == pytest.approx(quality(graph, r, positive, ours), rel=1e-12)
    whole = igraph.Graph(24, pairs)
    weights = [r[i, j] for i, j in pairs]
    by_hand = leidenalg.find_partition(
        whole, leidenalg.CPMVertexPartition, weights=weights, resolution_parameter=float(np.mean(weights)),
        n_iterations=-1, seed=7,
    )  # fmt: skip
    assert same_partition(np.array(by_hand.membership), algorithms.modules("cpm", r[None], [7])[0])


def quality(graph, r, edges, membership):
    """Modularity of a partition by leidenalg."""
    weights = [r[i, j] for i, j in edges]
    labels = np.unique(membership, return_inverse=True)[1].tolist()
    return leidenalg.ModularityVertexPartition(graph, initial_membership=labels, weights=weights).quality()


@pytest.mark.parametrize("algorithm", algorithms.LIBRARY)
def test_graphs_without_edges_and_single_neurons(algorithm):
    nothing = np.eye(5)[None]
    assert algorithms.modules(algorithm, nothing, [0]).shape == (1, 5)
    assert contrast_of(algorithms.modules(algorithm, nothing, [0]), nothing)[0] == 0
    assert algorithms.modules(algorithm, np.ones((1, 1, 1)), [0]).tolist() == [[0]]
    opposed = -np.ones((1, 4, 4)) / 3
    assert algorithms.modules(algorithm, opposed, [0]).shape == (1, 4)


def test_igraph_draws_from_python_again_afterwards():
    found, _ = halves(1, 0.3, 5)
    graph = igraph.Graph.Ring(12)
    random.seed(3)
    before = graph.community_infomap(trials=1).membership
    after_before = random.random()
    random.seed(3)
    algorithms.modules("infomap", found, [11])
    assert graph.community_infomap(trials=1).membership == before
    assert random.random() == after_before


def test_separation_is_the_t_of_scipy():
    found, scored = halves(3, 0.4, 6)
    membership = algorithms.modules("leiden", found, np.arange(3))
    rows, columns = np.triu_indices(24, 1)
    for labels, r, t in zip(membership, scored, algorithms.separation(membership, scored), strict=True):
        inside = labels[rows] == labels[columns]
        pairs = r[rows, columns]
        assert t == pytest.approx(scipy.stats.ttest_ind(pairs[inside], pairs[~inside]).statistic, rel=1e-12)
    assert algorithms.separation(np.zeros((3, 24)), scored).tolist() == [0, 0, 0]


def test_an_unknown_algorithm_is_named():
    with pytest.raises(ValueError, match="no algorithm 'louvain'"):
        algorithms.modules("louvain", np.eye(3)[None], [0])
