"""Claim 2 of Liu 2025 (arXiv 2509.04479): plateau neurons form no modular clusters."""

from __future__ import annotations

from ..hypothesis import Hypothesis
from ..inference.verdicts import Absence, Sensitivity
from ..result import Kind
from ..statistics.neuron_sets import Cohesion, RewiredExcess, Within
from ..statistics.weight_sets import WeightStatistic, index_clustering, weight_cosine

within = Hypothesis(
    id="clusters.within",
    claim="Plateau neurons have no more internal modules than ordinary neurons.",
    criterion=Absence(
        margin=0.05, unit="correlation", means="two blocks that share 5 % more variance inside than across"
    ),
    statistic=Within("modular_contrast", centred=True),
    nulls=("reselected_sets", "matched_sets"),
    sensitivity=("hqs", "correlation_cm", "document_permuted"),
    source="Liu 2025, section 4; METHODS 3",
)

rewired = Hypothesis(
    id="clusters.rewired",
    claim="Plateau neurons are no more modular than their degrees imply, compared with ordinary neurons.",
    criterion=Sensitivity(kind=Kind.ABSENCE, unit="delta Q"),
    statistic=RewiredExcess("rewired_excess", centred=True),
    nulls=("reselected_sets",),
    source="Maslov, Sneppen 2002; METHODS 3 and 4",
)

cohesion = Hypothesis(
    id="clusters.cohesion",
    claim="The plateau is not itself a module of the layer.",
    criterion=Absence(
        margin=0.05, unit="Fisher z", means="plateau neurons correlate .05 more with each other than with their like"
    ),
    statistic=Cohesion("cohesion", centred=True),
    nulls=("reselected_sets", "matched_sets"),
    source="Liu 2025, section 4; METHODS 3",
)

weights = Hypothesis(
    id="clusters.weights",
    claim="Plateau neurons are not clustered in weight space.",
    criterion=Absence(margin=0.05, unit="cosine", means="weight vectors .05 more alike than those of ordinary neurons"),
    statistic=WeightStatistic("mean_cosine", centred=True, weights_only=True, of_sets=weight_cosine),
    nulls=("reselected_sets", "matched_sets"),
    source="METHODS 3",
)

index = Hypothesis(
    id="clusters.index",
    claim="Plateau neurons do not lie at neighbouring indices.",
    criterion=Sensitivity(kind=Kind.ABSENCE, unit="log ratio"),
    statistic=WeightStatistic("nearest_index_gap", centred=True, weights_only=True, of_sets=index_clustering),
    nulls=("random_sets",),
    source="METHODS 3: small sets cannot decide it",
)
