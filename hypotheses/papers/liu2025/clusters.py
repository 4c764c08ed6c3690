"""Claim 2 of Liu 2025 (arXiv 2509.04479): plateau neurons form no modular clusters."""

from __future__ import annotations

from ...hypothesis import Hypothesis
from ...inference.verdicts import Absence, Sensitivity
from ...result import Kind
from ...statistics.weights import WeightStatistic
from ...words import Words
from .statistics.clusters import Cohesion, Core, RewiredExcess, Within, WithinByEach, index_clustering, weight_cosine

within = Hypothesis(
    id="clusters.within",
    claim="The {set} neurons have no more internal modules than ordinary neurons.",
    criterion=Absence(
        margin=0.05, unit="correlation", means="two blocks that share 5 % more variance inside than across"
    ),
    statistic=Within("modular_contrast", centred=True),
    nulls=("reselected_sets", "matched_sets"),
    sensitivity=("hqs", "correlation_cm", "document_permuted"),
    words=Words(
        title="Modules among the {set} neurons",
        asks="Do the {set} neurons fall into groups that fire together, more than ordinary neurons do?",
        measured=(
            "Groups are found on one half of the documents and scored on the other: mean correlation inside the groups "
            "less that between them. From that the same is taken off for sets of ordinary neurons matched on activity "
            "and weights."
        ),
        plus="the {set} neurons fall into modules more than ordinary neurons do",
        minus="the {set} neurons are less modular than ordinary neurons",
        none="the {set} neurons form no more modules than ordinary neurons do",
    ),
    figures=("graphs", "balance"),
    source="Liu 2025, section 4; docs/methods.md#clusters-within",
)

core = Hypothesis(
    id="clusters.core",
    claim="No small group of the {set} neurons is a tight module, more than in ordinary sets.",
    criterion=Absence(
        margin=0.2,
        unit="correlation",
        means="a group of a sixth of the {set} neurons, five at least, that correlate .2 more with each other than "
        "with the rest",
    ),
    statistic=Core("separation", centred=True),
    nulls=("reselected_sets", "matched_sets"),
    words=Words(
        title="A small tight group among the {set} neurons",
        asks="Is there a small group among the {set} neurons that fires together, tighter than in ordinary sets?",
        measured=(
            "The tightest group of at least five neurons (or 15 % of the set) is found on one half of the documents "
            "and scored on the other: mean correlation inside the group less that with the rest of the set. From that "
            "the same is taken off for sets of ordinary neurons."
        ),
        plus="a small group of the {set} neurons is a tight module, more than ordinary sets have",
        minus="the tightest group of the {set} neurons is looser than that of ordinary neurons",
        none="the {set} neurons hold no small tight group that ordinary neurons do not hold",
    ),
    figures=("graphs", "balance"),
    source="docs/methods.md#clusters-core",
)

rewired = Hypothesis(
    id="clusters.rewired",
    claim="The {set} neurons are no more modular than their degrees imply, compared with ordinary neurons.",
    criterion=Sensitivity(kind=Kind.ABSENCE, unit="delta Q"),
    statistic=RewiredExcess("rewired_excess", centred=True),
    nulls=("reselected_sets",),
    words=Words(
        title="Modules beyond the degrees",
        asks=(
            "Is the co-activation graph of the {set} neurons more modular than its degrees imply, compared with "
            "ordinary sets?"
        ),
        measured=(
            "Modularity of the graph less that of its rewired twins, ranked among the same excess of matched sets."
        ),
        plus="the graph of the {set} neurons is more modular than those of ordinary sets",
        minus="the graph of the {set} neurons is less modular than those of ordinary sets",
        none="the graph of the {set} neurons is as modular as those of ordinary sets",
    ),
    figures=("graphs", "balance"),
    source="Maslov, Sneppen 2002; docs/methods.md#clusters-rewired",
)

