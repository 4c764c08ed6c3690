import hashlib
import json
import os
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from handmade import D, N, T, by_hand, content, cut, gone, manifest, rewrite, tensor
from safetensors.numpy import load_file

from neuronull.data import shards as shards_module
from neuronull.data import store
from neuronull.data.errors import InputError
from neuronull.data.store import cache_directory, cache_key, cached, checkpoints, load, save

INFLUENCE = "influence.safetensors"


@pytest.fixture
def made(folder):
    return load(folder)


def assert_same(a, b):
    """Two measurements, entry for entry and bit for bit."""
    assert a.manifest == b.manifest
    pd.testing.assert_frame_equal(a.documents, b.documents)
    pd.testing.assert_frame_equal(a.neurons, b.neurons)
    pd.testing.assert_frame_equal(a.joint_ablation.sets, b.joint_ablation.sets)
    pairs = [
        (a.panel, b.panel),
        (a.heads, b.heads),
        (a, b),
        (a.joint_ablation, b.joint_ablation),
        (a.effects, b.effects),
    ]
    for x, y in pairs:
        for field in fields(x):
            left, right = getattr(x, field.name), getattr(y, field.name)
            if isinstance(left, torch.Tensor):
                left, right = left.numpy(), right.numpy()
            if isinstance(left, np.ndarray):
                assert left.dtype == right.dtype
                np.testing.assert_array_equal(left, right)


def test_a_directory_made_by_hand_is_read_as_it_is(folder):
    m = load(folder)
    raw = pd.read_parquet(folder / "panel.parquet")
    assert (m.n_documents, m.n_neurons, len(m.panel)) == (D, N, T)
    for column in raw.columns:
        found = getattr(m.panel, "label" if column == "class" else column)
        np.testing.assert_array_equal(found, raw[column])
        assert found.dtype == (np.float64 if column == "loss" else np.int64)
    assert len(m.panel.a_rows) == 15
    np.testing.assert_array_equal(m.delta_loss.numpy(), load_file(folder / "influence.safetensors")["delta_loss"])
    assert m.heads.reachable.dtype == np.bool_
    assert m.heads.neuron.tolist() == [2, 3, 4, 5, 6]
    assert m.manifest.extra("my_note") == {"kept": [1, 2]}
    assert [type(token) for token in m.documents["input_ids"][0][:1]] == [int]


def test_what_is_written_is_read_back(made, tmp_path):
    save(made, tmp_path / "deep" / "copy")
    assert_same(made, load(tmp_path / "deep" / "copy"))


def test_a_path_may_be_a_text(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(made, "m")
    assert load("m").manifest == load(tmp_path / "m").manifest
    assert checkpoints("m") == {}


def test_the_format_is_what_the_design_says(made, tmp_path):
    save(made, tmp_path / "copy")
    panel = pd.read_parquet(tmp_path / "copy" / "panel.parquet")
    assert list(panel) == (
        ["document", "position", "input_id", "target_id", "loss", "input_rank", "target_rank", "half", "class", "match"]
    )
    assert panel["class"].dtype == np.int8
    assert load_file(tmp_path / "copy" / "heads.safetensors")["reachable"].dtype == np.uint8
    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_text())
    assert (manifest["format"], manifest["my_note"]) == ("1", {"kept": [1, 2]})
    listed = {"documents.parquet", "panel.parquet", "influence.safetensors", "activations.safetensors",
              "weights.safetensors", "neurons.parquet", "heads.safetensors", "closure.safetensors",
              "closure.parquet", "effects.safetensors", "tokens.parquet", "promoted.safetensors"}  # fmt: skip
    assert set(manifest["contents"]) == listed == {p.name for p in (tmp_path / "copy").iterdir()} - {"manifest.json"}


def test_what_is_optional_may_be_absent(folder, tmp_path):
    for path in folder.iterdir():
        if path.name not in ("manifest.json", "documents.parquet", "panel.parquet"):
            path.unlink()
    m = load(folder)
    optional = ("delta_loss", "activation", "mean", "neurons", "w_in", "w_out", "heads", "joint_ablation")
    assert [getattr(m, name) for name in optional] == [None] * 8
    save(m, tmp_path / "copy")
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "documents.parquet", "manifest.json", "panel.parquet",
    ]  # fmt: skip
    assert load(tmp_path / "copy").n_neurons == 0


