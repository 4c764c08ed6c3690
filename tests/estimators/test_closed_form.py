"""The closed form alone: hard read-outs, the proven bound, both implementations, tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuronull.estimators import closed_form, exact, second_order, vocabulary
from neuronull.estimators.closed_form import ClosedForm
from neuronull.estimators.readout import Readout

CONTRACT = (1e-4, 1e-3)


def problem(kind: str, seed: int = 0, n: int = 40, neurons: int = 30, d: int = 12, vocabulary: int = 300):
    """A read-out with heavy tails, residual streams, changes over nine decades, and targets."""
    rng = np.random.default_rng(seed)
    g = rng.standard_t(2, size=(vocabulary, d)) if kind != "light" else rng.standard_normal((vocabulary, d))
    w = rng.standard_normal((neurons, d)) * np.exp(rng.normal(size=(neurons, 1)))
    x = rng.standard_normal((n, d)) * 3
    change = rng.standard_normal((n, neurons)) * 10.0 ** rng.uniform(-6, 1 if kind != "huge" else 3, (n, neurons))
    offset = rng.standard_normal(vocabulary) if kind == "offset" else None

    def tensor(a: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(a).float()

    centred = kind != "rms"
    w = w - w.mean(1, keepdims=True) if centred else w
    readout = Readout(centred, 1e-5, tensor(g - g.mean(0)), None if offset is None else tensor(offset), tensor(w))
    return readout, tensor(x), tensor(change), torch.from_numpy(rng.integers(0, vocabulary, n))


def reference(readout: Readout, x: torch.Tensor, change: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """D by its definition, in float64: residual update, norm, unembedding, log-softmax."""
    g, w = readout.unembedding.double(), readout.w_out.double()

    def loss(stream: torch.Tensor) -> torch.Tensor:
        stream = stream - stream.mean(-1, keepdim=True) if readout.centred else stream
        logits = stream / (stream.square().mean(-1, keepdim=True) + readout.eps).sqrt() @ g.T
        logits = logits if readout.offset is None else logits + readout.offset.double()
        at = target.view(-1, *[1] * (logits.ndim - 1)).expand(*logits.shape[:-1], 1)
        return logits.logsumexp(-1) - logits.gather(-1, at)[..., 0]

    x = x.double()
    return loss(x[:, None] + change.double()[:, :, None] * w) - loss(x)[:, None]


def excess(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(((found.double() - expected).abs() / (CONTRACT[0] + CONTRACT[1] * expected.abs())).max())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["light", "heavy", "rms", "offset", "huge"])
def test_within_the_contract_on_heavy_tails(kind: str, seed: int):
    readout, x, change, target = problem(kind, seed)
    form = ClosedForm(readout)
    found, expected = form.effects(x, change, target), reference(readout, x, change, target)
    assert excess(found, expected) < 1
    assert float(expected.abs().max()) > 3
    assert 0.05 < form.exact_entries / form.entries < 0.95  # both ways were taken


@pytest.mark.parametrize("kind", ["light", "heavy", "rms", "offset", "huge"])
def test_what_the_bound_settles_is_within_its_share_of_the_contract(kind: str, monkeypatch: pytest.MonkeyPatch):
    """Without exact recomputation: entries that count as settled must be right all the same."""
    readout, x, change, target = problem(kind, 7, n=200)
    unsettled = torch.zeros(change.shape, dtype=torch.bool)

    def record(self, tile, entries):
        unsettled[entries.row, entries.column] = True
        return torch.zeros(len(entries), dtype=torch.float64)

    monkeypatch.setattr(ClosedForm, "_log_sums", record)
    found, expected = ClosedForm(readout).effects(x, change, target), reference(readout, x, change, target)
    errors = (found.double() - expected).abs() / (CONTRACT[0] + CONTRACT[1] * expected.abs())
    assert float(errors[~unsettled].max()) < second_order.PROVEN_SHARE + 0.1  # .1 for rounding
    assert float(errors[unsettled].max()) > 1  # and some of the others did need it


def test_the_bound_on_the_remainder_holds():
    """phi bounds its function from above, tightly; and the remainder of log E exp is below W Var phi(B)."""
    b = torch.logspace(-6, 1.75, 400, dtype=torch.float64)
    truth = torch.tensor([sum(float(x) ** k / np.prod(np.arange(1.0, k + 4)) for k in range(160)) for x in b])
    assert torch.all(second_order.phi(b) >= truth * (1 - 1e-9))
    assert torch.all(second_order.phi(b) <= truth * 1.05)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        p = rng.dirichlet(np.full(6, 0.3))
        eps = rng.standard_t(2, 6) * 10.0 ** rng.uniform(-2, 0.5)
        mean = float(p @ eps)
        variance = float(p @ (eps - mean) ** 2)
        remainder = np.log(p @ np.exp(eps - mean)) - variance / 2
        room = torch.tensor(eps.max() - mean)
        assert abs(remainder) <= (eps.max() - eps.min()) * variance * float(second_order.phi(room)) + 1e-12


def test_one_token_with_all_the_probability():
    """The variance rounds to 0 in float32, yet tokens of probability 1e-9 decide what a large ablation does."""
    g = torch.tensor([[40.0, 0, -40], [0, 30, -30], [-40, -30, 70]])
    w = torch.tensor([[-0.5, 1.0, -0.5], [1.0, -2.0, 1.0]])
    readout = Readout(True, 1e-5, g - g.mean(0), None, w)
    x, target = torch.tensor([[0.3, -0.1, -0.2]]), torch.tensor([0])
    change = torch.tensor([[0.31, -0.2]])
    found, expected = ClosedForm(readout).effects(x, change, target), reference(readout, x, change, target)
    assert float(expected.abs().max()) > 1
    assert excess(found, expected) < 1


def test_an_ablation_that_takes_the_whole_residual_stream_away():
    """Rounding may then leave a negative square under the root; the norm's eps is the least it can be."""
    readout, x, change, target = problem("offset", 8, n=20)
    w = readout.w_out
    x = w[:20] * torch.linspace(1, 3, 20)[:, None]
    change = torch.zeros_like(change).fill_diagonal_(0)
    change[torch.arange(20), torch.arange(20)] = -torch.linspace(1, 3, 20)
    found, expected = ClosedForm(readout).effects(x, change, target), reference(readout, x, change, target)
    # what is left of the stream is rounding, amplified by 1 / sqrt(eps)
    torch.testing.assert_close(found.double(), expected, rtol=0.02, atol=0.02)
    assert float(expected.diagonal().abs().max()) > 3


