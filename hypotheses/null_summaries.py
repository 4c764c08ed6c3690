"""What a result says of the null models behind it: their declarations, and how they did on these data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from . import catalogue
from .nulls.base import NullModel
from .prepared import PreparedData
from .result import Certificate, Finding, NullSummary, Role
from .statistics.base import BoundStatistic

DRAWS = 20
"""Draws that a null model's diagnostics look at."""


def null_summaries(
    data: PreparedData, findings: Sequence[Finding], seed: int, certificates: Mapping[str, Certificate]
) -> list[NullSummary]:
    """One card for each null model with an estimate among `findings`, in the order in which they come.

    Parameters
    ----------
    certificates
        Name of a null model -> outcome of its conformance checks, where these were run.
    """
    used: dict[str, list[str]] = {}
    for finding in findings:
        if finding.role is not Role.CONTROL and finding.estimate is not None and finding.null_model:
            for name in finding.null_model.split("+"):
                used.setdefault(name, []).append(finding.hypothesis)

    @cache
    def bound(hypothesis: str) -> BoundStatistic:
        made: BoundStatistic = catalogue.hypotheses.get(hypothesis).statistic.bind(data)
        return made

    cards = []
    for name, told in used.items():
        if name in catalogue.nulls:
            null, ids = catalogue.nulls.get(name), list(dict.fromkeys(told))
            found = {h: _diagnosed(null, partial(bound, h), data, seed) for h in ids}
            cards.append(_card(null, name, ids, {h: one for h, one in found.items() if one}, certificates.get(name)))
    return cards


def _card(
    null: NullModel, name: str, hypotheses: list[str], diagnostics: dict[str, dict[str, Any]],
    certificate: Certificate | None,
) -> NullSummary:  # fmt: skip
    return NullSummary(
        name=name, origin=catalogue.nulls.origin(name), randomises=null.randomises,
        preserves=[*getattr(null, "preserves", ())], breaks=[*getattr(null, "breaks", ())],
        exchangeable=getattr(null, "exchangeable", ""), reference=getattr(null, "reference", ""), when=null.when,
        hypotheses=hypotheses, diagnostics=diagnostics, certificate=certificate,
    )  # fmt: skip


def _diagnosed(null: NullModel, bound: Callable[[], BoundStatistic], data: PreparedData, seed: int) -> dict[str, Any]:
    """What the null model tells of its draws for one hypothesis; empty where it tells nothing."""
    if type(null).diagnostics is NullModel.diagnostics:
        return {}
    try:
        observed = bound().offers()[null.randomises]
        state = null.prepare(data.measurements, observed)
        told = null.diagnostics(state, null.draw(state, range(1, 1 + DRAWS), seed))
        return {str(key): _plain(value) for key, value in told.items()}
    except Exception as error:  # other people's code may raise anything, and the tests it vouches for are done
        return {"not to be had": f"{type(error).__name__}: {error}"}


def _plain(value: Any) -> Any:
    """`value` in what JSON holds."""
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    found = np.asarray(value)
    return found.tolist() if found.dtype.kind in "bifU" else str(value)
