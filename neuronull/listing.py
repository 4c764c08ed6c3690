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
from .data.registry import BUILT_IN, Registry, suggestion


@dataclass(frozen=True)
class Entry:
    """One thing to choose: its id, one line of what it is, and where it came from."""

    id: str
    what: str
    origin: str


def papers() -> list[Entry]:
    """Every paper whose claims can be tested, with what it claims."""
    from .hypotheses.catalogue import papers as registry

    return [Entry(name, paper.short, registry.origin(name)) for name, paper in registry.items()]


def hypotheses() -> list[Entry]:
    """Every hypothesis, with its claim; the controls too, which decide no claim."""
    from .hypotheses import catalogue

    entries = []
    for name, hypothesis in catalogue.known_hypotheses().items():
        declaring = catalogue.papers_of(name)
        origin = catalogue.papers.origin(declaring[0].id) if declaring else catalogue.hypotheses.origin(name)
        entries.append(Entry(name, _in_general(hypothesis.claim), origin))
    controls = catalogue.controls(catalogue.shipped())
    return entries + [Entry(c.id, f"check of the pipeline itself: {_in_general(c.claim)}", BUILT_IN) for c in controls]


def _in_general(text: str) -> str:
    """A sentence with what stands for set and conditions in words."""
    for name, word in {"set": "chosen", "a": "condition a", "b": "condition b"}.items():
        text = text.replace("{" + name + "}", word).replace("{" + name.capitalize() + "}", word.capitalize())
    return text


def nulls() -> list[Entry]:
    """Every null model, with what it randomises."""
    from .hypotheses.catalogue import nulls as registry

    return [Entry(name, _one_line(value), registry.origin(name)) for name, value in registry.items()]


def models() -> list[Entry]:
    """The models that ship; any other is named by its Hugging Face id or directory."""
    from .data.embedded import embedded_models

    return [Entry(name, _architecture(path / "config.json"), BUILT_IN) for name, path in embedded_models().items()]


def corpora() -> list[Entry]:
    """The corpus that ships; any other is named by its path or as ``hf:...``."""
    from .data.embedded.corpus import corpus_record

    held_out = corpus_record()["held_out"]
    what = f"{held_out['documents']:,} docstrings of {len(held_out['packages'])} packages, kept out of training"
    return [Entry(EMBEDDED_CORPUS, what, BUILT_IN)]


KINDS: Mapping[str, Callable[[], list[Entry]]] = {
    "papers": papers,
    "hypotheses": hypotheses,
    "nulls": nulls,
    "models": models,
    "corpora": corpora,
}


SINGULAR = {"papers": "paper", "hypotheses": "hypothesis", "nulls": "null model", "models": "model",
            "corpora": "corpus"}  # fmt: skip


def broken(kind: str) -> dict[str, str]:
    """Plug-ins of a kind that cannot be used, and why."""
    from .hypotheses import catalogue

    registries: dict[str, Registry[Any]] = {
        "papers": catalogue.papers, "hypotheses": catalogue.hypotheses, "nulls": catalogue.nulls,
    }  # fmt: skip
    return registries[kind].broken() if kind in registries else {}


def declared(name: str) -> dict[str, Any]:
    """Everything that is declared on whatever has the id `name`, in plain values; an id in two lists gives both.

    Raises
    ------
    InputError
        If nothing has that id.
    """
    from .hypotheses import catalogue

    found = {}
    entries = {kind: {e.id: e for e in list_()} for kind, list_ in KINDS.items()}
    values: dict[str, Callable[[str], Any]] = {
        "papers": catalogue.papers.get, "hypotheses": catalogue.hypothesis, "nulls": catalogue.nulls.get,
    }  # fmt: skip
    for kind, of_kind in entries.items():
        if name not in of_kind:
            continue
        entry, what = of_kind[name], SINGULAR[kind]
        if kind in values and not name.startswith("control."):
            found[what] = {"id": name, "origin": entry.origin, **_plain_object(values[kind](name))}
        else:
            found[what] = {"id": entry.id, "origin": entry.origin, "what": entry.what}
    if not found:
        known = [id for of_kind in entries.values() for id in of_kind]
        hint = suggestion(name, tuple(known)) or "neuronull ls papers, hypotheses or nulls lists what there is"
        raise InputError(f"nothing is called {name!r}", "ID", hint)
    return found


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
