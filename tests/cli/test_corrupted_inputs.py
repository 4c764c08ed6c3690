"""Every file that a user can name, broken in every way: one printable line, exit code 2, in little time and memory.

All cases run one after the other in a process of their own (`python test_corrupted_inputs.py FOLDER`), whose memory is
looked at afterwards.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SECONDS = 60
MOST_MEMORY_MIB = 2048
DEEP = "[" * 200_000
NUMBER = "9" * 5000

Breaks = Callable[[Path], None]


def _replaced(content: bytes) -> Breaks:
    return lambda path: path.write_bytes(content) and None


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: max(1, path.stat().st_size // 2)])


def _instead(make: Callable[[Path], object]) -> Breaks:
    def breaks(path: Path) -> None:
        path.unlink()
        make(path)

    return breaks


BREAKS: dict[str, Breaks] = {
    "empty": lambda path: path.write_bytes(b"") and None,
    "half": _truncated,
    "noise": _replaced(bytes((k * 7919 + 13) % 256 for k in range(5000))),
    "zeros": _replaced(b"\0" * 5000),
    "not UTF-8": _replaced(b'{"a": "\xff\xfe\xed\xa0\x80"}'),
    "deep": _replaced(DEEP.encode()),
    "a long number": _replaced(b'{"a": ' + NUMBER.encode() + b"}"),
    "escapes": _replaced(b"\x1b[31m[red]\x07\x9b]0;title\x07\r\n"),
    "a pipe": _instead(lambda path: os.mkfifo(path)),
    "a folder": _instead(lambda path: path.mkdir()),
    "a dangling link": _instead(lambda path: path.symlink_to(path.parent / "nothing-there")),
    "a device": _instead(lambda path: path.symlink_to("/dev/zero")),
}

MEASURED = ("manifest.json", "documents.parquet", "panel.parquet", "neurons.parquet", "influence.safetensors",
            "activations.safetensors", "weights.safetensors", "heads.safetensors")  # fmt: skip
CORPORA = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".jsonl.gz", ".jsonl.zst")


def places(folder: Path) -> Iterator[tuple[str, list[str], str, Path]]:
    """Yield name, command, the file that is broken in it, and the folder that is copied for each case."""
    for listed in ("listed", "by hand"):
        for file in MEASURED:
            if (folder / listed / file).exists():
                yield f"measurements {listed}, {file}", ["run", "--measurements", "{}"], file, folder / listed
    for suffix in CORPORA:
        yield f"corpus {suffix}", ["run", "--corpus", f"{{}}/c{suffix}"], f"c{suffix}", folder / "files"
    for option, names in {
        "--counts": ("counts.npy", "counts.npz"), "--conditions": ("conditions.json", "conditions.csv"),
        "--set": ("set.json", "set.csv", "set.txt"), "--plan": ("plan.json",), "--cluster": ("clusters.csv",),
    }.items():  # fmt: skip
        for name in names:
            yield f"{option} {name}", ["run", option, f"{{}}/{name}"], name, folder / "files"
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        yield f"model {name}", ["run", "--model", "{}"], name, folder / "model"
    yield "sweep", ["sweep", "{}/grid.toml"], "grid.toml", folder / "files"
    yield "report", ["report", "{}/results.json"], "results.json", folder / "files"


def _write_inputs(folder: Path) -> None:
    import gzip

    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from neuronull.data.embedded import embedded_model_path
    from neuronull.data.planted import Settings, planted_measurements
    from neuronull.data.store import save

    save(planted_measurements(Settings(documents=40, pairs=8, neurons=320), 0), folder / "listed")
    shutil.copytree(folder / "listed", folder / "by hand")
    manifest = json.loads((folder / "by hand" / "manifest.json").read_text())
    manifest.pop("files", None)
    (folder / "by hand" / "manifest.json").write_text(json.dumps(manifest))
    shutil.copytree(embedded_model_path("docs-gpt2"), folder / "model", ignore=shutil.ignore_patterns("checkpoints"))
    files = folder / "files"
    files.mkdir()
    texts = pd.DataFrame(
        {"text": [f"Document {k} says a few words, and then some more of them. " * 20 for k in range(30)]}
    )
    lines = texts.to_json(orient="records", lines=True)
    for suffix in (".jsonl", ".ndjson"):
        (files / f"c{suffix}").write_text(lines)
    (files / "c.json").write_text(texts.to_json(orient="records"))
    texts.to_csv(files / "c.csv", index=False)
    texts.to_csv(files / "c.tsv", index=False, sep="\t")
    texts.to_parquet(files / "c.parquet")
    table = pa.Table.from_pandas(texts)
    with pa.OSFile(str(files / "c.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    (files / "c.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    with pa.CompressedOutputStream(str(files / "c.jsonl.zst"), "zstd") as stream:
        stream.write(lines.encode())
    counts = np.arange(2048)
    np.save(files / "counts.npy", counts)
    np.savez(files / "counts.npz", counts=counts)
    conditions = {"a": {"name": "x", "token_ids": [5, 6]}, "b": {"name": "y", "token_ids": [7, 8]}, "rule": "by hand"}
    (files / "conditions.json").write_text(json.dumps(conditions))
    (files / "conditions.csv").write_text("condition,token_id\na,5\nb,6\n")
    (files / "set.json").write_text(json.dumps({"name": "s", "layer": 3, "neurons": list(range(20))}))
    (files / "set.csv").write_text("neuron\n" + "\n".join(map(str, range(20))))
    (files / "set.txt").write_text("\n".join(map(str, range(20))))
    (files / "clusters.csv").write_text("source,cluster\n" + "\n".join(f"s{k},1" for k in range(9)))
    (files / "plan.json").write_text("{}")
    (files / "grid.toml").write_text("[grid]\nseed = [0, 1]\n")
    (files / "results.json").write_text("{}")


def _ran(words: list[str]) -> tuple[object, str]:
    from neuronull.cli import main

    said = io.StringIO()

    def too_long(*_: object) -> None:
        raise TimeoutError("it hangs")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code: object = main(words)
    except SystemExit as end:
        code = end.code
    except BaseException as error:
        code = f"{type(error).__name__}: {error}"[:200]
    finally:
        signal.alarm(0)
    return code, said.getvalue()


def _wrong(code: object, said: str) -> str:
    """What is not as it must be, or nothing."""
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    if code != 2:
        return f"exit code {code}"
    if len(lines) != 1 or said.rstrip("\n").splitlines()[-1] != lines[0]:
        return f"{len(lines)} error lines"
    return "" if lines[0].isprintable() else "not printable"


def run_all(folder: Path) -> None:
    """Run every case, and print what is wrong, a JSON line each."""
    _write_inputs(folder)
    os.environ["NEURONULL_CACHE"] = str(folder / "cache")
    os.chdir(folder)
    cases = 0
    for name, command, file, source in places(folder):
        for how, breaks in BREAKS.items():
            place = folder / "case"
            shutil.copytree(source, place)
            breaks(place / file)
            words = [word.format(place) for word in command]
            if command[0] == "run":
                words += ["--replicates", "39", "--documents", "20", "--out", str(folder / "out")]
            code, said = _ran(words)
            cases += 1
            wrong = _wrong(code, said)
            if wrong:
                print(json.dumps([name, how, wrong, said[-400:]]), flush=True)
            if (folder / "out").exists():
                shutil.rmtree(folder / "out")
            shutil.rmtree(place)
    print(json.dumps({"cases": cases, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


def test_every_corrupted_input_is_refused_in_one_line(tmp_path: Path):
    said = subprocess.run(
        [sys.executable, __file__, str(tmp_path)], capture_output=True, text=True, timeout=3600, check=False
    )
    assert said.returncode == 0, said.stderr
    *wrong, summary = map(json.loads, said.stdout.splitlines())
    assert wrong == []
    assert summary["cases"] >= 300
    assert summary["mib"] < MOST_MEMORY_MIB


if __name__ == "__main__":
    run_all(Path(sys.argv[1]))
