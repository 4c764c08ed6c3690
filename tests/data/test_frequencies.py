import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from neuronull.data.errors import InputError
from neuronull.data.frequencies import _rolling_slopes, frequency_ranks, load_counts, zipf_elbow
from neuronull.data.tokens import TokenIds

SIZE = "the model's vocabulary has 6,144 (--counts); give one count per token id"
WHOLE = "(--counts); give one non-negative whole number per token id"
DOCUMENTS = pd.DataFrame({"input_ids": [[0, 1, 1], [2, 1]]})


def saved(path: Path, array: object) -> str:
    np.save(path, array)
    return str(path)


def test_counts_of_a_file_are_taken_as_they_are(tmp_path):
    counts = load_counts(saved(tmp_path / "c.npy", np.array([5, 0, 7])), 3, None, DOCUMENTS)
    assert counts.counts.tolist() == [5, 0, 7]
    assert counts.counts.dtype == np.int64
    assert counts.source == "c.npy"
    assert counts.warnings == []
    assert counts.hash == hashlib.sha256(np.array([5, 0, 7], dtype="<i8").tobytes()).hexdigest()


@pytest.mark.parametrize("arrays", [{"counts": [1, 2, 3], "other": [9]}, {"anything": [1, 2, 3]}])
def test_an_archive_needs_an_array_counts_or_one_only(tmp_path, arrays):
    np.savez(tmp_path / "c.npz", **{name: np.array(values) for name, values in arrays.items()})
    assert load_counts(str(tmp_path / "c.npz"), 3, None, DOCUMENTS).counts.tolist() == [1, 2, 3]


def test_an_embedded_model_brings_its_own_counts(tmp_path):
    np.savez(tmp_path / "counts.npz", counts=np.array([4, 5], dtype=np.uint32))
    for place in (tmp_path, tmp_path / "counts.npz"):
        assert load_counts(None, 2, place, DOCUMENTS).counts.tolist() == [4, 5]


def test_without_counts_the_corpus_is_counted_and_that_is_said():
    counts = load_counts(None, 4, None, DOCUMENTS)
    assert counts.counts.tolist() == [1, 3, 1, 0]
    assert "evaluation corpus itself (5 tokens)" in counts.warnings[0]
    assert "--counts" in counts.warnings[0]


def tokens(size, base, added=None, special=()):
    return TokenIds(size, base, frozenset(special), added or {})


def test_counts_as_long_as_the_tokenizer_are_filled_up_for_a_padded_vocabulary(tmp_path):
    path = saved(tmp_path / "c.npy", np.array([5, 1, 7]))
    assert load_counts(path, 5, None, DOCUMENTS, tokens=tokens(3, 3)).counts.tolist() == [5, 1, 7, 0, 0]
    with pytest.raises(InputError, match="has 3 entries"):
        load_counts(path, 5, None, DOCUMENTS, tokens=tokens(4, 4))


def test_counts_of_the_base_vocabulary_are_filled_up_for_added_tokens(tmp_path):
    path = saved(tmp_path / "c.npy", np.array([5, 1, 7]))
    tuned = tokens(5, 3, {0: "<s>", 3: "<tool>", 4: "<|eot_id|>"}, special=[0, 4])
    counts = load_counts(path, 8, None, DOCUMENTS, tokens=tuned)
    assert counts.counts.tolist() == [5, 1, 7, 0, 0, 0, 0, 0]
    assert counts.warnings == [
        "c.npy has no counts of 1 tokens that were added to the tokenizer's vocabulary ('<tool>'): they are taken as "
        "tokens that the training text never held"
    ]
    only_special = tokens(5, 3, {3: "<a>", 4: "<b>"}, special=[3, 4])
    assert load_counts(path, 5, None, DOCUMENTS, tokens=only_special).warnings == []


def test_counts_of_a_base_that_had_added_tokens_itself(tmp_path):
    """Pythia's tokenizer adds runs of blanks to 50,254 tokens; a fine-tune adds more."""
    path = saved(tmp_path / "c.npy", np.array([5, 1, 7, 2]))
    special = tokens(5, 3, {3: "  ", 4: "<|im_start|>"}, special=[4])
    assert load_counts(path, 5, None, DOCUMENTS, tokens=special).counts.tolist() == [5, 1, 7, 2, 0]
    plain = tokens(5, 3, {3: "  ", 4: "<tool>"})
    with pytest.raises(InputError) as caught:
        load_counts(path, 5, None, DOCUMENTS, tokens=plain)
    assert str(caught.value) == (
        "c.npy has 4 entries, the tokenizer has 5 tokens: there is no count of '<tool>', which was added to its "
        "vocabulary (--counts); if the training text did not hold it, append zeros: numpy.pad(counts, (0, 1))"
    )


def test_counts_of_another_model_do_not_pass_for_those_of_the_base_vocabulary(tmp_path):
    """GPT-2's 50,257 counts lie between Pythia's base vocabulary and its tokenizer."""
    pythia = tokens(50277, 50254, {i: " " * (50278 - i) for i in range(50254, 50277)})
    with pytest.raises(InputError, match=r"50,257 entries, the tokenizer has 50,277 tokens: there is no count of"):
        load_counts(saved(tmp_path / "gpt2.npy", np.ones(50257)), 50304, None, DOCUMENTS, tokens=pythia)
    with pytest.raises(InputError, match=r"50,253 entries, the model's vocabulary has 50,304"):
        load_counts(saved(tmp_path / "c.npy", np.ones(50253)), 50304, None, DOCUMENTS, tokens=pythia)


def test_whole_floats_are_counts(tmp_path):
    assert load_counts(saved(tmp_path / "c.npy", np.array([5.0, 1e9])), 2, None, DOCUMENTS).counts.tolist() == [
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
        load_counts(saved(tmp_path / "counts.npy", array), 6144, None, DOCUMENTS)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_counts(str(tmp_path / "none.npy"), 3, None, DOCUMENTS)
    (tmp_path / "text.npy").write_text("1 2 3")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    whole = saved(tmp_path / "whole.npy", np.arange(1000))
    (tmp_path / "cut.npy").write_bytes(Path(whole).read_bytes()[:300])
    np.savez_compressed(tmp_path / "whole.npz", counts=np.arange(1000))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:300])
    (tmp_path / "empty.npy").write_bytes(b"")
    for name in ("text.npy", "objects.npy", "cut.npy", "cut.npz", "empty.npy"):
        with pytest.raises(InputError, match=f"{name} cannot be read as .npy or .npz"):
            load_counts(str(tmp_path / name), 3, None, DOCUMENTS)
    np.savez(tmp_path / "two.npz", a=np.arange(3), b=np.arange(3))
    with pytest.raises(InputError, match="has the arrays a, b"):
        load_counts(str(tmp_path / "two.npz"), 3, None, DOCUMENTS)


def test_a_token_that_the_model_does_not_have_is_refused():
    with pytest.raises(InputError, match="token id 2, the model's vocabulary has 2"):
        load_counts(None, 2, None, DOCUMENTS)


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
