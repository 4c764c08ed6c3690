"""Corpus files of every format, whole and damaged; the same texts must come out of each, or one clear line."""

import bz2
import gzip
import hashlib
import io
import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neuronull.data import corpora, given, prose, rows, streams
from neuronull.data.corpora import load_corpus
from neuronull.data.errors import InputError
from neuronull.data.given import corpus_option
from neuronull.data.options import MeasureOptions, TestOptions
from neuronull.data.readers import open_texts
from neuronull.hypotheses.plan import declared

TEXTS = [f'The "old" house, number {n},\nstands by the river\tand \u00e9\u4e16 = {n}.' for n in range(30)]
ROWS = [{"id": n, "text": text} for n, text in enumerate(TEXTS)]


def read(corpus):
    return [text.text for text in open_texts(corpus).texts]


def refusal(corpus):
    with pytest.raises(InputError) as caught:
        read(corpus)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def jsonl(rows=ROWS):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def table(rows=ROWS):
    return pa.Table.from_pylist(rows)


def as_parquet(rows=ROWS):
    sink = io.BytesIO()
    pq.write_table(table(rows), sink)
    return sink.getvalue()


def as_arrow(rows=ROWS, stream=False):
    sink = io.BytesIO()
    writer = (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table(rows).schema)
    writer.write_table(table(rows), max_chunksize=7)
    writer.close()
    return sink.getvalue()


def as_csv(separator, rows=ROWS, **options):
    return pd.DataFrame(rows).to_csv(sep=separator, index=False, **options).encode()


def by_name(value):
    """Name a test by the file, not by its bytes."""
    return value if isinstance(value, str) and len(value) < 20 else ""


def packed(content, codec):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def zstd(content):
    return packed(content, "zstd")


FILES = {
    "a.jsonl": jsonl,
    "a.ndjson": jsonl,
    "a.JSONLINES": jsonl,
    "strings.jsonl": lambda: jsonl(TEXTS),
    "lines.json": jsonl,  # many data sets on the Hub name JSON lines so
    "a.csv": lambda: as_csv(","),
    "bom.csv": lambda: b"\xef\xbb\xbf" + as_csv(","),
    "crlf.csv": lambda: as_csv(",", lineterminator="\r\n"),
    "a.tsv": lambda: as_csv("\t"),
    "a.parquet": as_parquet,
    "a.arrow": as_arrow,
    "stream.arrow": lambda: as_arrow(stream=True),
    "a.feather": as_arrow,
    "a.jsonl.gz": lambda: gzip.compress(jsonl()),
    "parts.jsonl.gz": lambda: gzip.compress(jsonl(ROWS[:9])) + gzip.compress(jsonl(ROWS[9:])),
    "a.jsonl.bz2": lambda: bz2.compress(jsonl()),
    "a.jsonl.zst": lambda: zstd(jsonl()),
    "a.jsonl.lz4": lambda: packed(jsonl(), "lz4"),
    "a.csv.zst": lambda: zstd(as_csv(",")),
    "a.json.gz": lambda: gzip.compress(json.dumps(ROWS).encode()),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_texts(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name]())
    assert read(str(tmp_path / name)) == TEXTS
    assert read(str(tmp_path)) == TEXTS
    assert open_texts(str(tmp_path / name)).id == name


def test_values_stay_what_they_are(tmp_path):
    """What looks like a number or a missing value to a CSV reader is text; a column beside it may hold anything."""
    (tmp_path / "a.csv").write_text("id,text\n1,007\n2,NA\nx,true\n4,\n5,1e5\n")
    assert read(str(tmp_path / "a.csv")) == ["007", "NA", "true", "", "1e5"]


