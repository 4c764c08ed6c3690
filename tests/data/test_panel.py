import re
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuronull.data import matching
from neuronull.data.condition_rules import FrequencyRule, TokenRule
from neuronull.data.conditions import Condition, Conditions
from neuronull.data.errors import InputError
from neuronull.data.matching import loss_deciles, matches
from neuronull.data.measurements import NEITHER, A, B, Panel
from neuronull.data.panel import (
    balance,
    build_panel,
    check_panel,
    check_positions,
    classed_positions,
    halves,
    kept_share,
    standardised_difference,
)

VOCABULARY = 50


def made(documents=30, length=40, seed=0, effect=0.0):
    """Documents of random tokens whose ranks are their ids, and losses that grow with rank by `effect`."""
    rng = np.random.default_rng(seed)
    ids = [rng.integers(0, VOCABULARY, length).tolist() for _ in range(documents)]
    losses = [rng.gamma(2.0, 1.0, length - 1) + effect * np.asarray(row[1:]) for row in ids]
    return pd.DataFrame({"document": range(documents), "source": "", "input_ids": ids}), losses


def built(documents, losses, special_ids=(), seed=0, split=0, **of_rule):
    rule = FrequencyRule(VOCABULARY, **{"threshold": 0.7} | of_rule)
    return build_panel(documents, losses, np.arange(VOCABULARY), special_ids, rule, seed, split=split)


def by_hand(label, loss, position=None, document=None):
    """A panel of which only what matching reads is real."""
    size = len(label)
    nothing = np.zeros(size, dtype=np.int64)
    return Panel(
        document=nothing if document is None else np.asarray(document),
        position=np.arange(3, 3 + size) if position is None else np.asarray(position),
        input_id=nothing, target_id=nothing, loss=np.asarray(loss, dtype=float), input_rank=nothing,
        target_rank=nothing, half=nothing, label=np.asarray(label), match=nothing - 1,
    )  # fmt: skip


def slow_matches(panel, seed):
    """The rule of docs/methods.md#matching read aloud: each rare position in turn looks through all common ones."""
    classed = sorted(loss for loss, label in zip(panel.loss, panel.label, strict=True) if label != NEITHER)
    edges = [float(np.quantile(classed, tenth / 10)) for tenth in range(1, 10)]
    decile = [sum(loss >= edge for edge in edges) for loss in panel.loss]
    match, taken = [-1] * len(panel), set()
    for document in sorted(set(panel.document.tolist())):
        rows = [row for row in range(len(panel)) if panel.document[row] == document]
        rare = [row for row in rows if panel.label[row] == A]
        for row in sorted(rare, key=lambda row: matching._turn(seed, document, int(panel.position[row]))):
            for apart in (0, 1):
                choice = [
                    (abs(int(panel.position[other] - panel.position[row])), int(panel.position[other]), other)
                    for other in rows
                    if panel.label[other] == B and other not in taken and abs(decile[other] - decile[row]) == apart
                ]
                if choice:
                    match[row] = min(choice)[2]
                    taken.add(match[row])
                    break
    return match


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_matching_agrees_with_the_rule_read_aloud(data):
    size = data.draw(st.integers(1, 50))
    label = data.draw(st.lists(st.sampled_from([A, B, B, NEITHER]), min_size=size, max_size=size))
    loss = data.draw(st.lists(st.integers(0, 12), min_size=size, max_size=size))  # many ties
    document = sorted(data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)))
    gaps = data.draw(st.lists(st.integers(1, 3), min_size=size, max_size=size))
    if set(label) == {NEITHER}:
        return
    panel = by_hand(label, loss, np.cumsum(gaps), document)
    seed = data.draw(st.integers(0, 3))
    assert matches(panel, seed).tolist() == slow_matches(panel, seed)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.55, 0.9), st.sampled_from(["target", "input"]), st.integers(0, 3))
