"""Docstrings of distributions as documents of real technical English, read with `ast` and never imported.

What a document is: the docstring of a public or private module, class, method or function, cleaned of its indentation
(`inspect.cleandoc`) and of doctest examples, at least `MIN_CHARACTERS` long. Tests and vendored copies of other
packages are left out. Reading is tolerant (a file that cannot be read or parsed is skipped) and deterministic. A
distribution is installed (`harvest`) or a wheel that nobody installed (`harvest_wheel`).
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path, PurePath, PurePosixPath

MIN_CHARACTERS = 200
"""A shorter docstring is a label rather than a document."""

SHINGLE_WORDS = 8
"""Words in a shingle of the near-duplicate rule."""

MAX_SEEN_SHARE = 0.5
"""A document with a larger share of its shingles in earlier documents is a near-duplicate."""

_LEFT_OUT = frozenset(
    {"tests", "test", "_vendor", "vendor", "vendored", "_vendored", "externals", "extern", "external"}
)
_DOCTEST = re.compile(r"^\s*(>>>|\.\.\.)(\s|$)")
_PROMPT = re.compile(r"^\s*>>>(\s|$)")
_BLANKS = re.compile(r"\n{3,}")
_WORD = re.compile(r"[a-z_]+|#")
_DIGITS = re.compile(r"\d+")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Docstring:
    """One document.

    Parameters
    ----------
    package
        Name of the distribution, as its metadata spells it in lower case.
    version
        Version of the distribution.
    name
        Qualified name, ``package.module.Class.method``.
    text
        The cleaned text.
    sha256
        Hash of the text in UTF-8, hexadecimal.
    """

    package: str
    version: str
    name: str
    text: str = field(repr=False)
    sha256: str


def clean(docstring: str) -> str:
    """Return a docstring without indentation, doctest examples, trailing blanks and runs of blank lines.

    An example is a ``>>>`` line, its ``...`` continuations and whatever follows up to the next blank line, which is
    how `doctest` itself delimits the expected output.
    """
    kept: list[str] = []
    in_example = False
    for line in inspect.cleandoc(docstring).splitlines():
        if not line.strip():
            in_example = False
        elif _PROMPT.match(line) or (in_example and _DOCTEST.match(line)):
            in_example = True
        if not in_example:
            kept.append(line.rstrip())
    return _BLANKS.sub("\n\n", "\n".join(kept)).strip()


def docstrings_of_source(source: bytes | str, module: str) -> Iterator[tuple[str, str]]:
    """Yield (qualified name, cleaned docstring) of a module's source, in the order of the source.

    Functions inside functions are not searched: nobody can look them up, and most of the tree is left unvisited.

    Raises
    ------
    SyntaxError, ValueError, RecursionError, MemoryError
        As `ast.parse` raises them for a source that is no Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # another package's invalid escape sequence is not for our user to mend
        tree = ast.parse(source)
    stack: list[tuple[str, ast.AST]] = [(module, tree)]
    while stack:
        name, node = stack.pop()
        if isinstance(node, Documented):
            docstring = ast.get_docstring(node, clean=False)
            if docstring:
                yield name, clean(docstring)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        stack.extend(reversed(list(_members(name, node))))


