"""Worlds made from one measurement: which of them is a test of which hypothesis.

The choice goes by what a hypothesis declares, its null models and what its statistic reads, so that a hypothesis of
somebody else gets its worlds too.  A hypothesis whose set is not chosen by influence gets none, nor do joint ablations
and checkpoints: nothing here could make up what ablating other sets does.  For these there are planted worlds only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...data.errors import InputError, MissingInput
from ...data.options import DEFAULT_SIZE
from ...data.plasmode import Plasmode, WorldName
from ...data.regular import present
from ...data.schema import MANIFEST
from ...data.store import load
from .. import catalogue
from ..hypothesis import Hypothesis, null_names
from ..prepared import MOST_INFLUENTIAL, PreparedData
from ..result import Role
from ..statistics.lean import Lean
from .record import percent, read_record, told
from .scenario import Purpose

NAME = "calibration.json"
"""The record that ``neuronull calibrate --measurements DIR`` leaves in DIR, where a run's report looks for it."""
VERSION = 1
"""Another one whenever the worlds change, so that a journal does not mix them."""

SETS = ("random_sets", "matched_sets", "reselected_sets")
"""Null models of sets of neurons."""


@dataclass(frozen=True)
class PlasmodeScenario:
    """One world made from a measurement, and the hypotheses that it is a test of; what `Scenario` is for planted ones.

    ``directory``: of the measurement; ``share``: data sets to make, as a share of the number asked for.
    """

    name: str
    purpose: Purpose
    world: WorldName
    says: str
    hypotheses: tuple[str, ...]
    directory: str
    documents: int
    neurons: int
    manifest: str
    setting: str = ""
    strength: float = 0.0
    share: float = 1.0

    def datasets(self, asked: int) -> int:
        """Data sets to make when `asked` are asked for; at least 20 where that many are asked for."""
        return max(min(asked, 20), round(asked * self.share))

    @property
    def fingerprint(self) -> str:
        """Hash of the world and the measurement, so that results of another one are never taken for its own."""
        told = [VERSION, self.world, self.strength, self.manifest]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


_WORLDS: tuple[tuple[str, Purpose, WorldName, str, float, str], ...] = (
    ("attached", "null", "attached", "influence belongs to other neurons of like activation", 0.0, "set"),
    ("attached-freely", "null", "attached-freely", "influence belongs to other neurons of the layer", 0.0, "set"),
    ("smooth", "null", "smooth", "influence follows a smooth law, the head included", 0.0, "law"),
    ("levelled", "power", "levelled", "for a the head of the influence curve stands level", 1.0, "law"),
    ("related", "null", "related", "influence on a is a power of that on b; nobody specialises", 0.0, "relation"),
    ("specialised@0.15", "power", "specialised", "the set gains 16 % for a", 0.15, "lean"),
    ("specialised@0.3", "power", "specialised", "the set gains 35 % for a", 0.3, "lean"),
    ("levelled-a", "power", "levelled", "for a alone the head of the influence curve stands level", 1.0, "contrast"),
    ("routed@0.223", "power", "routed", "one head acts 1.25 times as much on the set, for a", 0.2231435513, "heads"),
    ("routed@0.693", "power", "routed", "one head acts twice as much on the set, for a", 0.6931471806, "heads"),
)
"""Name, purpose, world, what it is, strength, and the kind of hypotheses it tests."""


def kinds(hypothesis: Hypothesis) -> frozenset[str]:
    """The kinds of `_WORLDS` that test a hypothesis; none where nothing can be made for it."""
    needs, nulls = type(hypothesis.statistic).needs, set(null_names(hypothesis.nulls))
    if "joint_ablation" in needs or "checkpoints" in needs or "effects" in needs:
        return frozenset()
    chosen = hypothesis.set or catalogue.set_of(hypothesis) or MOST_INFLUENTIAL
    if chosen.chosen_by != "influence":
        return frozenset()
    found = set()
    if "influence_law" in nulls:
        found.add("law")
    elif "influence" in needs and "neuron_swaps" in nulls:
        found |= {"relation", "lean" if isinstance(hypothesis.statistic, Lean) else "contrast"}
    elif nulls & set(SETS):
        found.add("set")
    if "heads" in needs and "document_swaps" in nulls:
        found.add("heads")
    return frozenset(found)


