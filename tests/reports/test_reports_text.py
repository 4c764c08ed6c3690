"""Markdown, LaTeX and terminal: golden files, escaping, and agreement on every number."""

import re
import shutil
import subprocess
import sys

import pytest
from sample_results import GOLDEN, HOSTILE, hostile_result, sample_result

from neuronull.hypotheses.result import BrokenLine, Details, EnoughCard, Role, Verdict
from neuronull.reports import html, latex, load_result, markdown, reasons, summary, terminal
from neuronull.reports.numbers import ABSENT, finding_numbers, typeset
from neuronull.reports.story import tell

CARDS = {card.id: card for card in sample_result(replicates=19).hypotheses}


def said(row):
    return reasons.said(row, CARDS.get(row.hypothesis))


@pytest.fixture(scope="module")
def stored():
    return load_result(GOLDEN / "result.json")


@pytest.mark.parametrize(("name", "tell"), [("report.md", markdown.render), ("table.tex", latex.render)])
def test_golden(stored, name, tell):
    """After a wanted change: python tests/reports/sample_results.py."""
    assert tell(stored) == (GOLDEN / name).read_text()


def test_golden_terminal(stored):
    assert summary(stored, "run/report.html") + "\n" == (GOLDEN / "terminal.txt").read_text()


def test_terminal_fits(stored):
    lines = summary(stored, "run/report.html").splitlines()
    assert max(map(len, lines)) <= 118
    assert lines[-1] == "report   run/report.html"


@pytest.mark.parametrize("width", [118, 80, 60])
def test_a_terminal_of_any_width_breaks_no_number_and_ends_with_the_claims(stored, width):
    lines = terminal.summary(stored, width=width).splitlines()
    assert max(map(len, lines)) <= width
    for finding in stored.findings:
        if finding.role is Role.PRIMARY and finding.estimate is not None:
            n = finding_numbers(finding)
            for told in (f"{n.estimate} {n.verdict_interval}", f"margin {n.margin}", n.p):
                assert ABSENT in told or any(told in line for line in lines)
    last = max(i for i, line in enumerate(lines) if line.startswith("Claim 1"))
    assert not any(line.startswith(("regimes.", "control.")) for line in lines[last:])


def test_a_name_cannot_steer_the_terminal():
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", summary(hostile_result(), "x"))


def test_colour_changes_no_letter(stored):
    from neuronull.reports.terminal import styled

    assert styled(stored, "x").plain == summary(stored, "x")


def test_terminal_markdown_and_html_agree_on_every_number():
    result = sample_result(replicates=199)
    told, md = summary(result), markdown.render(result)
    html = render_html(result)
    for finding in result.findings:
        if finding.role is not Role.PRIMARY or finding.estimate is None:
            continue
        n = finding_numbers(finding)
        for text in (n.estimate, n.verdict_interval, n.margin, n.p_cell):
            assert text in told
            assert markdown.escape(text) in md
            assert typeset(text) in html
        assert said(finding) in " ".join(told.split())
        assert markdown.escape(said(finding)) in md


def render_html(result):
    from neuronull.reports import html

    return html.render(result).replace('<span class="nb">', "").replace("</span>", "")


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_escapes(text):
    escaped = markdown.escape(text)
    assert not re.search(r"(?<!\\)[|`*$~]", escaped)
    assert "<" not in escaped
    assert not re.search(r"(?<!\\)\]\(", escaped)
    assert "\n" not in escaped


def test_markdown_tables_keep_their_columns_whatever_the_text():
    for block in re.findall(r"(?:^\|.*\n)+", markdown.render(hostile_result()), flags=re.M):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_markdown_has_no_raw_html_but_folds():
    outside_code = re.sub(r"^(```+)[^`]*?^\1$|`[^`]*`", "", markdown.render(hostile_result()), flags=re.M | re.S)
    tags = set(re.findall(r"<[^>]*>", outside_code))
    assert tags <= {"<details>", "</details>", "<summary>", "</summary>"}


@pytest.mark.parametrize("text", HOSTILE)
def test_latex_escapes(text):
    escaped = latex.escape(text)
    assert escaped.isascii()
    bare = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textquotedbl|ldots)\{\}",
        "",
        escaped,
    )
    bare = re.sub(r"\\[{}$&#%_]|\{`\}|\$-\$|\$\\pm\$|\$\\times\$|\\textsuperscript\{2\}", "", bare)
    assert not re.search(r"[\\{}$&#%_^~]", bare), bare


@pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no TeX here: the LaTeX is compared with a golden file only"
)
@pytest.mark.parametrize(("result", "hostile"), [(hostile_result(), True), (sample_result(), False)])
def test_latex_compiles_and_fits_the_page(tmp_path, result, hostile):
    body = latex.render(result)
    head = "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{array,booktabs,graphicx}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(head + body + "\\end{document}\n")
    done = subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, check=False)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said[-1500:]
    assert hostile or "Overfull" not in said


