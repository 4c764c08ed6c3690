"""Shards: what a run that was cut off has done is done once, whole or not at all; leases: whose folder it is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from neuronull.data import shards as module
from neuronull.data.leases import LEASE, alive, leased, sweep
from neuronull.data.shards import Shards

VALUES = torch.randn(12, 3, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def every_item_is_a_shard(monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.0)


def keep(folder, items, name="heads"):
    with Shards(folder).stage(name, VALUES) as stage:
        for item in items:
            stage.add([item])


def finished(folder, name="heads", shape=(12, 3, 4)):
    """Items that earlier runs finished, each with the values that it had, and the rest left as it was."""
    into = torch.full(shape, -1.0)
    with Shards(folder).stage(name, into) as stage:
        items = stage.fill()
    assert all(torch.equal(into[item], VALUES[item]) for item in items)
    assert (into[[item for item in range(shape[0]) if item not in items]] == -1).all()
    return items


def test_what_was_kept_comes_back_to_the_bit(tmp_path):
    keep(tmp_path / "a", [0, 3, 7])
    assert finished(tmp_path / "a") == [0, 3, 7]
    across = torch.zeros(3, 12, 4)  # items on another axis: a view takes them
    with Shards(tmp_path / "a").stage("heads", across.transpose(0, 1)) as stage:
        stage.fill()
    assert torch.equal(across[:, [0, 3, 7]], VALUES[[0, 3, 7]].transpose(0, 1))
    assert finished(tmp_path / "a", "influence") == []
    Shards(tmp_path / "a").remove()
    assert not (tmp_path / "a").exists()


def test_a_stage_that_fails_keeps_what_it_has_done(tmp_path, monkeypatch):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(module, "SECONDS", 9.0)

    def interrupted(items):
        yield from items
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path, interrupted(range(8)))
    assert finished(tmp_path) == list(range(8))
    assert len(list(tmp_path.glob("*.shard"))) < 8  # several items a shard


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other shape", "unknown item"])
def test_a_damaged_shard_is_removed_and_its_work_done_again(tmp_path, damage, caplog):
    keep(tmp_path, [0, 1])
    path = sorted(tmp_path.glob("*.shard"))[0]
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped":
        content[-3] ^= 1
        path.write_bytes(content)
    elif damage == "unknown item":
        keep(tmp_path, [11])
        path = tmp_path / "heads.00000011.1.shard"
    shapes = {"other shape": (12, 3, 5), "unknown item": (11, 3, 4)}
    assert finished(tmp_path, shape=shapes.get(damage, (12, 3, 4))) == {
        "other shape": [], "unknown item": [0, 1],
    }.get(damage, [1])  # fmt: skip
    assert not path.exists()
    assert "is damaged" in caplog.text


def test_a_cache_that_cannot_be_written_costs_nothing_but_a_line(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    keep(tmp_path / "file" / "below", [0, 1, 2])
    assert caplog.text.count("cannot be kept") == 1


def test_no_folder_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keep(None, [0, 1])
    assert finished(None) == []
    assert list(tmp_path.iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from neuronull.data.leases import leased
with leased(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_alive_as_long_as_its_run_and_no_longer(tmp_path):
    folder = tmp_path / ".out.1.partial"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline().strip() == "held"
        assert alive(folder)
        assert sweep(tmp_path, "out") == []
        run.kill()
    assert folder.with_name(folder.name + LEASE).exists()  # a kill cleans up nothing
    assert not alive(folder)
    assert sweep(tmp_path, "out") == [folder]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_lease_is_left_for_an_hour(tmp_path):
    folder = tmp_path / ".out.2.partial"
    folder.mkdir()
    assert sweep(tmp_path, "out") == []
    before = time.time() - 3700
    os.utime(folder, (before, before))
    assert sweep(tmp_path, "other") == []
    assert sweep(tmp_path, "out") == [folder]


def test_names_are_no_patterns(tmp_path):
    folder = tmp_path / ".abc.3.partial"
    folder.mkdir()
    os.utime(folder, (0, 0))
    assert sweep(tmp_path, "[a]*") == []
    assert folder.exists()


def test_a_lease_leaves_nothing_behind(tmp_path):
    folder = Path(tmp_path, "a")
    folder.mkdir()
    with leased(folder):
        assert len(list(tmp_path.iterdir())) == 2
        assert list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == [folder]


def test_several_tensors_of_several_types_after_so_many_documents(tmp_path: Path):
    """Losses and sums in float64 beside activations in float32, one shard a document."""
    shards = Shards(tmp_path / "a", documents=1)
    losses, activation = torch.arange(6, dtype=torch.float64) / 3, torch.rand(6, 2)
    with shards.stage("forward", losses.clone(), activation.clone()) as kept:
        kept.add(range(2))
        kept.add(range(2, 5))
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        "forward.00000000.2.shard",
        "forward.00000002.3.shard",
    ]
    again, and_again = torch.zeros(6, dtype=torch.float64), torch.zeros(6, 2)
    with shards.stage("forward", again, and_again) as kept:
        assert kept.fill() == [0, 1, 2, 3, 4]
    assert torch.equal(again[:5], losses[:5])
    assert torch.equal(and_again[:5], activation[:5])
    assert again[5] == 0


def test_a_shard_of_another_type_is_done_again(tmp_path: Path):
    shards = Shards(tmp_path / "a", documents=1)
    with shards.stage("forward", torch.ones(3)) as kept:
        kept.add([1])
    with shards.stage("forward", torch.zeros(3, dtype=torch.float64)) as kept:
        assert kept.fill() == []
    assert list((tmp_path / "a").iterdir()) == []