NESTED = [{"id": n, "meta": {"lang": "en", "body": {"content": text}}} for n, text in enumerate(TEXTS)]


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", jsonl(NESTED)), ("a.json", json.dumps(NESTED).encode()), ("a.parquet", as_parquet(NESTED)),
     ("a.arrow", as_arrow(NESTED))],
    ids=by_name,
)  # fmt: skip
def test_a_nested_field_is_named_with_dots_and_never_guessed(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert read(f"{path}#meta.body.content") == TEXTS
    assert open_texts(f"{path}#meta.body.content").id == f"{name}#meta.body.content"
    said = refusal(str(path))
    assert '"text" (it has id, meta.lang, meta.body.content)' in said
    assert f"--corpus {path}#" in said
    assert '"meta.body.text" (it has' in refusal(f"{path}#meta.body.text")
    assert 'the field "meta.body" of' in refusal(f"{path}#meta.body") or "has no column" in refusal(f"{path}#meta.body")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", jsonl([{"content": text, "n": 1} for text in TEXTS])),
        ("a.json", json.dumps([{"content": text, "n": 1} for text in TEXTS]).encode()),
        ("a.csv", as_csv(",", [{"content": text, "n": 1} for text in TEXTS])),
        ("a.tsv.gz", gzip.compress(as_csv("\t", [{"content": text, "n": 1} for text in TEXTS]))),
        ("a.parquet", as_parquet([{"content": text, "n": 1} for text in TEXTS])),
        ("a.feather", as_arrow([{"content": text, "n": 1} for text in TEXTS])),
    ],
    ids=by_name,
)
def test_another_field_is_refused_by_name_with_the_option_that_reads_it(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    said = refusal(str(path))
    assert '"text" (it has content, n)' in said
    assert said.endswith(f"name the field that holds the text: --corpus {path}#content")
    assert read(f"{path}#content") == TEXTS
    assert read(f"{tmp_path}#content") == TEXTS  # of every file of a folder


def test_a_field_whose_name_has_dots(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(jsonl([{"a.b": text} for text in TEXTS]))
    (tmp_path / "a.parquet").write_bytes(as_parquet([{"a.b": text} for text in TEXTS]))
    assert read(f"{tmp_path}/a.jsonl#a.b") == read(f"{tmp_path}/a.parquet#a.b") == TEXTS


def test_objects_on_the_way_may_be_missing(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(jsonl([{"m": None}, {"m": {"t": "x"}}, {"m": {"t": None}}]))
    assert read(f"{tmp_path}/a.jsonl#m.t") == ["", "x", ""]


def test_a_json_list_inside_an_object(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"version": 1, "data": ROWS, "more": {"raw": TEXTS}}))
    assert read(f"{path}#data") == read(f"{path}#data.text") == read(f"{path}#more.raw") == TEXTS
    assert refusal(str(path)).endswith(f"name the field that holds the list: --corpus {path}#data")
    assert "a.json holds an object, not a list" in refusal(f"{path}#none")
    assert "a.json holds a number, not a list" in refusal(f"{path}#version")


def test_a_file_with_the_mark_in_its_name_is_a_file(tmp_path):
    path = tmp_path / "c#text.jsonl"
    path.write_bytes(jsonl())
    assert read(str(path)) == read(f"{path}#text") == TEXTS
    assert "no such file or directory" in refusal(f"{tmp_path}/none#text")
    assert "no field is named behind #" in refusal(f"{path}#")


def test_a_text_file_has_no_fields(tmp_path):
    (tmp_path / "a.txt").write_text("a house")
    assert "a.txt is read as text and has no fields" in refusal(f"{tmp_path}/a.txt#text")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xml", b"<a>house</a>", "a.xml is a .xml file, which is not read as text"),
        ("a.HTML", b"<p>house", "a.HTML is a .html file"),
        ("a.xlsx", b"PK\x03\x04", "a.xlsx is a .xlsx file"),
        ("a.tar.gz", gzip.compress(b"x"), "a.tar.gz is a .tar file, which is not read as text (--corpus); unpack it"),
        ("a.xz", b"x", "a.xz is a .xz file"),
        ("a.parquet.gz", gzip.compress(as_parquet()), "a.parquet.gz is compressed as a whole"),
        ("a.txt", jsonl(), "a.txt holds JSON objects, not text (--corpus); name it .jsonl"),
        ("long.txt", b'{"text": "' + b"x" * 100_000 + b'"}', "long.txt holds JSON objects"),
        ("a.log", json.dumps(ROWS, indent=1).encode(), "a.log holds JSON objects"),
        ("a.raw", b"\n<!DOCTYPE html><p>house", "a.raw holds markup (HTML or XML)"),
        ("b.txt", gzip.compress(b"house"), "b.txt is compressed with gzip (--corpus); name it .gz"),
        ("c.txt", zstd(b"house"), "c.txt is compressed with zstd"),
        ("c.jsonl", gzip.compress(jsonl()), "c.jsonl is compressed with gzip"),
        ("d.txt", as_parquet(), "d.txt is a parquet file"),
        ("e.txt", b"%PDF-1.7 house", "e.txt is a PDF file"),
        ("a.jsonl.gz", gzip.compress(jsonl())[:-30], "a.jsonl.gz cannot be read"),
        ("b.jsonl.gz", jsonl(), "b.jsonl.gz cannot be read: it is damaged or not gzip"),
        ("b.jsonl.zst", jsonl(), "b.jsonl.zst cannot be read: it is damaged or not zstd"),
        ("number.jsonl", b'{"text": "a", "n": ' + b"1" * 5000 + b"}", "number.jsonl, line 1 is not JSON: Exceeds"),
        ("number.json", b"[" + b"1" * 5000 + b"]", "number.json is not JSON: Exceeds"),
        ("ragged.csv", b"text,b\nhouse,1\nriver\n", "ragged.csv is no readable CSV file"),
        ("latin.csv", "text,b\ncaf\xe9,1\n".encode("latin-1"), "latin.csv is not UTF-8 text: byte 0xe9"),
        ("late.csv", b"text,b\n" + b"house,1\n" * 20_000 + b"caf\xe9,1\n", "late.csv is no"),
        ("twice.csv", b"text,text\na,b\n", 'twice.csv has 2 columns "text"'),
        ("open.csv", b'text,b\n"house,1\n', "open.csv is no readable CSV file"),
        ("a.arrow", as_arrow()[:200], "a.arrow is no readable Arrow file"),
        ("b.arrow", b"house", "b.arrow is no readable Arrow file"),
        ("bytes.parquet", as_parquet([{"text": b"house"}]), 'the field "text" of bytes.parquet, row 0 holds bytes'),
    ],
    ids=by_name,
)  # fmt: skip
def test_what_is_no_text_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert refusal(str(tmp_path / name)).startswith(message)


