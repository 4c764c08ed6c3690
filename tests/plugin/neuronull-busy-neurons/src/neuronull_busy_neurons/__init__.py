"""busy_neurons: a claim for neuronull."""

from __future__ import annotations

import torch

import neuronull as nn
from neuronull.testing import DataView

CHOSEN = nn.neurons([3, 17, 29, 44, 58, 73, 90, 101], name="busy neurons")  # or leave it out: --set FILE then says which


@nn.hypothesis(
    "busy_neurons.activity",
    claim="The {set} neurons are active at more positions than other neurons of the layer.",
    criterion=nn.Presence(margin=0.05, unit="share", means="active at 5 % more of the positions"),
    set=CHOSEN,
    nulls=("random_sets",),  # matched_sets would match on sparsity, which is what is tested
    source="Say where the claim is made",
)
def activity(data: DataView, sets: torch.Tensor) -> torch.Tensor:
    """Mean share of positions at which a neuron is active, one number per row of sets: [R, n] -> [R]."""
    return 1 - data.neurons["sparsity"][sets].mean(-1)


paper = nn.Paper(
    id="busy_neurons",
    citation="Say who claims it, and where",
    set=CHOSEN,
    claims=(nn.Claim("busy neurons neurons are active almost everywhere", (activity,)),),
)
