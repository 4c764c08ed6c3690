"""Tiny random models of every supported family, with weights inflated until single neurons move the loss by nats.

And naive measurements of them: whole float64 forward passes with a hook, module paths spelled out, nothing of
`neuronull` in between.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

from neuronull.data.adapters import adapter_for
from neuronull.data.measurements import Measurements, Panel
from neuronull.data.models import LoadedModel
from neuronull.data.options import MeasureOptions
from neuronull.estimators.measure import measure
from neuronull.estimators.measure_heads import measure_heads

VOCABULARY, LAYERS, HEADS, WIDTH, NEURONS = 67, 3, 4, 24, 40

_SHARED = {
    "vocab_size": VOCABULARY,
    "attention_dropout": 0.0,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
}
_GATED = _SHARED | {
    "num_key_value_heads": 2,
    "intermediate_size": NEURONS,
    "max_position_embeddings": 64,
}
_NEOX = _SHARED | {
    "intermediate_size": NEURONS,
    "max_position_embeddings": 64,
    "hidden_dropout": 0.0,
}
CONFIGS: dict[str, Callable[[], transformers.PretrainedConfig]] = {
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=64,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_inner=NEURONS,
        bos_token_id=0,
        eos_token_id=0,
    ),
    "gpt_neox": lambda: transformers.GPTNeoXConfig(**_NEOX, use_parallel_residual=True),
    "gpt_neox sequential": lambda: transformers.GPTNeoXConfig(**_NEOX, use_parallel_residual=False),
    "llama": lambda: transformers.LlamaConfig(**_GATED, tie_word_embeddings=False),
    "llama tied": lambda: transformers.LlamaConfig(**_GATED, tie_word_embeddings=True),
    "mistral": lambda: transformers.MistralConfig(**_GATED, sliding_window=8),
    "qwen2": lambda: transformers.Qwen2Config(**_GATED),
    "qwen3": lambda: transformers.Qwen3Config(**_GATED, head_dim=6),
}
LENGTH_DEPENDENT: dict[str, Callable[[], transformers.PretrainedConfig]] = {
    "longrope": lambda: transformers.LlamaConfig(
        **_GATED,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "short_factor": [1.0, 1.1, 1.3],
            "long_factor": [1.0, 4.0, 16.0],
            "original_max_position_embeddings": 20,
        },
    ),
    "dynamic": lambda: transformers.LlamaConfig(
        **(_GATED | {"max_position_embeddings": 24}),
        rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 8.0},
    ),
    "gpt_neox dynamic": lambda: transformers.GPTNeoXConfig(
        **(_NEOX | {"max_position_embeddings": 24}),
        rope_parameters={"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 8.0, "partial_rotary_factor": 1.0},
    ),
}
"""Models whose positions depend on how long a document is: beyond 20 or 24 tokens other frequencies hold."""
_ONE_AFTER = _GATED | {"head_dim": 6, "query_pre_attn_scalar": 5, "sliding_window": 8}
_FALCON = _SHARED | {
    "ffn_hidden_size": NEURONS,
    "hidden_dropout": 0.0,
}
_OPT = _SHARED | {
    "ffn_dim": NEURONS,
    "max_position_embeddings": 64,
    "dropout": 0.0,
}
_NO_TOKENS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
FAMILIES: dict[str, Callable[[], transformers.PretrainedConfig]] = {
    "gpt_neo": lambda: transformers.GPTNeoConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=64,
        hidden_size=WIDTH,
        num_layers=LAYERS,
        num_heads=HEADS,
        intermediate_size=NEURONS,
        attention_types=[[["global", "local", "local"], 1]],
        window_size=4,
    ),
    "gptj": lambda: transformers.GPTJConfig(
        vocab_size=VOCABULARY,
        n_positions=64,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_inner=NEURONS,
        rotary_dim=4,
        tie_word_embeddings=False,
    ),
    "opt": lambda: transformers.OPTConfig(**_OPT, word_embed_proj_dim=WIDTH),
    "opt narrow": lambda: transformers.OPTConfig(
        **_OPT, word_embed_proj_dim=16, enable_bias=False, layer_norm_elementwise_affine=False
    ),
    "phi": lambda: transformers.PhiConfig(**_GATED, partial_rotary_factor=2 / 3, qk_layernorm=True, resid_pdrop=0.0),
    "phi3": lambda: transformers.Phi3Config(**_GATED, pad_token_id=0, sliding_window=8),
    "gemma": lambda: transformers.GemmaConfig(**_GATED, head_dim=6),
    "gemma2": lambda: transformers.Gemma2Config(**_ONE_AFTER, final_logit_softcapping=None, attn_logit_softcapping=2.0),
    "gemma2 capped": lambda: transformers.Gemma2Config(**_ONE_AFTER, final_logit_softcapping=9.0),
    "gemma3_text": lambda: transformers.Gemma3TextConfig(
        **_ONE_AFTER, layer_types=["sliding_attention", "full_attention", "sliding_attention"]
    ),
    "olmo": lambda: transformers.OlmoConfig(**_GATED, clip_qkv=0.5),
    "olmo2": lambda: transformers.Olmo2Config(**_GATED, attention_bias=True),
    "olmo3": lambda: transformers.Olmo3Config(**_GATED, sliding_window=8),
    "stablelm": lambda: transformers.StableLmConfig(**_GATED, use_qkv_bias=True, qk_layernorm=True),
    "stablelm parallel": lambda: transformers.StableLmConfig(**_GATED, use_parallel_residual=True),
    "falcon": lambda: transformers.FalconConfig(**_FALCON),
    "falcon new": lambda: transformers.FalconConfig(**_FALCON, new_decoder_architecture=True, num_kv_heads=2),
    "falcon one norm": lambda: transformers.FalconConfig(
        **_FALCON, new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1
    ),
    "falcon alibi": lambda: transformers.FalconConfig(
        **_FALCON, alibi=True, parallel_attn=False, multi_query=False, bias=True
    ),
    "bloom": lambda: transformers.BloomConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, n_layer=LAYERS, n_head=HEADS),
    "bloom normed": lambda: transformers.BloomConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        apply_residual_connection_post_layernorm=True,
    ),
    "granite": lambda: transformers.GraniteConfig(
        **_GATED, embedding_multiplier=3.0, residual_multiplier=0.4, logits_scaling=2.5, attention_multiplier=0.3
    ),
    "smollm3": lambda: transformers.SmolLM3Config(**_GATED, no_rope_layers=[1, 0, 1], **_NO_TOKENS),
}
"""One of every further family, and of every flag that changes what a neuron or a head does; BLOOM has 96 neurons."""
PATHS = {
    "gpt2": ("transformer.h.{}.mlp.c_proj", "transformer.h.{}.attn.c_proj", "transformer.ln_f"),
    "gpt_neox": (
        "gpt_neox.layers.{}.mlp.dense_4h_to_h",
        "gpt_neox.layers.{}.attention.dense",
        "gpt_neox.final_layer_norm",
    ),
    "llama": ("model.layers.{}.mlp.down_proj", "model.layers.{}.self_attn.o_proj", "model.norm"),
    "gpt_neo": ("transformer.h.{}.mlp.c_proj", "transformer.h.{}.attn.attention.out_proj", "transformer.ln_f"),
    "gptj": ("transformer.h.{}.mlp.fc_out", "transformer.h.{}.attn.out_proj", "transformer.ln_f"),
    "opt": (
        "model.decoder.layers.{}.fc2",
        "model.decoder.layers.{}.self_attn.out_proj",
        "model.decoder.final_layer_norm",
    ),
    "phi": ("model.layers.{}.mlp.fc2", "model.layers.{}.self_attn.dense", "model.final_layernorm"),
    "falcon": ("transformer.h.{}.mlp.dense_4h_to_h", "transformer.h.{}.self_attention.dense", "transformer.ln_f"),
}
PATHS["bloom"] = PATHS["falcon"]


def paths(name: str) -> tuple[str, str, str]:
    """Module paths of the neuron site, the head site and the final norm."""
    family = name.split()[0]
    return PATHS.get(family, PATHS["llama"])


@functools.cache
def tiny(name: str, inflation: float = 6.0) -> LoadedModel:
    """A tiny model whose neurons matter, as if it had been loaded."""
    return _inflated((CONFIGS | FAMILIES)[name](), name, inflation)


@functools.cache
def length_dependent(name: str, inflation: float = 6.0) -> LoadedModel:
    """One of `LENGTH_DEPENDENT` as `tiny` makes it, but without what loading does to it."""
    return _inflated(LENGTH_DEPENDENT[name](), name, inflation)


def _inflated(config: transformers.PretrainedConfig, name: str, inflation: float) -> LoadedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                if parameter.ndim >= 2:
                    parameter.normal_(0, inflation * 0.04)
                elif "norm" in parameter_name or ".ln_" in parameter_name:
                    parameter.add_(0.3 * torch.randn_like(parameter))
                else:
                    parameter.normal_(0, 0.1)
            for layer in range(LAYERS):
                model.get_submodule(paths(name)[0].format(layer)).weight.mul_(inflation)
            model.get_output_embeddings().weight.mul_(inflation / 1.5)
    model.eval().requires_grad_(False)
    return LoadedModel(model, None, adapter_for(model), name, None, "0" * 64, model.config, None)


def saved(name: str, directory: Path, inflation: float = 6.0) -> Path:
    """A tiny model on disk, with a tokenizer that knows the words w0 to w66."""
    return saved_model(tiny(name, inflation).model, directory)


def saved_model(model: transformers.PreTrainedModel, directory: Path) -> Path:
    """The same of any model with that vocabulary."""
    model.save_pretrained(directory)
    words = {f"w{i}": i for i in range(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="w0").save_pretrained(directory)
    return directory


def options_of(name: str, folder: Path, model: str = "model", seed: int = 1, inflation: float = 6.0) -> MeasureOptions:
    """What measures a tiny model: it on disk, a corpus of words as rare as Zipf's law has them, and their counts."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, VOCABULARY + 1)
    words = [rng.choice(VOCABULARY, size=40, p=weights / weights.sum()) for _ in range(30)]
    (folder / "corpus.json").write_text(json.dumps([" ".join(f"w{i}" for i in text) for text in words]))
    np.save(folder / "counts.npy", (1e6 * weights).astype(np.int64))
    return MeasureOptions(
        model=str(saved(name, folder / model, inflation)),
        corpus=str(folder / "corpus.json"),
        counts=str(folder / "counts.npy"),
        documents=24,
        context=32,
        threshold=0.35,
        device="cpu",
    )


