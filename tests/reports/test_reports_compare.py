"""Several runs side by side, in how many models a claim holds, and the mean over models against its definition."""

import json
import re

import networkx as nx
import numpy as np
import pytest
from sample_results import sample_result
from scipy.stats import multivariate_normal, t

from neuronull.data.errors import InputError
from neuronull.reports import columns, compare, meta, pdf, render
from neuronull.reports.numbers import finding_numbers, typeset


@pytest.fixture(scope="module")
def runs():
    results = [
        sample_result("docs-gpt2", replicates=99),
        sample_result("docs-pythia", seed=1, shift=0.05, replicates=99),
        sample_result("stories260K", seed=2, shift=-0.03, corpus="tinystories_100.json", replicates=99),
        sample_result("SmolLM2-135M", seed=3, shift=0.02, replicates=99),
    ]
    for i, result in enumerate(results):
        result.setup.model_hash = str(i) * 64
    return results


def test_four_runs(runs):
    c = compare.compare(runs)
    assert c.labels == ("docs-gpt2", "docs-pythia", "stories260K", "SmolLM2-135M")
    assert len(c.claims.rows) == 3
    differing = {row[0] for row in c.differences.rows}
    assert {"model", "corpus", "seed", "model hash"} <= differing
    assert "ablation" not in differing
    within = next(h for h in c.hypotheses if h.hypothesis == "clusters.within")
    assert within.summary is not None
    assert (within.summary.models, within.summary.families) == (4, 3)


@pytest.mark.parametrize("format", ["html", "md", "tex"])
def test_every_number_of_the_runs_is_told(runs, format, tmp_path):
    told = re.sub('<span class="nb">|</span>', "", render(runs, format, tmp_path / f"c.{format}").read_text())
    for run in runs:
        n = finding_numbers(run.finding("clusters.within"))
        text = n.estimate if format == "tex" else typeset(n.verdict_interval)
        assert text in told


@pytest.mark.parametrize("format", ["html", "md"])
def test_each_runs_command_and_plan_and_the_methods_of_the_summary_are_there(runs, format, tmp_path):
    told = render(runs, format, tmp_path / f"c.{format}").read_text()
    for run in runs:
        assert run.provenance["command"] in told
        assert run.provenance["plan"]["sha256"] in told
    for key in ("liu2025routing", "benjamini2008", "harville1977", "hartung2001", "steegen2016"):
        assert f"{{{key}," in told
    assert "harville1977" not in render([runs[0]] * 2, format, tmp_path / f"same.{format}").read_text()


def test_runs_of_one_model_are_told_apart_but_not_averaged(runs):
    twice = [runs[0], runs[0].model_copy(update={"setup": runs[0].setup.model_copy(update={"ablation": "zero"})})]
    assert columns.labels(twice) == ["docs-gpt2, ablation mean", "docs-gpt2, ablation zero"]
    assert columns.labels([runs[0], runs[0]]) == ["docs-gpt2 (1)", "docs-gpt2 (2)"]
    for h in compare.compare(twice).hypotheses:
        assert h.summary is None
        assert h.told.startswith("Not averaged")


def test_runs_under_other_conditions_and_sets_are_told_apart_by_their_names(runs):
    from sample_cards import CODE_PROSE

    other = {"conditions": CODE_PROSE, "threshold": None}
    twice = [runs[0], runs[0].model_copy(update={"setup": runs[0].setup.model_copy(update=other)})]
    assert columns.labels(twice) == ["docs-gpt2, threshold .15", "docs-gpt2, threshold none"]
    twice[0] = twice[0].model_copy(update={"setup": twice[0].setup.model_copy(update={"threshold": None})})
    assert columns.labels(twice) == ["docs-gpt2, conditions rare / common", "docs-gpt2, conditions code / prose"]
    differing = {row[0]: row[1:] for row in compare.compare(twice).differences.rows}
    assert differing["conditions"] == ("rare / common", "code / prose")
    sets = [runs[0], runs[0].model_copy(update={"setup": runs[0].setup.model_copy(update={"plateau": "mine"})})]
    assert columns.labels(sets) == ["docs-gpt2, set .017", "docs-gpt2, set mine"]
    assert "set under test" in {row[0] for row in compare.compare(sets).differences.rows}


