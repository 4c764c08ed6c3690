"""Clusters of documents: shared sources, near-copies, and halves that leave them whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuronull.data.clusters import ALIKE, SHINGLE, clusters, near_copies
from neuronull.data.errors import InputError
from neuronull.data.panel import halves


def documents(rng: np.random.Generator, count: int, length: int = 120) -> list[list[int]]:
    return [rng.integers(1000, size=length).tolist() for _ in range(count)]


def slow_jaccard(a: list[int], b: list[int]) -> float:
    first, second = ({tuple(x[i : i + SHINGLE]) for i in range(len(x) - SHINGLE + 1)} for x in (a, b))
    return len(first & second) / len(first | second)


def test_documents_of_one_source_are_one_cluster_and_those_of_none_their_own():
    rows = documents(np.random.default_rng(0), 6)
    assert clusters(["b", "a", "", "b", "", "a"], rows).tolist() == [0, 1, 2, 0, 3, 1]


def test_near_copies_are_those_of_the_naive_jaccard():
    rng = np.random.default_rng(1)
    rows = documents(rng, 30)
    for original in range(10):  # copies that differ more and more
        copy = list(rows[original])
        for place in rng.choice(len(copy), size=2 * original, replace=False):
            copy[place] = int(rng.integers(1000))
        rows.append(copy)
    expected = [
        (i, j) for i in range(len(rows)) for j in range(i + 1, len(rows)) if slow_jaccard(rows[i], rows[j]) >= ALIKE
    ]
    assert sorted(near_copies(rows)) == expected
    assert 3 <= len(expected) < 10


def test_boilerplate_makes_no_copies():
    rng = np.random.default_rng(2)
    licence = rng.integers(1000, size=200).tolist()
    rows = [licence + own for own in documents(rng, 40, 60)]
    assert near_copies(rows) == []


def test_copies_join_the_clusters_of_their_sources():
    rows = documents(np.random.default_rng(3), 12)
    rows[11] = list(rows[0])
    groups = ["a", "a", *("" for _ in range(8)), "b", "b"]
    found = clusters(groups, rows)
    assert found[0] == found[1] == found[10] == found[11]
    assert len(set(found.tolist())) == 9


def test_a_corpus_of_copies_is_refused():
    rows = documents(np.random.default_rng(4), 20)
    with pytest.raises(InputError, match="near-copies"):
        clusters([""] * 28, [*rows, *[list(rows[0])] * 8])


def test_halves_leave_clusters_whole_and_are_even():
    rng = np.random.default_rng(5)
    sizes = [14, 9, 7, 5, 5, 4, 3, 2, 1, 1, 1]
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    table = pd.DataFrame({"input_ids": documents(rng, len(cluster), 20), "cluster": cluster})
    half = halves(table, 0)
    assert all(len(set(half[cluster == c])) == 1 for c in range(len(sizes)))
    assert abs(int((half == 0).sum()) - int((half == 1).sum())) <= 2
    alone = table.assign(cluster=np.arange(len(table)))
    assert halves(alone, 0).tolist() == halves(table.drop(columns="cluster"), 0).tolist()