def _members(name: str, node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the statements under a node that can hold a class or function, each with its qualified name."""
    for block in ("body", "handlers", "orelse", "finalbody"):
        for child in getattr(node, block, ()):
            if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{name}.{child.name}", child
            elif isinstance(child, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
                yield name, child


def module_name(path: PurePath) -> str:
    """Return the dotted name of a source file given relative to ``site-packages``."""
    parts = [*path.parts[:-1], path.stem]
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _is_read(path: PurePath) -> bool:
    """Return whether a file of a distribution, relative to ``site-packages``, is a source that is read."""
    own = path.suffix == ".py" and path.name != "conftest.py"
    return own and ".." not in path.parts and not _LEFT_OUT.intersection(path.parts)


def source_files(package: str) -> tuple[str, list[tuple[str, Path]]]:
    """Return the version of an installed distribution and its (module, path) pairs, sorted by module.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If the distribution is not installed.
    """
    distribution = metadata.distribution(package)
    found: dict[str, Path] = {}
    for file in distribution.files or ():
        path = PurePath(*file.parts)
        if _is_read(path):
            found[module_name(path)] = Path(str(file.locate()))
    return distribution.version, sorted(found.items())


def harvest(package: str, *, min_characters: int = MIN_CHARACTERS) -> list[Docstring]:
    """Return the documents of one installed distribution, sorted by qualified name.

    Exact repeats of a text within the package are kept: `drop_near_duplicates` removes them.

    Parameters
    ----------
    package
        Name of the distribution (not of the module).
    min_characters
        Length below which a docstring is left out.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        If the distribution is not installed.
    """
    version, files = source_files(package)
    documents = [
        document
        for module, path in files
        for document in _documents(_contents(path), module, package.lower(), version, min_characters)
    ]
    return _sorted(documents)


def harvest_wheel(path: Path, *, min_characters: int = MIN_CHARACTERS) -> list[Docstring]:
    """Return the documents of a wheel, sorted by qualified name, as `harvest` would if it were installed.

    Parameters
    ----------
    path
        The ``.whl`` file; its name gives the distribution and the version.
    min_characters
        Length below which a docstring is left out.

    Raises
    ------
    OSError, zipfile.BadZipFile
        If the file is no wheel that can be read.
    """
    package, version = path.name.split("-")[:2]
    documents: list[Docstring] = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            file = PurePosixPath(name)
            if _is_read(file) and not file.parts[0].endswith((".dist-info", ".data")):
                own = package.lower().replace("_", "-")
                documents += _documents(archive.read(name), module_name(file), own, version, min_characters)
    return _sorted(documents)


def _sorted(documents: list[Docstring]) -> list[Docstring]:
    return sorted(documents, key=lambda document: (document.name, document.sha256))


def _contents(path: Path) -> bytes:
    """Return the bytes of a source; none where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _documents(source: bytes, module: str, package: str, version: str, min_characters: int) -> Iterator[Docstring]:
    """Yield the documents of one source; none when it is no Python."""
    try:
        found = list(docstrings_of_source(source, module))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for name, text in found:
        if len(text) < min_characters:
            continue
        try:
            digest = text_hash(text)
        except UnicodeEncodeError:  # a lone surrogate escape: no UTF-8, so no tokenizer could take it
            continue
        yield Docstring(package, version, name, text, digest)


def text_hash(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def shingles(text: str) -> frozenset[int]:
    """Return the hashed runs of `SHINGLE_WORDS` words of a text, case, digits, punctuation and spacing set aside.

    The hash is the same in every process, unlike Python's own for strings.
    """
    words = _WORD.findall(_DIGITS.sub("#", text.lower()))
    runs = range(max(1, len(words) - SHINGLE_WORDS + 1))
    return frozenset(
        int.from_bytes(
            hashlib.blake2b(" ".join(words[i : i + SHINGLE_WORDS]).encode(), digest_size=8).digest(), "little"
        )
        for i in runs
    )


def drop_near_duplicates(
    documents: Iterable[Docstring],
    *,
    max_seen_share: float = MAX_SEEN_SHARE,
    seen: set[int] | None = None,
    most: int | None = None,
) -> list[Docstring]:
    """Return the documents of which at most `max_seen_share` of the shingles occur in documents kept before.

    Parameters
    ----------
    documents
        In the order in which the first of several alike is to be kept.
    max_seen_share
        Largest share of a document's shingles that may have been seen, in [0, 1).
    seen
        Shingles that count as seen from the start (for instance those of the training text); it is updated in place
        with the shingles of the documents that are kept.
    most
        Stop once so many are kept; all by default.

    Raises
    ------
    ValueError
        If `max_seen_share` is not in [0, 1).
    """
    if not 0 <= max_seen_share < 1:
        raise ValueError(f"max_seen_share must be in [0, 1), got {max_seen_share}")
    known = set() if seen is None else seen
    kept: list[Docstring] = []
    for document in documents:
        if len(kept) == most:
            break
        own = shingles(document.text)
        if len(own & known) > max_seen_share * len(own):
            continue
        known |= own
        kept.append(document)
    return kept
