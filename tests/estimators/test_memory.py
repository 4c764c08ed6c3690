"""Arrays that need not fit in memory: they lie in a file, hold the same numbers, and leave nothing behind."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch
from tiny_models import measured_with_heads, options_of

from neuronull.data.errors import InputError
from neuronull.data.store import CACHE_VARIABLE, load, save
from neuronull.estimators import memory

MAPPED = Path("/proc/self/maps")


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where mapped files are made while everything counts as too large."""
    monkeypatch.setattr(memory, "FILE_BYTES", 0)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "scratch"


def test_a_small_array_makes_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    assert memory.host_tensor(3, 4).shape == (3, 4)
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(not MAPPED.exists(), reason="/proc tells which files are mapped")
def test_a_large_array_is_a_file_without_a_name(scratch: Path):
    array = memory.host_tensor(5, 7)
    assert array.shape == (5, 7)
    assert array.dtype == torch.float32
    assert str(scratch) in MAPPED.read_text()
    assert list(scratch.iterdir()) == []
    array.fill_(2.5)
    assert array[4].sum() == 17.5


def test_measurements_in_files_are_the_same_bits(monkeypatch: pytest.MonkeyPatch, scratch: Path, tmp_path: Path):
    options = options_of("gpt_neox", tmp_path, "tiny-neox", seed=0, inflation=1.5)
    there = measured_with_heads(options)
    assert scratch.is_dir()  # so the arrays were files
    assert list(scratch.iterdir()) == []
    monkeypatch.setattr(memory, "FILE_BYTES", 1 << 40)
    here = measured_with_heads(options)
    for name in ("delta_loss", "activation", "mean"):
        assert torch.equal(getattr(there, name), getattr(here, name)), name
    assert torch.equal(there.heads.effect.nan_to_num(-1), here.heads.effect.nan_to_num(-1))
    save(there, tmp_path / "written")
    assert torch.equal(load(tmp_path / "written").delta_loss, here.delta_loss)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room on the disk is not taken beforehand here")
def test_without_room_on_the_disk_it_lies_in_memory(scratch: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    def full(file: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert memory.host_tensor(5, 7).shape == (5, 7)
    assert "go to memory, not to a file: [Errno 28] No space left" in caplog.text
    assert list(scratch.iterdir()) == []

    def nothing(shape: tuple[int, ...]) -> torch.Tensor:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] can't allocate memory")

    monkeypatch.setattr(torch, "empty", nothing)
    with pytest.raises(InputError, match=r"no room for 0\.0 GB of effects.*NEURONULL_CACHE"):
        memory.host_tensor(5, 7)


def test_a_cache_that_cannot_be_written_is_a_warning(scratch: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    scratch.parent.parent.mkdir(exist_ok=True)
    scratch.parent.write_text("a file")
    assert memory.host_tensor(5, 7).shape == (5, 7)
    assert "go to memory, not to a file" in caplog.text


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="nothing is mapped here")
def test_a_file_that_cannot_be_mapped_is_a_warning(scratch: Path, monkeypatch: pytest.MonkeyPatch, caplog):
    def fails(*arguments: object, **keywords: object) -> torch.Tensor:
        raise RuntimeError("unable to mmap 140 bytes from file: Cannot allocate memory (12)")

    monkeypatch.setattr(torch, "from_file", fails)
    assert memory.host_tensor(5, 7).shape == (5, 7)
    assert "unable to mmap" in caplog.text
    assert list(scratch.iterdir()) == []