def test_every_verdict_says_which_number_decided():
    for finding in sample_result(replicates=199).findings:
        if finding.verdict in (Verdict.SUPPORTED, Verdict.REFUTED) and not finding.details.per_output:
            n = finding_numbers(finding)
            assert n.margin in reasons.why(finding)
            assert reasons.by_the_numbers(finding) is finding.verdict


@pytest.mark.parametrize(
    ("update", "verdict", "says"),
    [
        ({"verdict_low": -0.02, "verdict_high": 0.03}, Verdict.SUPPORTED, "upper end of the 90 % interval"),
        ({"verdict_low": 0.06, "verdict_high": 0.2, "p_adjusted": 0.001}, Verdict.REFUTED, "large enough to matter"),
        ({"verdict_low": 0.01, "verdict_high": 0.2, "p_adjusted": 0.001}, Verdict.UNDETERMINED, "There is an effect"),
        ({"verdict_low": -0.1, "verdict_high": 0.2, "p_adjusted": 0.5}, Verdict.UNDETERMINED, "Nor has one been shown"),
    ],
)
def test_reasons_of_an_absence(update, verdict, says):
    row = sample_result(replicates=19).finding("clusters.within").model_copy(update={**update, "verdict": verdict})
    assert reasons.by_the_numbers(row) is verdict
    assert reasons.why(row).startswith(str(verdict).capitalize())
    assert says in reasons.why(row)


@pytest.mark.parametrize(
    ("update", "verdict", "says"),
    [
        ({"verdict_low": -0.02, "verdict_high": 0.03}, Verdict.REFUTED, "too small to matter"),
        ({"verdict_low": 0.06, "verdict_high": 0.2, "p_adjusted": 0.001}, Verdict.SUPPORTED, "large enough to matter"),
        ({"verdict_low": 0.01, "verdict_high": 0.2, "p_adjusted": 0.001}, Verdict.SUPPORTED, "less sure"),
        ({"verdict_low": -0.1, "verdict_high": 0.2, "p_adjusted": 0.5}, Verdict.UNDETERMINED, "has not been shown"),
    ],
)
def test_reasons_of_a_presence(update, verdict, says):
    row = sample_result(replicates=19).finding("regimes.selectivity").model_copy(update={**update, "verdict": verdict})
    assert reasons.by_the_numbers(row) is verdict
    assert says in reasons.why(row)


def test_an_effect_that_is_there_and_too_small_is_told_as_both():
    result = sample_result(replicates=19)
    card = next(c for c in result.hypotheses if c.id == "clusters.within")
    update = {"verdict": Verdict.SUPPORTED, "verdict_low": 0.01, "verdict_high": 0.03, "estimate": 0.02}
    row = result.finding("clusters.within").model_copy(update=update | {"p_adjusted": 0.001})
    assert reasons.said(row, card).endswith(", but only by .02: an effect of .05 (correlation) or more is excluded.")
    assert reasons.said(row.model_copy(update={"p_adjusted": 0.5}), card).startswith("It was not shown that ")


def test_a_verdict_that_another_rule_decided_says_so():
    row = sample_result(replicates=19).finding("clusters.within")
    doubted = row.model_copy(
        update={"verdict": Verdict.UNDETERMINED, "details": Details(why="the contrasts are skewed")}
    )
    told = reasons.why(doubted)
    assert told.startswith("Undetermined, though")
    assert told.endswith("supported: the contrasts are skewed")


def test_an_effect_that_may_be_too_small_is_not_called_unknown():
    row = sample_result(replicates=19).finding("routing.profile")
    update = {"verdict": Verdict.UNDETERMINED, "p_adjusted": 0.01, "verdict_low": 0.08, "verdict_high": 0.13}
    assert said(row.model_copy(update=update)).startswith("Different heads drive the plateau")


def test_an_effect_the_other_way_is_told_as_such():
    row = sample_result(replicates=19).finding("regimes.contrast")
    numbers = {"estimate": -0.65, "verdict_low": -1.01, "verdict_high": -0.28, "p_adjusted": 0.01}
    opposite = row.model_copy(update={**numbers, "verdict": Verdict.SUPPORTED})
    assert said(opposite).endswith("the opposite of a plateau.")
    assert "beyond the margin of \u00b1.1" in reasons.why(opposite)


def test_doubt_about_the_interval_is_said():
    row = sample_result(replicates=19).finding("routing.profile").model_copy(update={"verdict": Verdict.UNDETERMINED})
    assert said(row).endswith("as far as can be seen, but this run cannot be sure.")


def test_a_doubt_is_told_once_and_in_words_of_its_own():
    result = sample_result(replicates=19)
    doubt = "document contrasts are skewed (+2.6), beyond the 1 of shown coverage; null sets share 62 %"
    row = result.finding("routing.profile")
    row.verdict, row.notes, row.details = (
        Verdict.UNDETERMINED,
        f"another note; {doubt}; a third",
        Details(coverage_warning=doubt),
    )
    said = "so the interval is not trusted, and an effect outside it does not count as excluded."
    for told in (markdown.render(result), render_html(result)):
        told = " ".join(re.sub(r"</?strong>|\*\*", "", told).split())
        assert told.count("ocument contrasts are skewed") == 1
        assert f"Doubt. D{doubt[1:]}; {said}" in told
        assert "Another note; a third." in told
        assert "alone would make it supported: the interval is not trusted." in told
    assert f"D{doubt[1:]}; {said}" in " ".join(summary(result).split())