def test_heads_are_not_averaged(runs):
    heads = next(h for h in compare.compare(runs).hypotheses if h.hypothesis == "routing.heads")
    assert heads.summary is None


@pytest.mark.parametrize("field", ["unit", "plateau", "estimator"])
def test_what_is_not_commensurate_is_not_averaged(runs, field):
    rows = [r.finding("clusters.within") for r in runs]
    rows[1] = rows[1].model_copy(update={field: "other"})
    assert "differ" in meta.why_not(rows, ["a", "b", "c"])


@pytest.mark.parametrize(("model", "family"), [
    ("EleutherAI/pythia-70m", "pythia"), ("/models/SmolLM2-135M/", "smollm"), ("docs-gpt2", "docs"), ("7b", "7b"),
])  # fmt: skip
def test_the_family_is_what_a_models_name_begins_with(model, family):
    assert meta.family(model) == family


def test_few_models_or_families_are_not_averaged(runs):
    rows = [r.finding("clusters.within") for r in runs]
    assert meta.why_not(rows, list("abcd")) == ""
    assert meta.why_not(rows[:3], list("abc")).startswith("3 models of 2 families")
    two = [row.model_copy(update={"model": row.model.replace("stories", "docs")}) for row in rows]
    assert meta.why_not(two, list("abcd")).startswith("4 models of 2 families")
    rows[0] = rows[0].model_copy(update={"details": rows[0].details.model_copy(update={"se": None})})
    assert meta.why_not(rows, list("abcd")) == "a run has no standard error"


def _with_claims(runs, holds, fails):
    out = []
    for run, p, q in zip(runs, holds, fails, strict=True):
        claims = [c.model_copy(update={"p_holds": p, "p_fails": q}) for c in run.claims]
        out.append(run.model_copy(update={"claims": claims}))
    return out


def test_in_how_many_models_a_claim_holds_and_fails(runs):
    table = compare.compare(_with_claims(runs, [0.001, 0.01, 0.02, 0.5], [1.0, 1.0, 1.0, None])).models
    holds, fails = table.rows[:2]
    assert holds[1:] == ("holds", "3 of 4", ".04", ".004", ".50")  # 4 x .001, 3 x .01, 2 x .02, .5
    assert fails[1:] == ("fails", "0 of 4", compare.ABSENT, "1", "1")
    none = runs[0].model_copy(update={"claims": []})
    assert compare.compare([*_with_claims(runs[1:], [0.001] * 3, [1.0] * 3), none]).models.rows[0][2] == "3 of 4"


def test_runs_of_one_model_count_once_with_the_largest_p(runs):
    same = [runs[0], runs[0].model_copy(deep=True), runs[1]]
    assert compare.compare(_with_claims(same, [0.001, 0.2, 0.001], [1.0] * 3)).models.rows[0][2] == "1 of 2"
    assert compare.compare(same[:2]).models.rows == ()
    other = runs[1].model_copy(update={"setup": runs[1].setup.model_copy(update={"plateau": "mine"})})
    assert compare.compare([runs[0], other]).models.rows == (), "other sets are other claims"


@pytest.mark.parametrize("format", ["html", "md", "tex"])
def test_how_many_models_stands_in_every_format(runs, format, tmp_path):
    told = _with_claims(runs, [0.001, 0.01, 0.02, 0.5], [1.0] * 4)
    assert "3 of 4" in render(told, format, tmp_path / f"c.{format}").read_text()


@pytest.mark.parametrize("format", ["html", "md"])
def test_a_reason_that_findings_share_is_told_once(runs, format, tmp_path):
    same = [runs[0], runs[0].model_copy(deep=True), runs[1]]
    text = render(same, format, tmp_path / f"c.{format}").read_text()
    assert text.count("two of the runs are of the same model") == 1
    assert "Where nothing else is said, the runs are not averaged: two of the runs" in text
    assert text.count("the head that came out highest") == 1


@pytest.mark.parametrize("format", ["html", "md"])
def test_settings_are_in_the_house_style(runs, format, tmp_path):
    text = render(runs, format, tmp_path / f"c.{format}").read_text()
    assert re.search(r"threshold[^.0-9]*\.15", text)
    assert "0.15" not in text


def _rows(runs, effects, errors, models):
    base = runs[0].finding("clusters.within")
    return [
        base.model_copy(update={"estimate": e, "model": m, "details": base.details.model_copy(update={"se": s})})
        for e, s, m in zip(effects, errors, models, strict=True)
    ]


