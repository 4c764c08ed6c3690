"""The GPT line: GPT-2, GPT-Neo, GPT-J and GPT-NeoX (Pythia)."""

from __future__ import annotations

from .base import Adapter


class GPT2Adapter(Adapter):
    """GPT-2 of any size (Radford et al. 2019): sequential attention and MLP, ``Conv1D`` weights."""

    model_types = ("gpt2",)
    blocks_at, final_norm_at = "transformer.h", "transformer.ln_f"
    mlp_at, w_in_at, neurons_at, heads_at = "mlp", "mlp.c_fc", "mlp.c_proj", "attn.c_proj"


class GPTNeoAdapter(Adapter):
    """GPT-Neo (Black et al. 2021): every other layer attends to the last 256 tokens alone."""

    model_types = ("gpt_neo",)
    blocks_at, final_norm_at = "transformer.h", "transformer.ln_f"
    mlp_at, w_in_at, neurons_at, heads_at = "mlp", "mlp.c_fc", "mlp.c_proj", "attn.attention.out_proj"


class GPTJAdapter(Adapter):
    """GPT-J (Wang, Komatsuzaki 2021): attention and MLP in parallel, a bias in the unembedding."""

    model_types = ("gptj",)
    blocks_at, final_norm_at = "transformer.h", "transformer.ln_f"
    mlp_at, w_in_at, neurons_at, heads_at = "mlp", "mlp.fc_in", "mlp.fc_out", "attn.out_proj"
    parallel = True


class GPTNeoXAdapter(Adapter):
    """GPT-NeoX (Black et al. 2022), the architecture of Pythia (Biderman et al. 2023)."""

    model_types = ("gpt_neox",)
    blocks_at, final_norm_at = "gpt_neox.layers", "gpt_neox.final_layer_norm"
    mlp_at, w_in_at, neurons_at = "mlp", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"
    heads_at = "attention.dense"

    def attention_feeds_mlp(self, layer: int) -> bool:
        """Return False for the parallel residual: both branches read the same residual stream."""
        return not self.config.use_parallel_residual