def test_heads_that_all_lie_below_the_margin_are_undetermined_for_another_reason():
    row = sample_result(replicates=19).finding("routing.heads")
    low = [head.model_copy(update={"low": -0.01, "high": 0.08}) for head in row.details.per_output]
    told = reasons.why(row.model_copy(update={"details": Details(per_output=low, coverage_warning="skewed")}))
    assert told.startswith(f"Undetermined, though the interval of every one of the {len(low)} reachable heads ends")
    assert told.endswith("which alone would make it supported: the intervals are not trusted")


@pytest.mark.parametrize(
    ("needs", "says"),
    [
        ({"documents": 1480, "margin": 0.05}, "About 1,480 documents would be enough to exclude effects of .05"),
        ({"null_sd": 0.2443, "smallest_margin": 0.607}, "scatters the estimate by .24, and .61 is the smallest effect"),
        ({}, ""),
    ],
)
def test_what_would_be_enough_is_in_the_house_style(needs, says):
    row = sample_result(replicates=19).finding("regimes.contrast")
    told = reasons.enough(row.model_copy(update={"details": Details(enough=EnoughCard(**needs))}))
    assert says in told
    assert bool(says) is bool(told)


def test_the_calibration_stands_beside_its_finding():
    result = sample_result(replicates=19)
    line = "On null data this test rejected 4.6 % [4.0, 5.3] at 5 % (R = 4,000, scenario plain)."
    assert f"**Calibration.** {line}" in markdown.render(result).split("### Specialist neurons")[0]
    assert f"<strong>Calibration.</strong> {line}" in render_html(result).split('class="id">regimes.selectivity')[0]


def test_what_the_untrained_model_shows_too_says_so():
    result = sample_result(replicates=19)
    control = result.finding("control.random_init")
    control.details.found_in_random_weights = ["coordination.dimension"]
    sections = {s.hypothesis: s for c in tell(result).sections for s in c.findings}
    assert "random weights shows this too" in sections["coordination.dimension"].notes
    assert "random weights" not in sections["clusters.within"].notes


def test_a_control_that_could_not_see_has_not_passed():
    result = sample_result(replicates=19)
    for name, told in (("whole_layer", "passed: moves"), ("random_init", "could not see: too few"),
                       ("permuted_labels", "not run: none"), ("unreachable_heads", "passed: 0")):  # fmt: skip
        result.finding(f"control.{name}").notes = told
    line = "2 of 4 checks of the pipeline itself passed; 1 could not have seen what it looks for; 1 not run."
    assert tell(result).controls_line == line
    assert "| Untrained twin | could not see | too few |" in markdown.render(result)


def test_a_plug_in_speaks_for_itself():
    row = sample_result(replicates=19).finding("clusters.within")
    own = row.model_copy(update={"hypothesis": "mine.thing", "family": "mine", "sentence": "My sentence."})
    assert said(own) == "My sentence."


def test_nothing_heavy_is_loaded_by_the_import():
    code = (
        "import sys\n"
        "from neuronull.reports import latex, markdown, story, terminal\n"
        "heavy = {'torch', 'transformers', 'matplotlib', 'pandas', 'pyarrow', 'scipy', 'networkx'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_broken_lines_are_told_with_knots_intervals_and_what_a_knot_is_not():
    result = sample_result()
    straight = {"knots": [], "low": [], "high": [], "slopes": [-0.43], "rms": 0.26, "bic": -400.0, "sought": [4, 1375]}
    bent = straight | {"knots": [30.0, 1375.0], "low": [22.0, 1310.0], "high": [41.0, 1375.0], "bic": -612.2}
    row = result.finding("regimes.selectivity")
    bent |= {"slopes": [-0.1, -0.62, -16.2], "rms": 0.096}
    row.details.broken_lines = {"rare": [BrokenLine(**straight), BrokenLine(**bent)]}
    for page in (html.render(result), markdown.render(result)):
        told = re.sub(r"<[^>]*>|\\", "", page)
        for cell in ("30 [22, 41] and 1,375 [1,310, 1,375], the last tried", "\u2212.1, \u2212.62, \u221216", "212"):
            assert cell in told
        assert "a knot alone is no regime" in told
    assert "Straight and broken lines" not in markdown.render(sample_result())


def test_what_there_is_too_little_of_is_named_by_the_result():
    row = sample_result().finding("regimes.contrast")
    assert "a larger set of neurons" in reasons.enough(row)
    row.details.enough.larger = "a model with more attention heads"
    assert "More documents would not help, a model with more attention heads would: chance" in reasons.enough(row)
    row.details.enough.larger = ""
    assert reasons.enough(row).startswith("More documents would not help: chance")
