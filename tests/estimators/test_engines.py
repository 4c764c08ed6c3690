"""Stages whose items are worked on here, or by workers of a Ray cluster: the same numbers to the bit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from tiny_models import options_of

from neuronull.data import devices
from neuronull.data.devices import all_devices
from neuronull.data.errors import InputError
from neuronull.data.models import load_model
from neuronull.estimators.engine import ALONE, Devices, Local, Size, engine_of, placed
from neuronull.estimators.measure import measure
from neuronull.estimators.measure_heads import measure_heads

MODEL = "docs-gpt2"


@dataclass(frozen=True)
class Sums:
    """Adds a number to the model's first weight; where told to, its process dies the first time."""

    die_at: float = -1.0
    mark: str = ""

    @contextmanager
    def opened(self, view):
        first = float(next(iter(view.model.parameters())).flatten()[0])

        def work(item):
            value, tensor = item
            if value == self.die_at and not Path(self.mark).exists():
                Path(self.mark).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if value < 0:
                raise InputError("less than nothing", "here", "give more")
            return first + value + tensor.sum(), (tensor * 2,)

        yield work


def items(count):
    return [(float(k), torch.arange(4.0)[k % 3 :]) for k in range(count)]


@pytest.mark.parametrize("size", [ALONE, Size(1, 100, 7)])
def test_items_come_back_in_order(size):
    loaded = load_model(MODEL)
    with Local().spread(loaded, Sums(), size) as each:
        found = list(each(items(7)))
    first = float(next(iter(loaded.model.parameters())).flatten()[0])
    expected = [first + k + float(torch.arange(4.0)[k % 3 :].sum()) for k in range(7)]
    assert [float(value) for value, _ in found] == pytest.approx(expected)


def test_a_stage_alone_makes_its_items_one_by_one():
    """A tile of positions times neurons is large: the next is made when the one before is done."""
    made, seen = [], []

    def one_by_one():
        for item in items(3):
            made.append(len(seen))
            yield item

    with Local().spread(load_model(MODEL), Sums(), ALONE) as each:
        for found in each(one_by_one()):
            seen.append(found)
    assert made == [0, 1, 2]


def test_placed_tensors_have_memory_of_their_own():
    whole = torch.arange(6.0)
    assert placed(whole[1:], torch.device("cpu")).data_ptr() not in (whole.data_ptr(), whole[1:].data_ptr())


def test_compiled_loops_leave_pytorchs_threads_as_they_are():
    """Where both share an OpenMP library the first parallel loop of numba would give PyTorch all cores."""
    code = (
        "import torch, numpy as np; from neuronull.estimators.compiled import settled_threads; n = settled_threads();"
        "from neuronull.estimators.exact import Entries, block_sums; one = torch.zeros(1);"
        "at = torch.zeros(1, dtype=torch.int64);"
        "block_sums(one[None], one[None], one[None], Entries(at, at, one, one, one, one.bool()));"
        "print(n, torch.get_num_threads())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )  # fmt: skip
    assert said.stdout.split() == ["1", "1"]


def test_an_engine_that_needs_a_missing_package_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "neuronull.estimators.ray_engine", raising=False)
    with pytest.raises(InputError, match="Ray is not installed"), engine_of("ray"):
        pass


@pytest.mark.slow
class TestRay:
    """Each starts a cluster on this machine and ends it."""

    @pytest.fixture(autouse=True)
    def one_thread(self):
        ray = pytest.importorskip("ray")
        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not find modules of tests
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    def test_workers_find_the_same(self):
        loaded = load_model(MODEL)
        with Local().spread(loaded, Sums(), ALONE) as each:
            expected = list(each(items(9)))
        with engine_of("ray", 2) as engine, engine.spread(loaded, Sums(), ALONE) as each:
            found = list(each(items(9)))
        assert [float(value) for value, _ in found] == [float(value) for value, _ in expected]
        assert all(torch.equal(a[0], b[0]) for (_, a), (_, b) in zip(found, expected, strict=True))

    def test_a_worker_that_dies_is_replaced(self, tmp_path):
        loaded, mark = load_model(MODEL), tmp_path / "died"
        with engine_of("ray", 1) as engine, engine.spread(loaded, Sums(3.0, str(mark)), ALONE) as each:
            found = list(each(items(6)))
        assert mark.exists()
        assert len(found) == 6

    def test_what_a_worker_refuses_is_told_in_our_words(self):
        loaded = load_model(MODEL)
        with (
            pytest.raises(InputError, match="less than nothing"),
            engine_of("ray") as engine,
            engine.spread(loaded, Sums(), ALONE) as each,
        ):
            list(each([(-1.0, torch.zeros(1))]))

    def test_another_model_under_the_same_name_is_refused(self):
        from dataclasses import replace

        loaded = replace(load_model(MODEL), hash="another")
        with (
            pytest.raises(InputError, match="another model under this name"),
            engine_of("ray") as engine,
            engine.spread(loaded, Sums(), ALONE) as each,
        ):
            list(each(items(1)))

    def test_a_model_in_memory_is_refused(self):
        from dataclasses import replace

        loaded = replace(load_model(MODEL), origin=None)
        with pytest.raises(InputError, match="in memory"), engine_of("ray") as engine:
            engine.spread(loaded, Sums(), ALONE).__enter__()


