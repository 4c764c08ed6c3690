"""The page over a folder of runs: newest first, every verdict, nothing that is no run, nothing foreign unescaped."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sample_results import hostile_result, sample_result
from test_reports_html import Page

from neuronull.reports import index
from neuronull.reports.files import write_results
from neuronull.reports.index import line_of, write_index


def run_in(folder: Path, result, started: str) -> Path:
    folder.mkdir()
    result.provenance["started"] = started
    write_results(result, folder)
    (folder / "report.html").write_text("<p>")
    return folder


def test_runs_stand_the_newest_first_with_their_verdicts(tmp_path: Path):
    run_in(tmp_path / "early", sample_result(), "2026-11-22T15:00:00+00:00")
    late = run_in(tmp_path / "late run", sample_result("docs-pythia"), "2026-11-23T15:00:00+00:00")
    (late / "report.html").unlink()
    page = write_index(tmp_path).read_text()
    assert page.index("docs-pythia, layer 3") < page.index("docs-gpt2, layer 3")
    assert 'href="early/report.html"' in page
    assert 'href="late%20run/results.json"' in page, "without a report, the results"
    for claim in sample_result().claims:
        assert page.count(f"Claim {claim.number}, {claim.title}") == 2
    assert Page(page).wrong == []


def test_what_is_no_run_or_damaged_is_passed_over(tmp_path: Path):
    run_in(tmp_path / "whole", sample_result(), "x")
    (tmp_path / "notes.txt").write_text("x")
    for name, text in {"empty": "", "list": "[]", "deep": "[" * 100_000, "other": '{"setup": 1, "claims": {}}'}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(text)
    run_in(tmp_path / ".partial", sample_result(), "x")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "results.json")  # would wait for ever
    assert write_index(tmp_path).read_text().count("<article") == 1
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "results.json").write_text(
        json.dumps({"setup": {}, "claims": [1, {"verdict": "sure"}, {"verdict": "refuted"}]})
    )
    assert [verdict.value for *_, verdict in line_of(odd).claims] == ["refuted"]


def test_only_the_newest_are_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(index, "NEWEST", 1)
    for age, name in enumerate(("new", "old")):
        run_in(tmp_path / name, sample_result(), "x")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    page = write_index(tmp_path).read_text()
    assert "new/report.html" in page
    assert "old/report.html" not in page


def test_foreign_text_is_escaped(tmp_path: Path):
    run_in(tmp_path / "<script>alert(1)<", hostile_result(), "<img src=x onerror=alert(1)>")
    page = write_index(tmp_path).read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert Page(page).wrong == []
