"""The closure hypotheses from drawn sets to verdicts: against loops, and what is said where they cannot be tested."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from neuronull.data.errors import InputError, MissingInput
from neuronull.data.measurements import JointAblation, Measurements
from neuronull.data.options import TestOptions
from neuronull.data.planted import JointSettings, Planted, Settings, planted, planted_joint_ablation
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.choice import choose
from neuronull.hypotheses.engine import sample
from neuronull.hypotheses.joint_sets import joint_sets
from neuronull.hypotheses.papers.liu2025.statistics.joint_heads import BoundJointHeads
from neuronull.hypotheses.papers.liu2025_emergence.statistics.joint_neurons import BoundJointNeurons
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.result import Verdict
from neuronull.hypotheses.statistics.joint import MOST_SETS
from neuronull.hypotheses.suite import run_suite
from neuronull.hypotheses.views import prepare

SETTINGS = Settings(documents=24, pairs=8, neurons=200, heads=40, loss_gap=0.0)
NEURONS, HEADS = "specialists.closure", "routing.closure"
OPTIONS = TestOptions(only=(NEURONS, HEADS), replicates=99)


@pytest.fixture(scope="module")
def made() -> Planted:
    return planted(SETTINGS, 3, ("influence", "heads"))


def closed(made: Planted, options: TestOptions = OPTIONS, settings: JointSettings | None = None) -> Measurements:
    """The planted world with the sets that a run would have measured."""
    sets = joint_sets(prepare(made.measurements, choose(options), options), options)
    joint_ablation = planted_joint_ablation(settings or JointSettings(), made, sets.table, 3).joint_ablation
    return replace(made.measurements, joint_ablation=joint_ablation)


@pytest.fixture(scope="module")
def measurements(made: Planted) -> Measurements:
    return closed(made)


@pytest.fixture(scope="module")
def prepared(measurements: Measurements) -> PreparedData:
    return PreparedData(measurements)


def bound(prepared: PreparedData, name: str):
    return catalogue.hypothesis(name).statistic.bind(prepared)


def loop_net(prepared: PreparedData, images: list[list[tuple[int, ...]]]) -> float:
    """Net contrast of given sets [chosen on half][class], one number at a time, from the measurements alone."""
    m, panel = prepared.measurements, prepared.panel
    joint_ablation = m.joint_ablation
    size = prepared.n_head
    observed = {tuple(sorted(p.tolist())) for p in (*prepared.set, *prepared.mirror_set)}
    matched = [s for (kind, s) in joint_ablation.rows if kind == "neurons" and len(s) == size and s not in observed]

    def mean_influence(half: int, side: int) -> np.ndarray:
        rows = (panel.a_rows, panel.b_rows)[side]
        return m.delta_loss[rows[panel.half[rows] == half]].abs().double().mean(0).numpy()

    def increase(members: tuple[int, ...], half: int, side: int) -> float:
        rows = panel.a_rows[panel.half[panel.a_rows] == half]
        loss = joint_ablation.loss[joint_ablation.rows["neurons", members]].double()
        return float(np.mean([loss[d, side] for d in panel.document[rows]]))  # a document counts once a pair

    total = 0.0
    for chosen in (0, 1):
        scored = 1 - chosen
        own = np.mean([mean_influence(chosen, side) / mean_influence(chosen, side).mean() for side in (0, 1)], axis=0)

        def share(members: tuple[int, ...], side: int, own=own, scored=scored) -> float:
            return increase(members, scored, side) / own[list(members)].sum() / mean_influence(scored, side).mean()

        for members in images[chosen]:
            total += (share(members, 0) - share(members, 1)) / 2
            total -= np.mean([share(s, 0) - share(s, 1) for s in matched]) / 2
    sets = [set(p) for p in (*prepared.set[0:1], *prepared.set[1:], *prepared.mirror_set)]
    sets = [{int(i) for i in s} for s in sets]
    overlap = np.mean([len(s & set(other)) / size for s in sets for other in matched])
    return total / (1 - overlap)


def test_the_observed_net_contrast_is_that_of_a_loop(prepared: PreparedData):
    sets = [[tuple(sorted(p.tolist())) for p in pair]
            for pair in zip(prepared.set, prepared.mirror_set, strict=True)]  # fmt: skip
    found = bound(prepared, NEURONS)
    for kind in ("neurons", "labels"):
        value = float(found.evaluate(kind, found.identity(kind), range(1), 0).estimate)
        assert value == pytest.approx(loop_net(prepared, sets), rel=1e-5)


def test_an_image_of_the_sets_is_scored_as_the_sets_are(prepared: PreparedData):
    found, null = bound(prepared, NEURONS), catalogue.nulls.get("matched_sets")
    draws = null.draw(null.prepare(prepared.measurements, found.offers()["neurons"]), range(5, 7), 0)
    values = found.evaluate("neurons", draws, range(5, 7), 0).estimate[:, 0]
    for draw, value in zip(draws, values.tolist(), strict=True):
        images = [[tuple(sorted(draw[p].tolist())) for p in pair]
                  for pair in zip(prepared.set, prepared.mirror_set, strict=True)]  # fmt: skip
        assert value == pytest.approx(loop_net(prepared, images), rel=1e-5)


@pytest.mark.parametrize("name", [NEURONS, HEADS])
def test_leaving_a_document_out_is_leaving_its_rows_out(prepared: PreparedData, name: str):
    """The chosen sets stay; the sums lose one document's pairs, which a weight of 0 pairs does as well."""
    found = bound(prepared, name)
    without = found.leave_one_out()
    assert without.shape == (len(prepared.documents), 1)
    d = 4
    keep = torch.arange(len(prepared.documents)) != d
    if isinstance(found, BoundJointHeads):
        rows = found.rows(found.plan.observed)[0]
        sums = (prepared.joint_ablation.loss[rows].double() * prepared.pairs[:, None])[keep].sum(0)
        assert float(without[d]) == pytest.approx(math.log(float(sums[0] / sums[1])))
        return
    x = torch.where(keep[:, None, None, None], found.sums.x, torch.zeros(()))
    shares = []
    for half in (0, 1):
        rows = found.sums.half == half
        s = x[rows].sum(0)[..., 0]
        shares.append(float(s[0, 0] / s[0, 1] - s[1, 0] / s[1, 1]))
    assert float(without[d]) == pytest.approx(sum(shares) / 2)


