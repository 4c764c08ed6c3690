"""Compiled loops give the same bits in the process that compiles them and in those that find them in the cache."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib
import numpy as np
import torch
from neuronull.data.options import MeasureOptions, Silent
from neuronull.estimators.effects import measure_effects
from neuronull.estimators.measure import measure
options = MeasureOptions(documents=20)
made = measure_effects(options, measure(options, cache=False), Silent())
for array in (made.delta_loss, made.effects.signed, made.effects.absolute):
    print(hashlib.sha256(array.numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_influence_and_effects_are_the_same_whether_compiled_or_found_in_the_cache(tmp_path):
    said = []
    for name in ("compiles", "finds it"):  # measurements are made anew each time
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "NEURONULL_CACHE": str(tmp_path / name)}
        command = [sys.executable, "-c", PROGRAM]
        said.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True))
    assert said[0].stdout == said[1].stdout
