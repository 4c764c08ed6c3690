"""Null models and statistics of others on real data: what they break is refused, and named, and harms nobody else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from neuronull.authoring import null_model
from neuronull.data.errors import InputError
from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted_measurements
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.engine import sample
from neuronull.hypotheses.hypothesis import Hypothesis
from neuronull.hypotheses.inference.verdicts import Absence
from neuronull.hypotheses.nulls import guard
from neuronull.hypotheses.nulls.base import NullModel, Observed, generator, salt, stack
from neuronull.hypotheses.nulls.document_permuted import DocumentPermuted
from neuronull.hypotheses.nulls.guard import GuardedNull, NullFault, blamed
from neuronull.hypotheses.nulls.random_sets import RandomSets
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.statistics.functions import FunctionStatistic
from neuronull.hypotheses.statistics.sets import BoundSet, offered_neurons
from neuronull.hypotheses.suite import run_suite

SETTINGS = Settings(documents=24, pairs=4, neurons=160)
OPTIONS = TestOptions(only=("clusters.weights", "tails.weights"), replicates=39)


@pytest.fixture
def prepared() -> PreparedData:
    return PreparedData(planted_measurements(SETTINGS, 0, ("influence", "weights", "activations")))


class Foreign(RandomSets):
    """A null model of somebody else; it draws what `given` makes of replicates."""

    name = "foreign"
    given: Any = None

    def draw(self, state: int, replicates: range, seed: int) -> Any:
        return type(self).given(state, replicates)


def drawing(what: Any) -> NullModel:
    return type("Drawing", (Foreign,), {"given": staticmethod(what), "__module__": __name__})()


def sets(width: int, dtype: torch.dtype = torch.int64) -> Any:
    return lambda n, replicates: torch.stack([torch.arange(width, dtype=dtype) for _ in replicates])


def constant(value: int) -> Any:
    return lambda n, replicates: torch.full((len(replicates), n), value)


WRONG = {
    "a set of another size": (sets(5), "a draw holds 5 neurons, and the observed sets hold 8 and 8"),
    "no permutation": (constant(0), "a draw of 160 neurons is no permutation"),
    "another type": (sets(8, torch.int32), "draws of neurons are int64"),
    "beyond the layer": (
        lambda n, replicates: torch.arange(n - 7, n + 1).repeat(len(replicates), 1), "names neurons 153 to 160",
    ),
    "below the layer": (lambda n, replicates: torch.arange(-1, 7).repeat(len(replicates), 1), "names neurons -1 to 6"),
    "a neuron twice": (
        lambda n, replicates: torch.tensor([0, 0, 1, 2, 3, 4, 5, 6]).repeat(len(replicates), 1), "names a neuron twice",
    ),
    "one row for many replicates": (
        lambda n, replicates: torch.randperm(n)[None], "39 replicates were asked for and 1",
    ),
    "a list": (lambda n, replicates: [torch.arange(n)] * len(replicates), "were asked for and list came"),
    "a number": (lambda n, replicates: torch.tensor(3), "were asked for and Tensor came"),
    "nothing": (lambda n, replicates: None, "were asked for and NoneType came"),
    "without a seed": (
        lambda n, replicates: torch.stack([torch.randperm(n) for _ in replicates]),
        "the same seed and replicate gave another draw",
    ),
    "one alone has no rows": (
        lambda n, replicates: torch.arange(n).repeat(len(replicates) if len(replicates) > 1 else 0, 1),
        "the same seed and replicate gave another draw",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("what", "says"), WRONG.values(), ids=WRONG)
def test_a_draw_of_another_form_is_refused_on_real_data_and_names_its_null_model(prepared, what, says) -> None:
    bound = catalogue.hypothesis("clusters.weights").statistic.bind(prepared)
    with pytest.raises(InputError) as refused:
        sample(bound, drawing(what), prepared, 39, 0)
    said = str(refused.value)
    assert f"null model foreign: {says}" in said or says in said
    assert "foreign" in said
    assert "test_guard.Drawing" in said, "where it comes from"
    assert said.isprintable(), "one line"


@pytest.mark.parametrize("form", ["permutation", "sets", "sets of the halves"])
def test_every_form_that_is_meant_is_taken(prepared: PreparedData, form: str) -> None:
    def drawn(n: int, replicates: range) -> torch.Tensor:
        rows = stack(lambda r: generator(0, r).permutation(n), replicates)
        if form == "permutation":
            return rows
        return rows[:, :8] if form == "sets" else torch.stack([rows[:, :8], rows[:, 4:12]], dim=1)

    bound = catalogue.hypothesis("clusters.weights").statistic.bind(prepared)
    assert sample(bound, drawing(drawn), prepared, 39, 0).estimate.shape == (40, 1)


class Writes(RandomSets):
    """Broken: its prepare() writes into what it is given."""

    name = "writes"
    into = "observed"

    def prepare(self, measurements: Any, observed: Observed) -> int:
        if self.into == "observed":
            observed.sets[0].fill_(3)
        elif self.into == "neurons":
            measurements.neurons.loc[:, "sd"] = 0.0
        elif self.into == "panel":
            measurements.panel.loss[:] = 0.0
        else:
            measurements.w_out.zero_()
        return super().prepare(measurements, observed)


@pytest.mark.parametrize("into", ["observed", "weights", "neurons", "panel"])
def test_a_null_model_that_writes_into_its_input_is_refused_and_moves_no_other_number(
    prepared: PreparedData, into: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measurements = prepared.measurements
    before = run_suite(measurements, OPTIONS).model_dump_json()
    monkeypatch.setattr(Writes, "into", into)
    monkeypatch.setattr(catalogue.nulls, "_entries", dict(catalogue.nulls._entries))
    catalogue.nulls.register("writes", Writes())
    with pytest.raises(
        NullFault, match=r"null model writes: its prepare\(\) changes what it is given .*work on a copy"
    ):
        run_suite(measurements, replace(OPTIONS, nulls={"clusters.weights": "writes"}))
    assert run_suite(measurements, OPTIONS).model_dump_json() == before


def test_a_large_array_is_not_copied_and_a_change_of_it_is_seen(
    prepared: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "SMALL", 0)
    monkeypatch.setattr(Writes, "into", "weights")
    with pytest.raises(NullFault, match="changes what it is given"):
        GuardedNull(Writes(), prepared.measurements, offered_neurons(prepared))
    assert not prepared.measurements.w_out.any(), "it was the array itself"


def test_arrays_that_lie_otherwise_in_memory_have_a_checksum() -> None:
    x = torch.arange(12, dtype=torch.bfloat16).view(3, 4)
    for array in (x, x.T, x[:, 1], x[0, 0], x > 3, x.double()[::2]):
        assert guard._checksum(array) == guard._checksum(array.clone())
    assert guard._checksum(x.T) != guard._checksum(x + 1)


@pytest.mark.parametrize("when", ["prepare", "draw"])
@pytest.mark.parametrize("raised", [RuntimeError("no luck"), SystemExit(3), KeyError("x"), MemoryError()])
def test_what_a_plug_in_raises_is_one_line_that_names_it(
    prepared: PreparedData, when: str, raised: BaseException
) -> None:
    def fail(*_: Any) -> Any:
        raise raised

    null = type("Raises", (RandomSets,), {when: fail, "name": "raises", "__module__": __name__})()
    bound = catalogue.hypothesis("clusters.weights").statistic.bind(prepared)
    with pytest.raises(NullFault, match=f"raises failed: {type(raised).__name__}") as refused:
        sample(bound, null, prepared, 19, 0)
    assert "test_guard.Raises" in str(refused.value)
    assert str(refused.value).isprintable()


def test_our_own_faults_are_not_blamed_on_anybody() -> None:
    class Broken(RandomSets):
        def prepare(self, measurements: Any, observed: Observed) -> int:
            raise RuntimeError("our own")

    Broken.__module__ = "neuronull.hypotheses.nulls.broken"
    with pytest.raises(RuntimeError, match="our own"):
        GuardedNull(Broken(), None, RandomSets().example())
    with pytest.raises(ZeroDivisionError), blamed(Broken()):
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), blamed(print):
        raise KeyboardInterrupt


def test_a_function_under_the_decorator_is_its_authors_and_not_ours(
    prepared: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue.nulls, "_entries", dict(catalogue.nulls._entries))

    @null_model("short", randomises="neurons")
    def short(observed: Observed, rng: np.random.Generator) -> np.ndarray:
        return np.arange(3)

    @null_model("raising", randomises="neurons")
    def raising(observed: Observed, rng: np.random.Generator) -> np.ndarray:
        raise ValueError("not today")

    bound = catalogue.hypothesis("clusters.weights").statistic.bind(prepared)
    with pytest.raises(NullFault, match="a draw holds 3 neurons"):
        sample(bound, catalogue.nulls.get("short"), prepared, 19, 0)
    with pytest.raises(NullFault, match="raising failed: ValueError: not today"):
        sample(bound, catalogue.nulls.get("raising"), prepared, 19, 0)


class Iterates(DocumentPermuted):
    """A null model of somebody else whose draws come one by one."""

    name = "iterates"
    how = ""

    def draw(self, state: Any, replicates: range, seed: int) -> Iterator[Any]:
        rng = np.random.default_rng()
        for number, drawn in enumerate(super().draw(state, replicates, seed)):
            if self.how == "stops" and number == 4:
                return
            yield {
                "shape": drawn[:-1], "numpy": drawn.numpy(), "integers": drawn.long(), "nan": drawn * np.nan,
                "unseeded": drawn + float(rng.random()),
            }.get(self.how, drawn)  # fmt: skip


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("shape", "draws of activations have the observed shape"),
        ("numpy", "a draw is a ndarray, not a torch.Tensor"),
        ("integers", "draws of activations have the observed shape"),
        ("nan", "values that are not finite"),
        ("stops", "no draw came for replicate 5"),
        ("unseeded", "the same seed and replicate gave another draw"),
    ],
)
def test_draws_that_come_one_by_one_are_looked_at_too(prepared, how, says, monkeypatch) -> None:
    bound = catalogue.hypothesis("clusters.within").statistic.bind(prepared)
    monkeypatch.setattr(Iterates, "how", how)
    with pytest.raises(NullFault, match=f"null model iterates: .*{says}"):
        sample(bound, Iterates(), prepared, 9, 0)


def test_an_honest_null_model_of_others_gives_the_numbers_of_ours(prepared: PreparedData) -> None:
    bound = catalogue.hypothesis("clusters.within").statistic.bind(prepared)
    ours, theirs = (sample(bound, null, prepared, 9, 0) for null in (DocumentPermuted(), Iterates()))
    assert np.array_equal(ours.estimate, theirs.estimate)


# statistics ---------------------------------------------------------------------------------------------------------


def claimed(function: Any) -> Hypothesis:
    statistic = FunctionStatistic("of_others", centred=True, function=function)
    return Hypothesis("theirs.claim", "A claim.", Absence(0.1, "units", "much"), statistic, ("random_sets",))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(catalogue.hypotheses, "_entries", dict(catalogue.hypotheses._entries))
    return lambda hypothesis: catalogue.hypotheses.register(hypothesis.id, hypothesis)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda data, sets: 1 / 0, "failed: ZeroDivisionError"),
        (lambda data, sets: sys.exit(1), "failed: SystemExit"),
        (lambda data, sets: sets.double(), r"of_others gave \[1, 8\] for 1 sets"),
        (lambda data, sets: data.neurons["nothing"][sets].mean(1), "there is no column 'nothing'"),
    ],
)
def test_a_function_that_fails_is_named_and_ends_in_one_line(prepared, registered, function, says) -> None:
    registered(claimed(function))
    with pytest.raises(InputError, match=says) as refused:
        run_suite(prepared.measurements, TestOptions(only=("theirs.claim",), replicates=39))
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("method", ["offers", "evaluate", "leave_one_out", "second_order", "describe", "draws_without"])
def test_a_statistic_that_fails_anywhere_is_named(prepared, registered, method) -> None:
    class Theirs(BoundSet):
        def scored_on(self, chosen: int, sets: torch.Tensor, replicates: range, seed: int) -> torch.Tensor:
            return sets.double().mean(1)

        def without(self, chosen: int, sets: torch.Tensor, replicates: range, seed: int) -> torch.Tensor:
            rows = int((self.data.half == 1 - chosen).sum())
            return sets.double().mean(1)[:, None].expand(-1, rows)

    def fail(self: Any, *_: Any) -> Any:
        raise ValueError("not today")

    setattr(Theirs, method, fail)

    class How(FunctionStatistic):
        def bind(self, data: PreparedData) -> Theirs:  # type: ignore[override]
            return Theirs(data)

    registered(replace(claimed(None), statistic=How("of_others", centred=True)))
    with pytest.raises(NullFault, match="failed: ValueError: not today") as refused:
        run_suite(prepared.measurements, TestOptions(only=("theirs.claim",), replicates=39))
    assert "test_guard" in str(refused.value)


# streams ------------------------------------------------------------------------------------------------------------


def test_streams_of_long_names_that_begin_alike_are_others() -> None:
    assert salt("shuffled_layers") != salt("shuffled_corpus")
    assert generator(0, 1, "shuffled_layers").random() != generator(0, 1, "shuffled_corpus").random()


def test_streams_of_what_ships_are_what_they_were() -> None:
    """Eight bytes of the name, little end first: results of earlier runs depend on it."""
    for name in ("matched", "reselect", "knots", "", "signed_rewired", "correlation_cm", "document_permuted"):
        assert salt(name) == sum(ord(c) << 8 * place for place, c in enumerate(name[:8]))
    assert salt("matched") == 28258996690641261
    assert salt("erdos_renyi") == 7310010094570467941
    assert generator(5, 7, "matched").integers(2**40, size=2).tolist() == [18724242328, 347706701141]