def test_heads_are_those_that_act_most_on_the_label_blind_set(prepared: PreparedData):
    found = bound(prepared, HEADS)
    effect, total = prepared.heads.effect.double(), {}
    for row in range(SETTINGS.heads):
        total[row] = sum(
            float(effect[row, d, side, prepared.blind_set[1 - prepared.half[d]]].mean())
            for d in range(len(prepared.documents))
            for side in (0, 1)
        )
    assert found.plan.chosen.tolist() == sorted(sorted(total, key=total.get)[-2:])
    assert (found.plan.strata[SETTINGS.heads :] == -1).all(), "neither unreachable heads nor whole layers are drawn"


def test_swapped_classes_choose_the_same_heads_and_turn_the_estimate(made: Planted, prepared: PreparedData):
    m = prepared.measurements
    swapped = replace(m, heads=replace(m.heads, effect=m.heads.effect.flip(2)),
                      joint_ablation=JointAblation(m.joint_ablation.loss.flip(2), m.joint_ablation.sets))  # fmt: skip
    panel = m.panel  # the set is label-blind: swapping rows of rare and common leaves it
    there = PreparedData(replace(swapped, panel=panel))
    one, other = bound(prepared, HEADS), bound(there, HEADS)
    assert torch.equal(one.plan.chosen, other.plan.chosen)
    heads = one.identity("heads")
    value = float(one.evaluate("heads", heads, range(1), 0).estimate)
    assert float(other.evaluate("heads", heads, range(1), 0).estimate) == pytest.approx(-value)