_COMMAND = ["--documents", "60", "--only", "regimes", "specialists", "routing", "--replicates", "99"]


def _start(words, out, cache, **environment):
    variables = os.environ | {"NEURONULL_CACHE": str(cache), "OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(
        [sys.executable, "-m", "neuronull", *words, "--out", str(out)], env=variables, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _finish(process):
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
def test_runs_on_ray_are_those_of_this_process(tmp_path):
    pytest.importorskip("ray")
    for engine in ("local", "ray"):
        _finish(_start(["run", *_COMMAND, "--engine", engine], tmp_path / engine, tmp_path / f"cache-{engine}"))
    for name in ("results.json", "results.parquet", "draws.parquet", "neurons.parquet", "heads.parquet"):
        assert (tmp_path / "local" / name).read_bytes() == (tmp_path / "ray" / name).read_bytes(), name


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_costs_nothing_but_time(tmp_path):
    pytest.importorskip("ray")
    import psutil

    words = ["measure", "--documents", "60", "--shard-documents", "2"]
    _finish(_start(words, tmp_path / "local", tmp_path / "cache"))
    process, killed = _start([*words, "--engine", "ray"], tmp_path / "ray", tmp_path / "cache-ray"), []

    def kill_one():
        while not killed and process.poll() is None:
            time.sleep(0.05)
            with contextlib.suppress(psutil.Error):  # a process may be gone before it is asked
                for child in psutil.Process(process.pid).children(recursive=True):
                    if "Worker.run" in " ".join(child.cmdline()):  # Ray names a process by what it is doing
                        child.kill()
                        killed.append(child.pid)
                        break

    watcher = threading.Thread(target=kill_one)
    watcher.start()
    _finish(process)
    watcher.join()
    assert killed
    for path in sorted((tmp_path / "local").iterdir()):
        assert path.read_bytes() == (tmp_path / "ray" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("size", [ALONE, Size(1, 100, 7)])
@pytest.mark.parametrize("given", [False, True])
def test_devices_share_the_items_out_and_find_the_same(size, given):
    """Two copies of a model, as on two GPUs; here both are on the CPU."""
    loaded = load_model(MODEL)
    loaded = replace(loaded, origin=None) if given else loaded
    engine = Devices([torch.device("cpu")] * 2)
    threads = set()

    class Seen(Sums):
        @contextmanager
        def opened(self, view):
            with super().opened(view) as work:
                yield lambda item: (threads.add(threading.get_ident()), time.sleep(0.01), work(item))[-1]

    with Local().spread(loaded, Sums(), size) as each:
        expected = list(each(items(7)))
    for _ in range(2):  # a second stage finds the copies there
        with engine.spread(loaded, Seen(), size) as each:
            found = list(each(items(7)))
        assert [float(value) for value, _ in found] == [float(value) for value, _ in expected]
    assert len(threads) >= 2
    (copy,) = engine._copies
    assert copy.model is not loaded.model
    with engine.beside(replace(loaded), size) as again:
        assert again.views[1] is copy, "the same model, loaded again, finds its copies there"


def test_a_whole_measurement_on_two_copies_is_the_same_to_the_bit(tmp_path):
    options = options_of("llama", tmp_path)
    here, there = (
        measure_heads(options, measure(options, cache=False, engine=engine), cache=False, engine=engine)
        for engine in (Local(), Devices([torch.device("cpu")] * 2))
    )
    assert torch.equal(here.delta_loss, there.delta_loss)
    assert torch.equal(here.activation, there.activation)
    assert torch.equal(here.heads.effect.nan_to_num(-1), there.heads.effect.nan_to_num(-1))


def test_an_error_on_one_device_is_the_runs():
    engine = Devices([torch.device("cpu")] * 2)
    with pytest.raises(InputError, match="less than nothing"), engine.spread(load_model(MODEL), Sums(), ALONE) as each:
        list(each([*items(3), (-1.0, torch.zeros(1)), *items(2)]))


def test_a_model_that_changed_meanwhile_is_refused(monkeypatch):
    loaded = replace(load_model(MODEL), hash="another")
    with (
        pytest.raises(InputError, match="changed since"),
        Devices([torch.device("cpu")] * 2).spread(loaded, Sums(), ALONE),
    ):
        pass


def test_all_devices_are_those_that_are_visible(monkeypatch):
    assert all_devices("cuda:0") == []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(devices, "_fault", lambda device: "")
    assert [str(one) for one in all_devices("cuda:all")] == ["cuda:0", "cuda:1", "cuda:2"]
    assert str(devices.resolve_device("cuda:all")) == "cuda:0"
    with engine_of("local", None, "cuda:all") as engine:
        assert isinstance(engine, Devices)
        assert engine.ahead == 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"no CUDA device \(--device cuda:all\)"):
        devices.resolve_device("cuda:all")
