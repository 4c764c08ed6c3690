"""Calibration: keyed data sets, a journal that survives a cut, and rates that add up."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import scipy.stats

from neuronull.cli import main
from neuronull.data.errors import InputError
from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.calibration import figure, record, run, scenarios
from neuronull.hypotheses.calibration.record import calibration_line
from neuronull.hypotheses.calibration.scenario import Scenario
from neuronull.hypotheses.engine import sample
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.result import Kind
from neuronull.hypotheses.suite import run_suite
from neuronull.hypotheses.truth import TrueWorld, true_data


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> list[Scenario]:
    """Two small worlds in place of the real ones."""
    settings = Settings(documents=20, pairs=2, neurons=120, width=8, heads=3)
    made = {
        "tiny.null": Scenario(
            "tiny.null", "null", settings, ("influence", "weights"), ("clusters.weights", "tails.weights"), "", share=1
        ),
        "tiny@x=1": Scenario(
            "tiny@x=1",
            "power",
            dataclasses.replace(settings, weight_cluster=0.9),
            ("influence", "weights"),
            ("clusters.weights",),
            "",
            "weight_cluster",
            0.9,
            0.5,
        ),
    }
    for module in (scenarios, run):
        monkeypatch.setattr(module, "scenarios", lambda: made)
    monkeypatch.setattr(run, "REPLICATES", 39)
    monkeypatch.setattr(run, "CHUNK", 3)
    return list(made.values())


def test_a_data_set_is_a_function_of_scenario_and_number(tiny):
    whole = run.run_chunk(run.Chunk("tiny.null", ("clusters.weights",), 0, 4))
    part = run.run_chunk(run.Chunk("tiny.null", ("clusters.weights", "tails.weights"), 2, 2))
    assert whole["rows"]["clusters.weights"][2:] == part["rows"]["clusters.weights"]
    assert run.dataset_seed("a", 1) != run.dataset_seed("b", 1) != run.dataset_seed("b", 2)


def test_a_cut_journal_is_mended_and_gone_on_with(tiny, tmp_path, monkeypatch):
    journal = tmp_path / "journal.jsonl"
    first = run.calibrate(tiny, 6, 1, journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == len(first) == 4
    journal.write_bytes(b"".join(lines[:1]) + lines[1][: len(lines[1]) // 2])
    made = []
    original = run.run_chunk
    monkeypatch.setattr(run, "run_chunk", lambda chunk: made.append(chunk) or original(chunk))
    again = run.calibrate(tiny, 6, 1, journal)
    assert again == first
    assert len(made) == len(lines) - 1
    assert sorted(journal.read_bytes().splitlines(keepends=True)) == sorted(lines)
    run.calibrate(tiny, 6, 1, journal)
    assert len(made) == len(lines) - 1


def test_another_file_is_no_journal(tiny, tmp_path):
    (tmp_path / "journal.jsonl").write_text("hello\n")
    with pytest.raises(InputError, match="not a calibration journal"):
        run.calibrate(tiny, 3, 1, tmp_path / "journal.jsonl")


def test_workers_do_not_change_a_line(tmp_path):
    chosen = scenarios.choose(["tails.weights"], ["weights."])
    few = [run.Chunk(chosen[0].name, chosen[0].hypotheses, first, 1) for first in (0, 1)]
    alone, together = (list(run._run(few, jobs)) for jobs in (1, 2))
    assert alone == sorted(together, key=lambda line: line["first"])


def test_summaries_count(tiny, tmp_path):
    lines = run.calibrate(tiny, 6, 1, tmp_path / "journal.jsonl")
    rows = record.summarise(lines, 0.05, scenarios.choose())
    assert [(r["scenario"], r["hypothesis"]) for r in rows] == [
        ("tiny.null", "clusters.weights"),
        ("tiny.null", "tails.weights"),
        ("tiny@x=1", "clusters.weights"),
    ]
    p = [row["p"] for line in lines if line["scenario"] == "tiny.null" for row in line["rows"]["tails.weights"]]
    assert rows[1]["datasets"] == len(p) == 6
    assert rows[1]["rejected"]["count"] == sum(x < 0.05 for x in p)
    assert sum(rows[1]["verdicts"].values()) == 6
    assert rows[2]["rejected"]["share"] > 0.5
    figure.draw(rows, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 5000


def test_coverage_counts_what_is_known_and_trusted():
    outputs = np.array(
        [[0, -1, 1, -2, 2, 0.5, 0], [0, -1, 1, -2, 2, 1.5, 0], [0, -1, 1, -2, 2, 3, 1], [0, -1, 1, -2, 2, np.nan, 0]]
    )
    document, verdict = record._covered(outputs, 1, 2, each=1), record._covered(outputs, 3, 4, each=1)
    assert (document["count"], document["of"], document["width"]) == (1, 3, 2)
    assert (verdict["count"], verdict["of"], verdict["width"]) == (2, 3, 4)
    assert record._covered(outputs[3:], 1, 2, each=1) is None


@pytest.mark.parametrize(("skewness", "asked"), [(0.9, True), (1.1, False)])
def test_coverage_is_asked_by_the_skewness_of_the_world(skewness, asked):
    """A data set's own skewness scatters around it, and with it the estimate: it chooses by the answer."""
    own = skewness + np.linspace(-1, 1, 20)
    rows = [{"p": 0.5, "verdict": "undetermined", "outputs": [[0, -1, 1, -2, 2, 0.5, 0, s]]} for s in own]
    lines = [{"scenario": "heads.alike", "rows": {"routing.profile": rows}}]
    (told,) = record.summarise(lines, 0.05, scenarios.choose())
    assert (told["skewness"], told["asked"]) == (pytest.approx(skewness), asked)
    assert told["document"]["of"] == 20
    assert told["document"]["share"] == 1
    (few,) = record.summarise([lines[0] | {"scenario": "small.heads"}], 0.05, scenarios.choose())
    assert not few["asked"], "24 documents"


