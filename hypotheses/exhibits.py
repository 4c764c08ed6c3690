"""What the report draws beside the numbers: curves, head map, graphs, balance; made from the study, thinned for drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..data.errors import MissingInput
from ..estimators import coactivation, regimes
from ..estimators.communities import signed_modules
from .estimands.neuron_sets import seeds_for
from .nulls.base import Observed
from .nulls.matched_sets import MatchedSets
from .result import Balance, Curve, Finding, GraphTwin, HeadMap
from .study import Study

POINTS = 400


def collect(study: Study, findings: Sequence[Finding], seed: int) -> dict[str, Any]:
    """Exhibits whose inputs are there, as keyword arguments of `Result`."""
    makers = {
        "curves": lambda: curves(study),
        "head_map": lambda: head_map(study, findings),
        "graphs": lambda: graphs(study, seed),
        "balance": lambda: balances(study),
    }
    out = {}
    for name, make in makers.items():
        try:
            out[name] = make()
        except MissingInput:
            continue
    return out


def curves(study: Study) -> list[Curve]:
    """Sorted influence of each class (halves averaged), with +- 1.96 jackknife se of each neuron at the ranks drawn."""
    sums = study.influence_sums
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
        out.append(Curve(label=label, rank=ranks.tolist(), influence=_rounded(value), low=_rounded((value - 1.96 * se).clamp_min(regimes.FLOOR)),
                         high=_rounded(value + 1.96 * se), head=study.n_head))  # fmt: skip
    return out


def _rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{v:.6g}") for v in values.tolist()]


def head_map(study: Study, findings: Sequence[Finding]) -> HeadMap:
    """Routing log ratio of every single head, with its verdict interval; pooled and unreachable heads carry a note."""
    heads = study.heads
    rows = [r for f in findings if f.hypothesis == "routing.heads" for r in f.details.get("per_head", [])]
    by_name = {r["name"]: r for r in rows}
    single = np.flatnonzero(heads.head >= 0)
    effect = heads.effect[torch.from_numpy(single)].nanmean(dim=(1, 2, 3)).nan_to_num()
    found = [by_name.get(f"{heads.layer[h]}.{heads.head[h]}") for h in single]
    notes = [
        "" if f else ("minor" if heads.reachable[h] else "unreachable") for h, f in zip(single, found, strict=True)
    ]
    return HeadMap(
        layer=heads.layer[single].tolist(), head=heads.head[single].tolist(), reachable=heads.reachable[single].tolist(),
        value=[f["estimate"] if f else None for f in found], low=[f["low"] if f else None for f in found],
        high=[f["high"] if f else None for f in found], effect=_rounded(effect), note=notes,
    )  # fmt: skip


def graphs(study: Study, seed: int) -> list[GraphTwin]:
    """The plateau's co-activation graph and one matched random set's, correlations of the scoring half."""
    plateau = study.plateau[0]
    observed = Observed(
        "neurons", torch.arange(study.measurements.n_neurons), plateau=study.plateau, strata=study.strata
    )
    null = MatchedSets()
    image = null.draw(null.prepare(study.measurements, observed), range(1, 2), seed)[0][plateau]
    return [_graph(study, "plateau", plateau), _graph(study, "matched random set", image)]


def _graph(study: Study, label: str, nodes: torch.Tensor) -> GraphTwin:
    r = coactivation.submatrices(study.correlation[1], nodes[None]).double().numpy()
    member, q = signed_modules(r, seeds_for(range(1), 0, 1).numpy().view(np.uint64))
    upper = np.triu_indices(len(nodes), 1)
    edges = [(int(i), int(j), float(f"{v:.4g}")) for i, j, v in zip(*upper, r[0][upper], strict=True)]
    return GraphTwin(
        label=label, nodes=nodes.tolist(), community=member[0].tolist(), edges=edges, modularity=float(q[0])
    )


def balances(study: Study) -> list[Balance]:
    """Plateau against its strata, and rare against common positions."""
    panel = study.panel
    rare, common = panel.loss[panel.rare_rows], panel.loss[panel.common_rows]
    classed = panel.loss[panel.label >= 0]
    loss = float((rare.mean() - common.mean()) / classed.std())
    return [
        Balance(label="plateau against its strata", rows=list(study.balance(study.plateau).items())),
        Balance(label="matched rare against common positions", rows=[("baseline loss", loss)]),
    ]
