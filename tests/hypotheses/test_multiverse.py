"""The multiverse: each universe is the run that its settings would have made; what is refused is refused beforehand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from neuronull.data.errors import InputError
from neuronull.data.options import MeasureOptions, TestOptions
from neuronull.data.panel import halves
from neuronull.data.planted.measurements import planted_measurements
from neuronull.data.planted.settings import Settings
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.multiverse import DRAWS, MOST_UNIVERSES, axes_of, design, explore, told_value, with_fields
from neuronull.hypotheses.result import Role, Verdict
from neuronull.hypotheses.suite import run_suite

TESTS = TestOptions(only=("clusters.within", "clusters.weights"), replicates=80)


def world(seed: int = 1, **settings):
    return planted_measurements(Settings(documents=40, pairs=8, neurons=320, **settings), seed)


@pytest.fixture(scope="module")
def measured():
    return world()


def varied(tests=TESTS, **values):
    return replace(tests, varied={name: tuple(map(str, several)) for name, several in values.items()})


def explored(measured, tests, remeasure=None, measure=None):
    measure = measure or MeasureOptions()
    return explore(design(measure, tests, measured=remeasure is None), measure, tests, measured, remeasure)


def agrees(universe, result):
    """The universe holds what the run found, number for number."""
    rows = [f for f in result.findings if f.role is Role.PRIMARY]
    assert [o.hypothesis for o in universe.outcomes] == [f.hypothesis for f in rows]
    for outcome, row in zip(universe.outcomes, rows, strict=True):
        for name in ("estimate", "verdict_low", "verdict_high", "p_value", "p_adjusted", "verdict"):
            assert getattr(outcome, name) == getattr(row, name), (row.hypothesis, name)
    assert universe.claims == {f"{c.paper}:{c.number}": c.verdict for c in result.claims}


@pytest.mark.slow
def test_every_universe_is_the_run_of_its_settings(measured):
    tests = varied(plateau=[".03", "12"], split=[1, 2])
    found = explored(measured, tests)
    assert [(u.settings["plateau"], u.settings["split"]) for u in found.universes] == list(
        product((".017", ".03", "12"), "012")
    )
    assert [u.own for u in found.universes] == [True] + [False] * 8
    for universe in found.universes:
        other = int(universe.settings["split"])
        half = halves(measured.documents, measured.manifest.seed, other)
        panel = replace(measured.panel, half=half[measured.panel.document]) if other else measured.panel
        alone = run_suite(replace(measured, panel=panel), replace(TESTS, set_size=universe.settings["plateau"]))
        agrees(universe, alone)


@pytest.mark.slow
def test_other_measurements_are_made_once_each_and_never_for_the_runs_own(measured):
    asked = []
    others = {0.3: world(3), 0.4: world(5)}

    def remeasure(options, told):
        asked.append((options.threshold, told))
        return others[options.threshold]

    found = explored(measured, varied(threshold=[0.15, 0.3, 0.4], plateau=[".03"]), remeasure)
    assert asked == [(0.3, "threshold .3"), (0.4, "threshold .4")]
    assert found.varied == {"threshold": [".15", ".3", ".4"], "plateau": [".017", ".03"]}
    for universe, (given, plateau) in zip(
        found.universes, product((measured, *others.values()), (".017", ".03")), strict=True
    ):
        agrees(universe, run_suite(given, replace(TESTS, set_size=plateau)))


def test_resolution_reaches_the_statistic_and_nothing_else(measured):
    found = explored(measured, varied(resolution=[0.5, 1.5]))
    within, weights = zip(*(u.outcomes for u in found.universes), strict=True)
    assert len({o.estimate for o in within}) == 3
    assert len({o.model_dump_json() for o in weights}) == 1
    assert found.bears_on == {"resolution": ["clusters.within"]}


def test_density_brings_the_hypothesis_that_reads_it_without_a_verdict(measured):
    tests = varied(replace(TESTS, only=("clusters",)), density=[0.5])
    found = explored(measured, tests)
    rewired = [next(o for o in u.outcomes if o.hypothesis == "clusters.rewired") for u in found.universes]
    assert [o.verdict for o in rewired] == [None, None]
    assert rewired[0].estimate != rewired[1].estimate
    own = next(f for f in run_suite(measured, tests).findings if f.hypothesis == "clusters.rewired")
    assert (rewired[0].estimate, rewired[0].p_value) == (own.estimate, own.p_value)


def test_no_worker_changes_a_bit(measured):
    tests = varied(plateau=[".03"], resolution=[2])
    assert explored(measured, tests) == explored(measured, replace(tests, jobs=2))


def test_a_universe_that_cannot_be_tested_says_why(measured):
    found = explored(measured, varied(plateau=[".9"]))
    assert found.universes[1].outcomes == []
    assert "out of range" in found.universes[1].why_not
    assert found.universes[0].why_not == ""


def test_measurements_that_a_run_would_refuse_are_not_tested(measured):
    found = explored(measured, varied(threshold=[0.3]), lambda options, told: world(2))
    assert "differ in loss" in found.universes[1].why_not


def test_a_hypothesis_without_its_inputs_is_not_run(measured):
    blind = replace(measured, w_in=None, w_out=None)
    universe = explored(blind, varied(plateau=[".03"])).universes[1]
    assert [o.verdict for o in universe.outcomes if o.hypothesis == "clusters.weights"] == [Verdict.NOT_RUN]


def test_more_draws_than_the_usual_only_where_alpha_asks_for_them():
    many = replace(varied(split=[1]), replicates=9999)
    assert design(MeasureOptions(), many).replicates == DRAWS
    strict = replace(varied(split=[1]), replicates=9999, alpha=0.005)
    assert design(MeasureOptions(), strict).replicates > DRAWS
    assert design(MeasureOptions(), varied(split=[1])).replicates == TESTS.replicates


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"plateu": [1]}, r"'plateu' cannot be varied \(--vary\); did you mean plateau\?"),
        ({"seed": [1]}, r"'seed' cannot be varied \(--vary\); choose conditioning, threshold"),
        ({"plateau": ["most"]}, r"'most' is no number \(--vary plateau\)"),
        ({"plateau": [-1]}, r"-1 is out of range \(--vary plateau\)"),
        ({"threshold": [2]}, r"2 is out of range \(--vary threshold\)"),
        ({"threshold": ["nan"]}, r"nan is out of range \(--vary threshold\)"),
        ({"ablation": ["median"]}, r"'median' is not one of mean, zero, resample \(--vary ablation\)"),
        ({"elbow": ["maybe"]}, r"'maybe' is not on or off \(--vary elbow\)"),
        ({"split": ["-1"]}, r"'-1' is no split \(--vary split\)"),
        ({"density": ["1.5"]}, r"1\.5 is out of range \(--vary density\)"),
        ({"resolution": [0]}, r"0 is out of range \(--vary resolution\)"),
        ({"density": [".5"]}, r"nothing that is tested depends on density \(--vary\)"),
        ({"split": range(300)}, rf"300 split make 300 universes, at most {MOST_UNIVERSES}"),
        ({"split": range(20), "plateau": range(8, 20)}, r"13 plateau x 20 split make 260 universes"),
    ],
    ids=str,
)
def test_what_cannot_vary_is_refused_before_anything_is_done(given, says):
    with pytest.raises(InputError, match=says):
        design(MeasureOptions(), varied(**given))


def test_given_measurements_cannot_be_measured_otherwise():
    with pytest.raises(InputError, match=r"threshold decides what is measured, and --measurements .* vary plateau"):
        design(MeasureOptions(), varied(threshold=[0.3]), measured=True)


def test_nothing_to_vary_where_only_controls_run():
    with pytest.raises(InputError, match=r"no hypothesis with a verdict"):
        design(MeasureOptions(), varied(replace(TESTS, only=("control.whole_layer",)), split=[1]))


def test_a_value_that_is_the_runs_own_is_no_second_universe():
    made = design(MeasureOptions(threshold=0.2), varied(threshold=["0.2", ".20"], plateau=["0.0170"]))
    assert list(made.universes()) == [{"threshold": 0.2, "plateau": 0.017}]


def test_the_runs_own_values_are_those_of_the_declared_statistics():
    """Guards the axes that statistics hold: the run must be its own first universe."""
    every = list(catalogue.known_hypotheses().values())
    axes = {name: axis for name, axis in axes_of(every).items() if axis.decides == "statistic"}
    assert set(axes) == {"resolution", "density", "algorithm"}
    own = {name: axis.own(MeasureOptions(), TestOptions()) for name, axis in axes.items()}
    for hypothesis in every:
        assert with_fields(hypothesis, own) == hypothesis


def test_values_are_told_in_house_style():
    assert [told_value(v) for v in (0.15, 12.0, 1.5, True, "knot", 3)] == [".15", "12", "1.5", "on", "knot", "3"]
