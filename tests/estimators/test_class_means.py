"""Class means under swaps: against loops, numerical derivatives and refits."""

from __future__ import annotations

import numpy as np
import pytest
import slow_oracles as slow
import torch

from neuronull.estimators import flatness, regimes
from neuronull.estimators.class_means import (
    ClassSums,
    influence_function,
    leave_one_out,
    means_under,
    repeat_choice,
    second_order,
    studentised,
)
from neuronull.hypotheses.inference.intervals import jackknife_se

N_HEAD = 2


def level(means: torch.Tensor, choice: None) -> torch.Tensor:
    """Unlike the others not free of scale, so that the weight of a document itself counts."""
    return means[..., 0].square().mean((1, 2, 3))[:, None]


STATISTICS = {
    "level": (regimes.nothing_chosen, level),
    "selectivity": (regimes.choose_leaning_sets(N_HEAD), regimes.selectivity),
    "contrast": (regimes.choose_order(N_HEAD), flatness.contrast(N_HEAD)),
    "shape": (regimes.choose_order(N_HEAD), regimes.shape(N_HEAD)),
    "recruitment": (regimes.nothing_chosen, regimes.recruitment),
}


def sums_of(documents: int, features: int = 15, outputs: int = 1, seed: int = 0) -> ClassSums:
    rng = np.random.default_rng(seed)
    x = np.exp(rng.normal(0, 0.5, (documents, 2, features, outputs)) + rng.normal(0, 1, (features, 1)))
    weight = rng.integers(1, 6, documents).astype(float)
    half = rng.permutation(np.arange(documents) % 2)
    return ClassSums(
        torch.from_numpy(x * weight[:, None, None, None]), torch.from_numpy(weight), torch.from_numpy(half)
    )


def swaps_of(documents: int, replicates: int = 4, seed: int = 1) -> torch.Tensor:
    swaps = torch.from_numpy(np.random.default_rng(seed).random((replicates, documents)) < 0.5)
    swaps[0] = False
    return swaps


def test_means_are_the_naive_loop():
    sums, swaps = sums_of(9, outputs=2), swaps_of(9)
    means = means_under(sums, swaps)
    for r in range(len(swaps)):
        expected = slow.class_means(sums.x.numpy(), sums.weight.numpy(), sums.half.numpy(), swaps[r].numpy())
        np.testing.assert_allclose(means[r].numpy(), expected, rtol=1e-12)


def test_swapping_every_document_exchanges_the_classes():
    sums = sums_of(8)
    both = means_under(sums, torch.tensor([[False] * 8, [True] * 8]))
    torch.testing.assert_close(both[1], both[0].flip(1))