def test_outputs_of_one_data_set_count_as_one_in_the_width_of_an_interval():
    outputs = np.tile([0, -1, 1, -2, 2, 0.5, 0], (120, 1))
    outputs[:12, 5] = 3
    alone, twelve = record._covered(outputs, 1, 2, each=1), record._covered(outputs, 1, 2, each=12)
    assert alone["share"] == twelve["share"] == 0.9
    assert (alone["of"], twelve["of"]) == (120, 10)
    assert twelve["low"] < alone["low"]


def test_rates_carry_clopper_pearsons_interval():
    there = scipy.stats.binomtest(46, 1000).proportion_ci(0.95, "exact")
    assert (record.rate(46, 1000)["low"], record.rate(46, 1000)["high"]) == pytest.approx((there.low, there.high))
    assert record.percent(record.rate(46, 1000)) == "4.6 % [3.4, 6.1]"
    assert record.rate(0, 0) is None


def test_a_line_for_the_report_names_the_worst_null(tmp_path, monkeypatch):
    rows = [
        {
            "hypothesis": "a.b",
            "purpose": "null",
            "scenario": name,
            "datasets": 4000,
            "rejected": record.rate(count, 4000),
        }
        for name, count in (("mild", 180), ("hard", 184))
    ]
    record.write_record(tmp_path / "record.jsonl", rows, {"command": "x"})
    head, read = record.read_record(tmp_path / "record.jsonl")
    assert (head["command"], read) == ("x", rows)
    monkeypatch.setattr(record, "recorded", lambda paper: tuple(read))
    monkeypatch.setattr(catalogue, "papers_of", lambda name: catalogue.shipped()[:1])
    assert (
        calibration_line("a.b")
        == "on null data this test rejected 4.6 % [4.0, 5.3] at 5 % (R = 4,000, scenario hard, the worst of 2)"
    )
    assert calibration_line("c.d") is None
    assert record.read_record(tmp_path / "none.jsonl")[1] == []
    (tmp_path / "bad.jsonl").write_text("[]")
    with pytest.raises(InputError, match="not a calibration record"):
        record.read_record(tmp_path / "bad.jsonl")


