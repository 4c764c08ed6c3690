"""Findings as a notebook shows them.

`Finding` itself cannot know the reports room, which stands above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import PrivateAttr

from .hypotheses.result import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ShownFinding(Finding):
    """A finding with an HTML face (one plain sentence and its numbers) and a plot."""

    _beside: tuple[Finding, ...] = PrivateAttr(default=())

    def plot(self) -> Axes:
        """Estimate, interval and margin above what each null model gives; the matplotlib axes of the estimate.

        The axes of the null models are in its ``.figure``.

        Raises
        ------
        ValueError
            If nothing was estimated.
        """
        from .reports.notebook import plot_finding

        return plot_finding(self, self._beside)

    def __repr__(self) -> str:
        return str(self)  # not every draw of its null models

    def _repr_html_(self) -> str:
        from .reports.notebook import finding_html

        return finding_html(self)


def shown(finding: Finding, findings: Sequence[Finding]) -> ShownFinding:
    """`finding` as an object that a notebook shows; its plot has its fellows among `findings` beside it."""
    made = ShownFinding.model_construct(**dict(finding))
    made._beside = tuple(
        f for f in findings if f is not finding and (f.hypothesis, f.unit) == (finding.hypothesis, finding.unit)
    )
    return made
