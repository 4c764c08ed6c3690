import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from neuronull.data import frequencies
from neuronull.data.errors import InputError
from neuronull.data.frequencies import _rolling_slopes, count_corpus, frequency_ranks, load_counts, zipf_elbow

SIZE = "the model's vocabulary has 6,144 (--counts); give one count per token id"
WHOLE = "(--counts); give one non-negative whole number per token id"
TEXTS = "--corpus of these tests: never read where there are counts"


class Words:
    """A tokenizer that knows the words w0, w1, ... of some ids."""

    def __init__(self, ids):
        self.vocabulary = {f"w{i}": i for i in ids}

    def get_vocab(self):
        return self.vocabulary

    def __call__(self, texts, add_special_tokens=True, verbose=True):
        if isinstance(texts, str):  # the empty text, to see what is put around every text
            return {"input_ids": []}
        assert not add_special_tokens
        return {"input_ids": [[int(word[1:]) for word in text.split()] for text in texts]}


def loaded(path, vocabulary, embedded=None, corpus=TEXTS, ids=None):
    return load_counts(path, vocabulary, embedded, corpus, Words(range(vocabulary) if ids is None else ids))


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "corpus.json").write_text(json.dumps(["w0 w1 w1", "w2 w1"]))
    return str(tmp_path / "corpus.json")


def saved(path: Path, array: object) -> str:
    np.save(path, array)
    return str(path)


def test_counts_of_a_file_are_taken_as_they_are(tmp_path):
    counts = loaded(saved(tmp_path / "c.npy", np.array([5, 0, 7])), 3)
    assert counts.counts.tolist() == [5, 0, 7]
    assert counts.counts.dtype == np.int64
    assert counts.source == "c.npy"
    assert counts.warnings == []
    assert counts.hash == hashlib.sha256(np.array([5, 0, 7], dtype="<i8").tobytes()).hexdigest()


@pytest.mark.parametrize("arrays", [{"counts": [1, 2, 3], "other": [9]}, {"anything": [1, 2, 3]}])
def test_an_archive_needs_an_array_counts_or_one_only(tmp_path, arrays):
    np.savez(tmp_path / "c.npz", **{name: np.array(values) for name, values in arrays.items()})
    assert loaded(str(tmp_path / "c.npz"), 3).counts.tolist() == [1, 2, 3]


def test_an_embedded_model_brings_its_own_counts(tmp_path):
    np.savez(tmp_path / "counts.npz", counts=np.array([4, 5], dtype=np.uint32))
    for place in (tmp_path, tmp_path / "counts.npz"):
        assert loaded(None, 2, place).counts.tolist() == [4, 5]


def test_without_counts_the_corpus_is_counted_and_that_is_said(corpus):
    counts = loaded(None, 4, corpus=corpus)
    assert counts.counts.tolist() == [1, 3, 1, 0]
    assert counts.warnings == [
        "token frequencies were counted on the evaluation corpus itself (5 tokens), not on the model's training "
        "corpus, and --threshold is a share of the 3 token types that occur there; give training counts with --counts"
    ]
    assert (counts.types, counts.of_types) == (3, "of the 3 token types that occur in the corpus")


def test_the_whole_corpus_is_counted_up_to_a_limit(tmp_path, monkeypatch):
    texts = [f"w{i % 7} w{i % 3}" for i in range(500)]
    (tmp_path / "c.json").write_text(json.dumps(texts))
    words = [int(word[1:]) for text in texts for word in text.split()]
    found, whole = count_corpus(str(tmp_path / "c.json"), Words(range(9)), 9)
    assert whole
    np.testing.assert_array_equal(found, [words.count(i) for i in range(9)])
    monkeypatch.setattr(frequencies, "MOST_CHARACTERS", 1000)
    counts = loaded(None, 9, corpus=str(tmp_path / "c.json"))
    assert 1000 <= 5 * counts.counts.sum() / 2 < 2000
    assert "counted on the first 1,000 characters of the corpus" in counts.warnings[0]


