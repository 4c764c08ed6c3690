"""From thousands of tests to rates with intervals, and the record of them that ships with the package."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...data.errors import InputError
from .. import catalogue
from ..inference.intervals import FEWEST_DOCUMENTS
from ..inference.permutation import clopper_pearson
from ..result import Kind, Verdict

if TYPE_CHECKING:
    from .plasmode import PlasmodeScenario
    from .scenario import Scenario

FORMAT = "4"
ESTIMATE, CI_LOW, CI_HIGH, LOW, HIGH, TRUTH, DOUBT, SKEWNESS = range(8)
"""Columns of `run.OUTPUT`."""

FloatArray = npt.NDArray[np.float64]


def summarise(
    lines: Iterable[dict[str, Any]], alpha: float, worlds: Sequence[Scenario | PlasmodeScenario]
) -> list[dict[str, Any]]:
    """One row per scenario and hypothesis: rejections, verdicts, coverage with Clopper-Pearson intervals, and width.

    Several outputs of one data set (heads) count as one data set in the width of an interval, since they share its
    documents.  ``above`` and ``below``: how often the truth lies above, or below, the trusted verdict interval, whose
    upper end alone decides most verdicts.  ``excluded_beyond_margin``: how often an effect between the margin and 1.2
    margins was called excluded.

    ``asked``: whether docs/methods.md#coverage asks for coverage: 50 documents or more, and document contrasts of
    skewness 1 at most. That is the mean skewness over the scenario's data sets, a property of the world. To choose
    data sets by their own would choose by the answer: contrasts that are skewed to the right look less so where the
    sample missed their tail, and there estimate and standard error both came out low (seven worlds of skewness 1.1 to
    2: a sample's skewness goes with its error, r = .2-.4; 95 % intervals cover .945, those of the least skewed third
    .90). What a reader of one report sees is another matter: ``verdict_trusted`` is coverage where the finding raises
    no doubt.

    Parameters
    ----------
    lines
        Chunks of a journal (`run.calibrate`).
    alpha
        Level of the tests.
    worlds
        What the chunks are of; others are left out.
    """
    every = {world.name: world for world in worlds}
    gathered: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in (line for line in lines if line["scenario"] in every):
        for hypothesis, rows in line["rows"].items():
            gathered.setdefault((line["scenario"], hypothesis), []).extend(rows)
    order = {name: place for place, name in enumerate(every)}
    names = sorted(gathered, key=lambda key: (order.get(key[0], len(order)), key[1]))
    return [
        _summary(every[scenario], hypothesis, gathered[scenario, hypothesis], alpha) for scenario, hypothesis in names
    ]


def summarise_claims(
    lines: Iterable[dict[str, Any]], worlds: Sequence[Scenario | PlasmodeScenario]
) -> list[dict[str, Any]]:
    """One row per claim and scenario: how often the claim as a whole was supported and refuted.

    Parameters
    ----------
    lines, worlds
        As of `summarise`.
    """
    every = {world.name: world for world in worlds}
    gathered: dict[str, list[str]] = {}
    claims: dict[str, str] = {}
    for line in lines:
        if "claim" in line and line["scenario"] in every:
            gathered.setdefault(line["scenario"], []).extend(line["verdicts"])
            claims[line["scenario"]] = line["claim"]
    return [
        {
            "claim": claims[name],
            "scenario": name,
            "says": world.says,
            "documents": world.documents,
            "neurons": world.neurons,
            "datasets": len(gathered[name]),
            "supported": rate(gathered[name].count(Verdict.SUPPORTED), len(gathered[name])),
            "refuted": rate(gathered[name].count(Verdict.REFUTED), len(gathered[name])),
        }
        for name, world in every.items()
        if name in gathered
    ]


def _summary(
    scenario: Scenario | PlasmodeScenario, hypothesis: str, rows: Sequence[dict[str, Any]], alpha: float
) -> dict[str, Any]:
    declared = catalogue.hypothesis(hypothesis)
    outputs = np.array([o for row in rows for o in row["outputs"]], dtype=np.float64)
    verdicts = Counter(row["verdict"] for row in rows if "verdict" in row)
    wrong = Verdict.SUPPORTED if declared.kind is Kind.PRESENCE else Verdict.REFUTED
    out: dict[str, Any] = {
        "hypothesis": hypothesis,
        "scenario": scenario.name,
        "purpose": scenario.purpose,
        "says": scenario.says,
        "setting": scenario.setting,
        "strength": scenario.strength,
        "documents": scenario.documents,
        "neurons": scenario.neurons,
        "unit": declared.criterion.unit,
        "datasets": len(rows),
        "rejected": rate(sum(row["p"] < alpha for row in rows), len(rows)),
        "mean_p": float(np.mean([row["p"] for row in rows])),
        "mean_estimate": _strongest(rows, ESTIMATE),
        "mean_truth": _strongest(rows, TRUTH),
        "verdicts": dict(sorted(verdicts.items())),
        "found": rate(verdicts[wrong], len(rows)) if verdicts else None,
    }
    each = len(outputs) / len(rows)
    trusted = outputs[outputs[:, DOUBT] == 0]
    skewness = outputs[:, SKEWNESS][np.isfinite(outputs[:, SKEWNESS])]
    modest = len(skewness) > 0 and bool(abs(skewness.mean()) <= 1)
    out["skewness"] = float(skewness.mean()) if len(skewness) else None
    out["asked"] = modest and scenario.documents >= FEWEST_DOCUMENTS
    out["doubted"] = rate(int((outputs[:, DOUBT] == 1).sum()), len(outputs))
    out |= {
        "document": _covered(outputs, CI_LOW, CI_HIGH, each),
        "verdict": _covered(outputs, LOW, HIGH, each),
        "verdict_trusted": _covered(trusted, LOW, HIGH, each),
        "above": _clustered(trusted[:, TRUTH] > trusted[:, HIGH], np.isfinite(trusted[:, [TRUTH, HIGH]]).all(1), each),
        "below": _clustered(trusted[:, TRUTH] < trusted[:, LOW], np.isfinite(trusted[:, [TRUTH, LOW]]).all(1), each),
    }
    if declared.margin is not None:
        excluded = Verdict.SUPPORTED if declared.kind is Kind.ABSENCE else Verdict.REFUTED
        beyond = [row for row in rows if declared.margin <= _largest(row, TRUTH) < 1.2 * declared.margin]
        out["excluded_beyond_margin"] = rate(sum(row["verdict"] == excluded for row in beyond), len(beyond))
    return out


def rate(count: int, total: int) -> dict[str, float] | None:
    """Count, total, share and its 95 % Clopper-Pearson interval; None of nothing."""
    if total == 0:
        return None
    low, high = clopper_pearson(count, total)
    return {"count": int(count), "of": int(total), "share": count / total, "low": low, "high": high}


def _clustered(hit: Any, known: Any, each: float) -> dict[str, float] | None:
    """`rate` of `hit` among `known` outputs, of which `each` come from one data set."""
    total = int(known.sum())
    if total == 0:
        return None
    share, sets = float(hit[known].mean()), max(1, round(total / each))
    told = rate(round(share * sets), sets)
    return None if told is None else told | {"share": share}


def _covered(outputs: FloatArray, low: int, high: int, each: float) -> dict[str, Any] | None:
    """Share of the intervals that hold the truth, where both are known, and their median width."""
    known = np.isfinite(outputs[:, [low, high, TRUTH]]).all(1)
    inside = np.logical_and(outputs[:, low] <= outputs[:, TRUTH], outputs[:, TRUTH] <= outputs[:, high])
    share = _clustered(inside, known, each)
    return None if share is None else share | {"width": float(np.median((outputs[:, high] - outputs[:, low])[known]))}


def _largest(row: dict[str, Any], column: int) -> float:
    values = [o[column] for o in row["outputs"] if o[column] is not None]
    return max(values, default=float("-inf"))


def _strongest(rows: Sequence[dict[str, Any]], column: int) -> float | None:
    """Mean over data sets of the output with the largest estimate (the only one, but for heads)."""
    values = [max(row["outputs"], key=lambda o: o[ESTIMATE])[column] for row in rows]
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


def write_record(path: Path, rows: Sequence[dict[str, Any]], provenance: dict[str, Any]) -> None:
    """Store a summary, one line of JSON for where it comes from and one per row; the file is whole or not there."""
    lines = [{"format": FORMAT, **provenance}, *rows]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def read_record(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Where a stored summary comes from, and its rows of hypotheses; without a file, nothing.

    Raises
    ------
    InputError
        If the file is not a calibration record.
    """
    if not path.exists():
        return {"format": FORMAT}, []
    try:
        head, *rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
        known = head["format"]
        _ = [row["hypothesis"] for row in rows if "claim" not in row]
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, RecursionError):
        raise InputError("not a calibration record", str(path), "write one with neuronull calibrate") from None
    if known != FORMAT:
        raise InputError(f"the record has format {known!r}, not {FORMAT!r}", str(path),
                         "write it anew with neuronull calibrate")  # fmt: skip
    return head, [row for row in rows if "claim" not in row]


