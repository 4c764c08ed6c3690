"""Beyond single neurons: whether rare tokens depend on the plateau as a whole."""

from __future__ import annotations

from ..hypothesis import Hypothesis
from ..inference.verdicts import Presence
from ..statistics.joint import JointNeurons

joint_ablation = Hypothesis(
    id="specialists.closure",
    claim="Ablating the plateau jointly hurts rare tokens more than ablating matched sets does.",
    criterion=Presence(
        margin=0.05,
        unit="share of influence",
        means="a loss increase on rare tokens that is larger by 5 % of what the neurons' single influences add up to",
    ),
    statistic=JointNeurons("net_contrast"),
    nulls=("matched_sets", "document_swaps"),
    source="Liu 2025, claim 1; METHODS 3",
    default=False,
)