def test_a_folder_of_a_data_set_is_read_without_what_describes_it(tmp_path):
    (tmp_path / "README.md").write_text("# A data set")
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "state.json").write_text("{}")
    (tmp_path / "data-00000-of-00001.arrow").write_bytes(as_arrow(stream=True))
    assert read(str(tmp_path)) == TEXTS


def test_a_folder_of_notes_keeps_its_readme(tmp_path):
    (tmp_path / "README.md").write_text("A house")
    assert read(str(tmp_path)) == ["A house"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_a_folder_is_refused_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    assert refusal(str(tmp_path)).startswith("a.txt is no regular file")


# bounds


@pytest.fixture
def small(monkeypatch):
    """Bounds that a test reaches in no time."""
    for module in (streams, prose, rows):
        monkeypatch.setattr(module, "LONGEST", 5000)
    monkeypatch.setattr(prose, "_CHUNK", 1000)
    monkeypatch.setattr(rows, "MOST_JSON", 20_000)
    monkeypatch.setattr(streams, "FREE_EXPANSION", 20_000)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "' + b"x" * 200_000, "line 1 of a.jsonl has more than 5,000 characters"),
        ("a.csv", b"text\n" + b"x" * 200_000, "a row of a.csv has more than 5,000 characters"),
        ("header.csv", b"x" * 200_000, "line 1 of header.csv has more than 5,000 characters"),
        ("a.parquet", as_parquet([{"text": "x" * 6000}]), "a.parquet, row 0 has more than 5,000 characters"),
        ("a.json", b"[" + b" " * 30_000 + b"]", "a.json has more than 20,000 bytes, all of which must be read at once"),
        ("wiki.txt", b"".join(b"= T =\n" for _ in range(20)) + b"x y " * 2000, "the article wiki.txt: T has more than"),
        ("a.txt.gz", gzip.compress(b"\n" * 3_000_000), "a.txt.gz unpacks to more than 100 times its size"),
        ("a.csv.zst", zstd(b"text\n" + b"a\n" * 3_000_000), "a.csv.zst unpacks to more than 100 times its size"),
        ("a.json.gz", gzip.compress(b"[" + b" " * 3_000_000), "a.json.gz has more than 20,000 bytes"),
    ],
    ids=by_name,
)  # fmt: skip
def test_what_is_read_at_once_is_bounded(tmp_path, small, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert refusal(str(tmp_path / name)).startswith(message)


def test_values_with_line_ends_are_whole_wherever_a_block_of_the_reader_ends(tmp_path, small):
    (tmp_path / "a.csv").write_bytes(as_csv(",", ROWS * 20))
    assert read(str(tmp_path / "a.csv")) == TEXTS * 20


def test_text_without_line_ends_is_read_in_pieces_of_whole_words(tmp_path, small):
    words = " ".join(f"word{n}" for n in range(3000))
    (tmp_path / "a.txt").write_text(words)
    parts = list(open_texts(str(tmp_path / "a.txt")).texts)
    assert "".join(part.text for part in parts) == words
    assert len(parts) > 10
    assert all(part.running and part.source == "a.txt" and len(part.text) < 2100 for part in parts)
    assert all(part.text.startswith(" word") for part in parts[1:])
    (tmp_path / "gene.txt").write_text("ACGT" * 3000)  # no spaces either
    genes = read(str(tmp_path / "gene.txt"))
    assert ("".join(genes), len(genes)) == ("ACGT" * 3000, 12)


def test_no_more_is_read_where_hardly_any_document_is_long_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "MOST_READ", 50)
    (tmp_path / "a.jsonl").write_bytes(jsonl([{"text": "a"}] * 50) + b"not JSON")
    with pytest.raises(InputError, match="0 of the first 50 documents have at least 8 tokens"):
        load_corpus(f"{tmp_path}/a.jsonl", by_character, 20, 16)


