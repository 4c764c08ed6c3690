"""Claim 3 of Liu 2025 (arXiv 2509.04479): attention does not preferentially route rare tokens to plateau neurons."""

from __future__ import annotations

import math

from ..hypothesis import Hypothesis
from ..inference.verdicts import Absence
from ..statistics.class_contrasts import HeadPreference, HeadProfile
from ..statistics.joint import JointHeads
from ..statistics.neuron_sets import Concentration

heads = Hypothesis(
    id="routing.heads",
    claim="No attention head acts preferentially on the plateau for rare tokens.",
    criterion=Absence(
        margin=math.log(1.25), unit="log ratio", means="a head that acts on the plateau 25 % more for rare tokens"
    ),
    statistic=HeadPreference("preference"),
    nulls=("document_swaps",),
    source="Liu 2025, claim 3; METHODS 3",
)

concentration = Hypothesis(
    id="routing.concentration",
    claim="Head effects are no more concentrated on few heads for the plateau than for ordinary neurons.",
    criterion=Absence(margin=0.05, unit="Gini", means="a Gini coefficient over heads that is .05 higher"),
    statistic=Concentration("concentration", centred=True),
    nulls=("reselected_sets", "matched_sets"),
    source="METHODS 3",
)

profile = Hypothesis(
    id="routing.profile",
    claim="Heads act on the plateau alike for rare and for common tokens.",
    criterion=Absence(margin=0.1, unit="1 - r", means="a correlation of the two head profiles of .9 beyond noise"),
    statistic=HeadProfile("profile_distance"),
    nulls=("document_swaps",),
    source="METHODS 3",
)

joint_ablation = Hypothesis(
    id="routing.closure",
    claim="Ablating the heads that act most on the plateau hurts rare tokens no more than ablating other heads does.",
    criterion=Absence(
        margin=math.log(1.25), unit="log ratio", means="a loss increase on rare tokens that is 25 % larger"
    ),
    statistic=JointHeads("log_ratio", centred=True),
    nulls=("head_sets",),
    source="Liu 2025, claim 3; METHODS 3",
    default=False,
)
