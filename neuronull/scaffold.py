"""Plug-in packages to begin with: a null model, or a claim, that works, its entry point, its test."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from .data.errors import InputError
from .output import staged

if TYPE_CHECKING:
    from .data.registry import Registry

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "neuronull-$dashed"
version = "0.1.0"
description = "The $what $name for neuronull"
requires-python = ">=3.11"
dependencies = ["neuronull"]

# This line is what makes `$command` find it.
[project.entry-points."$group"]
$name = "$package:$target"
"""

_NULL_MODULE = '''\
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
    breaks = ("which neurons form the set",)
    exchangeable = "all neurons of the layer"
    reference = "the classical permutation null; cite the source of yours"
    when = "Say which question it answers, and when it should not be trusted."

    def prepare(self, measurements: Any, observed: Observed) -> int:
        """Make once whatever `draw` needs; here the number of neurons."""
        need(observed, self.randomises, self.name)
        return len(observed.value)

    def draw(self, state: int, replicates: range, seed: int) -> torch.Tensor:
        """One permutation per replicate, each a function of (seed, replicate) alone: int64 [R, N]."""
        return stack(lambda r: generator(seed, r, self.name).permutation(state), replicates)

    def example(self) -> Observed:
        """Four neurons, two of them the set: few enough to enumerate every draw."""
        return Observed("neurons", torch.arange(4), sets=(torch.tensor([0, 1]), torch.tensor([0, 2])),
                        strata=torch.zeros(4, dtype=torch.int64))  # fmt: skip

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """What `preserves` declares, tested on a draw."""
        whole = bool(np.array_equal(np.sort(np.asarray(draw)), np.arange(len(observed.value))))
        return (("how many neurons a set holds", whole),)
'''

_NULL_TEST = '''\
"""The conformance checks that neuronull holds every null model to, one test each."""

from neuronull.testing import parametrize_with_checks
from $package import $kind


@parametrize_with_checks([$kind()])
def test_$name(target, check):
    check(target)
'''

_NULL_README = """\
# neuronull-$dashed

A null model for neuronull. It works as it stands; change `src/$package/__init__.py`.

    pip install -e .
    neuronull ls nulls                                  # $name is there
    neuronull check $name
    pytest
    neuronull run --null clusters.within=$name
"""


_CLAIM_MODULE = '''\
"""$name: a claim for neuronull."""

from __future__ import annotations

import torch

import neuronull as nn
from neuronull.testing import DataView

CHOSEN = nn.neurons([3, 17, 29, 44, 58, 73, 90, 101], name="$adjective")  # or leave it out: --set FILE then says which


@nn.hypothesis(
    "$name.activity",
    claim="The {set} neurons are active at more positions than other neurons of the layer.",
    criterion=nn.Presence(margin=0.05, unit="share", means="active at 5 % more of the positions"),
    set=CHOSEN,
    nulls=("random_sets",),  # matched_sets would match on sparsity, which is what is tested
    source="Say where the claim is made",
)
def activity(data: DataView, sets: torch.Tensor) -> torch.Tensor:
    """Mean share of positions at which a neuron is active, one number per row of sets: [R, n] -> [R]."""
    return 1 - data.neurons["sparsity"][sets].mean(-1)


paper = nn.Paper(
    id="$name",
    citation="Say who claims it, and where",
    set=CHOSEN,
    claims=(nn.Claim("$adjective neurons are active almost everywhere", (activity,)),),
)
'''

_CLAIM_TEST = '''\
"""The checks that neuronull holds every hypothesis to, one test each.

On planted measurements, or on those of the directory that NEURONULL_MEASUREMENTS names.
"""

import os

from neuronull.testing import parametrize_with_checks
from $package import paper


@parametrize_with_checks(paper.hypotheses, measurements=os.environ.get("NEURONULL_MEASUREMENTS"))
def test_$name(target, check):
    check(target)
'''

_CLAIM_README = """\
# neuronull-$dashed

A claim for neuronull. It works as it stands; change `src/$package/__init__.py`.

    pip install -e .
    neuronull ls papers                                 # $name is there
    neuronull check $name.activity
    pytest
    neuronull run --paper $name
"""


def new_null(name: str, directory: Path) -> Path:
    """Write the package ``neuronull-NAME`` with a null model into `directory` and return its folder.

    Raises
    ------
    InputError
        If `name` cannot name a Python module, is taken, or the folder is not empty.
    """
    from .hypotheses.catalogue import nulls

    _check_name(name, "a null model", nulls)
    files = {"README.md": _NULL_README, "module": _NULL_MODULE, "test": _NULL_TEST}
    found = {"what": "null model", "group": "neuronull.nulls", "command": "neuronull ls nulls", "target": _class(name)}
    return _written(name, directory, files, found)


def new_claim(name: str, directory: Path) -> Path:
    """Write the package ``neuronull-NAME`` with a claim into `directory` and return its folder.

    Raises
    ------
    InputError
        If `name` cannot name a Python module, is taken, or the folder is not empty.
    """
    from .hypotheses.catalogue import papers

    _check_name(name, "a claim", papers)
    files = {"README.md": _CLAIM_README, "module": _CLAIM_MODULE, "test": _CLAIM_TEST}
    command = f"neuronull run --paper {name}"
    found = {"what": "claim", "group": "neuronull.papers", "command": command, "target": "paper"}
    return _written(name, directory, files, found)


def _check_name(name: str, what: str, taken: Registry[Any]) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        hint = "give small letters, digits and underscores, for instance shuffled_layers"
        raise InputError(f"{name!r} cannot name {what}", "NAME", hint)
    if name in taken:
        raise InputError(f"there is a {taken.what} {name} already: {taken.origin(name)}", "NAME", "give another name")


def _class(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _written(name: str, directory: Path, templates: Mapping[str, str], found: Mapping[str, str]) -> Path:
    """The folder of a package made of templates; "module" and "test" go where a package has them.

    ``found`` is the rest of what pyproject.toml says: how the package is found.
    """
    words = {
        **found,
        "name": name,
        "dashed": name.replace("_", "-"),
        "adjective": name.replace("_", " "),
        "package": f"neuronull_{name}",
        "kind": _class(name),
    }
    places = {"module": f"src/{words['package']}/__init__.py", "test": f"tests/test_{name}.py"}
    files = {
        places.get(key, key): Template(text).substitute(words)
        for key, text in {"pyproject.toml": _PYPROJECT, **templates}.items()
    }
    files[f"src/{words['package']}/py.typed"] = ""
    folder = directory / f"neuronull-{words['dashed']}"
    with staged(folder, "NAME") as work:
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text, encoding="utf-8")
    return folder