def test_half_precision_activations_are_allowed(folder):
    tensors = load_file(folder / "activations.safetensors")
    rewrite(folder, "activations.safetensors", activation=tensors["activation"].astype("f2"))
    m = load(folder)
    assert m.activation.dtype == torch.float32
    np.testing.assert_array_equal(m.activation.numpy(), tensors["activation"].astype("f2").astype("f4"))


def test_categories_small_integers_and_large_lists_are_fine(folder):
    documents = pd.read_parquet(folder / "documents.parquet")
    documents["source"] = documents["source"].astype("category")
    documents.astype({"document": "int16"}).to_parquet(folder / "documents.parquet")
    panel = pd.read_parquet(folder / "panel.parquet")
    panel.astype({"document": "uint8", "half": "int8", "loss": "float32"}).to_parquet(folder / "panel.parquet")
    m = load(folder)
    assert m.documents["source"].tolist() == [f"d{n}" for n in range(D)]
    assert m.panel.document.dtype == np.int64


def test_a_folder_named_like_a_partition_adds_no_columns(tmp_path):
    assert list(load(by_hand(tmp_path / "size=3" / "seed=1")).neurons)[-1] == "token_frequency_share"


def test_a_path_that_is_no_directory(tmp_path, folder):
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"manifest.json is a file"):
        load(folder / "manifest.json")