# headings


def by_character(text, **options):
    return {"input_ids": [ord(letter) for letter in text]}


def articles(count):
    return "".join(f" = Title {n} = \n\n{TEXTS[0]} {n}\n" for n in range(count))


def test_as_many_headings_as_documents_are_needed():
    assert prose.MIN_HEADINGS == corpora.MIN_DOCUMENTS


@pytest.mark.parametrize("count", [19, 20])
def test_a_text_is_split_at_its_headings_if_they_are_many(tmp_path, count):
    (tmp_path / "w.txt").write_text(articles(count))
    opened = open_texts(str(tmp_path / "w.txt"))
    assert len(list(opened.texts)) == (20 if count == 20 else 1)
    assert bool(opened.warnings) == (count == 19)


def test_one_line_like_a_heading_does_not_split_a_running_text(tmp_path):
    lines = [f"{text}\n" for text in TEXTS]
    (tmp_path / "novel.txt").write_text("".join(lines))
    without = load_corpus(f"{tmp_path}/novel.txt", by_character, 30, 16, cluster="none")
    (tmp_path / "novel.txt").write_text("".join([*lines[:20], " = x = \n", *lines[20:]]))
    found = load_corpus(f"{tmp_path}/novel.txt", by_character, 30, 16, cluster="none")
    assert found.documents.equals(without.documents)
    assert found.warnings == [
        "1 line has the form of a heading, ` = Title = ` (line 41 of novel.txt); 20 are needed to split a text at its "
        "headings, so it is not split there",
        *without.warnings,
    ]


def test_a_refusal_names_the_rule_of_headings(tmp_path):
    (tmp_path / "w.txt").write_text(articles(25))
    with pytest.raises(InputError, match=r"0 of 25 documents \(split at lines of the form ` = Title = `\) have at"):
        load_corpus(f"{tmp_path}/w.txt", by_character, 20, 1000)
    (tmp_path / "w.txt").write_text(articles(3))
    with pytest.raises(InputError, match=r"documents \(not split at its 3 headings ` = Title = `: 20 are needed\)"):
        load_corpus(f"{tmp_path}/w.txt", by_character, 20, 1000)


def test_headings_are_counted_over_a_folder(tmp_path):
    for n in range(25):
        (tmp_path / f"{n:02d}.txt").write_text(f" = Title {n} = \n{TEXTS[n]}\n")
    assert [text.source for text in open_texts(str(tmp_path)).texts] == [f"{n:02d}.txt: Title {n}" for n in range(25)]


def test_headings_are_sought_no_further_than_needed(tmp_path, monkeypatch):
    (tmp_path / "w.txt").write_text("x" * 500 + "\n" + articles(30))
    monkeypatch.setattr(prose, "HEADING_SEARCH", 400)
    assert [text.running for text in open_texts(str(tmp_path / "w.txt")).texts] == [True]