def measured_with_heads(options: MeasureOptions) -> Measurements:
    """Neurons and heads, without the cache."""
    return measure_heads(options, measure(options, cache=False), cache=False)


def texts(documents: int = 6, seed: int = 0, longest: int = 24) -> list[list[int]]:
    """Documents of random token ids, of different lengths."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, VOCABULARY, size=int(rng.integers(12, longest + 1))).tolist() for _ in range(documents)]


def panel_of(documents: Sequence[Sequence[int]], every: int = 1) -> Panel:
    """Every scored position of the documents; even positions are rare and matched with the one after them.

    With ``every`` = k only documents 0, k, 2k, ... have matched pairs.
    """
    rows = [(d, p) for d, ids in enumerate(documents) for p in range(3, len(ids) - 1)]
    document, position = (np.asarray(column, dtype=np.int64) for column in zip(*rows, strict=True))
    input_id = np.asarray([documents[d][p] for d, p in rows])
    target_id = np.asarray([documents[d][p + 1] for d, p in rows])
    rare = position % 2 == 0
    match = np.full(len(rows), -1)
    for row in np.flatnonzero(rare & (document % every == 0)):
        if row + 1 < len(rows) and document[row + 1] == document[row]:
            match[row] = row + 1
    zero = np.zeros(len(rows), dtype=np.int64)
    return Panel(
        document,
        position,
        input_id,
        target_id,
        zero.astype(float),
        zero,
        zero,
        document % 2,
        rare.astype(np.int64),
        match,
    )


def in_float64(name: str, inflation: float = 6.0) -> torch.nn.Module:
    """The same model in float64."""
    return copy.deepcopy(tiny(name, inflation).model).double()


def logits_with(
    model: torch.nn.Module, ids: Sequence[int], path: str, change: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Logits [S, V] of a full forward pass in which the input of one module goes through `change`."""
    hook = model.get_submodule(path).register_forward_pre_hook(lambda _, inputs: (change(inputs[0]), *inputs[1:]))
    try:
        with torch.no_grad():
            return model(torch.tensor([list(ids)]), use_cache=False).logits[0]
    finally:
        hook.remove()


def inputs_of(model: torch.nn.Module, ids: Sequence[int], path: str) -> torch.Tensor:
    """The first input [S, width] of a module in a clean forward pass."""
    seen: list[torch.Tensor] = []

    def remember(value: torch.Tensor) -> torch.Tensor:
        seen.append(value[0])
        return value

    logits_with(model, ids, path, remember)
    return seen[0]


def losses(logits: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Loss (nats) of the next token at positions 0 to S - 2."""
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(list(ids)[1:]), reduction="none")
