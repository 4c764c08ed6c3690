"""Several papers, a reader's own hypotheses, conditions and sets: told by the names in the result and by no others."""

import re
from pathlib import Path

import pytest
from sample_results import hostile_result, own_result, sample_result, two_papers
from test_reports_html import Page, first_screen

from neuronull.hypotheses.result import Role, Verdict
from neuronull.reports import compare, html, latex, markdown, multiverse, reasons, subject, summary
from neuronull.reports.notebook import result_html
from neuronull.reports.story import home_of, tell

FIRST_PAPER = re.compile(r"\brare\b|plateau|\bLiu\b", re.IGNORECASE)
ROOM = Path(reasons.__file__).resolve().parent
CONTRACT = {"result.schema.json"}
"""The column `plateau` keeps its name."""


@pytest.fixture(scope="module")
def two():
    return two_papers(replicates=99)


@pytest.fixture(scope="module")
def own():
    return own_result()


def visible(page):
    """Text of a page, and what its figures say to those who cannot see them."""
    body = page.partition("</style>")[2]
    spoken = " ".join(re.findall(r'(?:aria-label|id|href)="([^"]*)"', body))
    return f"{' '.join(re.sub(r'<[^>]*>', ' ', body).split())} {spoken}"


def test_no_file_of_the_room_speaks_of_a_paper():
    files = [p for p in ROOM.rglob("*") if p.is_file() and p.suffix not in (".pyc", ".png")]
    assert len(files) > 25
    assert {p.name for p in files if FIRST_PAPER.search(p.read_text(encoding="utf-8"))} == CONTRACT


@pytest.mark.parametrize(
    "tell_it",
    [
        lambda r: visible(html.render(r)),
        markdown.render,
        latex.render,
        summary,
        result_html,
        lambda r: visible(compare.html(compare.compare([r, r]))),
        lambda r: compare.markdown(compare.compare([r, r])),
    ],
    ids=["html", "md", "tex", "terminal", "notebook", "compared html", "compared md"],
)
def test_ones_own_conditions_and_set_are_all_that_is_spoken_of(own, tell_it):
    told = tell_it(own)
    assert "entropy neurons" in told
    assert FIRST_PAPER.findall(told) == []


def test_figures_of_ones_own_conditions_speak_of_nothing_else(own):
    from neuronull.reports.figures.album import album
    from neuronull.reports.figures.canvas import to_svg

    drawn = album(own)
    assert {"overview", "curves", "balance-1", "finding-norms.large"} <= set(drawn)
    for name, drawing in drawn.items():
        assert FIRST_PAPER.findall(f"{to_svg(drawing, 'k')} {drawing.caption}") == [], name
    assert "code" in drawn["curves"].alt


def test_title_and_kicker_come_from_the_papers(own, two):
    assert tell(own).title == "One claim about programming, tested on their-model"
    assert tell(own).kicker == "neuronull report on the claims of Gray (2026), \u201cCode and Prose\u201d"
    assert tell(two).title == "Four claims about rare words, tested on docs-gpt2"
    mixed = two.model_copy(update={"papers": [*two.papers[:1], two.papers[1].model_copy(update={"about": "rivers"})]})
    assert tell(mixed).title == "Four claims, tested on docs-gpt2"
    bare = own.model_copy(update={"claims": [], "papers": []})
    assert tell(bare).title == "Hypotheses, tested on their-model"
    assert subject.title([own, two], "") == "Five claims"


def test_claims_stand_under_their_papers(two):
    story = tell(two)
    assert [(p.title.partition(" (")[0], [c.name for c in p.claims]) for p in story.papers] == [
        ("Liu", ["Claim 1", "Claim 2", "Claim 3"]),
        ("Liu et al.", ["Claim 1"]),
    ]
    assert [c.anchor for c in story.claims] == ["claim-1-1", "claim-1-2", "claim-1-3", "claim-2-1"]
    assert story.rest == ()
    page, md, text = html.render(two), markdown.render(two), summary(two)
    for paper in two.papers:
        assert page.count(f'<h2 class="paper" id="paper-{two.papers.index(paper) + 1}">{paper.short}</h2>') == 1
        assert f"\n## {paper.short}\n" in md
        assert re.search(rf"^{re.escape(paper.short)}$", text, re.M)
        assert paper.citation in page
    assert Page(page).wrong == []
    tables = re.findall(r"\\caption\{Claims of (.*?), tested", latex.render(two))
    assert len(tables) == 2