def test_tensor_operations_and_compiled_pass_agree(monkeypatch: pytest.MonkeyPatch):
    readout, x, change, target = problem("offset", 2)
    compiled = ClosedForm(readout).effects(x, change, target)
    monkeypatch.setattr(second_order, "_compiled", second_order._by_tensors)
    monkeypatch.setattr(closed_form, "block_sums", exact.tensor_sums)
    torch.testing.assert_close(ClosedForm(readout).effects(x, change, target), compiled, rtol=1e-3, atol=1e-5)


def test_block_sums_against_float64():
    rng = np.random.default_rng(0)
    p, z, u = (torch.from_numpy(rng.standard_normal((m, 777))).float() for m in (5, 5, 9))
    p = p.abs()
    row, column = torch.tensor([0, 0, 4, 3]), torch.tensor([8, 1, 2, 2])
    rho, kappa, shift = torch.tensor([[0.1, -3, 30, -70.0], [0.5, 2, -8, 0.01], [0.0, 1.0, 60.0, 200.0]])
    entries = exact.Entries(row, column, rho, kappa, shift, torch.zeros(4, dtype=torch.bool))
    exponent = rho[:, None].double() * z[row] + kappa[:, None].double() * u[column] - shift[:, None].double()
    expected = (p[row] * exponent.exp()).sum(1)
    for method in (exact.block_sums, exact.tensor_sums):
        torch.testing.assert_close(method(p, z, u, entries).double()[:3], expected[:3], rtol=1e-5, atol=0)
    torch.testing.assert_close(exact.block_log_sums(p.log(), z, u, entries), expected.log(), rtol=1e-6, atol=1e-6)
    assert not len(exact.block_sums(p, z, u, entries[torch.zeros(0, dtype=torch.int64)]))


@pytest.mark.parametrize("kind", ["heavy", "offset"])
def test_blocks_of_the_vocabulary_and_kept_weights_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch):
    readout, x, change, target = problem(kind, 3)
    whole = ClosedForm(readout).effects(x, change, target)
    monkeypatch.setattr(vocabulary, "VOCABULARY_BLOCK", 128)  # two blocks and a smaller one
    kept = ClosedForm(readout).effects(x, change, target)
    torch.testing.assert_close(kept, whole, rtol=2e-4, atol=2e-5)
    monkeypatch.setattr(vocabulary, "_KEPT_BYTES", 0)
    assert torch.equal(ClosedForm(readout).effects(x, change, target), kept)


def test_tiles_are_a_function_of_shape_and_reused_buffers_leak_nothing():
    readout, x, change, target = problem("offset", 4)
    form = ClosedForm(readout)
    first = form.effects(x, change, target)
    form.effects(x[:7].flip(0), change[:7] * 3, target[:7])
    assert torch.equal(form.effects(x, change, target), first)
    assert form.tile == ClosedForm(readout).tile


def test_no_change_is_no_effect():
    readout, x, change, target = problem("heavy", 5)
    assert torch.count_nonzero(ClosedForm(readout).effects(x, torch.zeros_like(change), target)) == 0


def test_the_number_of_threads_changes_no_bit():
    import numba

    readout, x, change, target = problem("heavy", 6)
    before = numba.get_num_threads()
    try:
        results = []
        for threads in (1, numba.config.NUMBA_NUM_THREADS):
            numba.set_num_threads(threads)
            results.append(ClosedForm(readout).effects(x, change, target))
    finally:
        numba.set_num_threads(before)
    assert torch.equal(*results)
