"""What the report shows beside the findings: curves, head map, graphs, balance, what ablating the plateau does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..data.errors import MissingInput
from ..estimators import coactivation, regimes
from ..estimators.communities import leiden, modularity_matrix, threshold_graph
from ..estimators.rewiring import rewire
from .balance import against_reselected, reselected
from .plateau_effects import plateau_effects
from .prepared import PreparedData
from .result import Balance, Curve, Finding, GraphTwin, HeadMap
from .statistics.neuron_sets import DENSITY, seeds_for

POINTS = 400


def collect(data: PreparedData, findings: Sequence[Finding], seed: int) -> dict[str, Any]:
    """Exhibits whose inputs are there, as keyword arguments of `Result`."""
    makers: dict[str, Callable[[], Any]] = {
        "curves": lambda: curves(data),
        "head_map": lambda: head_map(data, findings),
        "graphs": lambda: graphs(data, seed),
        "balance": lambda: balances(data, seed),
        "plateau_effects": lambda: plateau_effects(data),
    }
    out = {}
    for name, make in makers.items():
        try:
            out[name] = make()
        except MissingInput:
            continue
    return out


def curves(data: PreparedData) -> list[Curve]:
    """Sorted influence of each class (halves averaged), with +- 1.96 jackknife se of each neuron at the ranks drawn.

    The knots are those of the broken line that BIC prefers.
    """
    sums = data.influence_sums
    total = sums.x.sum(0)[..., 0] / sums.weight.sum()
    n = total.shape[1]
    ranks = np.unique(np.geomspace(1, n, POINTS).round().astype(np.int64))
    out = []
    for side, label in enumerate(("rare", "common")):
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
    """Routing log ratio of every single head, with its verdict interval; pooled and unreachable heads carry a note."""
    heads = data.heads
    rows = [r for f in findings if f.hypothesis == "routing.heads" for r in f.details.get("per_head", [])]
    by_name = {r["name"]: r for r in rows}
    single = np.flatnonzero(heads.head >= 0)
    effect = torch.tensor([float(heads.effect[h].nanmean()) for h in single.tolist()]).nan_to_num()
    found = [by_name.get(f"{heads.layer[h]}.{heads.head[h]}") for h in single]
    notes = [
        "" if f else ("minor" if heads.reachable[h] else "unreachable") for h, f in zip(single, found, strict=True)
    ]
    return HeadMap(
        layer=heads.layer[single].tolist(), head=heads.head[single].tolist(),
        reachable=heads.reachable[single].tolist(),
        value=[f["estimate"] if f else None for f in found], low=[f["low"] if f else None for f in found],
        high=[f["high"] if f else None for f in found], effect=_rounded(effect), note=notes,
    )  # fmt: skip


def graphs(data: PreparedData, seed: int) -> list[GraphTwin]:
    """The plateau's co-activation graph (strongest correlations), a rewired and a random-set twin."""
    plateau = data.plateau[0]
    image = reselected(data, 1, seed)[0, 0]
    own, random = _strongest(data, plateau), _strongest(data, image)
    copy = rewire(own, len(plateau), _key())[0]
    return [
        _graph(data, "plateau", plateau, own),
        _graph(data, "the same, rewired", plateau, copy),
        _graph(data, "random set chosen alike", image, random),
    ]


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


def balances(data: PreparedData, seed: int) -> list[Balance]:
    """Plateau against its null sets and its strata, and rare against common positions."""
    panel = data.panel
    rare, common = panel.loss[panel.a_rows], panel.loss[panel.b_rows]
    classed = panel.loss[panel.label >= 0]
    loss = float((rare.mean() - common.mean()) / classed.std())
    return [
        Balance(label="plateau against reselected sets", rows=list(against_reselected(data, seed).smd.items())),
        Balance(label="plateau against its strata", rows=list(data.balance(data.plateau).items())),
        Balance(label="matched rare against common positions", rows=[("baseline loss", loss)]),
    ]
