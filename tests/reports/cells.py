"""Runs the code cells of a notebook as Jupyter would, without Jupyter; as a script, stores what they show.

python tests/reports/cells.py docs/example.ipynb
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def shown(notebook: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each code cell, run in turn in the working directory, and the value of its last expression."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            yield cell, _last_value("".join(cell["source"]), names)


def _last_value(source: str, names: dict[str, Any]) -> Any:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)


def bundle(value: Any) -> dict[str, Any]:
    """What Jupyter stores of a value: text, HTML where it has any, a picture where it is matplotlib's."""
    told: dict[str, Any] = {"text/plain": [repr(value)]}
    html = getattr(value, "_repr_html_", None)
    if html is not None:
        told["text/html"] = [html()]
    if hasattr(value, "get_figure"):
        stream = io.BytesIO()
        value.figure.savefig(stream, format="png", bbox_inches="tight", metadata={"Software": None})
        told["image/png"] = base64.b64encode(stream.getvalue()).decode()
    return told


def store(notebook: Path) -> None:
    """Run the notebook in an empty directory and write what its cells show into it."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        for i, (cell, (_, value)) in enumerate(zip(cells, shown(notebook), strict=True), 1):
            cell["execution_count"], cell["outputs"] = i, []
            if value is not None:
                result = {"output_type": "execute_result", "execution_count": i, "metadata": {}}
                cell["outputs"] = [{**result, "data": bundle(value)}]
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    store(Path(sys.argv[1]).resolve())
