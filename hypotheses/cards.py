"""What a result says of itself: the set-up, the sets under test, the hypotheses in a reader's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..data.errors import MissingInput
from ..data.options import TestOptions
from .findings import set_rule
from .hypothesis import Hypothesis
from .inference.effects import shared_variance
from .neuron_sets import NeuronSet
from .prepared import PreparedData
from .result import SET_COLUMN, ClusterShare, ConditionCard, Conditions, HypothesisCard, SetCard, Setup

if TYPE_CHECKING:
    from .views import Prepared


def describe(data: PreparedData, options: TestOptions) -> Setup:
    """What was measured on what."""
    m = data.measurements.manifest
    audit = (m.audit.model_extra or {}) if m.audit else {}
    given: dict[str, Any] = {
        "model": m.model.id, "revision": m.model.revision, "architecture": m.architecture, "layer": m.layer,
        "corpus": m.corpus.id, "conditioning": m.conditioning, "threshold": m.threshold, "elbow": m.elbow_rank,
        "ablation": m.ablation, SET_COLUMN: set_rule(data), "n_head": _size(data), "dtype": m.dtype,
        "conditions": _conditions(data), "model_hash": m.model.hash, "corpus_hash": m.corpus.hash,
        "counts_hash": m.counts_hash, "n_documents": len(data.documents), "n_positions": len(data.panel),
        "n_pairs": len(data.panel.a_rows), "n_neurons": data.measurements.n_neurons, "replicates": options.replicates,
        "alpha": options.alpha, "seed": options.seed, "audit_entries": m.audit.n if m.audit else None,
        "audit_max_abs_error": m.audit.max_abs_error if m.audit else None, "versions": dict(sorted(m.versions.items())),
        "suite": "only " + " ".join(options.only) if options.only else options.suite, "audit": audit,
        "counts": m.extra("counts"), "kept_share": m.extra("kept_share"),
    }  # fmt: skip
    if data.n_units < len(data.documents):
        given |= {"n_clusters": data.n_units, "effective_clusters": data.effective_units}
        shares = {name: shared_variance(values, data.unit) for name, values in data.document_values.items()}
        given["cluster_shares"] = {
            name: ClusterShare(share=one.share, low=one.low, high=one.high) for name, one in shares.items() if one
        }
    return Setup(**given)


def _conditions(data: PreparedData) -> Conditions:
    conditions = data.conditions
    a, b = (ConditionCard(name=c.name, phrase=c.phrase) for c in (conditions.a, conditions.b))
    return Conditions(a=a, b=b, rule=conditions.rule)


def _size(data: PreparedData) -> int:
    """Neurons in the set; 0 where it cannot be chosen from what was measured."""
    try:
        return data.n_head
    except MissingInput:
        return 0


def set_cards(prepared: Prepared) -> list[SetCard]:
    """The sets under test, each once, with the hypotheses about it."""
    cards: dict[NeuronSet, SetCard] = {}
    for hypothesis in prepared.choice.hypotheses:
        data = prepared.of(hypothesis)
        own = data.neuron_set
        if own not in cards:
            cards[own] = SetCard(name=own.name, rule=data.filled(own.rule), chosen_by=own.chosen_by,
                                 cross_fitted=own.cross_fitted, size=_size(data),
                                 reliability=_reliability(data))  # fmt: skip
        cards[own].hypotheses.append(hypothesis.id)
    return list(cards.values())


def _reliability(data: PreparedData) -> float | None:
    """Agreement of the halves' sets; None where no half chose them, or they cannot be chosen from what was measured."""
    try:
        return data.reliability if data.neuron_set.cross_fitted else None
    except MissingInput:
        return None


def hypothesis_cards(prepared: Prepared) -> list[HypothesisCard]:
    """The hypotheses in a reader's words."""
    cards = []
    for hypothesis in prepared.choice.hypotheses:
        data = prepared.of(hypothesis)
        papers = [p.id for p in prepared.choice.papers if any(own.id == hypothesis.id for own in p.hypotheses)]
        cards.append(card_of(hypothesis, data.filled, data.neuron_set.name, papers))
    return cards


def card_of(hypothesis: Hypothesis, filled: Callable[[str], str], name: str, papers: list[str]) -> HypothesisCard:
    """A hypothesis in a reader's words.

    Parameters
    ----------
    filled
        Fills in the names of set and conditions.
    name
        Of the set under test.
    papers
        Ids of the papers that declare it.
    """
    words = hypothesis.words
    return HypothesisCard(
        id=hypothesis.id, papers=papers, title=filled(hypothesis.title), asks=filled(words.asks),
        measured=filled(words.measured), plus=filled(words.plus), minus=filled(words.minus), none=filled(words.none),
        source=hypothesis.source, set=name, figures=list(hypothesis.figures), bibtex=list(hypothesis.bibtex),
    )  # fmt: skip
