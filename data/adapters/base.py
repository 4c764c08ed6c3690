"""What the estimators need to know about a model family; one subclass per family, one file per subclass.

An adapter only points at modules and parameters of an unchanged Hugging Face model. It computes nothing, so the
logits are those of the plain model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn


@dataclass(frozen=True)
class FinalNorm:
    """The norm between the last residual stream and the unembedding.

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

    kind: Literal["layer", "rms"]
    gain: torch.Tensor
    bias: torch.Tensor
    eps: float


class Adapter(ABC):
    """Where the parts of one model are.

    To support a family, write one file with a subclass and name it in `neuronull.data.adapters.families`, or in the
    entry points of a plug-in (group ``neuronull.adapters``).

    Parameters
    ----------
    model
        A causal language model of `transformers`.
    """

    model_types: ClassVar[tuple[str, ...]]
    """Values of ``config.model_type`` that this adapter serves."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.config = model.config

    @property
    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """Return the transformer blocks, in order; a block's first argument is the residual stream [B, S, d]."""

    @property
    @abstractmethod
    def final_norm_module(self) -> nn.Module:
        """Return the module whose input is the last residual stream [B, S, d]."""

    @abstractmethod
    def final_norm(self) -> FinalNorm:
        """Return the kind and the parameters of the final norm."""

    @abstractmethod
    def mlp(self, layer: int) -> nn.Module:
        """Return the MLP of a layer; its input is [B, S, d] and nothing in it mixes positions."""

    @abstractmethod
    def neuron_site(self, layer: int) -> nn.Module:
        """Return the module whose first input is the neurons' activation [B, S, N]: the MLP's output projection."""

    @abstractmethod
    def head_site(self, layer: int) -> nn.Module:
        """Return the module whose first input is the concatenated head outputs [B, S, heads * head width].

        Replacing a head's slice of that input is ablating the head.
        """

    @abstractmethod
    def w_out(self, layer: int) -> torch.Tensor:
        """Return the neurons' output weights [N, d]: what one unit of activation adds to the residual stream."""

    @abstractmethod
    def w_in(self, layer: int) -> torch.Tensor:
        """Return the neurons' input weights [N, d]; of a gated MLP those of the linear branch (``up_proj``)."""

    @abstractmethod
    def attention_feeds_mlp(self, layer: int) -> bool:
        """Return whether a layer's MLP reads what its attention has just written (sequential residual)."""

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
        return int(self.unembedding()[0].shape[0])

    def heads(self, layer: int) -> int:
        """Return the number of attention (query) heads of a layer."""
        return int(self.config.num_attention_heads)

    def unembedding(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the unembedding matrix [V, d] and its bias [V], or None where it has none."""
        head = self.model.get_output_embeddings()
        return head.weight, getattr(head, "bias", None)

    def reachable(self, layer: int, head: int, target_layer: int) -> bool:
        """Return whether an attention head can change the neurons of `target_layer` at all.

        A head of an earlier layer can. A head of the same layer can only where the MLP reads what attention has
        written, which GPT-NeoX with its parallel residual does not do. Head -1 stands for all heads of the layer.
        """
        return layer < target_layer or (layer == target_layer and self.attention_feeds_mlp(layer))
