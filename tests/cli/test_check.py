"""`neuronull check`: names and module:attribute, exit code 1 on failure, the count, the certificate.

What each check looks for is tested in tests/hypotheses; here a few quick ones stand for all.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from neuronull.cli import BAD_INPUT, FAILED, OK
from neuronull.hypotheses.checks import conformance

QUICK = ("declared", "contract", "seeds")

DEAF = '''
from neuronull.hypotheses.nulls.random_sets import RandomSets

class Deaf(RandomSets):
    """Ignores the seed."""
    name = "deaf"

    def draw(self, state, replicates, seed):
        return super().draw(state, replicates, 7)
'''


@pytest.fixture(autouse=True)
def few_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: conformance.NULL_CHECKS[name] for name in QUICK}
    monkeypatch.setattr(conformance, "NULL_CHECKS", few)
    monkeypatch.setattr(sys, "path", list(sys.path))


def test_a_good_one(cli):
    ran = cli("check", "random_sets", "--out", "certificate.json")
    assert ran.code == OK
    *lines, last = ran.out.splitlines()
    assert [line.split()[1] for line in lines] == list(QUICK)
    assert last == "random_sets: 3 of 3 checks passed"
    assert json.loads(Path("certificate.json").read_text())["run"] == 3


def test_a_broken_one_from_the_working_directory(cli):
    Path("my_deaf_null.py").write_text(DEAF)
    ran = cli("check", "my_deaf_null:Deaf")
    assert ran.code == FAILED
    assert "FAILED   seeds" in ran.out
    assert ran.out.splitlines()[-1] == "deaf: 2 of 3 checks passed"


def test_as_json(cli):
    told = json.loads(cli("check", "random_sets", "--json").out)
    assert (told["target"], told["passed"], told["run"], told["failed"]) == ("random_sets", True, 3, [])


@pytest.mark.parametrize("target", ["random_set", "no_such_module:X", "fractions:Fraction", "pathlib"])
def test_no_such_target(cli, target: str):
    ran = cli("check", target)
    assert ran.code == BAD_INPUT
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model",), "which model is to be checked?"),
        (("model", "docs-gpt2", "--measurements", "m"), "a model is checked on text"),
        (("random_sets", "docs-gpt2"), "one target at a time"),
    ],
)
def test_words_that_do_not_go_together(cli, words: tuple[str, ...], said: str):
    ran = cli("check", *words)
    assert ran.code == BAD_INPUT
    assert said in ran.err
