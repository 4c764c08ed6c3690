"""`ls`, `show` and `new`."""

from __future__ import annotations

import ast
import json
import tomllib
from pathlib import Path

import pytest

from neuronull.cli import OK, main
from neuronull.data.registry import Registry
from neuronull.hypotheses.catalogue import known_hypotheses, nulls


@pytest.mark.parametrize("kind", ["papers", "hypotheses", "nulls", "models", "corpora"])
def test_ls_tells_the_same_in_text_and_json(cli, kind: str):
    rows = json.loads(cli("ls", kind, "--json").out)
    assert all(set(row) == {"id", "what", "origin"} for row in rows)
    lines = cli("ls", kind).out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [row["id"] for row in rows]


def test_ls_names_a_broken_plug_in_and_goes_on(cli, monkeypatch):
    monkeypatch.setattr(Registry, "broken", lambda self: {"mine": "ImportError: no module named x (package y 1)"})
    ran = cli("ls", "nulls")
    assert ran.code == OK
    assert "matched_sets" in ran.out
    assert "mine" in ran.err
    assert "cannot be used: ImportError" in ran.err


@pytest.mark.parametrize("name", ["control.whole_layer", "docs", "liu2025", *nulls.names(), *known_hypotheses()])
def test_show_tells_what_is_declared(cli, name: str):
    text, told = cli("show", name), json.loads(cli("show", name, "--json").out)
    assert text.code == OK
    assert text.out.splitlines()[0].endswith(f" {name}")
    assert next(iter(told.values()))["origin"] == "built in"


def test_show_a_null_model(cli):
    told = json.loads(cli("show", "document_swaps", "--json").out)["null model"]
    assert told["randomises"] == "labels"
    assert {"preserves", "breaks", "exchangeable", "reference"} <= set(told)


def test_new_null_writes_a_package(cli):
    ran = cli("new", "null", "shuffled_layers")
    assert ran.code == OK
    folder = Path("neuronull-shuffled-layers")
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    module, _, kind = project["entry-points"]["neuronull.nulls"]["shuffled_layers"].partition(":")
    source = (folder / "src" / module / "__init__.py").read_text()
    assert kind in {node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    ast.parse((folder / "tests" / "test_shuffled_layers.py").read_text())


def test_the_scaffold_draws(cli, monkeypatch):
    cli("new", "null", "free_relabelling")
    monkeypatch.syspath_prepend(str(Path("neuronull-free-relabelling/src").absolute()))
    from neuronull_free_relabelling import FreeRelabelling  # type: ignore[import-not-found]

    null = FreeRelabelling()
    observed = null.example()
    draws = null.draw(null.prepare(None, observed), range(1, 6), seed=0)
    assert draws.shape == (5, 4)
    assert all(kept for draw in draws for _, kept in null.invariants(observed, draw))


def test_without_a_kind_everything_is_listed(capsys):
    assert main(["ls"]) == 0
    said = capsys.readouterr().out
    kinds = ["PAPERS", "HYPOTHESES", "NULLS", "MODELS", "CORPORA"]
    assert [line for line in said.splitlines() if line.isupper()] == kinds
    assert main(["ls", "--json"]) == 0
    assert {entry["id"] for entry in json.loads(capsys.readouterr().out)["papers"]} >= {"liu2025", "stolfo2024"}
