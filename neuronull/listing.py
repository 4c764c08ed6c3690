"""What there is to choose from, and everything that is declared about one of them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from .data.errors import InputError
from .data.options import EMBEDDED_CORPUS
from .hypotheses.registry import BUILT_IN, Registry, suggestion


@dataclass(frozen=True)
class Entry:
    """One thing to choose: its id, one line of what it is, and where it came from."""

    id: str
    what: str
    origin: str


def hypotheses() -> list[Entry]:
    """Every hypothesis, with its claim; the controls too, which every suite runs."""
    from .hypotheses.catalogue import CONTROLS

    controls = [Entry(name, "check of the pipeline itself; decides no claim", BUILT_IN) for name in CONTROLS]
    return _registered(_registry("hypotheses")) + controls


def estimators() -> list[Entry]:
    """Every estimator, with the first line of its docstring."""
    return _registered(_registry("estimators"))


def nulls() -> list[Entry]:
    """Every null model, with what it randomises."""
    return _registered(_registry("nulls"))


def models() -> list[Entry]:
    """The models that ship; any other is named by its Hugging Face id or directory."""
    from .data.embedded import embedded_models

    return [Entry(name, _architecture(path / "config.json"), BUILT_IN) for name, path in embedded_models().items()]


def corpora() -> list[Entry]:
    """The corpus that ships; any other is named by its path or as ``hf:...``."""
    from .data.embedded.corpus import corpus_record

    held_out = corpus_record()["held_out"]
    packages = len(held_out["packages"])
    what = f"{held_out['documents']:,} docstrings of {packages} installed packages, kept out of training"
    return [Entry(EMBEDDED_CORPUS, what, BUILT_IN)]


KINDS: Mapping[str, Callable[[], list[Entry]]] = {
    "hypotheses": hypotheses,
    "estimators": estimators,
    "nulls": nulls,
    "models": models,
    "corpora": corpora,
}


def broken(kind: str) -> dict[str, str]:
    """Plug-ins of a kind that cannot be used, and why."""
    return _registry(kind).broken() if kind in ("hypotheses", "estimators", "nulls") else {}


def declared(name: str) -> dict[str, Any]:
    """Everything that is declared on whatever has the id `name`, in plain values; an id in two lists gives both.

    Raises
    ------
    InputError
        If nothing has that id.
    """
    found = {}
    for kind in ("hypotheses", "estimators", "nulls"):
        registry = _registry(kind)
        if name in registry:
            found[registry.what] = {"id": name, "origin": registry.origin(name), **_plain_object(registry.get(name))}
    for kind, what in (("hypotheses", "control"), ("models", "model"), ("corpora", "corpus")):
        entry = next((e for e in KINDS[kind]() if e.id == name), None)
        if entry is not None and not found:
            found[what] = {"id": entry.id, "origin": entry.origin, "what": entry.what}
    if not found:
        known = [entry.id for entries in KINDS.values() for entry in entries()]
        hint = suggestion(name, tuple(known)) or "neuronull ls hypotheses, estimators or nulls lists what there is"
        raise InputError(f"nothing is called {name!r}", "ID", hint)
    return found


def _registry(kind: str) -> Registry[Any]:
    from .hypotheses import catalogue

    registry: Registry[Any] = getattr(catalogue, kind)
    return registry


def _registered(registry: Registry[Any]) -> list[Entry]:
    return [Entry(name, _one_line(value), registry.origin(name)) for name, value in registry.items()]


def _one_line(value: Any) -> str:
    claim = getattr(value, "claim", None)
    return str(claim) if claim else (inspect.getdoc(value) or "no description").splitlines()[0]


def _architecture(config: Any) -> str:
    read = json.loads(config.read_text(encoding="utf-8"))
    layers = read.get("n_layer") or read.get("num_hidden_layers")
    width = read.get("n_embd") or read.get("hidden_size")
    return f"{read['model_type']}, {layers} layers, d = {width}, vocabulary {read['vocab_size']:,}"


def _plain_object(value: Any) -> dict[str, Any]:
    """Declared attributes of a hypothesis, null model or estimator, with what its docstring says."""
    told: dict[str, Any] = {}
    if is_dataclass(value):
        told |= {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name != "id"}
    elif inspect.isroutine(value):
        told |= {"call": f"{value.__name__}{_signature(value)}", "module": value.__module__}
    else:
        told |= {name: _plain(getattr(value, name)) for name in _class_variables(type(value))}
        told["module"] = type(value).__module__
    description = inspect.getdoc(value)
    # A hypothesis is an instance of a documented class; that text is about all hypotheses.
    return told | ({"description": description} if description and not is_dataclass(value) else {})


def _signature(function: Callable[..., Any]) -> str:
    return str(inspect.signature(function)).replace("'", "")  # annotations are strings here


def _class_variables(kind: type) -> list[str]:
    names = [name for base in reversed(kind.__mro__) for name in inspect.get_annotations(base)]
    return [name for name in dict.fromkeys(names) if hasattr(kind, name) and not name.startswith("_")]


def _plain(value: Any) -> Any:
    """`value` in what JSON holds; classes and functions by name."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {"is": type(value).__name__, **{f.name: _plain(getattr(value, f.name)) for f in fields(value)}}
    return getattr(value, "__qualname__", None) or repr(value)