def test_rows_of_the_embedding_that_no_tokenizer_gives_are_no_types(tmp_path):
    """Padding moves no rank, no type and no elbow: ids beyond the tokenizer, and gaps inside."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(1e8 * np.where(np.arange(1, 2001) < 1700, 1.0, 1e-4) / np.arange(1, 2001))
    plain = loaded(saved(tmp_path / "plain.npy", counts), 2000)
    padded = loaded(saved(tmp_path / "plain.npy", counts), 3000, ids=range(2000))
    assert (plain.types, plain.of_types) == (2000, "of the vocabulary")
    assert (padded.types, padded.of_types) == (2000, "of the tokenizer's 2,000 token types")
    np.testing.assert_array_equal(padded.ranks[:2000], plain.ranks)
    assert sorted(padded.ranks[2000:]) == list(range(2000, 3000))
    assert plain.elbow == padded.elbow is not None
    junk = np.concatenate([counts, np.full(1000, 10**9)])  # counts of ids that do not exist are no frequencies
    np.testing.assert_array_equal(loaded(saved(tmp_path / "j.npy", junk), 3000, ids=range(2000)).ranks, padded.ranks)
    gap = loaded(saved(tmp_path / "gap.npy", np.insert(counts, 5, 0)), 2001, ids=[*range(5), *range(6, 2001)])
    assert gap.types == 2000
    assert gap.ranks[5] == 2000


def test_counts_that_saw_few_types_are_taken_and_that_is_said(tmp_path):
    few = np.zeros(100, dtype=np.int64)
    few[:49] = 5
    found = loaded(saved(tmp_path / "few.npy", few), 100)
    assert (found.types, len(found.warnings)) == (100, 1)
    assert "few.npy has seen 49 of the tokenizer's 100 token types" in found.warnings[0]
    few[49] = 1
    assert loaded(saved(tmp_path / "few.npy", few), 100).warnings == []


def test_an_empty_corpus_cannot_be_counted(tmp_path):
    (tmp_path / "c.json").write_text('["", ""]')
    with pytest.raises(InputError, match="the corpus is empty"):
        loaded(None, 4, corpus=str(tmp_path / "c.json"))


def test_counts_as_long_as_the_tokenizer_are_filled_up_for_a_padded_vocabulary(tmp_path):
    path = saved(tmp_path / "c.npy", np.array([5, 1, 7]))
    assert loaded(path, 5, ids=range(3)).counts.tolist() == [5, 1, 7, 0, 0]
    with pytest.raises(InputError, match="has 3 entries"):
        loaded(path, 5, ids=range(4))


class Tuned(Words):
    """One to whose first `base` words tokens were added, some of them special."""

    def __init__(self, base, added, special=()):
        super().__init__(range(base))
        self.vocab_size, self.all_special_ids = base, list(special)
        self.added_tokens_decoder = added
        self.vocabulary |= {token: i for i, token in added.items()}


def test_counts_of_the_base_vocabulary_are_filled_up_for_added_tokens(tmp_path):
    path = saved(tmp_path / "c.npy", np.array([5, 1, 7]))
    counts = load_counts(path, 8, None, TEXTS, Tuned(3, {0: "<s>", 3: "<tool>", 4: "<|eot_id|>"}, special=[0, 4]))
    assert counts.counts.tolist() == [5, 1, 7, 0, 0, 0, 0, 0]
    assert counts.warnings == [
        "c.npy has no count of 1 added token of the tokenizer ('<tool>'): the training text is taken to have had none "
        "of them"
    ]
    only_special = Tuned(3, {3: "<a>", 4: "<b>"}, special=[3, 4])
    assert load_counts(path, 5, None, TEXTS, only_special).warnings == []


def test_counts_of_a_base_that_had_added_tokens_itself(tmp_path):
    """Pythia's tokenizer adds runs of blanks to 50,254 tokens; a fine-tune adds more."""
    path = saved(tmp_path / "c.npy", np.array([5, 1, 7, 2]))
    special = Tuned(3, {3: "  ", 4: "<|im_start|>"}, special=[4])
    assert load_counts(path, 5, None, TEXTS, special).counts.tolist() == [5, 1, 7, 2, 0]
    with pytest.raises(InputError) as caught:
        load_counts(path, 5, None, TEXTS, Tuned(3, {3: "  ", 4: "<tool>"}))
    assert str(caught.value) == (
        "c.npy has 4 entries, the tokenizer has 5 tokens: there is no count of the added token '<tool>' (--counts); "
        "if the training text had none of them, append zeros: numpy.pad(counts, (0, 1))"
    )


def test_counts_of_another_model_do_not_pass_for_those_of_the_base_vocabulary(tmp_path):
    """GPT-2's 50,257 counts lie between Pythia's base vocabulary and its tokenizer."""
    pythia = Tuned(50254, {i: " " * (50278 - i) for i in range(50254, 50277)})
    with pytest.raises(InputError, match=r"50,257 entries, the tokenizer has 50,277 tokens: there is no count of"):
        load_counts(saved(tmp_path / "gpt2.npy", np.ones(50257)), 50304, None, TEXTS, pythia)
    with pytest.raises(InputError, match=r"50,253 entries, the model's vocabulary has 50,304"):
        load_counts(saved(tmp_path / "c.npy", np.ones(50253)), 50304, None, TEXTS, pythia)


def test_texts_given_in_python_are_counted():
    assert loaded(None, 4, corpus=("w0 w1 w1", "w2 w1")).counts.tolist() == [1, 3, 1, 0]
    with pytest.raises(InputError, match=r"the corpus is empty \(corpus\)"):
        loaded(None, 4, corpus=("", ""))


