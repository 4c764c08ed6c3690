"""A device that is none: tensors on it compute on the CPU, but never together with tensors that are not on it.

What a GPU would refuse is refused here too, and code that asks whether a tensor is on the CPU gets no for an answer.
So the path that a GPU takes can be walked where there is none; it says nothing of a GPU's speed, memory or rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from neuronull.data.adapters import adapter_for
from neuronull.data.models import LoadedModel

DEVICE = torch.device("lazy", 0)
"""A device type that this build of PyTorch knows by name and has nothing to start for."""

CROSSING = ("copy_", "_to_copy", "index", "index_put_", "_index_put_impl_")
"""Operations that take tensors of two devices; indices may lie on the host (PyTorch's own rule for CUDA)."""


class OnDevice(torch.Tensor):
    """A tensor that says it is on `DEVICE`; what it holds is `host`, an ordinary one."""

    host: torch.Tensor

    @staticmethod
    def __new__(cls, host: torch.Tensor) -> OnDevice:
        """Wrap a host tensor."""
        made: OnDevice = torch.Tensor._make_wrapper_subclass(
            cls,
            host.size(),
            strides=host.stride(),
            storage_offset=host.storage_offset(),
            dtype=host.dtype,
            layout=host.layout,
            device=DEVICE,
        )
        made.host = host
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on the host tensors."""
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name = func.__name__.split(".")[0]
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
    there = [x for x in tensors if isinstance(x, OnDevice)]
    here = [x for x in tensors if not isinstance(x, OnDevice) and x.dim() > 0]  # a number may come from anywhere
    if there and here:
        self_there, values = isinstance(args[0], OnDevice), args[2] if name.endswith("index_put_") else args[0]
        crosses_as_it_may = name in ("copy_", "_to_copy") or (self_there and not any(x is values for x in here))
        if name not in CROSSING or not crosses_as_it_may:
            raise RuntimeError(f"{func.__name__}: expected all tensors to be on the same device")
    device = kwargs.get("device")
    goes_there = isinstance(args[0], OnDevice) if name == "copy_" else bool(there)
    if device is not None:
        goes_there = torch.device(device).type == DEVICE.type
        kwargs = kwargs | ({"device": torch.device("cpu")} if goes_there else {})
    known = {id(x.host): x for x in there}
    found = func(*tree_map(_host, args), **tree_map(_host, kwargs))

    def wrap(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return known[id(x)] if id(x) in known else OnDevice(x) if goes_there else x

    return tree_map(wrap, found)


def _host(x: Any) -> Any:
    return x.host if isinstance(x, OnDevice) else x


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Making(TorchFunctionMode):
    """`torch.tensor` reaches no dispatch mode."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.tensor and torch.device(kwargs.get("device") or "cpu").type == DEVICE.type:
            del kwargs["device"]
            return func(*args, **kwargs).to(DEVICE)
        if func is torch.Tensor.__getitem__ and isinstance(args[1], tuple):  # a list would be made a tensor over there
            args = (args[0], tuple(torch.tensor(x) if isinstance(x, list) else x for x in args[1]))
        return func(*args, **kwargs)


@contextmanager
def pretended() -> Iterator[None]:
    """Within the context tensors can be made on `DEVICE` and moved there."""
    with _Making(), _Operations():
        yield


def moved(loaded: LoadedModel) -> LoadedModel:
    """A model on `DEVICE`, tied parameters tied; its attention in plain operations, whose choice asks no device."""
    parameters: dict[int, nn.Parameter] = {}
    for module in loaded.model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            made = nn.Parameter(OnDevice(parameter.detach().clone()), requires_grad=False)
            setattr(module, name, parameters.setdefault(id(parameter), made))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, OnDevice(buffer.clone()))
    loaded.model.config._attn_implementation = "eager"
    return replace(loaded, adapter=adapter_for(loaded.model))
