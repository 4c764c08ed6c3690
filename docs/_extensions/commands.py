"""A directive that tells every command of the command line from the code: ``commands``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive


class Commands(Directive):
    """One section a command: what it does, its arguments, its options."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        import typer

        from neuronull.cli import app

        return list(_sections(typer.main.get_command(app), "neuronull"))


def _sections(command: Any, path: str) -> Iterator[nodes.section]:
    children = getattr(command, "commands", {})
    if not children:
        yield _section(command, path)
    for name, child in children.items():
        yield from _sections(child, f"{path} {name}")


def _section(command: Any, path: str) -> nodes.section:
    section = nodes.section(ids=[path.replace(" ", "-")], names=[path])
    section += nodes.title("", path)
    for paragraph in (command.help or "").split("\n\n"):
        section += nodes.paragraph("", " ".join(paragraph.split()))
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = [path, *(_metavar(p) for p in arguments), "[OPTIONS]" if options else ""]
    section += nodes.literal_block("", " ".join(usage).strip())
    listed = nodes.definition_list()
    for parameter in (*arguments, *options):
        if not getattr(parameter, "help", None):
            continue
        term = _metavar(parameter) if parameter in arguments else f"{' / '.join(_flags(parameter))} {_value(parameter)}"
        item = nodes.definition_list_item()
        item += nodes.term("", "", nodes.literal("", term.strip()))
        item += nodes.definition("", nodes.paragraph("", parameter.help.replace("\\[", "[") + _default(parameter)))
        listed += item
    section += listed
    return section


def _metavar(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _flags(parameter: Any) -> list[str]:
    return [*parameter.opts, *parameter.secondary_opts]


def _value(parameter: Any) -> str:
    return "" if parameter.is_flag else str(parameter.metavar or "")


def _default(parameter: Any) -> str:
    value = parameter.default
    return "" if value in (None, "", (), []) or parameter.is_flag or callable(value) else f" (default: {value})"


def setup(app: Any) -> dict[str, bool]:
    """Make the directive known."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
