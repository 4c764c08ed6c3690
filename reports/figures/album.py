"""Every figure of a result by name, for papers and slides."""

from __future__ import annotations

import re
from pathlib import Path

from ...hypotheses.result import Result, Role
from .. import multiverse
from ..files import write_file
from . import balance, curves, estimation, forest, heads, networks, specification
from .canvas import Drawing, save


def curve_head(result: Result) -> str:
    """What the head of the influence curves is called: the set under test where it was chosen by influence."""
    return next((one.name for one in result.sets if one.chosen_by == "influence"), "head")


def album(result: Result) -> dict[str, Drawing]:
    """Return the figures of the HTML report: ``overview``, ``curves``, ``finding-ID`` ..."""
    found: dict[str, Drawing | None] = {"overview": forest.overview(result)}
    if any(c.rank for c in result.curves):
        found["curves"] = curves.influence_curves(result.curves, curve_head(result))
    found |= dict(zip(("head-map", "head-intervals"), heads.drawings(result), strict=False))
    found |= {f"graph-{i}": d for i, d in enumerate(networks.twins([g for g in result.graphs if g.nodes]), 1)}
    reach = balance.reach(result.balance)
    found |= {f"balance-{i}": balance.love_plot(b, reach) for i, b in enumerate(result.balance, 1) if b.rows}
    for hypothesis in dict.fromkeys(f.hypothesis for f in result.findings if f.role is not Role.CONTROL):
        groups = estimation.by_unit([f for f in result.findings if f.hypothesis == hypothesis])
        for i, group in enumerate(filter(estimation.drawable, groups), 1):
            found[f"finding-{hypothesis}" + (f"-{i}" if i > 1 else "")] = estimation.estimation(
                group, known=result.nulls
            )
    if result.multiverse is not None:
        curves_ = {r.hypothesis: specification.specification(result.multiverse, r) for r in multiverse.rows(result)}
        found |= {f"multiverse-{hypothesis}": drawing for hypothesis, drawing in curves_.items()}
    return {name: drawing for name, drawing in found.items() if drawing is not None}


def save_album(result: Result, directory: Path | str, suffix: str = "pdf") -> list[Path]:
    """Write every figure as ``NAME.suffix`` (pdf, svg or png) and its numbers as ``NAME.csv`` into a directory.

    Raises
    ------
    InputError
        If the directory cannot be written.
    """
    files = {re.sub(r"[^A-Za-z0-9._-]+", "-", name): drawing for name, drawing in album(result).items()}
    written = [save(drawing, Path(directory) / f"{name}.{suffix}") for name, drawing in files.items()]
    for name, drawing in files.items():
        write_file(Path(directory) / f"{name}.csv", drawing.values.csv().encode())
    return written
