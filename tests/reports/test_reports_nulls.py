"""What the report says of null models, foreign ones among them."""

import re

import pytest
from sample_results import sample_result

from neuronull.hypotheses.result import Certificate
from neuronull.reports import html, markdown
from neuronull.reports.null_tables import passed


def plain(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        (None, "not checked"),
        (Certificate(run=17, failed=[], skipped=[], versions={}), "17 of 17"),
        (Certificate(run=16, failed=["seeds"], skipped=["uniform"], versions={}), "15 of 16; failed: seeds"),
    ],
)
def test_what_vouches_for_a_null(certificate, says):
    assert passed(certificate) == says


def test_a_foreign_null_stands_in_html_and_markdown():
    result = sample_result(replicates=19)
    page, md = plain(html.render(result)), markdown.render(result)
    for told in (page, md):
        assert "package neuronull-shuffled-layers 0.1.0" in told
        assert "14 of 16; failed: seeds, batch" in told
        assert "the classical permutation null" in told
        assert "from 1 to .26 (4 values)" in told
        assert "211, 208" in told
    (line,) = [line for line in md.splitlines() if line.startswith("| shuffled_layers")]
    assert line.split(" | ")[1] == "Neurons; it breaks: which neurons form the plateau."


def test_equal_diagnostics_are_told_once():
    md = markdown.render(sample_result(replicates=19))
    assert md.count("Here: neurons in the smallest group") == 1
