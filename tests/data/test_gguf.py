"""A model in one GGUF file is the model of the directory that it was made from."""

from __future__ import annotations

import string
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from tiny_models import HEADS, LAYERS, NEURONS, VOCABULARY, WIDTH, tiny

from neuronull.data import gguf_files
from neuronull.data.errors import InputError
from neuronull.data.models import load_model

TOKENS = ["<|end|>", *string.ascii_letters, *string.digits, "Ġ", ".", "th", ","]
IDS = torch.tensor([[5, 3, 9, 1, 0, 2]])
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of a query or key projection in the order of llama.cpp, whose rotary pairs are neighbours."""
    return weight.view(heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def written(file: Path, architecture: str = "llama") -> Path:
    model = tiny("llama").model
    writer = gguf.GGUFWriter(str(file), architecture)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(NEURONS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([gguf.TokenType.NORMAL] * VOCABULARY)
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    for name, value in model.state_dict().items():
        if name.startswith("model.layers."):
            _, _, layer, part = name.split(".", 3)
            part = part.removesuffix(".weight")
            heads = {"self_attn.q_proj": HEADS, "self_attn.k_proj": 2}.get(part)
            value = value if heads is None else interleaved(value, heads)
            name = f"blk.{layer}.{NAMES[part]}.weight"
        else:
            name = {
                "model.embed_tokens.weight": "token_embd.weight",
                "model.norm.weight": "output_norm.weight",
                "lm_head.weight": "output.weight",
            }[name]
        writer.add_tensor(name, value.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def test_the_same_model_to_the_bit(tmp_path: Path):
    loaded = load_model(str(written(tmp_path / "small.gguf")), device="cpu")
    for name, value in tiny("llama").model.named_parameters():
        assert torch.equal(loaded.model.get_parameter(name), value), name
    assert torch.equal(loaded.model(IDS).logits, tiny("llama").model(IDS).logits)
    assert (loaded.id, loaded.quantized) == ("small.gguf", None)
    assert [TOKENS[i] for i in loaded.tokenizer("the tho")["input_ids"]] == ["th", "e", "Ġ", "th", "o"]


def test_how_weights_were_quantised_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    class Quantised:
        def __init__(self, file: Path) -> None:
            self.tensors = [tensor("F32", 10), tensor("Q4_1", 900), tensor("Q6_K", 90), tensor("Q4_1", 5)]

    def tensor(kind: str, size: int):
        return type("Tensor", (), {"tensor_type": gguf.GGMLQuantizationType[kind], "n_elements": size})

    monkeypatch.setattr(gguf, "GGUFReader", Quantised)
    source = gguf_files.gguf_source(written(tmp_path / "small.gguf"), "small.gguf")
    assert gguf_files.quantization(source) == "Q4_1"


def refused(name: object) -> str:
    with pytest.raises(InputError) as error:
        load_model(str(name), device="cpu")
    said = str(error.value)
    assert "\n" not in said
    return said


def test_an_unknown_architecture_is_named(tmp_path: Path):
    assert "architecture of-tomorrow is not supported" in refused(written(tmp_path / "x.gguf", "of-tomorrow"))


def test_a_file_that_is_no_such_file(tmp_path: Path):
    (tmp_path / "text.gguf").write_text("hello")
    assert "does not begin as a GGUF file does" in refused(tmp_path / "text.gguf")
    (tmp_path / "weights.bin").write_bytes(b"GGUF")
    assert "or a .gguf file" in refused(tmp_path / "weights.bin")
    whole = written(tmp_path / "whole.gguf").read_bytes()
    for size in (4, 20, 400, len(whole) // 2):
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        assert "cannot be read" in refused(tmp_path / "cut.gguf")


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(gguf_files, "find_spec", lambda name: None)
    assert "pip install 'neuronull[gguf]'" in refused(written(tmp_path / "small.gguf"))
