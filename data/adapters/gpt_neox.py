"""GPT-NeoX and Pythia: attention and MLP in parallel unless the configuration says otherwise, LayerNorm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .base import Adapter, FinalNorm


class GPTNeoXAdapter(Adapter):
    """GPT-NeoX (Black et al. 2022), the architecture of Pythia (Biderman et al. 2023)."""

    model_types = ("gpt_neox",)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Return the transformer blocks."""
        return list(self.model.gpt_neox.layers)

    @property
    def final_norm_module(self) -> nn.Module:
        """Return ``final_layer_norm``."""
        module: nn.Module = self.model.gpt_neox.final_layer_norm
        return module

    def final_norm(self) -> FinalNorm:
        """Return the parameters of ``final_layer_norm``."""
        norm = self.model.gpt_neox.final_layer_norm
        return FinalNorm("layer", norm.weight, norm.bias, float(norm.eps))

    def mlp(self, layer: int) -> nn.Module:
        """Return ``mlp``."""
        module: nn.Module = self.model.gpt_neox.layers[layer].mlp
        return module

    def neuron_site(self, layer: int) -> nn.Module:
        """Return ``mlp.dense_4h_to_h``."""
        module: nn.Module = self.model.gpt_neox.layers[layer].mlp.dense_4h_to_h
        return module

    def head_site(self, layer: int) -> nn.Module:
        """Return ``attention.dense``."""
        module: nn.Module = self.model.gpt_neox.layers[layer].attention.dense
        return module

    def w_out(self, layer: int) -> torch.Tensor:
        """Return ``mlp.dense_4h_to_h.weight`` transposed."""
        weight: torch.Tensor = self.model.gpt_neox.layers[layer].mlp.dense_4h_to_h.weight
        return weight.T

    def w_in(self, layer: int) -> torch.Tensor:
        """Return ``mlp.dense_h_to_4h.weight``."""
        weight: torch.Tensor = self.model.gpt_neox.layers[layer].mlp.dense_h_to_4h.weight
        return weight

    def attention_feeds_mlp(self, layer: int) -> bool:
        """Return False for the parallel residual: both branches read the same residual stream."""
        return not self.config.use_parallel_residual
