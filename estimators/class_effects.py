"""What ablating a last-layer neuron does to the whole next-token distribution, summed by document and class.

Five effects, all exact and all from one sweep over the vocabulary (notation: `neuronull.estimators.closed_form`; p' is
p tilted by exp(eps), K = log E_p[exp(eps)], q the unigram distribution):

=========== ============================================================ ======================================
loss        K - eps_y                                                    docs/methods.md#effects
entropy     H(p') - H(p) = K - E_p'[eps] - (E_p'[log p] - E_p[log p])    Shannon entropy, nats
unigram     KL(p' || q) - KL(p || q) = -entropy - (E_p'[log q] - E_p[log q])
direct      the loss with eps = (c/s) u                                  the norm's scale stays the clean one
frequency   the loss with eps less its projection on the centred log q   token frequencies stay where they were
=========== ============================================================ ======================================

The last four are those of Stolfo et al. 2024, "Confidence Regulation Neurons in Language Models" (arXiv 2406.16254):
what is left of the loss's effect when the scale, or the direction of token frequency, is frozen at its clean value is
the part that does not go through it. Sums are taken about their means under p, so that small effects keep their digits.

Nothing is screened: the cost is three exponentials for each matched position, neuron and token. Only matched positions
are looked at, and arrays of positions times neurons exist for one tile at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import prange

from ..data.adapters import Adapter
from ..data.measurements import EFFECTS, Effects, IntArray, Panel
from ..data.models import LoadedModel
from ..data.options import Progress
from ..data.shards import Shards
from .ablation import Kind, make_ablation
from .compiled import compiled
from .engine import Engine, Workplace, placed
from .exact import LARGEST_EXPONENT, compiled_exp
from .influence import matched_rows
from .memory import with_back_off
from .readout import fold
from .vocabulary import Clean, Vocabulary

_TILE = 256
"""Positions at a time, so that six float64 arrays [n, N] stay small beside the read-out."""

_CHUNK_FLOATS = 1 << 22


@dataclass(frozen=True)
class _Unigram:
    """log q and its centred form f over its squared norm's root, each float32 [V]."""

    log_q: torch.Tensor
    direction: torch.Tensor


def unmeasurable(adapter: Adapter) -> str:
    """Return why effects on the next-token distribution cannot be measured on a model; empty where they can."""
    if adapter.logit_cap is not None:
        return "the model caps its logits (final_logit_softcapping)"
    return "a norm follows the model's MLP" if adapter.mlp_norm(adapter.layers - 1) is not None else ""


@torch.no_grad()
def class_effects(
    loaded: LoadedModel,
    panel: Panel,
    residual: torch.Tensor,
    activation: torch.Tensor,
    counts: IntArray,
    documents: int,
    *,
    ablation: Kind = "mean",
    seed: int = 0,
    progress: Progress | None = None,
    shards: Shards | None = None,
    engine: Engine | None = None,
) -> Effects:
    """Measure the five effects of every neuron of the last layer.

    Parameters
    ----------
    loaded, panel, residual, activation, ablation, seed
        As for `neuronull.estimators.influence.influence`.
    counts
        Occurrences of each token in the training corpus, int64 [V]; one is added to each, so that log q is finite.
    documents
        Documents fed, D.
    shards
        Where finished documents are kept for a run that is cut off; nowhere if None.
    engine
        Where documents are worked on; here if None.

    Returns
    -------
    Effects
        In float64.

    Raises
    ------
    InputError
        If there is not enough memory.
    ValueError
        If the model is none of which this can be measured (`unmeasurable`).
    """
    adapter, shape = loaded.adapter, (len(EFFECTS), 2, activation.shape[1])
    if why := unmeasurable(adapter):
        raise ValueError(why)
    replaced = make_ablation(ablation, activation, panel, seed)
    places = matched_rows(panel)
    signed, absolute = (torch.zeros(documents, *shape, dtype=torch.float64) for _ in range(2))

    def item(at: slice) -> tuple[torch.Tensor, ...]:
        rows, matched, label = places[at.start]
        here, target = torch.from_numpy(matched), torch.from_numpy(panel.target_id[rows][matched])
        change = (replaced.replacement(activation, rows) - activation[rows])[here]
        return residual[rows][here], change, target, torch.from_numpy(label)

    parts = [slice(document, document + 1) for document in places]
    Workplace(progress, shards, engine).fill("effects", loaded, _EffectWork(counts), parts, item, signed, absolute)
    return Effects(signed.transpose(0, 1).contiguous(), absolute.transpose(0, 1).contiguous())


