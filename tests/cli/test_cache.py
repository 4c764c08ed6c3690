"""``neuronull cache``: what lies there is told, and emptied, but for what a run is writing."""

from __future__ import annotations

import json

import pytest

from neuronull.cli import main
from neuronull.cli.cache import size
from neuronull.data.leases import leased
from neuronull.data.planted import Settings, planted_measurements
from neuronull.data.shards import Shards
from neuronull.data.store import save


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("NEURONULL_CACHE", str(folder))
    world = planted_measurements(Settings(documents=24, neurons=160), seed=0)
    save(world, folder / "measurements" / "0123456789abcdef")
    (folder / "shards" / "fedcba").mkdir(parents=True)
    (folder / "shards" / "fedcba" / "heads.0.1.shard").write_bytes(b"x" * 5000)
    (folder / "measurements" / ".0123456789abcdef.1.partial").mkdir()
    return folder


def listed(capsys):
    assert main(["cache", "ls", "--json"]) == 0
    return {entry["kind"]: entry for entry in json.loads(capsys.readouterr().out)}


def test_everything_is_listed_with_its_size(cache, capsys):
    found = listed(capsys)
    assert set(found) == {"measurement", "unfinished", "writing"}  # the folder is young and has no lease
    assert found["unfinished"]["bytes"] == 5000
    assert found["measurement"]["what"].count(",") == 2
    assert main(["cache", "ls"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 4
    assert said[-1].endswith(f"in all, in {cache}")
    assert "5 KB  unfinished" in "".join(said)


def test_clean_leaves_what_is_being_written(cache, capsys):
    with leased(cache / "measurements" / ".0123456789abcdef.1.partial"), leased(cache / "shards" / "fedcba"):
        assert main(["cache", "clean"]) == 0  # the shards of a living run stay as well
        assert capsys.readouterr().out.startswith("1 removed")
        assert set(listed(capsys)) == {"writing"}


def test_clean_can_leave_what_is_whole(cache, capsys):
    with leased(cache / "measurements" / ".0123456789abcdef.1.partial"):
        assert main(["cache", "clean", "--unfinished"]) == 0
        assert capsys.readouterr().out == "1 removed, 5 KB freed\n"
        assert set(listed(capsys)) == {"measurement", "writing"}
        assert main(["cache", "clean"]) == 0
        capsys.readouterr()
        assert set(listed(capsys)) == {"writing"}


def test_an_empty_cache(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path / "none"))
    assert main(["cache", "clean"]) == main(["cache", "ls"]) == 0
    assert capsys.readouterr().out.startswith("0 removed, 0 B freed\n      0 B  in all")
    Shards(tmp_path / "none").remove()


def test_sizes_for_a_reader():
    assert [size(n) for n in (0, 999, 1000, 1234567, 14_000_000_000)] == ["0 B", "999 B", "1 KB", "1.23 MB", "14 GB"]
