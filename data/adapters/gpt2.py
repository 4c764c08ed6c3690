"""GPT-2: sequential attention and MLP, ``Conv1D`` weights, LayerNorm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .base import Adapter, FinalNorm


class GPT2Adapter(Adapter):
    """GPT-2 of any size (Radford et al. 2019)."""

    model_types = ("gpt2",)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Return the transformer blocks."""
        return list(self.model.transformer.h)

    @property
    def final_norm_module(self) -> nn.Module:
        """Return ``ln_f``."""
        module: nn.Module = self.model.transformer.ln_f
        return module

    def final_norm(self) -> FinalNorm:
        """Return the parameters of ``ln_f``."""
        norm = self.model.transformer.ln_f
        return FinalNorm("layer", norm.weight, norm.bias, float(norm.eps))

    def mlp(self, layer: int) -> nn.Module:
        """Return ``mlp``."""
        module: nn.Module = self.model.transformer.h[layer].mlp
        return module

    def neuron_site(self, layer: int) -> nn.Module:
        """Return ``mlp.c_proj``."""
        module: nn.Module = self.model.transformer.h[layer].mlp.c_proj
        return module

    def head_site(self, layer: int) -> nn.Module:
        """Return ``attn.c_proj``."""
        module: nn.Module = self.model.transformer.h[layer].attn.c_proj
        return module

    def w_out(self, layer: int) -> torch.Tensor:
        """Return ``mlp.c_proj.weight``: a ``Conv1D`` keeps it as [in, out], which is [N, d]."""
        weight: torch.Tensor = self.model.transformer.h[layer].mlp.c_proj.weight
        return weight

    def w_in(self, layer: int) -> torch.Tensor:
        """Return ``mlp.c_fc.weight`` transposed."""
        weight: torch.Tensor = self.model.transformer.h[layer].mlp.c_fc.weight
        return weight.T

    def attention_feeds_mlp(self, layer: int) -> bool:
        """Return True: the MLP reads the residual stream after attention."""
        return True
