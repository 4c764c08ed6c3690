"""Models larger than the device: blocks that do not fit stay on the host and are lent to the device while they run.

Lending is `accelerate`'s. What the estimators read outside a pass stays on the device: embeddings, final norm,
unembedding and the measured block. So everything else works as it does on a model that fits, only slower.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .adapters import Adapter
from .errors import InputError

ROOM = 0.6
"""Share of the device's free memory that weights may take; the rest is for the work."""


def place(model: Any, adapter: Adapter, layer: int, device: torch.device) -> int:
    """Move a model from the host to a device, as much of it as fits; return how many blocks stayed behind.

    Parameters
    ----------
    model
        On the host.
    adapter
        Where its parts are.
    layer
        The layer to be measured.  Its block and those nearest to it, which run most often, are moved first.
    device
        Where it will run.

    Raises
    ------
    InputError
        If not even what must be on the device fits, or `accelerate` is not installed and part must stay behind.
    """
    blocks = sorted(enumerate(adapter.blocks), key=lambda pair: abs(pair[0] - layer))
    sizes = [_bytes(block) for _, block in blocks]
    left = room(device) - (_bytes(model) - sum(sizes))
    fitting = 0
    while fitting < len(blocks) and sizes[fitting] <= left:
        left -= sizes[fitting]
        fitting += 1
    if not fitting or left < 0:
        raise InputError(f"the model does not fit on {device}", "--device", "use --device cpu or --dtype bfloat16")
    behind = [block for _, block in blocks[fitting:]]
    if behind:
        _lend(behind, device)
    for tensor in _moving(model, behind):
        tensor.data = tensor.data.to(device)
    return len(behind)


def room(device: torch.device) -> float:
    """Return how many bytes of weights a device takes; infinitely many where it is the host."""
    return ROOM * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else float("inf")


def _bytes(module: nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())


def _lend(blocks: list[nn.Module], device: torch.device) -> None:
    try:
        from accelerate import cpu_offload
    except ImportError:
        raise InputError(
            f"{len(blocks)} blocks of the model do not fit on {device}",
            "--device",
            "pip install 'neuronull[offload]' to keep them in memory, or use --device cpu or --dtype bfloat16",
        ) from None
    for block in blocks:
        cpu_offload(block, device)


def _moving(model: nn.Module, behind: list[nn.Module]) -> list[torch.Tensor]:
    """Parameters and buffers outside the blocks that stay behind; tied ones once."""
    staying = {id(tensor) for block in behind for tensor in (*block.parameters(), *block.buffers())}
    return [tensor for tensor in (*model.parameters(), *model.buffers()) if id(tensor) not in staying]