@dataclass(frozen=True)
class _EffectWork:
    """Sums of the five effects over a document, plain and of their sizes, each float64 [5, 2, N].

    An item is residual stream, change of every neuron, targets and class index at its matched positions.
    """

    counts: IntArray

    @contextmanager
    def opened(
        self, view: LoadedModel
    ) -> Iterator[Callable[[tuple[torch.Tensor, ...]], tuple[torch.Tensor, torch.Tensor]]]:
        """Within the context, what is done with a document."""
        device = view.device
        vocabulary = Vocabulary(fold(view.adapter, view.adapter.layers - 1))
        log_q = torch.from_numpy(self.counts + 1.0).log()
        log_q -= log_q.exp().sum().log()
        centred = log_q - log_q.mean()
        unigram = _Unigram(log_q.float().to(device), (centred / centred.norm().clamp_min(1e-6)).float().to(device))
        form, tile = _Form(vocabulary, unigram), min(_TILE, vocabulary.tile)

        def sums(item: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, torch.Tensor]:
            *tensors, label = item
            total = torch.zeros(2, len(EFFECTS), 2, tensors[1].shape[1], dtype=torch.float64)

            def work(size: int) -> int:
                rows = slice(first, min(first + size, len(label)))
                found = form.effects(*(placed(one[rows], device) for one in tensors)).cpu()
                total[0].index_add_(1, label[rows], found)
                total[1].index_add_(1, label[rows], found.abs())
                return rows.stop

            nonlocal tile
            first = 0
            while first < len(label):
                first, tile = with_back_off(work, tile, "position")
            return total[0], total[1]

        yield sums


@dataclass(frozen=True)
class _Tilts:
    """The three tilts of each entry, float32 [n, N].

    ``rho``, ``kappa`` and ``kappa_frozen`` as in the closed form; ``beta`` is the length of eps along the direction of
    token frequency; ``shift`` holds E_p of the three exponents, [3, n, N]; ``at_target`` their values at the target.
    """

    rho: torch.Tensor
    kappa: torch.Tensor
    kappa_frozen: torch.Tensor
    beta: torch.Tensor
    shift: torch.Tensor
    at_target: torch.Tensor


