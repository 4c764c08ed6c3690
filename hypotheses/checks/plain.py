"""Plain data: equality, a deep copy, and a JSON form of whatever a null model hands around."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

from .outcome import Failed, Skipped


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal bit by bit: arrays, tensors, dataclasses, containers, scalars."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape and bool(torch.equal(a, b))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and bool(np.array_equal(a, b))
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "equals"):  # pandas
        return bool(a.equals(b))
    return bool(a == b)


def copied(value: Any) -> Any:
    """Return a copy that shares no array with `value`; what holds no arrays is returned as it is."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{f.name: copied(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
        )
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied(v) for v in value)
    return value.copy(deep=True) if hasattr(value, "iloc") else value


class Coder:
    """JSON form of plain data and back; dataclasses are made again from the classes that were seen."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def encoded(self, value: Any) -> Any:
        """`value` in lists, dictionaries, numbers and strings.

        Raises
        ------
        Skipped
            If it holds a function: then it is no data.
        Failed
            If it holds any other object.
        """
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (torch.Tensor, np.ndarray, np.generic)):
            array = np.asarray(value)
            sort = "tensor" if isinstance(value, torch.Tensor) else "array"
            return {"is": sort, "dtype": str(array.dtype), "shape": list(array.shape), "values": array.ravel().tolist()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            self._classes[type(value).__qualname__] = type(value)
            held = {f.name: self.encoded(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return {"is": "dataclass", "class": type(value).__qualname__, "fields": held}
        if isinstance(value, dict):
            return {"is": "dict", "items": [[self.encoded(k), self.encoded(v)] for k, v in value.items()]}
        if isinstance(value, (list, tuple)):
            return {"is": type(value).__name__, "items": [self.encoded(v) for v in value]}
        if callable(value):
            raise Skipped("the state holds a function (a model to measure), which is no data")
        raise Failed(
            f"the state holds a {type(value).__name__}; keep it to arrays, numbers, strings, containers and dataclasses"
        )

    def decoded(self, form: Any) -> Any:
        """What `encoded` was given."""
        if not isinstance(form, dict):
            return form
        if form["is"] in ("tensor", "array"):
            array = np.array(form["values"], dtype=form["dtype"]).reshape(form["shape"])
            return torch.from_numpy(array) if form["is"] == "tensor" else array
        if form["is"] == "dataclass":
            return self._classes[form["class"]](**{k: self.decoded(v) for k, v in form["fields"].items()})
        if form["is"] == "dict":
            return {self.decoded(k): self.decoded(v) for k, v in form["items"]}
        items = [self.decoded(v) for v in form["items"]]
        return tuple(items) if form["is"] == "tuple" else items
