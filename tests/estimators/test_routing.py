"""Head statistics against loops and cases whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import slow_oracles as slow
import torch

from neuronull.estimators import routing

STRATA = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2])
PLATEAU = torch.tensor([0, 3, 4])


@pytest.fixture
def effect() -> torch.Tensor:
    """[H = 5, D = 6, 2, M = 8]."""
    return torch.from_numpy(np.exp(np.random.default_rng(0).normal(size=(5, 6, 2, 8))))


def test_set_and_strata_are_the_naive_loop(effect):
    found = routing.set_and_strata(effect, STRATA, PLATEAU)
    for h in range(5):
        for d in range(6):
            for c in (0, 1):
                row = effect[h, d, c].numpy()
                matched = np.mean([np.mean([row[j] for j in range(8) if STRATA[j] == STRATA[i]]) for i in PLATEAU])
                assert found[h, d, c].tolist() == pytest.approx([row[PLATEAU].mean(), matched])


def test_minor_heads_form_one_group():
    total = torch.tensor([50.0, 0.2, 30.0, 0.3, 19.5])  # a tenth of the mean is 2
    assert routing.pool_minor(total).tolist() == [0, 3, 1, 3, 2]
    assert routing.pool_minor(torch.tensor([3.0, 4.0])).tolist() == [0, 1]


def test_of_many_heads_only_the_weak_are_pooled():
    """Each of 1,200 like heads makes less than a thousandth of the sum, and is judged for itself all the same."""
    total = torch.linspace(0.5, 1.5, 1200)
    assert routing.pool_minor(total).tolist() == list(range(1200))


def test_preference_is_the_log_odds_of_means_halves_averaged():
    means = torch.from_numpy(np.random.default_rng(1).uniform(0.5, 2, (3, 2, 2, 2, 4)))
    found = routing.preference(means)
    for r in range(3):
        for k in range(4):
            logs = [math.log(m[0, 0, k] * m[1, 1, k] / (m[1, 0, k] * m[0, 1, k])) for m in means[r].numpy()]
            assert found[r, k].item() == pytest.approx(np.mean(logs))


def test_preference_ignores_class_scale_and_plateau_scale():
    means = torch.from_numpy(np.random.default_rng(2).uniform(0.5, 2, (1, 2, 2, 2, 4)))
    scaled = means * torch.tensor([3.0, 0.5])[:, None, None] * torch.tensor([7.0, 1.0])[:, None]
    torch.testing.assert_close(routing.preference(scaled), routing.preference(means))


def test_profile_spread_is_the_variance_of_log_ratios_and_free_of_noise():
    rng = np.random.default_rng(1)
    heads, spread = 40, 0.3
    ratio = spread * rng.standard_normal(heads)
    alike, apart = [], []
    for _ in range(400):
        noise = 0.3 * rng.standard_normal((2, 2, heads))
        for own, found in ((np.zeros(heads), alike), (ratio, apart)):
            logs = noise + np.stack([own, np.zeros(heads)])
            found.append(routing.profile_spread(torch.from_numpy(np.exp(logs))[None, ..., None]).item())
    assert np.mean(alike) == pytest.approx(0, abs=0.005)
    assert np.mean(apart) == pytest.approx(ratio.var(ddof=1), rel=0.05)


def test_weights_are_those_of_the_set_and_of_the_rest_of_its_strata():
    strata = torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2])
    on_set, rest = routing.weights_of(torch.tensor([0, 3, 4]), strata)
    assert on_set.tolist() == pytest.approx([1 / 3, 0, 0, 1 / 3, 1 / 3, 0, 0, 0, 0])
    assert rest.tolist() == pytest.approx([0, 1 / 6, 1 / 6, 0, 0, 1 / 3, 1 / 3, 0, 0])


def test_gini_is_half_the_relative_mean_difference():
    values = np.random.default_rng(5).gamma(1, 1, (4, 9))
    assert routing.gini(torch.from_numpy(values)).tolist() == pytest.approx([slow.gini(v) for v in values])
    assert routing.gini(torch.tensor([2.0, 2.0, 2.0])).item() == pytest.approx(0)
    assert routing.gini(torch.tensor([0.0, 0.0, 0.0, 5.0])).item() == pytest.approx(3 / 4)


def test_concentration_is_the_gini_over_heads(effect):
    sets = torch.tensor([[0, 1, 2], [3, 4, 7]])
    on_rare = effect.mean(1)[:, 0]
    found = routing.concentration(on_rare, sets)
    assert found.tolist() == pytest.approx([slow.gini(on_rare[:, s].mean(1).numpy()) for s in sets])
