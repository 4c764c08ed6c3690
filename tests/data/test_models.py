"""Loading models: what comes back, and one clear line for each thing that can be wrong."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
import torch
import transformers
from tiny_models import saved, tiny

from neuronull.data import models
from neuronull.data.errors import InputError
from neuronull.data.models import load_model, resolve_device

IDS = torch.tensor([[5, 3, 9, 1, 0, 2]])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return saved("gpt2", tmp_path / "small-model")


def test_a_local_directory(directory: Path):
    loaded = load_model(str(directory), device="cpu")
    plain = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    assert torch.equal(loaded.model(IDS).logits, plain(IDS).logits)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.id == "small-model"  # no path: results are to be the same wherever the model lies
    assert loaded.revision is None
    assert loaded.directory == directory
    assert loaded.tokenizer("w3 w4")["input_ids"] == [3, 4]
    assert loaded.adapter.neurons == 40


@pytest.mark.parametrize("name", ["gpt_neox", "llama", "llama tied", "mistral"])
def test_every_family_comes_back_from_disk_as_it_was(name: str, tmp_path: Path):
    loaded = load_model(str(saved(name, tmp_path / "m")))
    torch.testing.assert_close(loaded.model(IDS).logits.cpu(), tiny(name).model(IDS).logits)


def test_the_hash_is_of_the_weights(directory: Path, tmp_path: Path):
    loaded = load_model(str(directory))
    elsewhere = shutil.copytree(directory, tmp_path / "elsewhere")
    assert load_model(str(elsewhere)).hash == loaded.hash
    with torch.no_grad():
        loaded.model.transformer.h[0].mlp.c_fc.bias[3] += 1e-6
    assert models.hash_parameters(loaded.model) != loaded.hash


def test_half_precision_files_load_in_the_type_asked_for(directory: Path):
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float16)
    model.save_pretrained(directory)
    assert load_model(str(directory)).dtype == torch.float32
    assert load_model(str(directory), dtype="bfloat16").dtype == torch.bfloat16


def test_random_weights_depend_on_the_seed_alone(directory: Path):
    (directory / "model.safetensors").unlink()  # nor are the trained ones needed
    state = torch.random.get_rng_state()
    first = load_model(str(directory), random_init=True, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)
    again, other = (load_model(str(directory), random_init=True, seed=seed) for seed in (1, 2))
    assert first.hash == again.hash != other.hash
    assert first.id == "small-model:random_init-1"


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda")
    for wrong in ("gpu", "cuda:x", "cpu:0", "", ":", "cuda:", "cuda:-1", "cuda:\u0663"):
        with pytest.raises(InputError, match="is not a device"):
            resolve_device(wrong)


@pytest.mark.parametrize("device", ["mps", "mps:0", "xpu", "xla", "meta"])
def test_other_accelerators_are_refused_by_name(device: str):
    kind = device.partition(":")[0]
    with pytest.raises(InputError, match=rf"nothing is measured on {kind} devices .*; give auto, cpu, cuda"):
        resolve_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_an_explicit_cuda_device_that_is_not_there(device: str):
    with pytest.raises(InputError, match="finds no CUDA device"):
        resolve_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_card_that_pytorch_lists_but_cannot_compute_on(monkeypatch: pytest.MonkeyPatch, caplog):
    """As an old card: it is counted, and the first kernel fails."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    def no_kernel(*arguments, **keywords):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with ...")

    monkeypatch.setattr(torch, "ones", no_kernel)
    for device in ("cuda", "cuda:0"):
        with pytest.raises(InputError, match=rf"cannot compute on {device} \(.*use --device cpu") as error:
            resolve_device(device)
        assert "\n" not in str(error.value)
    assert resolve_device("auto") == torch.device("cpu")
    assert "the model runs on the CPU" in caplog.text


