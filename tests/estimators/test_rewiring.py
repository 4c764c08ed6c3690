"""Rewiring against full enumeration, igraph, and its own invariants."""

from __future__ import annotations

from itertools import combinations, product

import igraph
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neuronull.estimators import rewiring as rw


def random_edges(n, m, seed):
    """`m` distinct pairs of `n` nodes."""
    pairs = np.array(list(combinations(range(n), 2)))
    return pairs[np.random.default_rng(seed).choice(len(pairs), m, replace=False)]


def graphs_with_degrees(degrees):
    """Every simple graph with these degrees, as sorted tuples of pairs."""
    n = len(degrees)
    pairs = list(combinations(range(n), 2))
    return [
        edges
        for edges in combinations(pairs, sum(degrees) // 2)
        if (np.bincount(np.ravel(edges), minlength=n) == degrees).all()
    ]


def as_graph(edges):
    return tuple(sorted(tuple(sorted(edge)) for edge in edges.tolist()))


def uniformity(draws, space):
    """p of the chi-square test that `draws` are uniform on `space`."""
    place = {item: i for i, item in enumerate(space)}
    return stats.chisquare(np.bincount([place[draw] for draw in draws], minlength=len(space))).pvalue


@pytest.mark.parametrize("degrees", [(2, 2, 2, 1, 1), (3, 2, 2, 2, 1), (3, 3, 2, 2, 1, 1), (2, 2, 2, 2, 2, 2)])
def test_uniform_over_all_graphs_of_a_degree_sequence(degrees):
    space = graphs_with_degrees(degrees)
    copies = rw.rewire(space[0], len(degrees), np.arange(300 * len(space)), tries_per_edge=20)
    assert uniformity([as_graph(copy) for copy in copies], space) > 1e-3


def switches(graph):
    """Graphs that one switch of `graph` leads to, with repetition."""
    for (a, b), (c, d) in combinations(graph, 2):
        for new in (((a, d), (c, b)), ((a, c), (b, d))):
            switched = (set(graph) - {(a, b), (c, d)}) | {tuple(sorted(edge)) for edge in new}
            if len(switched) == len(graph) and all(u != v for u, v in switched) and switched != set(graph):
                yield tuple(sorted(switched))


def test_the_oracle_would_notice_rejected_switches_that_do_not_count():
    """A chain that only counts accepted switches visits a graph in proportion to the switches that are open to it."""
    space = graphs_with_degrees((2, 2, 2, 1, 1))
    open_switches = np.array([len(list(switches(graph))) for graph in space])
    visits = 300 * len(space) * open_switches / open_switches.sum()
    assert stats.chisquare(visits).pvalue < 1e-3


def test_signed_rewiring_is_uniform_over_all_pairs_of_disjoint_graphs():
    positive, negative = (2, 1, 1, 1, 1), (1, 1, 1, 1, 0)
    space = [
        (up, down)
        for up, down in product(graphs_with_degrees(positive), graphs_with_degrees(negative))
        if not set(up) & set(down)
    ]
    start = np.zeros((5, 5), int)
    for sign, edges in zip((1, -1), space[0], strict=True):
        for i, j in edges:
            start[i, j] = start[j, i] = sign
    draws = rw.signed_rewire(np.tile(start, (200 * len(space), 1, 1)), np.arange(200 * len(space)), tries_per_edge=20)
    found = [tuple(tuple(map(tuple, np.argwhere(np.triu(d) == sign).tolist())) for sign in (1, -1)) for d in draws]
    assert set(found) == set(space)
    assert uniformity(found, space) > 1e-3


@given(st.integers(4, 40), st.floats(0.05, 1.0), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_copies_are_simple_and_keep_their_degrees(n, density, seed):
    edges = random_edges(n, max(1, int(density * n * (n - 1) / 2)), seed)
    degrees = np.bincount(edges.ravel(), minlength=n)
    for copy in rw.rewire(edges, n, [seed, seed + 1]):
        assert (np.bincount(copy.ravel(), minlength=n) == degrees).all()
        assert len(set(as_graph(copy))) == len(edges)
        assert (copy[:, 0] != copy[:, 1]).all()


@given(st.integers(2, 25), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_signed_matrices_keep_both_degrees(n, seed):
    rng = np.random.default_rng(seed)
    signs = np.triu(rng.choice([-1, 0, 1], size=(3, n, n), p=[0.2, 0.5, 0.3]), 1)
    signs = signs + signs.transpose(0, 2, 1)
    rewired = rw.signed_rewire(signs, np.arange(3))
    assert np.array_equal(rewired, rewired.transpose(0, 2, 1))
    assert not np.einsum("rii->ri", rewired).any()
    for sign in (-1, 1):
        assert np.array_equal((rewired == sign).sum(axis=2), (signs == sign).sum(axis=2))


def test_matrices_and_edge_lists_have_the_same_law():
    edges = random_edges(30, 80, 0)
    adjacency = np.zeros((30, 30), bool)
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = True
    matrices = rw.rewire_adjacency(np.tile(adjacency, (300, 1, 1)), np.arange(300)).astype(float)
    by_matrix = np.einsum("rij,rjk,rki->r", matrices, matrices, matrices) / 6
    by_edges = [len(igraph.Graph(30, copy.tolist()).cliques(3, 3)) for copy in rw.rewire(edges, 30, np.arange(300))]
    graph = igraph.Graph(30, edges.tolist())
    by_igraph = []
    for _ in range(300):
        copy = graph.copy()
        copy.rewire(800)
        by_igraph.append(len(copy.cliques(3, 3)))
    assert stats.ks_2samp(by_matrix, by_edges).pvalue > 1e-3
    assert stats.ks_2samp(by_edges, by_igraph).pvalue > 1e-3


def test_draws_do_not_depend_on_batch_threads_or_order():
    edges, seeds = random_edges(60, 300, 1), np.arange(50, dtype=np.uint64) * 977
    whole = rw.rewire(edges, 60, seeds, threads=3)
    assert np.array_equal(whole[17:19], rw.rewire(edges, 60, seeds[17:19], threads=1))
    assert np.array_equal(whole[::-1], rw.rewire(edges, 60, seeds[::-1]))
    assert len({as_graph(copy) for copy in whole}) == 50
    signs = np.random.default_rng(2).choice([-1, 0, 1], size=(20, 30, 30))
    signs = np.triu(signs, 1) + np.triu(signs, 1).transpose(0, 2, 1)
    batch = rw.signed_rewire(signs, seeds[:20])
    assert np.array_equal(batch[5:6], rw.signed_rewire(signs[5:6], seeds[5:6]))


def test_input_is_not_changed():
    edges = random_edges(20, 50, 3)
    signs = np.sign(np.random.default_rng(4).normal(size=(2, 8, 8)) + np.zeros((2, 8, 8))).astype(np.int8)
    signs = np.triu(signs, 1) + np.triu(signs, 1).transpose(0, 2, 1)
    before = edges.copy(), signs.copy()
    rw.rewire(edges, 20, [0])
    rw.signed_rewire(signs, [0, 1])
    rw.mixing(edges, 20, 0)
    assert np.array_equal(edges, before[0])
    assert np.array_equal(signs, before[1])


def test_mixing_falls_to_the_density_and_one_try_an_edge_is_not_enough():
    edges = random_edges(150, 1500, 5)
    trace = rw.mixing(edges, 150, 7)
    density = 1500 / (150 * 149 / 2)
    assert trace.edges_left[0] == 1.0
    assert trace.edges_left[1] > 0.2
    assert trace.edges_left[-1] == pytest.approx(density, abs=4 * np.sqrt(density / 1500))
    assert trace.tries_per_edge.tolist() == pytest.approx(range(11))
    assert 0 < trace.accepted < 1


def test_mixing_ends_at_the_graph_that_rewire_returns():
    edges = random_edges(40, 120, 6)
    copy = rw.rewire(edges, 40, [11])[0]
    trace = rw.mixing(edges, 40, 11)
    assert trace.edges_left[-1] == len(set(as_graph(copy)) & set(as_graph(edges))) / 120
    expected = igraph.Graph(40, copy.tolist()).assortativity_degree(directed=False)
    assert trace.assortativity[-1] == pytest.approx(expected, abs=1e-12)
    start = igraph.Graph(40, edges.tolist()).assortativity_degree(directed=False)
    assert trace.assortativity[0] == pytest.approx(start, abs=1e-12)


def test_edges_left_counts_edges_of_the_same_sign():
    before = np.array([[[0, 1, -1], [1, 0, 1], [-1, 1, 0]], np.zeros((3, 3), int)])
    after = np.array([[[0, 1, 1], [1, 0, 0], [1, 0, 0]], np.zeros((3, 3), int)])
    share = rw.edges_left(before, after)
    assert share[0] == pytest.approx(1 / 3)
    assert np.isnan(share[1])


def test_a_complete_graph_stays_and_says_so():
    complete = np.ones((1, 6, 6), int)
    rewired = rw.rewire_adjacency(complete, [0])
    assert rw.edges_left(complete, rewired)[0] == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rw.rewire([[0, 0]], 3, [0]), "self-loops"),
        (lambda: rw.rewire([[0, 1], [1, 0]], 3, [0]), "pair twice"),
        (lambda: rw.rewire([[0, 5]], 3, [0]), "nodes 0 to 5"),
        (lambda: rw.rewire(np.zeros((0, 2)), 3, [0]), "shape"),
        (lambda: rw.rewire([[0, 1]], 3, [0], tries_per_edge=0), "tries_per_edge is 0"),
        (lambda: rw.signed_rewire(np.full((1, 2, 2), 2), [0]), "other than"),
        (lambda: rw.signed_rewire(np.triu(np.ones((1, 3, 3), int)), [0]), "not symmetric"),
        (lambda: rw.signed_rewire(np.ones((1, 3, 3), int), [0, 1]), "seeds has shape"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
