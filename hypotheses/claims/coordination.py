"""Liu, Wang, Li 2025 (arXiv 2505.12822, 2509.21163): plateau neurons activate in a coordinated way."""

from __future__ import annotations

from ..hypothesis import Hypothesis
from ..inference.verdicts import Presence
from ..statistics.neuron_sets import Dimension

dimension = Hypothesis(
    id="coordination.dimension",
    claim="Plateau activations have a lower effective dimension than those of ordinary neurons.",
    criterion=Presence(margin=0.1, unit="log ratio", means="ten per cent fewer dimensions than matched sets"),
    statistic=Dimension("participation_ratio", centred=True),
    nulls=("reselected_sets", "matched_sets"),
    source="Liu, Wang, Li 2025; METHODS 3",
)
