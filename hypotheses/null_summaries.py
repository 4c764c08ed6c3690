"""What a result says of the null models behind it: their declarations, and how they did on these data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import catalogue
from .nulls.base import NullModel
from .prepared import PreparedData
from .result import Certificate, Finding, NullSummary, Role
from .statistic import BoundStatistic
from .threads import limited_to

if TYPE_CHECKING:
    from .views import Prepared

DRAWS = 20
"""Draws that a null model's diagnostics look at."""


@limited_to(1)
def null_summaries(
    prepared: Prepared, findings: Sequence[Finding], seed: int, certificates: Mapping[str, Certificate]
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

    by_id = {h.id: h for h in prepared.choice.hypotheses}
    models = {n.name: n for h in by_id.values() for n in map(catalogue.null_of, (*h.nulls, *h.sensitivity))}
    models |= {name: catalogue.nulls.get(name) for name in used if name in catalogue.nulls}

    @cache
    def bound(hypothesis: str) -> BoundStatistic:
        declared = by_id[hypothesis]
        return declared.statistic.bind(prepared.of(declared))

    cards = []
    for name, using in used.items():
        if name not in models:
            continue
        null, ids = models[name], [h for h in dict.fromkeys(using) if h in by_id]
        found = {h: _diagnosed(null, partial(bound, h), prepared.base, seed) for h in ids}
        filled = prepared.of(by_id[ids[0]]).filled if ids else prepared.main.filled
        cards.append(
            _card(null, filled(null.says), ids, {h: one for h, one in found.items() if one}, certificates.get(name))
        )
    return cards


def _card(
    null: NullModel, says: str, hypotheses: list[str], diagnostics: dict[str, dict[str, Any]],
    certificate: Certificate | None,
) -> NullSummary:  # fmt: skip
    return NullSummary(
        name=null.name, origin=catalogue.origin_of(null), randomises=null.randomises, says=says,
        caveat=null.caveat, bibtex=list(null.bibtex),
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
        found = null.diagnostics(state, null.draw(state, range(1, 1 + DRAWS), seed))
        return {str(key): _plain(value) for key, value in found.items()}
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
