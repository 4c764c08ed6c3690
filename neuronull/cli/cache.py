"""``neuronull cache``: what finished and unfinished measurements take on the disk."""

from __future__ import annotations

import datetime
import json
from typing import Annotated

import typer

from ..data.errors import InputError

app = typer.Typer(help="Show or empty the cache of measurements.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Unfinished = Annotated[
    bool, typer.Option("--unfinished", help="Only what runs that were cut off left; they would begin again.")
]


@app.command("ls")
def cache_ls(as_json: Json = False) -> None:
    """List what lies in the cache: size, kind, date, and what was measured."""
    from ..data.cache import entries
    from ..data.store import cache_directory

    found = entries()
    if as_json:
        rows = [{"path": str(e.path), "kind": e.kind, "bytes": e.bytes, "what": e.what} for e in found]
        typer.echo(json.dumps(rows, indent=1))
        return
    for entry in found:
        day = datetime.datetime.fromtimestamp(entry.modified).strftime("%Y-%m-%d")
        typer.echo(f"{size(entry.bytes):>9}  {entry.kind:11}  {day}  {entry.path.name[:12]}  {entry.what}".rstrip())
    total = sum(entry.bytes for entry in found)
    typer.echo(f"{size(total):>9}  in all, in {cache_directory()}")


@app.command("clean")
def cache_clean(unfinished: Unfinished = False) -> None:
    """Empty the cache; what a run is writing at this moment stays."""
    from ..data.cache import entries, remove

    chosen = [e for e in entries() if e.kind != "writing" and (not unfinished or e.kind != "measurement")]
    left = [entry.path for entry in chosen if not remove(entry)]
    freed = sum(entry.bytes for entry in chosen if entry.path not in left)
    typer.echo(f"{len(chosen) - len(left)} removed, {size(freed)} freed")
    if left:
        raise InputError(f"{left[0]} cannot be removed", "neuronull cache clean", "check the permissions")


def size(count: int) -> str:
    """Bytes for a reader: three digits and a unit."""
    value, unit = float(count), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 100 or unit == "B" else f"{value:.3g} {unit}"
