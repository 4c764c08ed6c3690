"""How it is told: one result object as HTML, Markdown, JSON, LaTeX, PDF, GraphML, figures and terminal text.

Nothing here loads torch, and matplotlib, pandas and pyarrow only when a function needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from ..hypotheses.result import Result

Format = Literal["html", "md", "json", "tex", "pdf", "graphml"]
FORMATS: tuple[str, ...] = get_args(Format)

__all__ = ["FORMATS", "Format", "load_result", "render", "summary", "write_results"]


def render(results: Sequence[Result], format: Format, out: Path | str) -> Path:
    """Write one result, or several side by side, to the file `out`.

    Raises
    ------
    InputError
        If the format is unknown, cannot hold these results, or `out` cannot be written.
    """
    from ..data.errors import InputError
    from .files import write_file

    if format not in FORMATS:
        raise InputError(f"no format {format!r}", "--format", f"choose {', '.join(FORMATS)}")
    if not results:
        raise InputError("no run to report", "RUN", "give at least one run's directory")
    path = Path(out)
    write_file(path, _content(list(results), format))
    return path


def _content(results: list[Result], format: Format) -> bytes:
    if format == "graphml":
        from . import graphml

        return graphml.render(results)
    if format == "pdf":
        from . import pdf

        return pdf.render(_page(results, opened=True))
    return _text(results, format).encode()


def _text(results: list[Result], format: Format) -> str:
    if len(results) > 1:
        from . import compare

        return compare.render(results, format)
    if format == "html":
        return _page(results)
    if format == "md":
        from . import markdown

        return markdown.render(results[0])
    if format == "tex":
        from . import latex

        return latex.render(results[0])
    from .files import result_json

    return result_json(results[0])


def _page(results: list[Result], *, opened: bool = False) -> str:
    from . import compare, html

    return html.render(results[0], opened=opened) if len(results) == 1 else compare.html(compare.compare(results))


def summary(result: Result, report_path: Path | str | None = None) -> str:
    """Table that ends a run, as plain text."""
    from . import terminal

    return terminal.summary(result, report_path)


def write_results(result: Result, directory: Path | str) -> None:
    """Write ``results.json``, ``.parquet``, ``.csv`` and ``provenance.json``."""
    from . import files

    files.write_results(result, directory)


def load_result(source: Path | str) -> Result:
    """Read a result back from a run's directory or its ``results.json``."""
    from . import files

    return files.load_result(source)
