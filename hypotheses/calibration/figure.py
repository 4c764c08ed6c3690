"""The figure of a calibration: size of every test on every null scenario, and power against strength."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

BAR = 0.07
"""Upper bound that the size of a test at .05 must stay under (docs/methods.md#calibration)."""


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the figure; the format follows the file's suffix."""
    nulls = [r for r in rows if r["purpose"] == "null"]
    curves: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["purpose"] == "power":
            curves.setdefault((row["hypothesis"], row["setting"]), []).append(row)
    columns = 4
    deep = -(-len(curves) // columns)
    figure = Figure(figsize=(12, max(2.5, 0.22 * len(nulls)) + 2.3 * deep), layout="constrained")
    parts = figure.subfigures(2, 1, squeeze=False, height_ratios=[max(2.5, 0.22 * len(nulls)), max(2.3 * deep, 0.1)])
    size, power = parts[:, 0]
    _sizes(size.subplots(), nulls)
    if curves:
        axes = power.subplots(deep, columns, squeeze=False).ravel()
        for axis, ((hypothesis, setting), points) in zip(axes, curves.items(), strict=False):
            _power(axis, hypothesis, setting, points)
        for axis in axes[len(curves) :]:
            axis.set_visible(False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _sizes(axis: Axes, rows: Sequence[dict[str, Any]]) -> None:
    for place, row in enumerate(reversed(rows)):
        said = row["rejected"]
        axis.plot([said["low"], said["high"]], [place, place], color="0.3", linewidth=1.5)
        axis.plot(said["share"], place, "o", color="tab:red" if said["high"] >= BAR else "tab:blue", markersize=4)
    axis.axvline(0.05, color="0.5", linewidth=0.8)
    axis.axvline(BAR, color="tab:red", linewidth=0.8, linestyle="--")
    labels = [f"{row['hypothesis']}  on  {row['scenario']}  (R = {row['datasets']:,})" for row in reversed(rows)]
    axis.set_yticks(range(len(rows)), labels, fontsize=7)
    axis.set_xlim(left=0)
    axis.set_xlabel("rejection rate at .05 on null data, 95 % interval")


def _power(axis: Axes, hypothesis: str, setting: str, points: Sequence[dict[str, Any]]) -> None:
    points = sorted(points, key=lambda row: row["strength"])
    strength = [row["strength"] for row in points]
    share = [row["rejected"]["share"] for row in points]
    reach = [
        [s - row["rejected"]["low"] for s, row in zip(share, points, strict=True)],
        [row["rejected"]["high"] - s for s, row in zip(share, points, strict=True)],
    ]
    axis.errorbar(strength, share, yerr=reach, marker="o", markersize=3, color="tab:blue", linewidth=1)
    axis.axhline(0.8, color="0.6", linewidth=0.8)
    axis.set_ylim(0, 1.03)
    axis.set_title(hypothesis, fontsize=8)
    axis.set_xlabel(setting.replace("_", " "), fontsize=7)
    axis.tick_params(labelsize=7)