def test_every_hypothesis_has_null_data_and_a_power_curve():
    for hypothesis in list(catalogue.known_hypotheses()):
        purposes = {s.purpose for s in scenarios.scenarios().values() if hypothesis in s.hypotheses}
        declared = catalogue.hypothesis(hypothesis)
        strengths = {"power", "design"} if declared.kind is Kind.ABSENCE else {"power"}
        assert "null" in purposes, hypothesis
        assert purposes & strengths, hypothesis


@pytest.mark.parametrize(
    "paper", [p for p in catalogue.shipped() if p.record is not None and p.record.exists()], ids=lambda p: p.id
)
def test_the_record_of_a_paper_is_of_hypotheses_and_scenarios_that_are_there(paper):
    head, rows = record.read_record(paper.record)
    assert head["format"] == record.FORMAT
    assert rows
    assert {r["hypothesis"] for r in rows} <= {h.id for h in paper.hypotheses}
    assert {r["scenario"] for r in rows} <= set(scenarios.scenarios())


def test_scenarios_are_chosen_by_hypothesis_family_and_prefix():
    assert {s.name for s in scenarios.choose(["routing"], ["heads."])} == {"heads.uneven", "heads.alike"}
    assert scenarios.choose(["regimes.flatness"], ["influence.Pareto"])[0].hypotheses == ("regimes.flatness",)
    with pytest.raises(InputError, match=r"no calibration for hypothesis 'routing\.none'"):
        scenarios.choose(["routing.none"])
    with pytest.raises(InputError, match="no scenario 'nowhere'"):
        scenarios.choose([], ["nowhere"])
    with pytest.raises(InputError, match="no scenario tests"):
        scenarios.choose(["routing"], ["weights."])


def test_chunks_hold_every_data_set_once():
    chosen = scenarios.choose(["clusters.weights"])
    for scenario in chosen:
        numbers = [
            i for c in run.chunks(chosen, 50) if c.scenario == scenario.name for i in range(c.first, c.first + c.count)
        ]
        assert sorted(numbers) == list(range(scenario.datasets(50)))


# truths ---------------------------------------------------------------------------------------------------------

MANY = Settings(
    documents=600, pairs=6, neurons=200, heads=4, head_class_sd=0.0, routing=0.5, modules=0.3, specialists=0.5
)


@pytest.fixture(scope="module")
def much() -> tuple[PreparedData, object]:
    made = planted(MANY, 2)
    return PreparedData(made.measurements), made.truth


@pytest.mark.parametrize(
    "name",
    [
        "specialists.selectivity",
        "regimes.contrast",
        "regimes.recruitment",
        "clusters.within",
        "clusters.cohesion",
        "coordination.dimension",
        "routing.heads",
        "routing.concentration",
        "routing.profile",
    ],
)
def test_the_truth_is_what_much_data_come_near(name, much):
    prepared, truth = much
    hypothesis = catalogue.hypothesis(name)
    bound = hypothesis.statistic.bind(prepared)
    null = catalogue.nulls.get(hypothesis.nulls[0])
    sampled = sample(bound, null, prepared, 49, 0)
    shift = sampled.mean if hypothesis.statistic.centred else 0.0
    true = bound.true_values(TrueWorld(hypothesis.statistic, bound, prepared, truth, None, null, sampled, 0))
    without = bound.leave_one_out().numpy()
    se = np.sqrt((len(without) - 1) / len(without) * ((without - without.mean(0)) ** 2).sum(0))
    assert np.abs(sampled.estimate[0] - shift - true).max() < 4.5 * se.max() + 1e-3


def test_true_data_hold_the_truth(much):
    prepared, truth = much
    there = true_data(prepared, truth)
    ratio = there.influence[0].numpy() / np.exp(truth.log_influence)
    assert ratio == pytest.approx(np.ones_like(ratio))
    assert there.chosen is prepared.chosen
    assert (there.correlation[0].diagonal() == 1).all()


# the command ----------------------------------------------------------------------------------------------------------


