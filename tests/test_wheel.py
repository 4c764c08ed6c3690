"""What a user installs: real files, nothing missing, and a command that works beside a checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("data", "estimators", "hypotheses", "reports")


def run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(w) for w in words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout as git sees it: tracked files, new ones that are not ignored, links as links."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    copy = tmp_path_factory.mktemp("tree")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, copy / name
        if source.is_symlink() or source.is_file():  # a tracked file may be deleted in the work tree
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    return copy


@pytest.fixture(scope="session")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist from the tree and the wheel from the sdist, without fetching build tools."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree, cwd=out)
    return out


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="session")
def sdist(built: Path) -> Path:
    (found,) = built.glob("*.tar.gz")
    return found


def package_files(tree: Path) -> set[str]:
    """Every file that the installed package must hold, by its path in it."""
    kept = (".py", ".json", ".gz", ".safetensors", ".npz", ".j2", ".html", ".css", ".js", ".typed", ".tex", ".txt")
    own = {p.relative_to(tree).as_posix() for p in (tree / "neuronull").rglob("*") if p.is_file() and p.suffix in kept}
    rooms = {f"neuronull/{p.relative_to(tree).as_posix()}" for room in ROOMS for p in (tree / room).rglob("*")
             if p.is_file() and p.suffix in kept}  # fmt: skip
    return {name for name in own | rooms if "__pycache__" not in name}


def test_the_tree_holds_links_and_the_wheel_real_files(tree: Path, wheel: Path):
    assert all((tree / "neuronull" / room).is_symlink() for room in ROOMS)
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    assert not [name for name, mode in modes.items() if mode & 0o170000 == 0o120000]
    assert package_files(tree) - set(modes) == set()


def test_the_wheel_puts_one_package_into_site_packages(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        text = archive.read(next(n for n in archive.namelist() if n.endswith("METADATA"))).decode()
    assert {top for top in tops if not top.endswith(".dist-info")} == {"neuronull"}
    assert "License-Expression: GPL-3.0-or-later" in text


def test_the_sdist_holds_real_files(tree: Path, sdist: Path):
    with tarfile.open(sdist) as archive:
        members = {m.name.split("/", 1)[1]: m for m in archive.getmembers() if "/" in m.name}
    assert not [name for name, member in members.items() if member.issym() or member.islnk()]
    assert package_files(tree) - set(members) == set()
    assert {"LICENSE", "constraints.txt", "Makefile", "CHANGELOG.md", "pyproject.toml"} <= set(members)


@pytest.fixture(scope="session")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone into a new environment that finds the dependencies where the tests do."""
    home = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home)
    python = home / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=home).strip())
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=home)
    # After the wheel's own directory, and as a plain path: an editable neuronull over there is not followed.
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return home / "bin" / "neuronull"


@pytest.mark.parametrize("cwd", [ROOT, None], ids=["in the checkout", "elsewhere"])
def test_the_command_works_from_the_wheel(command: Path, cwd: Path | None, tmp_path: Path):
    cwd = cwd or tmp_path
    assert run(command, "--version", cwd=cwd).startswith("neuronull 0.")
    assert "matched_sets" in run(command, "ls", "nulls", cwd=cwd)


def test_it_is_the_wheel_that_runs(command: Path, tmp_path: Path):
    code = "import neuronull, neuronull.data.errors as e; print(neuronull.__file__, e.__file__)"
    for path in run(command.parent / "python", "-c", code, cwd=tmp_path).split():
        assert Path(path).is_relative_to(command.parent.parent), "not the editable installation"


@pytest.mark.slow
def test_the_main_job_runs_from_the_wheel(command: Path, tmp_path: Path):
    told = run(command, "run", "--out", tmp_path / "run", cwd=ROOT)
    assert told.splitlines()[-1] == f"report   {tmp_path / 'run' / 'report.html'}"
    assert (tmp_path / "run" / "results.json").stat().st_size > 1000
