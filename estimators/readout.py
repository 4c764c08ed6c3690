"""From the last residual stream to the logits: the final norm and the unembedding, folded into one affine form.

Both norms are linear up to a scale: with xc the residual stream (centred for LayerNorm) and s its scale,
logits = G xc / s + offset, where G = unembedding * gain and offset = unembedding @ bias (+ its own bias).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..data.adapters import Adapter


@dataclass(frozen=True)
class Readout:
    """The folded last norm and unembedding with one layer's output weights.

    Parameters
    ----------
    centred
        Whether the norm subtracts the mean (LayerNorm).
    eps
        Added to the mean square under the norm's root.
    unembedding
        G, float32 [V, d], its mean over V taken off: a constant on all logits changes no probability.
    offset
        float32 [V], or None where it is zero.
    w_out
        Output weights as the norm sees them (centred for LayerNorm), float32 [N, d].
    """

    centred: bool
    eps: float
    unembedding: torch.Tensor
    offset: torch.Tensor | None
    w_out: torch.Tensor

    def centre(self, x: torch.Tensor) -> torch.Tensor:
        """Return x less its mean over the last axis where the norm centres, else x."""
        return x - x.mean(-1, keepdim=True) if self.centred else x


def fold(adapter: Adapter, layer: int) -> Readout:
    """Return the folded read-out of a model, in float32 on the model's device, with a layer's output weights."""
    norm = adapter.final_norm()
    weight, bias = adapter.unembedding()
    weight = weight.detach().float()
    offset = weight @ norm.bias.detach().float()
    if bias is not None:
        offset = offset + bias.detach().float()
    folded = weight * norm.gain.detach().float()
    readout = Readout(
        centred=norm.kind == "layer",
        eps=norm.eps,
        unembedding=folded - folded.mean(0),
        offset=offset if bool(offset.any()) else None,
        w_out=adapter.w_out(layer).detach().float(),
    )
    return Readout(readout.centred, readout.eps, readout.unembedding, readout.offset, readout.centre(readout.w_out))
