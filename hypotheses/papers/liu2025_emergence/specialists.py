"""Specialists: whether the plateau leans to rare tokens, and whether they depend on it as a whole."""

from __future__ import annotations

from ...hypothesis import Hypothesis
from ...inference.verdicts import Presence, Sensitivity
from ...result import Kind
from ...statistics.lean import MARGIN, Lean
from ...words import Words
from .statistics.joint_neurons import JointNeurons
from .statistics.mixed import mixed_selectivity

selectivity = Hypothesis(
    id="specialists.selectivity",
    claim="{A} have specialist neurons that {b} have not.",
    criterion=Presence(
        margin=MARGIN,
        unit="log ratio",
        means="the {set} neurons lean 5 % more to {a} than those chosen on {b} lean to {b}",
    ),
    statistic=Lean("lean", centred=True, descriptives=mixed_selectivity),
    nulls=("document_swaps", "neuron_swaps"),
    words=Words(
        title="Specialist neurons",
        asks="Do {a} have neurons that matter for them more than their influence on {b} would have it?",
        measured=(
            "Influence on {a} may go as a power of influence on {b} for all neurons; that is fitted to the ordinary "
            "ones and taken out. What is left is the mean log ratio of influence on {a} to {b} over the {set} neurons, "
            "plus the mirrored ratio over those chosen on {b}, so that ordinary differences between neurons cancel. "
            "Chosen on one half of the documents, measured on the other."
        ),
        plus="{a} have specialist neurons",
        minus="the {set} neurons work more for {b} than for {a}",
        none="{a} have no specialist neurons worth the name",
    ),
    figures=("curves",),
    source="Liu, Wang, Li 2025 (arXiv 2505.12822); docs/methods.md#specialists-selectivity",
)

bent = Hypothesis(
    id="specialists.bent",
    claim="{A} have specialist neurons, were all neurons to follow a curved relation.",
    criterion=Sensitivity(kind=Kind.PRESENCE, unit="log ratio"),
    statistic=Lean("lean_beyond_a_parabola", centred=True, bend=True),
    nulls=("document_swaps", "neuron_swaps"),
    words=Words(
        title="Specialist neurons beyond a curved relation",
        asks="Would {a} still have specialists if influence on {a} and {b} were related by a curve?",
        measured="The same beyond a parabola that is fitted to the ordinary neurons and goes on to the {set} neurons.",
        plus="{a} have specialist neurons, whatever the curve",
        minus="beyond the curve the {set} neurons work more for {b} than for {a}",
        none="a curved relation leaves no specialists",
    ),
    figures=("curves",),
    source="docs/methods.md#specialists-selectivity",
)

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
