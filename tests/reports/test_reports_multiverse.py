"""The multiverse told: counts against the universes themselves, the same in every format, and never as a p-value."""

import re

import pytest
from sample_results import sample_result

from neuronull.hypotheses.result import Role, Verdict
from neuronull.reports import html, latex, load_result, markdown, multiverse, summary, write_results
from neuronull.reports.multiverse import Followed


@pytest.fixture(scope="module")
def result():
    return sample_result()


def test_counts_are_those_of_the_universes_that_bear_on_it(result):
    universes = result.multiverse.universes
    for row in multiverse.rows(result):
        bearing = [u for u in universes if row.hypothesis == "clusters.within" or u.settings["resolution"] == "1"]
        seen = [o.verdict for u in bearing for o in u.outcomes if o.hypothesis == row.hypothesis]
        followed = multiverse.follow(result, row)
        assert len(followed.universes) == len(bearing) == (12 if row.hypothesis == "clusters.within" else 4)
        assert {v: seen.count(v) for v in set(seen)} == dict(followed.counts)
        told = followed.sentence(199)
        assert f"the same in {seen.count(row.verdict)} of {len(bearing)} universes" in told
        assert f"in {seen.count(row.verdict)}." in followed.ways


def followed(own, *verdicts):
    from neuronull.hypotheses.result import Universe

    settings = [{"a": "1", "b": "1"}, {"a": "2", "b": "1"}, {"a": "1", "b": "2"}, {"a": "2", "b": "2"}]
    universes = tuple(Universe(settings=s, own=i == 0) for i, s in enumerate(settings[: len(verdicts)]))
    return Followed("x.y", "X", own, universes, verdicts)


S, R, U = Verdict.SUPPORTED, Verdict.REFUTED, Verdict.UNDETERMINED


@pytest.mark.parametrize(
    ("verdicts", "flips"),
    [
        ((S, S, S, S), "none"),
        ((S, R, S, R), "a 2 (refuted)"),
        ((S, R, U, S), "a 2 (refuted), b 2 (undetermined)"),
        ((S, S, S, R), "none alone, 1 combination does"),
        ((S, None, S, S), "none"),
        ((S,), "none"),
    ],
)
def test_what_flips_a_verdict_is_what_changes_it_alone(verdicts, flips):
    assert followed(S, *verdicts).flips == flips


def test_a_run_whose_own_universe_differs_for_want_of_draws_says_so():
    told = followed(S, U, U, S, S).sentence(199)
    assert "supported, is the same in 2 of 4 universes; it is undetermined in 2." in told
    assert "With 199 draws the run's own settings give undetermined." in told
    assert "b 2 (supported)" in told, "flips are seen from the universe with the same number of draws"


def test_a_row_without_a_verdict_claims_none():
    assert "carries no verdict" in followed(None, None, None).sentence(199)
    assert followed(None, None, None).ways == ""


def test_what_could_not_be_tested_is_told(result):
    within = multiverse.follow(result, result.finding("clusters.within"))
    assert "not tested in 1" in within.sentence(199)
    assert "half 1 has 1 documents" in str(multiverse.every_universe(result))
    (drawn,) = [row for row in multiverse.rows(result) if row.hypothesis == "clusters.within"]
    assert len(multiverse.curve(result.multiverse, drawn.hypothesis)) == 11


def test_every_format_tells_it_and_that_it_is_no_p_value(result):
    page, md, tex, text = html.render(result), markdown.render(result), latex.render(result), summary(result)
    for told in (page, md, tex):
        assert "no p-value" in told
        assert "How often each verdict comes out" in told
    assert "no p-value" in " ".join(text.split())
    counts = multiverse.follow_claim(result, result.claims[1])
    assert (len(counts.universes), counts.counts[S], counts.counts[R]) == (12, 9, 2)
    assert "claim 2 & supported & 12 & 9 & 2 & 0" in tex
    assert re.search(r"^Claim 2 +supported in 9, refuted in 2 of 12; what flips it: plateau knot", text, re.M)
    assert "Analysed in 12 ways, it came out the same in 9." in md
    assert "Analysed in 12 ways, it came out the same in 9." in page
    drawn = [f for f in result.findings if f.role is Role.PRIMARY and f.estimate is not None]
    assert page.count("universes. Estimates from") == len(drawn)


def test_a_run_without_it_says_nothing_of_it(result):
    alone = result.model_copy(update={"multiverse": None})
    for told in (html.render(alone), markdown.render(alone), latex.render(alone), summary(alone)):
        assert "niverse" not in told
        assert "steegen" not in told


def test_it_comes_back_as_it_was_written(result, tmp_path):
    write_results(result, tmp_path)
    assert load_result(tmp_path) == result
