"""Weights against a configuration that asks for others, for other attention, or for packed ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny_models import VOCABULARY, WIDTH, saved, tiny

from neuronull.data.errors import InputError
from neuronull.data.models import load_model
from neuronull.data.options import MeasureOptions
from neuronull.estimators.forward import run_forward

IDS = torch.tensor([[5, 3, 9, 1, 0, 2]])
LAYERS_KEY = {"gpt2": "n_layer", "gpt_neox": "num_hidden_layers", "llama": "num_hidden_layers"}


def configured(directory: Path, **changes) -> Path:
    """The model directory with other values in config.json."""
    file = directory / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return directory


def with_tensors(directory: Path, **further: torch.Tensor) -> Path:
    """The model directory with further tensors in its weights."""
    file = directory / "model.safetensors"
    save_file(load_file(file) | further, file, metadata={"format": "pt"})
    return directory


def refused(directory: Path, **options) -> str:
    """The one line that a model is refused with."""
    with pytest.raises(InputError) as error:
        load_model(str(directory), device="cpu", **options)
    assert "\n" not in str(error.value)
    assert str(error.value).isprintable()
    return str(error.value)


def test_biases_that_the_configuration_denies(tmp_path: Path):
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40,
        attention_bias=True,
    )  # fmt: skip
    directory = saved("llama", tmp_path / "m")
    transformers.LlamaForCausalLM(config).save_pretrained(directory)
    load_model(str(directory))
    said = refused(configured(directory, attention_bias=False))
    assert "hold 8 tensors that config.json does not ask for: model.layers.0.self_attn.k_proj.bias" in said
    assert "correct config.json (number of layers, biases)" in said


@pytest.mark.parametrize("name", LAYERS_KEY)
def test_a_configuration_with_a_layer_too_few(name: str, tmp_path: Path):
    directory = configured(saved(name, tmp_path / "m"), **{LAYERS_KEY[name]: 2})
    assert "tensors that config.json does not ask for" in refused(directory)


@pytest.mark.parametrize("name", LAYERS_KEY)
def test_a_configuration_with_a_layer_too_many(name: str, tmp_path: Path):
    directory = configured(saved(name, tmp_path / "m"), **{LAYERS_KEY[name]: 4})
    assert "lack 1" in refused(directory) or "lack 9" in refused(directory)


def test_weights_under_other_names_lack_some_and_hold_others(tmp_path: Path):
    file = saved("llama", tmp_path / "m") / "model.safetensors"
    weights = {key.replace("up_proj", "upper"): value for key, value in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
    said = refused(file.parent)
    assert "lack 3 parameters, model.layers.0.mlp.up_proj.weight among them, and hold 3 others" in said
    assert "give the config.json that belongs to them" in said


@pytest.mark.parametrize(
    ("name", "buffers"),
    [
        ("gpt2", ["transformer.h.0.attn.bias", "transformer.h.1.attn.masked_bias"]),
        (
            "gpt_neox",
            [
                "gpt_neox.layers.0.attention.bias",
                "gpt_neox.layers.2.attention.masked_bias",
                "gpt_neox.layers.1.attention.rotary_emb.inv_freq",
            ],
        ),
        ("llama", ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.cos_cached"]),
    ],
)
def test_buffers_that_old_checkpoints_hold_do_no_harm(name: str, buffers: list[str], tmp_path: Path):
    directory = with_tensors(saved(name, tmp_path / "m"), **{key: torch.ones(3) for key in buffers})
    loaded = load_model(str(directory), device="cpu")
    torch.testing.assert_close(loaded.model(IDS).logits, tiny(name).model(IDS).logits)


def test_gpt2_as_the_hub_has_it_without_its_prefix(tmp_path: Path):
    file = saved("gpt2", tmp_path / "m") / "model.safetensors"
    weights = {key.removeprefix("transformer."): value for key, value in load_file(file).items()}
    save_file(weights | {"h.0.attn.bias": torch.ones(1, 1, 64, 64)}, file, metadata={"format": "pt"})
    loaded = load_model(str(file.parent), device="cpu")
    torch.testing.assert_close(loaded.model(IDS).logits, tiny("gpt2").model(IDS).logits)


def test_a_tied_unembedding_may_come_twice_if_it_is_the_same(tmp_path: Path):
    directory = saved("llama tied", tmp_path / "m")
    embedding = load_file(directory / "model.safetensors")["model.embed_tokens.weight"]
    with_tensors(directory, **{"lm_head.weight": embedding.clone()})
    loaded = load_model(str(directory), device="cpu")
    torch.testing.assert_close(loaded.model(IDS).logits, tiny("llama tied").model(IDS).logits)
    with_tensors(directory, **{"lm_head.weight": embedding + 1})
    assert "ties the unembedding to the embedding, and its weights hold two different ones" in refused(directory)


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_flash_attention_is_refused_and_overridden(name: str, key: str, tmp_path: Path):
    directory = configured(saved(name, tmp_path / "m"), **{key: "flash_attention_2"})
    for random_init in (False, True):
        said = refused(directory, random_init=random_init)
        assert "asks for flash_attention_2 attention" in said
        assert "give --attention sdpa or --attention eager" in said
    for attention in ("eager", "sdpa"):
        loaded = load_model(str(directory), device="cpu", attention=attention)
        assert loaded.model.config._attn_implementation == attention
        torch.testing.assert_close(loaded.model(IDS).logits, tiny(name).model(IDS).logits, rtol=1e-4, atol=1e-4)
        drawn = load_model(str(directory), device="cpu", attention=attention, random_init=True)
        assert drawn.model.config._attn_implementation == attention


def test_what_the_configuration_asks_for_is_kept(tmp_path: Path):
    directory = configured(saved("gpt2", tmp_path / "m"), attn_implementation="eager")
    assert load_model(str(directory)).model.config._attn_implementation == "eager"
    assert load_model(str(directory), attention="sdpa").model.config._attn_implementation == "sdpa"


def test_an_embedded_models_first_step_takes_the_attention_too():
    loaded = load_model("docs-pythia", device="cpu", step=0, attention="eager")
    assert loaded.model.config._attn_implementation == "eager"


def test_the_option_is_checked():
    with pytest.raises(InputError, match=r"'flash' is not one of auto, eager, sdpa \(--attention\)"):
        MeasureOptions(attention="flash")


@pytest.mark.parametrize(
    ("asked", "method"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "_load_in_4bit": True}, "bitsandbytes"),
        ({"load_in_8bit": True}, "bitsandbytes"),
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "awq", "bits": 4}, "awq"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "of-tomorrow"}, "of-tomorrow"),
        ({"bits": 4}, "no method named"),
    ],
)
def test_packed_weights_are_refused_by_their_flag(asked: dict, method: str, tmp_path: Path):
    directory = configured(saved("llama", tmp_path / "m"), quantization_config=asked)
    for random_init in (False, True):
        said = refused(directory, random_init=random_init)
        assert f"are quantized ({method})" in said
        assert "quantization_config in config.json" in said
        assert "fetch the files again" not in said


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
@pytest.mark.parametrize("asked", [{"return_dict": False}, {"output_attentions": True}, {"output_hidden_states": True}])
def test_what_the_configuration_returns_beside_the_logits_changes_nothing(name: str, asked: dict, tmp_path: Path):
    loaded = load_model(str(configured(saved(name, tmp_path / "m"), **asked)), device="cpu", attention="sdpa")
    torch.testing.assert_close(loaded.model(IDS).logits, tiny(name).model(IDS).logits, rtol=1e-4, atol=1e-4)
    forward = run_forward(loaded, [IDS[0].tolist()], 2)
    assert len(forward.losses[0]) == IDS.shape[1] - 1


def test_an_adapter_beside_the_weights(tmp_path: Path):
    directory = saved("llama", tmp_path / "m")
    (directory / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert "holds an adapter to be added to a base model" in refused(directory)
    assert "adapter_config.json" in refused(directory, random_init=True)


def test_a_configuration_that_cannot_be_built(tmp_path: Path):
    directory = configured(saved("llama", tmp_path / "m"), hidden_act="of-tomorrow")
    assert "cannot be built from its config.json (KeyError" in refused(directory, random_init=True)
    assert "cannot be read (KeyError" in refused(directory)


def test_an_error_of_a_missing_package_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def missing(*arguments, **keywords):
        raise ImportError("this needs the package nosuch: `pip install nosuch`\nand more")

    directory = saved("llama", tmp_path / "m")
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", missing)
    said = refused(directory)
    assert "needs the package nosuch" in said
    assert said.endswith("install the package that is named here")


def test_attention_that_a_family_does_not_have(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    directory = saved("llama", tmp_path / "m")
    monkeypatch.setattr(transformers.LlamaForCausalLM, "_supports_sdpa", False)
    for random_init in (False, True):
        assert refused(directory, attention="sdpa", random_init=random_init).endswith("give --attention eager")