def test_what_always_holds_of_a_panel(seed, threshold, conditioning, split):
    documents, losses = made(seed=seed)
    panel = built(documents, losses, threshold=threshold, conditioning=conditioning, seed=seed, split=split)
    rare, common = panel.a_rows, panel.b_rows
    assert len(set(common.tolist())) == len(common)
    np.testing.assert_array_equal(panel.document[rare], panel.document[common])
    assert set(panel.label[rare]) == {A}
    assert set(panel.label[common]) == {B}
    assert (panel.match[panel.label != A] == -1).all()
    assert np.abs(loss_deciles(panel)[rare] - loss_deciles(panel)[common]).max() <= 1
    rank = panel.target_rank if conditioning == "target" else panel.input_rank
    np.testing.assert_array_equal(panel.label == A, rank > threshold * VOCABULARY)
    by_document = [set(panel.half[panel.document == d]) for d in range(len(documents))]
    assert all(len(half) == 1 for half in by_document)
    assert sum(half == {0} for half in by_document) == 15
    order = np.lexsort((panel.position, panel.document))
    np.testing.assert_array_equal(order, np.arange(len(panel)))


def test_every_unmatched_rare_position_had_no_candidate_left():
    """Completeness: nothing within a decile's reach may be left over beside an unmatched rare position."""
    documents, losses = made(effect=0.05)
    panel = built(documents, losses, threshold=0.55)
    decile = loss_deciles(panel)
    free = np.setdiff1d(np.flatnonzero(panel.label == B), panel.b_rows)
    unmatched = np.flatnonzero((panel.label == A) & (panel.match < 0))
    assert len(unmatched)
    for row in unmatched:
        near = free[panel.document[free] == panel.document[row]]
        assert (np.abs(decile[near] - decile[row]) > 1).all()


def test_scored_positions_losses_ids_and_ranks():
    documents, losses = made(documents=25, length=30)
    special = {7, 11}
    panel = built(documents, losses, special_ids=special)
    expected = [
        (d, j, losses[d][j], ids[j], ids[j + 1], ids[j], ids[j + 1])
        for d, ids in enumerate(documents["input_ids"])
        for j in range(3, 29)
        if not special & {ids[j], ids[j + 1]}
    ]
    columns = ("document", "position", "loss", "input_id", "target_id", "input_rank", "target_rank")
    assert list(zip(*(getattr(panel, column) for column in columns), strict=True)) == expected


def test_the_elbow_takes_the_very_rarest_out():
    documents, losses = made()
    panel = built(documents, losses, elbow_rank=44)
    np.testing.assert_array_equal(panel.label == NEITHER, panel.target_rank > 44)
    np.testing.assert_array_equal(panel.label == A, (panel.target_rank > 35) & (panel.target_rank <= 44))


def test_the_threshold_itself_is_common():
    panel = by_hand([0, 0, 0], [1, 1, 1])
    ranked = Panel(**{**panel.__dict__, "target_rank": np.array([34, 35, 36])})
    assert FrequencyRule(50, 0.7).label(ranked).tolist() == [B, B, A]


def test_nearest_then_earlier_then_the_neighbouring_decile():
    assert matches(by_hand([0, 0, 0, 0, 0, 1], [1, 1, 1, 9, 9, 1]), 0)[5] == 2  # nearest of its own decile
    assert matches(by_hand([0, 1, 0], [1, 1, 1]), 0)[1] == 0  # the earlier of two as near
    loss = [0, 1, 2, 3, 5, 4, 6, 7, 8, 9]
    assert matches(by_hand([0] * 5 + [1] + [0] * 4, loss), 0)[5] == 4  # decile 5, position next door
    loss = [9, 0, 1, 2, 3, 4, 5, 6, 7, 8, *range(10, 20)]  # two to a decile: 8 and 9 are in the fifth
    assert matches(by_hand([0] * 9 + [1] + [0] * 10, loss), 0)[9] == 0  # its own decile, however far
    assert matches(by_hand([1, 0], [0, 9]), 0)[0] == -1  # nothing within a decile


def test_halves_follow_the_tokens_not_the_order_of_documents():
    documents, _ = made(documents=21)
    half = halves(documents, seed=3)
    assert np.bincount(half).tolist() == [11, 10]
    order = np.random.default_rng(0).permutation(21)
    np.testing.assert_array_equal(halves(documents.iloc[order], seed=3), half[order])
    others = [halves(documents, seed=3, split=split) for split in range(1, 6)] + [halves(documents, seed=4)]
    assert len({tuple(other) for other in [half, *others]}) == 7