def test_the_command_writes_summary_figure_and_journal(tiny, tmp_path, capsys):
    out = tmp_path / "calibration"
    words = ["calibrate", "tails.weights", "--scenario", "tiny", "--datasets", "3", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == str(out / "calibration.json")
    assert "tails.weights" in printed
    assert sorted(p.name for p in out.iterdir()) == ["calibration.json", "calibration.png", "journal.jsonl"]
    head, rows = record.read_record(out / "calibration.json")
    assert head["command"] == "neuronull calibrate tails.weights --scenario tiny --datasets 3"
    assert [row["datasets"] for row in rows] == [3]
    before = (out / "journal.jsonl").read_bytes()
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["record"] == str(out / "calibration.json")
    assert [(row["hypothesis"], row["datasets"]) for row in told["rows"]] == [("tails.weights", 3)]
    assert (out / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing.here"], "no calibration for hypothesis"),
        (["--datasets", "0"], "out of range"),
        (["--jobs", "0"], "out of range"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_line(words, says, tmp_path, capsys):
    assert main(["calibrate", *words, "--out", str(tmp_path / "c")]) == 2
    said = capsys.readouterr().err.strip()
    assert says in said
    assert len(said.splitlines()) == 1


def test_a_finding_carries_its_calibration(monkeypatch):
    monkeypatch.setattr("neuronull.hypotheses.findings.calibration_line", lambda name: f"measured for {name}")
    measurements = planted(
        Settings(documents=24, pairs=4, neurons=200, heads=2), 0, ["influence", "weights"]
    ).measurements
    result = run_suite(measurements, TestOptions(replicates=39, only=("clusters.weights",)))
    assert result.finding("clusters.weights").details.calibration == "measured for clusters.weights"


def test_an_interrupt_keeps_what_is_finished(tiny, tmp_path, monkeypatch):
    original, made = run.run_chunk, []

    def interrupted(chunk):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(chunk)
        return original(chunk)

    monkeypatch.setattr(run, "run_chunk", interrupted)
    journal = tmp_path / "journal.jsonl"
    assert len(run.calibrate(tiny, 6, 1, journal)) == 2
    monkeypatch.setattr(run, "run_chunk", original)
    assert len(run.calibrate(tiny, 6, 1, journal)) == 4


def test_a_claim_is_judged_as_a_run_judges_it(tmp_path):
    import neuronull as nn
    from neuronull.data.store import save

    world = scenarios.scenarios()["claim-1.true-small"]
    assert world.claim == "liu2025:1"
    chunk = run.run_chunk(run.Chunk(world.name, world.hypotheses, 0, 2))
    for index, verdict in enumerate(chunk["verdicts"]):
        made = planted(world.settings, run.dataset_seed(world.name, index), world.pieces)
        save(made.measurements, tmp_path / str(index))
        found = nn.run(
            measurements=tmp_path / str(index), only=world.hypotheses, plateau=world.settings.n_head,
            replicates=run.REPLICATES, seed=index,
        )  # fmt: skip
        assert [str(claim.verdict) for claim in found.claims] == [verdict]


def test_claims_are_counted_beside_hypotheses(tmp_path):
    lines = [
        {"scenario": "claim-1.law", "claim": "liu2025:1", "verdicts": ["supported", "refuted", "refuted"], "rows": {}},
        {"scenario": "claim-1.law", "claim": "liu2025:1", "verdicts": ["undetermined"], "rows": {}},
    ]
    (told,) = record.summarise_claims(lines, scenarios.choose())
    assert (told["datasets"], told["supported"]["count"], told["refuted"]["share"]) == (4, 1, 0.5)
    assert record.summarise(lines, 0.05, scenarios.choose()) == []
    record.write_record(tmp_path / "r", [told], {})
    assert record.read_record(tmp_path / "r")[1] == []


def test_a_claims_scenario_is_taken_whole():
    (found,) = scenarios.choose(["regimes.contrast"], ["claim-1.true-small"])
    assert found.hypotheses == ("regimes.flatness", "regimes.contrast", "regimes.flatness_b")
    assert not any(scenario.claim for scenario in scenarios.choose(["regimes.contrast"]))  # they cost the most by far
    assert any(scenario.claim for scenario in scenarios.choose())
