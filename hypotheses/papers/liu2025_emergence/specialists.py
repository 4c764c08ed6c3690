"""Beyond single neurons: whether rare tokens depend on the plateau as a whole."""

from __future__ import annotations

from ...hypothesis import Hypothesis
from ...inference.verdicts import Presence
from ...words import Words
from .statistics.joint_neurons import JointNeurons

joint_ablation = Hypothesis(
    id="specialists.closure",
    claim="Ablating the {set} neurons jointly hurts {a} more than ablating matched sets does.",
    criterion=Presence(
        margin=0.05,
        unit="share of influence",
        means="a loss increase on {a} that is larger by 5 % of what the neurons' single influences add up to",
    ),
    statistic=JointNeurons("net_contrast"),
    nulls=("matched_sets", "document_swaps"),
    words=Words(
        title="Removing all {set} neurons at once",
        asks="Does removing all {set} neurons at once hurt {a} more than removing matched sets does?",
        measured=(
            "Loss increase when the {set} neurons are removed together, in units of what their single influences add "
            "up to, on {a} less that on {b}; over the {set} neurons plus their mirror image for {b}, less the same for "
            "matched sets. A loss may fall as well as rise, so this is a difference, no ratio."
        ),
        plus="removing the {set} neurons hurts {a} more than removing ordinary sets",
        minus="removing the {set} neurons hurts {b} more",
        none="removing the {set} neurons hurts {a} no more than removing ordinary sets",
    ),
    figures=("effects",),
    source="Liu 2025, claim 1; docs/methods.md#specialists-closure",
    default=False,
)
