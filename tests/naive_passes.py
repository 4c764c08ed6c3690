"""Effects of ablations by whole float64 forward passes with hooks on the plain model: slow, and obviously right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from tiny_models import HEADS, LAYERS, in_float64, inputs_of, logits_with, losses, paths

from neuronull.data.measurements import Panel
from neuronull.estimators.ablation import draw_donors

GROUPS = [*([head] for head in range(HEADS)), list(range(HEADS))]

Documents = Sequence[Sequence[int]]


def _scored(documents: Documents, panel: Panel) -> list[torch.Tensor]:
    return [torch.from_numpy(panel.position[panel.document == d]) for d in range(len(documents))]


def influence_of_neurons(
    name: str, documents: Documents, panel: Panel, layer: int, ablation: str, inflation: float = 6.0
) -> torch.Tensor:
    """D [T, N]: for every document and neuron a full forward pass, the neuron replaced at all scored positions."""
    model, site = in_float64(name, inflation), paths(name)[0].format(layer)
    clean = [inputs_of(model, ids, site) for ids in documents]
    rows = _scored(documents, panel)
    scored = torch.cat([a[r] for a, r in zip(clean, rows, strict=True)])
    replaced = {
        "mean": scored.mean(0).expand_as(scored),
        "zero": torch.zeros_like(scored),
        "resample": scored[torch.from_numpy(draw_donors(panel.document, 5))],
    }[ablation]
    out = []
    for d, ids in enumerate(documents):
        before = losses(logits_with(model, ids, site, lambda a: a), ids)
        values = replaced[torch.from_numpy(panel.document == d)]
        effects = []
        for neuron in range(scored.shape[1]):

            def ablate(a: torch.Tensor, neuron=neuron, values=values, at=rows[d]) -> torch.Tensor:
                a = a.clone()
                a[0, at, neuron] = values[:, neuron]
                return a

            effects.append((losses(logits_with(model, ids, site, ablate), ids) - before)[rows[d]])
        out.append(torch.stack(effects, 1))
    return torch.cat(out)


def effects_of_heads(
    name: str,
    documents: Documents,
    panel: Panel,
    layer: int,
    ablation: str,
    sd: np.ndarray,
    inflation: float = 6.0,
) -> np.ndarray:
    """E [H, D, 2, N] in sd."""
    model, (neuron_site, head_site, _) = in_float64(name, inflation), paths(name)
    out = np.full(((layer + 1) * len(GROUPS), len(documents), 2, len(sd)), np.nan)
    for at in range(layer + 1):
        path = head_site.format(at)
        clean = [inputs_of(model, ids, path) for ids in documents]
        scored = [one[rows] for one, rows in zip(clean, _scored(documents, panel), strict=True)]
        mean = torch.cat(scored).mean(0)
        for g, group in enumerate(GROUPS):
            for d, ids in enumerate(documents):
                value = {"mean": mean, "zero": torch.zeros_like(mean), "first_token": clean[d][0]}[ablation]
                before = inputs_of(model, ids, neuron_site.format(layer))
                after = _ablated_activation(model, ids, path, group, value, neuron_site.format(layer))
                change = (after - before).abs().numpy() / sd
                for label, rows in enumerate((panel.a_rows, panel.b_rows)):
                    at_rows = panel.position[rows[panel.document[rows] == d]]
                    if len(at_rows):
                        out[at * len(GROUPS) + g, d, label] = change[at_rows].mean(0)
    return out


def _ablated_activation(model, ids, path, group, value, neuron_path) -> torch.Tensor:
    def ablate(output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        width = output.shape[-1] // HEADS
        for head in group:
            output[..., head * width : (head + 1) * width] = value[head * width : (head + 1) * width]
        return output

    hook = model.get_submodule(path).register_forward_pre_hook(lambda _, inputs: (ablate(inputs[0]), *inputs[1:]))
    try:
        return inputs_of(model, ids, neuron_path)
    finally:
        hook.remove()


def _class_sums(changes: list[torch.Tensor], panel: Panel) -> torch.Tensor:
    """Sums [D, 2] of one loss change a position of each document."""
    out = torch.zeros(len(changes), 2, dtype=torch.float64)
    for side, rows in enumerate((panel.a_rows, panel.b_rows)):
        for row in rows:
            d = panel.document[row]
            out[d, side] += changes[d][panel.position[row]]
    return out


def increase_by_neurons(
    name: str,
    documents: Documents,
    panel: Panel,
    layer: int,
    ablation: str,
    sets: Sequence[np.ndarray],
    inflation: float = 6.0,
) -> torch.Tensor:
    """Loss increase [S, D, 2]: one pass a set and document, members replaced at the scored positions."""
    model, site = in_float64(name, inflation), paths(name)[0].format(layer)
    clean, rows = [inputs_of(model, ids, site) for ids in documents], _scored(documents, panel)
    mean = torch.cat([a[r] for a, r in zip(clean, rows, strict=True)]).mean(0)
    value = mean if ablation == "mean" else torch.zeros_like(mean)
    out = []
    for one in sets:
        changes = []
        for d, ids in enumerate(documents):

            def ablate(a: torch.Tensor, at=rows[d], one=one) -> torch.Tensor:
                a = a.clone()
                for i in one:
                    a[0, at, i] = value[i]
                return a

            before = losses(logits_with(model, ids, site, lambda a: a), ids)
            changes.append(losses(logits_with(model, ids, site, ablate), ids) - before)
        out.append(_class_sums(changes, panel))
    return torch.stack(out)


def increase_by_heads(
    name: str,
    documents: Documents,
    panel: Panel,
    ablation: str,
    sets: Sequence[Sequence[tuple[int, int]]],
    inflation: float = 6.0,
) -> torch.Tensor:
    """Loss increase [S, D, 2]: one pass a set and document, with a hook on every layer that the set touches."""
    model, path = in_float64(name, inflation), paths(name)[1]
    means = []
    for at in range(LAYERS):
        outputs = [inputs_of(model, ids, path.format(at)) for ids in documents]
        means.append(torch.cat([o[rows] for o, rows in zip(outputs, _scored(documents, panel), strict=True)]).mean(0))
    out = []
    for one in sets:
        changes = []
        for ids in documents:
            hooks = []
            for at in range(LAYERS):

                def ablate(module, arguments, at=at):
                    output = arguments[0].clone()
                    width = output.shape[-1] // HEADS
                    for where, head in one:  # noqa: B023 - called before the loop goes on
                        part = slice(head * width, (head + 1) * width)
                        if where == at and ablation == "first_token":
                            output[..., part] = arguments[0][:, :1, part]
                        elif where == at:
                            output[..., part] = means[at][part] if ablation == "mean" else 0
                    return (output, *arguments[1:])

                hooks.append(model.get_submodule(path.format(at)).register_forward_pre_hook(ablate))
            with torch.no_grad():
                after = losses(model(torch.tensor([ids]), use_cache=False).logits[0], ids)
            for hook in hooks:
                hook.remove()
            with torch.no_grad():
                changes.append(after - losses(model(torch.tensor([ids]), use_cache=False).logits[0], ids))
        out.append(_class_sums(changes, panel))
    return torch.stack(out)
