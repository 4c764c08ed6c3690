"""The steps of its training that a model directory keeps: `checkpoints/STEP/`, and what `training.json` says.

Only the weights differ between checkpoints; configuration and tokenizer are those of the directory itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .embedded import embedded_models
from .errors import InputError
from .store import checkpoints

RECORD = "training.json"
"""What `neuronull.data.training.train` leaves beside a model's weights; anyone's own may hold just ``steps``."""


def training_step(directory: Path | None) -> int | None:
    """Return the step that the weights of a model directory itself are at; None where `training.json` does not say.

    Raises
    ------
    InputError
        If `training.json` is there but says it wrongly.
    """
    record = {} if directory is None else _record(directory)
    step = record.get("steps")
    if step is None or (isinstance(step, int) and not isinstance(step, bool) and step >= 0):
        return step
    raise InputError(f"steps is {step!r}", RECORD, "give the number of training steps, or leave it out")


def checkpoint_weights(directory: Path) -> dict[int, Path | None]:
    """Return where the weights of each earlier step lie, by step; None for an embedded model's step 0, made anew.

    Raises
    ------
    InputError
        If a folder under `checkpoints/` is not named by its step.
    """
    stored: dict[int, Path | None] = dict(checkpoints(directory))
    return {0: None, **stored} if stored and _embedded_name(directory) else stored


def untrained(directory: Path) -> Any:
    """Return an embedded model as it was before its first step, in float32."""
    from .training.train import fresh_model

    return fresh_model(_embedded_name(directory), _record(directory)["settings"]["seed"])


def _embedded_name(directory: Path) -> str:
    """Name of the embedded model that lies in `directory`, or nothing."""
    return next((name for name, path in embedded_models().items() if path == directory), "")


def _record(directory: Path) -> dict[str, Any]:
    path = directory / RECORD
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise InputError("it is not a JSON object", RECORD, "hint or remove it")
    return record
