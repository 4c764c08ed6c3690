"""What ablating the set under test does: the same numbers in each format, a sentence per row, nothing without it."""

from __future__ import annotations

import re

import pytest
from sample_results import sample_result

from neuronull.data.measurements import EFFECTS
from neuronull.reports import html, latex, markdown, set_effects, summary


@pytest.fixture(scope="module")
def result():
    return sample_result()


def test_each_effect_has_a_name_and_a_sentence(result):
    assert list(set_effects.NAMES) == list(set_effects.MEANS) == list(EFFECTS)
    table, meanings = set_effects.effects(result), set_effects.meanings(result)
    assert len(table.rows) == 2 * len(EFFECTS)
    assert [row[0] for row in meanings.rows] == list(set_effects.NAMES.values())
    assert table.columns == ("Effect", "Positions", "Plateau neurons", "95 % interval", "Strata", "Size left")


def test_numbers_are_printed_to_the_intervals_second_digit(result):
    one = result.set_effects[0].model_copy(
        update={"mean": 0.012345, "low": 0.00912, "high": 0.0156, "strata": -0.00004, "left": 1.254}
    )
    table = set_effects.effects(result.model_copy(update={"set_effects": [one]}))
    assert table.rows == (("Loss", "rare", "+.0123", "[.0091, .0156]", ".0000", "125.4 %"),)


def test_html_and_markdown_tell_every_cell_and_cite(result):
    page, text = html.render(result), markdown.render(result)
    plain = re.sub(r"<[^>]+>", "", page).replace("&#39;", "'")
    for row in (*set_effects.effects(result).rows, *set_effects.meanings(result).rows):
        for cell in row:
            typed = re.sub(r"(?<![\w.)\]-])-(?=\.?\d)", "\u2212", cell) if cell != "-" else "\u2013"
            assert typed in plain
            assert typed in text
    assert 'href="#set-effects"' in page
    assert 'id="set-effects"' in page
    assert "2406.16254" in page.partition('id="citation"')[2]
    assert "stolfo2024" in text


def test_nothing_of_it_is_called_a_verdict_or_a_p_value(result):
    section = html.render(result).partition('<section id="set-effects"')[2].partition("</section>")[0]
    assert "no verdict rests on it" in section
    assert 'class="badge' not in section
    assert not re.search(r"\bp\b [=<]", section)


@pytest.mark.parametrize("none", [None, []])
def test_a_run_without_it_says_nothing_of_it(result, none):
    alone = result.model_copy(update={"set_effects": none})
    for told in (html.render(alone), markdown.render(alone), latex.render(alone), summary(alone)):
        assert set_effects.title(result) not in told
        assert "set-effects" not in told
        assert "stolfo" not in told
