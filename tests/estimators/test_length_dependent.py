"""Models whose position embeddings depend on the document's length, against whole float64 forward passes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tiny_models import (
    HEADS,
    LAYERS,
    LENGTH_DEPENDENT,
    NEURONS,
    inputs_of,
    length_dependent,
    logits_with,
    losses,
    paths,
)

from neuronull.data.measurements import Panel
from neuronull.data.models import LoadedModel
from neuronull.data.positions import forget_lengths
from neuronull.estimators import heads as heads_module
from neuronull.estimators.audit import AuditError
from neuronull.estimators.audit_heads import audit_heads
from neuronull.estimators.forward import run_forward
from neuronull.estimators.heads import head_effects
from neuronull.estimators.joint import joint_heads
from neuronull.estimators.side_by_side import side_by_side

LENGTHS = (40, 16, 30, 26, 18, 38)
"""On both sides of the length at which the frequencies change."""
LAST = 14
"""The matched positions end here, where a cut document would be a short one."""
SD = np.linspace(0.5, 2, NEURONS)


def documents() -> list[list[int]]:
    rng = np.random.default_rng(5)
    return [rng.integers(0, 67, size=length).tolist() for length in LENGTHS]


def early_panel(ids: list[list[int]]) -> Panel:
    """Every position is scored; those from 4 to `LAST` are matched in pairs."""
    rows = [(d, p) for d, one in enumerate(ids) for p in range(3, len(one) - 1)]
    document, position = (np.asarray(column, dtype=np.int64) for column in zip(*rows, strict=True))
    match = np.full(len(rows), -1)
    for row in np.flatnonzero((position % 2 == 0) & (position < LAST)):
        match[row] = row + 1
    zero = np.zeros(len(rows), dtype=np.int64)
    tokens = [np.asarray([ids[d][p + k] for d, p in rows]) for k in (0, 1)]
    label = (position % 2 == 0).astype(np.int64)
    return Panel(document, position, *tokens, zero.astype(float), zero, zero, document % 2, label, match)


DOCUMENTS = documents()
PANEL = early_panel(DOCUMENTS)


@pytest.fixture(params=LENGTH_DEPENDENT)
def loaded(request) -> LoadedModel:
    """A model as loading leaves it."""
    fresh = length_dependent(request.param)
    model = copy.deepcopy(fresh.model)
    forget_lengths(model)
    return LoadedModel(model, None, type(fresh.adapter)(model), request.param, None, "0" * 64, model.config, None)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def unread(name: str) -> torch.nn.Module:
    """The model in float64 that has read no document yet."""
    return copy.deepcopy(length_dependent(name).model).double()


def ablated(name: str, ids: list[int], at: int, group: list[int], mean: torch.Tensor, path: str) -> torch.Tensor:
    """Input of a module, or the logits, in a pass of a fresh model with some heads replaced by their mean."""
    model = unread(name)

    def change(output: torch.Tensor) -> torch.Tensor:
        rows = output.clone().view(*output.shape[:2], HEADS, -1)
        rows[:, :, group] = mean.view(HEADS, -1)[group]
        return rows.view_as(output)

    site = paths(name)[1].format(at)
    if not path:
        return logits_with(model, ids, site, change)
    hook = model.get_submodule(site).register_forward_pre_hook(lambda _, inputs: (change(inputs[0]), *inputs[1:]))
    try:
        return inputs_of(model, ids, path)
    finally:
        hook.remove()


def mean_output(name: str, at: int) -> torch.Tensor:
    """Mean of the concatenated head outputs over the scored positions."""
    site = paths(name)[1].format(at)
    outputs = [inputs_of(unread(name), ids, site) for ids in DOCUMENTS]
    return torch.cat([outputs[d][PANEL.position[PANEL.document == d]] for d in range(len(DOCUMENTS))]).mean(0)


def test_head_effects_are_those_of_whole_documents(loaded: LoadedModel):
    found = head_effects(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD)
    neurons = paths(loaded.id)[0].format(LAYERS - 1)
    groups = [*([head] for head in range(HEADS)), list(range(HEADS))]
    for at in range(LAYERS):
        mean = mean_output(loaded.id, at)
        for g, group in enumerate(groups):
            for d, ids in enumerate(DOCUMENTS):
                before = inputs_of(unread(loaded.id), ids, neurons)
                change = (ablated(loaded.id, ids, at, group, mean, neurons) - before).abs().numpy() / SD
                for label, rows in enumerate((PANEL.a_rows, PANEL.b_rows)):
                    expected = change[PANEL.position[rows[PANEL.document[rows] == d]]].mean(0)
                    row = found.effect[at * len(groups) + g, d, label].numpy()
                    np.testing.assert_allclose(row, expected, rtol=2e-3, atol=2e-5)


def test_the_audit_finds_documents_that_were_cut(loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch):
    right = head_effects(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD)
    audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, right)
    monkeypatch.setattr(heads_module, "depends_on_length", lambda config: False)
    wrong = head_effects(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD)
    assert (wrong.effect - right.effect).abs().max() > 0.02
    with pytest.raises(AuditError, match=r"on document \d is off by"):
        audit_heads(loaded, DOCUMENTS, PANEL, LAYERS - 1, SD, wrong)


def test_joint_ablation_of_heads_is_that_of_whole_documents(loaded: LoadedModel):
    heads = [0, 2]
    found = joint_heads(loaded, DOCUMENTS, PANEL, [[(0, head) for head in heads]]).mean[0]
    mean = mean_output(loaded.id, 0)
    for d, ids in enumerate(DOCUMENTS):
        norm = paths(loaded.id)[2]
        clean = losses(logits_with(unread(loaded.id), ids, norm, lambda x: x), ids)
        change = losses(ablated(loaded.id, ids, 0, heads, mean, ""), ids) - clean
        for label, rows in enumerate((PANEL.a_rows, PANEL.b_rows)):
            expected = change[torch.from_numpy(PANEL.position[rows[PANEL.document[rows] == d]])].mean()
            np.testing.assert_allclose(float(found[d, label]), float(expected), rtol=1e-3, atol=1e-4)


def test_documents_side_by_side_do_not_disturb_each_other(loaded: LoadedModel, threads):
    """In turns the threads read long and short documents; each overwrites the frequencies."""
    many = [ids for _ in range(12) for ids in DOCUMENTS]
    found = []
    for count in (1, 3):
        threads(count)
        found.append(run_forward(loaded, many, LAYERS - 1))
    one, several = found
    assert torch.equal(one.residual, several.residual)
    assert all(np.array_equal(a, b) for a, b in zip(one.losses, several.losses, strict=True))


def test_a_view_owns_its_buffers(loaded: LoadedModel, threads):
    """The test above meets the fault by chance only; a shared buffer is there each time."""
    threads(3)
    with side_by_side(loaded, 1, 100, 100) as documents_at_once:
        buffers = [list(view.model.buffers()) for view in documents_at_once.views]
        assert buffers[0]
        places = [tensor.data_ptr() for held in buffers for tensor in held]
        assert len(set(places)) == len(places)
        assert all(torch.equal(a, b) for held in buffers[1:] for a, b in zip(buffers[0], held, strict=True))
