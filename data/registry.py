"""One registry for papers, hypotheses, null models and model families: built in, from Python, or from a plug-in.

Nothing is imported until it is asked for, so that `neuronull --help` stays quick and a plug-in that cannot be imported
stops only what uses it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, overload

from .errors import InputError

T = TypeVar("T")
V = TypeVar("V")

BUILT_IN = "built in"
"""Origin of what ships with the package."""

_UNLOADED = object()


@dataclass
class _Entry:
    """One registered name: where it came from, and how to get at it."""

    origin: str
    load: Callable[[], object]
    plug_in: bool = False
    module: str = ""  # of a plug-in: the module that its entry point names
    value: object = _UNLOADED
    error: str = ""
    rivals: tuple[str, ...] = ()  # origins of other plug-ins that claim the same name


class Registry(Generic[T]):
    """Names of one sort of thing, and what stands behind them.

    Parameters
    ----------
    what
        What is registered, singular, for messages: ``"null model"``.
    group
        Entry-point group in which plug-in packages announce theirs: ``"neuronull.nulls"``.
    builtin
        Name -> ``"module:attribute"``.  A module that begins with a dot is relative to `package`, as in an import
        statement there (``".nulls.hqs:HQS"``).
    package
        Package that the built-in modules are relative to.
    convert
        Makes a `T` of what was loaded (checks its type, makes an instance of a class) or raises.
    named
        Attribute of a loaded value that must be the name it was announced under; empty for none.
    """

    def __init__(
        self,
        what: str,
        group: str,
        builtin: Mapping[str, str],
        package: str,
        convert: Callable[[Any], T],
        named: str = "",
    ) -> None:
        self.what, self.group, self.named = what, group, named
        self._convert = convert
        self._entries = {name: _Entry(BUILT_IN, _importer(target, package)) for name, target in builtin.items()}
        self._discovered = False

    @overload
    def register(self, name: str, value: None = None, *, origin: str = "") -> Callable[[V], V]: ...

    @overload
    def register(self, name: str, value: V, *, origin: str = "") -> V: ...

    def register(self, name: str, value: Any = None, *, origin: str = "") -> Any:
        """Register `value` under `name`; without `value`, a decorator.

        The same origin may register a name again (a notebook cell run twice): the later one counts.

        Raises
        ------
        InputError
            If `name` is taken; the message says by whom.
        """
        if value is None:
            return lambda decorated: self.register(name, decorated, origin=origin)
        origin = origin or _home(value)
        taken = self._known().get(name)
        if taken is not None and taken.plug_in and origin.startswith(f"{taken.module}."):
            return value  # a plug-in that announces what its module registers when it is imported
        if taken is not None and taken.origin != origin:
            raise self._collision(name, taken.origin, origin)
        self._entries[name] = _Entry(origin, lambda: value)
        return value

    def get(self, name: str) -> T:
        """Return what is registered under `name`.

        Raises
        ------
        InputError
            If nothing is (with the nearest name), if two packages claim the name, or if its plug-in cannot be loaded.
        """
        entry = self._entry(name)
        if entry.rivals:
            raise self._collision(name, entry.origin, *entry.rivals)
        value = self._load(name, entry)
        if entry.error:
            raise InputError(f"{self.what} {name} cannot be loaded: {entry.error}", entry.origin,
                             "repair or uninstall that plug-in")  # fmt: skip
        return value

    def names(self) -> tuple[str, ...]:
        """Every registered name: the built-in ones in their own order, then the others as they came."""
        return tuple(self._known())

    def items(self) -> Iterator[tuple[str, T]]:
        """Name and value of everything that can be loaded; the rest is in `broken`."""
        for name, entry in tuple(self._known().items()):
            value = self._load(name, entry)
            if not (entry.error or entry.rivals):
                yield name, value

    def origin(self, name: str) -> str:
        """Where `name` came from: ``built in``, a package and its version, or a Python module."""
        return self._entry(name).origin

    def broken(self) -> dict[str, str]:
        """Name -> why it cannot be used, for every plug-in that cannot be loaded or claims a taken name."""
        faults = {}
        for name, entry in self._known().items():
            if entry.rivals:
                faults[name] = str(self._collision(name, entry.origin, *entry.rivals))
                continue
            self._load(name, entry)
            if entry.error:
                faults[name] = f"{entry.error} ({entry.origin})"
        return faults

    def __contains__(self, name: object) -> bool:
        return name in self._known()

    def __len__(self) -> int:
        return len(self._known())

    def _entry(self, name: str) -> _Entry:
        known = self._known()
        if name not in known:
            hint = suggestion(name, known) or f"known: {', '.join(known)}"
            raise InputError(f"unknown {self.what} {name!r}", "", hint)
        return known[name]

    def _known(self) -> dict[str, _Entry]:
        """All entries; the installed plug-ins are looked up at the first call."""
        if not self._discovered:
            self._discovered = True
            for point in entry_points(group=self.group):
                self._announce(point)
        return self._entries

    def _announce(self, point: EntryPoint) -> None:
        origin = _package(point)
        taken = self._entries.get(point.name)
        if taken is None:
            self._entries[point.name] = _Entry(origin, point.load, plug_in=True, module=point.module)
        elif taken.origin != origin:  # the same package may be seen twice, once by its checkout
            taken.rivals += (origin,)

    def _load(self, name: str, entry: _Entry) -> T:
        if entry.value is _UNLOADED and not entry.error:
            if entry.plug_in:
                self._load_foreign(entry, name)
            else:
                entry.value = self._made(entry.load(), name)
        return entry.value  # type: ignore[return-value]

    def _load_foreign(self, entry: _Entry, name: str) -> None:
        try:
            entry.value = self._made(entry.load(), name)
        except (
            Exception,
            SystemExit,
        ) as error:  # other people's code: importing it may raise anything, and must stop nobody else
            entry.error = " ".join(f"{type(error).__name__}: {error}".split())

    def _made(self, loaded: object, name: str) -> object:
        made = self._convert(loaded)
        own = getattr(made, self.named, name) if self.named else name
        if own != name:
            raise ValueError(f"it calls itself {own!r}")
        return made

    def _collision(self, name: str, *origins: str) -> InputError:
        return InputError(f"{self.what} {name!r} is registered twice: {' and '.join(origins)}", "",
                          "rename one, or uninstall its package")  # fmt: skip


def import_target(target: str, where: str = "") -> Any:
    """Object that ``module:attribute`` names.

    Raises
    ------
    InputError
        If `target` is not of that form, or cannot be imported.
    """
    module, colon, attribute = target.partition(":")
    if not (module and colon and attribute):
        hint = "give for instance my_package.nulls:MyNull"
        raise InputError(f"{target!r} is not of the form module:attribute", where, hint)
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # other people's code: importing it may raise anything
        hint = "check the name, and that it can be imported from here"
        raise InputError(f"{target} cannot be loaded: {type(error).__name__}: {error}", where, hint) from error
    return found


def suggestion(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """``did you mean NAME?`` with the nearest of `known`; empty where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def _importer(target: str, package: str) -> Callable[[], object]:
    def load() -> object:
        module, _, attribute = target.partition(":")
        return getattr(import_module(module, package), attribute)

    return load


def _package(point: EntryPoint) -> str:
    return f"package {point.dist.name} {point.dist.version}" if point.dist else f"entry point {point.value}"


def _home(value: Any) -> str:
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"
