"""Flatness against loops and curves whose answer is known, and its errors against deleting one document at a time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from neuronull.estimators import crossed, flatness, regimes
from neuronull.estimators.class_means import ClassSums, leave_one_out

N_HEAD = 8
RANK = torch.arange(1, 6 * N_HEAD + 1, dtype=torch.float64)
LINE = 2 - 1.3 * RANK.log()


def slow_flatness(curves: np.ndarray, n_head: int) -> float:
    """Of one class, [2 (half), m] log influence in rank order."""
    heads, middles = [], []
    for curve in curves:
        falls = sorted(
            (curve[r - 1] - curve[s - 1]) / math.log(s / r)
            for r, s in itertools.combinations(range(1, n_head + 1), 2)
            if s >= 2 * r
        )
        cut = len(falls) // 4
        heads.append(np.mean(falls[cut : len(falls) - cut]))
        ranks = np.log(np.arange(n_head + 1, len(curve) + 1))
        middles.append(-np.polyfit(ranks, curve[n_head:], 1)[0])
    return float(1 - np.mean(heads) / np.mean(middles))


def flat(curve: torch.Tensor) -> float:
    return flatness.flatness_of(curve.expand(1, 2, 2, -1), N_HEAD)[0, 0].item()


def test_it_is_the_naive_loop():
    logs = torch.from_numpy(np.random.default_rng(0).normal(-3, 1, (3, 2, 2, 6 * N_HEAD)))
    found = flatness.flatness_of(logs, N_HEAD)
    for one, values in zip(logs.numpy(), found, strict=True):
        assert values.tolist() == pytest.approx([slow_flatness(one[:, side], N_HEAD) for side in (0, 1)])


def test_a_law_is_not_flat_and_a_level_head_is_wherever_it_lies():
    assert flat(LINE) == pytest.approx(0, abs=1e-12)
    for raised in (0.0, 0.5, 1.6):
        level = torch.where(RANK <= N_HEAD, LINE[N_HEAD - 1] + raised, LINE)
        assert flat(level) == pytest.approx(1, abs=1e-12)
    steep = torch.where(RANK <= N_HEAD, LINE[N_HEAD] - 2.6 * (RANK / N_HEAD).log(), LINE)
    assert flat(steep) == pytest.approx(-1, abs=1e-12)


def test_one_giant_neuron_does_not_hide_a_plateau():
    n_head = 26
    rank = torch.arange(1, 6 * n_head + 1, dtype=torch.float64)
    curve = torch.where(rank <= n_head, -1.3 * math.log(n_head), -1.3 * rank.log())
    curve[0] += 3
    assert flatness.flatness_of(curve.expand(1, 2, 2, -1), n_head)[0, 0].item() > 0.9


@pytest.fixture
def sums() -> ClassSums:
    rng = np.random.default_rng(3)
    d, n = 40, 120
    level = rng.normal(-3, 1, n) + 0.1 * rng.standard_normal((2, n))
    noise = 0.3 * rng.standard_normal((d, 2, n)) + 0.3 * rng.standard_normal((d, 2, 1))
    weight = rng.integers(5, 15, d).astype(np.float64)
    x = weight[:, None, None] * np.exp(level + noise)
    return ClassSums(torch.from_numpy(x[..., None]), torch.from_numpy(weight), torch.arange(d) % 2)


CONTRAST = (regimes.choose_order(8), flatness.contrast(8))
BAND = torch.arange(20, 60)


def slow_errors(sums: ClassSums) -> tuple[float, float, float, float]:
    """Value, and variance over documents, neurons and cells, by finite differences in every document and neuron."""
    choose, score = CONTRAST
    x, w, half = sums.x[..., 0].numpy(), sums.weight.numpy(), sums.half.numpy()
    total = np.stack([x[half == h].sum(0) / w[half == h].sum() for h in (0, 1)])

    def value(logs: np.ndarray) -> float:
        return float(score(torch.from_numpy(np.exp(logs))[None, ..., None], order)[0, 0])

    order = choose(torch.from_numpy(total)[None, ..., None])
    logs, step = np.log(total), 1e-6
    gradient = np.zeros_like(logs)
    for place in np.ndindex(*logs.shape):
        up, down = logs.copy(), logs.copy()
        up[place] += step
        down[place] -= step
        gradient[place] = (value(up) - value(down)) / (2 * step)
    documents = cells = 0.0
    for h in (0, 1):
        n = int((half == h).sum())
        for d in np.flatnonzero(half == h):
            share = (x[d] / total[h] - w[d]) / w[half == h].sum()
            documents += n / (n - 1) * float((gradient[h] * share).sum()) ** 2
            share = share - share.mean(-1, keepdims=True)
            cells += n / (n - 1) * float(((gradient[h] * share).sum(0) ** 2).sum())
    lean = (logs[:, 0] - logs[:, 1])[:, BAND.numpy()]
    level = logs.mean((0, 1))[BAND.numpy()]
    lean = np.stack([y - np.polyval(np.polyfit(level, y, 1), level) for y in lean])
    spread, neurons = lean @ lean.T / (len(level) - 2), 0.0
    for i in range(x.shape[-1]):
        slope = (gradient[:, 0, i] - gradient[:, 1, i]) / 2
        neurons += float(slope @ spread @ slope)
    return value(logs), documents, neurons, cells


def test_errors_of_documents_neurons_and_cells_are_those_of_finite_differences(sums):
    expected = slow_errors(sums)
    bound = crossed.Crossed(sums, *CONTRAST, BAND)
    influence = torch.stack([sums.x[sums.rows(h), :, :, 0].sum(0) / sums.weight[sums.rows(h)].sum() for h in (0, 1)])
    value, variances = bound.under_neuron_swaps(influence, torch.zeros(1, 120, dtype=torch.bool), None)
    assert [value.item(), *(v.item() for v in variances)] == pytest.approx(expected, rel=1e-5)
    value, (documents, neurons, cells) = bound.under_document_swaps(torch.zeros(1, 40, dtype=torch.bool))
    assert [value.item(), documents.item(), neurons.item()] == pytest.approx(expected[:3], rel=1e-5)
    assert cells.item() == pytest.approx(expected[3], rel=0.3)  # what documents share is taken out by totals here


def test_swaps_of_documents_are_those_of_sums_that_were_swapped(sums):
    swaps = torch.from_numpy(np.random.default_rng(1).random((3, 40)) < 0.5)
    value, variances = crossed.Crossed(sums, *CONTRAST, BAND).under_document_swaps(swaps)
    for r, one in enumerate(swaps):
        turned = ClassSums(torch.where(one[:, None, None, None], sums.x.flip(1), sums.x), sums.weight, sums.half)
        again, expected = crossed.Crossed(turned, *CONTRAST, BAND).under_document_swaps(
            torch.zeros(1, 40, dtype=torch.bool)
        )
        assert value[r].item() == pytest.approx(again.item())
        assert [v[r].item() for v in variances] == pytest.approx([v.item() for v in expected])


def test_the_error_of_documents_is_the_jackknifes(sums):
    _, (documents, _, _) = crossed.Crossed(sums, *CONTRAST, BAND).under_document_swaps(
        torch.zeros(1, 40, dtype=torch.bool)
    )
    without = leave_one_out(sums, *CONTRAST)[:, 0]
    jackknife = sum(
        (len(rows) - 1) / len(rows) * ((without[rows] - without[rows].mean()) ** 2).sum().item()
        for rows in (sums.rows(0), sums.rows(1))
    )
    assert math.sqrt(documents.item()) == pytest.approx(math.sqrt(jackknife), rel=0.1)


def test_noise_is_what_documents_leave_and_not_what_they_share(sums):
    found = crossed.noise(sums)
    assert found.shape == (2, 120)
    assert found.mean().item() == pytest.approx(0.3 / math.sqrt(20), rel=0.15)
