"""What is said of earlier looks at the same data, and of long runs before they begin."""

from __future__ import annotations

import json
from typing import Any

import pytest

import neuronull as nn
from neuronull import looks, pipeline
from neuronull.data.options import MeasureOptions, TestOptions
from neuronull.data.store import cache_directory
from neuronull.estimators import estimate as estimating

RUN = ("run", "--only", "clusters.weights", "--replicates", "39", "--context", "32")


def declared(**measure: Any) -> dict[str, Any]:
    return pipeline.declared_of(pipeline.Request(MeasureOptions(**measure), TestOptions()))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path / "cache"))


def test_looks_are_those_that_differ_in_documents_alone():
    looks.looked(declared(documents=60))
    looks.looked(declared(documents=60))
    looks.looked(declared(documents=60, seed=1))
    assert looks.earlier(declared(documents=60)) == []
    (found,) = looks.earlier(declared(documents=80))
    assert (found["documents"], found["head_documents"]) == (60, None)
    assert [one["head_documents"] for one in looks.earlier(declared(documents=60, head_documents=30))] == [None]
    assert looks.earlier(declared(documents=80, layer=1)) == []


def test_damaged_notes_are_none():
    looks.looked(declared(documents=60))
    (place,) = (cache_directory() / looks.LOOKS).iterdir()
    place.write_bytes(b"\xff\x00 not a note\n")
    assert looks.earlier(declared(documents=80)) == []
    place.write_text('{"documents": "many"}\n[1]\n')
    assert looks.earlier(declared(documents=80)) == []


def test_a_run_that_takes_more_documents_after_a_look_says_so(cli, tmp_path):
    assert cli(*RUN, "--documents", "40", "--out", str(tmp_path / "first")).code == 0
    assert cli(*RUN, "--documents", "44", "--out", str(tmp_path / "second")).code == 0
    told = json.loads((tmp_path / "second" / "provenance.json").read_text())["plan"]["looks"]
    assert [one["documents"] for one in told] == [40]
    assert "another number of documents: 40 documents" in (tmp_path / "second" / "report.md").read_text()
    assert "another number of documents" not in (tmp_path / "first" / "report.md").read_text()


@pytest.mark.parametrize("hypothesis", ["clusters.weights", "routing.heads"])  # without heads, and with them
def test_a_long_run_says_first_what_it_will_take(cli, hypothesis: str, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(estimating, "LONG", 0)
    words = ("run", "--only", hypothesis, *RUN[3:], "--documents", "40")
    ran = cli(*words, "--out", str(tmp_path / "first"))
    (line,) = (line for line in ran.err.splitlines() if line.startswith("measuring takes about "))
    assert line.endswith(" GiB disk")
    assert "forward pass" not in ran.err[: ran.err.index(line)]
    ran = cli(*words, "--out", str(tmp_path / "second"))  # the cache serves
    assert "measuring takes" not in ran.err


def test_progress_of_ones_own_need_not_say_anything(monkeypatch: pytest.MonkeyPatch):
    from neuronull.data.options import Silent

    monkeypatch.setattr(estimating, "LONG", 0)
    found = nn.run(documents=40, context=32, only="clusters.weights", replicates=39, progress=Silent())
    assert found.result.findings
