"""The closed form (docs/methods.md#closed-form): every last-layer neuron ablated everywhere without another pass.

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

from dataclasses import dataclass, fields, replace

import torch

from .exact import Entries, block_log_sums, block_sums
from .readout import Readout
from .second_order import Neurons, Positions, Terms, settle
from .vocabulary import Clean, Vocabulary

_ROW_CHUNK = 256
"""Positions of the entrywise part, so that its six [n, N] arrays stay in the processor's cache."""


@dataclass(frozen=True)
class _Tile:
    """The n positions of a tile.

    Parameters
    ----------
    clean
        Their clean softmax.
    positions
        What the second order needs of each position.
    g, zg
        E_p[G] and E_p[z G], [n, d], so that E_p[u_i] = E_p[G] w_i.
    uu
        E_p[u^2], [n, N].
    """

    clean: Clean
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
        self._vocabulary = Vocabulary(readout)
        self.tile = self._vocabulary.tile
        highest, lowest = zip(*((u.amax(1), u.amin(1)) for u in self._vocabulary.each_u()), strict=True)
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

    def _open(self, residual: torch.Tensor, target: torch.Tensor) -> _Tile:
        """Take the moments under the clean softmax."""
        readout, vocabulary, n = self._readout, self._vocabulary, len(target)
        clean = vocabulary.clean(residual, target)
        new = clean.stream.new_zeros
        g, zg, mean_z, mean_zz = new(clean.stream.shape), new(clean.stream.shape), new(n), new(n)
        uu = vocabulary.take("uu", (n, len(readout.w_out))).zero_()
        for part, block, u in zip(clean.z, vocabulary.blocks, vocabulary.each_u(), strict=True):
            p = vocabulary.log_probabilities(part, block, clean.log_sum).exp_()
            uu.addmm_(p, torch.square(u, out=vocabulary.take("u square", u.shape)).T)
            g.addmm_(p, block.unembedding)
            p *= part
            zg.addmm_(p, block.unembedding)
            mean_z += p.sum(1)
            p *= part
            mean_zz += p.sum(1)
        floor = readout.eps / clean.scale.square()
        positions = Positions(clean.scale, floor, mean_z, mean_zz, clean.z_lowest, clean.z_target)
        return _Tile(clean, positions, g, zg, uu)

    def _terms(self, tile: _Tile, change: torch.Tensor, rows: slice) -> Terms:
        w, readout, product = self._readout.w_out, self._readout, self._vocabulary.product
        stream = tile.clean.stream[rows] * (2 / readout.unembedding.shape[1])
        return Terms(
            change[rows],
            product("inner", stream, w),
            product("mean u", tile.g[rows], w),
            product("mean zu", tile.zg[rows], w),
            tile.uu[rows],
            product("target u", readout.unembedding[tile.clean.target[rows]], w),
        )

    def _log_sums(self, tile: _Tile, entries: Entries) -> torch.Tensor:
        """Return log E_p[exp(eps - shift)] for every entry, float64 [E]."""
        clean, device = tile.clean, tile.uu.device
        wide, narrow = (part.nonzero()[:, 0] for part in (entries.wide, ~entries.wide))
        sums = torch.zeros(len(narrow), dtype=torch.float64, device=device)
        log_sums = torch.full((len(wide),), -torch.inf, dtype=torch.float64, device=device)
        for z, block, u in zip(clean.z, self._vocabulary.blocks, self._vocabulary.each_u(), strict=True):
            log_p = self._vocabulary.log_probabilities(z, block, clean.log_sum)
            log_sums = torch.logaddexp(log_sums, block_log_sums(log_p, z, u, entries[wide]))
            sums += block_sums(log_p.exp_(), z, u, entries[narrow])
        out = torch.empty(len(entries), dtype=torch.float64, device=device)
        out[narrow], out[wide] = sums.log(), log_sums
        return out
