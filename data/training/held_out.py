"""Make the embedded corpus: ``python -m neuronull.data.training.held_out --training DIR --out DIR``.

Its text is docstrings of packages that the models were not trained on, read from the pinned wheels of ``held_out.txt``,
which pip fetches from PyPI and nothing runs. ``--training`` is what `neuronull.data.training.build` wrote: no document
may be near the training text. Written to ``--out``: the documents, the licences they are under, and ``corpus.json``.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..docstrings import MIN_CHARACTERS, SHINGLE_WORDS, Docstring, drop_near_duplicates, harvest_wheel
from .pins import PINS, Pin, read_pins

MOST = 20
"""Documents of one package, at most: a few large packages would else be most of the text."""

MIN_TOKENS = 128
"""Half of the models' context, which is what a document must have to be measured."""

MAX_SEEN = 0.1
"""A document with a larger share of its shingles in the training text or in held-out documents is dropped."""

_ORDER_KEY = "neuronull held-out order 2"
_LICENCE = re.compile(r"(.*[-_])?(LICEN[CS]E|COPYING|NOTICE)\b.*", re.IGNORECASE)
_ONLY_PURE = ("--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none", "--python-version=3.11")


def fetch(directory: Path, pins: Path = PINS) -> None:
    """Fetch the pinned wheels into a directory; pip compares their hashes and installs nothing.

    Raises
    ------
    subprocess.CalledProcessError
        If pip cannot find one, or its hash is another.
    """
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", *_ONLY_PURE]
    subprocess.run([*pip, "--dest", str(directory), "--requirement", str(pins)], check=True)


def wheels(directory: Path, pins: Sequence[Pin]) -> dict[str, Path]:
    """Return the wheel of each package.

    Raises
    ------
    ValueError
        If one is missing, or is not the pinned one.
    """
    by_hash = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in directory.glob("*.whl")}
    missing = [f"{pin.package}=={pin.version}" for pin in pins if pin.sha256 not in by_hash]
    if missing:
        raise ValueError(f"{directory} lacks the pinned wheels of {', '.join(missing)}")
    return {pin.package: by_hash[pin.sha256] for pin in pins}


def order_key(document: Docstring) -> str:
    """Return the key that orders the documents of a package: a keyed hash, blind to what they say."""
    return hashlib.sha256(f"{_ORDER_KEY}\0{document.name}\0{document.sha256}".encode()).hexdigest()


def choose(
    found: Mapping[str, Sequence[Docstring]], seen: set[int], tokens: Callable[[str], int], most: int = MOST
) -> list[Docstring]:
    """Return the held-out documents in rounds: one of each package that has one left, then the next of each.

    So the packages have equal shares of any first D documents, to within one document, until one of them runs out.
    Within a package and within a round the order is that of `order_key`.

    Parameters
    ----------
    found
        The documents of each package.
    seen
        Shingles of the training text; it is updated with those of the chosen documents.
    tokens
        Number of tokens of a text.
    most
        Documents of one package, at most.
    """
    rounds: list[list[Docstring]] = [[] for _ in range(most)]
    for documents in found.values():
        long_enough = (d for d in sorted(documents, key=order_key) if tokens(d.text) >= MIN_TOKENS)
        for turn, document in zip(
            rounds, drop_near_duplicates(long_enough, max_seen_share=MAX_SEEN, seen=seen, most=most), strict=False
        ):
            turn.append(document)
    return [document for turn in rounds for document in sorted(turn, key=order_key)]


def licence_texts(wheel: Path) -> list[str]:
    """Return the licences and notices of a wheel, without those of what it bundles (which lie in folders below).

    Raises
    ------
    ValueError
        If it holds none.
    """
    texts = []
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            _, _, rest = name.partition(".dist-info/")
            file = PurePosixPath(rest)
            if _LICENCE.fullmatch(file.name) and file.parts[:-1] in ((), ("licenses",)):
                lines = archive.read(name).decode("utf-8", errors="replace").splitlines()
                texts.append("\n".join(line.rstrip() for line in lines).strip("\n"))
    if not texts:
        raise ValueError(f"{wheel.name} holds no licence")
    return texts


def attribution(pins: Sequence[Pin], texts: Mapping[str, Sequence[str]]) -> str:
    """Return one text with every licence and notice, each once, above it the packages that it came with."""
    named: dict[str, list[str]] = {}
    for pin in pins:
        for text in texts[pin.package]:
            named.setdefault(text, []).append(f"{pin.package} {pin.version} ({pin.licence})")
    rule = "=" * 100
    head = (
        "The documents of the embedded corpus (documents.jsonl.gz) are docstrings of the packages named below,\n"
        "cleaned of indentation and examples. Each stays under the licence of its package; all of them follow.\n"
    )
    return head + "".join(f"\n{rule}\n{chr(10).join(names)}\n{rule}\n\n{text}\n" for text, names in named.items())


def build(training: Path, directory: Path, out: Path) -> dict[str, Any]:
    """Write ``documents.jsonl.gz``, ``licences.txt`` and ``corpus.json``, and return what ``corpus.json`` says.

    Parameters
    ----------
    training
        What `neuronull.data.training.build` wrote.
    directory
        Holds the pinned wheels.
    out
        Where to write.

    Raises
    ------
    ValueError
        As `wheels` and `licence_texts` do, or if a package was trained on.
    """
    from tokenizers import Tokenizer

    record: dict[str, Any] = json.loads((training / "corpus.json").read_text(encoding="utf-8"))
    tokenizer = Tokenizer.from_file(str(training / "tokenizer.json"))
    pins = read_pins()
    trained = sorted({pin.package for pin in pins} & set(record["training"]["packages"]))
    if trained:
        raise ValueError(f"trained on, so not held out: {', '.join(trained)}")
    paths = wheels(directory, pins)
    found = {pin.package: harvest_wheel(paths[pin.package]) for pin in pins}
    seen = set(np.load(training / "shingles.npy").tolist())
    documents = choose(found, seen, lambda text: len(tokenizer.encode(text).ids))
    rows = ({"package": d.package, "name": d.name, "text": d.text} for d in documents)
    body = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()

    out.mkdir(parents=True, exist_ok=True)
    (out / "documents.jsonl.gz").write_bytes(gzip.compress(body, mtime=0))
    texts = {pin.package: licence_texts(paths[pin.package]) for pin in pins}
    (out / "licences.txt").write_text(attribution(pins, texts), encoding="utf-8")
    counted = {pin.package: sum(d.package == pin.package for d in documents) for pin in pins}
    record["held_out"] = {
        "rules": {
            "min_characters": MIN_CHARACTERS,
            "min_tokens": MIN_TOKENS,
            "shingle_words": SHINGLE_WORDS,
            "max_seen_share": MAX_SEEN,
            "most_of_a_package": MOST,
        },
        "documents": len(documents),
        "sha256": hashlib.sha256(body).hexdigest(),
        "packages": {
            pin.package: {"version": pin.version, "licence": pin.licence, "documents": counted[pin.package]}
            for pin in pins
        },
    }
    (out / "corpus.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m neuronull.data.training.held_out", description=__doc__)
    parser.add_argument("--training", type=Path, required=True, help="directory made by neuronull.data.training.build")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        fetch(Path(directory))
        print(json.dumps(build(options.training, Path(directory), options.out)["held_out"], indent=1))


if __name__ == "__main__":
    main()