def test_a_piece_of_a_long_line_is_no_heading(tmp_path, monkeypatch):
    monkeypatch.setattr(prose, "_CHUNK", 10)
    (tmp_path / "w.txt").write_text((" = abcd = " * 40) + "\n")
    assert prose.find_headings([(tmp_path / "w.txt", "w.txt")]).count == 1  # the first piece begins the line


# unknown text


class Letters:
    """A tokenizer of the letters a-z; anything else is unknown."""

    unk_token_id = 26

    def __call__(self, text, **options):
        return {"input_ids": [ord(letter) - 97 if "a" <= letter <= "z" else 26 for letter in text]}


def test_unknown_text_is_said_and_too_much_of_it_refused():
    known, partly, unknown = "abcdefghij" * 4, "abcdefghi!" * 4, "0123456789ab" * 4
    assert load_corpus([known] * 20, Letters(), 20, 40).warnings[:-1] == []
    warning = "10% of the tokens stand for text that the tokenizer does not know; they are not scored"
    assert warning in load_corpus([partly] * 20, Letters(), 20, 40).warnings
    with pytest.raises(
        InputError, match=r"8.% of the tokens stand for text that the tokenizer does not know \(corpus\)"
    ):
        load_corpus([unknown] * 20, Letters(), 20, 40)


# texts given in Python


class Dataset:
    """Stands in for `datasets.Dataset`, which the tests must do without."""

    def __init__(self, **columns):
        self.columns_ = columns
        self.column_names = list(columns)

    def __len__(self):
        return 30

    def __iter__(self):
        raise AssertionError("read by column: rows decode every column")

    def __getitem__(self, name):
        return self.columns_[name]


@pytest.mark.parametrize(
    "corpus",
    [TEXTS, tuple(TEXTS), ROWS, Dataset(id=[1], text=TEXTS), pd.Series(TEXTS), np.array(TEXTS),
     pd.DataFrame(ROWS)],
)  # fmt: skip
def test_texts_can_be_given_in_python(corpus):
    option = corpus_option(corpus)
    assert option == tuple(TEXTS)
    found = load_corpus(option, by_character, 25, 16)
    assert found.id == "30 texts given in Python"
    assert found.documents["input_ids"].tolist() == [[ord(letter) for letter in text[:16]] for text in TEXTS[:25]]
    assert found.documents["source"][7] == "text 7"


def test_a_name_stays_a_name(tmp_path):
    assert corpus_option("docs") == "docs"
    assert corpus_option(tmp_path / "a.jsonl") == str(tmp_path / "a.jsonl")


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ({"train": TEXTS, "test": TEXTS}, "a dict is no corpus (it has train, test) (corpus); give one of its splits"),
        (b"house", "a bytes is no corpus"),
        (5, "a int is no corpus"),
        ((text for text in TEXTS), "a generator has no known length"),
        ([], "the corpus is empty"),
        (["a", 5], "text 1 holds a number"),
        (["a", None], "text 1 holds null"),
        ([{"body": "a"}], 'text 0 has no field "text" (it has body)'),
        (["\ud800"], "text 0 holds half of a surrogate pair"),
        (Dataset(body=TEXTS), 'the Dataset has no column "text" (it has body)'),
        (Dataset(text=[1, 2]), 'the field "text" of row 0 holds a number'),
    ],
)
def test_what_is_no_corpus_in_python_is_one_clear_line(corpus, message):
    with pytest.raises(InputError) as caught:
        corpus_option(corpus)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_texts_in_python_are_bounded(monkeypatch):
    monkeypatch.setattr(given, "MOST_CHARACTERS", 100)
    with pytest.raises(InputError, match="the texts have more than 100 characters"):
        corpus_option(TEXTS)


def test_texts_are_told_by_number_and_hash():
    """Neither a plan nor a provenance file holds the texts."""
    told = MeasureOptions(corpus=("ab", "c")).corpus_told
    content = b"\2" + bytes(7) + b"ab" + b"\1" + bytes(7) + b"c"
    assert told == f"2 texts given in Python, SHA-256 {hashlib.sha256(content).hexdigest()}"
    assert told != MeasureOptions(corpus=("a", "bc")).corpus_told
    assert MeasureOptions().corpus_told == "docs"
    assert declared(MeasureOptions(corpus=("ab", "c")), TestOptions())["measure"]["corpus"] == told
