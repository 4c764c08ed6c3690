"""What the report shows beside the findings: curves, head map, graphs, balance, what ablating single neurons does.

A hypothesis names the kinds of figures that stand with it; each kind is made once, on the data of the first that asks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ..data.errors import MissingInput
from ..estimators import coactivation, regimes
from ..estimators.communities import leiden, modularity_matrix, threshold_graph
from ..estimators.rewiring import rewire
from . import balance, catalogue
from .hypothesis import Hypothesis
from .nulls.base import NullModel
from .prepared import PreparedData
from .result import Balance, Curve, Finding, GraphTwin, HeadMap, OutputRow
from .set_effects import set_effects
from .statistics.sets import offered_neurons, seeds_for

if TYPE_CHECKING:
    from .views import Prepared

POINTS = 400
DENSITY = 0.25
"""Share of node pairs that are edges in a drawn graph."""


def collect(prepared: Prepared, findings: Sequence[Finding], seed: int) -> dict[str, Any]:
    """Figures that were asked for and whose inputs are there, as keyword arguments of `Result`."""
    null = comparison(prepared.choice.hypotheses)
    makers: dict[str, tuple[str, Callable[[PreparedData], Any]]] = {
        "curves": ("curves", curves),
        "head_map": ("head_map", lambda data: head_map(data, findings)),
        "graphs": ("graphs", lambda data: graphs(data, null, seed)),
        "balance": ("balance", lambda data: balances(data, null, seed)),
        "effects": ("set_effects", set_effects),
    }
    out = {}
    for kind, (name, make) in makers.items():
        asking = next((h for h in prepared.choice.hypotheses if kind in h.figures), None)
        if asking is None:
            continue
        try:
            out[name] = make(prepared.of(asking))
        except MissingInput:
            continue
    return out


def comparison(hypotheses: Sequence[Hypothesis]) -> NullModel | None:
    """The null model whose sets are meant to be like the observed ones, if any of the hypotheses has one."""
    every = (catalogue.null_of(null) for h in hypotheses for null in h.nulls)
    return next((null for null in every if null.likens), None)


def curves(data: PreparedData) -> list[Curve]:
    """Sorted influence on each condition, halves averaged, with +- 1.96 jackknife se of each neuron at the ranks drawn.

    The knots are those of the broken line that BIC prefers.
    """
    sums = data.influence_sums
    total = sums.x.sum(0)[..., 0] / sums.weight.sum()
    n = total.shape[1]
    ranks = np.unique(np.geomspace(1, n, POINTS).round().astype(np.int64))
    out = []
    for side, label in enumerate((data.conditions.a.name, data.conditions.b.name)):
        order = torch.argsort(total[side], descending=True, stable=True)[torch.from_numpy(ranks - 1)]
        value = total[side][order]
        weight = sums.weight[:, None]
        without = (sums.x[:, side, :, 0].sum(0)[order] - sums.x[:, side, order, 0]) / (sums.weight.sum() - weight)
        d = len(without)
        se = ((d - 1) / d * ((without - without.mean(0)) ** 2).sum(0)).sqrt()
        low, high = (value - 1.96 * se).clamp_min(regimes.FLOOR), value + 1.96 * se
        drawn = {"influence": _rounded(value), "low": _rounded(low), "high": _rounded(high)}
        fitted = regimes.best_fit(data.curve_fits[label])
        knots = {"knots": list(fitted.knots), "knots_low": list(fitted.low), "knots_high": list(fitted.high)}
        out.append(
            Curve(
                label=label, rank=ranks.tolist(), head=data.n_head, knots_sought=fitted.sought, **drawn, **knots
            )
        )  # fmt: skip
    return out


def _rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{v:.6g}") for v in values.tolist()]


def head_map(data: PreparedData, findings: Sequence[Finding]) -> HeadMap:
    """Estimate of every single head, with its verdict interval; pooled and unreachable heads carry a note."""
    heads = data.heads
    rows: list[OutputRow] = next((f.details.per_output for f in findings if _of_heads(f)), [])
    by_name = {r.name: r for r in rows}
    single = np.flatnonzero(heads.head >= 0)
    effect = torch.tensor([float(heads.effect[h].nanmean()) for h in single.tolist()]).nan_to_num()
    found = [by_name.get(f"{heads.layer[h]}.{heads.head[h]}") for h in single]
    notes = [
        "" if f else ("minor" if heads.reachable[h] else "unreachable") for h, f in zip(single, found, strict=True)
    ]
    return HeadMap(
        layer=heads.layer[single].tolist(), head=heads.head[single].tolist(),
        reachable=heads.reachable[single].tolist(),
        value=[f.estimate if f else None for f in found], low=[f.low if f else None for f in found],
        high=[f.high if f else None for f in found], effect=_rounded(effect), note=notes,
    )  # fmt: skip


def _of_heads(finding: Finding) -> bool:
    """Whether a finding has one output per attention head."""
    return any(row.head >= 0 for row in finding.details.per_output)


def graphs(data: PreparedData, null: NullModel | None, seed: int) -> list[GraphTwin]:
    """The set's co-activation graph (strongest correlations), the same rewired, and that of a null set."""
    members = data.set[0]
    own = _strongest(data, members)
    copy = rewire(own, len(members), _key())[0]
    twins = [_graph(data, data.neuron_set.name, members, own), _graph(data, "the same, rewired", members, copy)]
    if null is not None and not null.refuses(offered_neurons(data)):
        image = balance.null_sets(data, null, 1, seed)[0, 0]
        twins.append(_graph(data, "random set chosen alike", image, _strongest(data, image)))
    return twins


def _key() -> npt.NDArray[np.uint64]:
    return seeds_for(range(1), 0, 3).numpy().view(np.uint64)


def _strongest(data: PreparedData, nodes: torch.Tensor) -> npt.NDArray[np.int64]:
    """Edges [m, 2] of the thresholded graph of `nodes`."""
    r = coactivation.submatrices(data.correlation[1], nodes[None]).double().numpy()
    return np.argwhere(np.triu(threshold_graph(r, DENSITY)[0], 1))


def _graph(data: PreparedData, label: str, nodes: torch.Tensor, edges: npt.NDArray[np.int64]) -> GraphTwin:
    r = data.correlation[1][nodes][:, nodes].double().numpy()
    adjacency = np.zeros(r.shape)
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = 1
    member, q = leiden(modularity_matrix(adjacency[None]), _key())
    drawn = [(int(i), int(j), float(f"{r[i, j]:.4g}")) for i, j in sorted(map(tuple, edges.tolist()))]
    community = member[0].tolist()
    return GraphTwin(label=label, nodes=nodes.tolist(), community=community, edges=drawn, modularity=float(q[0]))


def balances(data: PreparedData, null: NullModel | None, seed: int) -> list[Balance]:
    """The set against null sets that should be like it and against its strata, and one condition against the other."""
    panel, name = data.panel, data.neuron_set.name
    a, b = panel.loss[panel.a_rows], panel.loss[panel.b_rows]
    classed = panel.loss[panel.label >= 0]
    loss = float((a.mean() - b.mean()) / classed.std())
    conditions = data.conditions
    matched = f"matched positions of {conditions.a.name} against {conditions.b.name}"
    rows = [
        Balance(label=f"{name} against its strata", rows=list(data.balance(data.set).items())),
        Balance(label=matched, rows=[("baseline loss", loss)]),
    ]
    if null is None or null.refuses(offered_neurons(data)):
        return rows
    smd = list(balance.against(data, null, seed).smd.items())
    return [Balance(label=f"{name} against {null.name.replace('_', ' ')}", rows=smd), *rows]
