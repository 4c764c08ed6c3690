"""What ships: the names of the hypotheses, estimators and null models, each behind its registry."""

from __future__ import annotations

import inspect
from typing import Any

from .registry import Registry

CLAIMS: dict[int, tuple[str, str]] = {
    1: ("regimes", "rare tokens have a regime of their own"),
    2: ("clusters", "plateau neurons form no modular clusters"),
    3: ("routing", "attention does not route to them"),
}
"""Number of each of the paper's claims -> its family and what it says."""

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


def _instance(found: Any) -> Any:
    """An instance of a null model that was given as a class."""
    return found() if inspect.isclass(found) else found


nulls: Registry[Any] = Registry(
    "null model", "neuronull.nulls", {name: f".nulls.{name}:{kind}" for name, kind in _NULL_MODELS.items()}, _instance
)

hypotheses: Registry[Any] = Registry(
    "hypothesis",
    "neuronull.hypotheses",
    {
        "regimes.shape": ".claims.regimes:shape",
        "regimes.contrast": ".claims.regimes:contrast",
        "regimes.selectivity": ".claims.regimes:selectivity",
        "regimes.recruitment": ".claims.regimes:recruitment",
        "clusters.within": ".claims.clusters:within",
        "clusters.rewired": ".claims.clusters:rewired",
        "clusters.cohesion": ".claims.clusters:cohesion",
        "clusters.weights": ".claims.clusters:weights",
        "clusters.index": ".claims.clusters:index",
        "routing.heads": ".claims.routing:heads",
        "routing.concentration": ".claims.routing:concentration",
        "routing.profile": ".claims.routing:profile",
        "routing.closure": ".claims.routing:closure",
        "specialists.closure": ".claims.specialists:closure",
        "coordination.dimension": ".claims.coordination:dimension",
        "tails.weights": ".claims.tails:weights",
        "emergence.trend": ".claims.emergence:trend",
    },
)

CONTROLS = (
    "control.random_init",
    "control.permuted_labels",
    "control.unreachable_heads",
    "control.whole_layer",
)
"""Checks of the pipeline that every suite runs; they decide no claim."""

estimators: Registry[Any] = Registry(
    "estimator",
    "neuronull.estimators",
    {
        "selectivity": "..estimators.regimes:selectivity",
        "contrast": "..estimators.regimes:contrast",
        "shape": "..estimators.regimes:shape",
        "recruitment": "..estimators.regimes:recruitment",
        "modular_contrast": "..estimators.communities:modular_contrast",
        "rewired_excess": "..estimators.communities:rewired_excess",
        "cohesion": "..estimators.coactivation:cohesion",
        "mean_cosine": "..estimators.weights:mean_cosine",
        "nearest_index_gap": "..estimators.weights:nearest_index_gap",
        "preference": "..estimators.routing:preference",
        "concentration": "..estimators.routing:concentration",
        "profile_distance": "..estimators.routing:profile_distance",
        "log_ratio": "..estimators.joint_contrasts:log_ratio",
        "net_contrast": "..estimators.joint_contrasts:net_contrast",
        "participation_ratio": "..estimators.coactivation:participation_ratio",
        "hill_alpha": "..estimators.weights:hill_alpha",
        "log_step_slope": "..estimators.trend:log_step_slope",
    },
)
