"""The registry: lazy, helpful about names, and not stopped by other people's mistakes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from neuronull.data.errors import InputError
from neuronull.data.options import TestOptions
from neuronull.data.registry import BUILT_IN, Registry, import_target
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.choice import choose


def unchanged(value: object) -> object:
    return value


@pytest.fixture
def registry() -> Registry[object]:
    return Registry("thing", "neuronull.test_things", {"one": "fractions:Fraction", "two": ".registry:Registry"},
                    "neuronull.data", unchanged)  # fmt: skip


@pytest.fixture
def plug_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two installed packages: one announces a good, a broken and a colliding thing, the other collides with both."""
    packages = {
        "good-things": ["three = decimal:Decimal", "bad = no_such_module:X", "worse = raises_on_import:X",
                        "one = decimal:Decimal"],
        "rival-things": ["three = fractions:Fraction"],
    }  # fmt: skip
    for name, lines in packages.items():
        folder = tmp_path / f"{name.replace('-', '_')}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text("[neuronull.test_things]\n" + "\n".join(lines) + "\n")
    (tmp_path / "raises_on_import.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))


def test_builtins_are_imported_when_asked_for_and_not_before():
    sys.modules.pop("wave", None)
    registry: Registry[object] = Registry("thing", "neuronull.none", {"sound": "wave:open"}, "", unchanged)
    assert registry.names() == ("sound",)
    assert registry.origin("sound") == BUILT_IN
    assert "wave" not in sys.modules
    assert registry.get("sound") is sys.modules["wave"].open  # type: ignore[attr-defined]


def test_relative_targets_start_from_the_package_that_is_named(registry: Registry[object]):
    assert registry.get("two") is Registry


@pytest.mark.parametrize("as_decorator", [True, False])
def test_register(registry: Registry[object], as_decorator: bool):
    def value() -> None: ...

    returned = registry.register("mine")(value) if as_decorator else registry.register("mine", value)
    assert returned is value
    assert registry.get("mine") is value
    assert registry.origin("mine").endswith("test_register.<locals>.value")


def test_collision_names_both_origins(registry: Registry[object]):
    with pytest.raises(InputError, match=r"'one' is registered twice: built in and my notebook; rename one"):
        registry.register("one", object(), origin="my notebook")


def test_the_same_origin_may_register_again(registry: Registry[object]):
    registry.register("mine", 1, origin="cell 3")
    registry.register("mine", 2, origin="cell 3")
    assert registry.get("mine") == 2


def test_unknown_name_suggests_the_nearest(registry: Registry[object]):
    with pytest.raises(InputError, match="unknown thing 'tow'; did you mean two"):
        registry.get("tow")


def test_unknown_name_without_a_near_one_lists_all(registry: Registry[object]):
    with pytest.raises(InputError, match=r"known: one, two$"):
        registry.get("zzz")


@pytest.mark.usefixtures("plug_ins")
def test_plug_ins_are_found_and_their_origin_told(registry: Registry[object]):
    assert set(registry.names()) == {"one", "two", "three", "bad", "worse"}
    assert registry.origin("bad") == "package good-things 1.2"


@pytest.mark.usefixtures("plug_ins")
def test_a_broken_plug_in_is_reported_and_stops_nobody_else(registry: Registry[object]):
    assert dict(registry.items()) == {"two": Registry}
    broken = registry.broken()
    assert set(broken) == {"bad", "worse", "one", "three"}
    assert "no_such_module" in broken["bad"]
    assert "good-things 1.2" in broken["bad"]
    assert "ZeroDivisionError" in broken["worse"]
    with pytest.raises(InputError, match="thing worse cannot be loaded: ZeroDivisionError"):
        registry.get("worse")


@pytest.mark.usefixtures("plug_ins")
def test_a_plug_in_cannot_take_a_name_in_silence(registry: Registry[object]):
    with pytest.raises(InputError, match=r"'one' is registered twice: built in and package good-things 1\.2"):
        registry.get("one")
    with pytest.raises(InputError, match=r"good-things 1.2.*rival-things 1.2|rival-things 1.2.*good-things 1.2"):
        registry.get("three")


def test_convert_makes_the_value_and_may_refuse_it():
    def whole(value: object) -> int:
        if not isinstance(value, int):
            raise InputError("not a whole number")
        return value + 1

    registry = Registry("number", "neuronull.none", {}, "", whole)
    registry.register("a", 1, origin="here")
    registry.register("b", "x", origin="here")
    assert registry.get("a") == 2
    with pytest.raises(InputError, match="not a whole number"):
        registry.get("b")


@pytest.mark.usefixtures("plug_ins")
def test_a_plug_in_that_ends_the_process_on_import_is_only_broken(
    registry: Registry[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sys.modules.pop("raises_on_import", None)
    (tmp_path / "raises_on_import.py").write_text("raise SystemExit(0)\n")
    assert "SystemExit" in registry.broken()["worse"]
    with pytest.raises(InputError, match=r"thing worse cannot be loaded: SystemExit.*repair or uninstall"):
        registry.get("worse")
    with pytest.raises(InputError, match="raises_on_import:X cannot be loaded: SystemExit"):
        import_target("raises_on_import:X")


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Named]:
    """A registry of things with names, and a package that announces a right one, a misnamed one and a number."""
    folder = tmp_path / "named_things-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: named-things\nVersion: 1.2\n")
    announced = ["right = named_things:right", "wrong = named_things:wrong", "number = named_things:number"]
    (folder / "entry_points.txt").write_text("[neuronull.test_named]\n" + "\n".join(announced) + "\n")
    (tmp_path / "named_things.py").write_text(
        "from types import SimpleNamespace as N\nright, wrong, number = N(name='right'), N(name='other'), 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    def convert(value: object) -> Named:
        if not hasattr(value, "name"):
            raise TypeError(f"a thing has a name, and this is a {type(value).__name__}")
        return value  # type: ignore[return-value]

    return Registry("thing", "neuronull.test_named", {}, "", convert, "name")


def test_what_calls_itself_otherwise_than_it_is_announced_is_broken(named: Registry[Named]):
    assert named.get("right").name == "right"
    with pytest.raises(InputError, match=r"thing wrong cannot be loaded: ValueError: it calls itself 'other'"):
        named.get("wrong")
    assert "other" not in named


def test_what_is_of_another_type_stops_only_what_uses_it(named: Registry[Named]):
    with pytest.raises(InputError, match="thing number cannot be loaded: TypeError: a thing has a name"):
        named.get("number")
    assert [name for name, _ in named.items()] == ["right"]
    assert set(named.broken()) == {"wrong", "number"}
    assert all("named-things 1.2" in said for said in named.broken().values())


@pytest.mark.parametrize("registry_name", ["nulls", "papers", "hypotheses"])
def test_a_plug_in_of_a_wrong_type_stops_no_run(registry_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "odd_things-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-things\nVersion: 1.2\n")
    lines = [f"[neuronull.{registry_name}]", "odd.thing = fractions:Fraction", "gone.thing = no_such_module:X"]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = getattr(catalogue, registry_name)
    plain, every = (choose(TestOptions(papers=papers)).hypotheses for papers in ((), ("all",)))
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(registry, "_discovered", False)
    assert choose(TestOptions()).hypotheses == plain
    assert choose(TestOptions(papers=("all",))).hypotheses == every
    assert set(registry.broken()) == {"odd.thing", "gone.thing"}
    with pytest.raises(InputError, match=r"odd\.thing cannot be loaded: TypeError: "):
        registry.get("odd.thing")


def test_import_target():
    assert import_target("fractions:Fraction.limit_denominator").__name__ == "limit_denominator"


@pytest.mark.parametrize("target", ["fractions", ":x", "no_such_module:x", "fractions:NoSuch"])
def test_import_target_says_what_is_wrong(target: str):
    with pytest.raises(InputError, match=r"fractions|form|no_such_module"):
        import_target(target, "TARGET")
