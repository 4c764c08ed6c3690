"""Liu, Wang, Li 2025 (arXiv 2505.12822, 2509.21163): plateau weights have heavy-tailed spectra."""

from __future__ import annotations

from ...hypothesis import Hypothesis
from ...inference.verdicts import Presence
from ...statistics.weights import WeightStatistic
from ...words import Words
from .statistics.spectrum import described_spectrum, lighter_tail

weights = Hypothesis(
    id="tails.weights",
    claim="Output weights of the {set} neurons have heavier-tailed spectra than those of ordinary neurons.",
    criterion=Presence(margin=0.2, unit="Hill alpha", means="a tail exponent lower by .2"),
    statistic=WeightStatistic(
        "hill_alpha",
        centred=True,
        weights_only=True,
        of_sets=lighter_tail,
        terms="none",
        descriptives=described_spectrum,
    ),
    nulls=("reselected_sets", "matched_sets"),
    words=Words(
        title="Heavier-tailed weights",
        asks="Do the weights of the {set} neurons have a heavier-tailed spectrum than those of matched sets?",
        measured="Hill exponent of the spectrum of matched sets less that of the {set} neurons.",
        plus="the weights of the {set} neurons have heavier tails than those of ordinary neurons",
        minus="the weights of the {set} neurons have lighter tails than those of ordinary neurons",
        none="the weights of the {set} neurons have no heavier tails than those of ordinary neurons",
    ),
    source="Liu, Wang, Li 2025; docs/methods.md#tails-weights",
)
