"""Findings as a notebook shows them.

`Finding` itself cannot know the reports room, which stands above it.
"""

from __future__ import annotations

from .hypotheses.result import Finding


class ShownFinding(Finding):
    """A finding with an HTML face: one plain sentence and its numbers."""

    def _repr_html_(self) -> str:
        from .reports.notebook import finding_html

        return finding_html(self)
