"""The models and the corpus that ship with neuronull: where they lie.

Only paths are handled here; nothing is loaded. How the models were made is in ``README.md`` beside this file.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError

_HERE = Path(__file__).resolve().parent
_NAMES = ("docs-gpt2", "docs-pythia")


def embedded_models() -> dict[str, Path]:
    """Return the directories of the embedded models that are present, by name."""
    directories = {name: _HERE / name.replace("-", "_") for name in _NAMES}
    return {name: path for name, path in directories.items() if (path / "model.safetensors").is_file()}


def embedded_model_path(name: str) -> Path:
    """Return the directory of an embedded model, ready for `AutoModelForCausalLM.from_pretrained`.

    Raises
    ------
    InputError
        If there is no embedded model of this name, or its files are missing from the installation.
    """
    present = embedded_models()
    if name in present:
        return present[name]
    if name in _NAMES:
        raise InputError(f"the embedded model {name} is missing from this installation", str(_HERE), "install again")
    raise InputError(f"no embedded model {name!r}", hint=f"choose one of {', '.join(_NAMES)}")


def embedded_checkpoints(name: str) -> dict[int, Path]:
    """Return the weight files of an embedded model's intermediate checkpoints by training step, in order.

    They fit the configuration in the model's own directory. Step 0 is not stored; ``training.json`` says how to remake
    it.

    Raises
    ------
    InputError
        As `embedded_model_path` does.
    """
    found = embedded_model_path(name).glob("checkpoints/*/model.safetensors")
    return dict(sorted((int(path.parent.name), path) for path in found))