def plasmode_scenarios(directory: str, ids: Sequence[str] = (), names: Sequence[str] = ()) -> list[PlasmodeScenario]:
    """Every world of a measurement that tests any of the hypotheses (ids or families), by default those of a plain run.

    Raises
    ------
    InputError
        If the measurement cannot be read, an id is unknown, or no world tests what was asked for.
    """
    known = {h.id: h for paper in catalogue.shipped() for h in paper.hypotheses if h.role is Role.PRIMARY}
    for asked in ids:
        if not any(asked in (h, h.split(".")[0]) for h in known):
            raise InputError(f"no hypothesis {asked!r}", "ID", f"known: {', '.join(known)}")
    source, data = opened(directory)
    asked_for = [
        h for h in known.values()
        if (not ids or h.id in ids or h.family in ids) and (ids or h.default) and _can_run(h, data)
    ]  # fmt: skip
    manifest = manifest_hash(directory)
    found = []
    for name, purpose, world, says, strength, kind in _WORLDS:
        tested = tuple(h.id for h in asked_for if kind in kinds(h))
        whole = f"plasmode.{name}"
        if tested and (not names or any(whole.startswith(given) or name.startswith(given) for given in names)):
            a, b = data.conditions.a.name, data.conditions.b.name
            told = says.replace("for a", f"for {a}").replace("on a ", f"on {a} ").replace("on b", f"on {b}")
            found.append(PlasmodeScenario(
                whole, purpose, world, told, tested, directory, len(source.measurements.documents),
                source.measurements.n_neurons, manifest, "strength" if purpose == "power" else "", strength,
                1.0 if purpose == "null" else 0.25,
            ))  # fmt: skip
    if not found:
        raise InputError("no world that can be made from this measurement tests what was asked for", "ID",
                         "neuronull calibrate without --measurements has planted worlds")  # fmt: skip
    return found


@cache
def plasmode_world(directory: str, name: str) -> PlasmodeScenario:
    """One world of a measurement, whatever hypotheses it is to test."""
    source, _ = opened(directory)
    for known, purpose, world, says, strength, _ in _WORLDS:
        if f"plasmode.{known}" == name:
            return PlasmodeScenario(
                name, purpose, world, says, (), directory, len(source.measurements.documents),
                source.measurements.n_neurons, manifest_hash(directory), "", strength,
            )  # fmt: skip
    raise InputError(f"no world {name!r}", "--scenario", "give plasmode, and then the name of a world")


def manifest_hash(directory: str | Path) -> str:
    """SHA-256 of a measurement's manifest, which names everything that decided it."""
    return hashlib.sha256((Path(directory).expanduser() / MANIFEST).read_bytes()).hexdigest()


@cache
def opened(directory: str) -> tuple[Plasmode, PreparedData]:
    """What data sets are drawn from, and the measurements themselves as prepared data."""
    measurements = load(directory)
    data = PreparedData(measurements, DEFAULT_SIZE)
    return Plasmode.of(measurements, data.set_size), data


def _can_run(hypothesis: Hypothesis, data: PreparedData) -> bool:
    """Whether everything was measured that it reads."""
    if not kinds(hypothesis):
        return False
    try:
        chosen = catalogue.set_of(hypothesis) or MOST_INFLUENTIAL
        bound = hypothesis.statistic.bind(data.of(chosen, hypothesis.alike or None))
        bound.offers()
    except MissingInput:
        return False
    return True


def local_lines(directory: str | Path) -> dict[str, str]:
    """What the record in a measurement directory says of each hypothesis, one line each; none where there is no record.

    A record of another measurement says nothing.

    Raises
    ------
    InputError
        If the file is no calibration record.
    """
    path = Path(directory).expanduser() / NAME
    if not present(path, NAME):
        return {}
    head, rows = read_record(path)
    if head.get("manifest") != manifest_hash(directory):
        return {}
    found = {}
    for name in sorted({row["hypothesis"] for row in rows}):
        of_it = [row for row in rows if row["hypothesis"] == name]
        line = told(of_it, name)
        if line is None:
            continue
        seen = [f"{percent(row['found'])} in {row['scenario']}" for row in of_it if row["purpose"] == "power"]
        line = line.replace("on null data", "on null data made from this measurement", 1)
        found[name] = line + (f"; it found an effect in {', '.join(seen)}" if seen else "")
    return found