FAMILIES = ("a-1", "a-2", "b-1", "b-2", "c-1", "d-1")
GROUPS = np.array([0, 0, 1, 1, 2, 3])


def test_the_restricted_likelihood_is_that_of_contrasts():
    """Of any k - 1 independent contrasts, from their joint normal density, up to a constant."""
    rng = np.random.default_rng(0)
    effect, variance = rng.normal(size=6), rng.uniform(0.01, 0.04, 6)
    contrasts = np.eye(6)[:-1] - np.eye(6)[1:]

    def density(within, between):
        cov = np.diag(variance) + within * np.eye(6) + between * (GROUPS[:, None] == GROUPS)
        return multivariate_normal.logpdf(contrasts @ effect, np.zeros(5), contrasts @ cov @ contrasts.T)

    def restricted(within, between):
        return meta.restricted(effect, meta.covariance(variance, GROUPS, within, between))

    differences = [restricted(w, b) - density(w, b) for w, b in ((0, 0), (0.1, 0), (0.2, 1.5), (3, 0.01))]
    assert differences == pytest.approx([differences[0]] * 4)
    within, between = meta.reml(effect, variance, GROUPS)
    grid = max(density(w, b) for w in np.linspace(0, 3, 61) for b in np.linspace(0, 3, 61))
    assert density(within, between) >= grid - 1e-6


def test_the_mean_is_that_of_weighted_least_squares(runs):
    """Families of one model each: one variance between them, weights 1 / (variance + it), Hartung and Knapp's error."""
    effects, errors = np.array([0.1, 0.5, -0.2, 0.35]), np.array([0.1, 0.14, 0.08, 0.12])
    found = meta.combine(_rows(runs, effects, errors, ["a-1", "b-1", "c-1", "d-1"]))
    assert found.within == 0
    weights = 1 / (errors**2 + found.between**2)
    mean = (weights * effects).sum() / weights.sum()
    q = (weights * (effects - mean) ** 2).sum() / 3
    assert found.estimate == pytest.approx(mean)
    assert found.high - found.estimate == pytest.approx(float(t.ppf(0.975, 3)) * np.sqrt(max(1, q) / weights.sum()))
    assert found.predicted_low < found.low


def test_agreeing_models_have_no_scatter(runs):
    found = meta.combine(_rows(runs, [0.1] * 6, [0.1] * 6, FAMILIES))
    assert (found.within, found.between) == pytest.approx((0.0, 0.0), abs=1e-6)
    assert found.estimate == pytest.approx(0.1)
    assert found.high - found.low == pytest.approx(2 * float(t.ppf(0.975, 3)) * 0.1 / np.sqrt(6))


def test_siblings_do_not_count_as_models_of_their_own(runs):
    """Nine siblings that agree and two that do not: the mean is not the siblings'."""
    effects, models = [1.0] * 9 + [0.0, 0.1], [f"a-{i}" for i in range(9)] + ["b", "c"]
    found = meta.combine(_rows(runs, effects, [0.02] * 11, models))
    assert found.estimate < 0.5
    assert found.low < 0


