"""What can be tested: the papers, their hypotheses, the null models, each behind its registry.

The only place that names the papers which ship.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from ..data.errors import InputError
from ..data.registry import BUILT_IN, Registry, suggestion
from .controls import Control
from .hypothesis import Hypothesis
from .neuron_sets import NeuronSet
from .nulls.base import NullModel
from .paper import Paper

_NULL_MODELS = {
    "matched_sets": "MatchedSets",
    "reselected_sets": "ReselectedSets",
    "random_sets": "RandomSets",
    "head_sets": "HeadSets",
    "label_swaps": "LabelSwaps",
    "document_swaps": "DocumentSwaps",
    "neuron_swaps": "NeuronSwaps",
    "document_permuted": "DocumentPermuted",
    "circular_shift": "CircularShift",
    "hqs": "HQS",
    "correlation_cm": "CorrelationCM",
    "random_matrix": "RandomMatrix",
    "rewired": "Rewired",
    "signed_rewired": "SignedRewired",
    "erdos_renyi": "ErdosRenyi",
    "influence_law": "InfluenceLaw",
    "random_init": "RandomInit",
    "shuffled_corpus": "ShuffledCorpus",
}


def _null_model(found: Any) -> NullModel:
    made = found() if inspect.isclass(found) else found
    if not isinstance(made, NullModel):
        raise TypeError(f"a null model is a NullModel, not a {type(made).__name__}")
    return made


def _hypothesis(found: Any) -> Hypothesis:
    if not isinstance(found, Hypothesis):
        raise TypeError(f"a hypothesis is a Hypothesis, not a {type(found).__name__}")
    return found


def _paper(found: Any) -> Paper:
    if not isinstance(found, Paper):
        raise TypeError(f"a paper is a Paper, not a {type(found).__name__}")
    return found


nulls: Registry[NullModel] = Registry(
    "null model", "neuronull.nulls", {name: f".nulls.{name}:{kind}" for name, kind in _NULL_MODELS.items()},
    __package__, _null_model, "name",
)  # fmt: skip

papers: Registry[Paper] = Registry(
    "paper", "neuronull.papers",
    {name: f".papers.{name}:paper" for name in ("liu2025", "liu2025_emergence", "stolfo2024")},
    __package__, _paper, "id",
)  # fmt: skip

hypotheses: Registry[Hypothesis] = Registry("hypothesis", "neuronull.hypotheses", {}, __package__, _hypothesis, "id")
"""Hypotheses of no paper: registered in Python, or announced by a plug-in.  Those of papers stand in their papers."""


def shipped() -> list[Paper]:
    """The papers that ship, in order."""
    return [papers.get(name) for name in papers.names() if papers.origin(name) == BUILT_IN]


def papers_asked(ids: tuple[str, ...]) -> list[Paper]:
    """Papers of these ids; none stands for those that a plain run tests, "all" for every one that can be loaded.

    Raises
    ------
    InputError
        If there is no such paper, or it cannot be loaded.
    """
    if not ids:
        return [paper for paper in shipped() if paper.default]
    if "all" in ids:
        return [paper for _, paper in papers.items()]
    return [papers.get(name) for name in dict.fromkeys(ids)]


def known_hypotheses() -> dict[str, Hypothesis]:
    """Every hypothesis that can be loaded, by id: those of the papers that ship, of other papers, of no paper."""
    return dict(_everything())


def _everything() -> Iterator[tuple[str, Hypothesis]]:
    seen: set[str] = set()
    for _, paper in papers.items():
        for hypothesis in paper.hypotheses:
            if hypothesis.id not in seen:
                seen.add(hypothesis.id)
                yield hypothesis.id, hypothesis
    for name, hypothesis in hypotheses.items():
        if name not in seen:
            yield name, hypothesis


def hypothesis(id: str) -> Hypothesis:
    """The hypothesis of this id.

    Papers that ship come first; plug-ins are loaded only if none of these has it.

    Raises
    ------
    InputError
        If there is none, with the nearest id.
    """
    for paper in shipped():
        for found in paper.hypotheses:
            if found.id == id:
                return found
    if id in hypotheses:
        return hypotheses.get(id)
    known = known_hypotheses()
    if id in known:
        return known[id]
    near = suggestion(id, tuple(known))
    raise InputError(f"unknown hypothesis {id!r}", "", near or f"known: {', '.join(known)}")


def papers_of(id: str) -> list[Paper]:
    """Papers that declare a hypothesis of this id."""
    return [paper for _, paper in papers.items() if any(h.id == id for h in paper.hypotheses)]


def set_of(hypothesis: Hypothesis) -> NeuronSet | None:
    """The set that a hypothesis is about: its own, else that of the first paper that declares it; None for neither."""
    if hypothesis.set is not None:
        return hypothesis.set
    declaring = papers_of(hypothesis.id)
    return declaring[0].set if declaring else None


def controls(asked: list[Paper]) -> list[Control]:
    """Controls that these papers call for, each once."""
    return list({control.id: control for paper in asked for control in paper.controls}.values())


def null_of(null: str | NullModel) -> NullModel:
    """Null model that was given by id or as an object."""
    return nulls.get(null) if isinstance(null, str) else null


def origin_of(null: str | NullModel) -> str:
    """Where a null model came from."""
    name = null if isinstance(null, str) else null.name
    if name in nulls:
        return nulls.origin(name)
    return BUILT_IN if type(null).__module__.startswith("neuronull.") else f"{type(null).__module__}"
