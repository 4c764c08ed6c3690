"""The whole report as PDF, printed by a browser that is installed; the HTML's print style does the work."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..data.errors import InputError

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "microsoft-edge",
    "msedge",
    "chrome-headless-shell",
)
_SECONDS = 600


def browser() -> str | None:
    """Path of a browser that can print without a window; None where there is none."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def render(html: str) -> bytes:
    """Print a standalone page.

    Raises
    ------
    InputError
        If no browser is installed or it fails.
    """
    program = browser()
    if program is None:
        raise InputError(
            "PDF needs Chromium, Chrome or Edge, and none is on PATH",
            "--format pdf",
            "install one, or print the HTML report",
        )
    with tempfile.TemporaryDirectory(prefix="neuronull-pdf-") as scratch:
        page, out = Path(scratch, "report.html"), Path(scratch, "report.pdf")
        page.write_text(html, encoding="utf-8")
        error = _print(program, page, out, Path(scratch, "profile"))
        if not out.exists() or not out.read_bytes().startswith(b"%PDF"):
            raise InputError(
                f"the browser printed no PDF: {error or 'no message'}", program, "print the HTML report by hand"
            )
        return out.read_bytes()


def _print(program: str, page: Path, out: Path, profile: Path) -> str:
    """Last line of what the browser said."""
    options = [
        "--headless",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-pdf-header-footer",
        f"--user-data-dir={profile}",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # Chromium refuses its sandbox as root; the page holds no script and asks for nothing
        options.append("--no-sandbox")
    try:
        done = subprocess.run(
            [program, *options, f"--print-to-pdf={out}", page.as_uri()],
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
