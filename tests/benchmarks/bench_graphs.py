"""Rewiring and communities against igraph, networkx and leidenalg.

Peers are timed without the construction of their graph objects, which flatters them; ours includes everything from the
array of correlations to the partitions.
"""

from __future__ import annotations

import random
from typing import Any

import igraph
import leidenalg
import networkx as nx
import numpy as np

from neuronull.estimators import communities, correlation_nulls, rewiring

from .harness import Contender, Row, compete

NODES, EDGES, TRIES = 2000, 10_000, 10
NEURONS, OBSERVATIONS, FACTOR = 100, 200, 0.3
GRAPHS, LEIDENALG_GRAPHS, IGRAPH_GRAPHS = 1000, 40, 200


def bench_rewiring(rounds: int) -> list[Row]:
    """Ten tried switches an edge of a 10,000-edge graph; one copy, so one thread of ours."""
    edges = correlation_nulls.erdos_renyi(NODES, EDGES, [0])[0]
    tries = TRIES * EDGES
    graph, nx_graph = igraph.Graph(NODES, edges.tolist()), nx.Graph(edges.tolist())
    copies = [graph.copy() for _ in range(2 * rounds)]
    nx_copies = [nx_graph.copy() for _ in range(rounds)]

    def by_igraph(generator: Any) -> igraph.Graph:
        igraph.set_random_number_generator(generator)
        try:
            copy = copies.pop()
            copy.rewire(tries)
        finally:
            igraph.set_random_number_generator(random)
        return copy

    def check(results: dict[str, Any]) -> dict[str, str]:
        degree = np.bincount(edges.ravel(), minlength=NODES)
        for name, found in results.items():
            if name == "neuronull":
                after = np.bincount(np.asarray(found).ravel(), minlength=NODES)
            else:
                after = np.asarray([found.degree(v) for v in range(NODES)])
            np.testing.assert_array_equal(after, degree)
        return dict.fromkeys(results, "degrees kept")

    rewiring.rewire(edges, NODES, [0], 0.1)
    contenders = [
        Contender("neuronull", lambda: rewiring.rewire(edges, NODES, [1], TRIES)[0]),
        Contender("igraph, Python RNG", lambda: by_igraph(random), bar=3.0),
        Contender("igraph, C RNG", lambda: by_igraph(None)),
        Contender(
            "networkx",
            lambda: nx.double_edge_swap(nx_copies.pop(), nswap=tries, max_tries=10 * tries, seed=1),
            bar=100.0,
        ),
    ]
    return compete("rewire 10,000 edges, 10 tries an edge", "graph", contenders, rounds, check)


def null_correlations(count: int) -> np.ndarray:
    """Sample correlations of neurons that share one factor and have no modules, [count, n, n]."""
    population = np.full((NEURONS, NEURONS), FACTOR**2)
    np.fill_diagonal(population, 1.0)
    return correlation_nulls.to_correlation(correlation_nulls.wishart(population, OBSERVATIONS, np.arange(count)))


def weighted(r: np.ndarray) -> igraph.Graph:
    """The positive entries of one matrix as a weighted graph."""
    rows, columns = np.nonzero(np.triu(r, 1) > 0)
    graph = igraph.Graph(len(r), np.column_stack([rows, columns]).tolist())
    graph.es["weight"] = r[rows, columns].tolist()
    return graph


def leidenalg_loop(layers: list[tuple[igraph.Graph, igraph.Graph]], iterations: int) -> list[float]:
    """Two-layer modularity of each graph by leidenalg."""
    found = []
    for seed, (positive, negative) in enumerate(layers):
        parts = [leidenalg.ModularityVertexPartition(graph, weights="weight") for graph in (positive, negative)]
        optimiser = leidenalg.Optimiser()
        optimiser.set_rng_seed(seed)
        optimiser.optimise_partition_multiplex(parts, layer_weights=[1, -1], n_iterations=iterations)
        found.append(parts[0].quality() - parts[1].quality())
    return found


def mean_q(results: dict[str, Any], first: int) -> dict[str, str]:
    """Mean quality over the graphs that all contenders partitioned: it is maximised, so more is better."""
    return {name: f"mean Q {float(np.mean(found[:first])):.4f}" for name, found in results.items()}


def bench_signed(r: np.ndarray, rounds: int) -> list[Row]:
    """Two-layer modularity, whole batch against a leidenalg loop over the first graphs."""
    seeds = np.arange(len(r))
    layers = [(weighted(matrix), weighted(-matrix)) for matrix in r[:LEIDENALG_GRAPHS]]
    communities.signed_modules(r[:2], seeds[:2])
    contenders = [
        Contender("neuronull, best of 3", lambda: communities.signed_modules(r, seeds)[1], len(r)),
        Contender("neuronull, 1 run", lambda: communities.signed_modules(r, seeds, restarts=1)[1], len(r)),
        Contender("leidenalg, 2 iterations", lambda: leidenalg_loop(layers, 2), len(layers), 30.0),
        Contender("leidenalg, until stable", lambda: leidenalg_loop(layers, -1), len(layers), 30.0),
    ]
    title = f"signed Q, {len(r)} graphs of {NEURONS}"
    return compete(title, "graph", contenders, rounds, lambda results: mean_q(results, LEIDENALG_GRAPHS))


def bench_unsigned(r: np.ndarray, rounds: int) -> list[Row]:
    """Modularity of the positive part, whole batch against igraph's C Leiden."""
    seeds = np.arange(len(r))
    graphs = [weighted(matrix) for matrix in r[:IGRAPH_GRAPHS]]
    positive = np.maximum(r, 0.0)

    def ours(restarts: int) -> Any:
        return communities.leiden(communities.modularity_matrix(positive), seeds, restarts)[1]

    def theirs(iterations: int) -> list[float]:
        return [g.community_leiden("modularity", weights="weight", n_iterations=iterations).modularity for g in graphs]

    contenders = [
        Contender("neuronull, best of 3", lambda: ours(3), len(r)),
        Contender("neuronull, 1 run", lambda: ours(1), len(r)),
        Contender("igraph, 2 iterations", lambda: theirs(2), len(graphs), 1.0),
        Contender("igraph, until stable", lambda: theirs(-1), len(graphs), 1.0),
    ]
    title = f"unsigned Q, {len(r)} graphs of {NEURONS}"
    return compete(title, "graph", contenders, rounds, lambda results: mean_q(results, IGRAPH_GRAPHS))


def run(rounds: int) -> tuple[list[Row], list[str]]:
    """All three."""
    r = null_correlations(GRAPHS)
    return bench_rewiring(rounds) + bench_signed(r, rounds) + bench_unsigned(r, rounds), []
