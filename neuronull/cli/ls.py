"""``neuronull ls`` and ``neuronull show``: what there is, and everything declared about one of them."""

from __future__ import annotations

import json
import shutil
import textwrap
from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..data.errors import InputError
from ..data.registry import suggestion

Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
_KINDS = ("papers", "hypotheses", "nulls", "models", "corpora")
_WIDEST = 118


def ls(
    kind: Annotated[
        str, typer.Argument(metavar="[KIND]", help="papers, hypotheses, nulls, models or corpora; all without one.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List what there is to choose from: id, one line of what it is, where it came from."""
    if not kind:
        _ls_all(as_json)
        return
    if kind not in _KINDS:
        raise InputError(f"{kind!r} cannot be listed", "KIND", suggestion(kind, _KINDS) or f"give {', '.join(_KINDS)}")
    if as_json:
        typer.echo(json.dumps(_rows(kind), indent=1))
        return
    _print(kind)


def _ls_all(as_json: bool) -> None:
    """Every kind, one after the other."""
    if as_json:
        typer.echo(json.dumps({kind: _rows(kind) for kind in _KINDS}, indent=1))
        return
    for place, kind in enumerate(_KINDS):
        typer.echo(("\n" if place else "") + kind.upper())
        _print(kind)


def _rows(kind: str) -> list[dict[str, Any]]:
    from .. import listing

    rows = [asdict(entry) for entry in listing.KINDS[kind]()]
    return rows + [{"id": name, "broken": why} for name, why in listing.broken(kind).items()]


def _print(kind: str) -> None:
    from .. import listing

    entries, broken = listing.KINDS[kind](), listing.broken(kind)
    wide = max((len(entry.id) for entry in entries), default=0)
    for entry in entries:
        text = entry.what if entry.origin == "built in" else f"{entry.what}  [{entry.origin}]"
        typer.echo(_hanging(f"{entry.id:{wide}}   ", text))
    for name, why in broken.items():
        typer.echo(_hanging(f"{name:{wide}}   ", f"cannot be used: {why}"), err=True)


def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of anything that neuronull ls lists.")],
    as_json: Json = False,
) -> None:
    """Print everything that is declared about one paper, hypothesis, null model, model or corpus."""
    from .. import listing

    found = listing.declared(name)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
        return
    for what, told in found.items():
        typer.echo(f"{what} {told['id']}")
        _tell({key: value for key, value in told.items() if key not in ("id", "name")}, "  ")


def _tell(told: dict[str, Any], indent: str) -> None:
    wide = max(len(key) for key in told)
    for key, value in told.items():
        head = f"{indent}{key:{wide}}  "
        if isinstance(value, dict):
            typer.echo(f"{head}{value.pop('is', '')}".rstrip())
            _tell(value, indent + " " * 4)
        elif isinstance(value, str) and "\n" in value:
            typer.echo(f"{head.rstrip()}\n{textwrap.indent(value, indent + '    ')}")
        else:
            typer.echo(_hanging(head, "; ".join(map(str, value)) if isinstance(value, list) else str(value)))


def _hanging(head: str, text: str) -> str:
    """Text behind a head, in lines that the terminal holds; COLUMNS says how many where there is none."""
    width = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
    lines = textwrap.wrap(text, max(20, width - len(head)), break_on_hyphens=False) or [""]
    return "\n".join([head + lines[0], *(" " * len(head) + line for line in lines[1:])]).rstrip()
