"""Sets of neurons chosen elsewhere: from files, from Python, in a measurement directory."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from handmade import N, manifest

from neuronull.data.errors import InputError
from neuronull.data.neuron_list import NeuronList, neuron_list, read_neuron_list
from neuronull.data.store import load, save

GOOD = {
    "entropy.json": '{"name": "entropy neurons", "layer": 3, "neurons": [5, 2, 7]}',
    "list.json": "[5, 2, 7]",
    "unnamed.json": '{"neurons": [5, 2, 7]}',
    "found.csv": "neuron\n5\n2\n7\n",
    "layered.csv": "layer,neuron,score\n3,5,.1\n3,2,.2\n3,7,.3\n",
    "found.tsv": "neuron\tscore\n5\t.1\n2\t.2\n7\t.3\n",
    "lines.txt": "5\n2\n7\n",
    "commas": "5, 2,7",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_read(tmp_path, name):
    (tmp_path / name).write_text(GOOD[name])
    found = read_neuron_list(tmp_path / name)
    assert found.neurons.tolist() == [2, 5, 7]
    assert found.neurons.dtype == np.int64
    assert found.name == ("entropy neurons" if name == "entropy.json" else name.split(".")[0])
    assert found.layer == (3 if name in ("entropy.json", "layered.csv") else None)


def test_parquet_can_be_read(tmp_path):
    pd.DataFrame({"neuron": [5, 2], "layer": [1, 1]}).to_parquet(tmp_path / "p.parquet")
    found = read_neuron_list(str(tmp_path / "p.parquet"))
    assert (found.name, found.neurons.tolist(), found.layer) == ("p", [2, 5], 1)


BAD = {
    "negative": ("s.txt", "3 -1", "neuron '-1' is not a whole number of at least 0"),
    "not whole": ("s.json", "[1.5]", "neuron 1.5 is not a whole number"),
    "true": ("s.json", "[true]", "neuron True is not a whole number"),
    "no number": ("s.json", "[NaN]", "neuron nan is not a whole number"),
    "infinite": ("s.json", "[Infinity]", "neuron inf is not a whole number"),
    "huge": ("s.json", f"[{10**400}]", "is not a whole number"),
    "words": ("s.txt", "one two", "neuron 'one' is not a whole number"),
    "twice": ("s.txt", "3 4 3", r"neuron 3 is there twice \(--set s.txt\); give each neuron once"),
    "many twice": ("s.txt", " ".join(map(str, [*range(9), *range(9)])), r"neurons 0, 1, 2, 3, 4 and 4 more are there"),
    "empty": ("s.txt", " \n", "the set 's' is empty"),
    "empty list": ("s.json", "[]", "the set 's' is empty"),
    "no list": ("s.json", '{"neurons": 3}', "the neurons of 's' are no list"),
    "no neurons": ("s.json", '{"name": "x"}', "s.json has no list neurons"),
    "a number": ("s.json", "3", "s.json has no list neurons"),
    "unknown key": ("s.json", '{"neurons": [1], "set": 1}', "s.json has 'set'"),
    "no JSON": ("s.json", "[1", "s.json is not JSON"),
    "name": ("s.json", '{"neurons": [1], "name": "a\\nb"}', r"the set's name is 'a\\nb'"),
    "layer": ("s.json", '{"neurons": [1], "layer": "last"}', "layer 'last' is not a whole number"),
    "no column": ("s.csv", "index\n3\n", r"s.csv has no column neuron \(it has index\)"),
    "two layers": ("s.csv", "neuron,layer\n1,0\n2,1\n", "s.csv has neurons of layers 0, 1"),
    "binary": ("s.bin", "1\0", "s.bin is not text"),
}


@pytest.mark.parametrize(("name", "content", "says"), BAD.values(), ids=BAD.keys())
def test_what_is_refused_in_one_line(tmp_path, name, content, says):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=says) as caught:
        read_neuron_list(tmp_path / name)
    assert str(caught.value).isprintable()


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(InputError, match=r"no such file: .*none \(--set\)"):
        read_neuron_list(tmp_path / "none")
    (tmp_path / "s").write_bytes(b"\xff\xfe1")
    with pytest.raises(InputError, match="s is not text"):
        read_neuron_list(tmp_path / "s")


def test_a_layer_must_have_the_neurons():
    found = neuron_list("mine", [1, 7], layer=2)
    found.check(8, 2)
    found.check(0, 2)  # how many there are is not known
    with pytest.raises(InputError, match=r"the set 'mine' has neuron 7, the layer has 7 neurons .*from 0 to 6"):
        found.check(7, 2)
    with pytest.raises(InputError, match=r"is of layer 2, layer 3 is measured .*measure --layer 2"):
        found.check(8, 3)


def test_a_measurement_directory_carries_a_set(folder, tmp_path):
    assert load(folder).neuron_list is None
    (folder / "set.json").write_text(json.dumps({"name": "mine", "layer": 3, "neurons": [6, 1]}))
    manifest(set={"name": "mine", "rule": "by hand"})(folder)
    made = load(folder)
    assert (made.neuron_list.name, made.neuron_list.neurons.tolist()) == ("mine", [1, 6])
    assert (made.manifest.set.name, made.manifest.set.rule) == ("mine", "by hand")
    save(made, tmp_path / "copy")
    again = load(tmp_path / "copy")
    assert again.neuron_list.payload() == {"name": "mine", "layer": 3, "neurons": [1, 6]}
    assert "set.json" in json.loads((tmp_path / "copy" / "manifest.json").read_text())["contents"]


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ({"name": "mine", "neurons": [N]}, rf"has neuron {N}, the layer has {N} neurons \(set.json\)"),
        ({"name": "mine", "neurons": [1], "layer": 2}, r"is of layer 2, layer 3 is measured \(set.json\)"),
        ({"name": "other", "neurons": [1]}, r"set is 'mine', set.json holds 'other' \(manifest.json\)"),
        ({"name": "mine", "neurons": [1, 1]}, r"neuron 1 is there twice \(set.json\)"),
    ],
)
def test_a_set_that_the_measurements_cannot_have(folder, held, says):
    (folder / "set.json").write_text(json.dumps(held))
    manifest(set={"name": "mine", "rule": "by hand"})(folder)
    with pytest.raises(InputError, match=says):
        load(folder)


def test_a_set_is_checked_before_it_is_written(folder, tmp_path):
    made = replace(load(folder), neuron_list=NeuronList("mine", np.array([N])))
    with pytest.raises(InputError, match=f"has neuron {N}"):
        save(made, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_conditions_stand_in_the_manifest(folder, tmp_path):
    old = load(folder).conditions
    assert (old.a.name, old.b.phrase) == ("rare", "common tokens")
    assert old.rule == "frequency rank of the target token beyond 15 % of the vocabulary"
    given = {"a": {"name": "code", "phrase": "code"}, "b": {"name": "prose", "phrase": "prose"}, "rule": "by hand"}
    manifest(conditions=given, threshold=None)(folder)
    made = load(folder)
    assert (made.conditions.a.name, made.conditions.b.name, made.conditions.rule) == ("code", "prose", "by hand")
    save(made, tmp_path / "copy")
    assert load(tmp_path / "copy").conditions == made.conditions
    assert json.loads((tmp_path / "copy" / "manifest.json").read_text())["conditions"] == given


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"threshold": None}, "threshold is None .*null where conditions says"),
        ({"conditions": {"a": {"name": "x", "phrase": "x"}, "rule": ""}}, r"conditions\.b: .*[Rr]equired"),
        (
            {"conditions": {key: {"name": "x", "phrase": "x"} for key in "ab"} | {"rule": ""}},
            "both conditions are named 'x'",
        ),
        ({"set": {"name": "x"}}, r"set\.rule: .*[Rr]equired"),
    ],
)
def test_manifests_that_do_not_say_it_all(folder, change, says):
    manifest(**change)(folder)
    with pytest.raises(InputError, match=says):
        load(folder)


def test_faults_of_the_panel_are_told_by_the_conditions_names(folder):
    conditions = {key: {"name": name, "phrase": name} for key, name in (("a", "code"), ("b", "prose"))}
    manifest(conditions=conditions | {"rule": "by hand"}, threshold=None)(folder)
    panel = pd.read_parquet(folder / "panel.parquet")
    panel.loc[0, "class"] = 0
    panel.to_parquet(folder / "panel.parquet")
    with pytest.raises(InputError, match=r"row 0 is not code but has a match .*only code positions have one"):
        load(folder)