def test_a_mixture_of_experts_is_refused_in_words(directory: Path):
    config = transformers.Qwen3MoeConfig(vocab_size=9, num_experts=4)
    config.save_pretrained(directory)
    with pytest.raises(InputError, match=r"is a mixture of experts \(qwen3_moe\).*choose a model without experts"):
        load_model(str(directory), device="cpu")


@pytest.mark.parametrize("name", ["./missing", "/no/such/model", "~/nothing", "a/b/c"])
def test_a_missing_path(name: str):
    with pytest.raises(InputError, match="no such directory"):
        load_model(name)


def test_a_file_and_a_directory_without_a_model(tmp_path: Path, directory: Path):
    with pytest.raises(InputError, match="is a file"):
        load_model(str(directory / "config.json"))
    with pytest.raises(InputError, match=r"no config\.json"):
        load_model(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"model_type":', r"config\.json .* cannot be read"),
        ("{}", r"config\.json .* cannot be read"),
        ('{"model_type": "no_such_type"}', "no adapter for model type 'no_such_type'"),
        ('{"model_type": "ctrl"}', "no adapter for model type 'ctrl'"),
    ],
)
def test_an_unusable_configuration(directory: Path, config: str, message: str):
    (directory / "config.json").write_text(config)
    with pytest.raises(InputError, match=message) as error:
        load_model(str(directory))
    assert "\n" not in str(error.value)


def test_truncated_weights(directory: Path):
    file = directory / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(InputError, match="weights of small-model cannot be read"):
        load_model(str(directory))


def test_missing_weights(directory: Path):
    (directory / "model.safetensors").unlink()
    with pytest.raises(InputError, match="weights of small-model cannot be read"):
        load_model(str(directory))


def test_weights_that_lack_a_parameter(directory: Path):
    from safetensors.torch import load_file, save_file

    weights = load_file(directory / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lack 1 parameters, transformer\.h\.1\.mlp\.c_fc\.weight"):
        load_model(str(directory))


def test_weights_of_another_shape(directory: Path):
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"n_inner": 48}))
    with pytest.raises(InputError, match="weights of small-model"):
        load_model(str(directory))


def test_pickled_weights_are_not_unpickled(directory: Path):
    import os
    import pickle

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(directory / "exploded"),)

    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Bomb()}, protocol=2))
    with pytest.raises(InputError, match="cannot be read"):
        load_model(str(directory))
    assert not (directory / "exploded").exists()


def test_no_tokenizer(directory: Path):
    for file in directory.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(InputError, match="no usable tokenizer"):
        load_model(str(directory))


def test_an_unreachable_hub_is_one_line_and_soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import huggingface_hub

    def unreachable(*arguments, **keywords):
        raise OSError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    began = time.monotonic()
    with pytest.raises(InputError, match="not in the local cache, and the Hub cannot be reached") as error:
        load_model("nobody/no-such-model-here")
    assert time.monotonic() - began < 5
    assert "\n" not in str(error.value)


def test_a_misspelt_hub_id():
    with pytest.raises(InputError, match="neither a directory nor a Hub id"):
        load_model("not a model!")


def test_what_the_hub_says_is_passed_on(monkeypatch: pytest.MonkeyPatch):
    import huggingface_hub
    from huggingface_hub import errors

    answers = {
        errors.RepositoryNotFoundError: "no model some/model on the Hub",
        errors.GatedRepoError: "is gated on the Hub",
        errors.RevisionNotFoundError: "has no revision v9",
    }
    for kind, message in answers.items():
        exception = kind.__new__(kind)
        Exception.__init__(exception, "404")

        def refuse(*arguments, exception=exception, **keywords):
            raise exception

        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
        with pytest.raises(InputError, match=message):
            load_model("some/model", revision="v9")


def test_an_embedded_model_loads_by_name():
    from neuronull.data.embedded import embedded_models

    if not embedded_models():
        pytest.skip("no embedded model in this checkout")
    name, path = next(iter(embedded_models().items()))
    loaded = load_model(name)
    assert loaded.id == name
    assert loaded.directory == path
    assert loaded.adapter.vocabulary == len(loaded.tokenizer)
