"""Corpus files as streams of bytes and lines, compressed or not; nothing is read without a bound."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from .errors import InputError

OPTION = "--corpus"

LONGEST = 32_000_000
"""Characters of one record (a line, a row's text, an article) at most.

The longest books have about 6 million.  More is a file without line ends, or one made to fill the memory.
"""

MOST_EXPANSION = 100
"""Bytes that a compressed file may give per byte read from it, beyond `FREE_EXPANSION`.

Text gives 2 to 20; a bomb of one repeated byte gives 1,000 (gzip) or 10,000 and more (zstd).
"""

FREE_EXPANSION = 64_000_000
"""Bytes that a compressed file gives before `MOST_EXPANSION` applies: short files may repeat themselves."""

CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
"""Suffix of a compressed file -> codec of pyarrow."""

FORMATS = "text, .jsonl, .json, .csv, .tsv, .parquet or .arrow"
"""What a corpus file can be, for hints."""

_FIRST_BYTES = 65_536

_MAGIC = {
    b"\x1f\x8b": ("compressed with gzip", "name it .gz behind its own suffix"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "name it .zst behind its own suffix"),
    b"BZh": ("compressed with bzip2", "name it .bz2 behind its own suffix"),
    b"\xfd7zXZ": ("compressed with xz", "unpack it first"),
    b"PK\x03\x04": ("a zip archive, or a document that is one inside", "unpack it, or save it as text"),
    b"%PDF-": ("a PDF file", "save it as text"),
    b"PAR1": ("a parquet file", "name it .parquet"),
    b"ARROW1": ("an Arrow file", "name it .arrow"),
}
"""First bytes of files that are no text, whatever their name says."""


def split_suffix(path: Path) -> tuple[str, str | None]:
    """Return the suffix that tells a file's format, in lower case, and the codec it is compressed with."""
    suffix = path.suffix.lower()
    if suffix not in CODECS:
        return suffix, None
    return Path(path.stem).suffix.lower(), CODECS[suffix]


def open_bytes(path: Path, shown: str) -> io.BufferedReader:
    """Open a file, unpacked if its suffix says that it is compressed.

    Raises
    ------
    OSError
        If it cannot be opened; while reading, if it is damaged.
    InputError
        While reading, if it expands beyond what text does.
    """
    _, codec = split_suffix(path)
    raw = io.FileIO(path) if codec is None else _Expanded(path, shown, codec)
    return io.BufferedReader(raw, _FIRST_BYTES)


def first_bytes(path: Path, shown: str) -> bytes:
    """Return the first bytes of a text file, unpacked.

    Raises
    ------
    InputError
        If they show that it is no text.
    """
    with open_bytes(path, shown) as stream:
        start = stream.read(_FIRST_BYTES)
    for magic, (kind, hint) in _MAGIC.items():
        if start.startswith(magic):
            raise InputError(f"{shown} is {kind}", OPTION, hint)
    if b"\0" in start:
        raise InputError(f"{shown} is binary: there are NUL bytes near its start", OPTION, f"give {FORMATS}")
    return start


def pieces(path: Path, shown: str, longest: int) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of a UTF-8 file; a line of more than `longest` characters comes in several pieces.

    Every line end is a line feed, which the last piece of a line keeps; a byte-order mark is dropped.

    Raises
    ------
    InputError
        If it is binary.
    """
    first_bytes(path, shown)
    number, starts = 0, True
    with open_bytes(path, shown) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
        while piece := text.readline(longest):
            number += starts
            starts = piece.endswith("\n")
            if "\0" in piece:
                raise InputError(f"{shown} is binary: a NUL byte in line {number}", OPTION, f"give {FORMATS}")
            yield number, piece


def lines(path: Path, shown: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of a UTF-8 file, whole.

    Raises
    ------
    InputError
        If it is binary, or a line is longer than `LONGEST`.
    """
    for number, piece in pieces(path, shown, LONGEST):
        if len(piece) == LONGEST and not piece.endswith("\n"):
            raise too_long(f"line {number} of {shown}")
        yield number, piece


def too_long(record: str) -> InputError:
    """Return the refusal of a record that is longer than `LONGEST`."""
    return InputError(
        f"{record} has more than {LONGEST:,} characters", OPTION, "split it into documents, or give it as a text file"
    )


class _Expanded(io.RawIOBase):
    """The content of a compressed file, as long as it expands no more than text does."""

    def __init__(self, path: Path, shown: str, codec: str) -> None:
        import pyarrow as pa

        self._shown, self._given = shown, 0
        self._file = path.open("rb")
        self._stream = pa.CompressedInputStream(self._file, codec)

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer."""
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        self._given += len(content)
        if self._given > max(FREE_EXPANSION, MOST_EXPANSION * self._file.tell()):
            raise InputError(
                f"{self._shown} unpacks to more than {MOST_EXPANSION} times its size, which text does not",
                OPTION,
                "unpack it and look what it holds",
            )
        return len(content)

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()
