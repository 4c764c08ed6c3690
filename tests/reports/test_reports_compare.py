"""Several runs side by side, and the summary over models against statsmodels."""

import json
import re
import warnings

import networkx as nx
import numpy as np
import pytest
from sample_results import sample_result
from scipy.stats import t

from neuronull.data.errors import InputError
from neuronull.reports import compare, meta, pdf, render
from neuronull.reports.numbers import finding_numbers, typeset


@pytest.fixture(scope="module")
def runs():
    results = [
        sample_result("docs-gpt2", replicates=99),
        sample_result("docs-pythia", seed=1, shift=0.05, replicates=99),
        sample_result("stories260K", seed=2, shift=-0.03, corpus="tinystories_100.json", replicates=99),
    ]
    for i, result in enumerate(results):
        result.setup.model_hash = str(i) * 64
    return results


def test_three_runs(runs):
    c = compare.compare(runs)
    assert c.labels == ("docs-gpt2", "docs-pythia", "stories260K")
    assert len(c.claims.rows) == 3
    differing = {row[0] for row in c.differences.rows}
    assert {"model", "corpus", "seed", "model hash"} <= differing
    assert "ablation" not in differing
    within = next(h for h in c.hypotheses if h.hypothesis == "clusters.within")
    assert within.summary is not None
    assert within.summary.models == 3


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
    for key in ("liu2025routing", "dersimonian1986", "hartung2001", "higgins2002", "steegen2016"):
        assert f"{{{key}," in told
    assert "dersimonian1986" not in render([runs[0]] * 2, format, tmp_path / f"same.{format}").read_text()


def test_runs_of_one_model_are_told_apart_but_not_averaged(runs):
    twice = [runs[0], runs[0].model_copy(update={"setup": runs[0].setup.model_copy(update={"ablation": "zero"})})]
    assert compare.labels(twice) == ["docs-gpt2, ablation mean", "docs-gpt2, ablation zero"]
    assert compare.labels([runs[0], runs[0]]) == ["docs-gpt2 (1)", "docs-gpt2 (2)"]
    for h in compare.compare(twice).hypotheses:
        assert h.summary is None
        assert h.told.startswith("Not averaged")


def test_runs_under_other_conditions_and_sets_are_told_apart_by_their_names(runs):
    from sample_cards import CODE_PROSE

    other = {"conditions": CODE_PROSE, "threshold": None}
    twice = [runs[0], runs[0].model_copy(update={"setup": runs[0].setup.model_copy(update=other)})]
    assert compare.labels(twice) == ["docs-gpt2, threshold .15", "docs-gpt2, threshold none"]
    twice[0] = twice[0].model_copy(update={"setup": twice[0].setup.model_copy(update={"threshold": None})})
    assert compare.labels(twice) == ["docs-gpt2, conditions rare / common", "docs-gpt2, conditions code / prose"]
    differing = {row[0]: row[1:] for row in compare.compare(twice).differences.rows}
    assert differing["conditions"] == ("rare / common", "code / prose")
    sets = [runs[0], runs[0].model_copy(update={"setup": runs[0].setup.model_copy(update={"plateau": "mine"})})]
    assert compare.labels(sets) == ["docs-gpt2, set .017", "docs-gpt2, set mine"]
    assert "set under test" in {row[0] for row in compare.compare(sets).differences.rows}


def test_heads_are_not_averaged(runs):
    heads = next(h for h in compare.compare(runs).hypotheses if h.hypothesis == "routing.heads")
    assert heads.summary is None


@pytest.mark.parametrize("field", ["unit", "plateau", "estimator"])
def test_what_is_not_commensurate_is_not_averaged(runs, field):
    rows = [r.finding("clusters.within") for r in runs]
    rows[1] = rows[1].model_copy(update={field: "other"})
    assert "differ" in meta.why_not(rows, ["a", "b", "c"])


def test_standard_error_is_what_the_interval_was_made_from(runs):
    row = runs[0].finding("clusters.within")
    se = 0.0123
    half = float(t.ppf(0.95, 99)) * se
    made = row.model_copy(update={"verdict_low": -half, "verdict_high": half, "n_documents": 200})
    assert meta.standard_error(made) == pytest.approx(se)


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


def _rows(runs, effects, errors):
    q = float(t.ppf(0.95, 99))
    base = runs[0].finding("clusters.within")
    return [
        base.model_copy(update={"estimate": e, "verdict_low": e - q * s, "verdict_high": e + q * s, "n_documents": 200})
        for e, s in zip(effects, errors, strict=True)
    ]


def test_summary_agrees_with_statsmodels(runs):
    from statsmodels.stats.meta_analysis import combine_effects

    effects, errors = [0.1, 0.5, -0.2, 0.35], [0.1, 0.14, 0.08, 0.12]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # statsmodels warns of intervals that are not asked for
        known = combine_effects(np.array(effects), np.array(errors) ** 2, method_re="dl", use_t=True)
    found = meta.combine(_rows(runs, effects, errors))
    assert found.tau**2 == pytest.approx(float(known.tau2))
    assert found.estimate == pytest.approx(float(known.mean_effect_re))
    assert found.i2 == pytest.approx(float(known.i2))
    half = float(t.ppf(0.975, 3)) * max(float(known.sd_eff_w_re), float(known.sd_eff_w_re_hksj))
    assert found.high - found.estimate == pytest.approx(half)
    assert found.predicted_low < found.low


def test_agreeing_models_have_no_negative_scatter(runs):
    """Where statsmodels keeps a negative variance, and divides by nothing if all effects are equal."""
    found = meta.combine(_rows(runs, [0.1, 0.1, 0.1], [0.1, 0.1, 0.1]))
    assert (found.tau, found.i2) == (0.0, 0.0)
    assert found.estimate == pytest.approx(0.1)
    assert found.high - found.low == pytest.approx(2 * float(t.ppf(0.975, 2)) * 0.1 / np.sqrt(3))


def test_the_summary_covers_the_truth(runs):
    """Nominal 95 %, four models with scatter: at least 93 % of 400 data sets."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        errors = rng.uniform(0.05, 0.15, 4)
        effects = 0.2 + rng.normal(0, 0.1, 4) + rng.normal(0, errors)
        s = meta.combine(_rows(runs, effects.tolist(), errors.tolist()))
        covered += s.low <= 0.2 <= s.high
    assert covered >= 372


def test_too_few_rows_say_so(runs):
    with pytest.raises(ValueError, match="at least two"):
        meta.combine(_rows(runs, [0.1], [0.1]))
    with pytest.raises(InputError, match="1 runs"):
        compare.compare(runs[:1])


def test_json_of_several_holds_them_all(runs, tmp_path):
    data = json.loads(render(runs, "json", tmp_path / "c.json").read_text())
    assert [r["setup"]["model"] for r in data["results"]] == ["docs-gpt2", "docs-pythia", "stories260K"]
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
