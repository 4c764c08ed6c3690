"""Models larger than the device: blocks that do not fit are offloaded to the host until they run.

Lending is `accelerate`'s. What the estimators read outside a pass stays on the device: embeddings, final norm,
unembedding and the measured block. So everything else works as it does on a model that fits, only slower.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from .adapters import Adapter
from .errors import InputError

MEND = "use --device cpu or, for the last layer, --dtype bfloat16"

WHOLE = 0.9
"""Share of the device's free memory up to which a model is moved whole."""
SHARE = 0.6
"""Share that weights may take where not all are moved: there is no reason then to leave the work too little."""


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
    sizes, whole, free = [_bytes(block) for _, block in blocks], _bytes(model), room(device)
    fitting = len(blocks)
    if whole > WHOLE * free:
        left = SHARE * free - (whole - sum(sizes))
        fitting = int(np.searchsorted(np.cumsum(sizes), left, side="right")) if left > 0 else 0
    if not fitting:
        raise InputError(f"the model does not fit on {device}", "--device", MEND)
    behind = [block for _, block in blocks[fitting:]]
    if behind:
        _lend(behind, device)
    for tensor in _moving(model, behind):
        tensor.data = tensor.data.to(device)
    return len(behind)


def room(device: torch.device) -> float:
    """Return how many bytes of a device are free; infinitely many where it is the host."""
    if device.type != "cuda":
        return float("inf")
    # what PyTorch holds but no tensor uses, of a model that was measured before, is free too
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return float(torch.cuda.mem_get_info(device)[0] + held)


def _bytes(module: nn.Module) -> int:
    return sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())


def _lend(blocks: list[nn.Module], device: torch.device) -> None:
    try:
        from accelerate import cpu_offload
    except ImportError:
        raise InputError(
            f"{len(blocks)} blocks of the model do not fit on {device}",
            "--device",
            f"pip install 'neuronull[offload]' to keep them in memory, or {MEND}",
        ) from None
    for block in blocks:
        cpu_offload(block, device)


def _moving(model: nn.Module, behind: list[nn.Module]) -> list[torch.Tensor]:
    """Parameters and buffers outside the blocks that stay behind; tied ones once."""
    staying = {id(tensor) for block in behind for tensor in (*block.parameters(), *block.buffers())}
    return [tensor for tensor in (*model.parameters(), *model.buffers()) if id(tensor) not in staying]