def test_halves_are_fair():
    """Over many seeds every document is as often in one half as in the other, and pairs of documents are unrelated."""
    documents, _ = made(documents=20)
    drawn = np.array([halves(documents, seed) for seed in range(2000)])
    assert np.abs(drawn.mean(0) - 0.5).max() < 4 * 0.5 / np.sqrt(2000)
    correlation = np.corrcoef(drawn.T)[np.triu_indices(20, 1)]
    assert np.abs(correlation - (-1 / 19)).max() < 4.5 / np.sqrt(2000)


def test_splits_share_their_matches():
    documents, losses = made()
    first, other = built(documents, losses), built(documents, losses, split=5)
    np.testing.assert_array_equal(first.match, other.match)
    assert (first.half != other.half).any()


def test_documents_with_the_same_tokens_still_make_two_halves():
    documents = pd.DataFrame({"input_ids": [[1, 2, 3]] * 5})
    assert halves(documents, 0).tolist() == [0, 0, 0, 1, 1]


def test_same_input_same_panel_and_the_input_is_untouched():
    documents, losses = made()
    copies = [row.copy() for row in losses]
    first, second = built(documents, losses), built(documents, losses)
    for name in vars(first):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(np.array(losses), np.array(copies))


def test_balance_and_kept_share():
    panel = by_hand([1, 0, 1, 0, 1], [1.0, 2.0, 3.0, 6.0, 9.0])
    panel = Panel(**{**panel.__dict__, "match": np.array([1, -1, 3, -1, -1])})
    assert kept_share(panel) == pytest.approx(2 / 3)
    found = dict(balance(panel))
    assert found["loss"] == pytest.approx((2 - 4) / np.sqrt((1 + 4) / 2))
    assert found["position"] == pytest.approx(-1.0)
    assert found["log input rank"] == 0


def test_standardised_difference_of_constants():
    ones = np.ones(3)
    assert standardised_difference(ones, ones) == 0
    assert standardised_difference(2 * ones, ones) == np.inf
    assert np.isnan(standardised_difference(ones[:0], ones))


def test_refusals_say_how_many_and_what_to_change():
    documents, losses = made(documents=12)
    with pytest.raises(InputError) as caught:
        check_panel(built(documents, losses))
    assert str(caught.value) == (
        "only 12 documents have positions of rare tokens and of common tokens that match, 20 are needed (139 positions "
        "of rare tokens and 293 of common tokens in 12 documents); give more or longer documents (--documents, "
        "--context), or move --threshold"
    )
    with pytest.raises(InputError, match="only 0 documents have positions of rare"):
        check_panel(built(*made(), threshold=0.999))


CODE = TokenRule(Conditions(Condition("code", "code"), Condition("prose", "prose"), "by hand"), np.arange(40, 50), None)


def test_a_panel_of_a_users_conditions_is_refused_in_their_words():
    documents, losses = made(documents=12)
    panel = build_panel(documents, losses, np.arange(VOCABULARY), (), CODE, 0)
    with pytest.raises(InputError) as caught:
        check_panel(panel, CODE.conditions, "--conditions")
    assert re.fullmatch(
        r"only 12 documents have positions of code and of prose that match, 20 are needed \(\d+ positions of code and "
        r"\d+ of prose in 12 documents\); give .*, or change --conditions",
        str(caught.value),
    )


def test_what_tokens_forbid_is_refused_without_losses():
    documents, losses = made(documents=40)
    rule = FrequencyRule(VOCABULARY, 0.999)  # no token is as rare as that
    panel = classed_positions(documents, np.arange(VOCABULARY), (), rule, 0)
    assert np.isnan(panel.loss).all()
    with pytest.raises(InputError, match=r"only 0 documents have .*, 20 are needed .* or --threshold 0\.9[0-9]?$"):
        check_positions(panel, rule, 0)
    found = rule.working_threshold(panel, 0)
    check_positions(built(documents, losses, threshold=found), rule, 0)
    crowd = FrequencyRule(VOCABULARY, 0.1)  # nine of ten positions are rare
    with pytest.raises(InputError, match=r"at most 1\d% of the positions of rare tokens can find one of common"):
        check_positions(classed_positions(documents, np.arange(VOCABULARY), (), crowd, 0), crowd, 0)


