"""Claim 3 of Liu 2025 (arXiv 2509.04479): attention does not preferentially route rare tokens to plateau neurons."""

from __future__ import annotations

import math

from ...hypothesis import Hypothesis
from ...inference.verdicts import Absence
from ...words import Words
from .statistics.joint_heads import JointHeads
from .statistics.routing import Concentration, HeadPreference, HeadProfile

heads = Hypothesis(
    id="routing.heads",
    claim="No attention head acts preferentially on the {set} neurons for {a}.",
    criterion=Absence(
        margin=math.log(1.25), unit="log ratio", means="a head that acts on the {set} neurons 25 % more for {a}"
    ),
    statistic=HeadPreference("preference"),
    nulls=("document_swaps", "matched_sets"),
    words=Words(
        title="Heads that favour the {set} neurons",
        asks="Does any attention head act more on the {set} neurons for {a} than it acts on ordinary neurons?",
        measured=(
            "For each head that can reach the layer, a ratio of ratios: its effect on the {set} neurons, {a} to {b}, "
            "over its effect on the other neurons of their strata, {a} to {b} (log; log 1.25 is a quarter more). The "
            "verdict looks at every head at once, those that act less than a tenth as much as the mean head taken "
            "together; the row tells the head that decides."
        ),
        plus="an attention head favours the {set} neurons for {a}",
        minus="an attention head favours the {set} neurons for {b}",
        none="no attention head favours the {set} neurons for {a}",
    ),
    figures=("head_map",),
    source="Liu 2025, claim 3; docs/methods.md#routing-heads",
)

concentration = Hypothesis(
    id="routing.concentration",
    claim="Head effects are no more concentrated on few heads for the {set} neurons than for ordinary neurons.",
    criterion=Absence(margin=0.05, unit="Gini", means="a Gini coefficient over heads that is .05 higher"),
    statistic=Concentration("concentration", centred=True),
    nulls=("reselected_sets", "matched_sets"),
    words=Words(
        title="Concentration over heads",
        asks="Do fewer heads drive the {set} neurons than drive ordinary neurons?",
        measured=(
            "Gini coefficient of head effects on the {set} neurons less that on null sets without any of them; p ranks "
            "whole sets."
        ),
        plus="fewer heads drive the {set} neurons than drive ordinary neurons",
        minus="more heads drive the {set} neurons than drive ordinary neurons",
        none="the {set} neurons are driven by as many heads as ordinary neurons are",
    ),
    figures=("head_map",),
    source="docs/methods.md#routing-concentration",
)

profile = Hypothesis(
    id="routing.profile",
    claim="Heads act on the {set} neurons alike for {a} and for {b}.",
    criterion=Absence(
        margin=round(math.log(1.25) ** 2, 4),
        unit="squared log",
        means="heads whose effect for {a} against {b} differs between them by 25 % (standard deviation)",
    ),
    statistic=HeadProfile("profile_spread", centred=True),
    nulls=("document_swaps", "matched_sets"),
    words=Words(
        title="Same heads for {a} and {b}",
        asks="Do different heads drive the {set} neurons for {a} than for {b}?",
        measured=(
            "For each head the log ratio of its effect on the {set} neurons for {a} to that for {b}; the variance of "
            "these ratios over heads, from the product of the two halves, less the same for matched sets."
        ),
        plus="different heads drive the {set} neurons for {a} than for {b}",
        minus="heads act on the {set} neurons more alike for {a} and {b} than on ordinary neurons",
        none="the same heads drive the {set} neurons for {a} and for {b}",
    ),
    figures=("head_map",),
    source="docs/methods.md#routing-profile",
)

joint_ablation = Hypothesis(
    id="routing.closure",
    claim=("Ablating the heads that act most on the {set} neurons hurts {a} no more than ablating other heads does."),
    criterion=Absence(margin=math.log(1.25), unit="log ratio", means="a loss increase on {a} that is 25 % larger"),
    statistic=JointHeads("log_ratio", centred=True),
    nulls=("head_sets",),
    words=Words(
        title="Removing the heads that act most on the {set} neurons",
        asks="Does removing the heads that drive the {set} neurons most hurt {a} more than {b}?",
        measured=(
            "Log ratio of the loss increase when the heads that act most on the {set} neurons are removed together, "
            "{a} to {b}, less that of sets of heads with the same total effect on the layer."
        ),
        plus="removing the heads that act most on the {set} neurons hurts {a} more",
        minus="removing the heads that act most on the {set} neurons hurts {b} more",
        none=("removing the heads that act most on the {set} neurons hurts {a} no more than removing other heads"),
    ),
    figures=("head_map",),
    source="Liu 2025, claim 3; docs/methods.md#routing-closure",
    default=False,
)
