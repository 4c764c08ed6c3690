"""What code, reports and pages cite of `docs/` is there, and what pages show as Python is Python."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
CITED = re.compile(r"docs/([\w-]+\.md)(?:#([\w-]+))?")
LINK = re.compile(r"\]\(([\w./-]*)(?:#([\w-]+))?\)")
ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
READERS = {
    "python": ast.parse,
    "toml": tomllib.loads,
    "json": json.loads,
    "bash": lambda text: subprocess.run(["bash", "-n"], input=text, text=True, check=True),
}


def anchors(page: Path) -> list[str]:
    return ANCHOR.findall(page.read_text(encoding="utf-8"))


def citing() -> Iterator[Path]:
    """Every text of the repository that can cite a page."""
    for room in ("data", "estimators", "hypotheses", "reports", "neuronull", "tests", "docs"):
        for suffix in ("*.py", "*.md"):
            yield from (ROOT / room).rglob(suffix)
    yield from ROOT.glob("*.md")


def test_every_anchor_that_is_cited_is_there():
    missing = []
    for path in citing():
        for page, anchor in CITED.findall(path.read_text(encoding="utf-8")):
            target = ROOT / "docs" / page
            if not target.is_file() or (anchor and anchor not in anchors(target)):
                missing.append(f"{path.relative_to(ROOT)}: docs/{page}#{anchor}")
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path):
    missing = []
    for file, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(f"{file}#{anchor}")
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_an_anchor_names_one_place(page: Path):
    found = anchors(page)
    assert len(found) == len(set(found))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_can_be_read(page: Path):
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        READERS[language](text)