def test_every_draw_of_the_test_was_measured_and_later_ones_were_not(prepared: PreparedData):
    found, null = bound(prepared, NEURONS), catalogue.nulls.get("matched_sets")
    sample(found, null, prepared, 99, 0)
    said = "joint ablation was measured for other draws .* no more replicates"
    with pytest.raises(MissingInput, match=said):
        sample(found, null, prepared, 100, 0)
    with pytest.raises(MissingInput, match=said):
        sample(found, null, prepared, 99, 1)


def test_a_row_says_how_many_draws_it_made(made: Planted):
    options = replace(OPTIONS, replicates=500)
    result = run_suite(closed(made, options), options)
    for name in OPTIONS.only:
        assert result.finding(name).replicates == MOST_SETS
        assert result.finding(name).verdict is not Verdict.NOT_RUN


def test_too_small_an_alpha_for_so_few_sets_is_refused(measurements: Measurements):
    with pytest.raises(InputError, match=r"199 null draws .*specialists\.closure makes 199 at most: leave it out"):
        run_suite(measurements, TestOptions(only=(NEURONS,), replicates=9999, alpha=0.001))


def test_without_closures_the_rows_say_so(made: Planted):
    result = run_suite(made.measurements, OPTIONS)
    for name in OPTIONS.only:
        finding = result.finding(name)
        assert finding.verdict is Verdict.NOT_RUN
        assert "no closures were measured" in finding.notes
        assert "without --measurements" in finding.notes


def test_few_heads_are_a_reason_and_no_crash():
    world = planted(replace(SETTINGS, heads=6), 3, ("influence", "heads"))
    measured = closed(world)
    assert {kind for kind, _ in measured.joint_ablation.rows} == {"neurons"}
    only_neurons = run_suite(measured, OPTIONS).finding(HEADS)
    assert only_neurons.verdict is Verdict.NOT_RUN
    assert "no joint ablation of heads was measured" in only_neurons.notes


def test_heads_that_do_not_hurt_have_no_log_ratio(made: Planted, measurements: Measurements):
    loss = measurements.joint_ablation.loss.clone()
    rows = [row for (kind, _), row in measurements.joint_ablation.rows.items() if kind == "heads"]
    chosen = tuple(bound(PreparedData(measurements), HEADS).plan.chosen.tolist())
    loss[measurements.joint_ablation.rows["heads", chosen], :, 1] = -0.01
    lowered = replace(measurements, joint_ablation=JointAblation(loss, measurements.joint_ablation.sets))
    finding = run_suite(lowered, OPTIONS).finding(HEADS)
    assert finding.verdict is Verdict.NOT_RUN
    assert (
        "act most on the plateau neurons changes the loss on common tokens by -0.01 nats, and a log ratio needs"
        in finding.notes
    )
    loss[rows] = -loss[rows].abs()
    with pytest.raises(MissingInput, match="changes the loss on rare tokens"):
        bound(
            PreparedData(replace(measurements, joint_ablation=JointAblation(loss, measurements.joint_ablation.sets))),
            HEADS,
        )


def test_drawn_heads_that_do_not_hurt_count_as_the_floor(measurements: Measurements):
    loss = measurements.joint_ablation.loss.clone()
    found = bound(PreparedData(measurements), HEADS)
    members, row = next((s, r) for (kind, s), r in measurements.joint_ablation.rows.items()
                        if kind == "heads" and s != tuple(found.plan.chosen.tolist()))  # fmt: skip
    loss[row, :, 0] = -1.0
    there = bound(
        PreparedData(replace(measurements, joint_ablation=JointAblation(loss, measurements.joint_ablation.sets))), HEADS
    )
    value = float(there.evaluate("heads", torch.tensor([members]), range(1), 0).estimate)
    common = float(there.per_position[row, 1])
    assert value == pytest.approx(math.log(there.floor / common))
    assert there.describe().further["sets_without_increase"] == 1


