"""Balance of the plateau against its null sets."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from neuronull.data.planted import Settings, planted_measurements
from neuronull.estimators.strata import standardised_covariates
from neuronull.hypotheses.balance import DRAWS, against_reselected, reselected
from neuronull.hypotheses.prepared import COVARIATES, PreparedData


def study_of(seed: int) -> PreparedData:
    return PreparedData(planted_measurements(Settings(neurons=480, covariate_link=0.8), seed, ["influence"]))


def test_differences_are_the_naive_loop():
    prepared = study_of(0)
    x, drawn = standardised_covariates(prepared.covariates), reselected(prepared, DRAWS, 0).tolist()
    found = against_reselected(prepared, 0)
    for k, name in enumerate(COVARIATES):
        of_plateau = np.mean([x[i, k] for half in prepared.plateau for i in half.tolist()])
        of_draws = np.mean([x[i, k] for sets in drawn for half in sets for i in half])
        assert found.smd[name] == pytest.approx(of_plateau - of_draws)


def test_chance_alone_is_called_an_imbalance_as_often_as_it_says():
    low = sum(against_reselected(study_of(seed), 0).p < 0.05 for seed in range(60))
    assert low <= scipy.stats.binom.ppf(0.999, 60, 0.05)


def test_a_covariate_that_marks_the_plateau_alone_is_seen():
    prepared = study_of(1)
    marked = prepared.covariates.copy()
    column = COVARIATES.index("weak_direction_share")
    marked[prepared.plateau[0].numpy()[:4], column] = marked[:, column].max() * 1.5
    prepared.__dict__["covariates"] = marked
    found = against_reselected(prepared, 0)
    assert abs(found.smd["weak_direction_share"]) == max(map(abs, found.smd.values()))
