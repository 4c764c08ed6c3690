"""Gemma 1 to 3: norms that add one to their weight, and from Gemma 2 on norms after attention and MLP."""

from __future__ import annotations

from typing import ClassVar

from .llama import LlamaAdapter


class GemmaAdapter(LlamaAdapter):
    """Gemma (Gemma Team 2024a)."""

    model_types: ClassVar[tuple[str, ...]] = ("gemma",)
    norm_adds_one = True


class Gemma2Adapter(GemmaAdapter):
    """Gemma 2 (2024b), with soft caps on attention and on logits, and the text model of Gemma 3 (2025)."""

    model_types = ("gemma2", "gemma3_text")
    mlp_norm_at = "post_feedforward_layernorm"
    refused = (("use_bidirectional_attention", True),)  # there a token's loss depends on what follows it
