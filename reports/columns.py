"""Runs side by side in columns: what each is called, and which of them stand in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..hypotheses.result import ClaimVerdict, Finding, Result, Role, Setup
from . import subject
from .numbers import count, number


@dataclass(frozen=True)
class Column:
    """Runs that are told in one column: of the same measurements, each with hypotheses of its own."""

    name: str
    runs: tuple[Result, ...]

    def primary(self, hypothesis: str) -> Finding | None:
        """The deciding row of a hypothesis, in whichever run has it."""
        rows = (f for r in self.runs for f in r.findings)
        return next((f for f in rows if f.hypothesis == hypothesis and f.role is Role.PRIMARY), None)

    def claim(self, paper: str, number: int) -> ClaimVerdict | None:
        """The verdict on a claim, in whichever run has it."""
        claims = (c for r in self.runs for c in r.claims)
        return next((c for c in claims if (c.paper, c.number) == (paper, number)), None)


def columns(results: Sequence[Result]) -> list[Column]:
    """The runs in columns: those that tested different papers on the same measurements stand in one."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, (name, result) in enumerate(zip(_measured_as(results), results, strict=True)):
        setup = result.setup
        measured = (setup.model_hash, setup.corpus_hash, setup.counts_hash, setup.layer, setup.dtype, setup.n_pairs)
        same = (name, *measured, setup.replicates, setup.alpha)
        groups.setdefault(same, []).append(i)
    names, found = labels(results), []
    times = Counter(name for name, *_ in groups)
    for (name, *_), members in groups.items():
        runs = tuple(results[i] for i in members)
        tested = [f.hypothesis for r in runs for f in r.findings if f.role is Role.PRIMARY]
        alone = len(set(tested)) < len(tested) or times[name] > 1
        found += [Column(names[i], (results[i],)) for i in members] if alone else [Column(name, runs)]
    return found


def labels(results: Sequence[Result]) -> list[str]:
    """Names of the runs: the model, and where two share it, whatever tells them apart."""
    papers = [subject.joined([paper.id for paper in r.papers]) or "no paper" for r in results]
    names = _told_apart(_measured_as(results), "", papers)
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if names.count(name) == 1 else f"{name} ({seen[name]})")
    return out


def _measured_as(results: Sequence[Result]) -> list[str]:
    """Names of the runs by what was measured, whatever was tested on it."""
    names = [r.setup.model for r in results]
    for field in ("layer", "corpus", "conditioning", "threshold", "conditions", "ablation", "set_rule", "seed"):
        values = [between(r.setup) if field == "conditions" else getattr(r.setup, field) for r in results]
        names = _told_apart(names, "set" if field == "set_rule" else field, values)
    return names


def _told_apart(names: Sequence[str], field: str, values: Sequence[Any]) -> list[str]:
    """The names, with the value of a field behind those that are not unique and that it tells apart."""
    twice = {n for n, c in Counter(names).items() if c > 1}
    telling = {n for n in twice if len({v for m, v in zip(names, values, strict=True) if m == n}) > 1}
    return [
        f"{n}, {f'{field} ' if field else ''}{_value(v)}" if n in telling else n
        for n, v in zip(names, values, strict=True)
    ]


def between(setup: Setup) -> str:
    """Names of the two conditions."""
    return f"{setup.conditions.a.name} / {setup.conditions.b.name}"


def _value(value: Any) -> str:
    """Setting in the name of a run: numbers in the house style, text as it is."""
    return plain(value) if value is None or isinstance(value, float) else str(value)


def plain(value: Any) -> str:
    """Setting in a table: numbers in the house style, long text cut."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return number(value)
    text = str(value)
    return text if len(text) <= 44 else text[:12] + "\u2026"
