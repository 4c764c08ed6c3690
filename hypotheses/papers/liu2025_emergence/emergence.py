"""Liu, Wang, Li 2025 (arXiv 2505.12822): specialisation emerges over training."""

from __future__ import annotations

from ...hypothesis import Hypothesis
from ...inference.verdicts import Presence
from ...words import Words
from .statistics.trend import Trend

trend = Hypothesis(
    id="emergence.trend",
    claim="Specialisation for {a} grows over this training run.",
    criterion=Presence(
        margin=0.02,
        unit="log ratio per log step",
        means="the two sets come to lean 2 % more to their conditions whenever the training is e (2.7) times as long",
    ),
    statistic=Trend("log_step_slope"),
    nulls=("document_swaps", "neuron_swaps"),
    words=Words(
        title="Growth over training",
        asks="Does specialisation grow over training?",
        measured=(
            "At each checkpoint of this one training run: the mean log ratio of influence on {a} to {b} over the {set} "
            "neurons, plus the mirrored ratio over those chosen on {b}, chosen on one half of the documents and "
            "measured on the other, at positions of like loss. The estimate is the slope of that over the logarithm of "
            "the training step. Step 0, the untrained model, has no logarithm; it is shown beside it. Another training "
            "run, from another seed, may differ."
        ),
        plus="specialisation grows over this training run",
        minus="specialisation shrinks over this training run",
        none="specialisation does not grow over this training run",
    ),
    source="Liu, Wang, Li 2025 (arXiv 2505.12822); docs/methods.md#emergence-trend. One run: others may differ",
    default=False,
)
