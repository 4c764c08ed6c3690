"""Data made from a measurement: what is resampled stays whole, what is taken out is out, what is put in is in."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from neuronull.data.errors import MissingInput
from neuronull.data.planted import Settings, planted_measurements
from neuronull.data.plasmode import BINS, FITTED_FROM, WORLDS, Plasmode
from neuronull.hypotheses.prepared import PreparedData

HEAD = 12


@pytest.fixture(scope="module")
def measured():
    made = planted_measurements(Settings(documents=40, neurons=240, routing=0.5), seed=3)
    made.documents["cluster"] = np.arange(40) // 2 * 2  # pairs of documents
    panel = made.panel
    half = (made.documents["cluster"].to_numpy() // 2 % 2)[panel.document]
    return type(made)(**{**made.__dict__, "panel": type(panel)(**{**panel.__dict__, "half": half})})


@pytest.fixture(scope="module")
def source(measured):
    return Plasmode.of(measured, HEAD)


def population(source, factors=None):
    """Log mean influence on a and b of all matched positions, [2, N], in loops over positions."""
    m = source.measurements
    found = []
    for side, rows in enumerate((m.panel.a_rows, m.panel.b_rows)):
        total = sum(m.delta_loss[row].abs().double() for row in rows.tolist())
        found.append(np.log((total / len(rows)).numpy()) + (0 if factors is None else factors[side]))
    return np.stack(found)


def test_cutting_changes_nothing_that_is_tested(measured, source):
    whole, cut = PreparedData(measured, str(HEAD)), PreparedData(source.measurements, str(HEAD))
    assert torch.equal(whole.influence, cut.influence)
    assert all(torch.equal(a, b) for a, b in zip(whole.set, cut.set, strict=True))
    assert whole.n_units == cut.n_units == 20
    assert len(source.measurements.panel) < len(measured.panel)


@pytest.mark.parametrize("world", WORLDS)
def test_clusters_stay_whole_and_in_their_half(source, world):
    m = source.draw(world, np.random.default_rng(0), 0.3)
    before, panel = source.measurements, m.panel
    half = {int(d): int(panel.half[panel.document == d][0]) for d in np.unique(panel.document)}
    cluster = m.documents["cluster"].to_numpy()
    known = before.documents["cluster"].to_numpy()
    of = {source: known[place] for place, source in enumerate(before.documents["source"])}
    assert len(np.unique(cluster)) == len(np.unique(known)) == 20
    for one in np.unique(cluster):
        members = np.flatnonzero(cluster == one)
        names = m.documents["source"].iloc[members]
        assert len({of[name] for name in names}) == 1
        assert sorted(names) == sorted(name for name, c in of.items() if c == of[names.iloc[0]])
        assert len({half[int(d)] for d in members}) == 1
    assert len(set(m.documents["source"])) < len(m.documents)  # some are drawn twice
    assert np.array_equal(panel.document[panel.a_rows], panel.document[panel.b_rows])
    assert (panel.label[panel.a_rows] == 1).all()
    assert (panel.label[panel.b_rows] == 0).all()
    PreparedData(m, str(HEAD)).half  # noqa: B018 - no cluster lies in both halves


def test_a_draw_is_a_function_of_its_seed(source):
    one, same, other = (source.draw("attached", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.delta_loss, same.delta_loss)
    assert one.documents.equals(same.documents)
    assert not one.documents.equals(other.documents)


def test_attached_moves_whole_columns_among_neurons_of_like_activation(source):
    rng = np.random.default_rng(4)
    order = source._permutation(rng, BINS)
    rank = np.argsort(np.argsort(source.measurements.neurons["mean_abs"].to_numpy()))
    assert sorted(order) == list(range(240))
    assert np.array_equal(rank[order] * BINS // 240, rank * BINS // 240)
    assert (order != np.arange(240)).mean() > 0.9
    free = source._permutation(rng, 1)
    assert (rank[free] * BINS // 240 != rank * BINS // 240).mean() > 0.5


def test_smooth_is_a_lognormal_law_and_levelled_stands_level(source):
    normal = scipy.stats.norm.isf((np.arange(240) + 0.5) / 240)
    plain = population(source)
    for levelled in (False, True):
        curve = -np.sort(-population(source, source._smooth(levelled)), axis=1)
        for side in (0, 1):
            start = HEAD if levelled and side == 0 else 0
            slope = np.diff(curve[side][start:]) / np.diff(normal[start:])
            assert slope == pytest.approx(np.full(len(slope), slope[0]), rel=1e-6)
            fitted = slice(FITTED_FROM * HEAD, 216)
            expected = np.polyfit(normal[fitted], -np.sort(-plain[side])[fitted], 1)[0]
            assert slope[0] == pytest.approx(expected, rel=1e-6)
        assert (np.ptp(curve[0][:HEAD]) < 1e-9) == levelled
        assert np.ptp(curve[1][:HEAD]) > 0.1
    order = np.argsort(-plain[0], kind="stable")
    assert np.array_equal(np.argsort(-population(source, source._smooth(False))[0], kind="stable"), order)


def test_related_has_the_measured_scatter_and_no_specialists(source):
    a, b = population(source)
    slope, intercept = np.polyfit(b, a, 1)
    made = population(source, source._related(np.random.default_rng(5), 0.0))
    assert made[1] == pytest.approx(b)
    left, before = made[0] - intercept - slope * b, a - intercept - slope * b
    assert np.sort(left) == pytest.approx(np.sort(before), abs=1e-9)
    raised = population(source, source._related(np.random.default_rng(5), 0.3))[0] - made[0]
    top = np.argsort(-made[0])[:HEAD]
    assert raised[top] == pytest.approx(np.full(HEAD, 0.3))
    assert np.delete(raised, top) == pytest.approx(np.zeros(228), abs=1e-9)


def test_routed_changes_one_head_on_the_influential_neurons_for_a_alone(source):
    plain = source.draw("routed", np.random.default_rng(6), 0.0)
    made = source.draw("routed", np.random.default_rng(6), np.log(2))
    ratio = made.heads.effect / plain.heads.effect
    changed = (ratio - 1).abs() > 1e-6
    heads, _, sides, neurons = (set(x.tolist()) for x in torch.nonzero(changed & ~ratio.isnan(), as_tuple=True))
    assert ratio[changed & ~ratio.isnan()] == pytest.approx(2, rel=1e-6)
    assert len(heads) == 1
    assert sides == {0}
    assert len(neurons) == HEAD
    order = population_order(plain)
    assert len(neurons & set(order[: 3 * HEAD])) > HEAD // 2  # resampling moves ranks, not the top as a whole


def population_order(m):
    return np.argsort(-m.delta_loss[m.panel.a_rows].abs().mean(0).numpy()).tolist()


def test_without_influence_there_is_nothing_to_draw(measured):
    bare = type(measured)(measured.manifest, measured.documents, measured.panel, activation=measured.activation)
    with pytest.raises(MissingInput, match="no influence was measured"):
        Plasmode.of(bare, HEAD)
