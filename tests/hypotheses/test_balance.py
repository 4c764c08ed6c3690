"""Balance of the sets under test against their null sets."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from neuronull.data.measurements import NEURON_COVARIATES
from neuronull.data.planted import Settings, planted_measurements
from neuronull.estimators.strata import standardised_covariates
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.balance import DRAWS, against, null_sets
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.statistics.sets import offered_neurons

RESELECTED = catalogue.nulls.get("reselected_sets")


def data_of(seed: int) -> PreparedData:
    return PreparedData(planted_measurements(Settings(neurons=480, covariate_link=0.8), seed, ["influence"]))


def test_differences_are_the_naive_loop():
    prepared = data_of(0)
    x, drawn = standardised_covariates(prepared.covariates), null_sets(prepared, RESELECTED, DRAWS, 0).tolist()
    found = against(prepared, RESELECTED, 0)
    for k, name in enumerate(NEURON_COVARIATES):
        of_set = np.mean([x[i, k] for half in prepared.set for i in half.tolist()])
        of_draws = np.mean([x[i, k] for sets in drawn for half in sets for i in half])
        assert found.smd[name] == pytest.approx(of_set - of_draws)


@pytest.mark.parametrize("name", ["matched_sets", "random_sets"])
def test_permutations_are_told_as_the_images_of_the_sets(name: str):
    prepared, null = data_of(0), catalogue.nulls.get(name)
    drawn = null_sets(prepared, null, 3, 0)
    whole = null.draw(null.prepare(None, offered_neurons(prepared)), range(1, 4), 0)
    for draw, found in zip(whole.tolist(), drawn.tolist(), strict=True):
        assert found == [[draw[i] for i in half.tolist()] for half in prepared.set]


@pytest.mark.slow
def test_chance_alone_is_called_an_imbalance_as_often_as_it_says():
    low = sum(against(data_of(seed), RESELECTED, 0).p < 0.05 for seed in range(60))
    assert low <= scipy.stats.binom.ppf(0.999, 60, 0.05)


def test_a_covariate_that_marks_the_set_alone_is_seen():
    prepared = data_of(1)
    marked = prepared.covariates.copy()
    column = NEURON_COVARIATES.index("weak_direction_share")
    marked[prepared.set[0].numpy()[:4], column] = marked[:, column].max() * 1.5
    prepared.__dict__["covariates"] = marked
    found = against(prepared, RESELECTED, 0)
    assert abs(found.smd["weak_direction_share"]) == max(map(abs, found.smd.values()))
