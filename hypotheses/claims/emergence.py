"""Liu, Wang, Li 2025 (arXiv 2505.12822): specialisation emerges over training."""

from __future__ import annotations

from ..hypothesis import Hypothesis
from ..inference.verdicts import Presence
from ..statistics.trend import Trend

trend = Hypothesis(
    id="emergence.trend",
    claim="Specialisation for rare tokens grows over this training run.",
    criterion=Presence(
        margin=0.02,
        unit="log ratio per log step",
        means="the two plateaus come to lean 2 % more to rare tokens whenever the training is e (2.7) times as long",
    ),
    statistic=Trend("log_step_slope"),
    nulls=("document_swaps", "neuron_swaps"),
    source="Liu, Wang, Li 2025 (arXiv 2505.12822); METHODS 3. One training run: other seeds may differ",
    default=False,
)
