"""Models larger than their device: blocks stay on the host, and every number is that of a model that fits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numba
import pytest
import torch
from tiny_models import LAYERS, measured_with_heads, options_of

from neuronull.data import offload
from neuronull.data.errors import InputError
from neuronull.data.models import load_model
from neuronull.data.options import MeasureOptions
from neuronull.estimators.measure import measure
from neuronull.estimators.screening import screened_influence

FAMILIES = ("gpt2", "gpt_neox", "llama")


def size(module: torch.nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in module.parameters())


def leave_room(monkeypatch: pytest.MonkeyPatch, options: MeasureOptions, blocks: float) -> None:
    """From now on a device takes what is outside the blocks and so many blocks."""
    loaded = load_model(str(options.model))
    inside = [size(block) for block in loaded.adapter.blocks]
    room = size(loaded.model) - sum(inside) + blocks * inside[0]
    monkeypatch.setattr(offload, "room", lambda device: room)
    monkeypatch.setattr(offload, "WHOLE", 1)
    monkeypatch.setattr(offload, "SHARE", 1)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """What fits runs documents side by side in threads, what does not one by one; sums differ with the threads."""
    torchs, numbas = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(1)
    numba.set_num_threads(1)  # its parallel loops leave their number of threads to torch
    yield
    numba.set_num_threads(numbas)
    torch.set_num_threads(torchs)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("layer", ["last", 1])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_measured_is_the_same_bits(family: str, layer: str | int, monkeypatch, tmp_path: Path):
    options = replace(options_of(family, tmp_path, "tiny", seed=0, inflation=1.5), layer=layer)
    # both audited by passes in float32: a offloaded block cannot be copied into float64
    monkeypatch.setattr("neuronull.estimators.audit._DOUBLE_PARAMETERS", 0)
    whole = measured_with_heads(options)
    leave_room(monkeypatch, options, 1)
    part = measured_with_heads(options)
    for name in ("delta_loss", "activation", "mean", "w_in", "w_out"):
        assert torch.equal(getattr(whole, name), getattr(part, name)), name
    assert torch.equal(whole.heads.effect.nan_to_num(-1), part.heads.effect.nan_to_num(-1))
    assert whole.neurons.equals(part.neurons)
    assert whole.manifest == part.manifest


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_near_the_measured_one_come_first(family: str, monkeypatch, tmp_path: Path):
    options = options_of(family, tmp_path, "tiny", seed=0)
    for room, layer, there in (
        (1, 0, {0}),
        (1.9, None, {LAYERS - 1}),
        (2, None, {LAYERS - 2, LAYERS - 1}),
        (9, 0, {0, 1, 2}),
    ):
        leave_room(monkeypatch, options, room)
        loaded = load_model(str(options.model), layer=layer)
        offloaded = [any(p.is_meta for p in block.parameters()) for block in loaded.adapter.blocks]
        assert {i for i, away in enumerate(offloaded) if not away} == there
        assert loaded.offloaded == LAYERS - len(there)
        monkeypatch.undo()


def test_a_model_that_fits_is_moved_whole_even_if_little_is_left_for_the_work(monkeypatch, tmp_path: Path):
    options = options_of("gpt2", tmp_path, "tiny", seed=0)
    whole = size(load_model(str(options.model)).model)
    for free, offloaded in ((whole / 0.89, 0), (whole / 0.91, 1)):
        monkeypatch.setattr(offload, "room", lambda device, free=free: free)
        assert (load_model(str(options.model)).offloaded > 0) == offloaded


def test_memory_that_pytorch_holds_for_nobody_is_free(monkeypatch):
    device = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (15, 80))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 65)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 30)
    assert offload.room(device) == 50
    assert offload.room(torch.device("cpu")) == float("inf")


def test_a_device_that_cannot_hold_the_measured_block_is_refused(monkeypatch, tmp_path: Path):
    options = options_of("gpt2", tmp_path, "tiny", seed=0)
    for blocks in (0.9, -1):
        leave_room(monkeypatch, options, blocks)
        with pytest.raises(InputError, match=r"does not fit on cpu \(--device\)"):
            load_model(str(options.model))
        monkeypatch.undo()


def test_without_accelerate_one_line_says_what_to_install(monkeypatch, tmp_path: Path):
    options = options_of("gpt2", tmp_path, "tiny", seed=0)
    leave_room(monkeypatch, options, 1)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(InputError, match=r"2 blocks of the model do not fit .*neuronull\[offload\]"):
        load_model(str(options.model))


def test_gradients_are_refused(monkeypatch, tmp_path: Path):
    options = options_of("gpt2", tmp_path, "tiny", seed=0, inflation=1.5)
    made = measure(replace(options, layer=1), cache=False)
    leave_room(monkeypatch, options, 1)
    loaded = load_model(str(options.model), layer=1)
    documents = made.documents["input_ids"].tolist()
    with pytest.raises(InputError, match="2 blocks are not"):
        screened_influence(loaded, documents, made.panel, made.activation, 1)


def test_the_audit_runs_the_lent_model_itself(monkeypatch, tmp_path: Path):
    options = options_of("gpt2", tmp_path, "tiny", seed=0, inflation=1.5)
    leave_room(monkeypatch, options, 1)
    manifest = measured_with_heads(options).manifest
    assert manifest.audit.model_dump()["method"] == "full forward pass in float32"
    assert manifest.extra("audit_heads")["method"] == "full forward pass in float32"
