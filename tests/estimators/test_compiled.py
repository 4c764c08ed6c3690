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
from neuronull.data.options import MeasureOptions
from neuronull.estimators.measure import measure
made = measure(MeasureOptions(documents=20), cache=False)
print(hashlib.sha256(made.delta_loss.numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_influence_is_the_same_whether_compiled_or_found_in_the_cache(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert said[0].stdout == said[1].stdout
