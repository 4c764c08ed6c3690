"""Rewiring and communities against igraph, networkx and leidenalg: medians of interleaved rounds, in one process.

    python -m tests.benchmarks.bench_graphs --out graphs.json [--rounds 5] [--graphs 1000]

In every round each contender runs once, in turn, so that other load on the machine meets all of them; ratios are taken
within a round.  Peers are timed without the construction of their graph objects, which flatters them; ours includes
everything from the array of correlations to the partitions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import igraph
import leidenalg
import networkx as nx
import numpy as np

from neuronull.estimators import communities, correlation_nulls, rewiring

NODES, EDGES, TRIES = 2000, 10_000, 10
NEURONS, OBSERVATIONS, FACTOR = 100, 200, 0.3
LEIDENALG_GRAPHS, IGRAPH_GRAPHS = 40, 200


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that `call` takes, and its result."""
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def summary(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return {"median": float(middle), "q25": float(low), "q75": float(high)}


def row(
    name: str, unit: str, rounds: dict[str, list[float]], ours: str, bars: dict[str, float]
) -> list[dict[str, Any]]:
    """Lay out one row a contender: time, our speed relative to it, and the bar that the ratio must reach."""
    return [
        {
            "benchmark": name,
            "contender": contender,
            "unit": unit,
            "time": summary(times),
            "ratio": summary([theirs / own for theirs, own in zip(times, rounds[ours], strict=True)]),
            "bar": bars.get(contender),
        }
        for contender, times in rounds.items()
    ]


def bench_rewiring(rounds: int) -> list[dict[str, Any]]:
    """Ten tried switches an edge of a 10,000-edge graph; one copy, so one thread of ours."""
    edges = correlation_nulls.erdos_renyi(NODES, EDGES, [0])[0]
    tries = TRIES * EDGES
    graph, nx_graph = igraph.Graph(NODES, edges.tolist()), nx.Graph(edges.tolist())
    times: dict[str, list[float]] = {
        name: [] for name in ("neuronull", "igraph, Python RNG", "igraph, C RNG", "networkx")
    }
    rewiring.rewire(edges, NODES, [0], 0.1)
    for i in range(rounds):
        times["neuronull"].append(timed(lambda i=i: rewiring.rewire(edges, NODES, [i], TRIES))[0])
        for name, generator in (("igraph, Python RNG", random), ("igraph, C RNG", None)):
            igraph.set_random_number_generator(generator)
            copy = graph.copy()
            times[name].append(timed(lambda copy=copy: copy.rewire(tries))[0])
        igraph.set_random_number_generator(random)
        other = nx_graph.copy()
        swap = timed(lambda other=other, i=i: nx.double_edge_swap(other, nswap=tries, max_tries=10 * tries, seed=i))
        times["networkx"].append(swap[0])
    return row(
        "rewire 10,000 edges, 10 tries an edge", "s", times, "neuronull", {"igraph, Python RNG": 3, "networkx": 100}
    )


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


def bench_signed(r: np.ndarray, rounds: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Two-layer modularity, whole batch against a leidenalg loop over the first graphs, in time a graph."""
    seeds = np.arange(len(r))
    layers = [(weighted(matrix), weighted(-matrix)) for matrix in r[:LEIDENALG_GRAPHS]]
    times: dict[str, list[float]] = {}
    q: dict[str, float] = {}
    contenders: dict[str, tuple[int, Callable[[], Any]]] = {
        "neuronull, best of 3": (len(r), lambda: communities.signed_modules(r, seeds)[1]),
        "neuronull, 1 run": (len(r), lambda: communities.signed_modules(r, seeds, restarts=1)[1]),
        "leidenalg, 2 iterations": (len(layers), lambda: leidenalg_loop(layers, 2)),
        "leidenalg, until stable": (len(layers), lambda: leidenalg_loop(layers, -1)),
    }
    communities.signed_modules(r[:2], seeds[:2])
    for _ in range(rounds):
        for name, (count, call) in contenders.items():
            seconds, found = timed(call)
            times.setdefault(name, []).append(seconds / count)
            q[name] = float(np.mean(found[:LEIDENALG_GRAPHS]))
    bars = {"leidenalg, 2 iterations": 30.0, "leidenalg, until stable": 30.0}
    return row(f"signed Q, {len(r)} graphs of {NEURONS}", "s a graph", times, "neuronull, best of 3", bars), q


def bench_unsigned(r: np.ndarray, rounds: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Modularity of the positive part, whole batch against igraph's C Leiden until stable."""
    seeds = np.arange(len(r))
    graphs = [weighted(matrix) for matrix in r[:IGRAPH_GRAPHS]]
    positive = np.maximum(r, 0.0)

    def ours(restarts: int) -> Any:
        return communities.leiden(communities.modularity_matrix(positive), seeds, restarts)[1]

    def theirs(iterations: int) -> list[float]:
        return [g.community_leiden("modularity", weights="weight", n_iterations=iterations).modularity for g in graphs]

    contenders: dict[str, tuple[int, Callable[[], Any]]] = {
        "neuronull, best of 3": (len(r), lambda: ours(3)),
        "neuronull, 1 run": (len(r), lambda: ours(1)),
        "igraph, 2 iterations": (len(graphs), lambda: theirs(2)),
        "igraph, until stable": (len(graphs), lambda: theirs(-1)),
    }
    times: dict[str, list[float]] = {}
    q: dict[str, float] = {}
    for _ in range(rounds):
        for name, (count, call) in contenders.items():
            seconds, found = timed(call)
            times.setdefault(name, []).append(seconds / count)
            q[name] = float(np.mean(found[:IGRAPH_GRAPHS]))
    bars = {"igraph, 2 iterations": 1.0, "igraph, until stable": 1.0}
    return row(f"unsigned Q, {len(r)} graphs of {NEURONS}", "s a graph", times, "neuronull, best of 3", bars), q


def show(rows: list[dict[str, Any]], q: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    print(f"{'benchmark':40s} {'contender':26s} {'median ms':>10s} {'quartiles':>17s} {'ratio':>7s} {'bar':>5s}")
    for r in rows:
        t = {key: 1e3 * value for key, value in r["time"].items()}
        bar = "" if r["bar"] is None else f"{r['bar']:.0f}" + ("" if r["ratio"]["median"] >= r["bar"] else " missed")
        spread = f"{t['q25']:.3g} - {t['q75']:.3g}"
        label = f"{r['benchmark']:40s} {r['contender']:26s}"
        print(f"{label} {t['median']:10.3f} {spread:>17s} {r['ratio']['median']:7.1f} {bar:>5s}")
    for name, values in q.items():
        print(f"mean Q, {name}: " + ", ".join(f"{contender} {value:.4f}" for contender, value in values.items()))


def main() -> None:
    """Run all three and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--graphs", type=int, default=1000)
    options = parser.parse_args()
    rows = bench_rewiring(options.rounds)
    r = null_correlations(options.graphs)
    signed, q_signed = bench_signed(r, options.rounds)
    unsigned, q_unsigned = bench_unsigned(r, options.rounds)
    rows += signed + unsigned
    q = {"signed": q_signed, "unsigned": q_unsigned}
    show(rows, q)
    if options.out is not None:
        machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
        options.out.write_text(json.dumps({"machine": machine, "rows": rows, "mean_q": q}, indent=1) + "\n")


if __name__ == "__main__":
    main()