def test_one_paper_needs_no_heading():
    result = sample_result(replicates=19)
    assert 'class="paper"' not in html.render(result)
    assert f"\n## {result.papers[0].short}" not in markdown.render(result)
    assert result.papers[0].short not in summary(result)


def test_a_finding_is_told_once_and_linked_from_the_other_claim(two):
    story = tell(two)
    told = [s.hypothesis for c in story.sections for s in c.findings]
    assert len(told) == len(set(told))
    (claim,) = story.papers[1].claims
    assert [s.hypothesis for s in claim.findings] == ["coordination.dimension"]
    assert [s.hypothesis for s in claim.elsewhere] == ["clusters.within"]
    assert len(claim.tests) == 2, "both decide it"
    page = Page(html.render(two))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("a") if a["href"].startswith("#")} <= set(ids)
    assert "Told above: Modules inside the plateau (clusters.within)." in markdown.render(two)


def test_claims_of_two_papers_are_told_apart_where_a_number_would_not(two):
    assert multiverse.follow_claim(two, two.claims[0]).title.startswith("Claim 1 (liu2025): ")
    other = multiverse.follow_claim(two, two.claims[3])
    assert other.name == "claim 1 (liu2025_emergence)"
    assert other.counts == {Verdict.SUPPORTED: len(other.universes) - other.verdicts.count(None)}
    columns = multiverse.every_universe(two).columns
    assert {"Claim 1 (liu2025)", "Claim 1 (liu2025_emergence)"} <= set(columns)
    several = compare.compare([two, sample_result("docs-pythia", replicates=19)])
    assert [row[0].partition(":")[0] for row in several.claims.rows][-1] == "Claim 1 (liu2025_emergence)"
    assert several.claims.rows[-1][2] == "-", "the second run has one paper"
    assert several.claims.rows[0][0].startswith("Claim 1 (liu2025): ")


def test_what_no_claim_asks_for_is_further_or_ones_own(own):
    (further,) = tell(sample_result(replicates=19)).rest
    assert (further.title, [s.hypothesis for s in further.findings]) == ("Further findings", ["coordination.dimension"])
    (mine,) = tell(own).rest
    assert (mine.title, mine.heading) == ("Hypotheses of your own", "Hypotheses of your own")
    assert [s.sentence for s in mine.findings] == ["Entropy neurons keep counsel. Supported."]
    md, page = markdown.render(own), html.render(own)
    assert "**Hypotheses of your own**\n\n- **Keeping counsel: supported.** Entropy neurons keep counsel." in md
    first = first_screen(page)
    assert "Keeping counsel" in first, "its verdict stands on the first screen"
    assert Page(page).wrong == []
    alone = own.model_copy(update={"claims": [], "papers": []})
    assert "- **Keeping counsel: supported.**" in markdown.render(alone)
    assert Page(html.render(alone)).wrong == []


def test_ones_own_hypothesis_is_not_drawn_into_a_claim_by_the_name_of_its_family():
    result = sample_result(replicates=19)
    row = result.finding("clusters.rewired")
    assert home_of(row, result) == 1, "a row beside the claim, of a hypothesis that its paper declares"
    card = next(c for c in result.hypotheses if c.id == "clusters.rewired")
    card.papers = []
    assert home_of(row, result) is None
    result.hypotheses.remove(card)
    assert home_of(row, result) == 1, "nothing is known of it but its family"


