"""The Llama type: RMSNorm, gated MLP, grouped-query attention, tied or untied embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .base import Adapter, FinalNorm


class LlamaAdapter(Adapter):
    """Llama (Touvron et al. 2023) and the families with the same module layout.

    A neuron is one input of ``down_proj``, act(gate) * up. A head is a query head: where several share one key-value
    head, each is still ablated alone.
    """

    model_types = ("llama", "mistral", "qwen2", "qwen3")

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Return the transformer blocks."""
        return list(self.model.model.layers)

    @property
    def final_norm_module(self) -> nn.Module:
        """Return ``norm``."""
        module: nn.Module = self.model.model.norm
        return module

    def final_norm(self) -> FinalNorm:
        """Return the parameters of ``norm``, which has no bias."""
        norm = self.model.model.norm
        return FinalNorm("rms", norm.weight, torch.zeros_like(norm.weight), float(norm.variance_epsilon))

    def mlp(self, layer: int) -> nn.Module:
        """Return ``mlp``."""
        module: nn.Module = self.model.model.layers[layer].mlp
        return module

    def neuron_site(self, layer: int) -> nn.Module:
        """Return ``mlp.down_proj``."""
        module: nn.Module = self.model.model.layers[layer].mlp.down_proj
        return module

    def head_site(self, layer: int) -> nn.Module:
        """Return ``self_attn.o_proj``."""
        module: nn.Module = self.model.model.layers[layer].self_attn.o_proj
        return module

    def w_out(self, layer: int) -> torch.Tensor:
        """Return ``mlp.down_proj.weight`` transposed."""
        weight: torch.Tensor = self.model.model.layers[layer].mlp.down_proj.weight
        return weight.T

    def w_in(self, layer: int) -> torch.Tensor:
        """Return ``mlp.up_proj.weight``: the branch that the activation function does not touch."""
        weight: torch.Tensor = self.model.model.layers[layer].mlp.up_proj.weight
        return weight

    def attention_feeds_mlp(self, layer: int) -> bool:
        """Return True: the MLP reads the residual stream after attention."""
        return True
