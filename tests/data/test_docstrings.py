"""Harvesting docstrings: small distributions with everything that goes wrong in real ones."""

from __future__ import annotations

import hashlib
import warnings
import zipfile
from pathlib import Path

import pytest

from neuronull.data.docstrings import (
    Docstring,
    clean,
    docstrings_of_source,
    drop_near_duplicates,
    harvest,
    harvest_wheel,
    shingles,
    text_hash,
)

LONG = "A sentence about variances, graphs and their spectra, long enough to count as a document. " * 3


def install(site: Path, name: str, version: str, files: dict[str, bytes | str]) -> None:
    """Write a distribution as pip would: sources, METADATA and RECORD."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for path, body in files.items():
        target = site / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body.encode() if isinstance(body, str) else body)
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in [*files, f"{name}-{version}.dist-info/METADATA"]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_doctest_goes_with_its_output_and_prose_stays() -> None:
    text = clean(
        """First line.

        >>> x = f(1,
        ...       2)
        >>> x
        array([1, 2])
        Out of the example only after a blank line.

        An ellipsis in prose
        ... is no doctest.


        Last.
        """
    )
    assert text == "First line.\n\nAn ellipsis in prose\n... is no doctest.\n\nLast."


def test_names_follow_classes_branches_and_async_but_not_local_functions() -> None:
    source = '''"""m"""
class A:
    """A"""
    def f(self):
        """f"""
        def local():
            """local"""
    class B:
        """B"""
try:
    import fast
except ImportError:
    async def g():
        """g"""
else:
    if fast:
        def g():
            """g, fast"""
'''
    assert list(docstrings_of_source(source, "p.m")) == [
        ("p.m", "m"),
        ("p.m.A", "A"),
        ("p.m.A.f", "f"),
        ("p.m.A.B", "B"),
        ("p.m.g", "g"),
        ("p.m.g", "g, fast"),
    ]


def test_harvest_survives_files_that_are_no_python(site: Path) -> None:
    install(
        site,
        "toyharvest",
        "1.2",
        {
            "toyharvest/__init__.py": f'"""{LONG}"""\nraise RuntimeError("imported")\n',
            "toyharvest/broken.py": f'"""{LONG}"""\ndef f(:\n',
            "toyharvest/binary.py": b"\x00\x01\xff",
            "toyharvest/latin.py": b'# -*- coding: latin-1 -*-\n"""' + f"Élan {LONG}".encode("latin-1") + b'"""\n',
            "toyharvest/undeclared.py": b'"""\xc9lan ' + LONG.encode() + b'"""\n',
            "toyharvest/surrogate.py": '"""\\ud800 ' + LONG + '"""\n',
            "toyharvest/escape.py": 'def f():\n    """\\d ' + LONG + '"""\n',
            "toyharvest/short.py": '"""Too short."""\n',
            "toyharvest/tests/test_it.py": f'"""{LONG}"""\n',
            "toyharvest/_vendor/copy.py": f'"""{LONG}"""\n',
            "toyharvest/data.txt": LONG,
        },
    )
    (site / "toyharvest" / "gone.py").touch()
    with (site / "toyharvest-1.2.dist-info" / "RECORD").open("a") as record:
        record.write("toyharvest/gone.py,,\n../outside.py,,\n")
    (site / "toyharvest" / "gone.py").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an invalid escape in somebody else's source must not reach the user
        documents = harvest("toyharvest")
    assert [d.name for d in documents] == ["toyharvest", "toyharvest.escape.f", "toyharvest.latin"]
    assert {(d.package, d.version) for d in documents} == {("toyharvest", "1.2")}
    assert documents[2].text.startswith("Élan ")
    for document in documents:
        assert document.sha256 == hashlib.sha256(document.text.encode()).hexdigest()


def test_a_wheel_reads_as_if_it_were_installed(site: Path) -> None:
    files: dict[str, bytes | str] = {
        "toy_wheel/__init__.py": f'"""{LONG}"""\n',
        "toy_wheel/sub/__init__.py": f'def f():\n    """{LONG} More of f."""\n',
        "toy_wheel/broken.py": f'"""{LONG}"""\ndef f(:\n',
        "toy_wheel/tests/test_it.py": f'"""{LONG}"""\n',
        "conftest.py": f'"""{LONG}"""\n',
        "toy_wheel-1.2.data/scripts/run.py": f'"""{LONG}"""\n',
    }
    wheel = site / "toy_wheel-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    del files["toy_wheel-1.2.data/scripts/run.py"]  # pip puts it on the path, not into the package
    install(site, "toy_wheel", "1.2", files)
    documents = harvest_wheel(wheel)
    assert [d.name for d in documents] == ["toy_wheel", "toy_wheel.sub.f"]
    assert documents == harvest("toy-wheel")


def document(name: str, text: str) -> Docstring:
    return Docstring("p", "1", name, text, text_hash(text))


def test_near_duplicates_go_and_the_first_stays() -> None:
    words = [f"word{'abcdefghij'[i % 10]}{'klmnopqrst'[i // 10]}" for i in range(100)]
    original = document("a", " ".join(words))
    renumbered = document("b", "  ".join(words).upper() + " 17")
    half_new = document("c", " ".join(words[:40] + [w + "new" for w in words[40:]]))
    kept = drop_near_duplicates([original, renumbered, half_new])
    assert [d.name for d in kept] == ["a", "c"]
    assert [d.name for d in drop_near_duplicates([original, half_new], max_seen_share=0.2)] == ["a"]
    assert drop_near_duplicates([half_new], seen=set(shingles(half_new.text))) == []
    seen: set[int] = set()
    assert drop_near_duplicates([original, half_new], seen=seen, most=1) == [original]
    assert seen == shingles(original.text)  # what comes after the last one kept is not read


def test_shingles_set_digits_case_and_spacing_aside() -> None:
    assert shingles("Draw 100 samples,\n of size 3") == shingles("draw 7  samples of SIZE 12")
    # a fixed value: the hash must be the same in every process and on every machine
    assert min(shingles("one two three four five six seven eight")) == 2606485461350885844


def test_a_share_outside_the_unit_interval_is_refused() -> None:
    with pytest.raises(ValueError, match=r"max_seen_share must be in \[0, 1\), got 1\.5"):
        drop_near_duplicates([], max_seen_share=1.5)