@pytest.mark.parametrize("asked", [0.05, 0.3, 0.99])
def test_the_threshold_that_is_named_works_and_is_the_nearest(asked):
    """The panel with the named threshold is accepted; of the grid, none nearer is."""
    documents, losses = made(documents=60, effect=0.03)
    rule = FrequencyRule(VOCABULARY, asked)
    named = rule.working_threshold(built(documents, losses, threshold=asked), 0)

    def accepted(threshold):
        try:
            check_panel(built(documents, losses, threshold=threshold))
        except InputError:
            return False
        return True

    assert accepted(named)
    nearer = [t / 100 for t in range(1, 100) if abs(np.log(t / 100 / asked)) < abs(np.log(named / asked)) - 1e-12]
    assert not any(map(accepted, nearer))


def test_no_threshold_is_named_where_none_works():
    documents, losses = made(documents=12)
    assert FrequencyRule(VOCABULARY, 0.5).working_threshold(built(documents, losses), 0) is None


def test_a_panel_in_two_steps_is_the_panel_in_one():
    documents, losses = made()
    rule = FrequencyRule(VOCABULARY, 0.7)
    half_way = classed_positions(documents, np.arange(VOCABULARY), (3,), rule, 5)
    whole = build_panel(documents, losses, np.arange(VOCABULARY), (3,), rule, 5)
    for name in ("document", "position", "input_id", "target_id", "input_rank", "target_rank", "half", "label"):
        np.testing.assert_array_equal(getattr(half_way, name), getattr(whole, name))


def test_too_few_kept_is_refused():
    documents, losses = made(documents=40, effect=1.0)
    with pytest.raises(InputError, match=r"only \d+ of \d+ positions of rare tokens found a match"):
        check_panel(built(documents, losses))


def test_an_imbalance_of_loss_is_refused():
    rng = np.random.default_rng(0)
    size = 25
    label = np.tile([1, 0], 10 * size)
    panel = by_hand(label, rng.normal(size=20 * size) + 0.5 * label, np.tile(np.arange(20), size) + 3,
                    np.repeat(np.arange(size), 20))  # fmt: skip
    pairs = np.where(label == 1, np.arange(20 * size) + 1, -1)
    panel = Panel(**{**panel.__dict__, "match": pairs, "half": panel.document % 2})
    with pytest.raises(InputError, match=r"differ in loss by \+0\.\d\d sd, at most 0.25 is accepted"):
        check_panel(panel)
    level = Panel(**{**panel.__dict__, "loss": rng.normal(size=20 * size)})
    check_panel(level)
    with pytest.raises(InputError, match="half 1 has 0 documents with a matched pair"):
        check_panel(Panel(**{**level.__dict__, "half": 0 * panel.half}))


def test_losses_that_are_not_finite_and_foreign_tokens_are_refused():
    documents, losses = made()
    losses[4][17] = np.nan
    with pytest.raises(InputError, match="loss at document 4, position 17 is nan"):
        built(documents, losses)
    documents["input_ids"].iloc[2][5] = 77
    with pytest.raises(InputError, match=r"document 2 has token ids \d+ to 77, the model's vocabulary is 50"):
        built(documents, made()[1])


def test_documents_and_losses_must_fit_together():
    documents, losses = made()
    with pytest.raises(ValueError, match="30 documents but 29"):
        built(documents, losses[:-1])
    with pytest.raises(ValueError, match=r"document 0 has 40 tokens but losses of shape \[40\]"):
        built(documents, [np.ones(40), *losses[1:]])


def test_five_hundred_long_documents_take_seconds():
    rng = np.random.default_rng(0)
    ids = [rng.zipf(1.3, 1000).clip(max=6000) - 1 for _ in range(500)]
    losses = [rng.gamma(2.0, 1.0, 999) for _ in range(500)]
    started = time.perf_counter()
    panel = build_panel(pd.DataFrame({"input_ids": ids}), losses, np.arange(6144), (), FrequencyRule(6144, 0.15), 0)
    assert len(panel) == 500 * 996
    assert time.perf_counter() - started < 10  # about 2 s on an idle core
