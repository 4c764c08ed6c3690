"""Liu, Wang, Li 2025 (arXiv 2505.12822, 2509.21163): plateau weights have heavy-tailed spectra."""

from __future__ import annotations

from ..hypothesis import Hypothesis
from ..inference.verdicts import Presence
from ..statistics.weight_sets import WeightStatistic, lighter_tail

weights = Hypothesis(
    id="tails.weights",
    claim="Plateau output weights have heavier-tailed spectra than those of ordinary neurons.",
    criterion=Presence(margin=0.2, unit="Hill alpha", means="a tail exponent lower by .2"),
    statistic=WeightStatistic("hill_alpha", centred=True, weights_only=True, of_sets=lighter_tail),
    nulls=("reselected_sets", "matched_sets"),
    source="Liu, Wang, Li 2025; METHODS 3",
)