def test_text_that_the_tokenizer_cannot_encode_is_one_clear_line():
    with pytest.raises(InputError, match="the tokenizer cannot encode the text: invalid literal for int"):
        loaded(None, 4, corpus=("w0", "word"))


def test_whole_floats_are_counts(tmp_path):
    assert loaded(saved(tmp_path / "c.npy", np.array([5.0, 1e9])), 2).counts.tolist() == [
        5,
        10**9,
    ]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones(7), f"counts.npy has 7 entries, {SIZE}"),
        (np.ones(6145), f"counts.npy has 6,145 entries, {SIZE}"),
        (np.array([1, -2]), f"counts.npy has -2 at token id 1 {WHOLE}"),
        (np.array([1.5, 2]), f"counts.npy has 1.5 at token id 0 {WHOLE}"),
        (np.array([1, np.nan]), "counts.npy has nan at token id 1 (--counts)"),
        (np.array([np.inf, 1]), "counts.npy has inf at token id 0 (--counts)"),
        (np.array([2**64 - 1], dtype=np.uint64), "counts.npy has 18446744073709551615 at token id 0"),
        (np.array(["a"]), "counts.npy holds <U1, not numbers"),
        (np.array([True]), "counts.npy holds bool, not numbers"),
        (np.ones((2, 2)), "counts.npy has shape [2, 2], not one dimension"),
        (np.zeros(6144), "all 6,144 counts in counts.npy are 0"),
    ],
)  # fmt: skip
def test_what_is_no_count_is_one_clear_line(tmp_path, array, message):
    with pytest.raises(InputError) as caught:
        loaded(saved(tmp_path / "counts.npy", array), 6144)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        loaded(str(tmp_path / "none.npy"), 3)
    (tmp_path / "text.npy").write_text("1 2 3")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    whole = saved(tmp_path / "whole.npy", np.arange(1000))
    (tmp_path / "cut.npy").write_bytes(Path(whole).read_bytes()[:300])
    np.savez_compressed(tmp_path / "whole.npz", counts=np.arange(1000))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:300])
    (tmp_path / "empty.npy").write_bytes(b"")
    for name in ("text.npy", "objects.npy", "cut.npy", "cut.npz", "empty.npy"):
        with pytest.raises(InputError, match=f"{name} cannot be read as .npy or .npz"):
            loaded(str(tmp_path / name), 3)
    np.savez(tmp_path / "two.npz", a=np.arange(3), b=np.arange(3))
    with pytest.raises(InputError, match="has the arrays a, b"):
        loaded(str(tmp_path / "two.npz"), 3)


def test_a_token_that_the_model_does_not_have_is_refused(corpus):
    with pytest.raises(InputError, match="token id 2, the model's vocabulary has 2"):
        loaded(None, 2, corpus=corpus, ids=range(3))


def test_ranks_of_ties_go_by_token_id():
    assert frequency_ranks([3, 9, 3, 0, 9]).tolist() == [2, 0, 3, 4, 1]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=60))
def test_ranks_are_a_permutation_that_never_puts_a_rarer_token_first(counts):
    ranks = frequency_ranks(counts)
    assert sorted(ranks) == list(range(len(counts)))
    sorting = sorted(range(len(counts)), key=lambda token: (-counts[token], token))
    assert [int(ranks[token]) for token in sorting] == list(range(len(counts)))


def test_rolling_slopes_against_scipy():
    rng = np.random.default_rng(0)
    x, y = np.log(np.arange(1, 200)), rng.normal(size=199)
    expected = [scipy.stats.linregress(x[i : i + 20], y[i : i + 20]).slope for i in range(180)]
    np.testing.assert_allclose(_rolling_slopes(x, y, 20), expected, rtol=1e-9)


def test_elbow_is_found_where_the_curve_breaks_and_nowhere_else():
    """Planted: Zipf's law, and the same with an exponent of 12 beyond .85 V."""
    rank = np.arange(1, 6145)
    broken = np.where(rank < 5222, 1 / rank, (1 / 5222) * (rank / 5222) ** -12.0)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        shuffled = rng.permutation(6144)
        assert zipf_elbow(rng.poisson(1e8 / rank)[shuffled]) is None
        assert zipf_elbow(rng.poisson(1e8 * broken)[shuffled]) == pytest.approx(5222, rel=0.02)


def test_types_that_never_occur_are_no_elbow():
    counts = np.random.default_rng(0).poisson(1e8 / np.arange(1, 6145))
    counts[-300:] = 0
    assert zipf_elbow(counts) is None


def test_elbow_of_hardly_any_types_is_none():
    assert zipf_elbow(np.arange(50)) is None
    assert zipf_elbow(np.array([5] + [0] * 5000)) is None
