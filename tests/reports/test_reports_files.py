"""Results on disk: round trip, byte identity, stable columns, one-line errors."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from sample_results import GOLDEN, sample_result

from neuronull.data.errors import InputError
from neuronull.hypotheses.result import COLUMNS, Role
from neuronull.reports import files, load_result, schema, write_results


@pytest.fixture(scope="module")
def result():
    return sample_result(replicates=99)


def test_a_result_comes_back_as_it_was_written(result, tmp_path):
    write_results(result, tmp_path / "run")
    back = load_result(tmp_path / "run")
    assert back == result
    assert back.provenance == result.provenance
    assert load_result(tmp_path / "run" / "results.json") == result


def test_equal_results_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        write_results(sample_result(replicates=99), tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_nothing_volatile_is_in_the_results(result, tmp_path):
    write_results(result, tmp_path)
    for name in ("results.json", "results.csv", "results.parquet"):
        assert b"workbench" not in (tmp_path / name).read_bytes()
    assert json.loads((tmp_path / "provenance.json").read_text())["host"] == "workbench"


def test_columns_and_types_are_stable_even_where_nothing_was_run(result, tmp_path):
    blank = result.findings[0].model_copy(update=dict.fromkeys((*_optional(), "verdict")))
    for name, findings in (("all", result.findings), ("none", [blank]), ("empty", [])):
        write_results(result.model_copy(update={"findings": findings}), tmp_path / name)
    schemas = [pq.read_schema(tmp_path / name / "results.parquet") for name in ("all", "none", "empty")]
    assert schemas[0] == schemas[1] == schemas[2]
    assert tuple(schemas[0].names) == COLUMNS
    assert str(schemas[0].field("estimate").type) == "double"
    assert str(schemas[0].field("replicates").type) == "int64"
    assert str(schemas[0].field("verdict").type) == "string"


def _optional():
    return [name for name, kind in files.column_types().items() if kind is not str and name not in ("layer", "seed")]


def test_csv_agrees_with_parquet_in_full_precision(result, tmp_path):
    write_results(result, tmp_path)
    with (tmp_path / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = pq.read_table(tmp_path / "results.parquet").to_pylist()
    assert len(rows) == len(table) == len(result.findings)
    for text, value in zip(rows, table, strict=True):
        assert {k: "" if v is None else str(v) for k, v in value.items()} == text


def test_infinity_becomes_null_and_is_read_back(result, tmp_path):
    row = result.findings[0].model_copy(update={"verdict_high": float("inf"), "null_draws": [0.1, float("nan")]})
    write_results(result.model_copy(update={"findings": [row]}), tmp_path)
    json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)  # strict JSON
    back = load_result(tmp_path).findings[0]
    assert back.verdict_high is None
    assert back.null_draws == [0.1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no results.json there"),
        ("{", "not JSON"),
        ("[1, 2]", "not a neuronull result"),
        ('{"setup": {}, "findings": [], "format": "3"}', "format '3', this version reads '1' and '2'"),
        ('{"setup": {}, "findings": [], "format": "1"}', "Field required"),
        ('{"setup": {}, "findings": 3, "format": "1"}', "setup"),
        ('{"setup": {}, "findings": [{"hypothesis": {}}], "format": "1"}', "not a result of format 1"),
        ('{"setup": {}, "findings": [], "nulls": [{"name": []}], "format": "1"}', "not a result of format 1"),
        ('{"setup": {}, "findings": [4], "claims": 1, "nulls": [2], "format": "1"}', "setup"),
        ('{"setup": {}, "findings": []}', "Field required"),
        ('{"setup": {}, "findings": 3}', "setup"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, content, says):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=says) as caught:
        load_result(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_cut_file_is_one_line(result, tmp_path):
    write_results(result, tmp_path)
    whole = (tmp_path / "results.json").read_bytes()
    (tmp_path / "results.json").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cut short"):
        load_result(tmp_path)


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_results(result, tmp_path / "file" / "run")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_the_stored_result_is_what_is_written_today():
    assert files.result_json(load_result(GOLDEN / "result.json")) == (GOLDEN / "result.json").read_text()


def test_the_shipped_schema_is_current():
    assert schema.PATH.read_text() == schema.schema_json(), "python -m neuronull.reports.schema"


def test_the_schema_names_what_results_json_holds(result):
    known = json.loads(schema.schema_json())["properties"]
    assert set(json.loads(files.result_json(result))) == set(known)
    assert "provenance" not in known


def test_no_part_is_left_behind(result, tmp_path):
    write_results(result, tmp_path)
    names = {p.name for p in Path(tmp_path).iterdir()}
    assert names == {"results.json", "results.csv", "results.parquet", "provenance.json"}


def test_the_sample_fills_every_role(result):
    assert {f.role for f in result.findings} == set(Role)


def test_no_cell_of_the_csv_is_a_formula():
    result = load_result(GOLDEN / "result.json")
    result.findings[0].corpus = "=HYPERLINK(1)"
    result.findings[0].model = "-1"
    row = files.result_csv(result).splitlines()[1]
    assert ",'=HYPERLINK(1)," in row
    assert ",'-1," in row
