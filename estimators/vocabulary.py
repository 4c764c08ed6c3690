"""The clean softmax of a tile of positions, block by block over the vocabulary.

What every closed form starts from: logits z without their offset, their log-sum, and each neuron's output weights seen
through the unembedding, u. Blocks have a fixed size, so that no number depends on how work is batched, and memory does
not grow with the vocabulary times the neurons where that would not fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from .readout import Readout

VOCABULARY_BLOCK = 2048
"""Tokens in a block. Like all sizes here a constant, so that no number depends on how work is batched."""

_KEPT_BYTES = 3 << 29
"""Largest u, [N, V], that is kept for all tiles (GPT-2 XL's is 1.3 GB); a larger one is made anew block by block."""

_LOGIT_BYTES = 1 << 28
"""Clean logits of one tile; four times that where u is not kept, to make it anew less often."""

_LARGEST_TILE = 2048


@dataclass(frozen=True)
class Block:
    """A block of the vocabulary: G [v, d], offset [v] or None, u [N, v] or None where it is made anew each time."""

    unembedding: torch.Tensor
    offset: torch.Tensor | None
    u: torch.Tensor | None


@dataclass(frozen=True)
class Clean:
    """The clean softmax at n positions.

    Parameters
    ----------
    scale
        Scale s of the final norm, [n].
    stream
        Residual stream (centred where the norm centres) over the scale, [n, d].
    target
        Target token ids, [n].
    z
        Logits without their offset, per block [n, v], shifted so that the highest is 0 at every position.
    z_lowest, z_target
        Smallest z, and z at the target token, [n].
    log_sum
        Log of the sum of exp(z + offset), [n].
    """

    scale: torch.Tensor
    stream: torch.Tensor
    target: torch.Tensor
    z: list[torch.Tensor]
    z_lowest: torch.Tensor
    z_target: torch.Tensor
    log_sum: torch.Tensor


def tile_size(readout: Readout) -> int:
    """Return how many positions to hand over at a time: a function of the model's shape alone."""
    keep = _keeps(readout)
    # with u made anew for every tile, larger tiles make up for it
    room = max(1, (_LOGIT_BYTES if keep else 4 * _LOGIT_BYTES) // (4 * len(readout.unembedding)))
    return max(64, min(_LARGEST_TILE * (1 if keep else 2), 1 << (room.bit_length() - 1)))


def _keeps(readout: Readout) -> bool:
    """Whether u is kept for all tiles."""
    return 4 * len(readout.unembedding) * len(readout.w_out) <= _KEPT_BYTES


class Vocabulary:
    """The unembedding in blocks, with one layer's neurons seen through it.

    Parameters
    ----------
    readout
        The folded last norm and unembedding with the neurons' output weights; its device does the work.

    Attributes
    ----------
    tile
        Positions to hand over at a time: a function of the model's shape alone.
    blocks
        The blocks, in order.
    """

    def __init__(self, readout: Readout) -> None:
        self.readout = readout
        vocabulary = len(readout.unembedding)
        keep = _keeps(readout)
        self._workspace = _Workspace(readout.unembedding.device)
        self.blocks = [self._block(start, keep) for start in range(0, vocabulary, VOCABULARY_BLOCK)]
        self.tile = tile_size(readout)

    def each_u(self) -> Iterator[torch.Tensor]:
        """Yield u, [N, v], of each block; where it is not kept, one's buffer is the next one's too."""
        for block in self.blocks:
            yield block.u if block.u is not None else self.product("u", self.readout.w_out, block.unembedding)

    def clean(self, residual: torch.Tensor, target: torch.Tensor) -> Clean:
        """Norm and unembed the clean residual stream; z is overwritten by the next call.

        Parameters
        ----------
        residual
            Residual stream before the final norm, float32 [n, d].
        target
            Target token ids, int64 [n].
        """
        readout = self.readout
        centred = readout.centre(residual)
        scale = (centred.square().mean(1) + readout.eps).sqrt()
        stream = centred / scale[:, None]
        z = [self.product(f"z {k}", stream, block.unembedding) for k, block in enumerate(self.blocks)]
        highest = torch.stack([part.amax(1) for part in z]).amax(0)
        lowest = torch.stack([part.amin(1) for part in z]).amin(0) - highest
        for part in z:
            part -= highest[:, None]
        z_target = (stream * readout.unembedding[target]).sum(1) - highest
        return Clean(scale, stream, target, z, lowest, z_target, self._log_sum(z))

    def log_probabilities(self, z: torch.Tensor, block: Block, log_sum: torch.Tensor) -> torch.Tensor:
        """Return log p of a block, [n, v], in a buffer that the next call overwrites."""
        out = torch.sub(z, log_sum[:, None], out=self.take("p", z.shape))
        if block.offset is not None:
            out += block.offset
        return out

    def product(self, name: str, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return left @ right.T in the buffer of that name."""
        return torch.mm(left, right.T, out=self.take(name, (len(left), len(right))))

    def take(self, name: str, shape: tuple[int, ...] | torch.Size) -> torch.Tensor:
        """Return the float32 buffer of that name and shape, with whatever is in it."""
        return self._workspace.take(name, shape)

    def _block(self, start: int, keep: bool) -> Block:
        part = slice(start, start + VOCABULARY_BLOCK)
        g, offset = self.readout.unembedding[part], self.readout.offset
        return Block(g, None if offset is None else offset[part], self.readout.w_out @ g.T if keep else None)

    def _log_sum(self, z: list[torch.Tensor]) -> torch.Tensor:
        """Return log of the sum over the vocabulary of exp(z + offset), [n]; z is at most 0."""
        if self.readout.offset is None:
            zero = z[0].new_zeros(len(z[0]))
        else:
            zero = self.readout.offset.amax().expand(len(z[0]))
        blocks = zip(z, self.blocks, strict=True)
        sums = [self.log_probabilities(part, block, zero).exp_().sum(1) for part, block in blocks]
        return torch.stack(sums).sum(0).log() + zero


class _Workspace:
    """Buffers by name, used again for every tile: fresh large ones cost a page fault for every 4 KB."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._buffers: dict[str, torch.Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...] | torch.Size) -> torch.Tensor:
        """Return a float32 buffer of that shape, with whatever is in it."""
        size = math.prod(shape)
        if name not in self._buffers or self._buffers[name].numel() < size:
            self._buffers[name] = torch.empty(size, device=self._device)
        return self._buffers[name][:size].view(shape)