by_each = Hypothesis(
    id="clusters.algorithms",
    claim="No common community algorithm finds more modules among the {set} neurons than in ordinary sets.",
    criterion=Sensitivity(kind=Kind.ABSENCE, unit="correlation"),
    statistic=WithinByEach("modular_contrast_by_each", centred=True),
    nulls=("reselected_sets",),
    words=Words(
        title="Modules by other algorithms",
        asks="Would another community algorithm have found modules among the {set} neurons?",
        measured=(
            "Modularity, constant Potts model, significance, a resolution profile (leidenalg), walktrap and infomap "
            "(igraph) find groups on one half of the documents; each is scored on the other half, like the deciding "
            "row: mean correlation inside the groups less that between them, less the same for ordinary sets. The "
            "algorithm that finds most is told; its p allows for the choice among all."
        ),
        plus="some algorithm finds more modules among the {set} neurons than in ordinary sets",
        minus="every algorithm finds fewer modules among the {set} neurons than in ordinary sets",
        none="no algorithm finds more modules among the {set} neurons than in ordinary sets",
    ),
    figures=("graphs", "balance"),
    source="docs/methods.md#clusters-algorithms",
)

cohesion = Hypothesis(
    id="clusters.cohesion",
    claim="The {set} neurons are not themselves a module of the layer.",
    criterion=Absence(
        margin=0.05, unit="Fisher z", means="the {set} neurons correlate .05 more with each other than with their like"
    ),
    statistic=Cohesion("cohesion", centred=True),
    nulls=("reselected_sets", "matched_sets"),
    words=Words(
        title="The {set} neurons as one module",
        asks="Do the {set} neurons fire together as one group within the layer?",
        measured=(
            "Mean correlation among the {set} neurons less that with their matched neighbours, after the layer's "
            "common mode is removed; less the same for matched sets."
        ),
        plus="the {set} neurons fire together as one group",
        minus="the {set} neurons hold together less than ordinary sets do",
        none="the {set} neurons hold together no more than ordinary sets do",
    ),
    figures=("graphs", "balance"),
    source="Liu 2025, section 4; docs/methods.md#clusters-cohesion",
)

weights = Hypothesis(
    id="clusters.weights",
    claim="The {set} neurons are not clustered in weight space.",
    criterion=Absence(margin=0.05, unit="cosine", means="weight vectors .05 more alike than those of ordinary neurons"),
    statistic=WeightStatistic("mean_cosine", centred=True, weights_only=True, of_sets=weight_cosine),
    nulls=("reselected_sets", "matched_sets"),
    words=Words(
        title="Clusters in weight space",
        asks="Do the {set} neurons read from and write to similar directions?",
        measured=(
            "Mean cosine between their input weights and between their output weights, less the same for matched sets. "
            "This needs no text at all."
        ),
        plus="the {set} neurons' weights are more alike than those of ordinary neurons",
        minus="the {set} neurons' weights are less alike than those of ordinary neurons",
        none="the {set} neurons' weights are no more alike than those of ordinary neurons",
    ),
    figures=("graphs", "balance"),
    source="docs/methods.md#clusters-weights",
)

index = Hypothesis(
    id="clusters.index",
    claim="The {set} neurons do not lie at neighbouring indices.",
    criterion=Sensitivity(kind=Kind.ABSENCE, unit="log ratio"),
    statistic=WeightStatistic(
        "nearest_index_gap", centred=True, weights_only=True, of_sets=index_clustering, reads_weights=False
    ),
    nulls=("random_sets",),
    words=Words(
        title="Neighbouring indices",
        asks="Do the {set} neurons sit next to each other in the layer's numbering?",
        measured="Log ratio of the expected to the mean gap to the nearest of them.",
        plus="the {set} neurons sit closer together than chance would put them",
        minus="the {set} neurons sit farther apart than chance would put them",
        none="the {set} neurons sit where chance would put them",
    ),
    figures=("graphs", "balance"),
    source="docs/methods.md#clusters-index: small sets cannot decide it",
)
