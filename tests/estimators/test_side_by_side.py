"""Documents side by side: the same numbers in the same order as one after the other, on views that share weights."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from tiny_models import CONFIGS, LAYERS, NEURONS, panel_of, texts, tiny

from neuronull.estimators.forward import captured_inputs, run_forward
from neuronull.estimators.heads import head_effects
from neuronull.estimators.side_by_side import side_by_side

THREADS = 3


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", CONFIGS)
def test_measurements_are_the_same_to_the_bit_for_any_number_of_threads(name, threads):
    loaded = tiny(name)
    documents = texts(11, seed=1)
    panel, layer, sd = panel_of(documents, every=2), LAYERS - 1, np.ones(NEURONS)
    found = []
    for count in (1, THREADS):
        threads(count)
        forward = run_forward(loaded, documents, layer)
        found.append((forward, head_effects(loaded, documents, panel, layer, sd).effect))
        assert torch.get_num_threads() == count
    (first, effect), (second, other) = found
    assert all(np.array_equal(a, b) for a, b in zip(first.losses, second.losses, strict=True))
    assert torch.equal(first.residual, second.residual)
    assert torch.equal(first.activation, second.activation)
    assert torch.equal(effect.nan_to_num(-1.0), other.nan_to_num(-1.0))


def test_items_come_back_in_order_from_several_threads_without_gradients(threads):
    threads(THREADS)
    seen, met = set(), threading.Barrier(THREADS, timeout=30)

    def work(view, item):
        if item < THREADS:
            met.wait()  # the first ones are under way at the same time
        seen.add(id(view))
        return item, torch.is_grad_enabled(), torch.get_num_threads()

    with side_by_side(tiny("gpt2"), 1, 100, 100) as documents_at_once:
        assert list(documents_at_once.each(work, range(20))) == [(item, False, 1) for item in range(20)]
    assert len(seen) == THREADS


@pytest.mark.parametrize(
    ("floats", "most", "documents", "expected"),
    [(1, 99, 9, 3), (50, 100, 9, 2), (60, 100, 9, 1), (999, 99, 9, 1), (1, 99, 2, 2), (1, 99, 1, 1), (1, 99, 0, 1)],
)
def test_documents_at_once_keep_to_the_memory(threads, floats, most, documents, expected):
    threads(THREADS)
    with side_by_side(tiny("gpt2"), floats, most, documents) as documents_at_once:
        assert len(documents_at_once.views) == expected
        if expected == 1:
            assert torch.get_num_threads() == THREADS


def test_a_view_has_the_same_weights_and_hooks_of_its_own(threads):
    threads(THREADS)
    loaded = tiny("gpt2")
    with side_by_side(loaded, 1, 100, 100) as documents_at_once:
        first, second, _ = documents_at_once.views
        assert first is loaded
        pairs = zip(first.model.parameters(), second.model.parameters(), strict=True)
        assert all(a.data_ptr() == b.data_ptr() for a, b in pairs)
        with captured_inputs({"norm": second.adapter.final_norm_module}) as latest:
            first.model(torch.tensor([[1, 2, 3]]))
            assert not latest
            second.model(torch.tensor([[1, 2, 3]]))
            assert latest["norm"].shape[1] == 3


def test_an_error_in_one_document_ends_the_rest_and_gives_the_threads_back(threads):
    threads(THREADS)

    def work(view, item):
        if item == 2:
            raise RuntimeError("document 2")
        return item

    with (
        pytest.raises(RuntimeError, match="document 2"),
        side_by_side(tiny("gpt2"), 1, 100, 100) as documents_at_once,
    ):
        list(documents_at_once.each(work, range(50)))
    assert torch.get_num_threads() == THREADS