def test_each_figure_stands_once_with_the_first_that_asks_for_it(own, two):
    assert [c.figures for c in tell(two).sections] == [("curves",), ("graphs",), ("head_map",), ()]
    assert [c.figures for c in tell(own).sections] == [("curves", "effects"), ("balance",)]
    page = html.render(own)
    assert page.count("Influence of single neurons") == 1
    assert page.count('id="set-effects"') == page.count('id="balance"') == 1
    assert "Balance of the matches" in page.partition('<section id="own"')[2].partition("</section>")[0]
    assert markdown.render(own).count("What ablating the entropy neurons does (nats per position)") == 1


def test_what_nobody_asks_for_keeps_its_own_section():
    page = html.render(sample_result(replicates=19))
    assert '<section id="set-effects"' in page
    assert '<section id="balance"' in page


def test_the_method_names_the_claims_of_absence(own, two):
    assert tell(sample_result(replicates=19)).method.startswith("Claims 2 and 3 say that something is absent")
    assert tell(two).method.startswith("Some of these claims say that something is absent")
    assert tell(own).method.startswith("Each estimate is held against what chance alone gives")


def test_citations_are_those_of_the_cards_each_once(own, two):
    from neuronull.reports import references

    entries = re.findall(r"@\w+\{([^,]+),", references.bibtex(two, two))
    assert entries[:3] == ["liu2025routing", "liu2025emergent", "neuronull"]
    assert {"traag2019", "westfall1993", "maslov2002", "holm1979"} <= set(entries)
    assert len(entries) == len(set(entries))
    assert "liu" not in references.bibtex(own)


def test_code_fences_hold_whatever_they_hold():
    md = markdown.render(hostile_result())
    opened = re.findall(r"^(`{3,})\w*$", md, flags=re.M)
    assert max(map(len, opened)) > 3
    assert len(opened) % 2 == 1, "the one of the paper's BibTeX stands inside a longer fence"


def test_limits_and_terms_of_a_paper_follow_it(own):
    result = sample_result(replicates=19)
    assert ("What the paper studied", "The paper studied GPT-2 XL and Pythia.") in tell(result).limits
    terms = dict(tell(result).terms)
    assert "Matched sets" in terms
    assert terms["Plateau neurons"] == (
        "26 neurons that matter most for rare words, chosen on one half of the documents and read on the other."
    )
    terms = dict(tell(own).terms)
    assert "Matched sets" not in terms
    assert terms["Code, prose"].endswith("that are compared: lines inside and outside of a listing.")
    assert terms["Entropy neurons"] == "11 neurons that entropy.json lists."


def test_a_paper_without_a_card_goes_by_its_id():
    result = sample_result(replicates=19)
    bare = result.model_copy(update={"papers": []})
    assert tell(bare).papers[0].title == "liu2025"
    assert "Three claims, tested on docs-gpt2" in markdown.render(bare)


def test_the_rule_of_a_verdict_is_the_engines():
    """An absence in either direction is refuted on both sides, as `decide` has it."""
    row = sample_result(replicates=19).finding("clusters.within")
    update = {"verdict_low": -0.3, "verdict_high": -0.2, "p_adjusted": 0.001, "two_sided": True}
    assert reasons.by_the_numbers(row.model_copy(update=update)) is Verdict.REFUTED
    assert reasons.by_the_numbers(row.model_copy(update={**update, "margin": None})) is None


def test_a_caveat_stands_wherever_the_numbers_of_its_null_model_stand():
    from neuronull.reports import tables
    from neuronull.reports.figures.canvas import to_svg
    from neuronull.reports.figures.estimation import estimation

    result = sample_result(replicates=19)
    rows = [f for f in result.findings if f.hypothesis == "clusters.rewired" and f.role is Role.SENSITIVITY]
    caveat = result.null("rewired").caveat
    assert tables.nulls_of(rows, result.nulls).note.endswith(caveat)
    assert "rewired (see the note)" in to_svg(estimation(rows, known=result.nulls), "k")
    assert tables.nulls_of(rows).note == ""
    rows[0].details.further["note"] = "Read with care."
    assert tables.also_measured(rows[0]).note == "Read with care."