def means_with_weights(sums: ClassSums, swap: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
    """Means when document d counts `given[d]` times."""
    x = torch.where(swap[:, None, None, None], sums.x.flip(1), sums.x)
    halves = []
    for side in (0, 1):
        rows = sums.half == side
        total = (given * sums.weight)[rows].sum()
        halves.append((given[rows, None, None, None] * x[rows]).sum(0) / total)
    return torch.stack(halves)[None]


@pytest.mark.parametrize("name", STATISTICS)
def test_influence_function_is_the_numerical_derivative(name):
    choose, score = STATISTICS[name]
    sums, swaps = sums_of(10), swaps_of(10)
    value, derivative = influence_function(sums, swaps, choose, score)
    step = 1e-5
    for r in range(len(swaps)):
        choice = choose(means_under(sums, swaps[r : r + 1]))
        torch.testing.assert_close(value[r], score(means_under(sums, swaps[r : r + 1]), choice)[0])
        for d in range(10):
            up, down = torch.ones(10, dtype=torch.float64), torch.ones(10, dtype=torch.float64)
            up[d] += step
            down[d] -= step
            slope = (
                score(means_with_weights(sums, swaps[r], up), choice)
                - score(means_with_weights(sums, swaps[r], down), choice)
            ) / (2 * step)
            assert derivative[r, d, 0].item() == pytest.approx(slope.item(), rel=1e-5, abs=1e-8)


def test_influence_function_with_several_outputs():
    """Heads: features [plateau, strata], one output a head."""
    sums, swaps = sums_of(8, features=2, outputs=3), swaps_of(8)

    def score(means: torch.Tensor, choice: None) -> torch.Tensor:
        return (means[:, :, 0, 0] / means[:, :, 1, 1]).log().mean(1)

    value, derivative = influence_function(sums, swaps, regimes.nothing_chosen, score)
    for k in range(3):
        alone = ClassSums(sums.x[..., k : k + 1], sums.weight, sums.half)
        v, g = influence_function(alone, swaps, regimes.nothing_chosen, score)
        torch.testing.assert_close(value[:, k], v[:, 0])
        torch.testing.assert_close(derivative[..., k], g[..., 0])


@pytest.mark.parametrize("name", STATISTICS)
def test_derivatives_sum_to_0_in_each_half(name):
    sums = sums_of(12)
    _, derivative = influence_function(sums, swaps_of(12), *STATISTICS[name])
    for side in (0, 1):
        assert derivative[:, sums.half == side].sum(1).abs().max() < 1e-10


@pytest.mark.parametrize("name", STATISTICS)
def test_leave_one_out_is_the_refit_with_choices_fixed(name):
    choose, score = STATISTICS[name]
    sums = sums_of(9)
    choice = choose(means_under(sums, torch.zeros(1, 9, dtype=torch.bool)))
    found = leave_one_out(sums, choose, score, tile=4)
    for d in range(9):
        kept = torch.arange(9) != d
        rest = ClassSums(sums.x[kept], sums.weight[kept], sums.half[kept])
        again = score(means_under(rest, torch.zeros(1, 8, dtype=torch.bool)), choice)
        torch.testing.assert_close(found[d], again[0])


@pytest.mark.parametrize("name", STATISTICS)
def test_second_order_is_the_refit_without_both(name):
    choose, score = STATISTICS[name]
    sums = sums_of(9)

    def without(*gone: int) -> torch.Tensor:
        kept = torch.tensor([d not in gone for d in range(9)])
        rest = ClassSums(sums.x[kept], sums.weight[kept], sums.half[kept])
        return score(means_under(rest, torch.zeros(1, int(kept.sum()), dtype=torch.bool)), choice)[0]

    choice = choose(means_under(sums, torch.zeros(1, 9, dtype=torch.bool)))
    total = torch.zeros(1, dtype=torch.float64)
    for i in sums.rows(0).tolist():
        for j in sums.rows(1).tolist():
            total += (without() - without(i) - without(j) + without(i, j)) ** 2
    a, b = (len(sums.rows(side)) for side in (0, 1))
    torch.testing.assert_close(second_order(sums, choose, score), total * (a - 1) / a * (b - 1) / b)


def product(means: torch.Tensor, choice: None) -> torch.Tensor:
    """Of the two halves, the mean over features of what rare has more than common."""
    difference = means[:, :, 0] - means[:, :, 1]
    return (difference[:, 0] * difference[:, 1]).mean(1)


def test_second_order_is_the_variance_of_a_product_of_two_halves_that_differ_from_0_by_chance():
    """Its mean over data sets is the estimate's variance, of which the jackknife has twice as much."""
    rng, found = np.random.default_rng(0), []
    half = torch.arange(40) % 2
    for _ in range(400):
        x = torch.from_numpy(rng.normal(size=(40, 2, 5, 1)))
        sums = ClassSums(x, torch.ones(40, dtype=torch.float64), half)
        estimate = product(means_under(sums, torch.zeros(1, 40, dtype=torch.bool)), None)
        left = leave_one_out(sums, regimes.nothing_chosen, product)[:, 0].numpy()
        in_pairs = second_order(sums, regimes.nothing_chosen, product)
        found.append([float(estimate), jackknife_se(left, half.numpy()) ** 2, float(in_pairs)])
    estimate, jackknife, in_pairs = np.array(found).T
    assert in_pairs.mean() == pytest.approx(estimate.var(), rel=0.15)
    assert jackknife.mean() == pytest.approx(2 * in_pairs.mean(), rel=0.1)


@pytest.mark.parametrize("name", STATISTICS)
def test_pseudo_values_agree_with_delete_one_to_first_order(name):
    """D theta - (D - 1) theta_(-d) and theta + D derivative_d differ by O(1 / D) of their own size."""
    gaps = []
    for documents in (40, 320):
        sums = sums_of(documents, seed=3)
        value, derivative = influence_function(sums, torch.zeros(1, documents, dtype=torch.bool), *STATISTICS[name])
        without = leave_one_out(sums, *STATISTICS[name])
        deleted = documents * value[0] - (documents - 1) * without
        first_order = value[0] + documents * derivative[0]
        gaps.append(float((deleted - first_order).norm() / (first_order - value[0]).norm()))
    assert gaps[0] < 0.25
    assert gaps[1] < 0.35 * gaps[0]


def test_studentised_is_the_sum_over_the_root_of_squares():
    sums, swaps = sums_of(11), swaps_of(11)
    value, derivative = influence_function(sums, swaps, *STATISTICS["selectivity"])
    y = value[:, None] + 11 * derivative
    torch.testing.assert_close(studentised(value, derivative), y.sum(1) / (y**2).sum(1).sqrt())
    assert studentised(torch.zeros(1, 1), torch.zeros(1, 3, 1)).item() == 0


def test_choices_are_repeated_whole():
    choice = (torch.arange(6).reshape(1, 2, 3), None)
    first, second = repeat_choice(choice, 4)
    assert first.shape == (4, 2, 3)
    assert second is None


@pytest.mark.parametrize(
    ("x", "weight", "half", "says"),
    [
        ((3, 2, 4), 3, [0, 1, 1], "x must be"),
        ((3, 3, 4, 1), 3, [0, 1, 1], "x must be"),
        ((3, 2, 4, 1), 2, [0, 1, 1], "x must be"),
        ((3, 2, 4, 1), 3, [1, 1, 1], "both halves"),
    ],
)
def test_sums_of_another_form_are_refused(x, weight, half, says):
    with pytest.raises(ValueError, match=says):
        ClassSums(torch.ones(x), torch.ones(weight), torch.tensor(half))
