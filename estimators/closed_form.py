"""The closed form of METHODS 6: every last-layer neuron ablated at every position without another forward pass.

Notation, at one position: z the clean logits without their offset, s their norm's scale; neuron i's activation changes
by c, its output weights seen through the unembedding are u_i. Then the ablated logits are (s/s') z + (c/s') u_i +
offset, that is, the clean ones plus eps = rho z + kappa u_i with rho = s/s' - 1, kappa = c/s', and

    D = log E_p[exp(eps)] - eps_y,    p the clean softmax, y the target token.

To second order, log E_p[exp(eps)] = E_p[eps] + Var_p[eps] / 2, and all of it is matrix products: E_p[u_i], E_p[z u_i]
need only [d]-vectors per position, E_p[u_i^2] one product [n, V] x [V, N].

The remainder is R = integral over a in [0, 1] of (1 - a)^2 / 2 K'''(a), K(a) = log E_p[exp(a eps)], and K'''(a) is the
third central moment of eps under p tilted by exp(a eps). With W = max eps - min eps and B = max eps - E_p[eps], that is
at most W times the tilted variance, and the tilted variance at most exp(a B) Var_p[eps]: its numerator by bounding the
tilt, its denominator by Jensen. So |R| <= W Var_p[eps] phi(B), phi(B) = (e^B - 1 - B - B^2/2) / B^3. Extremes over
the vocabulary are bounded by those of z and u_i apart. An entry whose bound is not inside the tolerance is computed
exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch

from .exact import Entries, block_log_sums, block_sums
from .readout import Readout
from .second_order import Neurons, Positions, Terms, settle

VOCABULARY_BLOCK = 2048
"""Tokens in a block. Like all sizes here a constant, so that no number depends on how work is batched."""

_ROW_CHUNK = 256
"""Positions of the entrywise part, so that its six [n, N] arrays stay in the processor's cache."""

_KEPT_BYTES = 3 << 29
"""Largest u, [N, V], that is kept for all tiles (GPT-2 XL's is 1.3 GB); a larger one is made anew block by block."""

_LOGIT_BYTES = 1 << 28
"""Clean logits of one tile; four times that where u is not kept, to make it anew less often."""

_LARGEST_TILE = 2048


@dataclass(frozen=True)
class _Block:
    """A block of the vocabulary: G [v, d], offset [v] or None, u [N, v] or None where it is made anew each time."""

    unembedding: torch.Tensor
    offset: torch.Tensor | None
    u: torch.Tensor | None


@dataclass(frozen=True)
class _Tile:
    """The n positions of a tile.

    Parameters
    ----------
    stream
        Residual stream over the norm's scale, [n, d].
    target
        Target token ids, [n].
    z
        Clean logits without their offset, per block [n, v], shifted so that the highest is 0 at every position.
    log_sum
        Log of the sum of exp(z + offset), [n].
    positions
        What the second order needs of each position.
    g, zg
        E_p[G] and E_p[z G], [n, d], so that E_p[u_i] = E_p[G] w_i.
    uu
        E_p[u^2], [n, N].
    """

    stream: torch.Tensor
    target: torch.Tensor
    z: list[torch.Tensor]
    log_sum: torch.Tensor
    positions: Positions
    g: torch.Tensor
    zg: torch.Tensor
    uu: torch.Tensor


