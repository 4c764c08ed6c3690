"""Where the numbers came from: set-up, hashes, command, time, machine, versions, as tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from ..hypotheses.result import Result, Setup
from . import subject
from .numbers import count, number, p_cell, scientific
from .tables import Table, table_of

_APART = frozenset({"command", "options", "plan", "stages", "durations", "versions"})
"""Keys of `Result.provenance` that are told in a place of their own."""


def setup(result: Result) -> Table:
    """What was measured on what."""
    s = result.setup
    pairs = f"{count(s.n_pairs)} matched {s.conditions.a.name}-{s.conditions.b.name} pairs"
    rows = [
        ("Model", s.model + (f", revision {s.revision}" if s.revision else "")),
        ("Architecture", f"{s.architecture}, layer {s.layer}, {count(s.n_neurons)} neurons, {s.dtype}"),
        ("Text", s.corpus),
        ("Size", f"{count(s.n_documents)} documents{_clusters(s)}, {count(s.n_positions)} scored positions, {pairs}"),
        *subject.condition_rows(result),
        ("Influence", f"{s.ablation} ablation"),
        ("Tests", f"suite {s.suite}, B = {count(s.replicates)} draws, alpha {p_cell(s.alpha)}, seed {s.seed}"),
        ("Audit", audit_text(result)),
        *(pair for key, value in sorted((s.model_extra or {}).items()) for pair in _flat(_name(key), value)),
    ]
    return table_of("Set-up", ("What", "Value"), rows, words_in=(1,))


def audit_text(result: Result) -> str:
    """Largest difference between the fast and the direct computation of influence."""
    s = result.setup
    if s.audit_max_abs_error is None:
        return "none in these measurements"
    largest = f"largest difference {scientific(s.audit_max_abs_error)} nats"
    if s.audit_entries is None:
        return largest
    return f"{count(s.audit_entries)} influences computed again by a full forward pass; {largest}"


def provenance(result: Result) -> Table:
    """Hashes of the inputs, and when and where the run took place."""
    s = result.setup
    rows = [("Model weights, hash", s.model_hash), ("Text, hash", s.corpus_hash), ("Token counts, hash", s.counts_hash)]
    for key, value in sorted(result.provenance.items()):
        if key not in _APART:
            rows += _flat(_name(key), value)
    return table_of("Provenance", ("What", "Value"), rows, words_in=(1,))


def plan(result: Result) -> str:
    """Hash of what was declared, what it covers, and whether it was frozen beforehand; empty where none was kept."""
    told = _plan(result)
    if not told:
        return ""
    text = f"Plan hash (SHA-256): {plan_hash(result)}. "
    if told.get("covers"):
        text += f"It covers what was declared: {told['covers']}. Who declares the same gets the same hash; the text "
        text += "that it is taken of stands in provenance.json. "
    by = told.get("frozen")
    if isinstance(by, dict):
        text += (
            f"It is that of a plan that was frozen at {by.get('at')} by this machine's clock (SHA-256 with the hashes "
            f"of the inputs: {by.get('sha256')}), and a run that differed would have been refused. No file can show "
            "that nobody had seen the data before."
        )
    else:
        text += "The plan was not frozen before this run: nothing shows that it was settled before the data were seen."
    text += _looks(told)
    return text.strip()


def plan_hash(result: Result) -> str:
    """Hash of what was declared; empty where none was kept."""
    return str(_plan(result).get("sha256", ""))


def _looks(told: dict[str, Any]) -> str:
    """What was seen before this run that differs from it in the number of documents alone."""
    looks = told.get("looks") or []
    if not looks:
        return ""
    before = "; ".join(f"{one.get('documents')} documents until {one.get('at')}" for one in looks)
    return (
        f" The same was run on this machine before with another number of documents: {before}. Choosing "
        "how many documents to take after a look at the result makes false alarms more frequent than alpha."
    )


def frozen(result: Result) -> str:
    """When the plan was frozen before the run, or no; empty where none was kept."""
    told = _plan(result)
    by = told.get("frozen")
    return (str(by.get("at", "yes")) if isinstance(by, dict) else "no") if told else ""


def _plan(result: Result) -> dict[str, Any]:
    told = result.provenance.get("plan")
    return told if isinstance(told, dict) and told.get("sha256") else {}


def options(result: Result) -> Table:
    """Every option of the run, given or by default."""
    given = result.provenance.get("options")
    rows = [pair for k, v in given.items() for pair in _flat(_name(k), v)] if isinstance(given, dict) else []
    return table_of("Every option of the run", ("Option", "Value"), rows, words_in=(1,))


def stages(result: Result) -> Table:
    """Seconds that each stage took."""
    for key in ("stages", "durations"):
        took = result.provenance.get(key)
        if isinstance(took, dict) and took:
            seconds = [(str(k), number(float(v))) for k, v in took.items() if isinstance(v, int | float)]
            return table_of("Time", ("Stage", "Seconds"), seconds)
    return table_of("Time", ("Stage", "Seconds"), [])


def versions(result: Result) -> Table:
    """Versions of the software that made the numbers."""
    also = result.provenance.get("versions")
    known = {**(also if isinstance(also, dict) else {}), **result.setup.versions}
    return table_of(
        "Versions", ("Package", "Version"), sorted((str(k), str(v)) for k, v in known.items()), words_in=(1,)
    )


def command(result: Result) -> str:
    """Command line of the run as one could type it again; empty where it is not known."""
    given = result.provenance.get("command", "")
    return shlex.join(map(str, given)) if isinstance(given, list | tuple) else str(given or "")


def _name(key: str) -> str:
    words = key.replace("_", " ")
    return words[:1].upper() + words[1:]


def _flat(name: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in _flat(f"{name}: {k}", v)]
    if isinstance(value, list | tuple):
        return [(name, _joined(value))]
    if isinstance(value, float):
        return [(name, number(value))]
    return [] if value is None else [(name, str(value))]


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(str(v) for v in values)


def _clusters(s: Setup) -> str:
    """Of how many clusters the documents are, in words; nothing where each is its own."""
    if s.n_clusters is None:
        return ""
    worth = number(s.effective_clusters, 2)
    influence = f"the influence on {s.conditions.a.phrase} against {s.conditions.b.phrase}"
    shares = {"loss": "their loss", "influence": influence}
    held = [
        f"{number(share.share, 2)} [{number(share.low, 2)}, {number(share.high, 2)}] of {shares[name]}"
        for name, share in s.cluster_shares.items()
        if name in shares
    ]
    told = f"; of the differences between documents clusters hold {' and '.join(held)}" if held else ""
    return f" in {count(s.n_clusters)} clusters that are worth {worth} equal ones (chance is counted by cluster{told})"
