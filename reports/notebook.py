"""Findings and results in a notebook: an HTML table with one plain sentence, and matplotlib axes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ..hypotheses.result import Finding, HypothesisCard, NullSummary, Result
from . import reasons, tables
from .numbers import printable, typeset
from .story import tell
from .tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def finding_html(finding: Finding, card: HypothesisCard | None = None) -> str:
    """Numbers of one finding, under its sentence; `card` is what the result says of its hypothesis."""
    sentence = reasons.said(finding, card) or reasons.why(finding) or str(finding)
    null = tables.null_label(finding)
    verdict = f" \u2013 <b>{escape(str(finding.verdict))}</b>" if finding.verdict else ""
    head = f"<p><code>{_text(finding.hypothesis)}</code> against {_text(null)}{verdict}. {_text(sentence)}</p>"
    return f"<div>{head}{_table(tables.numbers_of(finding))}</div>"


def result_html(result: Result) -> str:
    """Claims and findings of a run, under one sentence on what was tested."""
    story = tell(result)
    claims = "".join(
        _table(
            Table(
                p.title if story.several else "Claims",
                ("Claim", "Verdict", "In a sentence"),
                tuple((f"{c.claim.number}. {c.title}", str(c.claim.verdict), c.headline) for c in p.claims if c.claim),
            )
        )
        for p in story.papers
    )
    return f"<div><p>{_text(story.tested)}</p>{claims}{_table(tables.overview(result))}</div>"


def plot_finding(finding: Finding, beside: Sequence[Finding] = (), nulls: Sequence[NullSummary] = ()) -> Axes:
    """Estimation plot of a finding; the axes of its estimate, whose ``.figure`` holds the null histograms too.

    Parameters
    ----------
    beside
        Further rows of the same hypothesis and unit, e.g. under other null models.
    nulls
        What the result says of its null models; those with a caveat are marked.

    Raises
    ------
    ValueError
        If the finding has no estimate.
    """
    _estimate_of(finding)
    from .figures.estimation import estimation

    axes: Axes = estimation([finding, *beside], _shown_by_pyplot, nulls).figure.axes[0]
    return axes


def plot_on(axes: Axes, finding: Finding) -> Axes:
    """Draw a finding's estimate with its verdict interval, and its margin, on axes that may hold others already.

    Raises
    ------
    ValueError
        If the finding has no estimate.
    """
    estimate, height = _estimate_of(finding), len(axes.containers)
    low = estimate if finding.verdict_low is None else finding.verdict_low
    high = estimate if finding.verdict_high is None else finding.verdict_high
    spread = [[estimate - low], [high - estimate]]
    axes.errorbar([estimate], [height], xerr=spread, fmt="o", capsize=3, label=finding.hypothesis)
    if finding.margin is not None:
        axes.plot([finding.margin] * 2, [height - 0.3, height + 0.3], linestyle="--", color="0.4")
    axes.set_xlabel(finding.unit)
    axes.set_yticks([])
    return axes


def _estimate_of(finding: Finding) -> float:
    if finding.estimate is None:
        raise ValueError(f"{finding.hypothesis} has no estimate to draw; its verdict is {finding.verdict}")
    return finding.estimate


def _shown_by_pyplot(height: float) -> Figure:
    """Empty figure that a notebook shows at the end of its cell, and a script with ``plt.show()``."""
    import matplotlib.pyplot as plt

    from .figures.canvas import WIDTH

    return plt.figure(figsize=(WIDTH / 72, height / 72), dpi=144, facecolor="white")


def _text(text: str) -> str:
    return escape(printable(typeset(text)))


def _table(data: Table) -> str:
    if not data:
        return ""
    side = ["right" if i in data.numeric else "left" for i in range(len(data.columns))]
    head = "".join(f'<th scope="col" style="text-align:{side[i]}">{_text(c)}</th>' for i, c in enumerate(data.columns))
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:{side[i]}">{_text(c)}</td>' for i, c in enumerate(row)) + "</tr>"
        for row in data.rows
    )
    return f"<table><caption>{_text(data.caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