@pytest.mark.slow
@pytest.mark.parametrize(("within", "between"), [(0.0, 0.0), (0.1, 0.0), (0.05, 0.1)])
def test_the_summary_covers_the_truth(runs, within, between):
    """Nominal 95 %, six models of four families: at least 90.5 % of 200 data sets (p = .005 at 95 %)."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        errors = rng.uniform(0.05, 0.15, 6)
        effects = 0.2 + rng.normal(0, between, 4)[GROUPS] + rng.normal(0, within, 6) + rng.normal(0, errors)
        s = meta.combine(_rows(runs, effects.tolist(), errors.tolist(), FAMILIES))
        covered += s.low <= 0.2 <= s.high
    assert covered >= 181


def test_too_few_rows_say_so(runs):
    with pytest.raises(ValueError, match="at least 4 rows of 3 families"):
        meta.combine(_rows(runs, [0.1], [0.1], ["a"]))
    with pytest.raises(InputError, match="1 runs"):
        compare.compare(runs[:1])


def test_json_of_several_holds_them_all(runs, tmp_path):
    data = json.loads(render(runs, "json", tmp_path / "c.json").read_text())
    assert [r["setup"]["model"] for r in data["results"]] == ["docs-gpt2", "docs-pythia", "stories260K", "SmolLM2-135M"]
    assert "provenance" not in data["results"][0]


def test_graphml_is_read_back_by_networkx(runs, tmp_path):
    net = nx.read_graphml(render(runs[:2], "graphml", tmp_path / "g.graphml"))
    assert nx.number_connected_components(net) == 6
    assert {d["graph"] for _, d in net.nodes(data=True)} == {"plateau", "rewired", "random set"}
    graph = runs[0].graphs[0]
    i, j, r = graph.edges[0]
    edge = net.edges[f"r0g0n{graph.nodes[i]}", f"r0g0n{graph.nodes[j]}"]
    assert edge["r"] == r
    assert edge["weight"] == abs(r)


def test_graphml_without_graphs_is_one_line(runs, tmp_path):
    bare = runs[0].model_copy(update={"graphs": []})
    with pytest.raises(InputError, match="no co-activation graph"):
        render([bare], "graphml", tmp_path / "g.graphml")


@pytest.mark.parametrize(("format", "results", "says"), [("docx", 1, "no format"), ("html", 0, "no run")])
def test_render_refuses_in_one_line(runs, format, results, says, tmp_path):
    with pytest.raises(InputError, match=says):
        render(runs[:results], format, tmp_path / "x")


def test_pdf_without_a_browser_is_one_line(monkeypatch, runs, tmp_path):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="none is on PATH") as caught:
        render(runs[:1], "pdf", tmp_path / "r.pdf")
    assert "\n" not in str(caught.value)


def test_a_browser_that_fails_is_one_line(monkeypatch, tmp_path):
    fake = tmp_path / "browser"
    fake.write_text("#!/bin/sh\necho 'no display' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(pdf, "browser", lambda: str(fake))
    with pytest.raises(InputError, match="no display"):
        pdf.render("<p>")


def split_by_paper(result, first):
    """A run of two papers as two runs: hypotheses that `first` names, with the claims on them, and the others."""
    halves = []
    for number, keep in enumerate((lambda h: h.startswith(first), lambda h: not h.startswith(first))):
        claims = [c for c in result.claims if all(map(keep, c.hypotheses))]
        paper = result.papers[0].model_copy(update={"id": f"paper{number}"})
        findings = [f for f in result.findings if keep(f.hypothesis)]
        halves.append(result.model_copy(update={"claims": claims, "findings": findings, "papers": [paper]}))
    return halves


def test_papers_tested_on_the_same_measurements_stand_in_one_column(runs):
    parts = [half for run in runs[:2] for half in split_by_paper(run, "clusters")]
    assert columns.labels(parts) == [f"{m}, paper{n}" for m in ("docs-gpt2", "docs-pythia") for n in (0, 1)]
    stand = columns.columns(parts)
    assert [(c.name, len(c.runs)) for c in stand] == [("docs-gpt2", 2), ("docs-pythia", 2)]
    whole, split = compare.compare(runs[:2]), compare.compare(parts)
    assert sorted(split.matrix.rows) == sorted(whole.matrix.rows)
    assert split.controls.columns[1:] == tuple(columns.labels(parts))


def test_runs_that_test_the_same_or_measured_otherwise_do_not(runs):
    first, second = split_by_paper(runs[0], "clusters")
    assert len(columns.columns([runs[0], runs[0]])) == 2
    assert len(columns.columns([first, runs[0]])) == 2
    fewer = second.model_copy(update={"setup": second.setup.model_copy(update={"n_pairs": second.setup.n_pairs - 1})})
    assert [c.name for c in columns.columns([first, fewer])] == ["docs-gpt2, paper0", "docs-gpt2, paper1"]


def test_a_run_without_a_claim_says_nothing_against_it(runs):
    """The claims of a model may be tested in several runs, by paper; each counts by those that test it."""
    given = [
        run.model_copy(update={"claims": [c.model_copy(update={"p_holds": 0.001, "p_fails": 1.0}) for c in run.claims]})
        for run in runs[:2]
    ]
    parts = [half for run in given for half in split_by_paper(run, "clusters")]
    told = {(row[0], row[1]): row[2] for row in compare.compare(given).models.rows}
    for row in compare.compare(parts).models.rows:
        assert told[row[0], row[1]] == row[2]
    assert "2 of 2" in told.values()
