"""Results of format 1 are read, told and written as format 2."""

import copy
import json
from types import SimpleNamespace as Namespace

import pytest
from sample_results import GOLDEN, sample_result

from neuronull.hypotheses import catalogue
from neuronull.hypotheses.result import DocumentEffectCard, OutputRow, Role, Verdict
from neuronull.hypotheses.upgrade import from_format_1
from neuronull.reports import html, latex, load_result, markdown, summary, write_results

FIRST = GOLDEN / "result_format_1.json"


class BuiltIn(dict):
    """A registry whose every entry ships."""

    def origin(self, name):
        return "built in"


@pytest.fixture
def first():
    return json.loads(FIRST.read_text())


@pytest.fixture
def result():
    return load_result(FIRST)


def test_every_number_is_kept(first, result):
    assert len(result.findings) == len(first["findings"])
    for row, was in zip(result.findings, first["findings"], strict=True):
        now = row.model_dump(mode="json")
        assert {k: now[k] for k in was if k != "details"} == {k: v for k, v in was.items() if k != "details"}
    outcomes = [o for u in first["multiverse"]["universes"] for o in u["outcomes"]]
    assert [o.model_dump(mode="json") for u in result.multiverse.universes for o in u.outcomes] == outcomes
    for key in ("curves", "graphs", "balance", "head_map"):
        assert result.model_dump(mode="json")[key] == first[key]


def test_details_get_their_types(result):
    heads = result.finding("routing.heads").details
    assert len(heads.per_output) == 6
    assert heads.per_output[1].name == "0.1"
    assert heads.enough.documents == 480
    assert result.finding("regimes.contrast").details.enough.larger.startswith("a larger set of neurons")
    profile = result.finding("routing.profile").details
    assert profile.coverage_warning == "document contrasts are skewed"
    assert profile.document_effect.cohen_d == 2
    assert profile.null_chosen == "head_sets"
    selectivity = result.finding("regimes.selectivity").details
    assert selectivity.further["mixed_model"] == {"estimate": 0.3, "takes_as_given": "neurons"}
    assert selectivity.tail_laws["rare curve"].against["lognormal"].z == -0.4
    assert selectivity.broken_lines["rare"][0].sought == (4, 1375)
    assert result.finding("control.random_init").details.found_in_random_weights == ["coordination.dimension"]
    assert "further" not in result.finding("routing.heads").details.further


def test_conditions_set_and_effects_are_those_of_format_1(first, result):
    assert (result.setup.conditions.a.name, result.setup.conditions.b.phrase) == ("rare", "common tokens")
    assert [(s.name, s.size) for s in result.sets] == [("plateau", first["setup"]["n_head"])]
    assert [e.mean for e in result.set_effects] == [e["plateau"] for e in first["plateau_effects"]]
    assert result.multiverse.means["plateau"] == "which neurons are the plateau"


@pytest.mark.parametrize("tell", [html.render, markdown.render, latex.render, summary])
def test_it_is_told_in_every_format(result, tell):
    told = tell(result)
    assert "480 documents would be enough" in told or tell is latex.render
    assert "undetermined" in told


def test_it_is_written_as_format_2(result, tmp_path):
    write_results(result, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["format"] == "2"
    again = load_result(tmp_path)
    write_results(again, tmp_path / "again")
    assert (tmp_path / "again" / "results.json").read_bytes() == (tmp_path / "results.json").read_bytes()


def test_what_the_catalogue_knows_gets_its_card(first):
    first["claims"].append({**first["claims"][0], "number": 7, "hypotheses": ["mine.own"]})
    first["findings"].append({**first["findings"][0], "hypothesis": "mine.own", "family": "mine", "claim": "Mine."})
    out = from_format_1(first)
    assert [c["paper"] for c in out["claims"]] == ["liu2025", "liu2025", "liu2025", ""]
    assert [p["id"] for p in out["papers"]] == ["liu2025"]
    assert out["multiverse"]["universes"][0]["claims"].keys() == {"liu2025:1", "liu2025:2", "liu2025:3"}
    known = {card["id"]: card for card in out["hypotheses"]}
    assert known["regimes.contrast"]["title"] == "A flatter top for rare tokens than for common tokens"
    assert known["mine.own"] == {"id": "mine.own", "title": "Mine.", "asks": "Mine.", "set": "plateau"}


def test_without_a_catalogue_claims_keep_what_belongs_to_them(first, monkeypatch):
    from neuronull.hypotheses.result import Result
    from neuronull.reports.story import tell

    monkeypatch.setattr(catalogue, "shipped", list)
    story = tell(Result.model_validate(from_format_1(first)))
    assert [len(c.findings) for c in story.claims] == [3, 3, 3]
    assert [c.title for c in story.rest] == ["Hypotheses of your own"]


def test_the_words_of_a_null_model_that_ships_are_looked_up_and_no_plug_in_is_loaded(first, monkeypatch):
    asked = []

    class Nulls:
        def __contains__(self, name):
            return True

        def origin(self, name):
            return "built in" if name == "matched_sets" else "package x 1.0"

        def get(self, name):
            asked.append(name)
            return Namespace(says="Sets.", caveat="Care.", bibtex=("@misc{x}",))

    monkeypatch.setattr(catalogue, "nulls", Nulls())
    matched, foreign = from_format_1(first)["nulls"]
    assert (matched["says"], matched["caveat"], matched["bibtex"]) == ("Sets.", "Care.", ["@misc{x}"])
    assert "says" not in foreign
    assert asked == ["matched_sets"]


def test_numbers_of_rewiring_keep_their_caveat(first, monkeypatch):
    nulls = {"rewired": Namespace(says="", caveat="A weak null.", bibtex=())}
    monkeypatch.setattr(catalogue, "nulls", BuiltIn(nulls))
    (row, *_) = [f for f in from_format_1(first)["findings"] if f["hypothesis"] == "clusters.rewired"]
    assert row["details"]["further"] == {"rewiring_alone_z": 4.2, "note": "A weak null."}


def test_the_input_is_left_as_it_was(first):
    before = copy.deepcopy(first)
    from_format_1(first)
    assert first == before


def test_an_infinite_number_in_the_details_is_read_back(tmp_path):
    """JSON has no infinity: it is written as null, and must not make the file unreadable."""
    result = sample_result(replicates=19)
    row = result.finding("routing.heads")
    row.details.document_effect = DocumentEffectCard(
        documents=50, cohen_d=9.0, d_low=8.0, d_high=10.0, bf10=float("inf")
    )
    row.details.per_output.append(
        OutputRow(name="3.9", layer=3, head=9, estimate=0.1, low=-0.1, high=float("inf"), p_adjusted=1.0, verdict="x")
    )
    write_results(result, tmp_path)
    back = load_result(tmp_path)
    assert back.finding("routing.heads").verdict is Verdict.UNDETERMINED
    assert back.finding("routing.heads").role is Role.PRIMARY
    for tell in (html.render, markdown.render, summary):
        assert "nan" not in tell(back).split()
