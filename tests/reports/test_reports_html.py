"""The page: standalone, escaped, structured; no browser needed here (see test_reports_chromium.py)."""

import base64
import csv
import itertools
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from sample_results import hostile_result, sample_result

from neuronull.hypotheses.result import Role
from neuronull.reports import html, render
from neuronull.reports.notebook import finding_html, plot_finding, result_html

VOID = {"meta", "link", "br", "img", "hr", "input", "path", "use", "image"}


class Page(HTMLParser):
    """Tags with their attributes, texts, and whether every tag is closed where it was opened."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.wrong = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def all(self, *names):
        return [attrs for tag, attrs in self.tags if tag in names]


@pytest.fixture(scope="module")
def text():
    return html.render(sample_result())


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


@pytest.fixture(scope="module")
def hostile():
    return html.render(hostile_result())


def test_is_well_formed_and_small(text, page):
    assert page.wrong == []
    assert page.open == []
    assert len(text.encode()) < 5e6


def test_equal_results_give_equal_pages(text):
    assert html.render(sample_result()) == text


def test_nothing_is_loaded_from_anywhere(text, page):
    for tag, attrs in page.tags:
        for name in ("src", "srcset", "data", "poster", "action"):
            assert name not in attrs, (tag, attrs)
        if tag != "a" and "href" in attrs:
            assert attrs["href"].startswith(("#", "data:")), (tag, attrs)
    assert not page.all("script", "iframe", "object", "embed", "form", "base")
    assert all(url.startswith("#") for url in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_ids_are_unique_and_every_link_inside_the_page_leads_somewhere(page):
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    inner = {attrs["href"][1:] for attrs in page.all("a", "use") if attrs["href"].startswith("#")}
    named = {name for attrs in (a for _, a in page.tags) for name in attrs.get("aria-labelledby", "").split()}
    assert inner | named <= set(ids)


def test_headings_descend_one_by_one(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))


def test_tables_have_captions_and_scoped_headers(page):
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(attrs.get("scope") in ("col", "row") for attrs in page.all("th"))


def test_every_figure_tells_its_numbers(page):
    figures = page.all("svg")
    assert len(figures) >= 15
    for attrs in figures:
        assert attrs["role"] == "img"
        assert re.search(r"\d", attrs["aria-label"])


def first_screen(page: str) -> str:
    """The page before its overview, without its contents."""
    before = page.partition('<section id="overview"')[0]
    return re.sub(r'<nav class="contents".*?</nav>', "", before, flags=re.S)


def test_page_begins_with_verdicts_and_ends_with_them(text):
    result = sample_result()
    contents = text.partition('<nav class="contents"')[2].partition("</nav>")[0]
    last = text.partition('<section id="verdicts"')[2]
    assert last.count("<section") == 0
    for claim in result.claims:
        assert claim.headline in first_screen(text)
        assert claim.headline in last
    marks = re.findall(r'<span class="mark ([a-z-]+)"', contents)
    primary = [f for f in result.findings if f.role is Role.PRIMARY]
    assert len(marks) == len(primary) + len(result.claims)
    assert {mark.replace("-", " ") for mark in marks} == {str(f.verdict) for f in primary}


def test_what_decides_is_in_the_open_and_the_rest_is_folded():
    """The number of words that a reader meets is half of what it was before findings were folded (8,189)."""
    plain = opened_words(html.render(sample_result().model_copy(update={"multiverse": None})))
    assert "By null model:" in plain
    assert "the larger p counts" in plain
    assert "Smallest detectable effect" not in plain
    assert len(plain.split()) < 8189 / 2


def opened_words(page: str) -> str:
    """What is read with every fold shut, without figures."""
    opened = re.sub(r"<svg.*?</svg>|<style.*?</style>", " ", page, flags=re.S)
    while "<details" in opened:  # innermost first
        opened = re.sub(
            r"<details[^>]*>\s*(<summary>.*?</summary>)(?:(?!<details).)*?</details>", r"\1", opened, flags=re.S
        )
    return " ".join(re.sub(r"<[^>]+>", " ", opened).split())


def test_what_controls_leave_to_doubt_is_not_folded():
    result = sample_result()
    result.finding("clusters.within").notes = "a control casts doubt on this"
    assert "A control casts doubt on this." in opened_words(html.render(result))


def test_first_screen_says_what_was_found(text):
    first = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", first_screen(text)))
    assert "docs-gpt2" in first
    assert "200 documents" in first
    assert "This run cannot tell whether attention favours those neurons for rare words." in first
    assert "About 480 documents would be enough to exclude effects of .22 if there is none." in first
    assert "1 of 4 checks of the pipeline itself failed" in first
    assert "Warning." in first


def test_rewiring_stands_with_its_warning(text):
    assert "a correlation matrix is transitive by construction" in text


@pytest.mark.parametrize("dangerous", ["<script", "<img", "onerror=alert(1)>", "{{ 7", "[link](http"])
def test_foreign_text_is_escaped(hostile, dangerous):
    visible = re.sub(r"\{\{ 7|\[link\]\(http", "", hostile) if dangerous[0] in "{[" else hostile
    assert dangerous not in visible


def test_foreign_text_makes_no_tag_and_no_attribute(hostile, page):
    seen = Page(hostile)
    assert seen.wrong == []
    assert {tag for tag, _ in seen.tags} <= {tag for tag, _ in page.tags}
    assert not [a for _, attrs in seen.tags for a in attrs if a.startswith("on")]
    files = [a for a in seen.all("a") if "download" in a]
    assert all(
        a["href"].startswith(("data:text/csv;charset=utf-8;base64,", "data:image/svg+xml;base64,")) for a in files
    )
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+\.(csv|svg)", a["download"]) for a in files)
    others = [a for a in seen.all("a") if a not in files]
    assert not [a for a in others if not a["href"].startswith(("#", "https://arxiv.org/"))]
    assert "49 " not in re.sub(r"<[^>]*>", "", hostile.split("</header>")[0])
    assert not re.search("[\x00\x1b]", hostile)


def test_every_figure_has_its_numbers_and_its_picture_beside_it(page):
    names = [a["download"] for a in page.all("a") if "download" in a]
    assert len(names) == len(set(names)) == 2 * len([s for s in page.all("svg") if s.get("role") == "img"])
    links = {
        a["download"]: base64.b64decode(a["href"].partition("base64,")[2]) for a in page.all("a") if "download" in a
    }
    for name, content in links.items():
        if name.endswith(".svg"):
            assert ElementTree.fromstring(content).tag.endswith("svg")
        else:
            assert len(content.decode().splitlines()) > 1, name
    overview = list(csv.DictReader(links["overview-0.csv"].decode().splitlines()))
    told = {row["hypothesis"]: float(row["estimate"]) for row in overview}
    primary = {f.hypothesis: f.estimate for f in sample_result().findings if f.role is Role.PRIMARY}
    assert told == {name: primary[name] for name in told}


def test_notebook_tables_are_escaped():
    result = hostile_result()
    for told in (result_html(result), *(finding_html(f) for f in result.findings)):
        assert "<script" not in told
        assert "<img" not in told
        assert Page(told).wrong == []


def test_plot_finding_gives_axes_with_the_estimate():
    import matplotlib.pyplot as plt

    result = sample_result(replicates=99)
    axes = plot_finding(result.finding("clusters.within"))
    plt.close(axes.figure)
    assert axes.get_xlim()[0] < 0 < axes.get_xlim()[1]
    with pytest.raises(ValueError, match="no estimate"):
        plot_finding(result.finding("routing.closure"))


def test_a_bare_result_is_told_too(tmp_path):
    """Nothing but the set-up: no finding, no claim, no exhibit."""
    empty = {"findings": [], "claims": [], "curves": [], "graphs": [], "balance": [], "left_out": {}, "warnings": []}
    result = sample_result(replicates=19).model_copy(update={**empty, "head_map": None, "provenance": {}})
    for format in ("html", "md", "tex", "json"):
        assert render([result], format, tmp_path / f"r.{format}").stat().st_size > 10
    assert Page((tmp_path / "r.html").read_text()).wrong == []


@pytest.mark.slow
def test_every_number_may_be_missing():
    result = sample_result(replicates=19)
    gone = {
        "estimate",
        "ci_low",
        "ci_high",
        "verdict_low",
        "verdict_high",
        "margin",
        "p_value",
        "p_adjusted",
        "replicates",
    }
    for name in gone:
        rows = [f.model_copy(update={name: None}) for f in result.findings]
        assert Page(html.render(result.model_copy(update={"findings": rows, "graphs": [], "curves": []}))).wrong == []


def test_no_p_value_is_broken_over_two_lines():
    assert str(html.unbroken("so, p = .29; p < .001")) == (
        'so, <span class="nb">p = .29</span>; <span class="nb">p &lt; .001</span>'
    )
