"""A set of neurons that was chosen elsewhere: its type, and the files it can be read from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .tables import SUFFIXES, read_rows

OPTION = "--set"

LONGEST_NAME = 60
"""Characters of a set's name."""

_HINT = "give JSON {name, layer, neurons}, CSV with a column neuron, or text with one index per neuron"
_MOST_NAMED = 5


@dataclass(frozen=True, eq=False)
class NeuronList:
    """Neurons of one layer, by index.

    Parameters
    ----------
    name
        What reports call the set.
    neurons
        int64 [n], ascending, each once.
    layer
        Layer that they are of; ``None`` where nobody said.
    """

    name: str
    neurons: npt.NDArray[np.int64] = field(repr=False)
    layer: int | None = None

    def payload(self) -> dict[str, Any]:
        """Return it as the object that `read_neuron_list` reads."""
        return {"name": self.name, "layer": self.layer, "neurons": self.neurons.tolist()}

    def check(self, neurons: int, layer: int, where: str = OPTION) -> None:
        """Refuse a set that a layer cannot have.

        Parameters
        ----------
        neurons
            Neurons of the measured layer, N; 0 where it is not known.
        layer
            The measured layer.

        Raises
        ------
        InputError
            If an index is N or more, or the set is of another layer.
        """
        if self.layer is not None and self.layer != layer:
            what = f"the set {self.name!r} is of layer {self.layer}, layer {layer} is measured"
            raise InputError(what, where, f"measure --layer {self.layer}, or give neurons of layer {layer}")
        if neurons and int(self.neurons[-1]) >= neurons:
            what = f"the set {self.name!r} has neuron {self.neurons[-1]:,}, the layer has {neurons:,} neurons"
            raise InputError(what, where, f"indices go from 0 to {neurons - 1}")


def read_neuron_list(path: str | Path, where: str = OPTION) -> NeuronList:
    """Read a set of neurons from a file.

    Parameters
    ----------
    path
        ``.json``: an object ``{name, layer, neurons}`` (name and layer may be left out) or a list of indices;
        ``.csv``, ``.tsv`` or ``.parquet`` with a column ``neuron`` and perhaps ``layer``; anything else is text with
        indices between blanks, commas or line ends.  A set without a name has the file's, without suffix.
    where
        The option or file that errors name.

    Raises
    ------
    InputError
        If it cannot be read, is empty, or an index is negative, not whole or there twice.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise InputError(f"no such file: {path}", where, "check the path")
    suffix = file.suffix.lower()
    if suffix == ".json":
        name, layer, values = _from_json(file, where)
    elif suffix in SUFFIXES:
        name, layer, values = _from_table(file, where)
    else:
        name, layer, values = None, None, _text(file, where).replace(",", " ").split()
    return neuron_list(
        file.stem if name is None else name, values, layer, where if where == file.name else f"{where} {file.name}"
    )


def neuron_list(name: Any, neurons: Any, layer: Any = None, where: str = OPTION) -> NeuronList:
    """Return a checked set of neurons.

    Raises
    ------
    InputError
        If the name is no printable text, the layer no whole number, or the indices are not whole, at least 0, each
        once.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise InputError(f"the set's name is {name!r}", where, f"give 1 to {LONGEST_NAME} printable characters")
    if not isinstance(neurons, list | tuple | np.ndarray):
        raise InputError(f"the neurons of {name!r} are no list", where, _HINT)
    indices = [_index(value, "neuron", where) for value in neurons]
    if not indices:
        raise InputError(f"the set {name!r} is empty", where, "give at least one neuron")
    values, times = np.unique(np.asarray(indices, dtype=np.int64), return_counts=True)
    if (times > 1).any():
        raise InputError(f"{_several(values[times > 1])} there twice", where, "give each neuron once")
    return NeuronList(name.strip(), values, None if layer is None else _index(layer, "layer", where))


def _index(value: Any, what: str, where: str) -> int:
    """Return a whole number of at least 0, also one that a table or text holds as a float or a word."""
    said = value.strip() if isinstance(value, str) else value
    try:
        number = float(said)
        good = not isinstance(value, bool) and number == int(number) and 0 <= number < 2**53
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise InputError(f"{what} {said!r} is not a whole number of at least 0", where, _HINT)
    return int(number)


def _several(values: npt.NDArray[np.int64]) -> str:
    named = ", ".join(map(str, values[:_MOST_NAMED].tolist()))
    more = f" and {len(values) - _MOST_NAMED} more" if len(values) > _MOST_NAMED else ""
    return f"neuron {named} is" if len(values) == 1 else f"neurons {named}{more} are"


def _text(file: Path, where: str) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file.name} cannot be read: {error.strerror or error}", where, "check the file") from None
    except UnicodeDecodeError:
        raise InputError(f"{file.name} is not text", where, _HINT) from None
    if "\0" in text:
        raise InputError(f"{file.name} is not text", where, _HINT)
    return text


def _from_json(file: Path, where: str) -> tuple[Any, Any, Any]:
    try:
        payload = json.loads(_text(file, where))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file.name} is not JSON: {error}", where, _HINT) from None
    if isinstance(payload, list):
        return None, None, payload
    if not isinstance(payload, dict) or "neurons" not in payload:
        raise InputError(f"{file.name} has no list neurons", where, _HINT)
    unknown = sorted(set(payload) - {"name", "layer", "neurons"})
    if unknown:
        raise InputError(f"{file.name} has {', '.join(map(repr, unknown))}", where, _HINT)
    return payload.get("name"), payload.get("layer"), payload["neurons"]


def _from_table(file: Path, where: str) -> tuple[None, Any, list[Any]]:
    columns, rows = read_rows(file, where)
    if "neuron" not in columns:
        raise InputError(f"{file.name} has no column neuron (it has {', '.join(columns)})", where, _HINT)
    layers = {str(row["layer"]).strip() for row in rows} if "layer" in columns else set()
    if len(layers) > 1:
        raise InputError(f"{file.name} has neurons of layers {', '.join(sorted(layers))}", where, "give one layer's")
    layer = next(iter(layers), "") or None
    return None, layer, [row["neuron"] for row in rows]
