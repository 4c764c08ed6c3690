"""Families with LayerNorm, biases and a plain MLP: OPT, Phi, BLOOM and Falcon."""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch

from ..errors import InputError
from .base import Adapter, wide


class OPTAdapter(Adapter):
    """OPT (Zhang et al. 2022).

    A block of `transformers` folds batch and positions into one axis around the MLP. There a hook could not tell the
    rows of a batch apart, so the blocks get a forward pass that does the same without folding.
    """

    model_types = ("opt",)
    blocks_at, final_norm_at = "model.decoder.layers", "model.decoder.final_layer_norm"
    mlp_at, w_in_at, neurons_at, heads_at = "fc1", "fc1", "fc2", "self_attn.out_proj"
    # OPT-350m norms after the residual is added, so the last stream is not what the unembedding reads
    refused = (("do_layer_norm_before", False), ("_remove_final_layer_norm", True))

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        for block in self.blocks:
            block.forward = MethodType(_unfolded, block)

    def unembedding(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the unembedding, behind ``project_out`` where the embedding is narrower than the stream."""
        weight, bias = super().unembedding()
        out = self.model.model.decoder.project_out
        return weight if out is None else wide(weight) @ wide(out.weight), bias

    def logits(self, stream: torch.Tensor) -> torch.Tensor:
        """Return the logits, by way of ``project_out`` where the model has one."""
        out = self.model.model.decoder.project_out
        if out is None:
            return super().logits(stream)
        found: torch.Tensor = self.model.get_output_embeddings()(out(self.final_norm_module(stream)))
        return found


def _unfolded(block: Any, hidden_states: torch.Tensor, **keywords: Any) -> torch.Tensor:
    """Do what ``OPTDecoderLayer`` does in eval mode, with the norms first, on [B, S, d] throughout."""
    attended: torch.Tensor = block.self_attn(hidden_states=block.self_attn_layer_norm(hidden_states), **keywords)[0]
    stream = hidden_states + attended
    found: torch.Tensor = stream + block.fc2(block.activation_fn(block.fc1(block.final_layer_norm(stream))))
    return found


class PhiAdapter(Adapter):
    """Phi 1, 1.5 and 2 (Li et al. 2023): attention and MLP in parallel, a bias in the unembedding."""

    model_types = ("phi",)
    blocks_at, final_norm_at = "model.layers", "model.final_layernorm"
    mlp_at, w_in_at, neurons_at, heads_at = "mlp", "mlp.fc1", "mlp.fc2", "self_attn.dense"
    parallel = True


class BloomAdapter(Adapter):
    """BLOOM (Workshop, BigScience 2022): positions by ALiBi."""

    model_types = ("bloom",)
    blocks_at, final_norm_at = "transformer.h", "transformer.ln_f"
    mlp_at, w_in_at, neurons_at = "mlp", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"
    heads_at = "self_attention.dense"
    by_row = frozenset({"alibi"})
    refused = (("slow_but_exact", True),)  # it multiplies by slices of the weights, past the modules


class FalconAdapter(Adapter):
    """Falcon (Almazrouei et al. 2023): parallel or sequential, with one norm or two, rotary or ALiBi."""

    model_types = ("falcon",)
    blocks_at, final_norm_at = "transformer.h", "transformer.ln_f"
    mlp_at, w_in_at, neurons_at = "mlp", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"
    heads_at = "self_attention.dense"
    broadcasts = False  # attention's output is added to the MLP's in place
    by_row = frozenset({"alibi"})

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        if self.config.alibi and self.config._attn_implementation == "eager":
            # there transformers 5 adds the positions twice: to the scores, and in the mask
            raise InputError(
                "eager attention of Falcon models with alibi adds positions twice, so it is not the model's",
                "--attention eager",
                "give --attention sdpa",
            )

    def attention_feeds_mlp(self, layer: int) -> bool:
        """Return False where both branches read the same stream."""
        return not (self.config.parallel_attn or self.config.new_decoder_architecture)
