"""Who the neurons of the set are: every number against plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from neuronull.data.measurements import Heads, Measurements, PromotedTokens
from neuronull.data.planted import Settings, planted
from neuronull.hypotheses.members import CONTEXTS, PAIRS, SPLITS, mean_influence, members, split_shares
from neuronull.hypotheses.neuron_sets import ByScore, neurons
from neuronull.hypotheses.nulls.base import generator
from neuronull.hypotheses.prepared import PreparedData

BELL, PART, LAST = 10**6, 10**6 + 1, 10**6 + 2
SETTINGS = Settings(documents=24, pairs=6, neurons=200, loss_gap=0.0)


@pytest.fixture(scope="module")
def measurements() -> Measurements:
    """A planted world with texts, promoted tokens and three heads, in clusters of two documents."""
    made = planted(SETTINGS, 5, ("influence", "activations")).measurements
    rng = np.random.default_rng(0)
    used = sorted({int(i) for ids in made.documents["input_ids"] for i in ids})
    d, n = made.n_documents, made.n_neurons
    tokens = rng.integers(0, 3, (2, n, 4)) + BELL
    half = np.zeros(d, dtype=int)
    half[made.panel.document] = made.panel.half
    cluster = np.where(half == 0, np.cumsum(half == 0) // 2, 100 + np.cumsum(half) // 2)
    return replace(
        made,
        documents=made.documents.assign(cluster=cluster),
        tokens=pd.DataFrame(
            {"token": [*used, BELL, PART, LAST], "text": [*(f" t{i}" for i in used), "\x07", "\ufffd", " last"]}
        ),
        promoted=PromotedTokens(*torch.from_numpy(tokens)),
        heads=Heads(
            torch.from_numpy(rng.uniform(size=(3, d, 2, n)).astype("f4")), torch.arange(n), np.array([0, 0, 1]),
            np.array([-1, 0, 3]), np.ones(3, bool),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def prepared(measurements: Measurements) -> PreparedData:
    return PreparedData(measurements)


def test_influence_and_its_interval(prepared: PreparedData):
    panel, loss = prepared.panel, prepared.delta_loss.double().abs().numpy()
    cluster = prepared.measurements.cluster
    found = mean_influence(prepared)
    assert found is not None
    for side, rows in enumerate((panel.a_rows, panel.b_rows)):
        for neuron in (0, 7):
            values, unit = loss[rows, neuron], cluster[panel.document[rows]]
            without = np.array([values[unit != u].mean() for u in np.unique(unit)])
            units = len(without)
            size = pd.Series(cluster[np.unique(panel.document[rows])]).value_counts()
            effective = size.sum() ** 2 / (size**2).sum()
            se = np.sqrt((units - 1) / units * np.sum((without - without.mean()) ** 2))
            assert found[0][side, neuron] == pytest.approx(values.mean())
            assert found[1][side, neuron] == pytest.approx(scipy.stats.t.ppf(0.975, effective - 1) * se)


def test_shares_count_the_halves_that_choose_a_neuron(prepared: PreparedData):
    panel, loss = prepared.panel, prepared.delta_loss.double().abs().numpy()
    counted, cluster = np.zeros(prepared.measurements.n_neurons), prepared.measurements.cluster
    place = {c: number for number, c in enumerate(dict.fromkeys(cluster[np.unique(panel.document[panel.a_rows])]))}
    for number in range(SPLITS):
        of_unit = generator(0, number, "members").permutation(prepared.n_units) % 2
        half = of_unit[[place[c] for c in cluster[panel.document[panel.a_rows]]]]
        for side in (0, 1):
            level = loss[panel.a_rows[half == side]].mean(0)
            counted[np.argsort(-level)[: prepared.set_size]] += 1
    np.testing.assert_allclose(split_shares(prepared), counted / (2 * SPLITS))


def test_shares_of_a_set_that_is_chosen_otherwise(prepared: PreparedData):
    """By the same score, but as one that nothing is known of: each division is made of the documents themselves."""
    alike = ByScore("alike", "like them", lambda data: data.influence[:, 0], "effects")
    np.testing.assert_array_equal(split_shares(prepared.of(alike)), split_shares(prepared))


def test_neurons_come_by_influence_with_what_is_known_of_each(prepared: PreparedData, measurements: Measurements):
    found = members(prepared)
    level = mean_influence(prepared)[0][0]
    first, second = (set(half.tolist()) for half in prepared.set)
    assert found.size == len(first | second)
    assert found.both == len(first & second)
    shown = [card.neuron for card in found.neurons]
    assert shown == sorted(first | second, key=lambda n: -level[n])[: len(shown)]
    for card in found.neurons:
        assert card.halves == [half for half, chosen in enumerate((first, second)) if card.neuron in chosen]
        kept = [t for t in measurements.promoted.raised[card.neuron].tolist() if t == LAST]
        assert card.raised == [" last"] * len(kept)  # neither a control character nor a part of a character


def test_contexts_are_where_a_neuron_is_most_active_one_a_document(prepared: PreparedData):
    card = members(prepared).neurons[0]
    panel, activation = prepared.panel, prepared.measurements.activation[:, card.neuron].numpy()
    best = {}
    for row in range(len(panel)):
        document = int(panel.document[row])
        if document not in best or activation[row] > activation[best[document]]:
            best[document] = row
    rows = sorted(best.values(), key=lambda row: -activation[row])[:CONTEXTS]
    assert [(c.document, c.position) for c in card.contexts] == [(panel.document[r], panel.position[r]) for r in rows]
    ids = prepared.measurements.documents["input_ids"]
    for context, row in zip(card.contexts, rows, strict=True):
        assert context.value == pytest.approx(float(activation[row]))
        assert context.token == f" t{ids[context.document][context.position]}"


def test_pairs_show_the_token_that_the_conditions_are_about(prepared: PreparedData):
    found, panel = members(prepared).pairs, prepared.panel
    assert len(found) == PAIRS
    matched = {(panel.document[r], panel.position[r] + 1): panel.match[r] for r in panel.a_rows}
    for pair in found:
        partner = matched[pair.a.document, pair.a.position]
        assert (pair.b.document, pair.b.position) == (panel.document[partner], panel.position[partner] + 1)
        assert pair.b.value == pytest.approx(float(panel.loss[partner]))
        assert pair.b.token == f" t{panel.target_id[partner]}"


def test_heads_are_those_that_act_most_on_the_set(prepared: PreparedData, measurements: Measurements):
    every = sorted({n for half in prepared.set for n in half.tolist()})
    mean = measurements.heads.effect.double().numpy()[1:, :, :, every].mean((1, 3))  # row 0 is a whole layer
    found = members(prepared).heads
    assert [(card.layer, card.head) for card in found] == [((0, 0), (1, 3))[h] for h in np.argsort(-mean.mean(1))]
    for card, row in zip(found, mean[np.argsort(-mean.mean(1))], strict=True):
        assert list(card.effect.values()) == pytest.approx(row.tolist())


def test_a_listed_set_has_no_shares_and_without_texts_there_are_no_snippets(measurements: Measurements):
    bare = replace(measurements, tokens=None, promoted=None, heads=None)
    found = members(PreparedData(bare, neuron_set=neurons([3, 5, 9])))
    assert found.splits == 0
    assert sorted(card.neuron for card in found.neurons) == [3, 5, 9]
    assert all(card.splits is None and not card.contexts and not card.raised for card in found.neurons)
    assert found.pairs == [] == found.heads
