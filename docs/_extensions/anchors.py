"""Anchors and links as they stand in the pages, which GitHub shows as well, told to Sphinx."""

from __future__ import annotations

import re
from typing import Any

ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')
"""What a page marks a place with."""
LINK = re.compile(r"\]\((?:[\w-]+\.md)?#([\w-]+)\)")


def convert(text: str) -> str:
    """Return a page with MyST's targets in place of anchors, and references to them in place of links."""
    text = ANCHOR.sub(r"(at-\1)=", text)
    return LINK.sub(r"](#at-\1)", text)


def setup(app: Any) -> dict[str, bool]:
    """Have every page converted as it is read."""

    def read(app: Any, name: str, source: list[str]) -> None:
        source[0] = convert(source[0])

    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
