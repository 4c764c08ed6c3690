"""From the last layer's neurons to the logits: what the MLP writes, the final norm and the unembedding.

Both kinds of norm are linear up to a scale: with xc the residual stream (centred for LayerNorm) and s its scale,
logits = G xc / s + offset, where G = unembedding * gain and offset = unembedding @ bias (+ its own bias).

Where a norm follows the MLP (Gemma 2, OLMo 2), the stream gets gain * m / r, m the MLP's output and r the root of its
mean square, and an ablation changes r too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ..data.adapters import Adapter


@dataclass(frozen=True)
class AfterMlp:
    """A root-mean-square norm between the MLP's output and the residual stream.

    Parameters
    ----------
    w_out, bias
        Output weights [N, d] and bias [d] of the MLP's projection, before the norm, float32.
    gain
        Float32 [d].
    eps
        Added to the mean square under the norm's root.
    """

    w_out: torch.Tensor
    bias: torch.Tensor
    gain: torch.Tensor
    eps: float

    def output(self, activation: torch.Tensor) -> torch.Tensor:
        """Return m, the MLP's output before the norm, [n, d], from the activation of all neurons, [n, N]."""
        return torch.addmm(self.bias, activation, self.w_out)

    def scale(self, output: torch.Tensor) -> torch.Tensor:
        """Return r of some m [..., d], [...]."""
        return (output.square().mean(-1) + self.eps).sqrt()

    def written(self, output: torch.Tensor) -> torch.Tensor:
        """Return what is added to the residual stream, [..., d], for some m [..., d]."""
        return self.gain * output / self.scale(output)[..., None]


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
        Output weights as the final norm sees them (centred for LayerNorm; times the gain of a norm after the MLP),
        float32 [N, d].
    after
        The norm after the MLP, or None.
    """

    centred: bool
    eps: float
    unembedding: torch.Tensor
    offset: torch.Tensor | None
    w_out: torch.Tensor
    after: AfterMlp | None = None

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
        w_out=adapter.written(layer).detach().float(),
        after=_after(adapter, layer),
    )
    return replace(readout, w_out=readout.centre(readout.w_out))


def _after(adapter: Adapter, layer: int) -> AfterMlp | None:
    norm = adapter.mlp_norm(layer)
    if norm is None:
        return None
    if norm.kind != "rms" or adapter.mlp_scale != 1:
        raise NotImplementedError("a norm after the MLP has a closed form only if it is RMSNorm and nothing follows it")
    w_out, bias = adapter.w_out(layer).detach().float(), getattr(adapter.neuron_site(layer), "bias", None)
    return AfterMlp(
        w_out,
        torch.zeros_like(w_out[0]) if bias is None else bias.detach().float(),
        norm.gain.detach().float(),
        norm.eps,
    )
