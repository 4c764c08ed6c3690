"""Paragraphs for a paper: every number is the run's, and nothing is said that the run does not hold."""

from __future__ import annotations

import re

import pytest
from sample_results import hostile_result, sample_result, two_papers

from neuronull.hypotheses.result import Role
from neuronull.reports import html, markdown, paragraphs
from neuronull.reports.numbers import ABSENT, finding_numbers


@pytest.fixture(scope="module")
def result():
    return sample_result()


def test_methods_name_model_text_sets_nulls_and_hashes(result):
    told, s = paragraphs.methods(result), result.setup
    for said in (s.model, s.corpus, s.model_hash[:12], s.corpus_hash[:12], f"seed {s.seed}", "plan 5d415d415d41"):
        assert said in told
    for null in result.nulls:
        assert null.name in told
    assert f"{s.n_pairs:,} pairs" in told
    assert "the 26 plateau neurons" in told
    assert "The plan was not frozen before the run." in told


def test_frozen_is_said_only_of_a_frozen_plan(result):
    plan = result.provenance["plan"] | {"frozen": {"sha256": "ab", "at": "2026"}}
    assert "frozen before the run, at 2026." in paragraphs.methods(
        result.model_copy(update={"provenance": {"plan": plan}})
    )
    assert "plan" not in paragraphs.methods(result.model_copy(update={"provenance": {}}))


def test_results_tell_each_claim_and_each_deciding_row_with_its_numbers(result):
    told = paragraphs.results(result)
    for claim in result.claims:
        assert f"Claim {claim.number}, that {claim.title}, is {claim.verdict}." in told
    for finding in result.findings:
        n = finding_numbers(finding)
        row = f"({n.estimate} {finding.unit}, {n.verdict_level} interval {n.verdict_interval}, {n.p}"
        if finding.role is Role.PRIMARY and finding.estimate is not None and n.verdict_interval != ABSENT:
            assert row in told
            assert f"; {finding.verdict})" in told[told.index(row) :]
    assert "Claim 1 (" in paragraphs.results(two_papers())


def test_page_and_markdown_hold_them_escaped(result):
    plain = re.sub(r"<[^>]+>", "", html.render(result))
    assert "p-values were adjusted within families" in plain
    assert "p-values were adjusted within families" in markdown.render(result)
    assert "<script" not in html.render(hostile_result())
