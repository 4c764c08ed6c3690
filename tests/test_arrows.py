"""The rooms know each other in one direction only, and the front door opens at once."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["data", "estimators", "hypotheses", "reports", "neuronull"]
"""Each may import those before it."""

HEAVY = ("torch", "transformers", "pandas", "scipy", "statsmodels", "pingouin", "powerlaw", "matplotlib", "pydantic",
         "numpy", "numba", "networkx", "igraph")  # fmt: skip


def sources() -> list[Path]:
    found = [path for room in ORDER for path in sorted((ROOT / room).rglob("*.py"))]
    return sorted({path.resolve() for path in found})  # neuronull/ holds links to the other rooms


def imported(path: Path, *, at_run_time_only: bool = False) -> Iterator[str]:
    """Absolute names of the modules that a file imports, ``neuronull.room.module`` for the house's own."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts if parts[0] == "neuronull" else ("neuronull", *parts)
    package = inside[:-1]  # of the file; for __init__.py this is the package itself
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = type_checking_blocks(tree) if at_run_time_only else ()
    skipped = {id(node) for block in blocks for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = list(package[: len(package) - node.level + 1]) if node.level else []
            module = ".".join(above + ([node.module] if node.module else []))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def type_checking_blocks(tree: ast.AST) -> Iterator[ast.If]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield node


def room(module: str) -> str | None:
    """Room that a module of the house lies in; None for others."""
    parts = module.split(".")
    if parts[0] != "neuronull":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in ORDER else "neuronull"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way(path: Path):
    here = ORDER.index(path.relative_to(ROOT).parts[0])
    wrong = {m for m in imported(path) if (r := room(m)) is not None and ORDER.index(r) > here}
    if here < ORDER.index("neuronull"):
        wrong -= {"neuronull"}  # the bare package, in `from ... import`
    assert not wrong, f"{path.relative_to(ROOT)} may import {ORDER[: here + 1]} only"


def test_the_reader_of_imports_reads_imports():
    """Guards the guard: known arrows are seen."""
    seen = set(imported(ROOT / "data" / "registry.py"))
    assert {"neuronull.data.errors", "neuronull.data.errors.InputError", "difflib"} <= seen
    assert len(sources()) > 20


@pytest.mark.parametrize("path", [p for p in sources() if p.is_relative_to(ROOT / "reports")], ids=lambda p: p.name)
def test_reports_import_no_torch(path: Path):
    assert not {m for m in imported(path) if m.split(".")[0] in {"torch", "transformers"}}


def test_reports_load_no_torch():
    """Nor through a neighbour: what the reports room imports at run time brings no torch along."""
    files = [p.relative_to(ROOT).with_suffix("") for p in (ROOT / "reports").rglob("*.py") if p.stem != "__init__"]
    modules = [".".join(("neuronull", *file.parts)) for file in files]
    code = f"import importlib, sys\nfor m in {modules!r}: importlib.import_module(m)\nprint('torch' in sys.modules)"
    assert python(code) == "False"


@pytest.mark.parametrize(
    "path", [p for p in sources() if p.is_relative_to(ROOT / "hypotheses" / "inference")], ids=lambda p: p.name
)
def test_inference_knows_no_model(path: Path):
    allowed = ("neuronull.data.errors", "neuronull.data.options", "neuronull.hypotheses.inference",
               "neuronull.hypotheses.numbers", "neuronull.hypotheses.result")  # fmt: skip
    own = {m for m in imported(path, at_run_time_only=True) if room(m) is not None}
    containers = {m for m in own if any(a.startswith(f"{m}.") for a in allowed)}
    assert not {m for m in own - containers if not m.startswith(allowed)}
    assert not {m for m in imported(path) if m.split(".")[0] in {"transformers", "tokenizers"}}


PAPERS = ROOT / "hypotheses" / "papers"
FRAMEWORK = [p for p in sources() if not p.is_relative_to(PAPERS)]


@pytest.mark.parametrize("path", FRAMEWORK, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_framework_imports_no_paper(path: Path):
    """Papers know the framework; the catalogue alone names them, and imports none until it is asked."""
    assert not {m for m in imported(path) if m.startswith("neuronull.hypotheses.papers")}


OF_A_PAPER = re.compile(r"\brare\b|plateau|\bLiu\b", re.IGNORECASE)
SPEAKS_OF_ONE: dict[str, str] = {
    "hypotheses/result.py": "the column `plateau` keeps its name for ever; an example of a citation",
    "hypotheses/upgrade.py": "results of format 1 are all of one paper",
    "neuronull/api.py": "the option `plateau` keeps its name",
    "neuronull/cli/options.py": "`--conditions rare`, `--plateau` and `--threshold` keep their names",
}
"""Files of the framework that have a paper's word, and the contract that asks for it."""

SPOKEN = [p for p in FRAMEWORK if p.relative_to(ROOT).parts[0] in ("hypotheses", "reports", "neuronull")]


@pytest.mark.parametrize("path", SPOKEN, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_framework_speaks_of_no_paper(path: Path):
    if str(path.relative_to(ROOT)) in SPEAKS_OF_ONE:
        return
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    found = [f"{number}: {line.strip()}" for number, line in lines if OF_A_PAPER.search(line)]
    assert not found, f"{path.relative_to(ROOT)} speaks of a paper; use the names of set and conditions"


def test_the_list_of_what_may_speak_of_a_paper_is_short_and_true():
    assert len(SPEAKS_OF_ONE) <= 8
    for name in SPEAKS_OF_ONE:
        assert OF_A_PAPER.search((ROOT / name).read_text(encoding="utf-8")), f"{name} no longer does"


def test_import_loads_nothing_heavy():
    code = f"import sys, neuronull\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    assert python(code) == "[]"


def test_import_takes_under_300_ms():
    code = "import time\nstart = time.process_time()\nimport neuronull\nprint(time.process_time() - start)"
    assert min(float(python(code)) for _ in range(3)) < 0.3


def test_help_loads_nothing_heavy():
    """`neuronull --help` takes well under a second because of this."""
    heavy = [m for m in HEAVY if m != "pydantic"]
    code = (
        "import sys\nfrom neuronull.cli import main\n"
        f"main(['run', '--help'])\nprint([m for m in {heavy!r} if m in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


def test_every_public_name_is_there():
    code = "import neuronull as nn\nprint([n for n in nn.__all__ if getattr(nn, n, None) is None], nn.__version__)"
    assert python(code).startswith("[] ")


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()