@cache
def recorded(paper: str) -> tuple[dict[str, Any], ...]:
    """Rows of a paper's record; none where it has no record."""
    path = catalogue.papers.get(paper).record
    return () if path is None else tuple(read_record(path)[1])


def calibration_line(hypothesis_id: str) -> str | None:
    """What the record says of a test's size, in one line; None where it was not calibrated.

    Of several papers that declare it, the first, so that a paper that is installed beside others moves nothing of
    theirs.
    """
    return told([row for paper in catalogue.papers_of(hypothesis_id)[:1] for row in recorded(paper.id)], hypothesis_id)


def told(rows: Sequence[dict[str, Any]], hypothesis_id: str) -> str | None:
    """What rows say of a test's size: of several null scenarios that with the highest rejection rate speaks."""
    nulls = [row for row in rows if row["hypothesis"] == hypothesis_id and row["purpose"] == "null"]
    if not nulls:
        return None
    worst = max(nulls, key=lambda r: (r["rejected"]["share"], r["datasets"]))
    said = worst["rejected"]
    of = "" if len(nulls) == 1 else f", the worst of {len(nulls)}"
    return (
        f"on null data this test rejected {percent(said)} at 5 % (R = {said['of']:,}, scenario {worst['scenario']}{of})"
    )


def percent(share: dict[str, Any]) -> str:
    """A rate with its interval: ``4.6 % [4.0, 5.3]``."""
    return f"{100 * share['share']:.1f} % [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"