def test_faults_of_our_own_are_not_written(made, tmp_path):
    made.delta_loss[3, 3] = torch.nan
    with pytest.raises(InputError, match=r"delta_loss\[3, 3\] is nan"):
        save(made, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


# --- whole or not at all ---------------------------------------------------------------------------------------------


def test_a_target_that_is_taken_is_refused(made, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    for name, message in (("file", "is a file"), ("full", "is not empty")):
        with pytest.raises(InputError, match=message):
            save(made, tmp_path / name)
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    save(made, tmp_path / "empty")
    assert_same(made, load(tmp_path / "empty"))


def test_an_interrupted_save_leaves_nothing(made, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(made, tmp_path / "out" / "copy")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(made, tmp_path, monkeypatch):
    def full(tensors, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "save_file", full)
    with pytest.raises(InputError, match=r"cannot write .*copy: No space left on device; free some space"):
        save(made, tmp_path / "out" / "copy")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_place_that_cannot_be_written(made, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*: Not a directory"):
        save(made, tmp_path / "file" / "copy")


def test_a_copy_that_lost_or_changed_a_file_is_not_taken_for_whole(made, tmp_path):
    save(made, tmp_path / "whole")
    for name in ("heads.safetensors", "neurons.parquet"):
        shutil.copytree(tmp_path / "whole", tmp_path / f"no-{name}")
        (tmp_path / f"no-{name}" / name).unlink()
        with pytest.raises(InputError, match=f"{name} is listed in manifest.json but is not there"):
            load(tmp_path / f"no-{name}")
    flipped = bytearray((tmp_path / "whole" / INFLUENCE).read_bytes())
    flipped[-3] ^= 1  # a value that is as finite as before
    (tmp_path / "whole" / INFLUENCE).write_bytes(flipped)
    with pytest.raises(InputError, match=r"influence.safetensors is not as it was written: its hash differs"):
        load(tmp_path / "whole")
    (tmp_path / "whole" / INFLUENCE).write_bytes(flipped[:-4])
    with pytest.raises(InputError, match=r"influence.safetensors has [\d,]+ bytes, \d+ were written"):
        load(tmp_path / "whole")


def test_checkpoints_in_the_order_of_training(folder):
    assert checkpoints(folder) == {}
    for step in ("1000", "64", "512"):
        by_hand(folder / "checkpoints" / step)
    (folder / "checkpoints" / ".ds").mkdir()
    found = checkpoints(folder)
    assert list(found) == [64, 512, 1000]
    assert load(found[64]).n_neurons == N
    (folder / "checkpoints" / "last").mkdir()
    with pytest.raises(InputError, match="'last' is no training step"):
        checkpoints(folder)


def trained(folder, *steps):
    """A directory made by hand with checkpoints: other losses, weights and influence on the same documents."""
    for step in steps:
        place = by_hand(folder / "checkpoints" / str(step))
        rewrite(place, INFLUENCE, delta_loss=np.full((T, N), step, "f4"))
        for name in ("activations", "weights", "heads", "closure", "effects", "promoted"):
            (place / f"{name}.safetensors").unlink()
        for name in ("neurons", "closure", "tokens"):
            (place / f"{name}.parquet").unlink()
    return folder


def test_checkpoints_are_written_and_read_back(folder, tmp_path):
    made = load(trained(folder, 9, 128))
    save(made, tmp_path / "copy")
    again = load(tmp_path / "copy")
    assert list(again.checkpoints) == [9, 128]
    for step, checkpoint in again.checkpoints.items():
        assert checkpoint.delta_loss.unique().tolist() == [step]
        assert checkpoint.heads is None
        assert checkpoint.checkpoints == {}
        np.testing.assert_array_equal(checkpoint.panel.loss, made.checkpoints[step].panel.loss)
    assert json.loads((tmp_path / "copy" / "checkpoints" / "9" / "manifest.json").read_text())["contents"]


def test_checkpoints_are_read_when_they_are_asked_for(folder, monkeypatch):
    made = load(trained(folder, 9))
    monkeypatch.setattr(store, "load", lambda path: pytest.fail("read again"))
    assert list(made.checkpoints) == [9]
    assert 128 not in made.checkpoints
    assert len(made.checkpoints) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (gone(INFLUENCE), None),
        (gone("panel.parquet"), r"has no panel.parquet \(checkpoints/9, measurement directory\)"),
        (content(INFLUENCE, b"?"), r"influence.safetensors cannot be read.* \(checkpoints/9\)"),
        (manifest(layer=1), r"layer is 1, here it is 3 \(checkpoints/9, manifest.json\); measure both alike"),
        (manifest(training_step=-1), r"training_step is -1 \(checkpoints/9, manifest.json\)"),
        (tensor(INFLUENCE, delta_loss=np.zeros((T, 3), "f4")), r"it has 3 neurons, here there are 8 \(checkpoints/9\)"),
    ],
)
def test_a_broken_checkpoint_is_named_in_one_line(folder, fault, said):
    fault(trained(folder, 9, 128) / "checkpoints" / "9")
    made = load(folder)
    assert made.checkpoints[128].n_neurons == N, "the others can be read"
    if said is None:
        assert made.checkpoints[9].delta_loss is None
        return
    with pytest.raises(InputError, match=said) as refused:
        made.checkpoints[9]
    assert "\n" not in str(refused.value)


def test_a_checkpoint_of_other_documents_is_refused_read_or_written(made, folder, tmp_path):
    documents = made.documents.copy()
    ids = [list(row) for row in documents["input_ids"]]
    ids[0][0] = (ids[0][0] + 1) % 40  # position 0 is not scored, so nothing else changes
    other = replace(made, documents=documents.assign(input_ids=ids))
    save(other, folder / "checkpoints" / "9")
    with pytest.raises(InputError, match=r"other documents \(checkpoints/9, documents.parquet\)"):
        load(folder).checkpoints[9]
    with pytest.raises(InputError, match=r"other documents \(checkpoints/9, documents.parquet\)"):
        save(replace(made, checkpoints={9: other}), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(InputError, match="measured on other documents"):
        store.save_checkpoint(other, folder / "checkpoints" / "10", folder)


def test_the_place_of_a_checkpoint_says_whose_and_which(folder):
    assert store.checkpoint_place(folder / "checkpoints" / "512") == (folder, 512)
    assert store.checkpoint_place(folder / "checkpoints" / "last") is None
    assert store.checkpoint_place(folder / "elsewhere" / "512") is None
    assert store.checkpoint_place(folder / "no measurements" / "checkpoints" / "512") is None


# --- the cache -------------------------------------------------------------------------------------------------------


class Maker:
    """Makes the same measurements each time, and counts how often."""

    def __init__(self, measurements):
        self.measurements, self.calls = measurements, 0

    def __call__(self, shards):
        self.calls += 1
        return self.measurements


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_where_the_cache_is(monkeypatch, cache):
    assert cache_directory() == cache
    monkeypatch.delenv("NEURONULL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    if os.name == "posix" and os.uname().sysname != "Darwin":
        assert cache_directory() == Path("/elsewhere/neuronull")


def test_the_cache_makes_once_and_gives_the_same(made, cache):
    maker = Maker(made)
    first, second = cached({"model": "a", "seed": 0}, maker), cached({"seed": 0, "model": "a"}, maker)
    assert maker.calls == 1
    assert_same(made, first)
    assert_same(first, second)
    cached({"model": "a", "seed": 1}, maker)
    assert maker.calls == 2


def test_the_key_is_canonical():
    text = '{"format":"1","key":{"a":1,"b":[1.5,null]}}'
    assert cache_key({"b": [1.5, None], "a": 1}) == hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(ValueError, match="JSON"):
        cache_key({"a": float("nan")})
    with pytest.raises(TypeError, match="JSON"):
        cache_key({"a": Path("x")})


@pytest.mark.parametrize(
    "damage",
    [
        cut(INFLUENCE),
        cut("manifest.json"),
        gone("panel.parquet"),
        gone("heads.safetensors"),
        content("neurons.parquet", b""),
    ],
)
def test_a_damaged_entry_is_made_again_with_a_warning(made, cache, caplog, damage):
    maker = Maker(made)
    cached({"a": 1}, maker)
    damage(next((cache / "measurements").iterdir()))
    assert_same(made, cached({"a": 1}, maker))
    assert maker.calls == 2
    assert "are damaged and are made again" in caplog.text
    caplog.clear()
    cached({"a": 1}, maker)
    assert (maker.calls, caplog.text) == (2, "")


def test_a_cache_that_cannot_be_written_is_no_more_than_a_warning(made, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEURONULL_CACHE", str(tmp_path / "file"))
    assert cached({"a": 1}, Maker(made)) is made
    assert "the measurements were not cached: cannot write" in caplog.text


def test_two_that_make_the_same_at_once_do_not_disturb_each_other(made, cache, caplog):
    def slow(shards):
        cached({"a": 1}, Maker(made))  # another process is done first
        return replace(made)

    assert_same(made, cached({"a": 1}, slow))
    assert caplog.text == ""
    assert len(list((cache / "measurements").iterdir())) == 1


def test_a_leftover_of_a_killed_process_is_not_taken_for_an_entry(made, cache):
    maker = Maker(made)
    cached({"a": 1}, maker)
    entry_ = next((cache / "measurements").iterdir())
    entry_.rename(entry_.with_name(f".{entry_.name}.0.partial"))
    cached({"a": 1}, maker)
    assert maker.calls == 2


def test_what_a_dead_process_left_is_swept_away(made, cache):
    cached({"a": 1}, Maker(made))
    entry_ = next((cache / "measurements").iterdir())
    left = entry_.with_name(f".{entry_.name}.0.partial")
    entry_.rename(left)
    os.utime(left, (0, 0))
    cached({"a": 1}, Maker(made))
    assert [path.name for path in (cache / "measurements").iterdir()] == [entry_.name]


def test_a_blocked_entry_does_not_throw_the_measurement_away(made, cache, caplog):
    """What stands at its place is no directory, or cannot be removed: hours of work are still handed on."""
    (cache / "measurements").mkdir(parents=True)
    (cache / "measurements" / cache_key({"a": 1})).write_text("no directory")
    assert cached({"a": 1}, Maker(made)) is made
    assert "the measurements were not cached" in caplog.text


def test_shards_go_when_the_measurement_is_whole_and_stay_when_it_is_not(made, cache, monkeypatch):
    monkeypatch.setattr(shards_module, "SECONDS", 0.0)

    def cut_off(shards):
        with shards.stage("heads", torch.zeros(3, 2)) as stage:
            stage.add([0])
        raise KeyboardInterrupt

    def goes_on(shards):
        with shards.stage("heads", torch.ones(3, 2)) as stage:
            assert stage.fill() == [0]
        return made

    with pytest.raises(KeyboardInterrupt):
        cached({"a": 1}, cut_off)
    assert len(list((cache / "shards").rglob("*.shard"))) == 1
    assert not list((cache / "shards").glob("*.lease"))  # nobody holds them any more
    cached({"a": 1}, goes_on)
    assert list((cache / "shards").iterdir()) == []
