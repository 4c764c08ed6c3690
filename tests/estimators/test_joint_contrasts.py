"""Contrasts of joint ablation against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from neuronull.estimators import joint_contrasts as contrasts


@pytest.fixture
def means() -> torch.Tensor:
    rng = np.random.default_rng(0)
    made = rng.normal(size=(3, 2, 2, 2, 1))
    made[..., 1, :] = rng.uniform(0.5, 2, size=(3, 2, 2, 1))
    return torch.from_numpy(made)


def test_net_contrast_against_a_loop(means):
    found = contrasts.net_contrast(means)
    for r in range(3):
        sides = [
            float(means[r, h, 0, 0, 0] / means[r, h, 0, 1, 0] - means[r, h, 1, 0, 0] / means[r, h, 1, 1, 0])
            for h in (0, 1)
        ]
        assert float(found[r, 0]) == pytest.approx(sum(sides) / 2)


def test_net_contrast_turns_with_the_classes_and_ignores_their_scale(means):
    found = contrasts.net_contrast(means)
    torch.testing.assert_close(contrasts.net_contrast(means.flip(2)), -found)
    louder = means.clone()
    louder[:, :, 0] *= 3  # everything on rare
    torch.testing.assert_close(contrasts.net_contrast(louder), found)


def test_log_ratio_counts_what_is_below_the_floor_as_the_floor():
    increase = torch.tensor([[0.2, 0.1], [0.2, -0.3], [0.001, 0.1]], dtype=torch.float64)
    found = contrasts.log_ratio(increase, 0.01).tolist()
    assert found == pytest.approx([math.log(2), math.log(20), math.log(0.1)])
    assert contrasts.floored(increase, 0.01).tolist() == [False, True, True]
    assert contrasts.least_increase(increase) == pytest.approx(0.05 * increase.numpy().mean())


def test_own_influence_favours_no_class():
    influence = torch.rand(2, 2, 7, dtype=torch.float64)
    own = contrasts.own_influence(influence)
    torch.testing.assert_close(own, contrasts.own_influence(influence.flip(1)))
    one = [float(influence[0, c, 3] / influence[0, c].mean()) for c in (0, 1)]
    assert float(own[0, 3]) == pytest.approx(sum(one) / 2)
