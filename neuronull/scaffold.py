"""A plug-in package to begin with: one null model that works, its entry point, its test."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template

from .data.errors import InputError
from .output import staged

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "neuronull-$dashed"
version = "0.1.0"
description = "The null model $name for neuronull"
requires-python = ">=3.11"
dependencies = ["neuronull"]

# This line is what makes `neuronull ls nulls` find it.
[project.entry-points."neuronull.nulls"]
$name = "$package:$kind"
"""

_MODULE = '''\
"""$name: a null model for neuronull."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from neuronull.hypotheses.nulls.base import NullModel, Observed, generator, need, stack


class $kind(NullModel):
    """Uniform relabelling of all neurons: say here in one line what your null model draws."""

    name = "$name"
    randomises = "neurons"  # a draw is a permutation of the neurons; `Draws` in the base module lists the other objects
    preserves = ("how many neurons a set holds",)
    breaks = ("which neurons form the plateau",)
    exchangeable = "all neurons of the layer"
    reference = "the classical permutation null; cite the source of yours"
    when = "Say which question it answers, and when it should not be trusted."

    def prepare(self, measurements: Any, observed: Observed) -> int:
        """Make once whatever `draw` needs; here the number of neurons."""
        need(observed, self.randomises, self.name)
        return len(observed.value)

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        """One permutation a replicate, each a function of (seed, replicate) alone: int64 [R, N]."""
        return stack(lambda r: generator(seed, r, self.name).permutation(state), replicates)

    def example(self) -> Observed:
        """Four neurons, two of them the plateau: few enough to enumerate every draw."""
        return Observed("neurons", torch.arange(4), plateau=(torch.tensor([0, 1]), torch.tensor([0, 2])),
                        strata=torch.zeros(4, dtype=torch.int64))  # fmt: skip

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """What `preserves` declares, tested on a draw."""
        whole = bool(np.array_equal(np.sort(np.asarray(draw)), np.arange(len(observed.value))))
        return (("how many neurons a set holds", whole),)
'''

_TEST = '''\
"""The conformance checks that neuronull holds every null model to, one test each."""

from neuronull.testing import parametrize_with_checks
from $package import $kind


@parametrize_with_checks([$kind()])
def test_$name(null, check):
    check(null)
'''

_README = """\
# neuronull-$dashed

A null model for neuronull. It works as it stands; change `src/$package/__init__.py`.

    pip install -e .
    neuronull ls nulls                                  # $name is there
    neuronull check $name
    pytest
    neuronull run --null clusters.within=$name
"""


def new_null(name: str, directory: Path) -> Path:
    """Write the package ``neuronull-NAME`` into `directory` and return its folder.

    Raises
    ------
    InputError
        If `name` cannot name a Python module, is taken, or the folder is not empty.
    """
    _check_name(name)
    words = {
        "name": name,
        "dashed": name.replace("_", "-"),
        "package": f"neuronull_{name}",
        "kind": "".join(word.capitalize() for word in name.split("_")),
    }
    folder = directory / f"neuronull-{words['dashed']}"
    with staged(folder, "NAME") as work:
        for path, text in _files(words).items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text, encoding="utf-8")
    return folder


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        hint = "give small letters, digits and underscores, for instance shuffled_layers"
        raise InputError(f"{name!r} cannot name a null model", "NAME", hint)
    from .hypotheses.catalogue import nulls

    if name in nulls:
        raise InputError(f"there is a null model {name} already: {nulls.origin(name)}", "NAME", "give another name")


def _files(words: Mapping[str, str]) -> dict[str, str]:
    templates = {
        "pyproject.toml": _PYPROJECT,
        "README.md": _README,
        f"src/{words['package']}/__init__.py": _MODULE,
        f"src/{words['package']}/py.typed": "",
        f"tests/test_{words['name']}.py": _TEST,
    }
    return {path: Template(text).substitute(words) for path, text in templates.items()}
