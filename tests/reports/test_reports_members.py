"""Who the neurons are: the numbers of each, the same in page and Markdown, nothing without them."""

from __future__ import annotations

import re

import pytest
from sample_results import sample_result

from neuronull.reports import html, markdown, members


@pytest.fixture(scope="module")
def result():
    return sample_result()


def test_numbers_to_the_intervals_second_digit_and_the_share_of_halves(result):
    table = members.neurons(result)
    assert table.columns == ("Neuron", "Rare positions", "95 % interval", "Common positions", "95 % interval", "Chosen")
    assert table.rows[0] == ("895", ".0751", "[.0706, .0796]", ".0513", "[.0479, .0547]", "100 %")
    assert table.rows[1][-1] == "42.5 %"


def test_tokens_that_look_alike_are_told_once_and_a_neuron_without_any_has_no_row(result):
    assert members.tokens(result).rows == (
        ("895", "\u201c the\u201d, \u201cing\u201d", "\u201c\u21b5\u201d, \u201c\u21b5 \u201d"),
    )
    assert members.quoted(["\n  ", "\n   "]) == "\u201c\u21b5 \u201d"


def test_how_many_there_are_and_how_many_are_shown(result):
    told = members.intro(result.members)
    assert "choose 3 neurons in all, 1 of them by both halves. The 2 with the most influence are shown" in told
    listed = result.members.model_copy(update={"splits": 0, "size": 2})
    assert members.intro(listed).startswith("The set holds 2 neurons. All are shown")


def test_page_and_markdown_tell_every_number(result):
    page, text = html.render(result), markdown.render(result)
    plain = re.sub(r"<[^>]+>", "", page)
    for table in (members.neurons(result), members.tokens(result), members.heads(result)):
        for cell in (cell for row in table.rows for cell in row):
            assert cell in plain
            assert cell in text
    assert "the cat sat on\u21b5the<mark> mat</mark> and slept" in page
    assert "activation 4.25, document 3, position 41" in plain
    assert "loss 4.10" in plain
    assert 'href="#members"' in page


def test_nothing_is_told_where_nothing_is_known(result):
    without = result.model_copy(update={"members": None})
    assert 'id="members"' not in html.render(without)
    assert "## Who" not in markdown.render(without)
    bare = result.members.neurons[0].model_copy(update={"influence": {}, "splits": None, "raised": [], "contexts": []})
    unread = result.members.neurons[0].model_copy(update={"raised": [], "lowered": []})
    page = html.render(result.model_copy(update={"members": result.members.model_copy(update={"neurons": [unread]})}))
    assert "activation 4.25" in page, "contexts need no tokens that a neuron speaks for"
    few = result.members.model_copy(update={"neurons": [bare], "pairs": [], "heads": []})
    page = html.render(result.model_copy(update={"members": few}))
    assert "Examples of matched positions" not in page
    assert members.neurons(result.model_copy(update={"members": few})).columns == ("Neuron",)
