"""Correlations and what sets have in common, against loops, numpy and refits, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import slow_oracles as slow
import torch

from neuronull.estimators import coactivation as co


@pytest.fixture
def activation() -> torch.Tensor:
    """[60, 14]: a common mode, unequal scales."""
    rng = np.random.default_rng(0)
    return torch.from_numpy((rng.normal(size=(60, 14)) + 0.8 * rng.normal(size=(60, 1))) * rng.uniform(0.1, 5, 14) + 3)


@pytest.fixture
def strata() -> torch.Tensor:
    return torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1])


def test_correlation_is_the_naive_loop(activation):
    activation[:, 3] = 5.0
    found = co.correlation(activation)
    np.testing.assert_allclose(found.numpy(), slow.correlation(activation.numpy()), atol=1e-12)
    assert (found[3] == 0).all()


def test_global_mode_is_the_first_eigenvector(activation):
    r = np.corrcoef(activation.numpy().T)
    first = np.linalg.eigh(r)[1][:, -1]
    mode = co.global_mode(activation).numpy()
    assert abs(mode @ first) == pytest.approx(1, abs=1e-8)


def test_without_the_mode_nothing_is_left_along_it(activation):
    mode = co.global_mode(activation)
    left = co.without_mode(activation, mode)
    assert (left @ mode).abs().max() < 1e-12
    z = co.standardise(activation)
    torch.testing.assert_close(left + torch.outer(z @ mode, mode), z)


def test_submatrices_pick_rows_and_columns():
    m = torch.arange(25.0).reshape(5, 5)
    assert co.submatrices(m, torch.tensor([[4, 1], [0, 2]])).tolist() == [[[24, 21], [9, 6]], [[0, 2], [10, 12]]]


def test_mean_off_diagonal_leaves_the_diagonal_out():
    m = torch.full((2, 4, 4), 0.25) + 9 * torch.eye(4)
    assert co.mean_off_diagonal(m).tolist() == pytest.approx([0.25, 0.25])


@pytest.mark.parametrize(("r", "expected"), [(0.0, 6.0), (1.0, 1.0), (0.5, 36 / (6 + 30 * 0.25))])
def test_participation_ratio_in_closed_form(r, expected):
    m = torch.full((1, 6, 6), r, dtype=torch.float64)
    m[:, range(6), range(6)] = 1
    assert co.participation_ratio(m, m).item() == pytest.approx(expected)


def test_participation_ratio_of_one_half_is_that_of_the_eigenvalues(activation):
    r = co.correlation(activation)[None]
    values = torch.linalg.eigvalsh(r[0])
    assert co.participation_ratio(r, r).item() == pytest.approx((values.sum() ** 2 / values.square().sum()).item())


def test_fisher_z_is_finite_at_the_ends():
    z = co.fisher_z(torch.tensor([-1.0, 0.5, 1.0], dtype=torch.float64))
    assert torch.isfinite(z).all()
    assert z[1].item() == pytest.approx(np.arctanh(0.5))


def test_cohesion_is_the_naive_loop(activation, strata):
    z = co.fisher_z(co.correlation(activation))
    sets = torch.tensor([[0, 2, 7, 9], [6, 7, 8, 13], [1, 2, 3, 12]])
    found = co.cohesion(z, co.stratum_sums(z, strata), strata, sets)
    expected = [slow.cohesion(z.numpy(), strata.numpy(), s) for s in sets.tolist()]
    assert found.tolist() == pytest.approx(expected)


def test_cohesion_of_a_planted_block_is_its_excess(strata):
    z = torch.full((14, 14), 0.1, dtype=torch.float64)
    z[:4, :4] = 0.4
    assert co.cohesion(z, co.stratum_sums(z, strata), strata, torch.tensor([[0, 1, 2, 3]])).item() == pytest.approx(0.3)


def test_moments_add_up(activation):
    document, sets = torch.tensor([0, 1, 2] * 20), torch.tensor([[0, 3, 5], [6, 1, 0]])
    count, first, second = co.document_moments(activation, document, sets)
    assert count.tolist() == [20, 20, 20]
    for r, members in enumerate(sets):
        x = activation[:, members]
        torch.testing.assert_close(first[r].sum(0), x.sum(0))
        torch.testing.assert_close(second[r, 1], x[document == 1].T @ x[document == 1])


def test_correlations_without_a_document_are_refits(activation):
    document, sets = torch.tensor([4] * 10 + [7] * 30 + [9] * 20), torch.tensor([[0, 3, 5], [6, 1, 0]])
    found = co.correlations_without(activation, document, sets)
    for row, d in enumerate((4, 7, 9)):
        for r, members in enumerate(sets):
            torch.testing.assert_close(found[r, row], co.correlation(activation[document != d][:, members]))


def test_cohesion_without_a_document_is_a_refit(activation, strata):
    document = torch.tensor([0] * 25 + [3] * 15 + [5] * 20)
    sets = torch.tensor([[0, 2, 7, 9], [1, 3, 9, 8]])
    found = co.cohesion_without(activation, document, strata, sets)
    for row, d in enumerate((0, 3, 5)):
        z = co.fisher_z(co.correlation(activation[document != d])).numpy()
        for r, members in enumerate(sets.tolist()):
            assert found[r, row].item() == pytest.approx(slow.cohesion(z, strata.numpy(), members))
