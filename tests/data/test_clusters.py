"""Clusters of documents: shared sources, near-copies, and halves that leave them whole."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from neuronull.data.clusters import ALIKE, SHINGLE, clusters, near_copies
from neuronull.data.corpora import load_corpus
from neuronull.data.errors import InputError
from neuronull.data.options import MeasureOptions
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


# --- clusters that a user names ---------------------------------------------------------------------------------------


class Letters:
    """A tokenizer of the letters a-z."""

    def __call__(self, text, **options):
        return {"input_ids": [ord(letter) - 97 for letter in text]}


TEXTS = ["".join(chr(97 + k) for k in np.random.default_rng(n).integers(26, size=40)) for n in range(24)]
AUTHORS = [f"author {n // 3}" for n in range(24)]


def rows_with_authors(folder, kind):
    """The same texts in a file of any kind, each with its author in a field, or inside an object."""
    table = pd.DataFrame({"text": TEXTS, "author": AUTHORS})
    path = folder / f"texts.{kind}"
    if kind == "jsonl":
        lines = [{"text": t, "meta": {"author": a, "year": 1900}} for t, a in zip(TEXTS, AUTHORS, strict=True)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path, "meta.author"
    if kind == "parquet":
        table.to_parquet(path)
    elif kind == "arrow":
        table.to_feather(path)
    elif kind == "json":
        path.write_text(json.dumps(table.to_dict("records")))
    else:
        table.to_csv(path, index=False, sep="," if kind == "csv" else "\t")
    return path, "author"


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet", "arrow"])
def test_a_field_names_the_clusters(tmp_path, kind):
    path, field = rows_with_authors(tmp_path, kind)
    documents = load_corpus(str(path), Letters(), 24, 16, field).documents
    assert documents["cluster"].tolist() == [n // 3 for n in range(24)]
    assert documents["source"].tolist() == load_corpus(str(path), Letters(), 24, 16).documents["source"].tolist()


@pytest.mark.parametrize("key", ["source", "document"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet"])
def test_a_table_names_the_clusters_and_what_it_leaves_out_is_its_own(tmp_path, kind, key):
    path, _ = rows_with_authors(tmp_path, "csv")
    names = load_corpus(str(path), Letters(), 24, 16).documents[key]
    table = pd.DataFrame({key: names, "cluster": AUTHORS}).iloc[:21]
    file = tmp_path / f"clusters.{kind}"
    table.to_parquet(file) if kind == "parquet" else table.to_csv(file, index=False, sep="\t" if kind == "tsv" else ",")
    found = load_corpus(str(path), Letters(), 24, 16, str(file)).documents["cluster"].tolist()
    assert found == [*(n // 3 for n in range(21)), 7, 8, 9]


def test_rules_that_cannot_be_used_are_refused_in_a_line(tmp_path):
    path, _ = rows_with_authors(tmp_path, "jsonl")
    (tmp_path / "one.csv").write_text("source,group\na,b\n")
    (tmp_path / "other.csv").write_text("source,cluster\nnobody.txt,b\n")
    (tmp_path / "two.csv").write_text("document,cluster\n1,b\n1,c\n")
    (tmp_path / "prose.txt").write_text(" ".join(TEXTS))
    (tmp_path / "one.jsonl").write_text("".join(json.dumps({"text": t, "of": "x"}) + "\n" for t in TEXTS))
    refused = {
        (path, "publisher"): r'line 1 has no field "publisher"',
        (path, "meta"): r'the field "meta" of .* holds an object',
        (path, f"{tmp_path}/none.csv"): r"is not a file",
        (path, f"{tmp_path}/one.csv"): r"has the columns source, group",
        (path, f"{tmp_path}/other.csv"): r"lists none of the documents",
        (path, f"{tmp_path}/two.csv"): r"gives document 1 two clusters",
        (tmp_path / "prose.txt", "author"): r"has no fields",
        (tmp_path / "one.jsonl", "of"): r"all documents are of the cluster 'x'",
    }
    for (corpus, rule), said in refused.items():
        with pytest.raises(InputError, match=said) as error:
            load_corpus(str(corpus), Letters(), 24, 16, rule)
        assert error.value.where.startswith("--cluster")
        assert error.value.hint
    with pytest.raises(InputError, match="has no fields"):
        load_corpus(TEXTS, Letters(), 24, 16, "author")
    with pytest.raises(InputError, match="no rule"):
        MeasureOptions(cluster=" ")
