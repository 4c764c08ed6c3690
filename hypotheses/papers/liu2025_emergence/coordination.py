"""Liu, Wang, Li 2025 (arXiv 2505.12822, 2509.21163): plateau neurons activate in a coordinated way."""

from __future__ import annotations

from ...hypothesis import Hypothesis
from ...inference.verdicts import Presence
from ...words import Words
from .statistics.dimension import Dimension

dimension = Hypothesis(
    id="coordination.dimension",
    claim="Activations of the {set} neurons have a lower effective dimension than those of ordinary neurons.",
    criterion=Presence(margin=0.1, unit="log ratio", means="ten per cent fewer dimensions than matched sets"),
    statistic=Dimension("participation_ratio", centred=True),
    nulls=("reselected_sets", "matched_sets"),
    words=Words(
        title="Fewer effective dimensions",
        asks="Do the {set} neurons move together in fewer dimensions than ordinary neurons?",
        measured=(
            "Log ratio of the participation ratio of matched sets to that of the {set} neurons, across the two halves."
        ),
        plus="the {set} neurons move in fewer dimensions than ordinary neurons",
        minus="the {set} neurons move in more dimensions than ordinary neurons",
        none="the {set} neurons move in as many dimensions as ordinary neurons",
    ),
    source="Liu, Wang, Li 2025; docs/methods.md#coordination-dimension",
)
