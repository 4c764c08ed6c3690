"""Models in one GGUF file, the form in which small quantised models come to people.

`transformers` dequantises the weights; a measurement then is one of the quantised model, and its report says so.
"""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from .errors import InputError
from .source import Source, first_line

SUFFIX = ".gguf"
_PLAIN = ("F32", "F16", "BF16", "F64")


def gguf_source(file: Path, name: str) -> Source:
    """Return where `from_pretrained` finds a model that is one file.

    Parameters
    ----------
    file
        An existing path that is no directory.
    name
        As the user gave it.

    Raises
    ------
    InputError
        If it is not a GGUF file, or the package that reads them is not installed.
    """
    if not file.is_file() or file.suffix.lower() != SUFFIX:
        hint = f"give the directory that holds config.json, or a {SUFFIX} file"
        raise InputError(f"{name} is a file", "--model", hint)
    with file.open("rb") as handle:
        if handle.read(4) != b"GGUF":
            raise InputError(f"{name} does not begin as a GGUF file does", "--model", "fetch the file again")
    if find_spec("gguf") is None:
        raise InputError(f"{name} needs the package gguf to be read", "--model", "pip install 'neuronull[gguf]'")
    file = file.resolve()
    return Source(file.name, str(file.parent), file.parent, None, {"gguf_file": file.name, "local_files_only": True})


def quantization(source: Source) -> str | None:
    """Return how most weights of a GGUF file are quantised (``Q4_1``); None where they are not, or it is no such file.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    name = source.keywords.get("gguf_file")
    if name is None or source.directory is None:
        return None
    from gguf import GGUFReader

    try:
        tensors = GGUFReader(source.directory / name).tensors
    except Exception as error:  # a damaged file may raise anything
        raise InputError(
            f"the file {source.name} cannot be read ({first_line(error)})", "--model", "fetch the file again"
        ) from None
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        sizes[str(tensor.tensor_type.name)] += int(tensor.n_elements)
    quantised = {kind: size for kind, size in sizes.items() if kind not in _PLAIN}
    return max(quantised, key=lambda kind: quantised[kind]) if quantised else None
