"""Entropy neurons (Stolfo et al. 2024, arXiv 2406.16254): their weights, and how they act."""

from __future__ import annotations

import math

from ...hypothesis import Hypothesis
from ...inference.verdicts import Absence, Presence
from ...words import Words
from .sets import ALIKE, ENTROPY_BY_EFFECTS
from .statistics import EffectRatio, WeightColumn

NULLS = ("reselected_sets", "matched_sets")

norm = Hypothesis(
    id="entropy.norm",
    claim="The output weights of {set} neurons are larger than those of other neurons with like activations.",
    criterion=Presence(margin=math.log(1.1), unit="log ratio", means="output weights that are a tenth larger"),
    statistic=WeightColumn("output_norm", centred=True, column="w_out_norm", logged=True),
    nulls=NULLS,
    words=Words(
        title="Size of output weights",
        asks="Are the output weights of neurons that act through the final norm's scale larger than those of other "
        "neurons?",
        measured=(
            "Mean log norm of the {set} neurons' output weights, less that of null sets of neurons with like "
            "activations; what a neuron's activations predict is taken off first. The neurons are chosen by their "
            "effects on one half of the documents, not by weights."
        ),
        plus="the {set} neurons have larger output weights than neurons with like activations",
        minus="the {set} neurons have smaller output weights than neurons with like activations",
        none="the {set} neurons have output weights no larger than those of neurons with like activations",
    ),
    set=ENTROPY_BY_EFFECTS,
    alike=ALIKE,
    figures=("balance",),
    source="Stolfo et al. 2024, figure 2a and 2e; docs/methods.md#entropy-norm",
)

nullspace = Hypothesis(
    id="entropy.nullspace",
    claim="More of the output weights of {set} neurons lies in the unembedding's weak directions than of other neurons "
    "with like activations.",
    criterion=Presence(
        margin=0.05, unit="share", means="a share of the output norm in weak directions that is .05 larger"
    ),
    statistic=WeightColumn("weak_direction_share", centred=True, column="weak_direction_share"),
    nulls=NULLS,
    words=Words(
        title="Writing into weak directions",
        asks="Do neurons that act through the final norm's scale write where the unembedding hardly reads?",
        measured=(
            "Mean share of the {set} neurons' output norm that lies in the weakest twentieth of the unembedding's "
            "singular directions, less that of null sets of neurons with like activations; what a neuron's "
            "activations predict is taken off first. The neurons are chosen by their effects on one half of the "
            "documents, not by weights."
        ),
        plus="the {set} neurons write more into directions that the unembedding hardly reads",
        minus="the {set} neurons write less into directions that the unembedding hardly reads",
        none="the {set} neurons write into directions that the unembedding hardly reads no more than other neurons do",
    ),
    set=ENTROPY_BY_EFFECTS,
    alike=ALIKE,
    source="Stolfo et al. 2024, figure 2d and 2e; docs/methods.md#entropy-nullspace",
)

scale = Hypothesis(
    id="entropy.scale",
    claim="More of the effect of {set} neurons on the loss goes through the final norm's scale than of other neurons "
    "with like activations.",
    criterion=Presence(
        margin=0.1, unit="share", means="a share of the effect that is lost with the scale frozen and is .1 larger"
    ),
    statistic=EffectRatio("scale_share", centred=True, above="direct", below="loss"),
    nulls=NULLS,
    words=Words(
        title="Acting through the norm's scale",
        asks="Do {set} neurons change the loss by changing the final norm's scale, more than other neurons do?",
        measured=(
            "One minus the direct effect over the whole effect: absolute changes of the loss when a neuron is "
            "ablated, with the final norm's scale frozen and free, summed over both {a} and {b}; mean over the "
            "{set} neurons, less that of null sets of neurons with like activations; what a neuron's activations "
            "predict is taken off first."
        ),
        plus="the {set} neurons act more through the final norm's scale than neurons with like activations",
        minus="the {set} neurons act less through the final norm's scale than neurons with like activations",
        none="the {set} neurons act through the final norm's scale no more than neurons with like activations",
    ),
    alike=ALIKE,
    figures=("effects",),
    source="Stolfo et al. 2024, figure 2b and 2c; docs/methods.md#entropy-scale",
)

frequency = Hypothesis(
    id="entropy.frequency",
    claim="No more of the effect of {set} neurons on the loss goes through token frequencies than of other neurons "
    "with like activations.",
    criterion=Absence(
        margin=0.1, unit="share", means="a share of the effect that is lost with token frequencies frozen, .1 larger"
    ),
    statistic=EffectRatio("frequency_share", centred=True, above="frequency", below="loss"),
    nulls=NULLS,
    words=Words(
        title="Acting through token frequencies",
        asks="Do {set} neurons change the loss by making frequent tokens more or less likely, more than other "
        "neurons do?",
        measured=(
            "One minus the effect with token frequencies frozen over the whole effect: absolute changes of the loss "
            "when a neuron is ablated, without and with the part along the log frequencies of tokens, summed over "
            "both {a} and {b}; mean over the {set} neurons, less that of null sets of neurons with like "
            "activations; what a neuron's activations predict is taken off first."
        ),
        plus="the {set} neurons act more through token frequencies than neurons with like activations",
        minus="the {set} neurons act less through token frequencies than neurons with like activations",
        none="the {set} neurons act through token frequencies no more than neurons with like activations",
    ),
    alike=ALIKE,
    figures=("effects",),
    source="Stolfo et al. 2024, abstract; docs/methods.md#entropy-frequency",
)
