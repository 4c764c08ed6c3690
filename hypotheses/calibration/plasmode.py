"""Worlds made from one measurement: which of them is a test of which hypothesis.

The choice goes by what a hypothesis declares, its null models and what its statistic reads, so that a hypothesis of
somebody else gets its worlds too.  A hypothesis whose set is not chosen by influence gets none, nor do joint ablations
and checkpoints: nothing here could make up what ablating other sets does.  For these there are planted worlds only.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

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
from .record import percent, read_record, told, write_record
from .scenario import Purpose, number_of
from .scenarios import is_asked

NAME = "calibration.json"
"""The record that ``neuronull calibrate --measurements DIR`` leaves in DIR, where a run's report looks for it."""
VERSION = 1
"""Another one whenever the worlds change, so that a journal does not mix them."""

SETS = ("random_sets", "matched_sets", "reselected_sets")
"""Null models of sets of neurons."""


@dataclass(frozen=True)
class PlasmodeScenario:
    """One world made from a measurement, and the hypotheses that it is a test of; what `Scenario` is for planted ones.

    ``kind``: of the hypotheses that it tests (`kinds`).  The rest is filled in by `plasmode_scenarios`: ``hypotheses``,
    the ``directory`` of the measurement, the hash of its ``manifest``, and its size.
    """

    name: str
    purpose: Purpose
    world: WorldName
    says: str
    kind: str
    strength: float = 0.0
    setting: str = ""
    hypotheses: tuple[str, ...] = ()
    directory: str = ""
    manifest: str = ""
    documents: int = 0
    neurons: int = 0

    def datasets(self, asked: int) -> int:
        """Data sets to make when `asked` are asked for; a quarter where an effect was put in, 20 at least."""
        return number_of(asked, 1.0 if self.purpose == "null" else 0.25)

    @property
    def fingerprint(self) -> str:
        """Hash of the world and the measurement, so that results of another one are never taken for its own."""
        told = [VERSION, self.world, self.strength, self.manifest]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]

    def of(self, directory: str, hypotheses: tuple[str, ...]) -> PlasmodeScenario:
        """The same of a measurement, as a test of some hypotheses."""
        source, data = opened(directory)
        m = source.measurements
        return replace(
            self, says=data.filled(self.says), hypotheses=hypotheses, directory=directory,
            manifest=manifest_hash(directory), documents=len(m.documents), neurons=m.n_neurons,
        )  # fmt: skip


def _null(world: WorldName, says: str, kind: str) -> PlasmodeScenario:
    return PlasmodeScenario(f"plasmode.{world}", "null", world, says, kind)


def _power(name: str, world: WorldName, says: str, kind: str, strength: float = 1.0) -> PlasmodeScenario:
    return PlasmodeScenario(f"plasmode.{name}", "power", world, says, kind, strength, "strength")


_WORLDS = (
    _null("attached", "influence belongs to other neurons of like activation", "set"),
    _null("attached-freely", "influence belongs to other neurons of the layer", "set"),
    _null("smooth", "influence follows a smooth law, the head included", "law"),
    _null("related", "influence on {a} is a power of that on {b}; nobody specialises", "relation"),
    _power("levelled", "levelled", "for {a} the head of the influence curve stands level", "law"),
    _power("levelled-a", "levelled", "for {a} alone the head of the influence curve stands level", "contrast"),
    _power("specialised@0.15", "specialised", "the set gains 16 % for {a}", "lean", 0.15),
    _power("specialised@0.3", "specialised", "the set gains 35 % for {a}", "lean", 0.3),
    _power("routed@1.25", "routed", "one head acts 1.25 times as much on the set, for {a}", "heads", math.log(1.25)),
    _power("routed@2", "routed", "one head acts twice as much on the set, for {a}", "heads", math.log(2)),
)


def kinds(hypothesis: Hypothesis) -> frozenset[str]:
    """The kinds of `_WORLDS` that test a hypothesis; none where nothing can be made for it."""
    needs, nulls = type(hypothesis.statistic).needs, set(null_names(hypothesis.nulls))
    if "joint_ablation" in needs or "checkpoints" in needs or "effects" in needs:
        return frozenset()
    chosen = catalogue.set_of(hypothesis) or MOST_INFLUENTIAL
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
    known = [h for h in catalogue.known_hypotheses().values() if h.role is Role.PRIMARY]
    for asked in ids:
        if not any(is_asked(asked, h.id) for h in known):
            raise InputError(f"no hypothesis {asked!r}", "ID", f"known: {', '.join(h.id for h in known)}")
    for name in names:
        if not any(world.name.startswith(name) for world in _WORLDS):
            raise InputError(f"no scenario {name!r}", "--scenario", f"known: {', '.join(w.name for w in _WORLDS)}")
    _, data = opened(directory)
    tested = [
        h for h in known
        if (any(is_asked(asked, h.id) for asked in ids) if ids else h.default) and _can_run(h, data)
    ]  # fmt: skip
    found = []
    for world in _WORLDS:
        hypotheses = tuple(h.id for h in tested if world.kind in kinds(h))
        if hypotheses and (not names or any(world.name.startswith(name) for name in names)):
            found.append(world.of(directory, hypotheses))
    if not found:
        raise InputError("no world that can be made from this measurement tests what was asked for", "ID",
                         "neuronull calibrate without --measurements has planted worlds")  # fmt: skip
    return found


@cache
def plasmode_world(directory: str, name: str) -> PlasmodeScenario:
    """One world of a measurement, whatever hypotheses it is to test."""
    return next(world for world in _WORLDS if world.name == name).of(directory, ())


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


def leave_record(directory: str, rows: Sequence[dict[str, Any]], head: dict[str, Any]) -> None:
    """Store rows in a measurement directory, beside those of other worlds and hypotheses that lie there already.

    Raises
    ------
    InputError
        If what lies there is no calibration record.
    OSError
        If it cannot be written.
    """
    new = {(row["hypothesis"], row["scenario"]) for row in rows}
    kept = [row for row in _local_rows(directory) if (row["hypothesis"], row["scenario"]) not in new]
    told = head | {"manifest": manifest_hash(directory)}
    write_record(Path(directory) / NAME, [*kept, *rows], told)


def local_lines(directory: str | Path) -> dict[str, str]:
    """What the record in a measurement directory says of each hypothesis, one line each; none where there is no record.

    A record of another measurement says nothing.

    Raises
    ------
    InputError
        If the file is no calibration record.
    """
    rows = _local_rows(directory)
    found = {}
    for name in sorted({row["hypothesis"] for row in rows}):
        of_it = [row for row in rows if row["hypothesis"] == name]
        line = told(of_it, name)
        if line is None:
            continue
        line = line.replace("on null data", "on null data made from this measurement", 1)
        seen = [f"{percent(row['found'])} ({row['says']})" for row in of_it if row["purpose"] == "power"]
        found[name] = line + (f"; where an effect was put in, it was found in {', '.join(seen)}" if seen else "")
    return found


def _local_rows(directory: str | Path) -> list[dict[str, Any]]:
    """Rows of the record in a measurement directory; none where it has none, or that of another measurement."""
    path = Path(directory).expanduser() / NAME
    if not present(path, NAME):
        return []
    head, rows = read_record(path)
    return rows if head.get("manifest") == manifest_hash(directory) else []
