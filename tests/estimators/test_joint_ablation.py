"""Closures of given sets, from options to measurements, against a loop of naive float64 hooks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import HEADS, LAYERS, in_float64, measured_with_heads, options_of, paths

from neuronull.data.errors import InputError
from neuronull.data.measurements import Measurements
from neuronull.data.options import MeasureOptions
from neuronull.data.store import load, save
from neuronull.estimators import joint_ablation
from neuronull.estimators.joint_ablation import Sets, head_names, measure_joint_ablation

NAME = "gpt_neox sequential"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> MeasureOptions:
    return options_of(NAME, tmp_path_factory.mktemp("closure"))


@pytest.fixture(scope="module")
def measured(options: MeasureOptions) -> Measurements:
    return measured_with_heads(options)


@pytest.fixture(scope="module")
def sets(measured: Measurements) -> Sets:
    single = np.flatnonzero(measured.heads.head >= 0).tolist()
    return Sets(((3,), (0, 7, 11, 30)), ((single[0],), (single[1], single[-1])))


@pytest.fixture(scope="module")
def closed(options: MeasureOptions, measured: Measurements, sets: Sets) -> Measurements:
    return measure_joint_ablation(options, measured, sets)


def naive(measured: Measurements, sets: Sets) -> np.ndarray:
    """Whole forward passes with hooks, one a set and document, means of the changes at matched positions."""
    model, (neuron_site, head_site, _) = in_float64(NAME), paths(NAME)
    panel, documents = measured.panel, measured.documents["input_ids"].tolist()
    sites = [neuron_site.format(LAYERS - 1), *(head_site.format(at) for at in range(LAYERS))]

    def losses(ids: list[int], edits: dict[str, dict]) -> tuple[torch.Tensor, dict]:
        seen, hooks = {}, []
        for site in sites:

            def hook(module, inputs, site=site):
                seen[site] = inputs[0].detach().clone()
                if site not in edits:
                    return None
                changed = inputs[0].clone()
                for (rows, columns), value in edits[site]:
                    changed[0, rows[:, None], columns] = value
                return (changed, *inputs[1:])

            hooks.append(model.get_submodule(site).register_forward_pre_hook(hook))
        with torch.no_grad():
            logits = model(torch.tensor([ids]), use_cache=False).logits[0]
        for one in hooks:
            one.remove()
        return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids)[1:], reduction="none"), seen

    clean = [losses(ids, {}) for ids in documents]
    at = [torch.from_numpy(panel.position[panel.document == d]) for d in range(len(documents))]
    mean = {s: torch.cat([seen[s][0, rows] for (_, seen), rows in zip(clean, at, strict=True)]).mean(0) for s in sites}
    plans = []
    for members in sets.neurons:
        plans.append([(sites[0], torch.tensor(members), "scored")])
    for members in sets.heads:
        width = mean[sites[1]].shape[0] // HEADS
        names = [(int(measured.heads.layer[r]), int(measured.heads.head[r])) for r in members]
        plans.append([(sites[1 + la], torch.arange(h * width, (h + 1) * width), "all") for la, h in names])
    out = np.full((len(plans), len(documents), 2), np.nan)
    for s, plan in enumerate(plans):
        for d, ids in enumerate(documents):
            edits: dict[str, list] = {}
            for site, columns, where in plan:
                rows = at[d] if where == "scored" else torch.arange(len(ids))
                edits.setdefault(site, []).append(((rows, columns), mean[site][columns]))
            change = losses(ids, edits)[0] - clean[d][0]
            for side, of_class in enumerate((panel.a_rows, panel.b_rows)):
                rows = of_class[panel.document[of_class] == d]
                if len(rows):
                    out[s, d, side] = change[torch.from_numpy(panel.position[rows])].mean()
    return out


def test_closures_are_those_of_naive_hooks(measured: Measurements, closed: Measurements, sets: Sets):
    expected = naive(measured, sets)
    assert np.nanmax(np.abs(expected)) > 0.1, "an ablation that does nothing tests nothing"
    np.testing.assert_allclose(closed.joint_ablation.loss.numpy(), expected, atol=1e-4, rtol=1e-3)


def test_sets_are_named_and_the_rest_stays(measured: Measurements, closed: Measurements, sets: Sets, tmp_path: Path):
    assert closed.joint_ablation.sets["kind"].tolist() == ["neurons"] * 2 + ["heads"] * 2
    assert closed.joint_ablation.rows["neurons", (0, 7, 11, 30)] == 1
    assert closed.joint_ablation.rows["heads", sets.heads[1]] == 3
    assert closed.delta_loss is measured.delta_loss
    save(closed, tmp_path / "m")
    again = load(tmp_path / "m").joint_ablation
    assert again.rows == closed.joint_ablation.rows
    assert torch.equal(again.loss.nan_to_num(), closed.joint_ablation.loss.nan_to_num())


def test_the_same_sets_are_not_measured_twice(options, measured, closed, sets, monkeypatch):
    monkeypatch.setattr(joint_ablation, "_measured", lambda *a: pytest.fail("measured again"))
    again = measure_joint_ablation(options, measured, sets)
    assert torch.equal(again.joint_ablation.loss.nan_to_num(), closed.joint_ablation.loss.nan_to_num())


def test_another_model_is_refused(options, measured, sets):
    other = replace(options, random_init=True)
    with pytest.raises(InputError, match="the model has changed since it was measured"):
        measure_joint_ablation(other, measured, sets, cache=False)


def test_sets_of_heads_need_a_table_of_heads(measured):
    with pytest.raises(ValueError, match="no heads were measured"):
        head_names(replace(measured, heads=None), [[0]])
