"""A user's own conditions: what files may hold, what is looked up in the tokenizer, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from neuronull.data.condition_files import read_conditions
from neuronull.data.condition_rules import FrequencyRule, PositionRule, TokenRule
from neuronull.data.conditions import Condition, Conditions
from neuronull.data.errors import InputError
from neuronull.data.measurements import NEITHER, A, B
from neuronull.data.panel import classed_positions

WORDS = ["<unk>", *"abcdefgh", "▁the", "the", "NA", "null"]
RANKS = np.arange(len(WORDS))


@pytest.fixture(scope="module")
def tokenizer():
    inner = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")


@pytest.fixture
def written(tmp_path):
    def write(content, name="mine.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def documents(count=3, length=9, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"input_ids": [rng.integers(0, len(WORDS), length).tolist() for _ in range(count)]})


def labels_by_loop(table, of_position):
    """Class of every scored position, one after the other."""
    return [
        of_position(d, p, ids[p], ids[p + 1])
        for d, ids in enumerate(table["input_ids"])
        for p in range(3, len(ids) - 1)
    ]


def resolved(path, tokenizer, conditioning="target"):
    return read_conditions(path).resolve(tokenizer, len(WORDS), conditioning)


def test_the_frequency_rule_by_loop():
    table = documents()
    for conditioning in ("target", "input"):
        rule = FrequencyRule(10, 0.35, conditioning, elbow_rank=9)

        def expected(d, p, read, predicted, which=conditioning):
            rank = predicted if which == "target" else read
            return NEITHER if rank > 9 else A if rank > 3.5 else B

        panel = classed_positions(table, RANKS, (), rule, 0)
        assert panel.label.tolist() == labels_by_loop(table, expected)
        assert rule.conditions == Conditions(
            Condition("rare", "rare tokens"), Condition("common", "common tokens"),
            f"frequency rank of the {conditioning} token beyond 35 % of the vocabulary, and in neither class beyond "
            "rank 9",
        )  # fmt: skip


@pytest.mark.parametrize("conditioning", ["target", "input"])
@pytest.mark.parametrize("both", [True, False])
def test_token_lists_by_loop(written, tokenizer, conditioning, both):
    given = {"a": {"name": "vowels", "tokens": ["a", "e"]}, "b": {"name": "consonants", "token_ids": [2, 3, 4]}}
    if not both:
        del given["b"]
    rule = resolved(written(given), tokenizer, conditioning)
    assert isinstance(rule, TokenRule)
    assert rule.conditions.a == Condition("vowels", "vowels")
    assert rule.conditions.b.name == ("consonants" if both else "other tokens")
    others = "3" if both else "all others"
    assert rule.conditions.rule == f"the {conditioning} token is one of 2 listed token types, against {others}"

    def expected(d, p, read, predicted):
        token = WORDS[predicted if conditioning == "target" else read]
        return A if token in "ae" else B if not both or token in "bcd" else NEITHER

    table = documents(seed=1)
    assert classed_positions(table, RANKS, (), rule, 0).label.tolist() == labels_by_loop(table, expected)


def test_positions_by_loop(written, tokenizer):
    given = {
        "a": {"name": "in quotes", "positions": [[0, 3], [2, 7], [1, 4]]},
        "b": {"name": "outside", "positions": [[0, 4], [2, 3], [0, 0]]},
        "rule": "annotated by hand",
    }
    rule = resolved(written(given), tokenizer)
    assert isinstance(rule, PositionRule)
    table = documents()
    panel = classed_positions(table, RANKS, (), rule, 0)

    def expected(d, p, read, predicted):
        return A if [d, p] in given["a"]["positions"] else B if [d, p] in given["b"]["positions"] else NEITHER

    assert panel.label.tolist() == labels_by_loop(table, expected)
    assert rule.conditions.rule == "annotated by hand"
    assert rule.unscored(panel) == 1  # document 0, position 0
    rule.check(np.array([9, 9, 9]))
    with pytest.raises(InputError, match="document 2 is not there: 2 documents were taken"):
        rule.check(np.array([9, 9]))
    with pytest.raises(InputError, match=r"position 7 of document 2 predicts nothing: the document has 8 tokens"):
        rule.check(np.array([9, 9, 8]))


def test_tokens_are_spelled_as_the_tokenizer_does_or_are_text_of_one_token(written, tokenizer):
    rule = resolved(written({"a": {"tokens": ["the", "▁the", " a", "<unk>"]}}), tokenizer)
    assert rule.a.tolist() == [0, 1, 9, 10]
    with pytest.raises(InputError) as caught:
        resolved(written({"a": {"tokens": ["a", "a b", "zebra", "", 7]}}), tokenizer)
    assert str(caught.value) == (
        "not one token of this tokenizer: 'a b', 'zebra', '', '7' (--conditions mine.json); leave them out, or spell "
        "them as the tokenizer does; a word within a text often starts with a blank"
    )
    many = [f"no token {i}" for i in range(30)]
    with pytest.raises(InputError, match=r"'no token 4' and 25 more \("):
        resolved(written({"a": {"tokens": many}}), tokenizer)


TABLES = {
    "ids.csv": "condition,token_id\na,1\nb,2\na,3\n",
    "ids.tsv": "condition\ttoken_id\na\t1\nb\t2\na\t3\n",
    "tokens.csv": "token,condition\na,a\nb,b\nc,a\n",
}


@pytest.mark.parametrize("name", [*TABLES, "ids.parquet"])
def test_tables_are_the_same_as_json(written, tokenizer, name, tmp_path):
    if name in TABLES:
        path = written(TABLES[name], name)
    else:
        path = tmp_path / name
        pd.DataFrame({"condition": ["a", "b", "a"], "token_id": [1, 2, 3]}).to_parquet(path)
    rule = resolved(path, tokenizer)
    assert (rule.a.tolist(), rule.b.tolist()) == ([1, 3], [2])
    assert (rule.conditions.a.name, rule.conditions.b.name) == ("a", "b")


def test_conditions_of_a_table_have_names_of_their_own(written, tokenizer):
    rule = resolved(written("condition,token\nodd,a\neven,NA\nodd,null\n", "c.csv"), tokenizer)
    assert (rule.conditions.a.name, rule.conditions.b.name) == ("odd", "even")
    assert (rule.a.tolist(), rule.b.tolist()) == ([1, 12], [11])  # NA and null are tokens, not missing values
    swapped = resolved(written("condition,token_id\nb,1\na,2\n", "c.csv"), tokenizer)
    assert (swapped.a.tolist(), swapped.b.tolist()) == ([2], [1])
    alone = resolved(written("condition,token_id\nnames,1\n", "c.csv"), tokenizer)
    assert (alone.conditions.a.name, alone.conditions.b.name, alone.b) == ("names", "other tokens", None)
    placed = resolved(written("condition,document,position\na,0,3\nb,1,4\n", "c.csv"), tokenizer)
    assert (placed.a.tolist(), placed.b.tolist()) == ([[0, 3]], [[1, 4]])


def test_the_hash_is_of_the_content_alone(written, tmp_path):
    first = read_conditions(written({"a": {"token_ids": [1]}}))
    again = read_conditions(written({"a": {"token_ids": [1]}}, "other name.json"))
    other = read_conditions(written({"a": {"token_ids": [2]}}))
    assert first.hash == again.hash != other.hash


ONE = {"token_ids": [1]}
REFUSED = {
    "no file": (None, "no such file"),
    "no JSON": ("{", "it is not JSON"),
    "a list": ([1], "there is no condition a"),
    "no a": ({"b": ONE}, "there is no condition a"),
    "unknown key": ({"a": ONE, "c": ONE}, "it has 'c'"),
    "unknown key of a": ({"a": ONE | {"words": []}}, "condition a has 'words'"),
    "no list": ({"a": {"name": "x"}}, "condition a has no list"),
    "two lists": ({"a": ONE | {"tokens": ["a"]}}, "condition a has tokens and token_ids"),
    "empty list": ({"a": {"token_ids": []}}, "token_ids of condition a is no list, or an empty one"),
    "b is no object": ({"a": ONE, "b": [1]}, "condition b is no object"),
    "no name": ({"a": ONE | {"name": " "}}, "the name of condition a is ''"),
    "name is no text": ({"a": ONE | {"name": 7}}, "the name of condition a is ''"),
    "a name with a line end": ({"a": ONE | {"name": "x\ny"}}, r"the name of condition a is 'x\\ny'"),
    "a long name": ({"a": ONE | {"name": "x" * 41}}, "the name of condition a"),
    "one name": ({"a": ONE | {"name": "x"}, "b": {"name": "x", "token_ids": [2]}}, "both conditions are named 'x'"),
    "rule is no text": ({"a": ONE, "rule": 1}, "rule is 1"),
    "negative": ({"a": {"token_ids": [-1]}}, "token id -1 is not a whole number"),
    "fraction": ({"a": {"token_ids": [1.5]}}, "token id 1.5 is not a whole number"),
    "true": ({"a": {"token_ids": [True]}}, "token id True is not a whole number"),
    "beyond": ({"a": {"token_ids": [13, 5]}}, "there is no token id 13 .*go from 0 to 12"),
    "overlap": ({"a": {"tokens": ["a", "b"]}, "b": {"token_ids": [2, 3]}}, "1 token is in both a and b: 'b'"),
    "positions of one": ({"a": {"positions": [[0, 3]]}}, "positions of one condition only"),
    "positions and tokens": ({"a": {"positions": [[0, 3]]}, "b": ONE}, "only one condition lists positions"),
    "no pair": ({"a": {"positions": [3]}, "b": {"positions": [[0, 3]]}}, "3 is no position"),
    "three numbers": ({"a": {"positions": [[1, 2, 3]]}, "b": {"positions": [[0, 3]]}}, "is no position"),
    "the same position": (
        {"a": {"positions": [[0, 3], [0, 4]]}, "b": {"positions": [[0, 4]]}},
        "1 position is in both a and b: document 0 position 4",
    ),
}
REFUSED_TABLES = {
    "empty": ("", "has no rows"),
    "no rows": ("condition,token_id\n", "has no rows"),
    "no condition": ("token_id\n1\n", "its columns are token_id"),
    "two kinds": ("condition,token_id,token\na,1,a\n", "its columns are condition, token_id, token"),
    "three conditions": ("condition,token_id\na,1\nb,2\nc,3\n", "there are 3 conditions: 'a', 'b', 'c'"),
    "only b": ("condition,token_id\nb,1\n", "no row is of condition a"),
    "ragged": ("condition,token_id\na,1,2\n", "line 2 of c.csv has 3 values, its first line 2"),
    "no number": ("condition,token_id\na,one\n", "token id 'one' is not a whole number"),
    "no name": ("condition,token_id\n,1\n", "the name of condition a is ''"),
}


def one_line(path, tokenizer, says):
    with pytest.raises(InputError, match=says) as caught:
        resolved(path, tokenizer)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("content", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(written, tokenizer, tmp_path, content, says):
    one_line(tmp_path / "none.json" if content is None else written(content), tokenizer, says)


@pytest.mark.parametrize(("content", "says"), REFUSED_TABLES.values(), ids=REFUSED_TABLES.keys())
def test_tables_that_are_refused(written, tokenizer, content, says):
    one_line(written(content, "c.csv"), tokenizer, says)


def test_files_that_are_no_tables(written, tokenizer, tmp_path):
    one_line(written("a b c", "words.txt"), tokenizer, r"words.txt is of an unknown kind .*give .json, .csv, .tsv")
    one_line(written("no parquet", "c.parquet"), tokenizer, "c.parquet cannot be read")
    (tmp_path / "c.csv").write_bytes(b"condition,token\na,\xff\n")
    one_line(tmp_path / "c.csv", tokenizer, "c.csv is not UTF-8 text")
    one_line(tmp_path, tokenizer, "no such file")


def test_positions_leave_the_token_no_say(written, tokenizer):
    path = written({"a": {"positions": [[0, 3]]}, "b": {"positions": [[0, 4]]}})
    with pytest.raises(InputError, match=r"no token of them decides \(--conditioning\)"):
        resolved(path, tokenizer, "input")
