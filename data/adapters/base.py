"""What the estimators need to know about a model family; one subclass per family.

An adapter only points at modules and parameters of a Hugging Face model. It changes nothing, so the logits are those of
the plain model.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from ..errors import InputError

NormKind = Literal["layer", "rms"]


@dataclass(frozen=True)
class Norm:
    """A norm: the one between the last residual stream and the unembedding, or one after an MLP.

    ``layer``: gain * (x - mean x) / sqrt(var x + eps) + bias (Ba, Kiros, Hinton 2016, eq. 4).
    ``rms``: gain * x / sqrt(mean x^2 + eps) (Zhang, Sennrich 2019, eq. 4); its bias is zero.

    Parameters
    ----------
    kind
        ``layer`` or ``rms``.
    gain, bias
        Tensors [d].
    eps
        Added to the (mean) square under the root.
    """

    kind: NormKind
    gain: torch.Tensor
    bias: torch.Tensor
    eps: float

    def double(self) -> Norm:
        """Return the same in float64, where its parameters lie."""
        return Norm(self.kind, self.gain.double(), self.bias.double(), self.eps)

    def of(self, x: torch.Tensor) -> torch.Tensor:
        """Return x [..., d] normed, by the formula."""
        if self.kind == "layer":
            x = x - x.mean(-1, keepdim=True)
        return self.gain * x / (x.square().mean(-1, keepdim=True) + self.eps).sqrt() + self.bias


class Adapter(ABC):
    """Where the parts of one model are.

    To support a family, write a subclass and name it in `neuronull.data.adapters.families`, or in the entry points of a
    plug-in (group ``neuronull.adapters``). For most families the class variables say all; where they cannot, override
    the method that reads them.

    Parameters
    ----------
    model
        A causal language model of `transformers`.

    Raises
    ------
    InputError
        If the configuration asks for something that the measurements cannot follow.
    """

    model_types: ClassVar[tuple[str, ...]]
    """Values of ``config.model_type`` that this adapter serves."""

    blocks_at: ClassVar[str]
    """Path from the model to the list of transformer blocks."""

    final_norm_at: ClassVar[str]
    """Path from the model to the norm before the unembedding."""

    mlp_at: ClassVar[str]
    """Path from a block to its MLP."""

    w_in_at: ClassVar[str]
    """Path from a block to the projection into the neurons; of a gated MLP the linear branch."""

    neurons_at: ClassVar[str]
    """Path from a block to the MLP's output projection."""

    heads_at: ClassVar[str]
    """Path from a block to the attention's output projection."""

    norm: ClassVar[NormKind] = "layer"
    """Kind of the final norm, and of a norm after the MLP."""

    norm_adds_one: ClassVar[bool] = False
    """Whether norms multiply by 1 + weight (Gemma) in place of the weight."""

    mlp_norm_at: ClassVar[str | None] = None
    """Path from a block to a norm that the MLP's output goes through before it is added to the residual stream."""

    parallel: ClassVar[bool] = False
    """Whether attention and MLP of a block read the same residual stream."""

    broadcasts: ClassVar[bool] = True
    """Whether a block can be fed one row while a hook in it makes several; else several are fed from the start."""

    by_row: ClassVar[frozenset[str]] = frozenset()
    """Keywords of a block whose tensors have as many rows as the batch, or that times the heads (ALiBi)."""

    refused: ClassVar[tuple[tuple[str, Any], ...]] = ()
    """Flags of the configuration, each with a value that the measurements cannot follow."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.config = model.config
        for flag, value in self.refused:
            if getattr(self.config, flag, None) == value:
                raise InputError(
                    f"models of type {self.config.model_type} with {flag}={str(value).lower()} cannot be measured",
                    f"{flag} in config.json",
                    "choose a model without it; docs/own-model-family.md says what a measurement needs",
                )

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Return the transformer blocks, in order; a block's first argument is the residual stream [B, S, d]."""
        found: Any = self.model.get_submodule(self.blocks_at)
        return list(found)

    @property
    def final_norm_module(self) -> nn.Module:
        """Return the module whose input is the last residual stream [B, S, d]."""
        module: nn.Module = self.model.get_submodule(self.final_norm_at)
        return module

    def final_norm(self) -> Norm:
        """Return the kind and the parameters of the final norm."""
        return self._norm(self.final_norm_module)

    def mlp(self, layer: int) -> nn.Module:
        """Return the MLP of a layer; its first input is [B, S, d], and on the way to the neurons no positions mix."""
        return self.blocks[layer].get_submodule(self.mlp_at)

    def neuron_site(self, layer: int) -> nn.Module:
        """Return the module whose first input is the neurons' activation [B, S, N]: the MLP's output projection."""
        return self.blocks[layer].get_submodule(self.neurons_at)

    def head_site(self, layer: int) -> nn.Module:
        """Return the module whose first input is the concatenated head outputs [B, S, heads * head width].

        Replacing a head's slice of that input is ablating the head.
        """
        return self.blocks[layer].get_submodule(self.heads_at)

    def w_out(self, layer: int) -> torch.Tensor:
        """Return the neurons' output weights [N, d]: what one unit of activation adds to the projection's output."""
        return _rows_are_inputs(self.neuron_site(layer))

    def w_in(self, layer: int) -> torch.Tensor:
        """Return the neurons' input weights [N, d]; of a gated MLP those of the linear branch (``up_proj``)."""
        return _rows_are_inputs(self.blocks[layer].get_submodule(self.w_in_at)).T

    def mlp_norm(self, layer: int) -> Norm | None:
        """Return the norm that the MLP's output goes through before it is added to the stream, or None."""
        if self.mlp_norm_at is None:
            return None
        return self._norm(self.blocks[layer].get_submodule(self.mlp_norm_at))

    @property
    def mlp_scale(self) -> float:
        """What the MLP's output is multiplied by before it is added to the residual stream."""
        return 1.0

    def written(self, layer: int) -> torch.Tensor:
        """Return the output weights as the residual stream sees them, [N, d].

        Times the branch's scale, and times the gain of a norm after the MLP: then up to that norm's own scale, which is
        another one at every position.
        """
        norm, weights = self.mlp_norm(layer), self.w_out(layer)
        if self.mlp_scale != 1:
            weights = wide(weights) * self.mlp_scale
        return weights if norm is None else wide(weights) * wide(norm.gain)

    def attention_feeds_mlp(self, layer: int) -> bool:
        """Return whether a layer's MLP reads what its attention has just written (sequential residual)."""
        return not self.parallel

    @property
    def layers(self) -> int:
        """Number of transformer blocks."""
        return len(self.blocks)

    @property
    def neurons(self) -> int:
        """Neurons of the last layer, N."""
        return int(self.w_out(self.layers - 1).shape[0])

    @property
    def vocabulary(self) -> int:
        """Rows of the unembedding, V; padding rows beyond the tokenizer's are counted."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    def heads(self, layer: int) -> int:
        """Return the number of attention (query) heads of a layer."""
        return int(self.config.num_attention_heads)

    @property
    def logit_scale(self) -> float:
        """What the unembedding's output is multiplied by."""
        return 1.0

    @property
    def logit_cap(self) -> float | None:
        """Soft cap of the logits, cap * tanh(logits / cap), or None. With a cap there is no closed form."""
        return getattr(self.config, "final_logit_softcapping", None)

    def unembedding(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the matrix [V, d] from the normed stream to the logits before a cap, and its bias [V] or None."""
        head, scale = self.model.get_output_embeddings(), self.logit_scale
        bias = getattr(head, "bias", None)
        if scale == 1:
            return head.weight, bias
        return wide(head.weight) * scale, None if bias is None else wide(bias) * scale

    def logits(self, stream: torch.Tensor) -> torch.Tensor:
        """Return the logits [..., V] from the last residual stream [..., d], by the model's own modules."""
        found: torch.Tensor = self.model.get_output_embeddings()(self.final_norm_module(stream))
        if self.logit_scale != 1:
            found = found * self.logit_scale
        return found if self.logit_cap is None else self.logit_cap * torch.tanh(found / self.logit_cap)

    def reachable(self, layer: int, head: int, target_layer: int) -> bool:
        """Return whether an attention head can change the neurons of `target_layer` at all.

        A head of an earlier layer can. A head of the same layer can only where the MLP reads what attention has
        written, which GPT-NeoX with its parallel residual does not do. Head -1 stands for all heads of the layer.
        """
        return layer < target_layer or (layer == target_layer and self.attention_feeds_mlp(layer))

    def _norm(self, module: nn.Module) -> Norm:
        """Read the parameters of a norm; weights that it does not have are 1, a bias that it does not have is 0."""
        eps = next(float(getattr(module, name)) for name in ("eps", "variance_epsilon") if hasattr(module, name))
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        unit = self.w_out(self.layers - 1)[0]
        gain = torch.ones_like(unit) if weight is None else wide(weight) + 1 if self.norm_adds_one else weight
        return Norm(self.norm, gain, torch.zeros_like(unit) if bias is None else bias, eps)


def wide(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in at least float32: what is computed from weights is not to be rounded to half precision."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _rows_are_inputs(module: nn.Module) -> torch.Tensor:
    """Weights of a projection as [inputs, outputs]: as the ``Conv1D`` of `transformers` keeps them, unlike a Linear."""
    weight: Any = module.weight
    found: torch.Tensor = weight if type(module).__name__ == "Conv1D" else weight.T
    return found
