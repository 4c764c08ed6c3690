"""Findings as a notebook shows them.

`Finding` itself cannot know the reports room, which stands above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PrivateAttr

from .hypotheses.result import Finding, HypothesisCard, NullSummary, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ShownFinding(Finding):
    """A finding with an HTML face (one plain sentence and its numbers) and a plot."""

    _others: tuple[Finding, ...] = PrivateAttr(default=())
    _card: HypothesisCard | None = PrivateAttr(default=None)
    _nulls: tuple[NullSummary, ...] = PrivateAttr(default=())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Estimate, interval and margin above what each null model gives; the matplotlib axes of the estimate.

        The axes of the null models are in its ``.figure``.

        Parameters
        ----------
        ax
            Draw estimate, interval and margin on these axes alone, at a height of their own, and nothing else.

        Raises
        ------
        ValueError
            If nothing was estimated.
        """
        from .reports.notebook import plot_finding, plot_on

        if ax is not None:
            return plot_on(ax, self)
        return plot_finding(self, self._others, self._nulls)

    def __repr__(self) -> str:
        return str(self)  # not every draw of its null models

    def _repr_html_(self) -> str:
        from .reports.notebook import finding_html

        return finding_html(self, self._card)


def shown(finding: Finding, result: Result) -> ShownFinding:
    """`finding` as an object that a notebook shows; its plot has its fellows of the same result beside it."""
    made = ShownFinding.model_construct(**dict(finding))
    made._others = tuple(
        f for f in result.findings if f is not finding and (f.hypothesis, f.unit) == (finding.hypothesis, finding.unit)
    )
    made._card, made._nulls = result.hypothesis(finding.hypothesis), tuple(result.nulls)
    return made