class _Form:
    """The five effects at a tile of positions."""

    def __init__(self, vocabulary: Vocabulary, unigram: _Unigram) -> None:
        self._vocabulary, self._unigram = vocabulary, unigram
        highest, lowest, along = [], [], torch.zeros((), device=unigram.log_q.device)
        for u, f in zip(vocabulary.each_u(), self._parts(unigram.direction), strict=True):
            highest.append(u.amax(1))
            lowest.append(u.amin(1))
            along = along + u @ f
        self._highest, self._lowest = torch.stack(highest).amax(0), torch.stack(lowest).amin(0)
        self._along = along

    def effects(self, residual: torch.Tensor, change: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the five effects, float64 [5, n, N]; the parameters are those of `ClosedForm.effects`."""
        clean = self._vocabulary.clean(residual, target)
        mean_log_p, mean_log_q, tilts = self._tilts(clean, change)
        if change.device.type != "cpu":
            everywhere = torch.ones_like(change, dtype=torch.bool)
            return self._by_definition(clean, tilts, everywhere).view(len(EFFECTS), *change.shape)
        sums = np.zeros((6, *change.shape))
        blocks, log_qs = self._vocabulary.blocks, self._parts(self._unigram.log_q)
        for z, block, u, log_q, f in zip(
            clean.z, blocks, self._vocabulary.each_u(), log_qs, self._parts(self._unigram.direction), strict=True
        ):
            log_p = self._vocabulary.log_probabilities(z, block, clean.log_sum)
            arrays = (log_p, z, u, log_q, f, mean_log_p, mean_log_q)
            numbers = (tilts.rho, tilts.kappa, tilts.kappa_frozen, tilts.beta, tilts.shift)
            _compiled_sums(*(part.contiguous().numpy() for part in (*arrays, *numbers)), sums)
        tilted, moved, log_p_moved, log_q_moved, frozen, flat = torch.from_numpy(sums)
        first = tilts.shift.double() - tilts.at_target.double()
        entropy = tilted.log1p() - (moved + log_p_moved) / (1 + tilted)
        effects = torch.stack(
            [
                first[0] + tilted.log1p(),
                entropy,
                -entropy - log_q_moved / (1 + tilted),
                first[1] + frozen.log1p(),
                first[2] + flat.log1p(),
            ]
        )
        wide = self._wide(clean, tilts)
        if wide.any():
            effects[:, wide] = self._by_definition(clean, tilts, wide)
        return effects

    def _parts(self, values: torch.Tensor) -> list[torch.Tensor]:
        sizes = [len(block.unembedding) for block in self._vocabulary.blocks]
        return [part.contiguous() for part in torch.tensor_split(values, np.cumsum(sizes[:-1]).tolist())]

    def _tilts(self, clean: Clean, change: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, _Tilts]:
        """Return E_p[log p] and E_p[log q], [n], and the tilts."""
        readout, n = self._vocabulary.readout, len(change)
        g, means, z_along = torch.zeros_like(clean.stream), change.new_zeros(4, n), change.new_zeros(n)
        direction = self._parts(self._unigram.direction)
        for k, (z, block) in enumerate(zip(clean.z, self._vocabulary.blocks, strict=True)):
            log_p = self._vocabulary.log_probabilities(z, block, clean.log_sum)
            p = log_p.exp()
            g.addmm_(p, block.unembedding)
            log_q = self._parts(self._unigram.log_q)[k]
            means += torch.stack([(p * z).sum(1), (p * log_p).sum(1), p @ log_q, p @ direction[k]])
            z_along += z @ direction[k]
        width, w = readout.unembedding.shape[1], readout.w_out
        c = change / clean.scale[:, None]
        q = c * (2 / width * (clean.stream @ w.T) + c * (w.square().sum(1) / width))
        # rounding may say less than the floor where an ablation takes almost the whole residual stream away
        ratio = torch.maximum(1 + q, (readout.eps / clean.scale.square())[:, None]).sqrt()
        rho, kappa = -q / (ratio * (1 + ratio)), c / ratio
        beta = rho * z_along[:, None] + kappa * self._along
        mean_u, u_target = g @ w.T, readout.unembedding[clean.target] @ w.T
        f_target = self._unigram.direction[clean.target]
        mean = rho * means[0][:, None] + kappa * mean_u
        at_target = rho * clean.z_target[:, None] + kappa * u_target
        shift = torch.stack([mean, c * mean_u, mean - beta * means[3][:, None]])
        at_target = torch.stack([at_target, c * u_target, at_target - beta * f_target[:, None]])
        return means[1], means[2], _Tilts(rho, kappa, c, beta, shift, at_target)

    def _wide(self, clean: Clean, tilts: _Tilts) -> torch.Tensor:
        """Entries of which an exponent might be too large for a float32 sum, bool [n, N]."""
        full = torch.maximum(tilts.kappa * self._highest, tilts.kappa * self._lowest)
        full += (tilts.rho * clean.z_lowest[:, None]).clamp_min(0)
        frozen = torch.maximum(tilts.kappa_frozen * self._highest, tilts.kappa_frozen * self._lowest)
        f = self._unigram.direction
        flat = full + torch.maximum(-tilts.beta * f.amin(), -tilts.beta * f.amax())
        return ~((torch.stack([full, frozen, flat]) - tilts.shift).amax(0) <= LARGEST_EXPONENT)

    def _by_definition(self, clean: Clean, tilts: _Tilts, chosen: torch.Tensor) -> torch.Tensor:
        """Return the five effects of some entries from whole distributions in float64, [5, E]."""
        readout, unigram = self._vocabulary.readout, self._unigram
        g, log_q, f = readout.unembedding.double(), unigram.log_q.double(), unigram.direction.double()
        row, column = chosen.nonzero(as_tuple=True)
        offset = 0.0 if readout.offset is None else readout.offset.double()
        out = []
        size = max(1, _CHUNK_FLOATS // len(g))
        for start in range(0, len(row), size):
            at, of = row[start : start + size], column[start : start + size]
            z, target = clean.stream[at].double() @ g.T, clean.target[at][:, None]
            u = readout.w_out[of].double() @ g.T
            rho, kappa, frozen = (t[at, of].double()[:, None] for t in (tilts.rho, tilts.kappa, tilts.kappa_frozen))
            eps = rho * z + kappa * u
            before, *after = (
                (z + offset + e).log_softmax(1)
                for e in (torch.zeros_like(z), eps, frozen * u, eps - (eps @ f)[:, None] * f)
            )
            p, tilted = before.exp(), after[0].exp()
            loss, direct, frequency = ((before - one).gather(1, target)[:, 0] for one in after)
            entropy = (p * before).sum(1) - (tilted * after[0]).sum(1)
            out.append(torch.stack([loss, entropy, -entropy - (tilted - p) @ log_q, direct, frequency]))
        return torch.cat(out, 1)


# "reassoc" lets the inner loop add in lanes; an entry is added by one thread in one order.  No "contract": with it the
# process that compiles rounds otherwise than those that find the loop in the cache (tests/estimators/test_compiled.py)
@compiled(parallel=True, fastmath={"nnan", "ninf", "nsz", "arcp", "reassoc"}, error_model="numpy", nogil=True)
def _compiled_sums(
    log_p: Any, z: Any, u: Any, log_q: Any, f: Any, mean_log_p: Any, mean_log_q: Any,
    rho: Any, kappa: Any, frozen: Any, beta: Any, shift: Any, out: Any,
) -> None:  # fmt: skip # pragma: no cover - compiled
    one, least, largest = np.float32(1.0), np.float32(-87.0), np.float32(LARGEST_EXPONENT)
    for t in prange(rho.shape[0]):
        log_p_t, z_t, centre_p, centre_q = log_p[t], z[t], mean_log_p[t], mean_log_q[t]
        p_t = np.exp(log_p_t)
        for i in range(rho.shape[1]):
            u_i, a, b, c, d = u[i], rho[t, i], kappa[t, i], frozen[t, i], beta[t, i]
            first, second, third = shift[0, t, i], shift[1, t, i], shift[2, t, i]
            s0 = s1 = s2 = s3 = s4 = s5 = np.float32(0.0)
            for v in range(u_i.shape[0]):
                eps = a * z_t[v] + b * u_i[v]
                x = min(max(eps - first, least), largest)
                tilt = compiled_exp(x)
                gain = p_t[v] * (tilt - one)
                s0 += gain
                s1 += p_t[v] * tilt * x
                s2 += gain * (log_p_t[v] - centre_p)
                s3 += gain * (log_q[v] - centre_q)
                s4 += p_t[v] * (compiled_exp(min(max(c * u_i[v] - second, least), largest)) - one)
                s5 += p_t[v] * (compiled_exp(min(max(eps - d * f[v] - third, least), largest)) - one)
            out[0, t, i] += s0
            out[1, t, i] += s1
            out[2, t, i] += s2
            out[3, t, i] += s3
            out[4, t, i] += s4
            out[5, t, i] += s5
