"""What the command line says: help, version, and one line for every mistake."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest

from neuronull import pipeline
from neuronull.cli import BAD_INPUT, INTERRUPTED, OK, _spread

MISTAKES = {
    "unknown sub-command": ("rnu", r"no such command 'rnu' .*did you mean run\?"),
    "unknown option": ("run --modle x", r"no such option: --modle \(neuronull run\); did you mean --model\?"),
    "unknown option, nothing near": ("run --zzz", r"no such option: --zzz \(neuronull run\); see neuronull run --help"),
    "option without value": ("run --documents", r"option '--documents' requires an argument"),
    "several-valued option without value": ("run --only --seed 1", r"--only requires a value, and --seed follows"),
    "flag with a value": ("run --elbow=3", r"option '--elbow' does not take a value"),
    "too many arguments": ("run extra", r"unexpected extra argument.*extra"),
    "too few arguments": ("show", r"missing argument 'ID'"),
    "missing option": ("measure", r"missing option '--out'"),
    "a word for a number": ("run --documents many", r"valid integer \(--documents\)"),
    "too few documents asked for": ("run --documents 3", r"3 is out of range \(--documents\); .*at least 20"),
    "too short a context": ("run --context 4", r"\(--context\)"),
    "threshold out of range": ("run --threshold 1.5", r"1\.5 is out of range \(--threshold\); .*between 0 and 1"),
    "alpha out of range": ("run --alpha 0.7", r"0\.7 is out of range \(--alpha\)"),
    "no replicates": ("run --replicates 0", r"0 is out of range \(--replicates\)"),
    "too few replicates for alpha": ("run --replicates 9", r"9 null draws .*\(--replicates\); give at least \d+"),
    "no workers": ("run --jobs 0", r"\(--jobs\)"),
    "batch of nothing": ("run --batch 0", r"\(--batch\)"),
    "negative seed": ("run --seed -1", r"-1 is out of range \(--seed\)"),
    "unknown choice": ("run --conditioning both", r"'both' is not one of target, input \(--conditioning\)"),
    "unknown ablation": ("run --ablation median", r"\(--ablation\)"),
    "unknown dtype": ("run --dtype int8", r"\(--dtype\)"),
    "unknown suite": ("run --suite fast", r"\(--suite\)"),
    "no layer": ("run --layer top", r"'top' is no layer \(--layer\); give last"),
    "negative layer": ("run --layer -2", r"\(--layer\)"),
    "unknown hypothesis": ("run --only clusters.withn", r"unknown hypothesis 'clusters.withn'; did you mean clusters."),
    "null without hypothesis": ("run --null hqs", r"'hqs' is not of the form HYPOTHESIS=NULL \(--null\)"),
    "two nulls for one": ("run --null a=b a=c", r"a is given two null models, b and c \(--null\)"),
    "null of an unknown hypothesis": ("run --null nothing.here=matched_sets", r"unknown hypothesis 'nothing.here'"),
    "unknown null": ("run --null clusters.within=matched_set", r"unknown null model .*did you mean matched_sets"),
    "vary without a value": ("run --vary plateau", r"'plateau' is not of the form NAME=V1,V2 \(--vary\)"),
    "vary with an empty value": ("run --vary plateau=.01,", r"plateau is given no value, or an empty one \(--vary\)"),
    "vary the unknown": ("run --vary plateu=.01", r"'plateu' cannot be varied \(--vary\); did you mean plateau\?"),
    "too many universes": (f"run --vary split={','.join(map(str, range(201)))}", r"201 split make 201 universes, at"),
    "measurements that are not there": ("run --measurements nowhere", r"no such file or directory: nowhere"),
    "measurements and a model": ("run --measurements . --model x", r"--model decides .* \(--model\); leave out"),
    "output that cannot be written": ("measure --out /proc/here/m", r"cannot write to /proc/here/m.*\(--out\)"),
    "kind that cannot be listed": ("ls null", r"'null' cannot be listed \(KIND\); did you mean nulls"),
    "nothing of that name": ("show matched_set", r"nothing is called 'matched_set' .*did you mean matched_sets"),
    "report of nothing": ("report nowhere", r"\(nowhere\)"),
    "report format": ("report . --format docx", r"no report format 'docx' \(--format\); choose html"),
    "report without suffix": ("report . --out file", r"file has no suffix"),
    "name of a new null": ("new null My-Null", r"'My-Null' cannot name a null model \(NAME\)"),
    "name that is taken": ("new null matched_sets", r"there is a null model matched_sets already: built in"),
}


@pytest.mark.parametrize(("words", "says"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_line(cli, words: str, says: str):
    ran = cli(*words.split())
    assert ran.code == BAD_INPUT
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert re.search(says, ran.err)
    assert not list(Path().iterdir()), "nothing is left in the working directory"


def test_debug_shows_the_traceback_wherever_it_stands(cli):
    for words in (["--debug", "run", "--layer", "x"], ["run", "--layer", "x", "--debug"]):
        ran = cli(*words)
        assert ran.code == BAD_INPUT
        assert "Traceback" in ran.err
        assert ran.err.splitlines()[-1].startswith("error: 'x' is no layer")


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (KeyboardInterrupt(), INTERRUPTED, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), BAD_INPUT,
         "error: No space left on device (/x/y); free some space, or choose another --out"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), BAD_INPUT, "error: Permission denied (/x); check"),
        (OSError("We couldn't connect to the Hub.\nCheck your connection."), BAD_INPUT, "error: We couldn't connect"),
        (MemoryError(), BAD_INPUT, "error: out of memory: MemoryError; give a smaller --batch"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)  # fmt: skip
def test_what_goes_wrong_on_the_way_is_one_line_and_leaves_nothing(cli, monkeypatch, raised, code: int, says: str):
    def fail(*_: object) -> None:
        raise raised

    monkeypatch.setattr(pipeline._Run, "found", fail)
    ran = cli("run", "--out", "a/b/run")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(says)
    assert ran.err.count("\n") == 1
    assert not Path("a").exists()


def test_a_fault_of_our_own_is_not_dressed_up(cli, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(pipeline._Run, "found", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        cli("run", "--out", "run")


def test_an_occupied_directory_is_refused_and_untouched(cli):
    Path("run").mkdir()
    Path("run/mine").write_text("precious")
    ran = cli("run", "--out", "run")
    assert ran.code == BAD_INPUT
    assert "is not empty (--out)" in ran.err
    assert Path("run/mine").read_text() == "precious"


def test_alone_it_prints_help(cli):
    ran = cli()
    assert ran.code == OK
    assert "Usage: neuronull" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize("command", ["run", "measure", "report", "ls", "show", "new"])
def test_every_command_has_help(cli, command: str):
    ran = cli(command, "--help")
    assert ran.code == OK
    assert f"Usage: neuronull {command}" in ran.out


def test_every_option_of_the_contract_is_there(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    options = (
        "model revision corpus counts layer suite conditioning threshold elbow no-elbow ablation plateau measurements "
        "only null documents context replicates alpha seed device dtype jobs batch out"
    )
    shown = cli("run", "--help").out
    assert [name for name in options.split() if f"--{name} " not in shown] == []


def test_version(cli):
    ran = cli("--version")
    assert ran.code == OK
    assert ran.out.startswith("neuronull 0.")


def test_as_a_process():
    """The exit code reaches the shell, and `python -m neuronull` is the command."""
    done = subprocess.run([sys.executable, "-m", "neuronull", "rnu"], capture_output=True, text=True, check=False)
    assert done.returncode == BAD_INPUT
    assert done.stderr == "error: no such command 'rnu' (neuronull); did you mean run?\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("run --only a b", "run --only a --only b"),
        ("run --null x=y z=w --seed 1", "run --null x=y --null z=w --seed 1"),
        ("run --only a --model b", "run --only a --model b"),
        ("run --only", "run --only"),
        ("report a b", "report a b"),
    ],
)
def test_several_values_in_a_row(given: str, expected: str):
    assert _spread(given.split()) == expected.split()


def test_nothing_is_estimated_where_nothing_is_measured(cli, tmp_path: Path):
    (tmp_path / "m").mkdir()
    ran = cli("run", "--estimate", "--measurements", str(tmp_path / "m"))
    assert ran.code == BAD_INPUT
    assert "nothing is measured with --measurements" in ran.err