class ClosedForm:
    """Ablation effects of one layer's neurons from the last residual stream.

    Parameters
    ----------
    readout
        The folded last norm and unembedding with the neurons' output weights; its device does the work.

    Attributes
    ----------
    tile
        Positions to hand over at a time: a function of the model's shape alone.
    entries, exact_entries
        Entries so far, and those of them that were not provably inside the tolerance to second order.
    """

    def __init__(self, readout: Readout) -> None:
        self._readout = readout
        vocabulary, neurons = len(readout.unembedding), len(readout.w_out)
        keep = 4 * vocabulary * neurons <= _KEPT_BYTES
        self._workspace = _Workspace(readout.unembedding.device)
        self._blocks = [self._block(start, keep) for start in range(0, vocabulary, VOCABULARY_BLOCK)]
        # with u made anew for every tile, larger tiles make up for it
        room = max(1, (_LOGIT_BYTES if keep else 4 * _LOGIT_BYTES) // (4 * vocabulary))
        self.tile = max(64, min(_LARGEST_TILE * (1 if keep else 2), 1 << (room.bit_length() - 1)))
        highest, lowest = zip(*((u.amax(1), u.amin(1)) for u in self._each_u()), strict=True)
        self._neurons = Neurons(
            readout.w_out.square().sum(1), torch.stack(highest).amax(0), torch.stack(lowest).amin(0)
        )
        self.entries = 0
        self.exact_entries = 0

    def effects(self, residual: torch.Tensor, change: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return D, the loss after ablation less the loss before, in nats, float32 [n, N].

        Parameters
        ----------
        residual
            Residual stream before the final norm, float32 [n, d].
        change
            Replacement less activation of every neuron, float32 [n, N].
        target
            Target token ids, int64 [n].
        """
        tile = self._open(residual, target)
        effects = torch.empty_like(change)
        pending, firsts = [], []
        for start in range(0, len(target), _ROW_CHUNK):
            rows = slice(start, start + _ROW_CHUNK)
            terms = self._terms(tile, change, rows)
            width = self._readout.unembedding.shape[1]
            entries, first = settle(terms, tile.positions[rows], self._neurons, width, effects[rows])
            pending.append(replace(entries, row=entries.row + start))
            firsts.append(first)
        entries = Entries(*(torch.cat([getattr(part, f.name) for part in pending]) for f in fields(Entries)))
        self.entries += change.numel()
        self.exact_entries += len(entries)
        if len(entries):
            effects[entries.row, entries.column] = (torch.cat(firsts) + self._log_sums(tile, entries)).float()
        return effects

    def _block(self, start: int, keep: bool) -> _Block:
        part = slice(start, start + VOCABULARY_BLOCK)
        g, offset = self._readout.unembedding[part], self._readout.offset
        return _Block(g, None if offset is None else offset[part], self._readout.w_out @ g.T if keep else None)

    def _each_u(self) -> Iterator[torch.Tensor]:
        for block in self._blocks:
            yield block.u if block.u is not None else self._product("u", self._readout.w_out, block.unembedding)

    def _product(self, name: str, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Return left @ right.T in a workspace."""
        return torch.mm(left, right.T, out=self._workspace.take(name, (len(left), len(right))))

    def _log_probabilities(self, z: torch.Tensor, block: _Block, log_sum: torch.Tensor) -> torch.Tensor:
        out = torch.sub(z, log_sum[:, None], out=self._workspace.take("p", z.shape))
        if block.offset is not None:
            out += block.offset
        return out

    def _probabilities(self, z: torch.Tensor, block: _Block, log_sum: torch.Tensor) -> torch.Tensor:
        return self._log_probabilities(z, block, log_sum).exp_()

    def _open(self, residual: torch.Tensor, target: torch.Tensor) -> _Tile:
        """Norm and unembed the clean residual stream, and take the moments under the clean softmax."""
        readout, n = self._readout, len(target)
        centred = readout.centre(residual)
        scale = (centred.square().mean(1) + readout.eps).sqrt()
        stream = centred / scale[:, None]
        z = [self._product(f"z {k}", stream, block.unembedding) for k, block in enumerate(self._blocks)]
        highest = torch.stack([part.amax(1) for part in z]).amax(0)
        lowest = torch.stack([part.amin(1) for part in z]).amin(0) - highest
        for part in z:
            part -= highest[:, None]
        z_target = (stream * readout.unembedding[target]).sum(1) - highest
        log_sum = self._log_sum(z)
        new = stream.new_zeros
        g, zg, mean_z, mean_zz = new(stream.shape), new(stream.shape), new(n), new(n)
        uu = self._workspace.take("uu", (n, len(readout.w_out))).zero_()
        for part, block, u in zip(z, self._blocks, self._each_u(), strict=True):
            p = self._probabilities(part, block, log_sum)
            uu.addmm_(p, torch.square(u, out=self._workspace.take("u square", u.shape)).T)
            g.addmm_(p, block.unembedding)
            p *= part
            zg.addmm_(p, block.unembedding)
            mean_z += p.sum(1)
            p *= part
            mean_zz += p.sum(1)
        positions = Positions(scale, readout.eps / scale.square(), mean_z, mean_zz, lowest, z_target)
        return _Tile(stream, target, z, log_sum, positions, g, zg, uu)

    def _log_sum(self, z: list[torch.Tensor]) -> torch.Tensor:
        """Return log of the sum over the vocabulary of exp(z + offset), [n]; z is at most 0."""
        if self._readout.offset is None:
            zero = z[0].new_zeros(len(z[0]))
        else:
            zero = self._readout.offset.amax().expand(len(z[0]))
        sums = [self._probabilities(part, block, zero).sum(1) for part, block in zip(z, self._blocks, strict=True)]
        return torch.stack(sums).sum(0).log() + zero

    def _terms(self, tile: _Tile, change: torch.Tensor, rows: slice) -> Terms:
        w, readout = self._readout.w_out, self._readout
        stream = tile.stream[rows] * (2 / readout.unembedding.shape[1])
        return Terms(
            change[rows],
            self._product("inner", stream, w),
            self._product("mean u", tile.g[rows], w),
            self._product("mean zu", tile.zg[rows], w),
            tile.uu[rows],
            self._product("target u", readout.unembedding[tile.target[rows]], w),
        )

    def _log_sums(self, tile: _Tile, entries: Entries) -> torch.Tensor:
        """Return log E_p[exp(eps - shift)] for every entry, float64 [E]."""
        wide, narrow = (part.nonzero()[:, 0] for part in (entries.wide, ~entries.wide))
        sums = torch.zeros(len(narrow), dtype=torch.float64, device=tile.stream.device)
        log_sums = torch.full((len(wide),), -torch.inf, dtype=torch.float64, device=tile.stream.device)
        for z, block, u in zip(tile.z, self._blocks, self._each_u(), strict=True):
            log_p = self._log_probabilities(z, block, tile.log_sum)
            log_sums = torch.logaddexp(log_sums, block_log_sums(log_p, z, u, entries[wide]))
            sums += block_sums(log_p.exp_(), z, u, entries[narrow])
        out = torch.empty(len(entries), dtype=torch.float64, device=tile.stream.device)
        out[narrow], out[wide] = sums.log(), log_sums
        return out


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
