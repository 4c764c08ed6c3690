import builtins
import hashlib
import json
import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from neuronull.data.corpora import hash_ids, load_corpus
from neuronull.data.errors import InputError
from neuronull.data.prose import _HEADING

TEXT = "the tall house stands beside an old river where quiet people mend their nets and talk of rain"
WORDS = re.findall(r"\w+", TEXT)
CONTEXT = 16


def trained(special):
    """A byte-level BPE tokenizer; with `special` it puts <s> before and </s> after every text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([" ".join(WORDS)] * 5, trainer)
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="module")
def plain():
    return trained(special=False)


@pytest.fixture(scope="module")
def wrapping():
    return trained(special=True)


def prose(seed, words=40):
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


TEXTS = [prose(seed) for seed in range(30)]


def written(path, texts, kind):
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps({"id": 1, "text": text}) + "\n" for text in texts))
    elif kind == "strings.json":
        path.write_text(json.dumps(texts))
    elif kind == "objects.json":
        path.write_text(json.dumps([{"text": text} for text in texts]))
    elif kind == "parquet":
        pd.DataFrame({"id": range(len(texts)), "text": texts}).to_parquet(path)
    else:
        path.write_text("".join(f" = Title {n} = \n\n {text} \n = = Sub = = \n" for n, text in enumerate(texts)))
    return str(path)


@pytest.mark.parametrize("kind", ["jsonl", "strings.json", "objects.json", "parquet"])
def test_every_format_gives_the_same_documents(tmp_path, plain, kind):
    corpus = load_corpus(written(tmp_path / f"corpus.{kind}", TEXTS, kind), plain, 25, CONTEXT)
    assert corpus.documents["input_ids"].tolist() == [plain(text)["input_ids"][:CONTEXT] for text in TEXTS[:25]]
    assert corpus.documents["document"].tolist() == list(range(25))
    assert corpus.documents["document"].dtype == np.int64
    assert corpus.id == f"corpus.{kind}"
    assert corpus.warnings == []
    assert corpus.available == 25  # read no further than needed
    assert all(type(token) is int for token in corpus.documents["input_ids"][0])


def test_the_hash_is_of_the_token_ids(tmp_path, plain):
    first = load_corpus(written(tmp_path / "a.jsonl", TEXTS, "jsonl"), plain, 25, CONTEXT)
    same = load_corpus(written(tmp_path / "b.parquet", TEXTS, "parquet"), plain, 25, CONTEXT)
    other = load_corpus(written(tmp_path / "c.jsonl", TEXTS[::-1], "jsonl"), plain, 25, CONTEXT)
    assert first.hash == same.hash != other.hash
    body = b"".join(
        np.array([len(ids), *ids], dtype="<i8").tobytes() for ids in first.documents["input_ids"]
    )  # the length before the ids: [1], [2] is not [1, 2]
    assert first.hash == hashlib.sha256(body).hexdigest()
    assert hash_ids([[1], [2]]) != hash_ids([[1, 2]])


def test_special_tokens_are_those_the_tokenizer_adds(tmp_path, wrapping):
    name = written(tmp_path / "c.jsonl", [*TEXTS, "the old river"], "jsonl")
    long = load_corpus(name, wrapping, 25, CONTEXT).documents["input_ids"][0]
    assert long == wrapping(TEXTS[0], truncation=True, max_length=CONTEXT)["input_ids"]
    assert (long[0], long[-1], len(long)) == (0, 1, CONTEXT)
    whole = load_corpus(name, wrapping, 25, 60).documents["input_ids"].tolist()
    assert whole[:2] == [wrapping(text)["input_ids"] for text in TEXTS[:2]]


def test_a_long_document_is_cut_as_if_all_of_it_had_been_tokenized(tmp_path, plain):
    texts = [prose(seed, 3000) for seed in range(20)] + ["rain " * 50_000]
    corpus = load_corpus(written(tmp_path / "c.jsonl", texts, "jsonl"), plain, 21, 100)
    assert corpus.documents["input_ids"].tolist() == [plain(text, verbose=False)["input_ids"][:100] for text in texts]


def test_tokens_of_many_characters_are_not_cut_short(tmp_path):
    """The first cut of the text holds fewer tokens than asked for; more is read until there are enough."""

    def encode(text, **options):
        return {"input_ids": [len(piece) for piece in re.findall(r"\S+ *", text)]}

    texts = [" ".join(["x" * 60] * 80) + str(n) for n in range(20)]
    corpus = load_corpus(written(tmp_path / "c.jsonl", texts, "jsonl"), encode, 20, 64)
    assert {tuple(ids) for ids in corpus.documents["input_ids"]} == {(61,) * 64}


def test_a_text_is_split_at_its_level_one_headings(tmp_path, plain):
    text = "".join(f" = Title {n} = \r\n\r\n {t} \r\n = = Sub = = \r\n {t} \r\n" for n, t in enumerate(TEXTS))
    (tmp_path / "wiki.raw").write_bytes(b"\xef\xbb\xbf" + text.encode())
    corpus = load_corpus(str(tmp_path / "wiki.raw"), plain, 30, 100)
    assert corpus.documents["source"].tolist() == [f"wiki.raw: Title {n}" for n in range(30)]
    article = f" = Title 3 = \n\n {TEXTS[3]} \n = = Sub = = \n {TEXTS[3]} \n"
    assert corpus.documents["input_ids"][3] == plain(article)["input_ids"][:100]
    assert corpus.warnings == []


@pytest.mark.parametrize(
    ("line", "title"),
    [
        (" = Robert Boulter = ", "Robert Boulter"),
        ("= 1933 Treasure Coast hurricane =", "1933 Treasure Coast hurricane"),
        (" = E = mc2 = ", "E = mc2"),
        (" = = Career = = ", None),
        (" = = = 2000 – 2005 = = = ", None),
        (" = = Broken = ", None),
        (" = Broken = = ", None),
        ("x = y = ", None),
        (" = = ", None),
        (" =Title= ", None),
    ],
)
def test_what_is_a_level_one_heading(line, title):
    found = _HEADING.match(line)
    assert (found["title"] if found else None) == title


def test_text_before_the_first_heading_is_a_document_of_its_own(tmp_path, plain):
    (tmp_path / "w.txt").write_text(f"{TEXTS[0]}\n" + "".join(f" = T{n} = \n {t}\n" for n, t in enumerate(TEXTS)))
    corpus = load_corpus(str(tmp_path / "w.txt"), plain, 31, CONTEXT)
    assert corpus.documents["source"].tolist()[:2] == ["w.txt", "w.txt: T0"]


def test_running_text_is_cut_into_blocks_that_are_called_what_they_are(tmp_path, wrapping, monkeypatch):
    monkeypatch.setattr("neuronull.data.prose._CHUNK", 100)
    lines = [f"{text}\n" for text in TEXTS]
    (tmp_path / "novel.txt").write_text("".join(lines))
    corpus = load_corpus(str(tmp_path / "novel.txt"), wrapping, 30, CONTEXT)
    stream = [token for line in lines for token in wrapping(line, add_special_tokens=False)["input_ids"]]
    blocks = [[0, *stream[start : start + 14], 1] for start in range(0, 30 * 14, 14)]
    assert corpus.documents["input_ids"].tolist() == blocks
    assert corpus.documents["source"][2] == "novel.txt (pseudo-document 2)"
    assert "pseudo-documents" in corpus.warnings[0]
    assert "blocks of 16 tokens" in corpus.warnings[0]


def test_a_folder_is_read_in_sorted_order(tmp_path, plain):
    (tmp_path / "corpus" / "sub").mkdir(parents=True)
    for n in range(21):
        (tmp_path / "corpus" / f"{20 - n:02d}.txt").write_text(TEXTS[20 - n])
    written(tmp_path / "corpus" / "sub" / "more.jsonl", TEXTS[21:23], "jsonl")
    (tmp_path / "corpus" / ".hidden").write_bytes(b"\0")
    corpus = load_corpus(str(tmp_path / "corpus"), plain, 23, 60)
    assert corpus.documents["source"].tolist() == [
        *(f"{n:02d}.txt" for n in range(21)),
        "sub/more.jsonl:1",
        "sub/more.jsonl:3",
    ]
    assert corpus.documents["input_ids"].tolist() == [plain(text)["input_ids"] for text in TEXTS[:23]]
    assert corpus.warnings == []  # each file fits the context: a document, not a block


def test_nothing_is_read_beyond_what_is_needed(tmp_path, plain):
    good = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    (tmp_path / "c.jsonl").write_text(good + "not json\n")
    assert len(load_corpus(str(tmp_path / "c.jsonl"), plain, 30, CONTEXT).documents) == 30
    with pytest.raises(InputError, match=r"c.jsonl, line 31 is not JSON: Expecting value, column 1"):
        load_corpus(str(tmp_path / "c.jsonl"), plain, 31, CONTEXT)


def test_short_documents_are_passed_over_and_a_small_corpus_is_said_to_be_small(tmp_path, plain):
    name = written(tmp_path / "c.jsonl", ["", "rain", None, *TEXTS], "jsonl")
    corpus = load_corpus(name, plain, 25, CONTEXT)
    assert corpus.available == 28
    assert corpus.documents["source"][0] == "c.jsonl:7"
    fewer = load_corpus(name, plain, 200, CONTEXT)
    assert fewer.warnings == ["30 of 33 documents have at least 8 tokens; 200 were asked for"]


def test_repeated_documents_are_said(tmp_path, plain):
    corpus = load_corpus(written(tmp_path / "c.jsonl", TEXTS[:10] * 3, "jsonl"), plain, 30, CONTEXT)
    assert corpus.warnings == ["20 documents repeat the tokens of another; repeats are not independent"]


def test_a_corpus_that_is_too_short_says_by_how_much(tmp_path, plain):
    with pytest.raises(InputError) as caught:
        load_corpus(written(tmp_path / "c.jsonl", [*TEXTS[:12], "rain", "old"], "jsonl"), plain, 200, CONTEXT)
    assert str(caught.value) == (
        "12 of 14 documents have at least 8 tokens (half of --context 16), 20 are needed "
        f"(--corpus {tmp_path}/c.jsonl); give more or longer documents, or a smaller --context"
    )


def files_that_are_wrong():
    good = json.dumps({"text": TEXTS[0]})
    nested = "[" * 100_000
    return {
        "empty.txt": (b"", "the corpus is empty"),
        "blank.txt": (b" \n\n", "the corpus is empty"),
        "empty.json": (b"[]", "the corpus is empty"),
        "empty.jsonl": (b"\n", "the corpus is empty"),
        "zeros.txt": (b"\0" * 5000, "zeros.txt is binary: there are NUL bytes near its start"),
        "late.txt": (b"rain\n" * 20_000 + b"\0\n", "late.txt is binary: a NUL byte in line 20001"),
        "latin.txt": ("caf\xe9 ".encode("latin-1") * 9, "latin.txt is not UTF-8 text: byte 0xe9 cannot be decoded"),
        "png.jsonl": (b"\x89PNG\r\n\x1a\n", "png.jsonl is not UTF-8 text: byte 0x89"),
        "bad.jsonl": (f"{good}\n{{'a': 1}}\n".encode(), "bad.jsonl, line 2 is not JSON: Expecting property name"),
        "deep.jsonl": (nested.encode(), "deep.jsonl, line 1 is not JSON: nested too deep"),
        "field.jsonl": (f'{good}\n{{"content": 1, "id": 2}}\n'.encode(),
                        'field.jsonl, line 2 has no field "text" (it has content, id)'),
        "number.jsonl": (b'{"text": 5}', 'the field "text" of number.jsonl, line 1 holds a number'),
        "list.jsonl": (b"[1]", "list.jsonl, line 1 holds a list"),
        "half.jsonl": (b'{"text": "\\ud800"}', "half.jsonl, line 1 holds half of a surrogate pair"),
        "bad.json": (b'["a",\n"b"', "bad.json is not JSON: Expecting ',' delimiter (line 2, column 4)"),
        "deep.json": (nested.encode(), "deep.json is not JSON: nested too deep"),
        "object.json": (b'{"text": "a"}', "object.json holds an object, not a list"),
        "numbers.json": (b"[1]", "numbers.json, entry 0 holds a number"),
        "half.json": (b'["\\udfff"]', "half.json, entry 0 holds half of a surrogate pair"),
        "text.parquet": (b"PAR1 is not enough", "text.parquet is no readable parquet file"),
    }  # fmt: skip


@pytest.mark.parametrize("name", files_that_are_wrong())
def test_what_cannot_be_read_is_one_clear_line(tmp_path, plain, name):
    content, message = files_that_are_wrong()[name]
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path / name, tmp_path):  # the file itself, and the folder with it
        with pytest.raises(InputError) as caught:
            load_corpus(str(path), plain, 30, CONTEXT)
        assert str(caught.value).startswith(message)
        assert "--corpus" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_parquet_faults(tmp_path, plain):
    pd.DataFrame({"body": TEXTS}).to_parquet(tmp_path / "column.parquet")
    with pytest.raises(InputError, match=r'column.parquet has no column "text" \(it has body\)'):
        load_corpus(str(tmp_path / "column.parquet"), plain, 20, CONTEXT)
    pd.DataFrame({"text": [1, 2]}).to_parquet(tmp_path / "number.parquet")
    with pytest.raises(InputError, match=r'the field "text" of number.parquet, row 0 holds a number'):
        load_corpus(str(tmp_path / "number.parquet"), plain, 20, CONTEXT)
    pd.DataFrame({"text": TEXTS}).to_parquet(tmp_path / "whole.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:-40])
    with pytest.raises(InputError, match=r"cut.parquet is no readable parquet file"):
        load_corpus(str(tmp_path / "cut.parquet"), plain, 20, CONTEXT)


def test_a_path_that_is_not_there(plain):
    with pytest.raises(InputError, match=r"no such file or directory: doc \(--corpus\); give a path, hf:.*, or docs"):
        load_corpus("doc", plain, 20, CONTEXT)
    with pytest.raises(InputError, match="/dev/null is neither a file nor a folder"):
        load_corpus("/dev/null", plain, 20, CONTEXT)


def test_the_embedded_corpus(plain, monkeypatch):
    fake = ModuleType("neuronull.data.embedded.corpus")
    documents = [(f"package.name{n}", text) for n, text in enumerate(TEXTS)]
    held_out = SimpleNamespace(documents=documents, packages=[f"package{n % 20}" for n in range(len(TEXTS))])
    fake.held_out_documents = lambda: held_out
    monkeypatch.setitem(sys.modules, "neuronull.data.embedded.corpus", fake)
    corpus = load_corpus("docs", plain, 30, CONTEXT)
    assert (corpus.id, corpus.warnings) == ("docs", [])
    assert corpus.documents["source"][7] == "package.name7"
    assert corpus.documents["cluster"][7] == corpus.documents["cluster"][27]


class Hub:
    """Stands in for the `datasets` package: what it was asked for, and what it gives."""

    def __init__(self, monkeypatch, stream):
        self.asked = None
        module = ModuleType("datasets")

        def load_dataset(name, config, **options):
            self.asked = (name, config, options)
            if isinstance(stream, Exception):
                raise stream
            return stream

        module.load_dataset = load_dataset
        monkeypatch.setitem(sys.modules, "datasets", module)


def test_a_hub_data_set_is_streamed(plain, monkeypatch):
    hub = Hub(monkeypatch, [{"body": text} for text in TEXTS])
    corpus = load_corpus("hf:allenai/c4:en:validation:body", plain, 30, CONTEXT)
    assert hub.asked == ("allenai/c4", "en", {"split": "validation", "streaming": True})
    assert corpus.id == "hf:allenai/c4:en:validation:body"
    assert corpus.documents["source"][3] == "allenai/c4:validation[3]"
    assert corpus.documents["input_ids"][3] == plain(TEXTS[3])["input_ids"][:CONTEXT]


def test_a_hub_data_set_without_a_split(plain, monkeypatch):
    hub = Hub(monkeypatch, {"train": [], "test": [{"text": text} for text in TEXTS]})
    corpus = load_corpus("hf:wikitext", plain, 30, CONTEXT)
    assert hub.asked == ("wikitext", None, {"split": None, "streaming": True})
    assert corpus.warnings == ["no split was named: test of train, test is read"]


@pytest.mark.parametrize("name", ["hf:a/b@v1:en:test:body", "hf:a/b:en:test:body@v1"])
def test_a_revision_of_a_hub_data_set(plain, monkeypatch, name):
    hub = Hub(monkeypatch, [{"body": text} for text in TEXTS])
    assert load_corpus(name, plain, 30, CONTEXT).id == name
    assert hub.asked == ("a/b", "en", {"split": "test", "streaming": True, "revision": "v1"})
    assert load_corpus("hf:a/b@refs/convert/parquet::test:body", plain, 30, CONTEXT)
    assert hub.asked == ("a/b", None, {"split": "test", "streaming": True, "revision": "refs/convert/parquet"})


def test_a_nested_field_of_a_hub_data_set(plain, monkeypatch):
    Hub(monkeypatch, [{"meta": {"body": text}} for text in TEXTS])
    nested = load_corpus("hf:a/b:en:test:meta.body", plain, 30, CONTEXT)
    assert nested.documents["input_ids"][3] == plain(TEXTS[3])["input_ids"][:CONTEXT]
    with pytest.raises(InputError, match=r"has no field .text. \(it has meta.body\).*hf:a/b@v1:en:test:meta.body$"):
        load_corpus("hf:a/b@v1:en:test", plain, 30, CONTEXT)


def test_hub_faults_are_one_line(plain, monkeypatch):
    def broken():
        yield {"text": TEXTS[0]}
        raise ConnectionError("reset by peer")

    for name, stream, message in (
        ("hf:a/b", ConnectionError("no route\nto host"), "hf:a/b cannot be read: ConnectionError: no route to host"),
        ("hf:a/b:c:test", broken(), "hf:a/b:c:test cannot be read: ConnectionError: reset by peer"),
        ("hf:a/b:c:test:body", [{"text": "a"}], 'a/b:test, row 0 has no field "body" (it has text)'),
        ("hf:", [], "hf: names no data set"),
        ("hf:a:b:c:d:e", [], "hf:a:b:c:d:e names no data set"),
        ("hf:a/b@", [], "hf:a/b@ names no data set"),
        ("hf:a/b@x:c@y", [], "hf:a/b@x:c@y names no data set"),
        ("hf:@x", [], "hf:@x names no data set"),
    ):
        Hub(monkeypatch, stream)
        with pytest.raises(InputError) as caught:
            load_corpus(name, plain, 30, CONTEXT)
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)


def test_a_missing_extra_is_named(plain, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "datasets":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"needs the package datasets, which is not installed \(--corpus\); pip"):
        load_corpus("hf:wikitext", plain, 30, CONTEXT)
