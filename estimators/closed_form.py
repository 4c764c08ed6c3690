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

Where a norm follows the MLP, the stream holds gain * m / r, and an ablation changes m by c w_i and so r to r'. With y
what the MLP wrote over s, the stream over s then changes by alpha y + (c / (r' s)) gain * w_i, alpha = r/r' - 1, and
the logits by eps = rho z + kappa u_i + tau Y: Y = G y, kappa = c / (r' s'), tau = alpha s/s'. All else stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from .exact import Entries, block_log_sums, block_sums
from .readout import AfterMlp, Readout
from .second_order import BranchPositions, BranchTerms, Neurons, Positions, Terms, settle
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
    branch
        What a norm after the MLP needs; None without one.
    """

    clean: Clean
    positions: Positions
    g: torch.Tensor
    zg: torch.Tensor
    uu: torch.Tensor
    branch: _Branch | None


@dataclass(frozen=True)
class _Branch:
    """What the MLP wrote, where a norm follows it.

    Parameters
    ----------
    output
        Its output m before the norm over the square of the norm's scale, m / r^2, [n, d].
    stream
        y, what it added to the stream over s, centred where the final norm centres, [n, d].
    y
        Y = G y, per block of the vocabulary [n, v].
    yg
        E_p[Y G], [n, d].
    """

    output: torch.Tensor
    stream: torch.Tensor
    y: list[torch.Tensor]
    yg: torch.Tensor


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
            readout.w_out.square().sum(1),
            torch.stack(highest).amax(0),
            torch.stack(lowest).amin(0),
            None if readout.after is None else readout.after.w_out.square().sum(1),
        )
        self.entries = 0
        self.exact_entries = 0

    def effects(
        self,
        residual: torch.Tensor,
        change: torch.Tensor,
        target: torch.Tensor,
        activation: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return D, the loss after ablation less the loss before, in nats, float32 [n, N].

        Parameters
        ----------
        residual
            Residual stream before the final norm, float32 [n, d].
        change
            Replacement less activation of every neuron, float32 [n, N].
        target
            Target token ids, int64 [n].
        activation
            Activation of every neuron, float32 [n, N]; only a norm after the MLP needs it.
        """
        tile = self._open(residual, target, activation)
        effects = torch.empty_like(change)
        pending, firsts = [], []
        for start in range(0, len(target), _ROW_CHUNK):
            rows = slice(start, start + _ROW_CHUNK)
            terms = self._terms(tile, change, rows)
            width = self._readout.unembedding.shape[1]
            entries, first = settle(terms, tile.positions[rows], self._neurons, width, effects[rows])
            pending.append(replace(entries, row=entries.row + start))
            firsts.append(first)
        entries = _joined(pending)
        self.entries += change.numel()
        self.exact_entries += len(entries)
        if len(entries):
            effects[entries.row, entries.column] = (torch.cat(firsts) + self._log_sums(tile, entries)).float()
        return effects

    def _open(self, residual: torch.Tensor, target: torch.Tensor, activation: torch.Tensor | None) -> _Tile:
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
        if readout.after is None:
            return _Tile(clean, positions, g, zg, uu, None)
        if activation is None:
            raise TypeError("a norm after the MLP needs the activation")
        of_branch, branch = self._open_branch(readout.after, clean, activation)
        return _Tile(clean, replace(positions, branch=of_branch), g, zg, uu, branch)

    def _open_branch(self, after: AfterMlp, clean: Clean, activation: torch.Tensor) -> tuple[BranchPositions, _Branch]:
        """Take the moments of Y under the clean softmax."""
        readout, vocabulary, width = self._readout, self._vocabulary, self._readout.unembedding.shape[1]
        output = after.output(activation)
        scale = after.scale(output)
        stream = readout.centre(after.written(output)) / clean.scale[:, None]
        y, yg, mean_y, mean_yy, mean_zy = [], torch.zeros_like(stream), *clean.scale.new_zeros(3, len(stream))
        for k, (z, block) in enumerate(zip(clean.z, vocabulary.blocks, strict=True)):
            part = vocabulary.product(f"y {k}", stream, block.unembedding)
            p = vocabulary.log_probabilities(z, block, clean.log_sum).exp_()
            p *= part
            yg.addmm_(p, block.unembedding)
            mean_y += p.sum(1)
            mean_yy += (p * part).sum(1)
            p *= z
            mean_zy += p.sum(1)
            y.append(part)
        positions = BranchPositions(
            scale=scale,
            floor=after.eps / scale.square(),
            inner=(clean.stream * stream).sum(1) * (2 / width),
            square=stream.square().mean(1),
            y=mean_y,
            yy=mean_yy,
            zy=mean_zy,
            y_highest=torch.stack([part.amax(1) for part in y]).amax(0),
            y_lowest=torch.stack([part.amin(1) for part in y]).amin(0),
            y_target=(stream * readout.unembedding[clean.target]).sum(1),
        )
        return positions, _Branch(output / scale.square()[:, None], stream, y, yg)

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
            self._branch_terms(tile, rows),
        )

    def _branch_terms(self, tile: _Tile, rows: slice) -> BranchTerms | None:
        readout, product, branch = self._readout, self._vocabulary.product, tile.branch
        if branch is None or readout.after is None:
            return None
        twice = 2 / readout.unembedding.shape[1]
        return BranchTerms(
            product("before", branch.output[rows] * twice, readout.after.w_out),
            product("branch inner", branch.stream[rows] * twice, readout.w_out),
            product("mean yu", branch.yg[rows], readout.w_out),
        )

    def _log_sums(self, tile: _Tile, entries: Entries) -> torch.Tensor:
        """Return log E_p[exp(eps - shift)] for every entry, float64 [E]."""
        clean, device = tile.clean, tile.uu.device
        wide, narrow = (part.nonzero()[:, 0] for part in (entries.wide, ~entries.wide))
        sums = torch.zeros(len(narrow), dtype=torch.float64, device=device)
        log_sums = torch.full((len(wide),), -torch.inf, dtype=torch.float64, device=device)
        ys = [None] * len(clean.z) if tile.branch is None else tile.branch.y
        for z, y, block, u in zip(clean.z, ys, self._vocabulary.blocks, self._vocabulary.each_u(), strict=True):
            log_p = self._vocabulary.log_probabilities(z, block, clean.log_sum)
            log_sums = torch.logaddexp(log_sums, block_log_sums(log_p, z, u, entries[wide], y))
            sums += block_sums(log_p.exp_(), z, u, entries[narrow], y)
        out = torch.empty(len(entries), dtype=torch.float64, device=device)
        out[narrow], out[wide] = sums.log(), log_sums
        return out


def _joined(parts: Sequence[Entries]) -> Entries:
    """Return the entries of all parts, in order."""
    columns = ([getattr(part, field.name) for part in parts] for field in fields(Entries))
    found: list[Any] = [None if column[0] is None else torch.cat(column) for column in columns]
    return Entries(*found)
