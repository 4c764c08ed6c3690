"""The Llama type and the families with its module names: RMSNorm, gated MLP, grouped-query attention."""

from __future__ import annotations

from typing import ClassVar

import torch

from .base import Adapter, Norm, NormKind

OLMO_EPS = 1e-5
"""What OLMo's LayerNorm adds under the root; `transformers` writes it into the call."""


class LlamaAdapter(Adapter):
    """Llama (Touvron et al. 2023), and families that differ from it inside attention alone.

    A neuron is one input of ``down_proj``, act(gate) * up. A head is a query head: where several share one key-value
    head, each is still ablated alone.
    """

    model_types: ClassVar[tuple[str, ...]] = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
    blocks_at, final_norm_at = "model.layers", "model.norm"
    mlp_at, w_in_at, neurons_at, heads_at = "mlp", "mlp.up_proj", "mlp.down_proj", "self_attn.o_proj"
    norm: ClassVar[NormKind] = "rms"


class GraniteAdapter(LlamaAdapter):
    """Granite (Granite Team, IBM 2024): what the branches add is scaled, and so are the logits."""

    model_types = ("granite",)

    @property
    def mlp_scale(self) -> float:
        """``residual_multiplier``."""
        return float(self.config.residual_multiplier)

    @property
    def logit_scale(self) -> float:
        """One over ``logits_scaling``."""
        return 1 / float(self.config.logits_scaling)


class Phi3Adapter(LlamaAdapter):
    """Phi-3 and Phi-4-mini (Abdin et al. 2024): gate and linear branch in one matrix."""

    model_types = ("phi3",)
    w_in_at = "mlp.gate_up_proj"

    def w_in(self, layer: int) -> torch.Tensor:
        """Return the second half of ``gate_up_proj.weight``: the branch that the activation function does not touch."""
        return super().w_in(layer)[self.neurons :]


class OlmoAdapter(LlamaAdapter):
    """OLMo (Groeneveld et al. 2024): LayerNorm without parameters."""

    model_types = ("olmo",)
    norm = "layer"

    def _norm(self, module: torch.nn.Module) -> Norm:
        unit = self.w_out(self.layers - 1)[0]
        return Norm("layer", torch.ones_like(unit), torch.zeros_like(unit), OLMO_EPS)


class Olmo2Adapter(LlamaAdapter):
    """OLMo 2 and 3 (OLMo Team 2024, 2025): norms after attention and MLP, none before them."""

    model_types = ("olmo2", "olmo3")
    mlp_norm_at = "post_feedforward_layernorm"


class StableLmAdapter(LlamaAdapter):
    """StableLM (Bellagente et al. 2024): LayerNorm, partly rotary, parallel where the configuration says so."""

    model_types = ("stablelm",)
    norm = "layer"

    def attention_feeds_mlp(self, layer: int) -> bool:
        """Return False for the parallel residual."""
        return not self.config.use_parallel_residual