def test_the_sets_alone_are_nothing_to_compare_with(measurements: Measurements):
    plan = bound(PreparedData(measurements), NEURONS).plan
    own = [tuple(s) for s in plan.sets(plan.observed).flatten(0, -2).tolist()]
    rows = [measurements.joint_ablation.rows["neurons", s] for s in dict.fromkeys(own)]
    few = JointAblation(
        measurements.joint_ablation.loss[rows], measurements.joint_ablation.sets.iloc[rows].reset_index(drop=True)
    )
    with pytest.raises(MissingInput, match="closures were measured of the plateaus alone"):
        BoundJointNeurons(PreparedData(replace(measurements, joint_ablation=few)), plan)


def test_a_null_that_draws_sets_is_refused_before_anything_is_measured(made: Planted):
    options = replace(OPTIONS, only=(NEURONS,), nulls={NEURONS: "reselected_sets"})
    with pytest.raises(InputError, match="one permutation of neurons for both, and this null model draws sets"):
        closed(made, options)


def test_default_suites_ask_for_no_sets(made: Planted):
    options = TestOptions(papers=("all",))
    assert len(joint_sets(prepare(made.measurements, choose(options), options), options)) == 0


@pytest.mark.parametrize(
    ("name", "settings", "verdict"),
    [
        (NEURONS, JointSettings(closure=1.0), Verdict.SUPPORTED),
        (HEADS, JointSettings(routing=20.0), Verdict.REFUTED),
    ],
)
def test_a_strong_planted_effect_is_found(name: str, settings: JointSettings, verdict: Verdict):
    world = planted(replace(SETTINGS, documents=60), 3, ("influence", "heads"))
    options = replace(OPTIONS, only=(name,))
    assert run_suite(closed(world, options, settings), options).finding(name).verdict is verdict


@pytest.mark.parametrize("name", [NEURONS, HEADS])
def test_null_worlds_are_flagged_no_more_often_than_chance_has_it(name: str):
    """A smoke alarm: of 12 null worlds at .05, four flags have probability .002."""
    options = replace(OPTIONS, only=(name,), replicates=39)
    flags = 0
    for seed in range(12):
        world = planted(SETTINGS, 100 + seed, ("influence", "heads"))
        flags += run_suite(closed(world, options), options).finding(name).p_value < 0.05
    assert flags < 4


def test_planted_sets_have_the_same_numbers_whatever_else_is_asked_for(made: Planted, measurements: Measurements):
    joint_ablation = measurements.joint_ablation
    few = joint_ablation.sets.iloc[[2, -1]].reset_index(drop=True)
    again = planted_joint_ablation(JointSettings(), made, few, 3).joint_ablation
    torch.testing.assert_close(again.loss, joint_ablation.loss[[2, len(joint_ablation.sets) - 1]])


def test_planted_truth_is_what_many_documents_come_near():
    """Ratio of classes of a few sets: the truth is known up to one factor a class."""
    settings = JointSettings(net=1.0, closure=0.5)
    world = planted(replace(SETTINGS, documents=600, pairs=16, heads=12), 5, ("influence", "heads"))
    sets = pd.DataFrame({"kind": ["neurons"] * 3 + ["heads"] * 2,
                         "members": [world.truth.plateau.tolist(), [1, 2, 3], [50, 60], [0, 1], [3, 4]]})  # fmt: skip
    found = planted_joint_ablation(settings, world, sets, 5)
    ratio = found.joint_ablation.loss.double().mean(1) / found.truth.loss.double().mean(1)
    for rows in (ratio[:3], ratio[3:]):
        relative = rows / rows.mean(0)
        torch.testing.assert_close(relative, torch.ones_like(relative), atol=0.06, rtol=0)
